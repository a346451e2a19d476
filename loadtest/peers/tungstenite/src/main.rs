//! The usual chat server on tokio-tungstenite: a task per socket that hears a broadcast and sends each message on.
//!
//! Buffers are what such a server needs and no more: by default each socket would own 128 KiB.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast::{self, error::RecvError},
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, Utf8Bytes, protocol::WebSocketConfig},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    println!("{{\"address\":\"{address}\"}}");
    let (all, _) = broadcast::channel(1024);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, all.clone()));
    }
}

async fn serve(stream: TcpStream, all: broadcast::Sender<Utf8Bytes>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let config = WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0).max_write_buffer_size(1 << 20);
    let mut news = all.subscribe();
    let mut socket = accept_async_with_config(stream, Some(config)).await.ok()?;
    loop {
        tokio::select! {
            text = news.recv() => match text {
                Ok(text) => socket.send(Message::Text(text)).await.ok()?,
                Err(RecvError::Lagged(_)) => eprintln!("a socket was too slow"),
                Err(RecvError::Closed) => return None,
            },
            message = socket.next() => match message?.ok()? {
                Message::Text(text) => drop(all.send(text)),
                _ => {}
            },
        }
    }
}
