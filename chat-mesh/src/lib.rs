//! Chat: hubs at the edges, one order per channel.
//!
//! ```text
//! client's bytes ──▶ ws::Peer ──▶ texts
//! framed events  ──▶ fanout::Log ──(a cursor per subscriber)──▶ sockets
//! ```

pub mod fanout;
pub mod ws;
