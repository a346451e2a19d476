//! Chat: hubs at the edges, one order per channel.
//!
//! ```text
//! client's bytes ──▶ ws::Peer ──▶ protocol::Session ──Submit──▶ mesh: home::Home ──Event──▶ protocol::encode
//!               or irc::LineReader, irc::Session                         │                  or irc::Encoder, framed once
//!                             moderation: who may, what is cleaned, refused, held                 ▼
//!                              sockets ◀──(a cursor per subscriber)── fanout::Log ◀───────────────┘
//! ```
//! `hub` joins them: it is what a process runs.

pub mod fanout;
mod hash;
pub mod home;
pub mod hub;
pub mod irc;
pub mod links;
pub mod mesh;
pub mod moderation;
pub mod presence;
pub mod protocol;
pub mod session;
pub mod ws;
