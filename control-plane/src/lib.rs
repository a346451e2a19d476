//! The registry: which channels there are, who may publish to them, who does, and what everybody may know of it.
//!
//! ```text
//! Commands ──▶ local (task) ──Input──▶ machine::Registry ──▶ log (fsync) ──▶ replies
//!                                              └──Delta──▶ feed ──▶ watch::serve ──QUIC──▶ watch::follow ──▶ view
//! ```
//! [`machine`], [`channel`] and [`log`] do no I/O and read no clock. [`local`] runs the machine alone, on one origin's
//! disk. Media never comes here: no command is sent per message, per segment or per viewer.

pub mod ca;
pub mod channel;
pub mod feed;
pub mod key;
pub mod local;
pub mod log;
pub mod machine;
pub mod raft;
pub mod store;
pub mod watch;
