//! An encoder that publishes a clip over and over, at the speed of its timestamps, over simulated TCP.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use freshet_media::{
    flv::{
        TagKind,
        file::{Reader, Tag},
    },
    rtmp::client::{Output, Publisher, Target},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep_until, timeout},
};
use turmoil::net::TcpStream;

/// A clip to publish: the tags of an FLV file and how long they last.
#[derive(Clone)]
pub struct Clip {
    tags: Vec<Tag>,
    period_ms: u32,
}

impl Clip {
    /// Reads an FLV file whose video begins with an IDR and runs at `frame_ms` a frame.
    ///
    /// # Errors
    /// When it is no FLV file.
    pub fn new(file: &'static [u8], frame_ms: u32) -> io::Result<Self> {
        let tags = Reader::new(Bytes::from_static(file)).and_then(Iterator::collect::<Result<Vec<Tag>, _>>);
        let tags = tags.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let last_ms = tags.iter().filter(|tag| tag.kind == TagKind::Video).map(|tag| tag.timestamp_ms).max();
        Ok(Self { tags, period_ms: last_ms.unwrap_or(0) + frame_ms })
    }

    /// Tag number `n` of the endless repetition.
    fn tag(&self, n: usize) -> Tag {
        let (round, within) = (n / self.tags.len(), n % self.tags.len());
        let tag = self.tags[within].clone();
        let timestamp_ms = tag.timestamp_ms.wrapping_add((round as u32).wrapping_mul(self.period_ms));
        Tag { timestamp_ms, ..tag }
    }
}

/// Publishes `clip` with `key` to the origin at `addr` for `lasts`, then says goodbye.
///
/// # Errors
/// As [`publish_until`].
pub async fn publish(addr: SocketAddr, key: &str, clip: &Clip, lasts: Duration) -> io::Result<()> {
    let until = Instant::now() + lasts;
    publish_until(addr, key, clip, || Instant::now() >= until).await
}

/// Publishes `clip` with `key` to the origin at `addr` until `leaves` says so, then says goodbye.
///
/// # Errors
/// What the socket says; [`io::ErrorKind::PermissionDenied`] with the origin's words when it refuses.
pub async fn publish_until(addr: SocketAddr, key: &str, clip: &Clip, leaves: impl Fn() -> bool) -> io::Result<()> {
    let mut wire = timeout(PATIENCE, Wire::open(addr, key)).await??;
    let began = Instant::now();
    for n in 0.. {
        let tag = clip.tag(n);
        wire.wait(began + Duration::from_millis(tag.timestamp_ms.into())).await?;
        if leaves() {
            break;
        }
        wire.publisher.send(tag.kind, tag.timestamp_ms, &tag.payload, &mut wire.out).map_err(io::Error::other)?;
        wire.perform().await?;
    }
    wire.publisher.finish(&mut wire.out).map_err(io::Error::other)?;
    wire.perform().await.map(drop)
}

/// How long an encoder waits until it may send media. Longer than an origin waits for its registry.
const PATIENCE: Duration = Duration::from_secs(6);

fn publisher(key: &str) -> Publisher {
    Publisher::new(Target {
        app: "live".to_owned(),
        tc_url: "rtmp://origin/live".to_owned(),
        key: key.to_owned(),
        encoder: "netsim".to_owned(),
    })
}

struct Wire {
    tcp: TcpStream,
    publisher: Publisher,
    out: Vec<Output>,
}

impl Wire {
    /// Connects and publishes; returns when media may be sent.
    async fn open(addr: SocketAddr, key: &str) -> io::Result<Self> {
        let mut wire = Self { tcp: TcpStream::connect(addr).await?, publisher: publisher(key), out: Vec::new() };
        wire.publisher.start(&mut wire.out).map_err(io::Error::other)?;
        while !wire.perform().await? {
            wire.read().await?;
        }
        Ok(wire)
    }

    /// Does what the publisher asked for; tells whether it may send media now.
    async fn perform(&mut self) -> io::Result<bool> {
        let mut started = false;
        for output in self.out.drain(..) {
            match output {
                Output::Send(bytes) => self.tcp.write_all(&bytes).await?,
                Output::Started => started = true,
                Output::Refused { code, text } => {
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{code}: {text}")));
                }
                _ => {}
            }
        }
        Ok(started)
    }

    async fn read(&mut self) -> io::Result<()> {
        let mut buf = [0; 4096];
        let length = self.tcp.read(&mut buf).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.publisher.handle(&buf[..length], &mut self.out).map_err(io::Error::other)
    }

    /// Reads what comes until it is time.
    async fn wait(&mut self, at: Instant) -> io::Result<()> {
        while Instant::now() < at {
            tokio::select! {
                biased;
                read = self.read() => { read?; self.perform().await?; }
                () = sleep_until(at) => {}
            }
        }
        Ok(())
    }
}
