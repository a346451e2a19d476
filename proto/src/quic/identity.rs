//! Who a node is: its certificate, its key and the CA that it trusts.

use std::{fmt, path::Path, sync::Arc};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::CryptoProvider,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    time_provider::TimeProvider,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

use super::{QuicError, agree};
use crate::{clock::WallClock, level::Level};

/// A node's certificate and key, and the CA whose nodes it talks to. Cheap to clone.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
    roots: Arc<RootCertStore>,
    authorities: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    name: String,
    strangers: bool,
    /// The newest version of the protocol that it speaks.
    pub(super) newest: Level,
}

impl Identity {
    /// Takes a certificate chain (the node's first), its key and the CA's certificates, all DER.
    ///
    /// # Errors
    /// [`QuicError::Identity`] when one of them is no such thing or the certificate carries no DNS name.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authorities: Vec<CertificateDer<'static>>,
    ) -> Result<Self, QuicError> {
        let first = chain.first().ok_or_else(|| unusable("there is no certificate"))?;
        let name = name_of(first).ok_or_else(|| unusable("the certificate carries no DNS name"))?;
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone()).map_err(unusable)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(roots);
        Ok(Self {
            chain,
            key: Arc::new(key),
            roots,
            authorities,
            provider,
            name,
            strangers: false,
            newest: Level::NEWEST,
        })
    }

    /// Lets in those who show no certificate, and shows them the authority's: for control nodes, where nodes join.
    pub fn admitting_strangers(mut self) -> Self {
        self.strangers = true;
        self
    }

    /// Speaks no newer version than `level`: for a node that is held back while its platform is upgraded.
    pub fn at_most(mut self, level: Level) -> Self {
        self.newest = self.newest.min(level);
        self
    }

    /// Reads the same from PEM.
    ///
    /// # Errors
    /// As [`Identity::new`].
    pub fn from_pem(chain: &[u8], key: &[u8], authorities: &[u8]) -> Result<Self, QuicError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| unusable(format!("its key: {e}")))?;
        Self::new(certificates(chain)?, key, certificates(authorities)?)
    }

    /// Reads the same from PEM files. Blocks: for the start of a process.
    ///
    /// # Errors
    /// As [`Identity::new`], and when a file cannot be read; the message names it.
    pub fn load(chain: &Path, key: &Path, authorities: &Path) -> Result<Self, QuicError> {
        let read = |path: &Path| std::fs::read(path).map_err(|e| unusable(format!("{}: {e}", path.display())));
        Self::from_pem(&read(chain)?, &read(key)?, &read(authorities)?)
    }

    /// Encrypts and signs with `provider` instead of aws-lc. For simulations, whose provider draws from a seed.
    pub fn with_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = provider;
        self
    }

    /// The node's name: the first DNS name of its certificate.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A secret of `purpose` that is the same whenever this node starts again with the same key.
    pub(super) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(purpose.as_bytes());
        hash.update([0]);
        hash.update(self.key.secret_der());
        hash.finalize().into()
    }

    pub(super) fn server_crypto(&self, clock: &WallClock) -> Result<Arc<QuicServerConfig>, QuicError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots.clone(), self.provider.clone());
        let verifier = if self.strangers { verifier.allow_unauthenticated() } else { verifier };
        let verifier = verifier.build().map_err(unusable)?;
        let shown = if self.strangers { &self.authorities[..] } else { &[] };
        let mut config = ServerConfig::builder_with_details(self.provider.clone(), time(clock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_client_cert_verifier(verifier)
            .with_single_cert([&self.chain, shown].concat(), self.key.clone_key())
            .map_err(unusable)?;
        config.alpn_protocols = agree::accepted(self.newest);
        // Nodes reconnect rarely; a full handshake each time checks the certificate each time.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        QuicServerConfig::try_from(config).map(Arc::new).map_err(unusable)
    }

    pub(super) fn client_crypto(&self, clock: &WallClock) -> Result<Arc<QuicClientConfig>, QuicError> {
        let mut config = ClientConfig::builder_with_details(self.provider.clone(), time(clock))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(unusable)?
            .with_root_certificates(self.roots.clone())
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .map_err(unusable)?;
        config.alpn_protocols = agree::offered(self.newest);
        config.resumption = Resumption::disabled();
        QuicClientConfig::try_from(config).map(Arc::new).map_err(unusable)
    }
}

impl fmt::Debug for Identity {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.name)
    }
}

/// The first DNS name of a certificate.
pub(super) fn name_of(certificate: &CertificateDer<'_>) -> Option<String> {
    EndEntityCert::try_from(certificate).ok()?.valid_dns_names().next().map(str::to_owned)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, QuicError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(unusable)
}

pub(super) fn unusable(why: impl fmt::Display) -> QuicError {
    QuicError::Identity(why.to_string())
}

pub(super) fn time(clock: &WallClock) -> Arc<dyn TimeProvider> {
    Arc::new(Time(clock.clone()))
}

#[derive(Debug)]
struct Time(WallClock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_millis(self.0.now_ms())))
    }
}
