//! `loadtest stub`: an origin of made-up objects, the same over the node protocol (for a Freshet edge) and over HTTP
//! (for nginx, pingora, …), so that caches are measured with the same upstream.
//!
//! ```text
//! /live/bench/1/v0/{length}.m4s           a segment of `length` bytes
//! /live/bench/1/v0/{length}.{n}.m4s       as many different ones as there are numbers
//! /live/bench/v0.m3u8                     a playlist of 2 KB
//! /live/bench/v0.m3u8?_HLS_msn&_HLS_part  the same once that part has been released
//! POST /release                           releases the next part
//! GET  /newest                            number of the newest part
//! GET  /transfers                         {"total": …, "most": …, "name": …}: answers given, and the most for one name
//! ```

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use freshet_proto::{
    clock::WallClock,
    quic::{self, Doors, Endpoint, Identity, Tuning},
    random::Random,
};
use tokio::net::TcpListener;

mod content;
mod http;
mod node;

use content::Content;

/// Which addresses to serve at.
#[derive(clap::Args)]
pub struct Args {
    /// Where to speak HTTP.
    #[arg(long, default_value = "127.0.0.1:0")]
    http: SocketAddr,
    /// Where to speak the node protocol; needs --identity.
    #[arg(long, requires = "identity")]
    quic: Option<SocketAddr>,
    /// Certificate, key and authority of the stub: CERT.pem,KEY.pem,CA.pem
    #[arg(long, value_delimiter = ',', value_name = "CERT.pem,KEY.pem,CA.pem")]
    identity: Vec<PathBuf>,
}

/// Serves until it is ended from outside. Prints the addresses as one JSON line once it listens.
///
/// # Errors
/// When an address is taken or the certificate can't be used.
pub fn run(args: Args) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let content = Arc::new(Content::new(WallClock::system()));
    let listener = TcpListener::bind(args.http).await.with_context(|| args.http.to_string())?;
    let mut quic_addr = None;
    anyhow::ensure!(matches!(args.identity.len(), 0 | 3), "--identity takes CERT.pem,KEY.pem,CA.pem");
    if let (Some(address), [cert, key, authority]) = (args.quic, args.identity.as_slice()) {
        let identity = Identity::load(cert, key, authority)?;
        let doors = Doors { clock: WallClock::system(), random: Random::system() };
        let endpoint = Endpoint::bind(address, &identity, doors, Tuning::default())?;
        quic_addr = Some(endpoint.local_addr()?);
        let view = node::view(endpoint.local_addr()?, identity.name());
        let handler = Arc::new(node::Stub { content: content.clone(), view });
        tokio::spawn(async move { quic::serve(&endpoint, handler, std::future::pending()).await });
    }
    println!("{}", serde_json::json!({ "http": listener.local_addr()?, "quic": quic_addr }));
    http::serve(listener, content).await
}
