//! Certificates that follow from a seed. Ed25519 throughout, whose signatures have no chance in them.

use std::time::Duration;

use freshet_proto::{
    quic::{Identity, QuicError},
    random::Random,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ED25519,
    SerialNumber,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::BEGIN;

/// The authority of one run.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    random: Random,
}

const DAY: Duration = Duration::from_secs(86_400);

impl Authority {
    /// The authority of the seed.
    ///
    /// # Panics
    /// Never: what it makes follows from the seed alone, and is well formed for every seed.
    #[allow(clippy::expect_used)]
    pub fn seeded(seed: u64) -> Self {
        let random = Random::seeded(seed ^ 0xca);
        let mut params = params(vec![], 1).expect("no names are good names");
        params.distinguished_name.push(DnType::CommonName, "simulation");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = key(&random).expect("any 32 bytes are a key").1;
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a key signs"), random }
    }

    /// Issues a node's certificate. The order of calls matters to what follows from the seed.
    ///
    /// # Errors
    /// [`QuicError::Identity`] where `name` can't be a DNS name.
    pub fn issue(&self, name: &str) -> Result<Identity, QuicError> {
        let unusable = |error: rcgen::Error| QuicError::Identity(error.to_string());
        let mut params = params(vec![name.to_owned()], 2).map_err(unusable)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let (der, key) = key(&self.random).map_err(unusable)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(unusable)?;
        Identity::new(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(der), vec![self.issuer.der().clone()])
    }
}

fn params(names: Vec<String>, serial: u8) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    let begin = rcgen::date_time_ymd(1970, 1, 1) + BEGIN;
    (params.not_before, params.not_after) = (begin - DAY, begin + 100 * DAY);
    params.serial_number = Some(SerialNumber::from_slice(&[serial]));
    Ok(params)
}

/// An Ed25519 key in PKCS #8 (RFC 8410 §7): a fixed head and 32 drawn bytes.
fn key(random: &Random) -> Result<(PrivatePkcs8KeyDer<'static>, KeyPair), rcgen::Error> {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let mut secret = [0; 32];
    random.fill(&mut secret);
    der.extend(secret);
    let der = PrivatePkcs8KeyDer::from(der);
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?;
    Ok((der, pair))
}
