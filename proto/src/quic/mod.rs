//! The node protocol over QUIC: the one module of this crate that does I/O.
//!
//! ```text
//! Identity ─┐
//! Tuning ───┼─▶ Endpoint ──▶ Pool    ──request──▶ Reader      the asking side: one connection per peer
//! Doors ────┘           └──▶ serve() ──Handler──▶ Responder   the answering side: one task per stream
//! ```
//! Both sides prove who they are: TLS 1.3 with certificates of the platform's own CA (RFC 9001 §4.4). A node's name is the
//! first DNS name of its certificate; a node that was removed ([`Endpoint::shut_out`]) is refused and its connections end.
//! They agree on a version of the protocol ([`crate::level`]). Each request has a bidirectional stream of its own (RFC 9000
//! §2), so a slow answer holds up no other. What needs no answer and may be lost goes as a datagram ([`Pool::tell`]). A stream that is reset (RFC 9000 §19.4) or ends short is an error, never a
//! clean end.
//!
//! Everything that is random, tells the time or touches the network comes in through [`Doors`], the socket and the
//! identity's crypto provider, so that a simulation replays byte for byte.

mod agree;
mod datagram;
mod endpoint;
mod error;
mod frame;
mod gauge;
mod identity;
mod passport;
mod pool;
mod serve;
mod silence;
mod stranger;
#[cfg(test)]
mod tests;
mod tuning;

pub use endpoint::{Doors, Endpoint};
pub use error::{QuicError, StreamCode};
pub use frame::{Peer, Reader, Responder, decode, frame, within};
pub use identity::Identity;
pub use pool::Pool;
pub use serve::{Handler, serve};
pub use tuning::Tuning;
