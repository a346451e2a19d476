//! Somebody who chats: a WebSocket at an edge, by the native protocol.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message},
};

use super::{PATIENCE, until, wait::Wait};

const PASSWORD: &str = "correct horse battery";

/// Registers somebody through the edge at `host`, who has a channel from then on; their access token.
pub async fn register(host: &str, login: &str) -> String {
    let new = json!({ "username": login, "email": format!("{login}@example.org"), "password": PASSWORD });
    until("an account", async || {
        let (status, ..) = ask(host, "POST", "/api/auth/register", "", &new).await?;
        (status == 201 || status == 409).then_some(())
    })
    .await;
    let who = json!({ "username": login, "password": PASSWORD });
    let token = until("a token", async || {
        let (.., signed_in) = ask(host, "POST", "/api/auth/login", "", &who).await?;
        signed_in["access_token"].as_str().map(str::to_owned)
    })
    .await;
    until("the edge to know the keys", async || {
        (ask(host, "GET", "/api/me", &token, &Value::Null).await?.0 == 200).then_some(())
    })
    .await;
    token
}

/// Asks the API of the edge at `host`; the status, the head in lower case and the JSON.
pub async fn ask(host: &str, method: &str, path: &str, token: &str, body: &Value) -> Option<(u16, String, Value)> {
    let mut socket = TcpStream::connect(host).await.ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let bearer = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{bearer}content-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.ok()?;
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.ok()?.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_lowercase(), serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// A socket in one channel.
pub struct Chatter {
    socket: WebSocketStream<TcpStream>,
    channel: String,
    said: u64,
    /// All that was heard of the channel, in order: position and text.
    pub heard: Vec<(String, String)>,
}

impl Chatter {
    /// Joins `channel` at the edge at `host`, once that knows it.
    pub async fn join(host: &str, channel: &str, token: &str) -> Self {
        let query = if token.is_empty() { String::new() } else { format!("?token={token}") };
        let url = format!("ws://{host}/chat/{channel}{query}");
        until("a socket", async || {
            let socket = TcpStream::connect(host).await.ok()?;
            let socket = match client_async(&url, socket).await {
                Ok((socket, _)) => socket,
                // It has not heard of the channel yet, or not of the key that signed the token.
                Err(Error::Http(response)) if matches!(response.status().as_u16(), 401 | 404) => return None,
                Err(error) => panic!("{error}"),
            };
            let mut chatter = Self { socket, channel: channel.to_owned(), said: 0, heard: Vec::new() };
            chatter.send(json!({ "type": "join", "channel": channel })).await;
            loop {
                let object = chatter.next().await?;
                match object["type"].as_str() {
                    Some("ok" | "joined") => return Some(chatter),
                    Some("nack" | "error") => return None,
                    _ => {}
                }
            }
        })
        .await
    }

    async fn send(&mut self, object: Value) {
        self.socket.send(Message::text(object.to_string())).await.expect("sent");
    }

    /// The next object; `None` where there is no more.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("in time")?;
            let Message::Text(text) = message.ok()? else { continue };
            let object: Value = serde_json::from_str(&text).expect("an object");
            if let Some(position) = object["position"].as_str().filter(|_| object["type"] == "message") {
                self.heard.push((position.to_owned(), object["text"].as_str().unwrap_or_default().to_owned()));
            }
            assert_ne!(object["type"], "gap", "{object}");
            return Some(object);
        }
    }

    /// Says something and waits for what becomes of it. Where the machine stood still meanwhile, hubs have had no time to agree on
    /// a home: then it is said once more, as the same.
    pub async fn say(&mut self, text: &str) -> Value {
        self.said += 1;
        let nonce = format!("{text}-{}", self.said);
        loop {
            let waits = Wait::begin();
            let answer = self.say_once(text, &nonce).await;
            if answer["code"] != "msg_paused" || waits.stood_still().is_zero() {
                return answer;
            }
        }
    }

    async fn say_once(&mut self, text: &str, nonce: &str) -> Value {
        self.send(json!({ "type": "msg", "channel": self.channel, "nonce": nonce, "text": text })).await;
        loop {
            let object = self.next().await.expect("the socket stays open");
            if object["nonce"] == nonce && (object["type"] == "ack" || object["type"] == "nack") {
                return object;
            }
        }
    }

    /// Says something that is taken.
    pub async fn says(&mut self, text: &str) {
        let answer = self.say(text).await;
        assert_eq!(answer["type"], "ack", "{text:?}: {answer}");
    }

    /// Listens until this is heard.
    pub async fn hears(&mut self, text: &str) {
        while !self.heard.iter().any(|(_, heard)| heard == text) {
            self.next().await.expect("the socket stays open");
        }
    }

    /// Listens until it is told that so many connections, of so many people, read the channel.
    pub async fn counts(&mut self, connections: u64, users: u64) {
        let mut last = None;
        let told = timeout(PATIENCE, async {
            while last != Some((Some(connections), Some(users))) {
                let count = self.finds("count").await;
                last = Some((count["connections"].as_u64(), count["users"].as_u64()));
            }
        });
        let told = told.await;
        assert!(told.is_ok(), "{connections} connections, {users} users: not within {PATIENCE:?}, but {last:?}");
    }

    /// Listens for something of this type.
    pub async fn finds(&mut self, kind: &str) -> Value {
        loop {
            let object = self.next().await.expect("the socket stays open");
            if object["type"] == kind {
                return object;
            }
        }
    }
}
