//! What the viewers of one process met.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::report::{Buckets, Distribution, add_counts};

/// Counters and distributions of one process.
#[derive(Default)]
pub struct Stats {
    /// Before this, microseconds since 1970, delays are not recorded: a crowd that is still joining is not the service.
    pub warm_at_us: u64,
    /// Requests answered, whatever the status.
    pub requests: u64,
    /// Body bytes received.
    pub bytes: u64,
    /// Parts received whole.
    pub parts: u64,
    /// Sockets that have begun to play.
    pub joined: u64,
    /// How often a playhead ran dry.
    pub stalls: u64,
    /// For how long altogether, microseconds.
    pub stalled_us: u64,
    /// What went wrong, how often.
    pub errors: BTreeMap<String, u64>,
    /// From connecting to the first part (or first released reload).
    pub join: Distribution,
    /// From the end of a part's last frame, by PROGRAM-DATE-TIME, to its last byte here.
    pub part_delay: Distribution,
    /// The same to the reload that lists it, for viewers that fetch no parts.
    pub reload_delay: Distribution,
}

/// How many different errors are told apart; further ones count as `other`.
const KINDS: usize = 64;

impl Stats {
    /// Counts an error.
    pub fn error(&mut self, kind: String) {
        let known = self.errors.len() < KINDS || self.errors.contains_key(&kind);
        *self.errors.entry(if known { kind } else { "other".to_owned() }).or_default() += 1;
    }

    /// Records that the last byte of a part whose last frame ended at `end_us` came at `now_us`.
    pub fn part_came(&mut self, end_us: u64, now_us: u64) {
        if now_us >= self.warm_at_us {
            self.part_delay.record_us(now_us.saturating_sub(end_us));
        }
    }

    /// Records that the reload which lists a part that ended at `end_us` came at `now_us`.
    pub fn reload_came(&mut self, end_us: u64, now_us: u64) {
        if now_us >= self.warm_at_us {
            self.reload_delay.record_us(now_us.saturating_sub(end_us));
        }
    }

    /// As it travels to the parent process.
    pub fn parcel(&self) -> Parcel {
        Parcel {
            requests: self.requests,
            bytes: self.bytes,
            parts: self.parts,
            joined: self.joined,
            stalls: self.stalls,
            stalled_us: self.stalled_us,
            errors: self.errors.clone(),
            join: self.join.buckets(),
            part_delay: self.part_delay.buckets(),
            reload_delay: self.reload_delay.buckets(),
        }
    }

    /// Adds what another process met.
    pub fn merge(&mut self, parcel: &Parcel) {
        self.requests += parcel.requests;
        self.bytes += parcel.bytes;
        self.parts += parcel.parts;
        self.joined += parcel.joined;
        self.stalls += parcel.stalls;
        self.stalled_us += parcel.stalled_us;
        add_counts(&mut self.errors, &parcel.errors);
        self.join.merge(&parcel.join);
        self.part_delay.merge(&parcel.part_delay);
        self.reload_delay.merge(&parcel.reload_delay);
    }
}

/// [`Stats`] on the way between processes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Parcel {
    pub requests: u64,
    pub bytes: u64,
    pub parts: u64,
    pub joined: u64,
    pub stalls: u64,
    pub stalled_us: u64,
    pub errors: BTreeMap<String, u64>,
    pub join: Buckets,
    pub part_delay: Buckets,
    pub reload_delay: Buckets,
}
