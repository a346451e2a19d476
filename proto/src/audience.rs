//! How a channel's viewers fare, as their players tell: what an edge tells the leader every 2 s, without a word of who they are.
//!
//! ```text
//! players ──CMCD──▶ an edge's sessions ──▶ Audience of each channel ──REPORT──▶ the leader, which merges those of all edges
//! ```
//! Times are kept in [`Histogram`]s of fixed buckets, so that those of several edges add up to what one edge would have.

use serde::{Deserialize, Serialize};

/// How the viewers of one channel fare. What happened is counted over the last [`Audience::WINDOW_MS`]; what is, is of the
/// players that report now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    /// How many players report now.
    pub players: u32,
    /// How long each that began took from the wish to the first picture.
    pub startup: Histogram,
    /// How far each that reports now is behind: from the camera where it knows that, else from the origin.
    pub latency: Histogram,
    /// Bits a second of what each plays that reports now and tells it, in all.
    pub bitrate: u64,
    /// How many have told theirs.
    pub bitrates: u32,
    /// For how long pictures moved, in milliseconds, all players together.
    pub played_ms: u64,
    /// For how long they stood because nothing was there to play.
    pub stalled_ms: u64,
    /// How often they stood.
    pub stalls: u64,
    /// How many errors players told.
    pub errors: u64,
    /// Frames that came and were not shown.
    pub dropped_frames: u64,
}

impl Audience {
    /// For how long what has happened is counted: whole minutes, and the one that goes on.
    pub const WINDOW_MS: u64 = 300_000;

    /// Adds those of another edge.
    pub fn merge(&mut self, other: &Self) {
        self.players = self.players.saturating_add(other.players);
        self.startup.merge(&other.startup);
        self.latency.merge(&other.latency);
        self.bitrate = self.bitrate.saturating_add(other.bitrate);
        self.bitrates = self.bitrates.saturating_add(other.bitrates);
        self.played_ms = self.played_ms.saturating_add(other.played_ms);
        self.stalled_ms = self.stalled_ms.saturating_add(other.stalled_ms);
        self.stalls = self.stalls.saturating_add(other.stalls);
        self.errors = self.errors.saturating_add(other.errors);
        self.dropped_frames = self.dropped_frames.saturating_add(other.dropped_frames);
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it can be kept: its histograms have no more buckets than there are.
    pub fn is_good(&self) -> bool {
        self.startup.is_good() && self.latency.is_good()
    }
}

/// How often which time was seen. 96 buckets: 8 ms wide below 64 ms, from there on eight to each doubling up to 131 s, so none is
/// wider than an eighth of what it holds; a quantile is off by 1/16 at most. Longer times are in the last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// How many are in each bucket; empty ones at the end are left out.
    counts: Vec<u32>,
}

impl Histogram {
    /// How many buckets there are.
    pub const BUCKETS: usize = 96;

    /// Sees a time.
    pub fn see(&mut self, ms: u64) {
        let at = bucket(ms);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(1);
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine = mine.saturating_add(*theirs);
        }
    }

    /// How many times were seen.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The time, in milliseconds, that so many of a thousand do not exceed: the middle of its bucket. `None` where none was seen.
    pub fn quantile(&self, permille: u32) -> Option<u64> {
        let count = self.count();
        let rank = count.saturating_mul(permille.into()).div_ceil(1000).max(1);
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        at.map(middle)
    }

    fn is_good(&self) -> bool {
        self.counts.len() <= Self::BUCKETS
    }
}

/// Which bucket a time is in.
fn bucket(ms: u64) -> usize {
    let ms = ms.min((1 << 17) - 1);
    let octave = ms.max(1).ilog2().saturating_sub(5);
    // Below 64 ms the first eight, then eight for each doubling.
    let at = if octave == 0 { ms >> 3 } else { u64::from(octave) * 8 + ((ms >> (octave + 2)) & 7) };
    usize::try_from(at).unwrap_or(Histogram::BUCKETS - 1)
}

/// The middle of a bucket, in milliseconds.
fn middle(bucket: usize) -> u64 {
    let (octave, at) = (bucket.min(Histogram::BUCKETS - 1) as u64 / 8, bucket as u64 % 8);
    let (least, width) = if octave == 0 { (at << 3, 8) } else { ((8 + at) << (octave + 2), 1 << (octave + 2)) };
    least + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(times: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        times.into_iter().for_each(|ms| histogram.see(ms));
        histogram
    }

    #[test]
    fn buckets_follow_each_other_without_gap_up_to_131_seconds() {
        let edges: Vec<u64> = (0..200_000).filter(|ms| *ms == 0 || bucket(*ms) != bucket(ms - 1)).collect();
        assert_eq!(edges.len(), Histogram::BUCKETS);
        assert_eq!(edges[..11], [0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80]);
        assert_eq!(edges[94..], [114_688, 122_880]);
        for (at, least) in edges.iter().enumerate() {
            let next = edges.get(at + 1).copied().unwrap_or(131_072);
            assert_eq!((bucket(*least), middle(at)), (at, (least + next) / 2));
        }
        assert_eq!(bucket(u64::MAX), Histogram::BUCKETS - 1);
    }

    #[test]
    fn a_quantile_is_off_by_a_sixteenth_at_most() {
        for ms in [64, 100, 777, 1000, 2500, 60_000] {
            let told = seen([ms]).quantile(500).unwrap();
            assert!(told.abs_diff(ms) * 16 <= ms, "{told} for {ms}");
        }
        let histogram = seen(1..=1000);
        let near = |permille, ms: u64| histogram.quantile(permille).unwrap().abs_diff(ms) * 16 <= ms;
        assert!(near(500, 500) && near(950, 950) && near(1000, 1000));
        assert_eq!(seen([]).quantile(500), None);
        assert_eq!(seen([10]).quantile(0), Some(12));
    }

    #[test]
    fn edges_together_are_as_one_would_be() {
        let mut merged = seen([5, 800]);
        merged.merge(&seen([900, 100_000]));
        assert_eq!(merged, seen([5, 800, 900, 100_000]));
        let told = |players, stalled_ms| Audience { players, stalled_ms, startup: seen([800]), ..Audience::default() };
        let mut both = told(2, 100);
        both.merge(&told(3, 50));
        let expected = Audience { startup: seen([800, 800]), ..told(5, 150) };
        assert_eq!(both, expected);
    }

    #[test]
    fn more_buckets_than_there_are_are_not_believed() {
        assert!(Audience { startup: seen([u64::MAX]), ..Audience::default() }.is_good());
        let long = Histogram { counts: vec![0; Histogram::BUCKETS + 1] };
        assert!(!Audience { latency: long, ..Audience::default() }.is_good());
    }
}
