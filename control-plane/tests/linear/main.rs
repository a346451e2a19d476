//! Claims under partition, pause and crash: what clients were told of each channel is what they could have been told by one
//! registry, doing one thing at a time.
//!
//! ```text
//! client × 5 ──▶ three members over the mesh of tests/raft ◀── nemesis
//!     └── history ──▶ checker, over spec
//! ```
//! A pause lets a member's messages wait, not its timers: the members share one paused clock here.
//!
//! The same seed gives the same history: openraft's tasks draw from it, and the readers of its `watch` channels wake in the
//! order in which they began to wait.

mod checker;
mod checker_tests;
mod client;
#[path = "../raft/cluster.rs"]
#[allow(dead_code, reason = "tests/raft uses the rest")]
mod cluster;
#[path = "../raft/disk.rs"]
#[allow(dead_code, reason = "tests/raft uses the rest")]
mod disk;
mod history;
mod nemesis;
mod runs;
mod spec;
