//! Makes signing keys, and names them.
//!
//! An identifier (`kid`) is the public half's thumbprint (RFC 7638, with SHA-256): the hash of a JWK that has nothing but what
//! it must have, in alphabetical order. Ed25519 keys follow from [`Random`]; the others draw from aws-lc's own source, which no
//! simulation replays.

use aws_lc_rs::{
    encoding::AsDer,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use freshet_proto::{annex::Algorithm, random::Random};
use sha2::{Digest, Sha256};
use x509_parser::{prelude::FromDer, public_key::RSAPublicKey};

/// A key pair.
pub struct Pair {
    /// The thumbprint.
    pub kid: String,
    /// What it is for.
    pub algorithm: Algorithm,
    /// The public half, a JWK.
    pub jwk: String,
    /// The private half: PKCS #8, version 1, DER.
    pub pkcs8: Vec<u8>,
}

/// The cryptographic library could not make a key. Ours; whoever asked may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made; try again")]
pub struct NoKey;

/// Makes a key: in some 50 µs for EdDSA and 400 µs for ES256; RS256 takes a third of a second on a thread of its own.
///
/// # Errors
/// [`NoKey`].
pub async fn generate(algorithm: Algorithm, random: &Random) -> Result<Pair, NoKey> {
    match algorithm {
        Algorithm::Es256 => es256(),
        Algorithm::Rs256 => tokio::task::spawn_blocking(rs256).await.map_err(|_| NoKey)?,
        _ => eddsa(random),
    }
}

fn eddsa(random: &Random) -> Result<Pair, NoKey> {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoKey)?;
    let x = base64url(pair.public_key().as_ref());
    let members = [("crv", "Ed25519"), ("kty", "OKP"), ("x", &x)];
    // Version 2 has the public half too, which not everybody reads.
    Ok(named(Algorithm::EdDsa, &members, pair.to_pkcs8v1().map_err(|_| NoKey)?.as_ref()))
}

fn es256() -> Result<Pair, NoKey> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| NoKey)?;
    // SEC 1 §2.3.3, uncompressed: 4, x, y.
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(32)).ok_or(NoKey)?;
    let members = [("crv", "P-256"), ("kty", "EC"), ("x", &base64url(x)), ("y", &base64url(y))];
    Ok(named(Algorithm::Es256, &members, pair.to_pkcs8v1().map_err(|_| NoKey)?.as_ref()))
}

fn rs256() -> Result<Pair, NoKey> {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| NoKey)?;
    let (_, public) = RSAPublicKey::from_der(pair.public_key().as_ref()).map_err(|_| NoKey)?;
    let (e, n) = (unsigned(public.exponent), unsigned(public.modulus));
    let private = pair.as_der().map_err(|_| NoKey)?;
    Ok(named(Algorithm::Rs256, &[("e", &e), ("kty", "RSA"), ("n", &n)], private.as_ref()))
}

/// Names a key by what its public half must have, which is given in alphabetical order.
fn named(algorithm: Algorithm, members: &[(&str, &str)], pkcs8: &[u8]) -> Pair {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{name:?}:{value:?}")).collect();
    let members = members.join(",");
    let kid = base64url(&Sha256::digest(format!("{{{members}}}")));
    let jwk = format!("{{{members},\"kid\":\"{kid}\",\"alg\":\"{algorithm}\",\"use\":\"sig\"}}");
    Pair { kid, algorithm, jwk, pkcs8: pkcs8.to_vec() }
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A number as JWKs have it (RFC 7518 §2): without the zeros that DER may put before it.
fn unsigned(der: &[u8]) -> String {
    let zeros = der.iter().take_while(|byte| **byte == 0).count();
    base64url(&der[zeros..])
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{
            ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
            RsaPublicKeyComponents, UnparsedPublicKey,
        },
    };
    use serde_json::Value;

    use super::*;

    async fn pair(algorithm: Algorithm) -> (Pair, Value) {
        let pair = generate(algorithm, &Random::seeded(1)).await.unwrap();
        let jwk: Value = serde_json::from_str(&pair.jwk).unwrap();
        assert_eq!((&jwk["kid"], &jwk["alg"]), (&Value::from(pair.kid.as_str()), &algorithm.to_string().into()));
        (pair, jwk)
    }

    fn bytes(jwk: &Value, member: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(jwk[member].as_str().unwrap()).unwrap()
    }

    #[test]
    fn the_identifier_is_the_thumbprint_of_the_specification() {
        // RFC 8037 appendix A.3.
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let pair = named(Algorithm::EdDsa, &[("crv", "Ed25519"), ("kty", "OKP"), ("x", x)], &[]);
        assert_eq!(pair.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[tokio::test]
    async fn ed25519_keys_follow_from_the_seed_and_what_they_sign_is_verified_with_the_jwk() {
        let (pair, jwk) = pair(Algorithm::EdDsa).await;
        let again = generate(Algorithm::EdDsa, &Random::seeded(1)).await.unwrap();
        assert_eq!((&again.kid, &again.pkcs8), (&pair.kid, &pair.pkcs8));
        let signed = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pair.pkcs8).unwrap().sign(b"words");
        UnparsedPublicKey::new(&ED25519, bytes(&jwk, "x")).verify(b"words", signed.as_ref()).unwrap();
    }

    #[tokio::test]
    async fn p256_keys_sign_what_is_verified_with_the_jwk() {
        let (pair, jwk) = pair(Algorithm::Es256).await;
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pair.pkcs8).unwrap();
        let signed = key.sign(&SystemRandom::new(), b"words").unwrap();
        let point = [vec![4], bytes(&jwk, "x"), bytes(&jwk, "y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(b"words", signed.as_ref()).unwrap();
    }

    #[tokio::test]
    async fn rsa_keys_of_2048_bits_sign_what_is_verified_with_the_jwk() {
        let (pair, jwk) = pair(Algorithm::Rs256).await;
        let key = RsaKeyPair::from_pkcs8(&pair.pkcs8).unwrap();
        let mut signed = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"words", &mut signed).unwrap();
        let public = RsaPublicKeyComponents { n: bytes(&jwk, "n"), e: bytes(&jwk, "e") };
        assert_eq!((public.n.len(), public.e.as_slice()), (256, &[1, 0, 1][..]));
        public.verify(&RSA_PKCS1_2048_8192_SHA256, b"words", &signed).unwrap();
    }
}
