//! Makes signing keys. Their names and their public halves are [`freshet_proto::token`]'s to say.
//!
//! Ed25519 keys follow from [`Random`]; the others draw from aws-lc's own source, which no simulation replays.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use freshet_proto::{
    annex::{Algorithm, KeyState, SigningKey},
    random::Random,
    token::signing_key,
};

/// The cryptographic library could not make a key. Ours; whoever asked may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no key could be made; try again")]
pub struct NoKey;

/// A key pair that is to sign: its private half, as [`generate`] makes it, and its public half, pending. Its name never begins
/// with `-`, which one in 64 would: operators write it after a command, where that begins a flag.
///
/// # Errors
/// [`NoKey`].
pub async fn generate_pair(algorithm: Algorithm, random: &Random) -> Result<(Vec<u8>, SigningKey), NoKey> {
    loop {
        let pkcs8 = generate(algorithm, random).await?;
        let public = signing_key(algorithm, &pkcs8, KeyState::Pending).map_err(|_| NoKey)?;
        if !public.kid.starts_with('-') {
            return Ok((pkcs8, public));
        }
    }
}

/// A private key: PKCS #8, version 1, DER (version 2 has the public half too, which not everybody reads). Takes some 50 µs for
/// EdDSA and 400 µs for ES256; RS256 takes a third of a second, on a thread of its own.
///
/// # Errors
/// [`NoKey`].
pub async fn generate(algorithm: Algorithm, random: &Random) -> Result<Vec<u8>, NoKey> {
    match algorithm {
        Algorithm::Es256 => es256(),
        Algorithm::Rs256 => tokio::task::spawn_blocking(rs256).await.map_err(|_| NoKey)?,
        _ => eddsa(random),
    }
}

fn eddsa(random: &Random) -> Result<Vec<u8>, NoKey> {
    let mut seed = [0; 32];
    random.fill(&mut seed);
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoKey)?;
    Ok(pair.to_pkcs8v1().map_err(|_| NoKey)?.as_ref().to_vec())
}

fn es256() -> Result<Vec<u8>, NoKey> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| NoKey)?;
    Ok(pair.to_pkcs8v1().map_err(|_| NoKey)?.as_ref().to_vec())
}

fn rs256() -> Result<Vec<u8>, NoKey> {
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| NoKey)?;
    let der: Pkcs8V1Der = pair.as_der().map_err(|_| NoKey)?;
    Ok(der.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        annex::{Keyring, Revocations},
        token::{Audience, Claims, Signer, Verifier},
    };

    use super::*;

    fn claims() -> Claims {
        Claims {
            sub: "ada".to_owned(),
            aud: Audience::Api,
            exp_ms: 2_000_000,
            nbf_ms: 1_000_000,
            iat_ms: 1_000_000,
            jti: "1".to_owned(),
            sid: None,
            username: String::new(),
            roles: vec![],
            color: None,
            channel: None,
        }
    }

    #[tokio::test]
    async fn what_a_key_of_each_kind_signs_is_verified_with_its_public_half() {
        for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
            let pkcs8 = generate(algorithm, &Random::seeded(1)).await.unwrap();
            let public = signing_key(algorithm, &pkcs8, KeyState::Active).unwrap();
            let token = Signer::new(algorithm, public.kid.clone(), &pkcs8).unwrap().sign(&claims()).unwrap();
            let ring = Keyring { signing: vec![public], ..Keyring::default() };
            let verified = Verifier::new(&ring).verify(&token, Audience::Api, 1_500_000, &Revocations::default());
            assert_eq!(verified.unwrap(), claims(), "{algorithm}");
        }
    }

    #[tokio::test]
    async fn ed25519_keys_follow_from_the_seed() {
        let of = async |seed| generate(Algorithm::EdDsa, &Random::seeded(seed)).await.unwrap();
        assert_eq!(of(1).await, of(1).await);
        assert_ne!(of(1).await, of(2).await);
    }
    #[tokio::test]
    async fn no_name_of_a_key_begins_as_a_flag_does() {
        let mut hyphens = 0;
        for seed in 0..500 {
            let first = generate(Algorithm::EdDsa, &Random::seeded(seed)).await.unwrap();
            let plain = signing_key(Algorithm::EdDsa, &first, KeyState::Pending).unwrap();
            let (pkcs8, public) = generate_pair(Algorithm::EdDsa, &Random::seeded(seed)).await.unwrap();
            assert_eq!(signing_key(Algorithm::EdDsa, &pkcs8, KeyState::Pending).unwrap(), public);
            assert!(!public.kid.starts_with('-'), "seed {seed}");
            assert_eq!(public == plain, !plain.kid.starts_with('-'), "seed {seed}");
            hyphens += usize::from(plain.kid.starts_with('-'));
        }
        assert!(hyphens > 0, "none of the seeds' first keys would have been such a name");
    }
}
