//! The platform's own certificate authority: one key that says which nodes belong together.
//!
//! ECDSA P-256 for the authority, Ed25519 for nodes (their signatures are deterministic). A node's certificate names it
//! (the first DNS name) and may name addresses; it serves for both sides of a connection. Keys are files with mode 0600.

use std::{
    fs, io,
    io::Write,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use freshet_proto::{
    clock::WallClock,
    quic::{Identity, QuicError},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};

/// Why a certificate could not be had. All ours: the operator's doing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is an authority already. The remedy: use it, or choose another directory; nodes of two authorities don't
    /// talk to each other.
    #[error("{0} exists already; an authority is never overwritten")]
    Exists(PathBuf),
    /// The name can't be a node's.
    #[error("{0:?} can't be a node's name: use letters, digits and hyphens, with dots between labels")]
    Name(String),
    /// The authority's files are damaged.
    #[error("the authority in {dir} is unusable ({why}); restore it from a backup, or make a new one and issue again")]
    Damaged {
        /// Where.
        dir: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
    /// What was issued is unusable.
    #[error(transparent)]
    Identity(#[from] QuicError),
}

/// The authority's certificate, in its directory.
pub const CERTIFICATE: &str = "ca.pem";
/// The authority's key, in its directory.
pub const KEY: &str = "ca.key";
/// For how many days an authority is valid.
pub const CA_DAYS: u64 = 3650;
/// For how many days a node's certificate is valid unless told otherwise.
pub const NODE_DAYS: u64 = 365;
/// For how long the certificate of a node that joined is valid unless told otherwise: 30 days. It renews it by itself after
/// two thirds of that.
pub const JOINED: Duration = Duration::from_secs(30 * 86_400);
/// For how long such a certificate may be valid at most: a year.
pub const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// Certificates are valid from an hour before they were issued, for clocks that are behind.
pub const BACKDATED: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A certificate authority.
pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    /// Makes an authority and writes it to `dir`, which is made too.
    ///
    /// # Errors
    /// [`CaError::Exists`] rather than overwriting one.
    pub fn create(dir: &Path, clock: &WallClock) -> Result<Self, CaError> {
        let (certificate, key) = (dir.join(CERTIFICATE), dir.join(KEY));
        if let Some(there) = [&certificate, &key].into_iter().find(|path| path.exists()) {
            return Err(CaError::Exists(there.clone()));
        }
        fs::create_dir_all(dir).map_err(|source| CaError::File { path: dir.to_owned(), source })?;
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let params = authority(clock);
        let pem = params.self_signed(&pair)?.pem();
        write_secret(&key, &pair.serialize_pem())?;
        write_public(&certificate, &pem)?;
        Ok(Self { issuer: Issuer::new(params, pair), pem })
    }

    /// Reads the authority in `dir`.
    ///
    /// # Errors
    /// [`CaError::File`], [`CaError::Damaged`].
    pub fn load(dir: &Path) -> Result<Self, CaError> {
        let damaged = |error: rcgen::Error| CaError::Damaged { dir: dir.to_owned(), why: error.to_string() };
        let pem = read(&dir.join(CERTIFICATE))?;
        let pair = KeyPair::from_pem(&read(&dir.join(KEY))?).map_err(damaged)?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&pem, pair).map_err(damaged)?, pem })
    }

    /// Reads the authority in `dir`, or makes one where there is none.
    ///
    /// # Errors
    /// See [`CaError`].
    pub fn load_or_create(dir: &Path, clock: &WallClock) -> Result<Self, CaError> {
        if dir.join(CERTIFICATE).exists() { Self::load(dir) } else { Self::create(dir, clock) }
    }

    /// Takes an authority from PEM.
    ///
    /// # Errors
    /// [`CaError::Make`] when the texts are no certificate and its key.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, CaError> {
        let pair = KeyPair::from_pem(key)?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(certificate, pair)?, pem: certificate.to_owned() })
    }

    /// The authority's certificate, PEM. Not a secret: every node needs it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate and a new key for the node `name`, valid for `days`, which may also be reached at `addrs`.
    ///
    /// # Errors
    /// [`CaError::Name`], [`CaError::Make`].
    pub fn issue(&self, name: &str, addrs: &[IpAddr], days: u64, clock: &WallClock) -> Result<Issued, CaError> {
        self.issue_for(name, addrs, days_of(days), clock)
    }

    /// The same, valid for as long as `valid`.
    ///
    /// # Errors
    /// As [`Ca::issue`].
    pub fn issue_for(
        &self,
        name: &str,
        addrs: &[IpAddr],
        valid: Duration,
        clock: &WallClock,
    ) -> Result<Issued, CaError> {
        let params = node(name, addrs, valid, clock)?;
        let pair = KeyPair::generate_for(&PKCS_ED25519)?;
        let certificate = params.signed_by(&pair, &self.issuer)?.pem();
        Ok(Issued { certificate, key: pair.serialize_pem(), authority: self.pem.clone() })
    }

    /// Certifies the key of a signing request (PKCS #10, DER) for the node `name`, valid for as long as `valid`; PEM.
    /// Nothing else that the request says is believed.
    ///
    /// # Errors
    /// [`CaError::Name`]; [`CaError::Make`] also for a request that is none.
    pub fn certify(
        &self,
        request: &[u8],
        name: &str,
        addrs: &[IpAddr],
        valid: Duration,
        clock: &WallClock,
    ) -> Result<String, CaError> {
        let params = node(name, addrs, valid, clock)?;
        let mut request = CertificateSigningRequestParams::from_der(&request.into())?;
        request.params = params;
        Ok(request.signed_by(&self.issuer)?.pem())
    }
}

/// A new key and a request to certify it.
///
/// # Errors
/// [`CaError::Make`].
pub fn request() -> Result<SigningRequest, CaError> {
    let pair = KeyPair::generate_for(&PKCS_ED25519)?;
    let request = CertificateParams::default().serialize_request(&pair)?.der().to_vec();
    Ok(SigningRequest { request, key: pair.serialize_pem() })
}

/// A key that waits for its certificate.
pub struct SigningRequest {
    /// What an authority is shown (PKCS #10, DER).
    pub request: Vec<u8>,
    /// The key, PEM: a secret.
    pub key: String,
}

/// The SHA-256 of a certificate in PEM, by which a join token names its authority.
pub fn fingerprint(pem: &str) -> Option<[u8; 32]> {
    Some(Sha256::digest(CertificateDer::from_pem_slice(pem.as_bytes()).ok()?).into())
}

/// Since when and until when a certificate in PEM is valid, in milliseconds since 1970 UTC.
pub fn validity_of(pem: &str) -> Option<(u64, u64)> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    let ms = |at: x509_parser::time::ASN1Time| u64::try_from(at.timestamp()).ok()?.checked_mul(1000);
    Some((ms(certificate.validity().not_before)?, ms(certificate.validity().not_after)?))
}

fn node(name: &str, addrs: &[IpAddr], valid: Duration, clock: &WallClock) -> Result<CertificateParams, CaError> {
    if !is_host_name(name) {
        return Err(CaError::Name(name.to_owned()));
    }
    let names = std::iter::once(name.to_owned()).chain(addrs.iter().map(IpAddr::to_string));
    let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    validity(&mut params, valid, clock);
    Ok(params)
}

/// A node's certificate, all PEM.
#[derive(Clone)]
pub struct Issued {
    /// Its certificate.
    pub certificate: String,
    /// Its key: a secret.
    pub key: String,
    /// The authority's certificate.
    pub authority: String,
}

impl Issued {
    /// As an endpoint needs it.
    ///
    /// # Errors
    /// [`CaError::Identity`].
    pub fn identity(&self) -> Result<Identity, CaError> {
        Ok(Identity::from_pem(self.certificate.as_bytes(), self.key.as_bytes(), self.authority.as_bytes())?)
    }

    /// Writes `STEM.pem`, `STEM.key` (mode 0600) and `ca.pem` to `dir`, replacing what was there.
    ///
    /// # Errors
    /// [`CaError::File`].
    pub fn write(&self, dir: &Path, stem: &str) -> Result<(), CaError> {
        fs::create_dir_all(dir).map_err(|source| CaError::File { path: dir.to_owned(), source })?;
        write_secret(&dir.join(format!("{stem}.key")), &self.key)?;
        write_public(&dir.join(format!("{stem}.pem")), &self.certificate)?;
        write_public(&dir.join(CERTIFICATE), &self.authority)
    }
}

fn authority(clock: &WallClock) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Freshet nodes");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, days_of(CA_DAYS), clock);
    params
}

fn validity(params: &mut CertificateParams, valid: Duration, clock: &WallClock) {
    let now = Duration::from_millis(clock.now_ms());
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now + valid;
}

/// A century at most.
fn days_of(days: u64) -> Duration {
    DAY.saturating_mul(u32::try_from(days).unwrap_or(u32::MAX).min(36_500))
}

/// RFC 1123 §2.1: labels of letters, digits and inner hyphens.
pub(crate) fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(legal) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn read(path: &Path) -> Result<String, CaError> {
    fs::read_to_string(path).map_err(|source| CaError::File { path: path.to_owned(), source })
}

fn write_public(path: &Path, text: &str) -> Result<(), CaError> {
    fs::write(path, text).map_err(|source| CaError::File { path: path.to_owned(), source })
}

/// Never readable by others, not even for a moment: the file is made with its mode, beside the old one, then renamed.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), CaError> {
    use std::os::unix::fs::OpenOptionsExt;
    let fresh = path.with_extension("new");
    let write = || {
        let _ = fs::remove_file(&fresh);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(|source| CaError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_authority_is_made_once_and_read_again() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let made = Ca::create(dir.path(), &clock).unwrap();
        assert!(matches!(Ca::create(dir.path(), &clock), Err(CaError::Exists(_))));
        let read = Ca::load(dir.path()).unwrap();
        assert_eq!(read.pem(), made.pem());
        let issued = read.issue("edge-1", &["127.0.0.1".parse().unwrap()], NODE_DAYS, &clock).unwrap();
        assert_eq!(issued.identity().unwrap().name(), "edge-1");
        assert_eq!(issued.authority, made.pem());
    }

    #[test]
    fn keys_are_readable_by_their_owner_alone() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let issued = Ca::load_or_create(dir.path(), &clock).unwrap().issue("origin", &[], 1, &clock).unwrap();
        issued.write(dir.path(), "origin").unwrap();
        issued.write(dir.path(), "origin").unwrap();
        for (name, mode) in [("ca.key", 0o600), ("origin.key", 0o600)] {
            let metadata = fs::metadata(dir.path().join(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
        }
        let [chain, key, ca] = ["origin.pem", "origin.key", "ca.pem"].map(|name| dir.path().join(name));
        assert_eq!(Identity::load(&chain, &key, &ca).unwrap().name(), "origin");
    }

    #[test]
    fn a_request_is_certified_under_the_name_that_the_authority_chooses() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let ca = Ca::create(dir.path(), &clock).unwrap();
        let key = fs::read_to_string(dir.path().join(KEY)).unwrap();
        let ca = Ca::from_pem(ca.pem(), &key).unwrap();
        let asked = request().unwrap();
        let certificate = ca.certify(&asked.request, "edge-7", &[], JOINED, &clock).unwrap();
        let (from, to) = validity_of(&certificate).unwrap();
        assert_eq!((to - from) / 3_600_000, 30 * 24 + 1, "a month, and the hour it is backdated");
        let issued = Issued { certificate, key: asked.key, authority: ca.pem().to_owned() };
        assert_eq!(issued.identity().unwrap().name(), "edge-7");
        assert!(ca.certify(&[1, 2, 3], "edge-7", &[], JOINED, &clock).is_err());
        assert!(fingerprint(ca.pem()).is_some_and(|it| fingerprint(&issued.certificate) != Some(it)));
    }

    #[test]
    fn a_name_that_no_certificate_can_carry_is_refused() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let ca = Ca::create(dir.path(), &clock).unwrap();
        for bad in ["", "a b", "-a", "a..b", "ä", "a_b", &"x".repeat(64)] {
            assert!(matches!(ca.issue(bad, &[], 1, &clock), Err(CaError::Name(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_damaged_authority_says_where_it_is() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        Ca::create(dir.path(), &clock).unwrap();
        fs::write(dir.path().join(KEY), "no key").unwrap();
        let error = Ca::load(dir.path()).err().unwrap();
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    }
}
