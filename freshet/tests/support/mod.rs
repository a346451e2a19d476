//! Starts the binary as a process, asks it over HTTP, and ends it by its id.
#![allow(dead_code, reason = "each test binary uses some of it")]

pub mod chatter;
pub mod platform;
pub mod player;
pub mod publisher;
pub mod viewer;
pub mod wait;
pub mod writer;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    sync::watch,
    time::{sleep, timeout},
};

/// How long anything may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process of the binary, killed when dropped.
pub struct Freshet {
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Freshet {
    /// Starts `freshet` with these arguments, its logs as JSON.
    pub fn start<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Self {
        Self::start_program(Path::new(env!("CARGO_BIN_EXE_freshet")), args)
    }

    /// Starts another version of it.
    pub fn start_program<S: AsRef<std::ffi::OsStr>>(program: &Path, args: &[S]) -> Self {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is a pipe")).lines();
        let (writer, log) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writer.send_modify(|log| log.push(line));
            }
        });
        Self { child, log }
    }

    /// Waits for a line of the log that has all of `words`.
    pub async fn logged(&mut self, words: &[&str]) -> String {
        let find = |log: &Vec<String>| log.iter().find(|line| words.iter().all(|word| line.contains(word))).cloned();
        let found = timeout(PATIENCE, self.log.wait_for(|log| find(log).is_some())).await;
        let found = found.ok().and_then(|log| find(&*log.ok()?));
        found.unwrap_or_else(|| panic!("{words:?} was not logged:\n{}", self.log()))
    }

    /// Waits for the line that tells where the role listens; returns that line's fields.
    pub async fn listens(&mut self) -> serde_json::Value {
        let line = self.logged(&["listens\""]).await;
        serde_json::from_str(&line).expect("logs are JSON")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends a signal, by name: `TERM`, `HUP`, `KILL`.
    pub async fn signal(&self, name: &str) {
        signal(self.id(), name).await;
    }

    /// Waits for the end; returns the status and what was written to standard output.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let mut output = String::new();
        let mut stdout = self.child.stdout.take().expect("asked once");
        let ended = async {
            stdout.read_to_string(&mut output).await.expect("text");
            self.child.wait().await.expect("it is ours")
        };
        let status = timeout(PATIENCE, ended).await.expect("it ends");
        (status, output)
    }

    /// All that was logged.
    pub fn log(&self) -> String {
        self.log.borrow().join("\n")
    }
}

async fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &id.to_string()]).status().await.expect("kill is there");
    assert!(sent.success(), "SIG{name} was not sent");
}

/// Runs `freshet` to its end: exit code, standard output, standard error.
pub async fn run(args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freshet"));
    command.args(args).envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends").expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

/// Waits until `look` finds what it wants.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// An address to listen at, also after a restart: the host is this process's own, and the port is none of those that the
/// system gives to whoever wants any. Nobody is given it while a node is down.
pub fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 64 | (b % 64), c, d);
    let any = std::iter::repeat_with(|| SocketAddr::from((host, NEXT.fetch_add(1, Ordering::Relaxed))));
    let is_free = |at: &SocketAddr| TcpListener::bind(at).is_ok() && UdpSocket::bind(at).is_ok();
    any.take(1000).find(is_free).expect("a free port").to_string()
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its head, in lower case.
    pub head: String,
    /// The path that it sends us on to.
    pub place: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Gets a URL of the form `http://IP:PORT/PATH` over a connection of its own, through one redirect: the multivariant
/// playlist sends each new viewer on.
pub async fn get(url: &str) -> std::io::Result<Answer> {
    let rest = url.strip_prefix("http://").expect("plain HTTP");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let answer = ask(&mut TcpStream::connect(host).await?, host, &format!("/{path}")).await?;
    match &answer.place {
        Some(place) => ask(&mut TcpStream::connect(host).await?, host, place).await,
        None => Ok(answer),
    }
}

/// Asks for a path over a connection that is there, and reads to its end.
pub async fn ask<S>(socket: &mut S, host: &str, path: &str) -> std::io::Result<Answer>
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut bytes)).await??;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let place = head.lines().find_map(|line| line.strip_prefix("location: ")).filter(|place| place.starts_with('/'));
    let place = place.map(str::to_owned);
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(end + 4);
    if head.contains("transfer-encoding: chunked") {
        body = unchunked(&body);
    }
    Ok(Answer { status, head, place, body })
}

/// RFC 9112 §7.1.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let length = std::str::from_utf8(&bytes[..end]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(length) = length.filter(|&length| length > 0 && end + 2 + length <= bytes.len()) else { break };
        body.extend_from_slice(&bytes[end + 2..end + 2 + length]);
        bytes = bytes.get(end + 4 + length..).unwrap_or_default();
    }
    body
}

/// Waits until a URL answers 200 and the text has `word`; returns the text.
pub async fn text_with(url: &str, word: &str) -> String {
    until(&format!("{word:?} at {url}"), async || {
        let answer = get(url).await.ok()?;
        let text = answer.text();
        (answer.status == 200 && text.contains(word)).then_some(text)
    })
    .await
}

/// The number that follows a tag, as in `#EXT-X-MEDIA-SEQUENCE:7`.
pub fn number_after(text: &str, tag: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(tag)).unwrap_or_else(|| panic!("{tag} in\n{text}"));
    line.split(',').next().and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{tag}{line}"))
}

/// The number of the newest segment that a media playlist lists whole, and its URI; `None` for what is no playlist, as the
/// body of a refusal.
pub fn newest_segment(playlist: &str) -> Option<(u64, String)> {
    if !playlist.starts_with("#EXTM3U") {
        return None;
    }
    let first = number_after(playlist, "#EXT-X-MEDIA-SEQUENCE:");
    let segments: Vec<&str> =
        playlist.lines().filter(|line| line.ends_with(".m4s") && !line.starts_with('#')).collect();
    let last = segments.last()?;
    Some((first + segments.len() as u64 - 1, (*last).to_owned()))
}

/// A real encoder that publishes a test picture and a tone, killed when dropped.
pub struct Encoder(pub Child);

impl Encoder {
    /// Publishes to `rtmp://…/live/KEY`, with a keyframe every two seconds.
    pub fn publish(url: &str) -> Self {
        Self::with_keyframes(url, 60)
    }

    /// The same, with a keyframe every so many of its thirty frames a second.
    pub fn with_keyframes(url: &str, every: u32) -> Self {
        let arguments = "-v error -re -f lavfi -i testsrc2=size=320x180:rate=30 -f lavfi -i sine=frequency=440 \
                         -c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -c:a aac -f flv";
        let child = Command::new("ffmpeg")
            .args(arguments.split_whitespace())
            .args(["-g", &every.to_string(), url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("ffmpeg is installed");
        Self(child)
    }

    /// Sends a signal, by name: `STOP`, `CONT`.
    pub async fn signal(&self, name: &str) {
        signal(self.0.id().expect("it runs"), name).await;
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.0.wait()).await.expect("it ends").expect("it is ours")
    }
}

/// The least room that is wanted in memory: what a test's nodes keep is a fifth of it at most.
const ROOM: u64 = 48 << 20;

/// A directory for what nodes keep: in memory where there is room. They answer when the disk has what they say, and a disk
/// that others write to may take longer for that than anybody waits.
pub fn tempdir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let has_room = rustix::fs::statvfs(memory).is_ok_and(|at| at.f_bavail.saturating_mul(at.f_frsize) >= ROOM);
    let made = if has_room { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// A path as an argument.
pub fn arg(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}
