//! What we send: messages ──[`Writer`]──▶ bytes, by rml_rtmp's message encoding and chunk serializer.

use std::collections::HashMap;

use bytes::Bytes;
use rml_rtmp::{
    chunk_io::ChunkSerializer,
    messages::{MessagePayload, RtmpMessage},
    rml_amf0::Amf0Value,
    time::RtmpTimestamp,
};

use super::RtmpError;

/// Collects what is to be sent until it is [taken](Writer::take).
pub(super) struct Writer {
    serializer: ChunkSerializer,
    chunk_size: u32,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { serializer: ChunkSerializer::new(), chunk_size: 128, buffer: Vec::new() }
    }

    /// What was written since the last call.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.buffer.is_empty() { None } else { Some(std::mem::take(&mut self.buffer).into()) }
    }

    /// Bytes as they are: the handshake's.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Announces the size of our chunks and uses it from there on.
    pub(super) fn chunk_size(&mut self, size: u32) -> Result<(), RtmpError> {
        let packet = self.serializer.set_max_chunk_size(size, RtmpTimestamp::new(0))?;
        self.chunk_size = size;
        self.raw(&packet.bytes);
        Ok(())
    }

    /// A message of the protocol. Where one chunk holds it, it has a full header: some peers need that early on.
    pub(super) fn message(&mut self, message: RtmpMessage, stream: u32) -> Result<(), RtmpError> {
        let payload = message.into_message_payload(RtmpTimestamp::new(0), stream)?;
        self.payload(&payload, payload.data.len() <= self.chunk_size as usize)
    }

    /// A message with its payload as it is.
    pub(super) fn media(&mut self, kind: u8, timestamp_ms: u32, stream: u32, data: &Bytes) -> Result<(), RtmpError> {
        let timestamp = RtmpTimestamp::new(timestamp_ms);
        let payload = MessagePayload { timestamp, type_id: kind, message_stream_id: stream, data: data.clone() };
        self.payload(&payload, false)
    }

    /// A command with its arguments.
    pub(super) fn command(&mut self, name: &str, call: Call, arguments: Vec<Amf0Value>) -> Result<(), RtmpError> {
        self.message(
            RtmpMessage::Amf0Command {
                command_name: name.into(),
                transaction_id: call.transaction,
                command_object: call.object,
                additional_arguments: arguments,
            },
            call.stream,
        )
    }

    fn payload(&mut self, payload: &MessagePayload, full_header: bool) -> Result<(), RtmpError> {
        let packet = self.serializer.serialize(payload, full_header, false)?;
        self.raw(&packet.bytes);
        Ok(())
    }
}

/// What a command has besides its name and arguments.
pub(super) struct Call {
    pub(super) stream: u32,
    pub(super) transaction: f64,
    pub(super) object: Amf0Value,
}

impl Call {
    /// On this message stream, with this transaction id, without a command object.
    pub(super) fn new(stream: u32, transaction: f64) -> Self {
        Self { stream, transaction, object: Amf0Value::Null }
    }
}

/// An object of these properties.
pub(super) fn object<const N: usize>(properties: [(&str, Amf0Value); N]) -> Amf0Value {
    Amf0Value::Object(HashMap::from(properties.map(|(name, value)| (name.to_owned(), value))))
}

/// A text.
pub(super) fn text(value: &str) -> Amf0Value {
    Amf0Value::Utf8String(value.to_owned())
}
