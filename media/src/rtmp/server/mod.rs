//! One publisher's connection, seen from the server: bytes ──[`Session`]──▶ [`Output`]s.
//!
//! ```text
//! handshake ▶ connect ▶ createStream ▶ publish ─────▶ accept_publish ▶ media … ▶ FCUnpublish, deleteStream
//!                                      Output::Publish └▶ refuse_publish ▶ (close)         Output::Unpublish
//! ```
//!
//! The shell reads the socket into [`Session::handle`], writes every [`Output::Send`], and answers
//! [`Output::Publish`] when it knows whether the key is good. Commands may come many in one read; peers may leave out
//! whatever doesn't matter here. "The server sends the acknowledgment to the client after receiving bytes equal to the
//! window size" (§5.4.3), counting from the connection's first byte.

mod commands;
mod messages;

use bytes::Bytes;
use rml_rtmp::{
    handshake::{Handshake, HandshakeProcessResult, PeerType},
    messages::{RtmpMessage, UserControlEventType},
};

use super::{
    Limits, RtmpError,
    chunk::{ChunkReader, Message},
    writer::{Call, Writer, object, text},
};
use crate::flv::TagKind;

/// What the shell must do or learns.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Write these bytes.
    Send(Bytes),
    /// The peer has connected to an application.
    Connect(Connect),
    /// The peer asks to publish: answer by [`Session::accept_publish`] or [`Session::refuse_publish`].
    Publish(Publish),
    /// One message of an accepted publish. Never empty. Data messages begin at their name (`onMetaData`, …).
    Media {
        /// What it carries.
        kind: TagKind,
        /// Decode time, milliseconds, wrapping at 2³².
        timestamp_ms: u32,
        /// What [`flv::Demuxer`](crate::flv::Demuxer) takes.
        payload: Bytes,
    },
    /// The peer ends its publish cleanly. It may publish again.
    Unpublish,
}

/// What `connect` said (§7.2.1.1, Enhanced RTMP v2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// The application: `live`.
    pub app: String,
    /// Where the peer thinks it is: `rtmp://host/live`.
    pub tc_url: String,
    /// What the peer calls itself: `FMLE/3.0 (compatible; Lavf59.27.100)`.
    pub encoder: String,
    /// FourCCs the peer offers: `hvc1`, `av01`, …
    pub four_ccs: Vec<String>,
    /// Bits of Enhanced RTMP: 1 reconnect, 2 multitrack, 4 ModEx, 8 timestamp nano offset.
    pub caps_ex: u32,
}

/// What `publish` asked for (§7.2.2.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publish {
    /// The application of `connect`, without its query.
    pub app: String,
    /// The stream key, without its query.
    pub key: String,
    /// What followed the `?` after the key.
    pub query: Option<String>,
}

/// Where a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before `connect`.
    Fresh,
    /// Connected. A publish may have ended before.
    Connected { published: bool },
    /// The shell owes an answer.
    Asked { stream: u32 },
    /// Media flows.
    Publishing { stream: u32 },
    /// We have said the last word: input is read and dropped, so that the peer can read it too.
    Over,
}

/// The server side of one connection.
pub struct Session {
    limits: Limits,
    handshake: Option<Box<Handshake>>,
    reader: ChunkReader,
    messages: Vec<Message>,
    writer: Writer,
    stage: Stage,
    connect: Connect,
    streams: u32,
    /// Bytes received, and how many of them we acknowledged.
    received: u64,
    acknowledged: u64,
    window: u32,
}

impl Session {
    /// A session that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self {
            handshake: Some(Box::new(Handshake::new(PeerType::Server))),
            reader: ChunkReader::new(limits.clone()),
            messages: Vec::new(),
            writer: Writer::new(),
            stage: Stage::Fresh,
            connect: Connect::default(),
            streams: 0,
            received: 0,
            acknowledged: 0,
            window: limits.window,
            limits,
        }
    }

    /// Takes what was read from the socket; appends to `out` what follows from it, in order.
    ///
    /// Never panics, whatever the bytes. Each message is copied once, into memory of its own size. `out` grows by at
    /// most two items a message, so a read of 64 KiB bounds it. What is to be sent before the answer to a publish comes
    /// before [`Output::Publish`].
    ///
    /// # Errors
    /// See [`RtmpError`]: write what `out` holds (it may tell the peer why), then close. The session is then of no use.
    pub fn handle(&mut self, input: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        self.received += input.len() as u64;
        let result = match self.handshake {
            Some(_) => self.shake_hands(input, out),
            None => self.read(input, out),
        };
        let result = result.and_then(|()| self.acknowledge());
        self.flush(out);
        result
    }

    /// Answers [`Output::Publish`] with `NetStream.Publish.Start`; media follows.
    ///
    /// # Errors
    /// [`RtmpError::OutOfOrder`] where no publish waits for an answer.
    pub fn accept_publish(&mut self, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let Stage::Asked { stream } = self.stage else {
            return Err(RtmpError::OutOfOrder { command: "publish", why: "waits for no answer" });
        };
        self.stage = Stage::Publishing { stream };
        self.reader.admit_media();
        self.stream_begin(stream)?;
        self.status(stream, "status", "NetStream.Publish.Start", "publishing")?;
        self.flush(out);
        Ok(())
    }

    /// Answers [`Output::Publish`] with `NetStream.Publish.BadName` and `text`, which encoders show. Whatever the peer
    /// sends then is ignored. Write `out`, wait half a second, close.
    ///
    /// # Errors
    /// [`RtmpError::Write`].
    pub fn refuse_publish(&mut self, text: &str, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        self.end_publish("NetStream.Publish.BadName", text, out)
    }

    /// Ends a running publish with a status of level `error`, this `code` and `text`. Whatever the peer sends then is
    /// ignored. Write `out`, wait half a second, close.
    ///
    /// # Errors
    /// [`RtmpError::Write`].
    pub fn end_publish(&mut self, code: &str, text: &str, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let stream = match self.stage {
            Stage::Asked { stream } | Stage::Publishing { stream } => stream,
            // Without a publish the connection's own stream is all there is to say it on.
            _ => self.streams.min(1),
        };
        self.stage = Stage::Over;
        self.status(stream, "error", code, text)?;
        self.flush(out);
        Ok(())
    }

    /// What `connect` said; empty before.
    pub fn connect(&self) -> &Connect {
        &self.connect
    }

    /// Bytes received on this connection.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether the handshake is done.
    pub fn shaken(&self) -> bool {
        self.handshake.is_none()
    }

    fn shake_hands(&mut self, input: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let Some(handshake) = &mut self.handshake else { return Ok(()) };
        match handshake.process_bytes(input)? {
            HandshakeProcessResult::InProgress { response_bytes } => self.writer.raw(&response_bytes),
            HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                self.handshake = None;
                self.writer.raw(&response_bytes);
                self.read(&remaining_bytes, out)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        if self.stage == Stage::Over {
            return Ok(());
        }
        let mut messages = std::mem::take(&mut self.messages);
        let read = self.reader.push(input, &mut messages);
        let result = messages.drain(..).try_for_each(|message| self.message(message, out));
        self.messages = messages;
        result.and(read)
    }

    /// §5.4.3: running totals, modulo 2³².
    fn acknowledge(&mut self) -> Result<(), RtmpError> {
        if self.handshake.is_some() || self.received - self.acknowledged < self.window.into() {
            return Ok(());
        }
        self.acknowledged = self.received;
        self.writer.message(RtmpMessage::Acknowledgement { sequence_number: self.received as u32 }, 0)
    }

    fn stream_begin(&mut self, stream: u32) -> Result<(), RtmpError> {
        let event = RtmpMessage::UserControl {
            event_type: UserControlEventType::StreamBegin,
            stream_id: Some(stream),
            buffer_length: None,
            timestamp: None,
        };
        self.writer.message(event, 0)
    }

    /// `onStatus` (§7.2.2).
    fn status(&mut self, stream: u32, level: &str, code: &str, words: &str) -> Result<(), RtmpError> {
        let info = object([("level", text(level)), ("code", text(code)), ("description", text(words))]);
        self.writer.command("onStatus", Call::new(stream, 0.0), vec![info])
    }

    fn flush(&mut self, out: &mut Vec<Output>) {
        out.extend(self.writer.take().map(Output::Send));
    }
}
