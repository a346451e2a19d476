//! A client that takes what it is sent apart, frame by frame.

use std::time::Duration;

use bytes::BytesMut;
use freshet_chat_mesh::ws::{Decoder, Limits, Received, Role};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client<S = tokio::net::TcpStream> {
    pub socket: S,
    decoder: Decoder,
    input: BytesMut,
}

impl<S: AsyncRead + Unpin> Client<S> {
    pub fn new(socket: S) -> Self {
        let limits = Limits { message_bytes: 1 << 20 };
        Self { socket, decoder: Decoder::new(Role::Client, limits, true), input: BytesMut::new() }
    }

    /// The next message or control frame; `None` at the end of the stream, which is never within a frame.
    pub async fn next(&mut self) -> Option<Received> {
        timeout(PATIENCE, self.receive()).await.expect("something comes")
    }

    async fn receive(&mut self) -> Option<Received> {
        loop {
            if let Some(received) = self.decoder.next(&mut self.input).expect("whole frames") {
                return Some(received);
            }
            match self.socket.read_buf(&mut self.input).await {
                Ok(0) => {
                    assert!(self.input.is_empty(), "the stream ended within a frame");
                    return None;
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub async fn text(&mut self) -> String {
        match self.next().await {
            Some(Received::Text(text)) => text,
            other => panic!("{other:?} is no text"),
        }
    }

    pub async fn texts(&mut self, n: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < n {
            texts.push(self.text().await);
        }
        texts
    }
}
