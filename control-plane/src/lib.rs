//! The registry: which channels there are, who may publish to them, who does, and what everybody may know of it.
//!
//! ```text
//! other nodes ──remote──▶ control ──Proposal──▶ raft (log, fsync, quorum) ──▶ machine::Registry ──Delta──▶ feed
//!                                                                                 └──▶ watch::serve ──QUIC──▶ watch::follow
//! ```
//! [`machine`], [`channel`], [`leases`], [`hubs`], [`loads`] and [`log`] do no I/O and read no clock. [`local`] runs the machine alone, on one
//! node's disk. Media never comes here: no command is sent per message, per segment or per viewer.

pub mod accounts;
pub mod api;
pub mod ca;
pub mod channel;
pub mod control;
pub mod feed;
pub mod history;
pub mod hubs;
pub mod join;
pub mod key;
pub mod keys;
pub mod leases;
pub mod loads;
pub mod local;
pub mod log;
pub mod machine;
pub mod raft;
pub mod remote;
pub mod secrets;
pub mod store;
pub mod watch;
