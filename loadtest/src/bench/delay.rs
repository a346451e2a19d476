//! From an RTMP frame to its bytes at a viewer of the edge: one publisher, one viewer, real sockets, nothing else.
//!
//! ```text
//! Sent (fingerprint of each frame ▶ when it was written) ◀── publisher thread ──RTMP──▶ freshet dev
//!   └─ looked up by the last bytes of each part that the viewer receives ◀──HTTP── viewer
//! ```
//! The viewer knows the last frame of a part by the last bytes of its `mdat`, which are the encoder's own. A part can't
//! be closed before the next frame comes, so the delay counts from when that one was written.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use freshet_media::{
    flv::{TagKind, file},
    rtmp::client::{Output, Publisher, Target},
};
use serde::Deserialize;

use super::{
    Setting,
    process::{SERVER_CORE, Server},
    verdict::{Figure, Findings},
};
use crate::{
    report::Distribution,
    view::{
        head,
        listing::Memo,
        stats::Stats,
        viewer::{Answer, Behaviour, Body, Next, Viewer},
    },
};

/// For how long one run publishes.
const PUBLISH: Duration = Duration::from_secs(25);
/// By how many of its last bytes a frame is known.
const FINGERPRINT: usize = 24;
/// How long anything may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// `PART-TARGET` is half a second and one audio frame: 521 ms at 48 kHz.
const PART_TARGET_MS: f64 = 521.0;

/// What `freshet dev` says of itself.
#[derive(Deserialize)]
struct Dev {
    rtmp_url: String,
    stream_key: String,
    hls_url: String,
}

/// Measures the delay over several runs.
///
/// # Errors
/// When the server does not start, refuses the publisher, or serves no part.
pub fn run(setting: &Setting, scratch: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    let figure = |what: &str, gate| Figure { what: what.to_owned(), unit: "ms", values: vec![], gate, goal: gate };
    let mut closing = figure("p99 delay from the frame that closes a part to its last byte at a viewer", 20.0);
    let mut oldest = figure("p99 age of a part's oldest frame when a viewer has it", PART_TARGET_MS + 30.0);
    for run in 0..setting.runs {
        let delays = once(setting, &scratch.join(format!("delay-{run}")))?;
        closing.values.push(delays.closing.summary().p99);
        oldest.values.push(delays.oldest.summary().p99);
        eprintln!("delay, run {}: {:?}", run + 1, delays.closing.summary());
    }
    findings.figures.extend([closing, oldest]);
    Ok(())
}

#[derive(Default)]
struct Delays {
    closing: Distribution,
    oldest: Distribution,
}

fn once(setting: &Setting, dir: &Path) -> anyhow::Result<Delays> {
    fs::create_dir_all(dir)?;
    let data = dir.display().to_string();
    let zero = ["--http", "--https", "--rtmp", "--rtmps", "--quic", "--admin"].map(|flag| [flag, "127.0.0.1:0"]);
    let args = [&["dev", "--data", &data][..], zero.as_flattened()].concat();
    let _server = Server::start(SERVER_CORE, &setting.freshet, &args, &dir.join("log"))?;
    let dev = wait_for_dev(&dir.join("dev.json"))?;
    let clip = fs::read(&setting.clip).with_context(|| setting.clip.display().to_string())?;
    let sent = Arc::new(Mutex::new(Sent::default()));
    let publisher = {
        let (sent, url, key) = (sent.clone(), dev.rtmp_url.clone(), dev.stream_key.clone());
        thread::spawn(move || publish(&url, &key, Bytes::from(clip), &sent))
    };
    let delays = watch(&dev.hls_url, &sent);
    publisher.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
    let delays = delays?;
    ensure!(delays.closing.count() >= 20, "only {} parts were measured", delays.closing.count());
    Ok(delays)
}

fn wait_for_dev(path: &Path) -> anyhow::Result<Dev> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Ok(text) = fs::read_to_string(path) {
            return Ok(serde_json::from_str(&text)?);
        }
        thread::sleep(Duration::from_millis(20));
    }
    anyhow::bail!("freshet dev did not write {}", path.display())
}

/// When each video frame was written, newest last.
#[derive(Default)]
struct Sent {
    frames: Vec<Instant>,
    /// The newest frame with these last bytes.
    newest: BTreeMap<Vec<u8>, usize>,
}

impl Sent {
    fn record(&mut self, payload: &[u8]) {
        let fingerprint = payload[payload.len().saturating_sub(FINGERPRINT)..].to_vec();
        self.newest.insert(fingerprint, self.frames.len());
        self.frames.push(Instant::now());
    }

    fn find(&self, part: &[u8]) -> Option<usize> {
        self.newest.get(&part[part.len().saturating_sub(FINGERPRINT)..]).copied()
    }
}

/// Publishes `clip` in a loop, in real time.
fn publish(url: &str, key: &str, clip: Bytes, sent: &Mutex<Sent>) -> anyhow::Result<()> {
    let (address, app) =
        url.trim_start_matches("rtmp://").split_once('/').context("an RTMP URL without application")?;
    let target = Target { app: app.into(), tc_url: url.into(), key: key.into(), encoder: "loadtest".into() };
    let mut socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut publisher = Publisher::new(target);
    begin(&mut socket, &mut publisher)?;
    let tags: Vec<file::Tag> = file::Reader::new(clip)?.collect::<Result<_, _>>()?;
    let length_ms = loop_length_ms(&tags);
    let start = Instant::now();
    let mut out = Vec::new();
    for (round, tag) in (0..).flat_map(|round| tags.iter().map(move |tag| (round, tag))) {
        let timestamp_ms = tag.timestamp_ms + round * length_ms;
        let due = Duration::from_millis(timestamp_ms.into());
        if due > PUBLISH {
            break;
        }
        thread::sleep(due.saturating_sub(start.elapsed()));
        publisher.send(tag.kind, timestamp_ms, &tag.payload, &mut out)?;
        if is_picture(tag) {
            sent.lock().unwrap_or_else(PoisonError::into_inner).record(&tag.payload);
        }
        write(&mut socket, &mut out)?;
    }
    publisher.finish(&mut out)?;
    write(&mut socket, &mut out)
}

/// Whether the tag is a coded picture and no sequence header (FLV E.4.3.1).
fn is_picture(tag: &file::Tag) -> bool {
    tag.kind == TagKind::Video && tag.payload.get(1) == Some(&1)
}

/// The clip's length: its last picture and one picture more.
fn loop_length_ms(tags: &[file::Tag]) -> u32 {
    let pictures: Vec<u32> = tags.iter().filter(|tag| is_picture(tag)).map(|tag| tag.timestamp_ms).collect();
    let (first, last) = (pictures.first().copied().unwrap_or(0), pictures.last().copied().unwrap_or(0));
    let count = pictures.len().max(2) as u32;
    (last - first) * count / (count - 1)
}

fn begin(socket: &mut TcpStream, publisher: &mut Publisher) -> anyhow::Result<()> {
    let mut out = Vec::new();
    publisher.start(&mut out)?;
    let mut buffer = [0; 4096];
    loop {
        for output in std::mem::take(&mut out) {
            match output {
                Output::Send(bytes) => socket.write_all(&bytes)?,
                Output::Started => return Ok(()),
                other => anyhow::bail!("the publish was refused: {other:?}"),
            }
        }
        let count = socket.read(&mut buffer)?;
        ensure!(count > 0, "the server closed the connection");
        publisher.handle(&buffer[..count], &mut out)?;
    }
}

fn write(socket: &mut TcpStream, out: &mut Vec<Output>) -> anyhow::Result<()> {
    for output in out.drain(..) {
        if let Output::Send(bytes) = output {
            socket.write_all(&bytes)?;
        }
    }
    Ok(())
}

/// Follows the first track until the stream ends, and times its parts.
fn watch(url: &str, sent: &Mutex<Sent>) -> anyhow::Result<Delays> {
    let uri: http::Uri = url.parse()?;
    let authority = uri.authority().context("a URL without host")?.as_str().replace("localhost", "127.0.0.1");
    let address: SocketAddr = authority.parse()?;
    let path: Rc<str> = uri.path().into();
    let mut viewer = Viewer::new(path, 0, Behaviour::Follow, 0, 0, 0);
    let (mut memo, mut stats, mut delays) = (Memo::default(), Stats::default(), Delays::default());
    let mut line = Line::open(address)?;
    let (mut last, mut waited) = (None, VecDeque::new());
    let start = Instant::now();
    while start.elapsed() < PUBLISH {
        let Some(ask) = viewer.ask() else { break };
        let (status, redirect, body) = line.get(&ask.path)?;
        if ask.body == Body::Discard && ask.path.ends_with(".m4s") {
            time(&body, sent, &mut last, waited.pop_front().is_some(), &mut delays);
        } else if ask.path.contains("_HLS_msn") {
            waited = VecDeque::from([()]);
        }
        let redirect = redirect.as_deref();
        let answer = Answer { status, body: &body, length: body.len() as u64, now_us: 0, redirect };
        if let Next::Wait(us) = viewer.answered(&answer, &mut memo, &mut stats) {
            thread::sleep(Duration::from_micros(us));
        }
    }
    Ok(delays)
}

/// Times a part that the viewer had `waited` for; others are old by nature.
fn time(part: &[u8], sent: &Mutex<Sent>, last: &mut Option<usize>, waited: bool, delays: &mut Delays) {
    let now = Instant::now();
    let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
    let (Some(newest), before) = (sent.find(part), *last) else { return };
    *last = Some(newest);
    let since = |frame: usize| sent.frames.get(frame).map(|&at| (now - at).as_micros() as u64);
    if let (true, Some(before)) = (waited, before) {
        since(newest + 1).into_iter().for_each(|us| delays.closing.record_us(us));
        since(before + 1).into_iter().for_each(|us| delays.oldest.record_us(us));
    }
}

/// One keep-alive connection.
struct Line {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Line {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, bytes: Vec::new() })
    }

    /// Status, where it sends us on to, and body.
    fn get(&mut self, path: &str) -> anyhow::Result<(u16, Option<String>, Vec<u8>)> {
        write!(self.socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut chunk = vec![0; 64 * 1024];
        loop {
            if let Some(head) = head::parse(&self.bytes).map_err(anyhow::Error::msg)? {
                let end = head.size + head.length as usize;
                if self.bytes.len() >= end {
                    let rest = self.bytes.split_off(end);
                    let whole = std::mem::replace(&mut self.bytes, rest);
                    let body = whole[head.size..].to_vec();
                    return Ok((head.status, head::redirect(&head, &whole), body));
                }
            }
            let count = self.socket.read(&mut chunk)?;
            ensure!(count > 0, "the edge closed the connection");
            self.bytes.extend_from_slice(&chunk[..count]);
        }
    }
}
