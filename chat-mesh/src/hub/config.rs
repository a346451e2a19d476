//! What can be set.

use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use crate::{fanout, ws::Patience};

/// Limits and deadlines of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many connections are taken.
    pub connections: usize,
    /// How many connections are taken from one address, or one /64 of IPv6.
    pub connections_per_address: usize,
    /// Pages of these origins may connect beside the platform's own: as `https://example.org`, or `*` for all.
    pub origins: Vec<String>,
    /// How many threads chat has for itself; 0 for one in two cores, at least one.
    pub threads: usize,
    /// How long a client waits for a channel that can't be read at present.
    pub join_timeout_ms: u64,
    /// How long a connection may be in no channel.
    pub idle_timeout_ms: u64,
    /// After how much silence a client is pinged.
    pub ping_after_ms: u64,
    /// How long it may then be silent.
    pub pong_timeout_ms: u64,
    /// How much a channel's log holds at most, in bytes, for each wire format that is read.
    pub log_bytes: usize,
    /// How many frames it holds at most.
    pub log_frames: usize,
    /// How far behind, in ms, a reader may be that can't keep up, before it is told a gap.
    pub patience_ms: u64,
    /// How long a client may take nothing while there is something for it.
    pub stall_timeout_ms: u64,
    /// How long events are gathered for those who take several in one frame.
    pub batch_ms: u64,
    /// How hard messages are compressed for clients that want it, 1 to 9; 0 for not at all.
    pub deflate_level: u32,
    /// Within how many ms clients should come back when the hub goes away; each is told another moment.
    pub reconnect_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: 120_000,
            connections_per_address: 2_000,
            origins: Vec::new(),
            threads: 0,
            join_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            ping_after_ms: 45_000,
            pong_timeout_ms: 20_000,
            log_bytes: 1 << 20,
            log_frames: 2048,
            patience_ms: 3_000,
            stall_timeout_ms: 30_000,
            batch_ms: 20,
            deflate_level: 6,
            reconnect_ms: 5_000,
        }
    }
}

impl Config {
    pub(super) fn fanout(&self) -> fanout::Config {
        fanout::Config {
            connections: self.connections,
            log_bytes: self.log_bytes,
            log_frames: self.log_frames,
            patience: Duration::from_millis(self.patience_ms),
            stall: Duration::from_millis(self.stall_timeout_ms),
            ..fanout::Config::default()
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            ping_after: Duration::from_millis(self.ping_after_ms),
            pong_within: Duration::from_millis(self.pong_timeout_ms),
        }
    }
}
