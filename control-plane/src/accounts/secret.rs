//! Secrets that we hand out once and keep only as hashes: refresh tokens, login links, invitations.
//!
//! 256 bits of randomness leave nothing to guess, so a plain SHA-256 suffices where passwords need argon2id. Rows are looked
//! up by the hash: that a database compares in varying time tells only of hashes that nobody can choose.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use freshet_proto::random::Random;
use sha2::{Digest, Sha256};

/// A secret on its way to the one who may have it. Never logged, never stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn generate(kind: Kind, random: &Random) -> Self {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        Self(format!("{}_{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What to hand over.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a secret is for. Scanners of public repositories know a secret by its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Refresh,
    Link,
    Invite,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "frt",
            Self::Link => "fll",
            Self::Invite => "fin",
        }
    }
}

/// The SHA-256 (FIPS 180-4) of what somebody presents, in hexadecimal digits.
pub(super) fn hash(presented: &str) -> String {
    hex(&Sha256::digest(presented.as_bytes()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_bits_is_kept_as_its_sha_256_and_never_shows() {
        let random = Random::seeded(1);
        let (one, two) = (Secret::generate(Kind::Refresh, &random), Secret::generate(Kind::Refresh, &random));
        assert_ne!(one, two);
        assert_eq!((one.reveal().len(), &one.reveal()[..4]), (4 + 43, "frt_"));
        assert_eq!(format!("{one:?}"), "Secret");
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(one.hash(), hash(one.reveal()));
    }
}
