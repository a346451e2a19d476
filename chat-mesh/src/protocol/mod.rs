//! The native protocol of chat: JSON objects over a WebSocket. `docs/chat-protocol.md` tells clients of it;
//! `docs/chat-protocol.schema.json` says what objects look like, and the tests hold every one that we send against it.
//!
//! ```text
//! frame ──client::parse──▶ ClientMessage ──▶ Session ──▶ Output: Verify, Join, Part, Submit, Send, Close
//!                    answers, notices ─────────┘
//! Event ──encode::event──▶ one object, once for all who are in the channel
//! ```
//! Nothing here interprets a text: it is a JSON string, and clients show it as plain text.

pub mod client;
pub mod encode;
mod session;
#[cfg(test)]
mod tests;
mod token;

pub use session::Session;
pub use token::ResumeToken;

pub use crate::session::{Close, Identity, Input, Joined, MAX_CHANNELS, MAX_UNANSWERED, Output};

/// The version of the protocol.
pub const PROTO: u32 = 1;

/// How often a client should send something, in ms, so that its hub knows that it is there.
pub const HEARTBEAT_MS: u64 = 30_000;

/// How many messages one gets on joining where nothing else is asked for, and at most.
pub const HISTORY: u32 = 100;
