//! Certificates for viewers (HTTPS) and encoders (RTMPS), read again on SIGHUP.
//!
//! files ──▶ Viewers ──watch──▶ edge::serve_https
//!                  └─resolver─▶ origin::serve_rtmp
//!
//! A new pair that is no good never replaces a good one.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::sync::watch;

/// Why a certificate can't be used. The operator's doing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read or is no PEM.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// Key and certificate don't fit each other, or are of no kind that is known.
    #[error("the certificate {} and its key don't go together: {error}", certificate.display())]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// Why.
        error: rustls::Error,
    },
}

/// The certificate that viewers and encoders see. Cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Shared>);

struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    https: watch::Sender<Arc<ServerConfig>>,
    rtmps: Arc<ServerConfig>,
    current: Arc<Current>,
}

impl Certificate {
    /// Reads a chain and its key, both PEM.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let (https, pair) = read(certificate, key)?;
        let current = Arc::new(Current(RwLock::new(pair)));
        let rtmps =
            rtmps(current.clone()).map_err(|error| TlsError::Pair { certificate: certificate.to_owned(), error })?;
        let https = watch::Sender::new(https);
        Ok(Self(Arc::new(Shared { certificate: certificate.into(), key: key.into(), https, rtmps, current })))
    }

    /// Reads the files again. New connections get the new certificate.
    ///
    /// # Errors
    /// See [`TlsError`]; the certificate in use then stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let (https, pair) = read(&self.0.certificate, &self.0.key)?;
        *self.0.current.0.write().unwrap_or_else(PoisonError::into_inner) = pair;
        self.0.https.send_replace(https);
        Ok(())
    }

    /// For HTTPS.
    pub fn https(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.0.https.subscribe()
    }

    /// For RTMPS: TLS 1.2 too, which is all that some encoders speak.
    pub fn rtmps(&self) -> Arc<ServerConfig> {
        self.0.rtmps.clone()
    }
}

fn read(certificate: &Path, key: &Path) -> Result<(Arc<ServerConfig>, Arc<CertifiedKey>), TlsError> {
    let wrong = |file: &Path| {
        let file = file.to_owned();
        move |error: rustls_pki_types::pem::Error| TlsError::File { file, why: error.to_string() }
    };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect).map_err(wrong(certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(wrong(key))?;
    let pair = |error| TlsError::Pair { certificate: certificate.to_owned(), error };
    let certified =
        CertifiedKey::from_der(chain.clone(), private.clone_key(), &aws_lc_rs::default_provider()).map_err(pair)?;
    let https = freshet_edge::tls::server_config(chain, private).map_err(pair)?;
    Ok((https, Arc::new(certified)))
}

fn rtmps(current: Arc<Current>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_pair(dir: &Path) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("c.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("c.key"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    }

    #[test]
    fn a_bad_pair_never_replaces_a_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let served = |certificate: &Certificate| certificate.0.current.0.read().unwrap().cert[0].to_vec();
        let first = write_pair(dir.path());
        let certificate = Certificate::load(&dir.path().join("c.pem"), &dir.path().join("c.key")).unwrap();
        let mut https = certificate.https();
        std::fs::write(dir.path().join("c.pem"), "no certificate").unwrap();
        assert!(certificate.reload().is_err());
        assert_eq!((served(&certificate), https.has_changed().unwrap()), (first.clone(), false));
        let second = write_pair(dir.path());
        std::fs::write(dir.path().join("c.key"), rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(certificate.reload().unwrap_err().to_string().contains("don't go together"));
        assert_eq!(served(&certificate), first);
        let third = write_pair(dir.path());
        certificate.reload().unwrap();
        assert_eq!((served(&certificate), https.has_changed().unwrap()), (third, true));
        assert_ne!(first, second);
        https.mark_unchanged();
    }
}
