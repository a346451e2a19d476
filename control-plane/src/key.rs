//! Stream keys, kept only as keyed hashes: whoever reads the registry's disk or its log can publish nothing.
//!
//! A generated key is `sk_<id>_<secret>` with 128 bits of randomness, so a fast hash suffices (nothing to guess); any
//! other text that a configuration names is a key too. Hash: HMAC-SHA256 (RFC 2104) under the pepper.

use std::fmt;

use freshet_proto::random::Random;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The longest stream key, in bytes; a longer text is no key.
pub const MAX_LEN: usize = 256;

/// A new stream key, `sk_<8 digits>_<32 digits>`. The id tells keys apart in logs and listings; it is no secret.
pub fn generate(random: &Random) -> String {
    let id = random.token();
    format!("sk_{}_{}", id.get(..8).unwrap_or("0"), random.token())
}

/// The secret that keys the hashes. It stands beside the log in a file of its own, readable by the owner alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pepper(pub [u8; 32]);

impl Pepper {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// The hash of a key, HMAC-SHA256 (RFC 2104).
    pub fn hash(&self, key: &str) -> KeyHash {
        const BLOCK: usize = 64;
        let pad = |with: u8| {
            let mut block = [with; BLOCK];
            block.iter_mut().zip(self.0).for_each(|(byte, secret)| *byte ^= secret);
            block
        };
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(key.as_bytes()).finalize();
        KeyHash(Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper")
    }
}

/// A stream key's keyed hash.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Where it is looked up: its first bytes. That they are compared in varying time tells nothing of use, for
    /// nobody without the pepper can choose them.
    pub(crate) fn bucket(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// 64 hexadecimal digits, as accounts keep it.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The hash itself.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// From what [`KeyHash::to_bytes`] told.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From what [`KeyHash::to_hex`] made.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl PartialEq for KeyHash {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyHash {}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyHash({:08x}…)", self.bucket())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_hmac_sha_256() {
        // RFC 4231 §4.3 with its key zero-padded, which HMAC does itself.
        let mut pepper = [0; 32];
        pepper[..4].copy_from_slice(b"Jefe");
        let hex: String =
            Pepper(pepper).hash("what do ya want for nothing?").0.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn a_hash_is_the_same_after_a_trip_through_hexadecimal_digits() {
        let hash = Pepper([7; 32]).hash("sk_one");
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
        for bad in ["", "7f", &"x".repeat(64), &"é".repeat(32)] {
            assert_eq!(KeyHash::from_hex(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn generated_keys_differ_and_never_show_in_debug_output() {
        let random = Random::seeded(1);
        let (one, two) = (generate(&random), generate(&random));
        assert_ne!(one, two);
        assert_eq!((one.len(), one.starts_with("sk_")), (44, true));
        let hash = Pepper::generate(&random).hash(&one);
        assert!(!format!("{hash:?}").contains(&one));
    }
}
