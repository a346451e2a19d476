//! An HTTP client that tells when what came: HTTP/1.1 from a pool of connections, HTTP/2 on one where TLS offers it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::BufReader,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use freshet_media::lint::{Protocol, Request, Response};
use http::{Uri, Version};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

/// The largest body that is read: a 10 s segment at 40 Mbit/s.
const MAX_BODY: usize = 64 << 20;
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a reply may take in all; servers hold requests for up to three target durations.
const REPLY: Duration = Duration::from_secs(60);
/// Idle connections that are kept for each server.
const MAX_IDLE: usize = 64;
/// Where systems keep the certificates that they trust.
const TRUSTED: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Asks any number of servers.
pub struct Client {
    tls: TlsConnector,
    servers: Mutex<BTreeMap<String, Server>>,
}

/// What is open to a server.
#[derive(Default)]
struct Server {
    idle: Vec<http1::SendRequest<Empty<Bytes>>>,
    shared: Option<http2::SendRequest<Empty<Bytes>>>,
}

enum Connection {
    Own(http1::SendRequest<Empty<Bytes>>),
    Shared(http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    /// A client with the system's trusted certificates, or one that trusts any.
    ///
    /// # Errors
    /// Where the certificates can't be read.
    pub fn new(insecure: bool) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .context("TLS versions")?;
        let mut config = if insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
                .with_no_client_auth()
        } else {
            builder.with_root_certificates(trusted()?).with_no_client_auth()
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), servers: Mutex::default() })
    }

    /// One request and its whole reply; times are since `start`.
    ///
    /// # Errors
    /// Where there is no whole reply within a minute.
    pub async fn fetch(&self, request: &Request, start: Instant) -> anyhow::Result<Response> {
        let uri: Uri = request.url.parse().context("not a URL")?;
        let authority = uri.authority().context("a URL without host")?.to_string();
        let server = format!("{}://{authority}", uri.scheme_str().unwrap_or_default());
        timeout(REPLY, self.exchange(request, &uri, &server, start)).await.context("no whole reply within a minute")?
    }

    async fn exchange(&self, request: &Request, uri: &Uri, server: &str, start: Instant) -> anyhow::Result<Response> {
        let connection = match self.reuse(server) {
            Some(connection) => connection,
            None => timeout(CONNECT, self.connect(uri, server)).await.context("no connection within 10 s")??,
        };
        let asked_at = start.elapsed();
        let (reply, again) = match connection {
            Connection::Own(mut own) => {
                let reply = own.send_request(message(request, uri, false)?).await?;
                (reply, Some(own))
            }
            Connection::Shared(mut shared) => (shared.send_request(message(request, uri, true)?).await?, None),
        };
        let head_at = start.elapsed();
        let (head, body) = reply.into_parts();
        let body = read(body).await?;
        if let Some(own) = again {
            self.give_back(server, own);
        }
        let protocol = match head.version {
            Version::HTTP_2 => Protocol::Http2,
            Version::HTTP_3 => Protocol::Http3,
            _ => Protocol::Http1,
        };
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let status = head.status.as_u16();
        Ok(Response { status, protocol, headers, body, asked_at, head_at, done_at: start.elapsed() })
    }

    fn reuse(&self, server: &str) -> Option<Connection> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let server = servers.get_mut(server)?;
        if let Some(shared) = server.shared.as_ref().filter(|shared| !shared.is_closed()) {
            return Some(Connection::Shared(shared.clone()));
        }
        while let Some(own) = server.idle.pop() {
            if own.is_ready() {
                return Some(Connection::Own(own));
            }
        }
        None
    }

    fn give_back(&self, server: &str, own: http1::SendRequest<Empty<Bytes>>) {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = &mut servers.entry(server.to_owned()).or_default().idle;
        if idle.len() < MAX_IDLE && !own.is_closed() {
            idle.push(own);
        }
    }

    async fn connect(&self, uri: &Uri, server: &str) -> anyhow::Result<Connection> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().context("a URL without host")?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tcp = TcpStream::connect((host.as_str(), port)).await.with_context(|| format!("{host} port {port}"))?;
        tcp.set_nodelay(true)?;
        if !secure {
            return own(TokioIo::new(tcp)).await;
        }
        let tls = self
            .tls
            .connect(ServerName::try_from(host)?, tcp)
            .await
            .context("TLS (--insecure accepts any certificate)")?;
        if tls.get_ref().1.alpn_protocol() != Some(b"h2") {
            return own(TokioIo::new(tls)).await;
        }
        let (shared, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.entry(server.to_owned()).or_default().shared = Some(shared.clone());
        Ok(Connection::Shared(shared))
    }
}

async fn own(io: impl hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static) -> anyhow::Result<Connection> {
    let (own, connection) = http1::handshake(io).await?;
    tokio::spawn(connection);
    Ok(Connection::Own(own))
}

fn message(request: &Request, uri: &Uri, absolute: bool) -> anyhow::Result<http::Request<Empty<Bytes>>> {
    let method = if request.is_options { http::Method::OPTIONS } else { http::Method::GET };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let target = if absolute { uri.to_string() } else { path.to_owned() };
    let mut builder = http::Request::builder().method(method).uri(target);
    if !absolute {
        builder = builder.header("host", uri.authority().context("a URL without host")?.as_str());
    }
    if request.headers.iter().all(|(name, _)| *name != "accept-encoding") {
        builder = builder.header("accept-encoding", "gzip");
    }
    builder = builder.header("user-agent", concat!("freshet-lint/", env!("CARGO_PKG_VERSION")));
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    Ok(builder.body(Empty::new())?)
}

async fn read(mut body: Incoming) -> anyhow::Result<Bytes> {
    let mut out = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if out.len() + data.len() > MAX_BODY {
            bail!("a body longer than {MAX_BODY} bytes");
        }
        out.extend_from_slice(&data);
    }
    Ok(out.freeze())
}

fn trusted() -> anyhow::Result<rustls::RootCertStore> {
    let mut store = rustls::RootCertStore::empty();
    let named = std::env::var("SSL_CERT_FILE").ok();
    let Some(file) =
        named.iter().map(String::as_str).chain(TRUSTED.iter().copied()).find_map(|path| File::open(path).ok())
    else {
        return Ok(store);
    };
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file)) {
        // Bundles have certificates that rustls can't read; the others are still good.
        let _ = store.add(certificate.context("the file of trusted certificates")?);
    }
    Ok(store)
}

/// Takes any certificate; signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
