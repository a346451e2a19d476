//! What the fan-out did, as sums.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::{Ended, conn::Sent};

/// Sums since the fan-out began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections that are open.
    pub connections: usize,
    /// Frames of logs that were delivered, each reader counted.
    pub deliveries: u64,
    /// Writes that it took; `deliveries / writes` is how well frames were gathered.
    pub writes: u64,
    /// Bytes of logs that sockets took.
    pub bytes: u64,
    /// Gaps that readers were told because they were too slow.
    pub gaps: u64,
    /// Connections that ended because more waited for them than may.
    pub overflowed: u64,
    /// Connections that ended because they took nothing.
    pub stalled: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    pub connections: AtomicUsize,
    deliveries: AtomicU64,
    writes: AtomicU64,
    bytes: AtomicU64,
    gaps: AtomicU64,
    overflowed: AtomicU64,
    stalled: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, sent: Sent) {
        if sent.gaps > 0 {
            self.gaps.fetch_add(sent.gaps as u64, Relaxed);
        }
        if sent.bytes > 0 {
            self.deliveries.fetch_add(sent.frames as u64, Relaxed);
            self.writes.fetch_add(1, Relaxed);
            self.bytes.fetch_add(sent.bytes as u64, Relaxed);
        }
    }

    pub(super) fn ended(&self, why: Ended) {
        self.connections.fetch_sub(1, Relaxed);
        match why {
            Ended::Overflow => drop(self.overflowed.fetch_add(1, Relaxed)),
            Ended::Stalled => drop(self.stalled.fetch_add(1, Relaxed)),
            Ended::Closed | Ended::Gone | Ended::Shutdown => {}
        }
    }

    pub(super) fn add(&self, stats: &mut Stats) {
        stats.connections += self.connections.load(Relaxed);
        stats.deliveries += self.deliveries.load(Relaxed);
        stats.writes += self.writes.load(Relaxed);
        stats.bytes += self.bytes.load(Relaxed);
        stats.gaps += self.gaps.load(Relaxed);
        stats.overflowed += self.overflowed.load(Relaxed);
        stats.stalled += self.stalled.load(Relaxed);
    }
}
