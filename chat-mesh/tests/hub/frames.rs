//! How things are written: several objects a frame, deflated, over TLS, and what came before it was asked for.

use std::{sync::Arc, time::Duration};

use bytes::BytesMut;
use freshet_chat_mesh::{
    hub::Config,
    ws::{Decoder, Limits, Opcode, Received, Role, encode},
};
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;

use crate::{
    client::{Client, request},
    house::{House, PATIENCE},
};

/// A client that deflates, which tungstenite does not.
struct Deflating {
    socket: TcpStream,
    decoder: Decoder,
    input: BytesMut,
}

impl Deflating {
    async fn connect(house: &House) -> Self {
        let mut socket = TcpStream::connect(house.addr).await.unwrap();
        let head = format!(
            "GET /chat/ada HTTP/1.1\r\nhost: {}\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\
             sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
            house.addr
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut input = BytesMut::new();
        let end = loop {
            socket.read_buf(&mut input).await.unwrap();
            if let Some(at) = input.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
        };
        let head = String::from_utf8(input.split_to(end + 4).to_vec()).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("permessage-deflate") && head.contains("server_no_context_takeover"), "{head}");
        let limits = Limits { message_bytes: 1 << 20 };
        Self { socket, decoder: Decoder::new(Role::Client, limits, true), input }
    }

    async fn send(&mut self, object: Value) {
        let mut frame = BytesMut::new();
        encode::masked(&mut frame, Opcode::Text, true, [1, 2, 3, 4], object.to_string().as_bytes());
        self.socket.write_all(&frame).await.unwrap();
    }

    /// The lines of the next message that is no count; whether it was compressed; how many bytes it took on the wire, if it came alone.
    async fn next(&mut self) -> (Vec<Value>, bool) {
        let mut compressed = false;
        loop {
            compressed |= self.input.first().is_some_and(|first| first & 0x40 != 0);
            if let Some(received) = self.decoder.next(&mut self.input).unwrap() {
                let Received::Text(text) = received else { continue };
                let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
                if lines[0]["type"] == "count" {
                    compressed = false;
                    continue;
                }
                return (lines, compressed);
            }
            let read = timeout(PATIENCE, self.socket.read_buf(&mut self.input)).await.expect("in time").unwrap();
            assert!(read > 0, "the hub has closed");
        }
    }
}

#[tokio::test]
async fn a_batch_is_one_frame_and_one_that_is_deflated_is_compressed_once_for_all() {
    // Gathered long enough that several posts are in one batch, whatever the machine does.
    let house = House::open(Config { batch_ms: 2_000, ..Config::default() }).await;
    let (mut first, mut second) = (Deflating::connect(&house).await, Deflating::connect(&house).await);
    for client in [&mut first, &mut second] {
        client.send(json!({"type": "hello", "batch": true})).await;
        assert_eq!(client.next().await.0[0]["type"], "welcome");
        client.send(json!({"type": "join", "channel": "ada", "history": 0})).await;
        assert_eq!(client.next().await.0[0]["type"], "joined");
    }
    let mut bob = house.user_in_ada("bob").await;
    for n in 1..=5 {
        bob.said("ada", &format!("n{n}"), &format!("line {n}: the same words again and again")).await;
    }
    for client in [&mut first, &mut second] {
        let (lines, compressed) = client.next().await;
        assert!(compressed);
        let positions: Vec<_> = lines.iter().map(|line| line["position"].as_str().unwrap()).collect();
        assert_eq!(positions, ["3.1", "3.2", "3.3", "3.4", "3.5"]);
    }
    // Moderation waits for nothing, and nothing that waits comes after it.
    let mut ada = house.user_in_ada("ada").await;
    bob.said("ada", "n6", "line 6").await;
    ada.said("ada", "s", "/slow 5").await;
    let types: Vec<_> = first.next().await.0.iter().map(|line| line["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, ["message", "mode"]);
}

#[tokio::test]
async fn without_batches_a_frame_has_one_object_deflated_or_not() {
    let house = House::open(Config::default()).await;
    let mut reader = Deflating::connect(&house).await;
    reader.send(json!({"type": "join", "channel": "ada", "history": 0})).await;
    reader.next().await;
    let mut bob = house.user_in_ada("bob").await;
    let text = "again and again ".repeat(20);
    for n in 1..=3 {
        bob.said("ada", &format!("n{n}"), &text).await;
        let (lines, compressed) = reader.next().await;
        assert_eq!((lines.len(), compressed), (1, true));
        assert_eq!(lines[0]["text"], text.trim_end());
    }
}

#[tokio::test]
async fn what_is_sent_before_the_answer_is_heard() {
    let house = House::open(Config::default()).await;
    let mut socket = TcpStream::connect(house.addr).await.unwrap();
    let mut bytes = BytesMut::from(
        "GET /chat/ada HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    );
    let join = br#"{"type":"join","channel":"ada"}"#;
    encode::masked(&mut bytes, Opcode::Text, true, [9, 9, 9, 9], join);
    socket.write_all(&bytes).await.unwrap();
    let mut answer = BytesMut::new();
    while !answer.windows(6).any(|six| six == b"\"type\"") {
        let read = timeout(PATIENCE, socket.read_buf(&mut answer)).await.expect("in time").unwrap();
        assert!(read > 0, "{answer:?}");
    }
    assert!(String::from_utf8_lossy(&answer).contains("\"channel\":\"ada\""));
}

#[tokio::test]
async fn over_tls_it_is_the_same() {
    let made = rcgen::generate_simple_self_signed(vec!["chat.example".into()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let house = House::open_with(Config::default(), Some(Arc::new(server))).await;
    let connect = async |path: String| {
        let socket = TcpStream::connect(house.addr).await.unwrap();
        let name = "chat.example".try_into().unwrap();
        let socket = TlsConnector::from(Arc::new(tls.clone())).connect(name, socket).await.unwrap();
        Client::over(client_async(request(house.addr, &path, &[]), socket).await.unwrap().0)
    };
    let mut guest = connect("/chat/ada".into()).await;
    let mut bob = connect(format!("/chat/ada?token={}", house.token("bob"))).await;
    for client in [&mut guest, &mut bob] {
        client.join("ada").await;
    }
    for n in 0..10 {
        bob.said("ada", &format!("n{n}"), &format!("line {n}")).await;
        assert_eq!(guest.expect("message").await["text"], format!("line {n}"));
    }
    let hub = house.hub.clone();
    let drained = tokio::spawn(async move { hub.drain(Vec::new(), Duration::from_secs(20)).await });
    for mut client in [guest, bob] {
        client.find("bye").await;
        assert_eq!(client.closed().await, Some(1012));
    }
    drained.await.unwrap();
}
