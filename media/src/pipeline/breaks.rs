//! How often what came didn't continue what was.

/// The most discontinuities in [`BREAKS_MS`]. Each costs a segment, however short, and segments are what a playlist
/// costs; so an encoder that has more is not listened to until the time is over.
const MAX_BREAKS: u32 = 30;

/// Over what time discontinuities are counted, in wall milliseconds.
const BREAKS_MS: u64 = 60_000;

/// How often what came didn't continue what was.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Breaks {
    since_ms: u64,
    count: u32,
}

impl Breaks {
    pub(super) fn note(&mut self, now_ms: u64) {
        if now_ms >= self.since_ms + BREAKS_MS {
            *self = Self { since_ms: now_ms, count: 0 };
        }
        self.count += 1;
    }

    pub(super) fn are_too_many(&self, now_ms: u64) -> bool {
        self.count > MAX_BREAKS && now_ms < self.since_ms + BREAKS_MS
    }
}
