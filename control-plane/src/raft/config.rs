//! How fast a member reacts and how much it keeps.

use std::{sync::Arc, time::Duration};

use freshet_proto::level::Level;
use openraft::SnapshotPolicy;
use serde::{Deserialize, Serialize};

use super::types::OpenError;
use crate::channel::Times;

/// How a member of the group behaves. The defaults are for voters in one data centre: after a leader's death the next
/// committed write comes within a second or so. For voters in several regions (up to 100 ms apart): 250, 1000, 2000.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How often a leader is heard, in ms. Default 80. Also how long one heartbeat may take.
    pub heartbeat_ms: u64,
    /// After how long a silence, at least, a follower asks for an election once the leader's lease is over, in ms.
    /// Default 240. At least three heartbeats.
    pub election_min_ms: u64,
    /// The same, at most, and the length of the lease, in ms. Default 480. Drawn between the two each time.
    pub election_max_ms: u64,
    /// How long a proposal may wait for a quorum before it counts as unknown, in ms. Default 5,000.
    pub propose_ms: u64,
    /// How long it may take to carry entries to a peer and sync them there, in ms. Default 2,000.
    pub append_ms: u64,
    /// How long it may take to carry a snapshot to a peer and sync it there, in ms. Default 10,000.
    pub snapshot_ms: u64,
    /// How long a new member may take to catch up, in ms. Default 30,000.
    pub join_ms: u64,
    /// After how many entries a snapshot is taken. Default 20,000. The log is in memory, about 300 bytes an entry.
    pub snapshot_after: u64,
    /// How many entries that a snapshot covers stay in the log, so that a member that was away for a moment needs no
    /// snapshot. Default 5,000.
    pub keep_logs: u64,
    /// How long things last in a registry that this member begins. A registry that exists keeps its own. Not a key of its
    /// own: it is configured for the registry.
    #[serde(skip)]
    pub times: Times,
    /// The newest version of the node protocol that this member reads and writes. Not a key of its own: `protocol.at_most`.
    #[serde(skip)]
    pub level: Level,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_ms: 80,
            election_min_ms: 240,
            election_max_ms: 480,
            propose_ms: 5_000,
            append_ms: 2_000,
            snapshot_ms: 10_000,
            join_ms: 30_000,
            snapshot_after: 20_000,
            keep_logs: 5_000,
            times: Times::default(),
            level: Level::NEWEST,
        }
    }
}

/// How many entries one message to a peer carries; with [`super::MAX_PROPOSAL`] they fit into [`super::MAX_BODY`].
pub(super) const MAX_ENTRIES: u64 = 256;

/// How many requests may wait for openraft's core; a further one waits for a place.
const MAX_WAITING: u64 = 4_096;

impl Config {
    /// For how long a leader may trust what a follower said, and so for how long a follower that started anew, and has
    /// forgotten when it said it, keeps quiet.
    pub(super) fn lease(&self) -> Duration {
        Duration::from_millis(self.election_max_ms)
    }

    /// As openraft wants it. `elect` tells whether the member may stand at once.
    ///
    /// Pre-vote keeps a member that was cut off from disturbing the others. Check-quorum is openraft's lease: a leader
    /// that no quorum has heard for `election_max_ms` refuses proposals and reads, and falls silent every other while, so
    /// that followers who hear it without being heard get to elect another. Leadership is not taken up again after a
    /// restart without an election, because the lease was forgotten.
    pub(super) fn openraft(&self, elect: bool) -> Result<Arc<openraft::Config>, OpenError> {
        if self.election_min_ms < 3 * self.heartbeat_ms || self.heartbeat_ms == 0 || self.snapshot_after == 0 {
            return Err(OpenError::Config(
                "heartbeat_ms and snapshot_after must be positive, election_min_ms at least three heartbeats".into(),
            ));
        }
        let config = openraft::Config {
            cluster_name: "freshet".to_owned(),
            heartbeat_interval: self.heartbeat_ms,
            election_timeout_min: self.election_min_ms,
            election_timeout_max: self.election_max_ms,
            install_snapshot_timeout: self.snapshot_ms,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_after),
            max_in_snapshot_log_to_keep: self.keep_logs,
            replication_lag_threshold: self.snapshot_after.saturating_add(self.keep_logs),
            purge_batch_size: (self.keep_logs / 4).max(1),
            max_payload_entries: MAX_ENTRIES,
            api_channel_size: Some(MAX_WAITING),
            notification_channel_size: Some(MAX_WAITING),
            enable_elect: elect,
            quorum_loss_probe_interval: Some(2 * self.election_max_ms),
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            backoff: "50ms 100ms 200ms ...500ms".to_owned(),
            ..openraft::Config::default()
        };
        config.validate().map(Arc::new).map_err(|error| OpenError::Config(error.to_string()))
    }
}
