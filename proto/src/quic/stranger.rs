//! The TLS of someone who has no certificate yet and wants to join: it shows none, and believes the one authority whose
//! certificate's SHA-256 its join token names.
//!
//! Control nodes send their authority's certificate along ([`super::Identity::admitting_strangers`]); any other chain is
//! refused, as is a node whose certificate is not for the name that the token tells.

use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::{
    QuicError, agree,
    identity::{time, unusable},
};
use crate::{clock::WallClock, level::Level};

pub(super) fn client_crypto(authority: [u8; 32], clock: &WallClock) -> Result<Arc<QuicClientConfig>, QuicError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(Pinned { authority, provider: provider.clone() });
    let mut config = ClientConfig::builder_with_details(provider, time(clock))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = agree::offered(Level::NEWEST);
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map(Arc::new).map_err(unusable)
}

/// Verifies as usual, against the authority that the peer itself shows, if that is the one we were told of.
#[derive(Debug)]
struct Pinned {
    authority: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn verifier(&self, shown: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, Error> {
        let is_told = |der: &&CertificateDer<'_>| Sha256::digest(der)[..] == self.authority[..];
        let authority = shown.iter().find(is_told).ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier(intermediates)?.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use bytes::Bytes;

    use super::*;
    use crate::{
        message::{Join, Request},
        quic::{
            Doors, Endpoint, Handler, Pool, Responder, StreamCode, Tuning, serve,
            tests::{Authority, authority, endpoint, identity},
        },
        random::Random,
    };

    /// Answers with the asker's name, the verb and how long the body was.
    struct Control;

    impl Handler for Control {
        const STRANGERS: bool = true;

        async fn handle(&self, request: Request, mut reply: Responder) -> Result<(), QuicError> {
            let (name, length) = (reply.peer().name.clone(), reply.take_body().len());
            reply.answer(&format!("{name} {} {length}", request.verb())).await
        }
    }

    fn control(authority: &Authority) -> (Endpoint, SocketAddr) {
        let control = endpoint(&identity(authority, "control").admitting_strangers(), Tuning::default());
        let addr = control.local_addr().unwrap();
        let served = control.clone();
        tokio::spawn(async move { serve(&served, Arc::new(Control), std::future::pending()).await });
        (control, addr)
    }

    fn stranger(trusted: &Authority) -> (Pool, Endpoint) {
        let doors = Doors { clock: WallClock::system(), random: Random::system() };
        let authority: [u8; 32] = Sha256::digest(trusted.der()).into();
        let any = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint::bind_stranger(any, authority, doors, Tuning::default()).unwrap();
        (Pool::new(&endpoint), endpoint)
    }

    const LIMIT: Duration = Duration::from_secs(10);

    fn join() -> Request {
        Request::Join(Join { token: "t".into(), name: "edge-1".into(), request: vec![1] })
    }

    #[tokio::test]
    async fn a_stranger_may_join_and_ask_nothing_else() {
        let authority = authority();
        let (_control, addr) = control(&authority);
        let (pool, _endpoint) = stranger(&authority);
        assert_eq!(pool.call::<String>(addr, "control", &join(), LIMIT).await.unwrap(), " join 0");
        let refused = pool.call::<String>(addr, "control", &Request::Watch { after: None }, LIMIT).await;
        assert!(matches!(refused, Err(QuicError::Reset(StreamCode::BadRequest))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_stranger_believes_only_the_authority_and_the_name_it_was_told() {
        let (ours, theirs) = (authority(), authority());
        let (_control, addr) = control(&theirs);
        let (pool, _endpoint) = stranger(&ours);
        assert!(pool.call::<String>(addr, "control", &join(), LIMIT).await.is_err(), "another authority");
        let (pool, _endpoint) = stranger(&theirs);
        assert!(pool.call::<String>(addr, "edge-7", &join(), LIMIT).await.is_err(), "another node's name");
    }

    #[tokio::test]
    async fn a_node_that_takes_no_strangers_refuses_them_whatever_they_ask() {
        let authority = authority();
        let edge = endpoint(&identity(&authority, "edge"), Tuning::default());
        let addr = edge.local_addr().unwrap();
        tokio::spawn(async move { serve(&edge, Arc::new(Control), std::future::pending()).await });
        let (pool, _endpoint) = stranger(&authority);
        assert!(pool.call::<String>(addr, "edge", &join(), LIMIT).await.is_err());
    }

    #[tokio::test]
    async fn a_request_carries_the_body_that_it_announces_and_no_other() {
        let authority = authority();
        let (_control, addr) = control(&authority);
        let node = endpoint(&identity(&authority, "control-2"), Tuning::default());
        let pool = Pool::new(&node);
        for (announced, sent, heard) in
            [(300_000, 300_000, Some("control-2 consensus 300000")), (3, 2, None), (3, 4, None)]
        {
            let request = Request::Consensus { length: announced };
            let mut reader = pool.request_with(addr, "control", &request, Bytes::from(vec![7; sent])).await.unwrap();
            let answer = reader.read_frame::<String>(100).await.ok();
            assert_eq!(answer.as_deref(), heard, "{announced} announced, {sent} sent");
        }
        let too_long = Request::Consensus { length: Request::MAX_BODY + 1 };
        let mut reader = pool.request(addr, "control", &too_long).await.unwrap();
        assert!(matches!(reader.read_frame::<String>(100).await, Err(QuicError::Reset(StreamCode::BadRequest))));
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_shown_to_whoever_connects_next() {
        let authority = authority();
        let (control, addr) = control(&authority);
        let node = endpoint(&identity(&authority, "edge-1"), Tuning::default());
        let first = Pool::new(&node).call::<String>(addr, "control", &join(), LIMIT).await.unwrap();
        node.renew(&identity(&authority, "edge-2")).unwrap();
        let second = Pool::new(&node).call::<String>(addr, "control", &join(), LIMIT).await.unwrap();
        assert_eq!((&*first, &*second), ("edge-1 join 0", "edge-2 join 0"));
        control.renew(&identity(&authority, "control-2").admitting_strangers()).unwrap();
        let asked = Pool::new(&node).call::<String>(addr, "control-2", &join(), LIMIT).await;
        assert_eq!(asked.unwrap(), "edge-2 join 0", "the answering side shows its new certificate too");
    }
}
