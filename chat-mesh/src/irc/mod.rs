//! Twitch's dialect of IRC. `docs/irc.md` tells authors of bots of it.
//!
//! ```text
//! bytes ──LineReader──▶ line ──parse──▶ Session ──▶ Output: Verify, Join, Part, Submit, Send, Close
//!                            answers, notices ──┘
//! Event ──Encoder──▶ Encoded ──▶ lines once per Format, for all who are in the channel
//!                                  └─ not for the connection that said it: author(event) == Session::mark()
//! ```
//! Nobody is told what they said themselves: clients of Twitch show it when they send it. The nonce of a post names the
//! connection that it came by, so that every hub knows whom an event is not for, and keeps nothing for it.

pub mod encode;
mod notice;
pub mod parse;
mod session;
#[cfg(test)]
mod tests;
mod write;

pub use self::{
    encode::{Encoded, Encoder, Format, author},
    parse::{LineError, LineReader},
    session::Session,
    write::Line,
};

/// What clients of Twitch take for the server's name. tmi.js knows no other.
pub const SERVER: &str = "tmi.twitch.tv";
