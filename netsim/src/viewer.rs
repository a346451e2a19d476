//! A viewer of few words: HTTP/1.1 over simulated TCP, one request a connection.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use freshet_media::playlist::read::{Media, Part, parse_media};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::sleep,
};
use turmoil::net::TcpStream;

use crate::trace::Trace;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Where to come again, if the answer says so.
    pub location: Option<String>,
    /// The body, whole.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a viewer has seen of a track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The parts it has, as (segment, part), in the order in which it got them.
    pub parts: Vec<(u64, usize)>,
    /// Bytes of those parts.
    pub bytes: u64,
    /// Answers that were none, and playlists that can't be read.
    pub failures: Vec<String>,
    /// Whether the playlist ended.
    pub ended: bool,
}

/// How long a viewer waits after a failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows `track` (`v0`) of channel `ada` at the edge at `addr` as a player does: blocking reloads, then each part that
/// is new. Writes what it sees to `report` until the playlist ends or the caller leaves.
pub async fn watch(addr: SocketAddr, track: &str, trace: &Trace, report: impl Fn(&Seen)) {
    let mut seen = Seen::default();
    let mut query = String::new();
    while !seen.ended {
        let path = format!("/live/ada/{track}.m3u8{query}");
        match playlist(addr, &path, trace).await {
            Ok(media) => {
                take_parts(addr, &media, trace, &mut seen).await;
                query = next_query(&media);
                seen.ended = media.ended;
            }
            Err(why) => {
                seen.failures.push(format!("{path}: {why}"));
                sleep(PAUSE).await;
            }
        }
        report(&seen);
    }
}

async fn playlist(addr: SocketAddr, path: &str, trace: &Trace) -> Result<Media, String> {
    let reply = get(addr, path, trace).await.map_err(|error| error.to_string())?;
    if reply.status != 200 {
        return Err(reply.status.to_string());
    }
    parse_media(&reply.body).map_err(|error| format!("{error:?} in {}", reply.text()))
}

/// Asks for the part after the last one listed (draft-pantos-hls-rfc8216bis §6.2.5.2).
pub fn next_query(media: &Media) -> String {
    let msn = media.media_sequence + media.skipped + media.segments.len() as u64;
    let part = media.open.as_ref().map_or(0, |open| open.parts.len());
    format!("?_HLS_msn={msn}&_HLS_part={part}")
}

/// The parts that a playlist lists, oldest first, each with the number of its segment and its place in it.
pub fn listed(media: &Media) -> Vec<((u64, usize), &Part)> {
    let first = media.media_sequence + media.skipped;
    let whole = media.segments.iter().map(|segment| &segment.parts);
    let all = whole.chain(media.open.iter().map(|open| &open.parts)).zip(first..);
    all.flat_map(|(parts, msn)| parts.iter().enumerate().map(move |(i, part)| ((msn, i), part))).collect()
}

async fn take_parts(addr: SocketAddr, media: &Media, trace: &Trace, seen: &mut Seen) {
    for (at, part) in listed(media) {
        if part.gap || seen.parts.last().is_some_and(|last| at <= *last) {
            continue;
        }
        match get(addr, &format!("/live/ada/{}", part.uri), trace).await {
            Ok(reply) if reply.status == 200 => {
                seen.parts.push(at);
                seen.bytes += reply.body.len() as u64;
            }
            Ok(reply) => seen.failures.push(format!("{}: {}", part.uri, reply.status)),
            Err(error) => seen.failures.push(format!("{}: {error}", part.uri)),
        }
    }
}

/// Gets `path` from the edge at `addr` and notes the answer in the trace.
///
/// # Errors
/// What the socket says; [`io::ErrorKind::UnexpectedEof`] when the body ends short.
pub async fn get(addr: SocketAddr, path: &str, trace: &Trace) -> io::Result<Reply> {
    let mut tcp = TcpStream::connect(addr).await?;
    let me = tcp.local_addr()?;
    tcp.write_all(format!("GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).await?;
    trace.note(path, addr, me, &bytes);
    parse(bytes)
}

fn parse(bytes: Vec<u8>) -> io::Result<Reply> {
    let bad = |why: &'static str| io::Error::new(io::ErrorKind::InvalidData, why);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").ok_or(bad("no head"))?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).ok_or(bad("no status"))?;
    let location = header(&head, "location").map(ToOwned::to_owned);
    let body = Bytes::from(bytes).slice(end + 4..);
    match header(&head, "content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) if length != body.len() => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(_) => Ok(Reply { status, location, body }),
        None if header(&head, "transfer-encoding") == Some("chunked") => {
            Ok(Reply { status, location, body: dechunk(&body)? })
        }
        None => Ok(Reply { status, location, body }),
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// RFC 9112 §7.1.
fn dechunk(mut bytes: &[u8]) -> io::Result<Bytes> {
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n").ok_or_else(short)?;
        let size = std::str::from_utf8(&bytes[..line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let size = size.ok_or_else(short)?;
        let chunk = bytes.get(line + 2..line + 2 + size).ok_or_else(short)?;
        if size == 0 {
            return Ok(body.into());
        }
        body.extend_from_slice(chunk);
        bytes = bytes.get(line + 4 + size..).ok_or_else(short)?;
    }
}
