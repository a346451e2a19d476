//! What a held viewer costs in memory: thousands of real connections in this process, with nothing of the clients left
//! but their sockets.

mod common;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use common::Rig;
use freshet_edge::tls;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::{net::TcpListener, sync::watch, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

const VIEWERS: usize = 5000;

const REQUEST: &[u8] = b"GET /live/ada/v0.m3u8?_HLS_msn=5&_HLS_part=1 HTTP/1.1\r\nhost: edge.example\r\n\
    user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0\r\n\
    accept: */*\r\naccept-encoding: gzip, deflate, br\r\naccept-language: en\r\norigin: http://edge.example\r\n\
    referer: http://edge.example/c/ada\r\nconnection: keep-alive\r\n\r\n";

/// Bytes of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: usize = text.split(' ').nth(1).expect("a field").parse().expect("a number");
    pages * 4096
}

/// Memory per viewer in KiB: of the later half of `VIEWERS` that `open` connects, for the first fill the allocator.
async fn cost(rig: &Rig, open: impl Fn() -> TcpStream + Send + Sync + 'static) -> f64 {
    let open = Arc::new(open);
    let mut sockets = Vec::new();
    let mut at_half = 0;
    for half in 1..=2 {
        let open = Arc::clone(&open);
        let opened = spawn_blocking(move || (0..VIEWERS / 2).map(|_| open()).collect::<Vec<_>>());
        sockets.extend(opened.await.expect("connections"));
        rig.held((half * VIEWERS / 2) as u64).await;
        // Whatever was only needed to get here is given back within the time that engines keep their buffers.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        if half == 1 {
            at_half = resident();
        }
    }
    let each = resident().saturating_sub(at_half) as f64 / (VIEWERS / 2) as f64 / 1024.0;
    drop(sockets);
    each
}

fn roomy() -> Rig {
    rustix::process::setrlimit(rustix::process::Resource::Nofile, {
        let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        limit.current = limit.maximum;
        limit
    })
    .expect("a limit");
    Rig::live()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_plain_viewer_costs_less_than_30_kib() {
    let mut rig = roomy();
    let address = rig.listen().await;
    let _follow = rig.patient(5, 0).await;
    let each = cost(&rig, move || {
        let mut socket = TcpStream::connect(address).expect("a connection");
        socket.write_all(REQUEST).expect("a request");
        socket
    })
    .await;
    println!("{each:.1} KiB per held plain viewer");
    assert!(each < 30.0, "{each:.1} KiB");
}

fn certificate() -> (Arc<rustls::ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    (tls::server_config(vec![certificate.clone()], key).expect("a configuration"), certificate)
}

/// A client that has sent its request over TLS and forgotten its keys.
fn ask_over_tls(address: SocketAddr, config: &Arc<rustls::ClientConfig>) -> TcpStream {
    let name = ServerName::try_from("localhost").expect("a name");
    let client = rustls::ClientConnection::new(Arc::clone(config), name).expect("a client");
    let mut stream = rustls::StreamOwned::new(client, TcpStream::connect(address).expect("a connection"));
    stream.write_all(REQUEST).expect("a request");
    stream.flush().expect("a flush");
    stream.sock
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_tls_viewer_costs_less_than_40_kib() {
    let mut rig = roomy();
    let (server, certificate) = certificate();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_tls, receiver) = watch::channel(server);
    let edge = rig.edge.clone();
    tokio::spawn(async move { edge.serve_https(listener, receiver, CancellationToken::new()).await });
    let _follow = rig.patient(5, 0).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let each = cost(&rig, move || ask_over_tls(address, &config)).await;
    println!("{each:.1} KiB per held TLS viewer");
    assert!(each < 40.0, "{each:.1} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_plain_viewer_costs_less_than_24_kib() {
    let rig = roomy();
    let address = rig.listen().await;
    let ask = move || {
        let mut socket = TcpStream::connect(address).expect("a connection");
        socket.write_all(b"GET /api/time HTTP/1.1\r\nhost: x\r\n\r\n").expect("a request");
        let mut reply = [0; 512];
        assert!(socket.read(&mut reply).expect("a reply") > 0);
        socket
    };
    let mut sockets = Vec::new();
    let mut at_half = 0;
    for half in 1..=2 {
        let opened = spawn_blocking(move || (0..VIEWERS / 2).map(|_| ask()).collect::<Vec<_>>());
        sockets.extend(opened.await.expect("connections"));
        // Twice the time that an idle connection keeps its buffers, and some more.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        if half == 1 {
            at_half = resident();
        }
    }
    let each = resident().saturating_sub(at_half) as f64 / (VIEWERS / 2) as f64 / 1024.0;
    println!("{each:.1} KiB per idle plain viewer");
    assert!(each < 24.0, "{each:.1} KiB");
}
