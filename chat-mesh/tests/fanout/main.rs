//! Many sockets that read logs, over loopback: order, loss, doubles, slow readers, one's own frames, ends.

mod client;
mod ends;
mod marks;
mod order;
mod slow;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use freshet_chat_mesh::{
    fanout::{Config, Connection, Fanout, Gap, Haste, Log, Mark, Sink, tune},
    ws::encode,
};
use tokio::net::{TcpListener, TcpStream};

use client::Client;

/// How many logs and readers a test of many has.
const MANY: usize = 100;

/// No reader is too slow for it because the machine is.
fn fanout(config: Config) -> Fanout {
    let hour = Duration::from_secs(3600);
    Fanout::new(Config { shards: 2, patience: hour, stall: hour, ..config })
}

/// A gap is told as `gap FIRST NEXT`.
fn log(fanout: &Fanout) -> Log {
    fanout.log(0, |gap: Gap| encode::text(&format!("gap {} {}", gap.first, gap.next)))
}

/// Appends one event with this text behind its number and a space.
fn say(log: &Log, text: &str) -> u64 {
    say_hastily(log, text, Haste::Batched)
}

fn say_hastily(log: &Log, text: &str, haste: Haste) -> u64 {
    let seq = log.head().next_seq();
    log.append(&encode::text(&format!("{seq} {text}")), seq, seq + 1, haste).expect("it fits");
    seq
}

/// A connected pair: the hub's handle, and the client. The hub's reading half is kept open by `Hub`.
struct Hub {
    listener: TcpListener,
    fanout: Arc<Fanout>,
    kept: Vec<tokio::net::tcp::OwnedReadHalf>,
}

impl Hub {
    async fn new(fanout: Fanout) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        Self { listener, fanout: Arc::new(fanout), kept: Vec::new() }
    }

    async fn pair(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.listener.local_addr().expect("an address"));
        let (client, server) = tokio::join!(client, self.listener.accept());
        (client.expect("connected"), server.expect("accepted").0)
    }

    async fn connect(&mut self) -> (Connection, Client) {
        let (client, server) = self.pair().await;
        self.take(server, client)
    }

    fn take(&mut self, server: TcpStream, client: TcpStream) -> (Connection, Client) {
        tune(&server).expect("a socket's options");
        let (reader, writer) = server.into_split();
        self.kept.push(reader);
        let connection = self.fanout.connect(Sink::tcp(writer)).expect("there is room");
        (connection, Client::new(client))
    }
}

/// Text frames, one after another.
fn frames(texts: &[&str]) -> Bytes {
    texts.iter().flat_map(|text| encode::text(text)).collect()
}
