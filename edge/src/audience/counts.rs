//! What is counted of players, as metrics: of all channels together, for their number has no limit that a metric bears.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::session::Happened;

/// The handles; taken once.
pub(super) struct Counts {
    players: Gauge,
    startup: Histogram,
    latency: Histogram,
    played: Seconds,
    stalled: Seconds,
    stalls: Counter,
    errors: Counter,
    dropped_frames: Counter,
    reports: [Counter; 3],
}

/// What became of a body of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its reports were heard.
    Taken,
    /// It could not be read.
    Refused,
    /// Its address tells too much.
    Throttled,
}

/// Seconds, counted in milliseconds.
struct Seconds {
    ms: AtomicU64,
    exported: Counter,
}

impl Counts {
    pub(super) fn new() -> Self {
        let seconds = |exported| Seconds { ms: AtomicU64::new(0), exported };
        Self {
            players: gauge!("freshet_player_sessions"),
            startup: histogram!("freshet_player_startup_seconds"),
            latency: histogram!("freshet_player_latency_seconds"),
            played: seconds(counter!("freshet_player_played_seconds_total")),
            stalled: seconds(counter!("freshet_player_stalled_seconds_total")),
            stalls: counter!("freshet_player_stalls_total"),
            errors: counter!("freshet_player_errors_total"),
            dropped_frames: counter!("freshet_player_dropped_frames_total"),
            reports: ["taken", "refused", "throttled"]
                .map(|result| counter!("freshet_player_reports_total", "result" => result)),
        }
    }

    pub(super) fn count(&self, happened: &Happened, latency_ms: Option<u64>) {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        if let Some(ms) = happened.startup_ms {
            self.startup.record(seconds(ms));
        }
        if let Some(ms) = latency_ms {
            self.latency.record(seconds(ms));
        }
        self.played.add(happened.played_ms);
        self.stalled.add(happened.stalled_ms);
        self.stalls.increment(happened.stalls);
        self.errors.increment(happened.errors);
        self.dropped_frames.increment(happened.dropped_frames);
    }

    pub(super) fn players(&self, players: usize) {
        self.players.set(players as f64);
    }

    /// So many reports, or bodies where they could not be read.
    pub(super) fn reports(&self, outcome: Outcome, count: usize) {
        self.reports[outcome as usize].increment(count as u64);
    }
}

impl Seconds {
    fn add(&self, ms: u64) {
        let all = self.ms.fetch_add(ms, Relaxed).saturating_add(ms);
        self.exported.absolute(all / 1000);
    }
}
