//! What can go wrong between two nodes, whose doing it is and what to do.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{ConnectError, ConnectionError, ReadError, VarInt, WriteError};

use crate::level::Level;

/// Why a request between nodes failed. Cheap to clone, so that everybody who waits for one answer can be told.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum QuicError {
    /// Ours, at start: the certificate, its key or the CA's certificate is unusable. The remedy: issue them again
    /// (`freshet ca issue`).
    #[error("this node's certificate is unusable: {0}; issue it again with `freshet ca issue`")]
    Identity(String),
    /// Ours, at start: the socket could not be bound.
    #[error("cannot listen on udp {addr}: {source}; choose another address or stop whoever has it")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: Arc<std::io::Error>,
    },
    /// The peer's or the network's: no connection. It is tried again no sooner than in `retry_in`.
    #[error("cannot reach {server_name} at {peer}: {why}; trying again in {retry_in:?}")]
    Unreachable {
        /// Its address.
        peer: SocketAddr,
        /// Its name.
        server_name: String,
        /// What happened.
        why: String,
        /// When the next attempt may be made.
        retry_in: Duration,
    },
    /// Ours: connections to more peers than [`super::Pool::MAX_PEERS`] were asked for.
    #[error("connected to {0} peers already; raise no more requests to new ones")]
    TooManyPeers(usize),
    /// The peer's or the network's: the connection ended while it was in use. Ask again.
    #[error("the connection was lost: {0}")]
    Lost(ConnectionError),
    /// The peer gave this stream up, for the reason that the code tells.
    #[error("the peer gave the stream up: {0}")]
    Reset(StreamCode),
    /// The peer's: the stream ended before all that was announced had come.
    #[error("the stream ended {missing} bytes short")]
    Short {
        /// How many bytes were announced and did not come.
        missing: u64,
    },
    /// The peer's: it sent more than was announced.
    #[error("the stream goes on after all that was announced")]
    Trailing,
    /// The peer's: a frame or payload beyond its limit.
    #[error("{length} bytes were announced, {limit} are allowed")]
    TooLong {
        /// The announced length.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// The peer's: it shows no certificate and asks what only nodes may ask.
    #[error("it shows no certificate; join the platform first (`freshet node join`)")]
    Stranger,
    /// The peer's: it is too old for what is asked. The remedy: upgrade it.
    #[error("it speaks version {spoken} of the node protocol, this needs {needed}: upgrade it")]
    Older {
        /// What it speaks with us.
        spoken: Level,
        /// Since which version this can be asked.
        needed: Level,
    },
    /// The peer's: a frame that is no message. The remedy: run versions that are at most one apart.
    #[error("a frame cannot be read ({0}); the nodes' versions may be too far apart")]
    Malformed(postcard::Error),
    /// The peer's or the network's: nothing came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// Nobody's: this node is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

/// Why a stream was given up; the application error code of `RESET_STREAM` and `STOP_SENDING` (RFC 9000 §20.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamCode {
    /// 0: the answer is not wanted any more.
    Unwanted,
    /// 1: the handler failed or left without finishing.
    Failed,
    /// 2: the request could not be read, was too long or came too late.
    BadRequest,
    /// 3: more streams of its class are open than allowed. Ask again later.
    Busy,
    /// 4: the node is shutting down. Ask another.
    ShuttingDown,
    /// 5: the asker was removed from the platform.
    Removed,
    /// 6: the two share no version of the protocol.
    NoVersion,
    /// Any other code.
    Other(u64),
}

impl StreamCode {
    /// As it goes on the wire.
    pub fn code(self) -> VarInt {
        match self {
            Self::Unwanted => VarInt::from_u32(0),
            Self::Failed => VarInt::from_u32(1),
            Self::BadRequest => VarInt::from_u32(2),
            Self::Busy => VarInt::from_u32(3),
            Self::ShuttingDown => VarInt::from_u32(4),
            Self::Removed => VarInt::from_u32(5),
            Self::NoVersion => VarInt::from_u32(6),
            Self::Other(code) => VarInt::from_u64(code).unwrap_or(VarInt::MAX),
        }
    }
}

impl From<VarInt> for StreamCode {
    fn from(code: VarInt) -> Self {
        match code.into_inner() {
            0 => Self::Unwanted,
            1 => Self::Failed,
            2 => Self::BadRequest,
            3 => Self::Busy,
            4 => Self::ShuttingDown,
            5 => Self::Removed,
            6 => Self::NoVersion,
            other => Self::Other(other),
        }
    }
}

impl std::fmt::Display for StreamCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unwanted => f.write_str("not wanted any more"),
            Self::Failed => f.write_str("it failed to answer"),
            Self::BadRequest => f.write_str("it could not read the request"),
            Self::Busy => f.write_str("it has too many such streams open"),
            Self::ShuttingDown => f.write_str("it is shutting down"),
            Self::Removed => f.write_str("this node was removed from the platform"),
            Self::NoVersion => f.write_str("it speaks other versions of the protocol"),
            Self::Other(code) => write!(f, "code {code}"),
        }
    }
}

impl From<ConnectionError> for QuicError {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(error)
    }
}

impl From<ReadError> for QuicError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Reset(code.into()),
            ReadError::ConnectionLost(error) => Self::Lost(error),
            ReadError::ClosedStream | ReadError::IllegalOrderedRead | ReadError::ZeroRttRejected => {
                Self::Reset(StreamCode::Unwanted)
            }
        }
    }
}

impl From<WriteError> for QuicError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(code) => Self::Reset(code.into()),
            WriteError::ConnectionLost(error) => Self::Lost(error),
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Reset(StreamCode::Unwanted),
        }
    }
}

/// Says why a connection could not be made, in words that tell what to do.
pub(super) fn why_not(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TimedOut => "no answer".to_owned(),
        ConnectionError::TransportError(error) => format!("its handshake is not acceptable: {error}"),
        ConnectionError::ApplicationClosed(close) if !close.reason.is_empty() => {
            format!("it closed the connection: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::ConnectionClosed(close) => format!("it refused us: {close}"),
        other => other.to_string(),
    }
}

/// Says why a connection could not even be tried.
pub(super) fn why_not_tried(error: &ConnectError) -> String {
    format!("not tried: {error}")
}
