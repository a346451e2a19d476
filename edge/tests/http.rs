//! The HTTP face: names, methods, ranges, HTTP/2 over TLS, and clients that mean harm.

mod common;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use common::{BOUND, Object, Rig, Viewer, part_bytes, playlist_body, view};
use freshet_edge::{
    Config, Site,
    stats::{Cut, Kind, Line},
    tls,
};
use freshet_proto::view::ChannelState;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

const PART: &str = "/live/ada/1/v0/5.0.m4s";

fn with_part() -> Rig {
    let rig = Rig::live();
    rig.origin.has("ada/1/v0/5.0.m4s", Object::new("0123456789"));
    rig
}

#[tokio::test(start_paused = true)]
async fn an_object_says_that_it_never_changes() {
    let rig = with_part();
    let reply = rig.viewer().get(PART).await;
    for (name, value) in [
        ("content-type", "video/mp4"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("etag", "\"1-v0-5.0\""),
        ("priority", "u=3"),
        ("age", "0"),
        ("access-control-allow-origin", "*"),
        ("content-length", "10"),
    ] {
        assert_eq!(reply.field(name), value, "{name}");
    }
    assert!(reply.field("access-control-expose-headers").contains("age, "));
}

#[tokio::test]
async fn ranges_etags_and_heads_are_served_of_objects() {
    let rig = with_part();
    let mut viewer = rig.viewer();
    for (fields, status, body, range) in [
        ("range: bytes=2-4\r\n", 206, "234", "bytes 2-4/10"),
        ("range: bytes=7-\r\n", 206, "789", "bytes 7-9/10"),
        ("range: bytes=0-9007199254740991\r\n", 206, "0123456789", "bytes 0-9/10"),
        ("range: bytes=-2\r\n", 206, "89", "bytes 8-9/10"),
        ("range: bytes=10-\r\n", 416, "", "bytes */10"),
        ("range: bytes=0-1,4-5\r\n", 200, "0123456789", ""),
        ("range: bytes=2-4\r\nif-range: \"1-v0-5.0\"\r\n", 206, "234", "bytes 2-4/10"),
        ("range: bytes=2-4\r\nif-range: \"other\"\r\n", 200, "0123456789", ""),
        ("if-none-match: \"1-v0-5.0\"\r\n", 304, "", ""),
        ("if-none-match: \"other\"\r\n", 200, "0123456789", ""),
    ] {
        let reply = viewer.get_with(PART, fields).await;
        assert_eq!(
            (reply.status, reply.text().as_str(), reply.field("content-range")),
            (status, body, range),
            "{fields}"
        );
    }
    let head = viewer.head(PART).await;
    assert_eq!((head.status, head.field("content-length")), (200, "10"));
    assert_eq!(viewer.get(PART).await.text(), "0123456789");
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let rig = with_part();
    let mut viewer = rig.viewer();
    for path in [PART, "/api/time"] {
        viewer.send(&format!("OPTIONS {path} HTTP/1.1\r\nhost: x\r\norigin: http://page\r\n\r\n")).await;
        let options = viewer.reply().await;
        assert_eq!((options.status, options.field("access-control-max-age")), (204, "86400"));
        viewer.send(&format!("DELETE {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let refused = viewer.reply().await;
        assert_eq!((refused.status, refused.field("allow")), (405, "GET, HEAD, OPTIONS"));
    }
}

#[tokio::test]
async fn no_other_spelling_of_a_path_is_anything() {
    let rig = with_part();
    let mut viewer = rig.viewer();
    for path in [
        "/live/../live/ada/1/v0/5.0.m4s",
        "/live/ada/../ada/1/v0/5.0.m4s",
        "/live/%61da/1/v0/5.0.m4s",
        "/live/ada/%2e%2e/ada/1/v0/5.0.m4s",
        "/live/ada/1/v0/5.0.m4s%00",
        "/live/ada/1/v0/5.0.m4s/",
        "/live//ada/1/v0/5.0.m4s",
        "//live/ada/1/v0/5.0.m4s",
        "/LIVE/ada/1/v0/5.0.m4s",
        "/live/ada/01/v0/5.0.m4s",
        "/live/ada/1/v0/+5.0.m4s",
        "/live/ada/1/v0/99999999999999999999.0.m4s",
        "/live/ada/1/v16/5.0.m4s",
        "/live/",
        "/live",
        "/etc/passwd",
        &format!("/live/{}", "a".repeat(1900)),
    ] {
        assert_eq!(viewer.get(path).await.status, 404, "{path}");
    }
    assert_eq!(viewer.get(&format!("/live/{}", "a".repeat(2100))).await.status, 414);
    assert_eq!(viewer.get(&format!("{PART}?{}", "a".repeat(2100))).await.status, 414);
    assert_eq!(viewer.get(&format!("{PART}?_HLS_msn=x&anything=%00")).await.status, 200, "objects take no directives");
    assert_eq!(rig.origin.fetched().len(), 1);
}

#[tokio::test]
async fn the_time_is_told_in_milliseconds() {
    let rig = Rig::live();
    let reply = rig.viewer().get("/api/time").await;
    assert_eq!((reply.field("content-type"), reply.field("cache-control")), ("application/json", "no-store"));
    let told = reply.text();
    let ms: u64 = told
        .strip_prefix("{\"unix_ms\":")
        .and_then(|rest| rest.strip_suffix('}'))
        .expect("json")
        .parse()
        .expect("a number");
    assert!((1_795_000_000_000..1_795_000_060_000).contains(&ms));
}

struct Page;

impl Site for Page {
    fn answer(&self, request: &http::request::Parts) -> http::Response<Bytes> {
        http::Response::new(Bytes::from(format!("page {}", request.uri.path())))
    }
}

#[tokio::test]
async fn everything_else_is_the_sites() {
    let mut rig = Rig::live();
    assert_eq!(rig.viewer().get("/c/ada").await.status, 404, "there is none yet");
    rig.edge = rig.edge.clone().with_site(Arc::new(Page));
    let mut viewer = rig.viewer();
    assert_eq!(viewer.get("/c/ada").await.text(), "page /c/ada");
    let head = viewer.head("/").await;
    assert_eq!((head.status, head.field("content-length")), (200, "6"));
    assert_eq!(viewer.get("/live/x").await.status, 404, "the edge's own paths stay its own");
    assert_eq!(rig.edge.stats().requests(Kind::Site, http::StatusCode::OK), 2);
}

#[tokio::test]
async fn an_idle_connection_gives_its_engine_back_and_goes_on() {
    let mut config = Config::default();
    config.http.buffers_ms = 50;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    rig.origin.has("ada/1/v0/5.0.m4s", Object::new("0123456789"));
    let mut viewer = rig.viewer();
    for _ in 0..3 {
        assert_eq!(viewer.get(PART).await.text(), "0123456789");
        tokio::time::sleep(Duration::from_millis(150)).await;
        viewer.send("GET /api/ti").await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        viewer.send("me HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(viewer.reply().await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn slow_heads_are_cut_off_and_do_not_stop_a_viewer() {
    let rig = with_part();
    let mut slow = Vec::new();
    for _ in 0..500 {
        let mut viewer = rig.viewer();
        viewer.send("GET / HTTP/1.1\r\nx: ").await;
        slow.push(viewer);
    }
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for viewer in &mut slow {
            let _ = viewer.io.write_all(b"x").await;
        }
        assert_eq!(rig.viewer().get(PART).await.status, 200);
    }
    rig.until(|edge| edge.stats().drops(Cut::Head) == 500).await;
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_cut_off_and_who_is_done_may_idle_longer() {
    let rig = with_part();
    let mut silent = rig.viewer();
    let mut idle = rig.viewer();
    assert_eq!(idle.get(PART).await.status, 200);
    let began = tokio::time::Instant::now();
    assert_eq!(silent.try_reply().await, None);
    assert_eq!(began.elapsed().as_secs(), 5);
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(idle.get(PART).await.status, 200);
    let began = tokio::time::Instant::now();
    let mut bytes = [0; 1];
    assert_eq!(idle.io.read(&mut bytes).await.expect("an end"), 0);
    assert!((75..=77).contains(&began.elapsed().as_secs()));
    assert_eq!(rig.edge.stats().drops(Cut::Open), 1);
}

#[tokio::test]
async fn a_head_that_is_too_long_or_no_http_ends_its_own_connection_only() {
    let rig = with_part();
    let mut viewer = rig.viewer();
    viewer.send(&format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(9000))).await;
    assert_eq!(viewer.reply().await.status, 431);
    let mut viewer = rig.viewer();
    let fields: String = (0..70).map(|n| format!("x-{n}: y\r\n")).collect();
    viewer.send(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).await;
    assert_eq!(viewer.reply().await.status, 431);
    let mut viewer = rig.viewer();
    viewer.send("\0\0\0\x04RTMP? no.\r\n\r\n").await;
    assert!(viewer.try_reply().await.is_none_or(|reply| reply.status == 400));
    assert_eq!(rig.viewer().get(PART).await.status, 200);
}

#[tokio::test]
async fn beyond_the_budget_of_an_address_connections_are_closed_and_others_are_not() {
    let mut config = Config::default();
    config.http.connections_per_address = 2;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    let from = |ip: [u8; 4]| SocketAddr::from((ip, 1));
    let mut guests = [rig.viewer_from(from([10, 1, 1, 1]), 4096), rig.viewer_from(from([10, 1, 1, 1]), 4096)];
    for guest in &mut guests {
        assert_eq!(guest.get("/api/time").await.status, 200);
    }
    let mut third = rig.viewer_from(from([10, 1, 1, 1]), 4096);
    let mut bytes = [0; 1];
    assert_eq!(third.io.read(&mut bytes).await.expect("an end"), 0);
    assert_eq!(rig.viewer_from(from([10, 1, 1, 2]), 4096).get("/api/time").await.status, 200);
    assert_eq!(rig.edge.stats().drops(Cut::Address), 1);
}

/// A self-signed certificate for `localhost`, and a client that trusts it.
fn certificate() -> (Arc<rustls::ServerConfig>, rustls::pki_types::CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    (tls::server_config(vec![certificate.clone()], key).expect("a configuration"), certificate)
}

async fn connect(
    address: SocketAddr,
    trusted: &rustls::pki_types::CertificateDer<'static>,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await?).await
}

async fn listen_tls(rig: &Rig, tls: watch::Receiver<Arc<rustls::ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let edge = rig.edge.clone();
    tokio::spawn(async move { edge.serve_https(listener, tls, CancellationToken::new()).await });
    address
}

type Sender = hyper::client::conn::http2::SendRequest<Empty<Bytes>>;

async fn http2(stream: TlsStream<TcpStream>) -> Sender {
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("http2");
    tokio::spawn(connection);
    sender
}

async fn fetch(sender: &mut Sender, path: &str) -> (u16, http::HeaderMap, Bytes) {
    let request = http::Request::get(format!("https://localhost{path}")).body(Empty::new()).expect("a request");
    let response = timeout(BOUND, sender.send_request(request)).await.expect("in time").expect("a response");
    let (parts, body) = response.into_parts();
    (parts.status.as_u16(), parts.headers, body.collect().await.expect("a body").to_bytes())
}

#[tokio::test]
async fn at_28_http_2_over_tls_serves_and_holds_many_streams_at_once() {
    let mut rig = with_part();
    let (config, certificate) = certificate();
    let (_tls, receiver) = watch::channel(config);
    let address = listen_tls(&rig, receiver).await;
    let stream = connect(address, &certificate, &[b"h2"]).await.expect("tls");
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let mut sender = http2(stream).await;
    let (status, headers, body) = fetch(&mut sender, PART).await;
    assert_eq!((status, &body[..], headers["content-length"].as_bytes()), (200, &b"0123456789"[..], &b"10"[..]));
    let follow = rig.patient(5, 0).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut sender = sender.clone();
        held.push(tokio::spawn(async move { fetch(&mut sender, "/live/ada/v0.m3u8?_HLS_msn=5&_HLS_part=1").await }));
    }
    rig.held(3).await;
    assert_eq!(fetch(&mut sender, PART).await.0, 200, "others go on meanwhile");
    follow.publish(1, 5, 1);
    for reply in held {
        let (status, headers, body) = reply.await.expect("a reply");
        assert_eq!((status, headers["priority"].as_bytes()), (200, &b"u=1"[..]));
        assert!(body.starts_with(playlist_body(1, 5, 1).as_bytes()));
    }
    let head = http::Request::head(format!("https://localhost{PART}")).body(Empty::new()).expect("a request");
    let head = sender.send_request(head).await.expect("a response");
    assert_eq!(head.headers()["content-length"], part_bytes(1, 5, 0).len().to_string().as_str());
    assert_eq!(rig.edge.stats().lines(Line::Https2), 1);
}

#[tokio::test]
async fn at_34_a_reset_stream_ends_its_wait_and_l33_a_connection_holds_only_so_many() {
    let mut config = Config::default();
    config.reload.held_per_connection = 4;
    let mut rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    let (server, certificate) = certificate();
    let (_tls, receiver) = watch::channel(server);
    let address = listen_tls(&rig, receiver).await;
    let _follow = rig.patient(5, 0).await;
    let mut sender = http2(connect(address, &certificate, &[b"h2"]).await.expect("tls")).await;
    let blocked = "/live/ada/v0.m3u8?_HLS_msn=5&_HLS_part=1";
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut sender = sender.clone();
        held.push(tokio::spawn(async move { fetch(&mut sender, blocked).await }));
    }
    rig.held(4).await;
    assert_eq!(fetch(&mut sender, blocked).await.0, 503);
    for request in held {
        request.abort();
    }
    rig.held(0).await;
    assert_eq!(fetch(&mut sender, "/api/time").await.0, 200, "the connection lives on");
}

#[tokio::test]
async fn http_1_over_tls_is_held_and_released_as_over_tcp() {
    let mut rig = Rig::live();
    let (config, certificate) = certificate();
    let (_tls, receiver) = watch::channel(config);
    let address = listen_tls(&rig, receiver).await;
    let follow = rig.patient(5, 0).await;
    let mut viewer = Viewer::over(connect(address, &certificate, &[b"http/1.1"]).await.expect("tls"));
    viewer.ask("/live/ada/v0.m3u8?_HLS_msn=5&_HLS_part=1", "").await;
    rig.held(1).await;
    follow.publish(1, 5, 1);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(1, 5, 1)));
    assert_eq!(viewer.get("/api/time").await.status, 200);
    assert_eq!(rig.edge.stats().lines(Line::Https1), 1);
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on() {
    let rig = with_part();
    let ((first, first_certificate), (second, second_certificate)) = (certificate(), certificate());
    let (tls, receiver) = watch::channel(first);
    let address = listen_tls(&rig, receiver).await;
    let mut before = Viewer::over(connect(address, &first_certificate, &[]).await.expect("tls"));
    assert_eq!(before.get(PART).await.status, 200);
    tls.send_replace(second);
    assert!(connect(address, &first_certificate, &[]).await.is_err());
    let mut after = Viewer::over(connect(address, &second_certificate, &[]).await.expect("tls"));
    assert_eq!((before.get(PART).await.status, after.get(PART).await.status), (200, 200));
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_given_up_and_one_that_fails_is_counted() {
    let mut config = Config::default();
    // Long enough that one who says something at once is heard, on a busy machine too.
    config.http.open_timeout_ms = 1000;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    let (server, _) = certificate();
    let (_tls, receiver) = watch::channel(server);
    let address = listen_tls(&rig, receiver).await;
    let mut silent = TcpStream::connect(address).await.expect("a connection");
    let mut wrong = TcpStream::connect(address).await.expect("a connection");
    wrong.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("a write");
    rig.until(|edge| edge.stats().drops(Cut::Open) == 1 && edge.stats().drops(Cut::Tls) == 1).await;
    let mut bytes = [0; 1];
    assert!(matches!(timeout(BOUND, silent.read(&mut bytes)).await.expect("in time"), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_flood_of_resets_ends_its_connection_and_not_the_edge() {
    let mut rig = with_part();
    let (config, certificate) = certificate();
    let (_tls, receiver) = watch::channel(config);
    let address = listen_tls(&rig, receiver).await;
    let _follow = rig.patient(5, 0).await;
    let mut flood = connect(address, &certificate, &[b"h2"]).await.expect("tls");
    flood.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.expect("a preface");
    let mut frames = Vec::new();
    for n in 0..5000_u32 {
        let stream = (2 * n + 1).to_be_bytes();
        // :method GET, :scheme https, :path /, :authority x
        let block = [0x82, 0x87, 0x84, 0x41, 0x01, b'x'];
        frames.extend_from_slice(&[0, 0, block.len() as u8, 1, 5]);
        frames.extend_from_slice(&stream);
        frames.extend_from_slice(&block);
        frames.extend_from_slice(&[0, 0, 4, 3, 0]);
        frames.extend_from_slice(&stream);
        frames.extend_from_slice(&[0, 0, 0, 8]);
    }
    // The edge may close before it has read all of it.
    let _ = flood.write_all(&frames).await;
    let mut sink = Vec::new();
    let _ = timeout(BOUND, flood.read_to_end(&mut sink)).await.expect("the connection ends");
    let goaway = sink.windows(2).any(|frame| frame == [7, 0]);
    assert!(goaway || sink.is_empty(), "told to go away, or cut");
    rig.until(|edge| edge.stats().lines(Line::Https2) == 0).await;
    assert_eq!(rig.viewer().get(PART).await.status, 200);
}

#[tokio::test]
async fn an_http_2_viewer_whose_window_stays_shut_is_cut_off() {
    let rig = Rig::live();
    rig.origin.has("ada/1/v0/5.m4s", Object::new("0123456789".repeat(800_000)));
    let (config, certificate) = certificate();
    let (_tls, receiver) = watch::channel(config);
    let address = listen_tls(&rig, receiver).await;
    let mut sender = http2(connect(address, &certificate, &[b"h2"]).await.expect("tls")).await;
    let request = http::Request::get("https://localhost/live/ada/1/v0/5.m4s").body(Empty::new()).expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    // Larger than the client's window. What is not read is not acknowledged, so the stream's window stays shut.
    rig.until(|edge| edge.stats().drops(Cut::Slow) == 1).await;
    assert!(response.into_body().collect().await.is_err());
}
