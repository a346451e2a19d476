//! RTMP: bytes of a TCP connection become messages, messages become what a session means.
//!
//! ```text
//! bytes ──handshake──▶ chunk::ChunkReader ──Message──▶ server::Session ──Output──▶ the shell (origin)
//!                                                      client::Publisher ─Output──▶ the shell (demo, loadtest)
//! ```
//!
//! Adobe's "Real Time Messaging Protocol Chunk Stream" 1.0 is meant wherever a section (§) is named without a document.
//! Reading is our own, and bounded by [`Limits`]; the handshake and what we send are rml_rtmp's.

pub mod amf0;
pub mod chunk;
pub mod client;
mod error;
mod limits;
pub mod server;
mod writer;

pub use error::RtmpError;
pub use limits::Limits;
