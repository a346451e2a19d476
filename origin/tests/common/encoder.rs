//! An encoder of our own, for what real ones can't be made to do: exact bytes at exact moments over a real socket.

use std::net::SocketAddr;

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
    net::TcpStream,
    sync::OnceCell,
    time::timeout,
};

use super::{BOUND, tool::Tool};

pub struct Encoder {
    pub stream: TcpStream,
    publisher: Publisher,
}

/// What an encoder was told: a status code and words.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub code: String,
    pub text: String,
}

impl Encoder {
    /// Connects and publishes with `key`.
    pub async fn publish(addr: SocketAddr, key: &str) -> Result<Self, Told> {
        let tc_url = format!("rtmp://{addr}/live");
        let target = Target { app: "live".into(), tc_url, key: key.into(), encoder: "test".into() };
        let stream = TcpStream::connect(addr).await.unwrap();
        let mut encoder = Self { stream, publisher: Publisher::new(target) };
        let mut out = Vec::new();
        encoder.publisher.start(&mut out).unwrap();
        loop {
            match encoder.write(std::mem::take(&mut out)).await {
                Some(Output::Started) => return Ok(encoder),
                Some(Output::Refused { code, text }) => return Err(Told { code, text }),
                _ => encoder.read(&mut out).await.expect("the origin closes without a word"),
            }
        }
    }

    /// Sends one tag; `false` when the origin has closed.
    pub async fn send(&mut self, tag: &Tag) -> bool {
        let mut out = Vec::new();
        self.publisher.send(tag.kind, tag.timestamp_ms, &tag.payload, &mut out).unwrap();
        for output in out {
            if let Output::Send(bytes) = output
                && self.stream.write_all(&bytes).await.is_err()
            {
                return false;
            }
        }
        true
    }

    /// Sends every tag, as fast as they are taken.
    pub async fn send_all(&mut self, tags: &[Tag]) {
        for tag in tags {
            assert!(self.send(tag).await, "the origin closed");
        }
    }

    /// Ends the publish in order.
    pub async fn finish(mut self) {
        let mut out = Vec::new();
        self.publisher.finish(&mut out).unwrap();
        self.write(out).await;
    }

    /// Waits until it is told to go.
    pub async fn told(&mut self) -> Told {
        let mut out = Vec::new();
        loop {
            if let Some(Output::Refused { code, text }) = self.write(std::mem::take(&mut out)).await {
                return Told { code, text };
            }
            self.read(&mut out).await.expect("the origin closes without a word");
        }
    }

    /// Reads until the origin closes.
    pub async fn closed(&mut self) {
        let mut out = Vec::new();
        while self.read(&mut out).await.is_some() {}
    }

    /// Writes what is to be sent; returns the news there is besides.
    async fn write(&mut self, out: Vec<Output>) -> Option<Output> {
        let mut news = None;
        for output in out {
            match output {
                Output::Send(bytes) => self.stream.write_all(&bytes).await.unwrap(),
                output => news = Some(output),
            }
        }
        news
    }

    async fn read(&mut self, out: &mut Vec<Output>) -> Option<()> {
        let mut bytes = [0; 4096];
        let count = timeout(BOUND, self.stream.read(&mut bytes)).await.expect("the origin says nothing");
        match count {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.publisher.handle(&bytes[..count], out).unwrap();
                Some(())
            }
        }
    }
}

/// The tags of a clip of 6 s, 30 frames a second, a keyframe every 2 s, with sound; made by ffmpeg once a process.
pub async fn clip() -> &'static [Tag] {
    static CLIP: OnceCell<Vec<Tag>> = OnceCell::const_new();
    CLIP.get_or_init(|| make_clip(&["-g", "60", "-keyint_min", "60", "-sc_threshold", "0"])).await
}

/// A clip with other options of ffmpeg for its output.
pub async fn make_clip(more: &[&str]) -> Vec<Tag> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.flv").display().to_string();
    let mut args = vec!["-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=30:d=6"];
    args.extend(["-f", "lavfi", "-i", "sine=f=440:r=48000:d=6", "-pix_fmt", "yuv420p"]);
    args.extend(["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-b:v", "400k", "-c:a", "aac", "-b:a", "64k"]);
    args.extend(more);
    args.push(&path);
    let (status, said) = Tool::start("ffmpeg", &args).exit().await;
    assert!(status.success(), "{said}");
    let file = Bytes::from(std::fs::read(&path).unwrap());
    Reader::new(file).unwrap().map(Result::unwrap).collect()
}

/// The same tags later.
pub fn shifted(tags: &[Tag], by_ms: u32) -> Vec<Tag> {
    tags.iter().map(|tag| Tag { timestamp_ms: tag.timestamp_ms.wrapping_add(by_ms), ..tag.clone() }).collect()
}

/// Only the tags of these kinds.
pub fn only(tags: &[Tag], kinds: &[TagKind]) -> Vec<Tag> {
    tags.iter().filter(|tag| kinds.contains(&tag.kind)).cloned().collect()
}
