//! What the client processes are told, and what they tell.
//!
//! ```text
//! parent ──Job──▶ worker ──Joined──▶ ──Go──▶ ──Measuring──▶ … ──Measured──▶ ──Settled──▶ ──Finish──▶ ──Done──▶
//! ```

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use super::wire::Dialect;
use crate::report::Buckets;

/// What one process does.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Number of the process, part of its nonces.
    pub number: u32,
    /// A number of the run, so that the nonces of another are not taken for its own.
    pub run: u64,
    /// What is spoken.
    pub dialect: Dialect,
    /// The hubs; connections take turns.
    pub targets: Vec<Target>,
    /// Source addresses; connections take turns. Empty: the kernel's choice.
    pub sources: Vec<IpAddr>,
    /// How many connections.
    pub subscribers: u32,
    /// The first of them also post: an access token each, or an empty text where none is needed.
    pub senders: Vec<String>,
    /// How much is posted.
    pub pace: Pace,
    /// How many characters a text has, at least.
    pub text_chars: usize,
    /// For so long it is posted before anything is measured.
    pub warm_up_ms: u64,
    /// How long is measured.
    pub duration_ms: u64,
    /// Whether several events may come in one frame.
    pub batch: bool,
    /// Whether a lost connection comes back, at the next hub.
    pub reconnect: bool,
}

/// A hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// For `Host` and the certificate.
    pub host: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// Where its chat is.
    pub path: String,
    /// The channel.
    pub channel: String,
}

/// How much a process posts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// So many messages a second, each due at its time whatever became of the one before.
    Rate(f64),
    /// So many under way: one is until it was acknowledged and all connections of the process have it.
    InFlight(u32),
}

/// What the parent says in between, a JSON line each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    /// Post.
    Go,
    /// The last event that any process saw, or was told of: wait for it, then report.
    Finish(u64),
}

/// How far a process is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Connections come in.
    #[default]
    Joining,
    /// All are in.
    Joined,
    /// Posts go out, and nothing is measured yet.
    WarmingUp,
    /// What happens counts.
    Measuring,
    /// Nothing more is posted.
    Measured,
    /// All that was posted was answered, or has had its time.
    Settled,
    /// The last report.
    Done,
}

/// What a process tells its parent.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// How far it is.
    pub stage: Stage,
    /// Connections that are in the channel.
    pub joined: u64,
    /// Events delivered so far, each connection counted.
    pub deliveries: u64,
    /// Reads that brought them.
    pub reads: u64,
    /// Posts acknowledged so far.
    pub acknowledged: u64,
    /// The greatest number of an event that was seen or acknowledged.
    pub last_seq: u64,
    /// Connections that were lost so far.
    pub disconnects: u64,
    /// The events first seen since the last report.
    pub seen: Vec<Seen>,
    /// The posts acknowledged since the last report.
    pub acked: Vec<Seen>,
    /// Everything, in the last report.
    pub done: Option<Parcel>,
}

/// An event, or a post, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its epoch.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
    /// Of its nonce, or of what it says where it has none.
    pub digest: u64,
}

/// What a process met.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Parcel {
    /// Faults and other things that happened to streams.
    pub counts: Counts,
    /// How long posts took to reach each connection.
    pub delay: Buckets,
    /// How long posts took to be acknowledged.
    pub ack: Buckets,
    /// How long connections were away, from loss to joined again.
    pub away: Buckets,
    /// Posts that were sent, each counted once.
    pub posted: u64,
    /// Posts that were refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// What went wrong with connections, by kind.
    pub errors: BTreeMap<String, u64>,
    /// The longest time without an acknowledgement while some were wanted, in microseconds.
    pub pause_us: u64,
}

/// What happened to streams, summed over connections.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events that came.
    pub deliveries: u64,
    /// How long they were together, in bytes.
    pub bytes: u64,
    /// Events that did not come though no gap was stated.
    pub lost: u64,
    /// Events that came twice.
    pub doubled: u64,
    /// Events in another order than elsewhere, or others than elsewhere.
    pub reordered: u64,
    /// Gaps that were stated.
    pub gaps: u64,
    /// Events that were missing by stated gaps, where it was known how many.
    pub missed: u64,
    /// Events taken back by a newer epoch, as they may be.
    pub taken_back: u64,
    /// Events repeated after a join, as they may be.
    pub repeated: u64,
}

impl Counts {
    /// Adds `more`.
    pub fn add(&mut self, more: &Self) {
        self.deliveries += more.deliveries;
        self.bytes += more.bytes;
        self.lost += more.lost;
        self.doubled += more.doubled;
        self.reordered += more.reordered;
        self.gaps += more.gaps;
        self.missed += more.missed;
        self.taken_back += more.taken_back;
        self.repeated += more.repeated;
    }

    /// Faults of order and delivery.
    pub fn faults(&self) -> u64 {
        self.lost + self.doubled + self.reordered
    }
}
