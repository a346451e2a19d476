//! WebSocket (RFC 6455) without I/O: bytes ↔ messages, and what must be answered to them.
//!
//! ```text
//! request ──▶ handshake ──▶ response, subprotocol, bearer token, whether messages may be deflated
//! bytes ──▶ Decoder ──▶ Received ──▶ Peer ──▶ texts for the hub; pongs and closing frames to send
//! payload ──▶ encode (or Deflater) ──▶ a frame, the same for every reader
//! ```
//! Four sentences of the RFCs shape this module:
//! - a server's frames are not masked (RFC 6455 §5.1), so one encoding serves every reader of a channel;
//! - with `server_no_context_takeover` (RFC 7692 §7.1.1.1) a compressed frame depends on none before it, so it is shared too;
//! - `client_no_context_takeover` (§7.1.1.2) is demanded: nothing is kept for a client between its messages;
//! - over HTTP/2 (RFC 8441) only the handshake differs: an extended CONNECT, without key and accept.
//!
//! A [`Decoder`] at rest owns no buffer. While a message arrives it owns at most [`Limits::message_bytes`].

mod close;
mod decode;
pub mod deflate;
pub mod encode;
mod extension;
mod frame;
pub mod handshake;
mod liveness;
mod mask;
mod peer;

pub use self::{
    close::{Close, CloseCode},
    decode::{Decoder, Limits, MAX_MESSAGE_BYTES, Received, Violation},
    deflate::Deflater,
    frame::{MAX_CONTROL_BYTES, Opcode, Role},
    liveness::{Liveness, Patience, Verdict},
    peer::{Closed, Event, Peer},
};
