//! Key pairs that sign, and their public halves.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::annex::{Algorithm, KeyState, SigningKey};

/// The bytes are no private key for that algorithm. Whoever made or configured it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no {0} private key in PKCS#8 DER (RS256: at least 2048 bits; ES256: on P-256)")]
pub struct BadKey(pub Algorithm);

/// A key pair. Its memory is wiped when it is dropped.
pub(super) enum Pair {
    Ed(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Pair {
    pub(super) fn new(algorithm: Algorithm, pkcs8_der: &[u8]) -> Result<Self, BadKey> {
        let pair = match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8_der).map(Self::Ed),
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8_der).map(Self::Ec),
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(pkcs8_der).map(Self::Rsa),
        };
        pair.map_err(|_| BadKey(algorithm))
    }

    /// `None` where the library failed, which it does when it has no memory.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        // AWS-LC draws ECDSA's nonce itself; the argument is there for looks.
        let random = SystemRandom::new();
        match self {
            Self::Ed(pair) => pair.try_sign(message).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Ec(pair) => pair.sign(&random, message).ok().map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok().map(|()| signature)
            }
        }
    }

    /// The members of the JWK that make the key: those of its thumbprint, which wants them in this order and without
    /// blanks (RFC 7638 §3.2, RFC 8037 §2).
    fn members(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed(pair) => json!({ "crv": "Ed25519", "kty": "OKP", "x": text(pair.public_key().as_ref()) }),
            Self::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "crv": "P-256", "kty": "EC", "x": text(x), "y": text(y) })
            }
            Self::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                json!({ "e": text(&public.e), "kty": "RSA", "n": text(&public.n) })
            }
        }
    }
}

/// The public half of a key pair as a keyring holds it: `kid` is its RFC 7638 thumbprint, `jwk` says `alg`, `use` and `kid`
/// too.
///
/// # Errors
/// [`BadKey`].
pub fn signing_key(algorithm: Algorithm, pkcs8_der: &[u8], state: KeyState) -> Result<SigningKey, BadKey> {
    let mut jwk = Pair::new(algorithm, pkcs8_der)?.members();
    let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.to_string()));
    jwk["alg"] = algorithm.to_string().into();
    jwk["use"] = "sig".into();
    jwk["kid"] = kid.as_str().into();
    Ok(SigningKey { kid, algorithm, jwk: jwk.to_string(), state })
}
