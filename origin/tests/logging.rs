//! What the log says of encoders: each hostile one once, with the reason, and never a key.

mod common;

use std::{
    io,
    sync::{Arc, Mutex},
};

use common::{BOUND, KEY, encoder::Encoder, world};
use freshet_proto::view::ChannelState;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tracing_subscriber::fmt::MakeWriter;

/// Everything that is logged on this thread, which is where these tests' origins run.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    fn warnings(&self, of: &str) -> Vec<String> {
        let text = self.text();
        text.lines().filter(|line| line.contains("WARN") && line.contains(of)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_hostile_peer_is_logged_once_with_the_reason() {
    let (log, _guard) = Log::begin();
    let world = world().await;
    let mut hostile = TcpStream::connect(world.rtmp).await.unwrap();
    let name = hostile.local_addr().unwrap().to_string();
    hostile.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    timeout(BOUND, hostile.read_to_end(&mut rest)).await.expect("it is still connected").ok();
    let warnings = log.warnings(&name);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("not an RTMP handshake"), "{warnings:?}");
}

#[tokio::test]
async fn no_stream_key_is_ever_logged() {
    let (log, _guard) = Log::begin();
    let mut world = world().await;
    let good = Encoder::publish(world.rtmp, KEY).await.unwrap();
    assert!(Encoder::publish(world.rtmp, "a-key-that-is-wrong").await.is_err());
    good.finish().await;
    world.until_state(ChannelState::Grace).await;
    let text = log.text();
    assert!(text.contains("a publish began") && text.contains("unknown stream key"), "{text}");
    assert!(!text.contains(KEY) && !text.contains("a-key-that-is-wrong"), "{text}");
}
