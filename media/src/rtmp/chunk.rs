//! Reads the chunk stream: bytes ──[`ChunkReader`]──▶ whole [`Message`]s (§5.3).
//!
//! Each chunk stream assembles its own message, so that they may interleave: "each chunk that is created has a unique
//! chunk ID associated with it" and "the receiver … assembles the chunks back to messages" (§5.3). Set Chunk Size and
//! Abort (§5.4.1, §5.4.2) act here and are not passed on. Two things the text leaves open, and encoders do both ways:
//!
//! - The extended timestamp "is present in Type 3 chunks when the most recent Type 0, 1, or 2 chunk for the same chunk
//!   stream ID indicated the presence of an extended timestamp field" (§5.3.1.3). Old librtmp leaves it out. So four
//!   bytes that equal it are it, and other bytes are payload.
//! - A type 0 header in the middle of a message that repeats the message's header goes on with that message.
//!
//! Memory follows the bytes received, never the length a header claims.

use bytes::Bytes;

use super::{Limits, RtmpError};

/// A message, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Message type id (§5.4, §7.1): 8 audio, 9 video, 18 data, 20 command, …
    pub kind: u8,
    /// The message stream, as `createStream` numbered it; 0 is the connection.
    pub stream: u32,
    /// Milliseconds, wrapping at 2³².
    pub timestamp_ms: u32,
    /// The payload, in memory of just its size.
    pub payload: Bytes,
}

/// The reader of one connection.
#[derive(Debug)]
pub struct ChunkReader {
    limits: Limits,
    chunk_size: usize,
    /// Few, and found by looking through them: a map costs more.
    streams: Vec<ChunkStream>,
    /// Where the rest of a chunk's payload goes: index into `streams`, bytes missing.
    payload: Option<(usize, usize)>,
    /// The start of a header whose end has not come yet: below [`HEADER`] bytes.
    carry: Vec<u8>,
    unfinished: usize,
    media: bool,
}

/// What the last headers of a chunk stream said, and its unfinished message.
#[derive(Debug, Default)]
struct ChunkStream {
    csid: u32,
    timestamp: u32,
    delta: u32,
    extended: Option<u32>,
    length: usize,
    kind: u8,
    stream: u32,
    begun: bool,
    payload: Vec<u8>,
}

/// A chunk header as it stands on the wire.
#[derive(Debug)]
struct Header {
    csid: u32,
    format: u8,
    /// The timestamp field or, where that says so, the extended one. Type 3 has none.
    time: u32,
    extended: Option<u32>,
    /// Formats 0 and 1: message length and type.
    message: Option<(usize, u8)>,
    /// Format 0.
    stream: Option<u32>,
}

/// The longest header: basic 3, message 11, extended timestamp 4 (§5.3.1).
const HEADER: usize = 18;
const EXTENDED: u32 = 0xFF_FFFF;
const SET_CHUNK_SIZE: u8 = 1;
const ABORT: u8 = 2;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA: u8 = 18;
const AGGREGATE: u8 = 22;
/// What is set aside for a message before any of it came.
const FIRST_ALLOCATION: usize = 4096;

impl ChunkReader {
    /// A reader at the first byte after the handshake, with chunks of 128 bytes (§5.4.1).
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            chunk_size: 128,
            streams: Vec::new(),
            payload: None,
            carry: Vec::new(),
            unfinished: 0,
            media: false,
        }
    }

    /// From now on audio, video and data messages may be as long as [`Limits::message`], not only [`Limits::command`].
    pub fn admit_media(&mut self) {
        self.media = true;
    }

    /// Bytes of memory held for unfinished messages and headers.
    pub fn memory(&self) -> usize {
        self.streams.iter().map(|stream| stream.payload.capacity()).sum::<usize>() + self.carry.capacity()
    }

    /// Takes what was read from the socket; appends every message it completes, in the order of completion. Splitting
    /// the input elsewhere gives the same messages.
    ///
    /// # Errors
    /// The peer's, see [`RtmpError`]. The messages before it are in `out`; the reader is of no use then.
    pub fn push(&mut self, mut input: &[u8], out: &mut Vec<Message>) -> Result<(), RtmpError> {
        while !self.carry.is_empty() && !input.is_empty() {
            let held = self.carry.len();
            let lent = input.len().min(HEADER);
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(&input[..lent]);
            let used = self.run(&joined, out)?;
            match used.checked_sub(held) {
                Some(used) => input = &input[used..],
                None => {
                    joined.drain(..used);
                    self.carry = joined;
                    input = &input[lent..];
                }
            }
        }
        let used = self.run(input, out)?;
        self.carry.extend_from_slice(&input[used..]);
        Ok(())
    }

    /// Reads as far as whole headers reach; returns how far.
    fn run(&mut self, input: &[u8], out: &mut Vec<Message>) -> Result<usize, RtmpError> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let finished = match self.payload {
                Some(_) if rest.is_empty() => return Ok(at),
                Some((index, missing)) => {
                    let taken = missing.min(rest.len());
                    at += taken;
                    self.take(index, missing, &rest[..taken])?
                }
                None => match self.header(rest)? {
                    None => return Ok(at),
                    Some((header, length)) => {
                        at += length;
                        self.begin_chunk(header)?
                    }
                },
            };
            if let Some(index) = finished {
                let message = self.finish(index);
                self.act_or_deliver(message, out)?;
            }
        }
    }

    /// Parses the header at the start of `bytes`, with its length; `None`: more is needed.
    fn header(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, RtmpError> {
        let Some((format, csid, basic)) = basic_header(bytes) else { return Ok(None) };
        if format == 3 {
            return self.type_3(csid, &bytes[basic..]).map(|found| found.map(|(header, n)| (header, basic + n)));
        }
        Ok(message_header(format, csid, &bytes[basic..]).map(|(header, n)| (header, basic + n)))
    }

    fn type_3(&self, csid: u32, rest: &[u8]) -> Result<Option<(Header, usize)>, RtmpError> {
        let Some(stream) = self.streams.iter().find(|stream| stream.csid == csid) else {
            return Err(RtmpError::NoEarlierHeader { csid, format: 3 });
        };
        let header = Header { csid, format: 3, time: 0, extended: stream.extended, message: None, stream: None };
        let Some(extended) = stream.extended else { return Ok(Some((header, 0))) };
        // As soon as one byte differs it is payload, so that the end of a message isn't held back.
        let expected = extended.to_be_bytes();
        let alike = expected.iter().zip(rest).take_while(|(a, b)| a == b).count();
        Ok(match alike {
            4 => Some((header, 4)),
            alike if alike == rest.len() => None,
            _ => Some((header, 0)),
        })
    }

    /// Enters a chunk; returns the stream whose message is complete already, being empty.
    fn begin_chunk(&mut self, header: Header) -> Result<Option<usize>, RtmpError> {
        let index = self.stream(&header)?;
        let stream = &mut self.streams[index];
        if stream.begun {
            stream.check_continues(&header)?;
        } else {
            stream.begin(&header);
            self.check_length(index)?;
        }
        let stream = &self.streams[index];
        let missing = stream.length - stream.payload.len();
        if missing == 0 {
            return Ok(Some(index));
        }
        self.payload = Some((index, missing.min(self.chunk_size)));
        Ok(None)
    }

    fn stream(&mut self, header: &Header) -> Result<usize, RtmpError> {
        if let Some(index) = self.streams.iter().position(|stream| stream.csid == header.csid) {
            return Ok(index);
        }
        // librtmp begins its control stream with type 1, which says all but the message stream: 0 then.
        if header.message.is_none() {
            return Err(RtmpError::NoEarlierHeader { csid: header.csid, format: header.format });
        }
        let limit = self.limits.chunk_streams;
        if self.streams.len() >= limit {
            return Err(RtmpError::TooManyChunkStreams { limit });
        }
        self.streams.push(ChunkStream { csid: header.csid, ..ChunkStream::default() });
        Ok(self.streams.len() - 1)
    }

    fn check_length(&self, index: usize) -> Result<(), RtmpError> {
        let stream = &self.streams[index];
        let is_media = matches!(stream.kind, AUDIO | VIDEO | DATA | AGGREGATE);
        let limit = if self.media && is_media { self.limits.message } else { self.limits.command };
        if stream.length > limit {
            return Err(RtmpError::MessageTooLong { kind: stream.kind, length: stream.length, limit });
        }
        Ok(())
    }

    /// Takes payload of the current chunk; returns its stream if that completes the message.
    fn take(&mut self, index: usize, missing: usize, bytes: &[u8]) -> Result<Option<usize>, RtmpError> {
        let limit = self.limits.unfinished;
        self.unfinished += bytes.len();
        if self.unfinished > limit {
            return Err(RtmpError::TooMuchUnfinished { limit });
        }
        let stream = &mut self.streams[index];
        stream.append(bytes);
        self.payload = Some((index, missing - bytes.len())).filter(|(_, missing)| *missing > 0);
        Ok((stream.payload.len() == stream.length).then_some(index))
    }

    fn finish(&mut self, index: usize) -> Message {
        let stream = &mut self.streams[index];
        stream.begun = false;
        let payload = std::mem::take(&mut stream.payload);
        self.unfinished -= payload.len();
        Message {
            kind: stream.kind,
            stream: stream.stream,
            timestamp_ms: stream.timestamp,
            payload: Bytes::from(payload),
        }
    }

    fn act_or_deliver(&mut self, message: Message, out: &mut Vec<Message>) -> Result<(), RtmpError> {
        match message.kind {
            SET_CHUNK_SIZE => self.set_chunk_size(control_value(&message)?)?,
            ABORT => self.abort(control_value(&message)?),
            _ => out.push(message),
        }
        Ok(())
    }

    /// §5.4.1. Applies to chunks that begin from now on, also those of messages already begun.
    fn set_chunk_size(&mut self, size: u32) -> Result<(), RtmpError> {
        // "The first bit … MUST be zero": senders that set it mean the rest.
        match size & 0x7FFF_FFFF {
            0 => Err(RtmpError::BadControl { kind: SET_CHUNK_SIZE }),
            size => {
                self.chunk_size = size.min(self.limits.chunk_size).max(1) as usize;
                Ok(())
            }
        }
    }

    /// §5.4.2: the partial message of a chunk stream is discarded.
    fn abort(&mut self, csid: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == csid) {
            self.unfinished -= stream.payload.len();
            stream.payload = Vec::new();
            stream.begun = false;
        }
    }
}

impl ChunkStream {
    /// Begins a message with what `header` says anew (§5.3.1.2).
    fn begin(&mut self, header: &Header) {
        if let Some((length, kind)) = header.message {
            (self.length, self.kind) = (length, kind);
        }
        if let Some(stream) = header.stream {
            self.stream = stream;
        }
        match header.format {
            0 => {
                self.timestamp = header.time;
                // "If a Type 3 chunk follows a Type 0 chunk, then the timestamp delta … is the same as the timestamp of
                // the Type 0 chunk" (§5.3.1.2.4). From 4.6 h on nobody can mean that: the stream would jump by as much.
                self.delta = if header.extended.is_some() { 0 } else { header.time };
            }
            1 | 2 => self.delta = header.time,
            _ => {}
        }
        if header.format != 0 {
            self.timestamp = self.timestamp.wrapping_add(self.delta);
        }
        self.extended = header.extended;
        self.begun = true;
    }

    /// In the middle of a message only type 3 may come, or the message's own type 0 header again.
    fn check_continues(&self, header: &Header) -> Result<(), RtmpError> {
        let again = header.format == 0
            && header.time == self.timestamp
            && header.message == Some((self.length, self.kind))
            && header.stream == Some(self.stream);
        if header.format == 3 || again {
            return Ok(());
        }
        Err(RtmpError::MessageInterrupted { csid: self.csid, missing: self.length - self.payload.len() })
    }

    /// Grows by doubling, never beyond the message's length, so that the finished payload fills its memory.
    fn append(&mut self, bytes: &[u8]) {
        let needed = self.payload.len() + bytes.len();
        if needed > self.payload.capacity() {
            let target = self.length.min((2 * needed).max(FIRST_ALLOCATION));
            self.payload.reserve_exact(target - self.payload.len());
        }
        self.payload.extend_from_slice(bytes);
    }
}

/// §5.3.1.1: format, chunk stream id, length.
fn basic_header(bytes: &[u8]) -> Option<(u8, u32, usize)> {
    let first = *bytes.first()?;
    let format = first >> 6;
    match first & 0x3F {
        0 => Some((format, 64 + u32::from(*bytes.get(1)?), 2)),
        1 => Some((format, 64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?), 3)),
        csid => Some((format, csid.into(), 1)),
    }
}

/// §5.3.1.2.1 to §5.3.1.2.3 and §5.3.1.3: the header after the basic header, its length.
fn message_header(format: u8, csid: u32, bytes: &[u8]) -> Option<(Header, usize)> {
    let length = match format {
        0 => 11,
        1 => 7,
        _ => 3,
    };
    let (fields, rest) = bytes.split_at_checked(length)?;
    let field = u24(fields);
    let extended = if field == EXTENDED { Some(u32::from_be_bytes(*rest.first_chunk()?)) } else { None };
    let header = Header {
        csid,
        format,
        time: extended.unwrap_or(field),
        extended,
        message: fields.get(3..7).map(|bytes| (u24(bytes) as usize, bytes[3])),
        // "Message stream ID is stored in little-endian format."
        stream: fields.get(7..11).and_then(|bytes| bytes.first_chunk()).map(|bytes| u32::from_le_bytes(*bytes)),
    };
    Some((header, length + if extended.is_some() { 4 } else { 0 }))
}

fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().take(3).fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// The 32-bit value of a control message.
pub(super) fn control_value(message: &Message) -> Result<u32, RtmpError> {
    let bytes = message.payload.first_chunk().ok_or(RtmpError::BadControl { kind: message.kind })?;
    Ok(u32::from_be_bytes(*bytes))
}
