//! Why an RTMP connection ends.

use rml_rtmp::{chunk_io::ChunkSerializationError, handshake::HandshakeError, messages::MessageSerializationError};

/// Why a connection can't go on. All but [`RtmpError::Write`] are the peer's doing; it costs only that connection. The
/// remedy is the peer's too: another encoder, or another setting of it, as the text says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RtmpError {
    /// The first bytes are no RTMP handshake: a port scanner, or a client of another protocol (§5.2).
    #[error("not an RTMP handshake: {0}")]
    Handshake(#[from] HandshakeError),
    /// A chunk says "as before" on a chunk stream that had none before (§5.3.1.2).
    #[error("chunk of format {format} on chunk stream {csid}, which has no earlier header")]
    NoEarlierHeader {
        /// The chunk stream.
        csid: u32,
        /// The header format.
        format: u8,
    },
    /// A new message begins where another of the same chunk stream isn't finished.
    #[error("chunk stream {csid}: a new message begins while {missing} bytes of the last are missing")]
    MessageInterrupted {
        /// The chunk stream.
        csid: u32,
        /// What is missing.
        missing: usize,
    },
    /// A message is longer than the limit.
    #[error("message of type {kind} has {length} bytes; at most {limit} are taken")]
    MessageTooLong {
        /// The message type id.
        kind: u8,
        /// Its length.
        length: usize,
        /// [`Limits::message`](super::Limits::message) or [`Limits::command`](super::Limits::command).
        limit: usize,
    },
    /// Unfinished messages hold too much memory.
    #[error("unfinished messages hold more than {limit} bytes")]
    TooMuchUnfinished {
        /// [`Limits::unfinished`](super::Limits::unfinished).
        limit: usize,
    },
    /// Too many chunk streams.
    #[error("more than {limit} chunk streams")]
    TooManyChunkStreams {
        /// [`Limits::chunk_streams`](super::Limits::chunk_streams).
        limit: usize,
    },
    /// Too many message streams.
    #[error("more than {limit} message streams")]
    TooManyMessageStreams {
        /// [`Limits::message_streams`](super::Limits::message_streams).
        limit: u32,
    },
    /// A control message is too short, or its value can't be (§5.4).
    #[error("malformed control message of type {kind}")]
    BadControl {
        /// The message type id.
        kind: u8,
    },
    /// A command that can't be read.
    #[error("unreadable command: {0}")]
    BadCommand(#[from] super::amf0::Amf0Error),
    /// A command that is out of order.
    #[error("'{command}' {why}")]
    OutOfOrder {
        /// The command.
        command: &'static str,
        /// What is wrong with it here.
        why: &'static str,
    },
    /// Audio or video before the publish was accepted.
    #[error("media before the publish was accepted")]
    MediaBeforePublish,
    /// A player. We serve viewers over HTTP.
    #[error("a player asked to play; streams are served over HTTP, not RTMP")]
    Play,
    /// The server refused (client side).
    #[error("the server's answer to '{command}' is an error: {text}")]
    Answer {
        /// What we asked.
        command: &'static str,
        /// What the server says.
        text: String,
    },
    /// Ours: a message could not be written.
    #[error("cannot write a message: {0}")]
    Write(String),
}

impl From<ChunkSerializationError> for RtmpError {
    fn from(error: ChunkSerializationError) -> Self {
        Self::Write(error.to_string())
    }
}

impl From<MessageSerializationError> for RtmpError {
    fn from(error: MessageSerializationError) -> Self {
        Self::Write(error.to_string())
    }
}
