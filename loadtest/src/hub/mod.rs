//! `loadtest hub`: one hub and nothing else, for measuring the fan-out and for checking the checker.
//!
//! ```text
//! socket ──▶ hyper (upgrade) ──▶ ws::Peer ──▶ protocol::Session ──▶ channel (home::Home) ──▶ fault? ──▶ fanout::Log ──▶ sockets
//! ```
//! All parts are the library's own, on one thread. A token is the name of who shows it; everybody with one moderates, so that
//! a few connections may post much. There is no standby, nothing is stored, and silence is borne for ever.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use freshet_chat_mesh::fanout::{Config, Fanout};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

mod channel;
mod fault;
mod socket;

use channel::Channel;
use fault::Fault;

/// One hub with one channel.
#[derive(clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Name of the channel.
    #[arg(long, default_value = "bench")]
    channel: String,
    /// Speak TLS with this certificate and key.
    #[arg(long, value_delimiter = ',', value_name = "CERT.pem,KEY.pem")]
    tls: Vec<PathBuf>,
    /// Do wrong with one event in so many: drop:100, double:100 or swap:100 (with the one after it).
    #[arg(long, value_name = "KIND:N")]
    fault: Option<Fault>,
}

/// Serves until it is ended from outside. Prints its address as a JSON line once it listens.
///
/// # Errors
/// When the address is taken or the certificate can't be used.
pub fn run(args: Args) -> anyhow::Result<()> {
    crate::limits::raise_descriptors();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let tls = acceptor(&args.tls)?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| args.listen.to_string())?;
    let fanout = Fanout::new(Config { shards: 1, ..Config::default() });
    let channel = Channel::new(&args.channel, &fanout, args.fault)?;
    let hub = Arc::new(socket::Hub { fanout, channel });
    println!("{}", serde_json::json!({ "address": listener.local_addr()? }));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(socket::serve(hub.clone(), stream, tls.clone()));
    }
}

fn acceptor(files: &[PathBuf]) -> anyhow::Result<Option<TlsAcceptor>> {
    let [certificate, key] = files else {
        anyhow::ensure!(files.is_empty(), "--tls takes CERT.pem,KEY.pem");
        return Ok(None);
    };
    let chain = CertificateDer::pem_slice_iter(&fs::read(certificate)?).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
