//! What the client processes are told, and what they tell.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{stats::Parcel, viewer::Behaviour};

/// What one process does.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Where to connect, with the path of the multivariant playlist; sockets take turns.
    pub targets: Vec<Target>,
    /// Source addresses; sockets take turns. Empty: the kernel's choice.
    pub sources: Vec<IpAddr>,
    /// How many sockets, and which track of the index each follows: socket `i` takes `tracks[i % tracks.len()]`.
    pub sockets: u32,
    /// See `sockets`.
    pub tracks: Vec<usize>,
    /// What viewers do.
    pub behaviour: Behaviour,
    /// Over how long they join.
    pub ramp_ms: u64,
    /// From when on delays are recorded.
    pub warm_up_ms: u64,
    /// After how long, about, a viewer leaves and another comes in its place; 0: never.
    pub stay_ms: u64,
    /// How long the whole takes.
    pub duration_ms: u64,
    /// One part body in this many is hashed; 0: none.
    pub hash_every: u32,
}

/// An edge.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// For `Host` and the certificate.
    pub host: String,
    /// Whether to speak TLS.
    pub tls: bool,
    /// Path of the multivariant playlist.
    pub path: String,
}

/// What a process tells its parent.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Open connections.
    pub open: u64,
    /// Requests answered so far.
    pub requests: u64,
    /// Parts received so far.
    pub parts: u64,
    /// Sockets that have begun to play.
    pub joined: u64,
    /// Errors so far.
    pub errors: u64,
    /// Sessions of playback that there are.
    pub watching: u64,
    /// Bodies hashed since the last report: path and hash.
    pub hashes: Vec<(String, String)>,
    /// Everything, in the last report.
    pub done: Option<Parcel>,
}
