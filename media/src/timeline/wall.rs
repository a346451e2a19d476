//! Which wall time corresponds to which media time: `EXT-X-PROGRAM-DATE-TIME` is an anchor plus media time.
//!
//! The least delayed frame tells the truth: the anchor begins at the smallest distance seen and then follows what each
//! segment shows, by at most a millisecond a segment, so that encoder drift is followed and no jitter shows.

/// The most that the anchor moves a segment, in microseconds.
const SLEW_US: i64 = 1000;

/// Wall time minus media time, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WallAnchor {
    anchor: Option<i64>,
    least: Option<i64>,
    /// Of the newest frame.
    newest: Option<i64>,
}

impl WallAnchor {
    /// A frame that belongs at `line_us` came at `now_ms`.
    pub(crate) fn observe(&mut self, now_ms: u64, line_us: i64) {
        let distance = (now_ms as i64).saturating_mul(1000).saturating_sub(line_us);
        self.least = Some(self.least.map_or(distance, |least| least.min(distance)));
        self.newest = Some(distance);
    }

    /// How much later the newest frame came than its date says, in milliseconds; `None` while there is no anchor.
    pub(crate) fn late_ms(&self) -> Option<u64> {
        let late = self.newest?.saturating_sub(self.anchor?);
        Some(u64::try_from(late / 1000).unwrap_or(0))
    }

    /// The date of what belongs at `line_us`, in milliseconds; `None` while there is no anchor.
    pub(crate) fn date_ms(&self, line_us: i64) -> Option<i64> {
        Some(self.anchor?.saturating_add(line_us) / 1000)
    }

    /// At a discontinuity after which the same media lies later on the line: dates stay what they were.
    pub(crate) fn shift(&mut self, by_us: i64) {
        *self = Self { anchor: self.anchor.map(|anchor| anchor.saturating_sub(by_us)), ..Self::default() };
    }

    /// Forgets, at a discontinuity.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }

    /// The anchor for the segment that begins. To be asked once a segment, and used in all tracks.
    pub(crate) fn next(&mut self) -> i64 {
        let anchor = match (self.anchor, self.least.take()) {
            (Some(anchor), Some(least)) => anchor + (least - anchor).clamp(-SLEW_US, SLEW_US),
            (known, seen) => known.or(seen).unwrap_or(0),
        };
        self.anchor = Some(anchor);
        anchor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchor_is_set_by_the_least_delayed_frame_and_then_moves_a_millisecond_a_segment() {
        let mut wall = WallAnchor::default();
        wall.observe(5_000, 1_000_000);
        wall.observe(5_010, 1_040_000);
        assert_eq!(wall.next(), 3_970_000);
        wall.observe(7_100, 3_000_000);
        assert_eq!(wall.next(), 3_971_000);
        assert_eq!(wall.next(), 3_971_000, "nothing was seen");
        wall.observe(9_000, 5_030_500);
        assert_eq!(wall.next(), 3_970_000);
        wall.reset();
        wall.observe(100_000, 5_000_000);
        assert_eq!(wall.next(), 95_000_000);
    }

    #[test]
    fn a_frame_is_as_late_as_it_came_after_its_date() {
        let mut wall = WallAnchor::default();
        wall.observe(5_000, 1_000_000);
        assert_eq!(wall.late_ms(), None, "nothing has a date yet");
        wall.next();
        assert_eq!(wall.late_ms(), Some(0));
        wall.observe(5_340, 1_040_000);
        assert_eq!(wall.late_ms(), Some(300));
        wall.next();
        assert_eq!(wall.late_ms(), Some(299), "the dates have followed by a millisecond");
        wall.observe(5_060, 1_080_000);
        assert_eq!(wall.late_ms(), Some(0), "it came before its date");
        wall.reset();
        assert_eq!(wall.late_ms(), None);
    }
}
