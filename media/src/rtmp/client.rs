//! A publishing client: what `freshet dev --demo` and `loadtest publish` are to an origin.
//!
//! handshake ▶ connect ▶ createStream ▶ publish ▶ [`Output::Started`] ▶ [`Publisher::send`] … ▶ [`Publisher::finish`]

use bytes::Bytes;
use rml_rtmp::{
    handshake::{Handshake, HandshakeProcessResult, PeerType},
    messages::{RtmpMessage, UserControlEventType},
    rml_amf0::Amf0Value,
    time::RtmpTimestamp,
};

use super::{
    Limits, RtmpError,
    amf0::{Decoder, Value},
    chunk::{ChunkReader, Message},
    writer::{Call, Writer, object, text},
};
use crate::flv::TagKind;

/// Where to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The application: `live`.
    pub app: String,
    /// `rtmp://host:port/live`.
    pub tc_url: String,
    /// The stream key.
    pub key: String,
    /// What to call oneself.
    pub encoder: String,
}

/// What the shell must do or learns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Write these bytes.
    Send(Bytes),
    /// The publish is accepted: send media.
    Started,
    /// The server refuses the publish, or ends it.
    Refused {
        /// `NetStream.Publish.BadName`, …
        code: String,
        /// The server's words.
        text: String,
    },
}

/// Publishes one stream over one connection: [`Publisher::start`], then [`Publisher::handle`] whatever comes in, and
/// after [`Output::Started`] [`Publisher::send`].
pub struct Publisher {
    target: Target,
    limits: Limits,
    handshake: Option<Box<Handshake>>,
    reader: ChunkReader,
    messages: Vec<Message>,
    writer: Writer,
    stream: u32,
    started: bool,
}

const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 2.0;
const PUBLISH: f64 = 3.0;
const UNPUBLISH: f64 = 4.0;
const USER_CONTROL: u8 = 4;
const PING: u16 = 6;
const COMMAND: u8 = 20;
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

impl Publisher {
    /// A publisher that has sent nothing.
    pub fn new(target: Target) -> Self {
        let limits = Limits::default();
        Self {
            target,
            handshake: Some(Box::new(Handshake::new(PeerType::Client))),
            reader: ChunkReader::new(limits.clone()),
            messages: Vec::new(),
            writer: Writer::new(),
            stream: 0,
            started: false,
            limits,
        }
    }

    /// Begins the handshake.
    ///
    /// # Errors
    /// [`RtmpError::Handshake`].
    pub fn start(&mut self, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        if let Some(handshake) = &mut self.handshake {
            self.writer.raw(&handshake.generate_outbound_p0_and_p1()?);
        }
        self.flush(out);
        Ok(())
    }

    /// Takes what was read from the socket.
    ///
    /// # Errors
    /// See [`RtmpError`]: close then.
    pub fn handle(&mut self, input: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let result = match &mut self.handshake {
            None => self.read(input, out),
            Some(handshake) => match handshake.process_bytes(input)? {
                HandshakeProcessResult::InProgress { response_bytes } => {
                    self.writer.raw(&response_bytes);
                    Ok(())
                }
                HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                    self.handshake = None;
                    self.writer.raw(&response_bytes);
                    self.connect().and_then(|()| self.read(&remaining_bytes, out))
                }
            },
        };
        self.flush(out);
        result
    }

    /// Sends one message: what an FLV tag of this kind carries. Appends one [`Output::Send`]. An empty payload is left
    /// out.
    ///
    /// # Errors
    /// [`RtmpError::OutOfOrder`] before [`Output::Started`]; [`RtmpError::Write`].
    pub fn send(
        &mut self,
        kind: TagKind,
        timestamp_ms: u32,
        payload: &Bytes,
        out: &mut Vec<Output>,
    ) -> Result<(), RtmpError> {
        if !self.started {
            return Err(RtmpError::OutOfOrder { command: "send", why: "came before the publish was accepted" });
        }
        if kind == TagKind::Data {
            let payload = Bytes::from([SET_DATA_FRAME, payload].concat());
            self.writer.media(kind.type_id(), timestamp_ms, self.stream, &payload)?;
        } else {
            self.writer.media(kind.type_id(), timestamp_ms, self.stream, payload)?;
        }
        self.flush(out);
        Ok(())
    }

    /// Ends the publish cleanly: close once this is written.
    ///
    /// # Errors
    /// [`RtmpError::Write`].
    pub fn finish(&mut self, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        self.writer.command("FCUnpublish", Call::new(0, UNPUBLISH), vec![text(&self.target.key)])?;
        self.writer.command("deleteStream", Call::new(0, 0.0), vec![Amf0Value::Number(self.stream.into())])?;
        self.flush(out);
        Ok(())
    }

    fn connect(&mut self) -> Result<(), RtmpError> {
        let properties = object([
            ("app", text(&self.target.app)),
            ("type", text("nonprivate")),
            ("flashVer", text(&self.target.encoder)),
            ("tcUrl", text(&self.target.tc_url)),
        ]);
        self.writer.chunk_size(self.limits.own_chunk_size)?;
        self.writer.command("connect", Call { stream: 0, transaction: CONNECT, object: properties }, vec![])
    }

    fn read(&mut self, input: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let mut messages = std::mem::take(&mut self.messages);
        let read = self.reader.push(input, &mut messages);
        let result = messages.drain(..).try_for_each(|message| match message.kind {
            COMMAND => self.command(&message.payload, out),
            USER_CONTROL => self.user_control(&message.payload),
            _ => Ok(()),
        });
        self.messages = messages;
        result.and(read)
    }

    fn command(&mut self, payload: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let values = Decoder::new(payload, &self.limits).values()?;
        let name = values.first().and_then(Value::as_str).unwrap_or("");
        let transaction = values.get(1).and_then(Value::as_f64).unwrap_or(0.0);
        let argument = values.get(3).unwrap_or(&Value::Null);
        match name {
            "_result" => self.answered(transaction, argument),
            "_error" => refused(transaction, argument),
            "onStatus" => {
                self.status(argument, out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn answered(&mut self, transaction: f64, argument: &Value) -> Result<(), RtmpError> {
        if transaction == CONNECT {
            let key = text(&self.target.key);
            self.writer.command("releaseStream", Call::new(0, 0.0), vec![key.clone()])?;
            self.writer.command("FCPublish", Call::new(0, 0.0), vec![key])?;
            return self.writer.command("createStream", Call::new(0, CREATE_STREAM), vec![]);
        }
        if transaction == CREATE_STREAM {
            self.stream = argument.as_f64().unwrap_or(1.0).max(1.0) as u32;
            let arguments = vec![text(&self.target.key), text("live")];
            return self.writer.command("publish", Call::new(self.stream, PUBLISH), arguments);
        }
        Ok(())
    }

    fn status(&mut self, information: &Value, out: &mut Vec<Output>) {
        let field = |name| information.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let code = field("code");
        if code == "NetStream.Publish.Start" {
            self.started = true;
            out.push(Output::Started);
        } else if field("level") == "error" {
            out.push(Output::Refused { code, text: field("description") });
        }
    }

    fn user_control(&mut self, payload: &[u8]) -> Result<(), RtmpError> {
        let Some((event, data)) = payload.split_first_chunk() else { return Ok(()) };
        if u16::from_be_bytes(*event) != PING {
            return Ok(());
        }
        let time = data.first_chunk().map_or(0, |time| u32::from_be_bytes(*time));
        let answer = RtmpMessage::UserControl {
            event_type: UserControlEventType::PingResponse,
            stream_id: None,
            buffer_length: None,
            timestamp: Some(RtmpTimestamp::new(time)),
        };
        self.writer.message(answer, 0)
    }

    fn flush(&mut self, out: &mut Vec<Output>) {
        out.extend(self.writer.take().map(Output::Send));
    }
}

fn refused(transaction: f64, information: &Value) -> Result<(), RtmpError> {
    let command = match transaction {
        CONNECT => "connect",
        CREATE_STREAM => "createStream",
        PUBLISH => "publish",
        // releaseStream and FCPublish may well be unknown to a server.
        _ => return Ok(()),
    };
    let text = information.get("description").and_then(Value::as_str).unwrap_or("no reason given").to_owned();
    Err(RtmpError::Answer { command, text })
}
