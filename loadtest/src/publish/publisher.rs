//! One publisher: a connection, and the clip at its pace until the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use freshet_media::rtmp::client::{Output, Publisher, Target};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until, timeout_at},
};

use super::clip::Clip;

/// What one publisher does.
pub struct Job {
    pub address: SocketAddr,
    pub target: Target,
    pub clip: Arc<Clip>,
    pub begin: Instant,
    pub end: Instant,
}

/// What a publisher met.
#[derive(Debug)]
pub enum Event {
    /// The publish was accepted, so long after connecting began.
    Started(Duration),
    /// Frames were sent: how many, their bytes on the wire, and how late the last of them was.
    Sent { frames: u64, bytes: u64, late: Duration },
    /// The server said no, or ended the publish, in these words.
    Refused(String),
    /// The connection broke, or never came about.
    Lost(String),
    /// It sent to the end and said goodbye.
    Done,
}

/// How often a publisher tells what it sent.
const REPORT: Duration = Duration::from_millis(500);
/// What a read may take; a server says little to publishers.
const READ: usize = 4096;

/// Why a publisher ends before its time.
enum Stop {
    Refused(String),
    Lost(String),
}

impl<E: std::error::Error> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Lost(error.to_string())
    }
}

/// Publishes from `job.begin` to `job.end`.
pub async fn run(job: Job, events: mpsc::Sender<Event>) {
    sleep_until(job.begin).await;
    let end = job.end;
    let last = match timeout_at(end, publish(job, &events)).await {
        Ok(Ok(())) => Event::Done,
        Ok(Err(Stop::Refused(words))) => Event::Refused(words),
        Ok(Err(Stop::Lost(why))) => Event::Lost(why),
        Err(_) => Event::Lost("the server took nothing more".to_owned()),
    };
    let _ = events.send(last).await;
}

async fn publish(job: Job, events: &mpsc::Sender<Event>) -> Result<(), Stop> {
    let begin = Instant::now();
    let socket = TcpStream::connect(job.address).await?;
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    let mut wire = Wire { publisher: Publisher::new(job.target), reader, writer, out: Vec::new(), started: false };
    wire.publisher.start(&mut wire.out)?;
    wire.perform().await?;
    while !wire.started {
        wire.hear().await?;
    }
    let _ = events.send(Event::Started(begin.elapsed())).await;
    // Time is left to say goodbye in.
    wire.play(&job.clip, job.end - REPORT, events).await?;
    wire.publisher.finish(&mut wire.out)?;
    wire.perform().await?;
    wire.writer.shutdown().await?;
    Ok(())
}

struct Wire {
    publisher: Publisher,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    out: Vec<Output>,
    started: bool,
}

impl Wire {
    /// Sends the clip over and over until `end`, each frame when it is due.
    async fn play(&mut self, clip: &Clip, end: Instant, events: &mpsc::Sender<Event>) -> Result<(), Stop> {
        for tag in &clip.head {
            self.publisher.send(tag.kind, 0, &tag.payload, &mut self.out)?;
        }
        let mut sent = self.perform().await?;
        let (begin, mut told, mut frames) = (Instant::now(), Instant::now(), 0);
        for index in 0.. {
            let (tag, at_ms) = clip.frame(index);
            let due = begin + Duration::from_millis(at_ms);
            if due >= end {
                break;
            }
            self.wait(due).await?;
            self.publisher.send(tag.kind, at_ms as u32, &tag.payload, &mut self.out)?;
            sent += self.perform().await?;
            frames += 1;
            if told.elapsed() >= REPORT {
                let _ = events.send(Event::Sent { frames, bytes: sent, late: due.elapsed() }).await;
                (told, frames, sent) = (Instant::now(), 0, 0);
            }
        }
        let _ = events.send(Event::Sent { frames, bytes: sent, late: Duration::ZERO }).await;
        Ok(())
    }

    /// Listens until `due`: acknowledgements, pings, and the server's last word.
    async fn wait(&mut self, due: Instant) -> Result<(), Stop> {
        let mut buffer = [0; READ];
        while Instant::now() < due {
            // Only the read may be given up halfway; what follows from it is done to the end.
            let length = tokio::select! {
                biased;
                () = sleep_until(due) => return Ok(()),
                length = self.reader.read(&mut buffer) => length?,
            };
            self.heard(&buffer[..length]).await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<(), Stop> {
        let mut buffer = [0; READ];
        let length = self.reader.read(&mut buffer).await?;
        self.heard(&buffer[..length]).await
    }

    async fn heard(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.is_empty() {
            return Err(Stop::Lost("the server closed the connection".to_owned()));
        }
        self.publisher.handle(bytes, &mut self.out)?;
        self.perform().await.map(drop)
    }

    /// Writes what the publisher has to say; returns how much.
    async fn perform(&mut self) -> Result<u64, Stop> {
        let mut written = 0;
        for output in self.out.drain(..) {
            match output {
                Output::Send(bytes) => {
                    written += bytes.len() as u64;
                    self.writer.write_all(&bytes).await?;
                }
                Output::Started => self.started = true,
                Output::Refused { code, text } => return Err(Stop::Refused(format!("{code}: {text}"))),
                _ => {}
            }
        }
        Ok(written)
    }
}
