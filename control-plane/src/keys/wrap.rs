//! Private halves under lock: AES-256-GCM (NIST SP 800-38D) under a key-encryption key, bound to the key's identifier.
//!
//! ```text
//! wrapped = nonce (12) · ciphertext · tag (16), with the kid as additional data
//! ```
//! The nonces are random: with a handful of keys a month, 96 bits never meet again.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use freshet_proto::random::Random;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which key-encryption key something is wrapped with: it tells one from another and nothing of it.
pub type KekId = [u8; 8];

/// A private half that was wrapped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// With which key-encryption key.
    pub kek: KekId,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wrapped")
    }
}

/// A key-encryption key: 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Kek([u8; 32]);

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kek")
    }
}

impl Kek {
    /// A new one.
    pub fn generate(random: &Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(bytes)
    }

    /// As it is written in a file: base64.
    pub fn encode(&self) -> String {
        STANDARD.encode(self.0)
    }

    fn decode(text: &str) -> Option<Self> {
        Some(Self(STANDARD.decode(text).ok()?.try_into().ok()?))
    }

    /// What it is called by.
    pub fn id(&self) -> KekId {
        let hash: [u8; 32] = Sha256::new().chain_update(b"freshet kek").chain_update(self.0).finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = hash;
        [a, b, c, d, e, f, g, h]
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        UnboundKey::new(&AES_256_GCM, &self.0).ok().map(LessSafeKey::new)
    }

    /// Wraps the private half of `kid`. `None` where the cipher fails, which it has no reason to.
    pub fn wrap(&self, kid: &str, private: &[u8], random: &Random) -> Option<Wrapped> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut body = private.to_vec();
        let seal = Nonce::assume_unique_for_key(nonce);
        self.cipher()?.seal_in_place_append_tag(seal, Aad::from(kid.as_bytes()), &mut body).ok()?;
        Some(Wrapped { kek: self.id(), sealed: [&nonce[..], &body].concat() })
    }

    /// The private half of `kid`; `None` unless it was wrapped with this key, for that identifier, and is whole.
    pub fn unwrap(&self, kid: &str, wrapped: &Wrapped) -> Option<Vec<u8>> {
        let (nonce, body) = wrapped.sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let opened = Nonce::assume_unique_for_key(*nonce);
        let private = self.cipher()?.open_in_place(opened, Aad::from(kid.as_bytes()), &mut body).ok()?;
        Some(private.to_vec())
    }
}

/// Why a text holds no key-encryption keys. The operator's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no key-encryption key: write 32 random bytes in base64 (openssl rand -base64 32), and below it, one a line, those that it \
     replaces"
)]
pub struct NoKek;

/// Key-encryption keys: the first wraps, each unwraps what it has wrapped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keks(Vec<Kek>);

impl Keks {
    /// These.
    pub fn new(keks: Vec<Kek>) -> Self {
        Self(keks)
    }

    /// Reads them from a text that has one a line, or word.
    ///
    /// # Errors
    /// [`NoKek`] where there is none, or a word is none.
    pub fn parse(text: &str) -> Result<Self, NoKek> {
        let keks: Option<Vec<Kek>> = text.split_whitespace().map(Kek::decode).collect();
        keks.filter(|keks| !keks.is_empty()).map(Self).ok_or(NoKek)
    }

    /// The one that wraps.
    pub fn first(&self) -> Option<&Kek> {
        self.0.first()
    }

    /// The one of that name.
    pub fn named(&self, id: &KekId) -> Option<&Kek> {
        self.0.iter().find(|kek| kek.id() == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_unwrapped_with_the_same_key_for_the_same_kid_alone() {
        let random = Random::seeded(1);
        let (kek, other) = (Kek::generate(&random), Kek::generate(&random));
        let wrapped = kek.wrap("kid-1", b"a private half", &random).unwrap();
        assert_eq!(kek.unwrap("kid-1", &wrapped).unwrap(), b"a private half");
        assert_eq!((kek.unwrap("kid-2", &wrapped), other.unwrap("kid-1", &wrapped)), (None, None));
        assert!(wrapped.kek == kek.id() && wrapped.kek != other.id());
        assert!(!wrapped.sealed.windows(9).any(|part| part == b"a private"));
        for bit in 0..wrapped.sealed.len() * 8 {
            let mut flipped = wrapped.clone();
            flipped.sealed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(kek.unwrap("kid-1", &flipped), None, "bit {bit}");
        }
        assert_eq!(kek.unwrap("kid-1", &Wrapped { kek: kek.id(), sealed: vec![0; 5] }), None);
    }

    #[test]
    fn the_same_half_is_never_wrapped_into_the_same_bytes() {
        let random = Random::seeded(1);
        let kek = Kek::generate(&random);
        assert_ne!(kek.wrap("kid", b"half", &random), kek.wrap("kid", b"half", &random));
    }

    #[test]
    fn the_first_of_several_wraps_and_each_unwraps_its_own() {
        let random = Random::seeded(1);
        let (new, old) = (Kek::generate(&random), Kek::generate(&random));
        let keks = Keks::parse(&format!("{}\n{}\n", new.encode(), old.encode())).unwrap();
        assert_eq!((keks.first(), keks.named(&old.id())), (Some(&new), Some(&old)));
        for bad in ["", "\n", "AAAA", "not base64 at all", &format!("{} x", new.encode())] {
            assert_eq!(Keks::parse(bad), Err(NoKek), "{bad:?}");
        }
        assert!(!format!("{keks:?}").contains(&new.encode()));
    }
}
