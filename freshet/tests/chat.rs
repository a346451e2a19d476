//! Chat through a real edge, in one process with the control node that keeps its accounts.

mod support;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Empty;
use hyper::{client::conn::http2, ext::Protocol, upgrade::Upgraded};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};
use support::{Freshet, PATIENCE, chatter, get, until, viewer::Viewer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, protocol::Role},
};

const FREE_PORTS: &str =
    "--http-port 0 --https-port 0 --rtmp-port 0 --rtmps-port 0 --quic-port 0 --admin-port 0 --log-format json";

/// `freshet dev`.
struct House {
    freshet: Freshet,
    told: Value,
}

/// Somebody's access token.
type Token = String;

impl House {
    async fn open(data: &Path, more: &[&str]) -> Self {
        let data_arg = support::arg(data);
        let arguments: Vec<&str> =
            ["dev", "--data", &data_arg].into_iter().chain(FREE_PORTS.split(' ')).chain(more.iter().copied()).collect();
        let mut freshet = Freshet::start(&arguments);
        // First, for it tells the log of a process that does not come so far.
        freshet.logged(&["following the registry"]).await;
        let file = data.join("dev.json");
        let told = until("dev.json", async || {
            let told: Value = serde_json::from_str(&std::fs::read_to_string(&file).ok()?).expect("JSON");
            (told["pid"] == freshet.id()).then_some(told)
        })
        .await;
        Self { freshet, told }
    }

    fn host(&self) -> String {
        let url = self.told["http_url"].as_str().expect("an address");
        url.trim_start_matches("http://").trim_end_matches('/').to_owned()
    }

    /// Asks the API; the status, the head and the JSON.
    async fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> (u16, String, Value) {
        chatter::ask(&self.host(), method, path, token, body).await.expect("the edge answers")
    }

    /// Registers somebody, who has a channel from then on.
    async fn register(&self, login: &str) -> Token {
        chatter::register(&self.host(), login).await
    }

    /// The sum of all series of a metric.
    async fn metric(&self, name: &str) -> u64 {
        let url = format!("{}/metrics", self.told["admin_url"].as_str().expect("an address"));
        let text = get(&url).await.expect("metrics").text();
        let of_metric = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let values = text.lines().filter(of_metric).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>() as u64
    }

    /// A connection over TLS that speaks this version of HTTP.
    async fn tls(&self, data: &Path, version: &[u8]) -> TlsStream<TcpStream> {
        let pem = std::fs::read(data.join("ca").join("ca.pem")).expect("the authority's certificate");
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            roots.add(certificate.expect("a certificate")).expect("a root");
        }
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![version.to_vec()];
        let url = self.told["https_url"].as_str().expect("an address");
        let socket = TcpStream::connect(url.trim_start_matches("https://").trim_end_matches('/')).await.expect("open");
        let name = "localhost".try_into().expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.expect("a handshake")
    }

    /// A stream of HTTP/2 that is a WebSocket.
    async fn connect(&self, data: &Path) -> TokioIo<Upgraded> {
        let socket = TokioIo::new(self.tls(data, b"h2").await);
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), socket).await.expect("a connection of HTTP/2");
        tokio::spawn(connection);
        // The server's settings have come with this answer: it says in them that it takes extended CONNECTs.
        let health = Request::get("https://localhost/health").body(Empty::<Bytes>::new()).expect("a request");
        assert_eq!(sender.send_request(health).await.expect("an answer").status(), 200);
        let request = Request::connect("https://localhost/chat/bob")
            .header("sec-websocket-version", "13")
            .extension(Protocol::from_static("websocket"));
        let response = sender.send_request(request.body(Empty::new()).expect("a request")).await.expect("an answer");
        assert_eq!(response.status(), 200);
        TokioIo::new(hyper::upgrade::on(response).await.expect("a stream"))
    }

    /// A socket, once the edge knows the channel.
    async fn chat(&self, channel: &str, token: &str) -> Client<TcpStream> {
        let host = self.host();
        let query = if token.is_empty() { String::new() } else { format!("?token={token}") };
        let url = format!("ws://{host}/chat/{channel}{query}");
        until("a socket", async || {
            let socket = TcpStream::connect(&host).await.expect("the edge listens");
            match client_async(&url, socket).await {
                Ok((socket, _)) => Some(Client { socket }),
                Err(Error::Http(response)) => {
                    assert_eq!(response.status(), 404, "the edge has not heard of the channel yet");
                    None
                }
                Err(error) => panic!("{error}"),
            }
        })
        .await
    }
}

struct Client<S = TcpStream> {
    socket: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn send(&mut self, object: Value) {
        self.socket.send(Message::text(object.to_string())).await.expect("sent");
    }

    /// The next object of this type.
    async fn find(&mut self, kind: &str) -> Value {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("in time").expect("open");
            let Message::Text(text) = message.expect("a message") else { continue };
            let object: Value = serde_json::from_str(&text).expect("an object");
            if object["type"] == kind {
                return object;
            }
        }
    }

    async fn join(&mut self, channel: &str) -> Value {
        self.send(json!({ "type": "join", "channel": channel })).await;
        self.find("ok").await
    }

    /// The status with which it is closed.
    async fn closed(&mut self) -> Option<u16> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("in time") {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

#[tokio::test]
async fn people_chat_through_an_edge_and_are_told_when_it_goes() {
    let dir = support::tempdir();
    let mut house = House::open(dir.path(), &[]).await;
    let (ada, bob) = (house.register("ada").await, house.register("bob").await);
    let mut guest = house.chat("ada", "").await;
    guest.join("ada").await;
    let mut bob = house.chat("ada", &bob).await;
    assert_eq!(bob.join("ada").await["role"], "plain");
    bob.send(json!({ "type": "msg", "channel": "ada", "nonce": "n1", "text": "hello" })).await;
    let id = bob.find("ack").await["id"].clone();
    let message = guest.find("message").await;
    assert_eq!((&message["id"], &message["user"]["login"]), (&id, &json!("bob")));
    let mut ada = house.chat("ada", &ada).await;
    let joined = ada.join("ada").await;
    assert_eq!((&joined["role"], &joined["follow"]), (&json!("owner"), &json!(1)));
    ada.send(json!({ "type": "msg", "channel": "ada", "nonce": "n2", "text": "/timeout bob 60" })).await;
    assert_eq!(ada.find("ack").await["done"], "timeout");
    assert_eq!(guest.find("user").await["action"], "timeout");
    let admin = house.told["admin_url"].as_str().map(str::to_owned);
    assert!(admin.is_some(), "{}", house.told);
    house.freshet.signal("INT").await;
    for client in [&mut guest, &mut bob, &mut ada] {
        client.find("bye").await;
        assert_eq!(client.closed().await, Some(1012));
    }
    let (status, _) = house.freshet.ended().await;
    assert_eq!(status.code(), Some(0), "{}", house.freshet.log());
}

#[tokio::test]
async fn chat_over_the_api_is_the_same_chat() {
    let dir = support::tempdir();
    let house = House::open(dir.path(), &[]).await;
    let (_, bob) = (house.register("ada").await, house.register("bob").await);
    let mut guest = house.chat("ada", "").await;
    guest.join("ada").await;
    let (status, head, posted) =
        house.ask("POST", "/api/streams/ada/chat", &bob, &json!({ "text": "hello", "nonce": "n1" })).await;
    assert_eq!(status, 201, "{head}\n{posted}");
    assert_eq!(guest.find("message").await["id"], posted["id"]);
    let (status, _, read) = house.ask("GET", "/api/streams/ada/chat?limit=5", "", &Value::Null).await;
    assert_eq!((status, &read["events"][0]["text"], &read["position"]), (200, &json!("hello"), &posted["position"]));
    let (status, head, problem) = house.ask("POST", "/api/streams/ada/chat", "", &json!({ "text": "x" })).await;
    assert_eq!((status, &problem["code"]), (401, &json!("msg_login_required")));
    assert!(head.contains("content-type: application/problem+json") && head.contains("www-authenticate"), "{head}");
    let (status, ..) = house.ask("POST", "/api/streams/ada/chat", "no.good.token", &json!({ "text": "x" })).await;
    assert_eq!(status, 401);
    assert_eq!(house.ask("GET", "/api/streams/nobody/chat", "", &Value::Null).await.0, 404);
    assert_eq!(house.ask("DELETE", "/api/streams/ada/chat", &bob, &Value::Null).await.0, 405);
}

/// Over TLS, by an HTTP/1.1 upgrade and by HTTP/2's extended CONNECT (RFC 8441), it is the same chat.
#[tokio::test]
async fn chat_comes_over_tls_in_either_version_of_http() {
    let dir = support::tempdir();
    let house = House::open(dir.path(), &[]).await;
    let bob = house.register("bob").await;
    let mut plain = house.chat("bob", &bob).await;
    plain.join("bob").await;
    let upgraded = {
        let socket = house.tls(dir.path(), b"http/1.1").await;
        let (socket, _) = client_async("ws://localhost/chat/bob", socket).await.expect("it is let in");
        socket
    };
    let connected = WebSocketStream::from_raw_socket(house.connect(dir.path()).await, Role::Client, None).await;
    let mut clients = (Client { socket: upgraded }, Client { socket: connected });
    clients.0.join("bob").await;
    clients.1.join("bob").await;
    for n in 0..3 {
        plain
            .send(json!({ "type": "msg", "channel": "bob", "nonce": n.to_string(), "text": format!("line {n}") }))
            .await;
        plain.find("ack").await;
        assert_eq!(clients.0.find("message").await["text"], format!("line {n}"));
        assert_eq!(clients.1.find("message").await["text"], format!("line {n}"));
    }
    // Those that asked before leave a moment after their answers.
    until("three that chat, one of them by a connection of its own", async || {
        (house.metric("freshet_edge_connections").await == 3 + 1).then_some(())
    })
    .await;
}

/// Asks for a WebSocket on the port for IRC clients, or asks nothing yet.
async fn arrive(at: &str, asks: bool) -> TcpStream {
    let mut socket = TcpStream::connect(at).await.expect("the edge listens");
    if asks {
        socket.write_all(b"GET / HTTP/1.1\r\nhost: irc\r\n\r\n").await.expect("sent");
    }
    socket
}

#[tokio::test]
async fn irc_clients_that_say_nothing_keep_no_others_out_and_are_told_when_they_are_too_many() {
    let dir = support::tempdir();
    let house = House::open(dir.path(), &[]).await;
    let at = house.told["irc_ws_url"].as_str().expect("an address").trim_start_matches("ws://").trim_end_matches('/');
    let mut silent = Vec::new();
    for _ in 0..256 {
        silent.push(arrive(at, false).await);
    }
    let head = async || {
        let mut head = [0; 13];
        let mut socket = arrive(at, true).await;
        timeout(PATIENCE, socket.read_exact(&mut head)).await.expect("in time").map(|_| head).ok()
    };
    until("one too many", async || (head().await.as_ref() == Some(b"HTTP/1.1 429 ")).then_some(())).await;
    until("it is counted", async || (house.metric("freshet_chat_turned_away_total").await > 0).then_some(())).await;
    drop(silent);
    until("a place", async || (head().await.as_ref() == Some(b"HTTP/1.1 426 ")).then_some(())).await;
}

/// What those who flood were told.
#[derive(Default)]
struct Told {
    taken: AtomicU64,
    refused: AtomicU64,
    closed: AtomicU64,
}

/// Says as much as it can, and comes back whenever it is sent away.
async fn flood(url: String, host: String, told: Arc<Told>) {
    loop {
        let Ok(socket) = TcpStream::connect(&host).await else { continue };
        let Ok((mut socket, _)) = client_async(&url, socket).await else { continue };
        let join = json!({ "type": "join", "channel": "demo", "history": 100 }).to_string();
        let mut open = socket.send(Message::text(join)).await.is_ok();
        let mut n = 0;
        while open {
            for _ in 0..20 {
                n += 1;
                let text = json!({ "type": "msg", "channel": "demo", "nonce": n.to_string(), "text": "\u{1d11e}".repeat(400) });
                open &= socket.feed(Message::text(text.to_string())).await.is_ok();
            }
            open &= socket.flush().await.is_ok();
            for _ in 0..20 {
                let Some(Ok(message)) = socket.next().await else {
                    open = false;
                    break;
                };
                let text = message.into_text().unwrap_or_default();
                let answers = [("\"ack\"", &told.taken), ("\"nack\"", &told.refused)];
                answers.iter().filter(|(kind, _)| text.contains(kind)).for_each(|(_, count)| {
                    count.fetch_add(1, Relaxed);
                });
            }
        }
        told.closed.fetch_add(1, Relaxed);
    }
}

/// Video and chat come from one edge. However much is said, every reload and every part is answered, in order, and who
/// watches is never more than a few parts behind what the origin makes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_chat_keeps_no_part_from_who_watches() {
    let dir = support::tempdir();
    let house = House::open(dir.path(), &["--demo"]).await;
    let bots = [house.register("bot1").await, house.register("bot2").await, house.register("bot3").await];
    let (host, channel) = (house.host(), "demo");
    let viewer = Viewer::watch(&[format!("http://{host}/live/{channel}")], &Arc::default());
    until("the first parts", async || (viewer.parts() >= 4).then_some(())).await;
    let told = Arc::new(Told::default());
    let mut flooding = tokio::task::JoinSet::new();
    for n in 0..24 {
        let url = format!("ws://{host}/chat/{channel}?token={}", bots[n % bots.len()]);
        flooding.spawn(flood(url, host.clone(), told.clone()));
    }
    until("the flood", async || (told.closed.load(Relaxed) >= 24).then_some(())).await;
    let (parts, made) = (viewer.parts(), house.metric("freshet_origin_parts_total").await);
    until("thirty more parts", async || (viewer.parts() >= parts + 30).then_some(())).await;
    let now_made = house.metric("freshet_origin_parts_total").await;
    let (seen, tracks) = (viewer.parts() - parts, 2);
    assert!(now_made - made <= tracks * (seen + 4), "made {}, seen {seen} of each track", now_made - made);
    assert_eq!(viewer.turns(), 0, "the edge has answered all that was asked");
    assert_eq!(house.metric("freshet_edge_drops_total").await, 0);
    let [taken, refused, closed] = [&told.taken, &told.refused, &told.closed].map(|count| count.load(Relaxed));
    assert!(taken > 0 && refused > taken && closed > 24, "{taken} taken, {refused} refused, {closed} closed");
    flooding.shutdown().await;
    let counted = house.metric("freshet_chat_posts_total").await;
    assert!(counted >= taken, "{counted} posts are counted, {taken} were taken");
}
