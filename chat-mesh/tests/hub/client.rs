//! A client, by tungstenite.

use std::{collections::VecDeque, net::SocketAddr};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest,
        http::{Request, Response},
        protocol::CloseFrame,
    },
};

use crate::house::PATIENCE;

/// See the module.
pub struct Client<S = TcpStream> {
    pub socket: WebSocketStream<S>,
    told: VecDeque<Value>,
}

/// What a client is told in the end.
#[derive(Debug)]
pub enum Last {
    Object(Value),
    Closed(Option<CloseFrame>),
}

impl Client {
    /// Opens `path` of the hub.
    pub async fn connect(addr: SocketAddr, path: &str) -> Self {
        Self::try_connect(addr, path, &[]).await.unwrap_or_else(|status| panic!("turned away from {path}: {status}"))
    }

    /// The same, with more header fields, or the status with which it is turned away.
    pub async fn try_connect(addr: SocketAddr, path: &str, fields: &[(&'static str, &str)]) -> Result<Self, u16> {
        let socket = TcpStream::connect(addr).await.unwrap();
        match client_async(request(addr, path, fields), socket).await {
            Ok((socket, _)) => Ok(Self { socket, told: VecDeque::new() }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// One whose system takes little that it has not read yet.
    pub async fn narrow(addr: SocketAddr, path: &str) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let socket = socket.connect(addr).await.unwrap();
        let (socket, _) = client_async(request(addr, path, &[]), socket).await.expect("it is let in");
        Self::over(socket)
    }

    /// The same; also what the hub answered.
    pub async fn answered(addr: SocketAddr, path: &str, fields: &[(&'static str, &str)]) -> Response<Option<Vec<u8>>> {
        let socket = TcpStream::connect(addr).await.unwrap();
        match client_async(request(addr, path, fields), socket).await {
            Ok((_, response)) => response,
            Err(Error::Http(response)) => *response,
            Err(error) => panic!("{error}"),
        }
    }
}

pub fn request(addr: SocketAddr, path: &str, fields: &[(&'static str, &str)]) -> Request<()> {
    let mut request = format!("ws://{addr}{path}").into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(socket: WebSocketStream<S>) -> Self {
        Self { socket, told: VecDeque::new() }
    }

    pub async fn send(&mut self, object: Value) {
        self.raw(Message::text(object.to_string())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.expect("it is sent");
    }

    /// What it is told next.
    pub async fn last(&mut self) -> Last {
        if let Some(object) = self.told.pop_front() {
            return Last::Object(object);
        }
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("it is told something in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let mut objects = text.lines().map(|line| serde_json::from_str(line).expect("an object"));
                    let first = objects.next().expect("a frame has an object");
                    self.told.extend(objects);
                    return Last::Object(first);
                }
                Some(Ok(Message::Close(frame))) => return Last::Closed(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Last::Closed(None),
            }
        }
    }

    /// The next object. Counts, which come by the clock, are passed over.
    pub async fn next(&mut self) -> Value {
        loop {
            let object = self.any().await;
            if object["type"] != "count" {
                return object;
            }
        }
    }

    async fn any(&mut self) -> Value {
        match self.last().await {
            Last::Object(object) => object,
            Last::Closed(frame) => panic!("closed: {frame:?}"),
        }
    }

    /// The next object, which has this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let object = self.next().await;
        assert_eq!(object["type"], kind, "{object}");
        object
    }

    /// The next object of this type; others are passed over.
    pub async fn find(&mut self, kind: &str) -> Value {
        loop {
            let object = self.any().await;
            if object["type"] == kind {
                return object;
            }
        }
    }

    /// The status with which it is closed; objects before that are passed over.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Last::Closed(frame) = self.last().await {
                return frame.map(|frame| frame.code.into());
            }
        }
    }

    /// Joins a channel; what it is told.
    pub async fn join(&mut self, channel: &str) -> Value {
        self.send(json!({"type": "join", "channel": channel, "history": 0})).await;
        self.expect("ok").await
    }

    /// Says something.
    pub async fn say(&mut self, channel: &str, nonce: &str, text: &str) {
        self.send(json!({"type": "msg", "channel": channel, "nonce": nonce, "text": text})).await;
    }

    /// Says something and waits until it stands; the answer.
    pub async fn said(&mut self, channel: &str, nonce: &str, text: &str) -> Value {
        self.say(channel, nonce, text).await;
        loop {
            let object = self.next().await;
            match object["type"].as_str() {
                Some("ack") if object["nonce"] == nonce => return object,
                Some("nack" | "error") => panic!("{object}"),
                _ => {}
            }
        }
    }

    /// Says something that is refused; the code.
    pub async fn refused(&mut self, channel: &str, nonce: &str, text: &str) -> String {
        self.say(channel, nonce, text).await;
        self.find("nack").await["code"].as_str().expect("a code").to_owned()
    }
}
