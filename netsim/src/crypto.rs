//! TLS that draws from a seed. Secure against nobody: for simulations alone.
//!
//! aws-lc's ciphers and signatures, but every random and every key share (X25519, RFC 7748) comes from [`Random`].

use std::{fmt, sync::Arc};

use freshet_proto::random::Random;
use rustls::{
    Error, NamedGroup, PeerMisbehaved,
    crypto::{ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup},
};
use x25519_dalek::{PublicKey, StaticSecret};

/// A provider that draws from `random`. Its two statics are leaked, some hundred bytes a call, for rustls wants them to
/// live for ever.
pub fn provider(random: &Random) -> Arc<CryptoProvider> {
    let seeded: &'static Seeded = Box::leak(Box::new(Seeded(random.clone())));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Arc::new(CryptoProvider { secure_random: seeded, kx_groups: vec![seeded], ..provider })
}

struct Seeded(Random);

impl fmt::Debug for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeded")
    }
}

impl SecureRandom for Seeded {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        self.0.fill(buf);
        Ok(())
    }
}

impl SupportedKxGroup for Seeded {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let mut bytes = [0; 32];
        self.0.fill(&mut bytes);
        let secret = StaticSecret::from(bytes);
        let public = PublicKey::from(&secret);
        Ok(Box::new(Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: StaticSecret,
    public: PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer: [u8; 32] = peer.try_into().map_err(|_| Error::from(PeerMisbehaved::InvalidKeyShare))?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(peer));
        Ok(SharedSecret::from(shared.as_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
