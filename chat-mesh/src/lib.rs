//! Chat: hubs at the edges, one order per channel.
//!
//! ```text
//! client's bytes ──▶ ws::Peer ──▶ protocol::Session ──Submit──▶ home::Home ──Event──▶ protocol::encode
//!               or irc::LineReader, irc::Session                   │                   or irc::Encoder, framed once
//!                       moderation: who may, what is cleaned, refused, held                 ▼
//!                        sockets ◀──(a cursor per subscriber)── fanout::Log ◀───────────────┘
//! ```
//! Each part is complete by itself; nothing joins them yet.

pub mod fanout;
pub mod home;
pub mod irc;
pub mod moderation;
pub mod protocol;
pub mod session;
pub mod ws;
