//! Stalls: parts are announced as missing while nothing comes, and what comes then is put in its place.

use super::{Pipeline, State, live::Live};
use crate::{frame::Frame, output::Output};

/// How far an encoder's clock may be from when its media comes to be believed after a stall, in milliseconds.
const CLOCK_TOLERANCE_MS: u64 = 1000;

impl Pipeline {
    /// When the next part is to be announced as missing.
    pub(super) fn stall_ms(&self, live: &Live) -> u64 {
        let first = self.last_media_ms + u64::from(self.config.limits.stall_ms);
        if live.stalled { live.stalled_at_ms + u64::from(self.config.part_ms) } else { first }
    }

    pub(super) fn stall(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let State::Live(live) = &mut self.state else { return };
        live.stalled = true;
        live.stalled_at_ms = now_ms;
        live.stall(now_ms, &mut self.wall, out);
    }

    /// The first frame comes after a stall. It may be the oldest of many that waited with it: what the encoder's clock says of
    /// it is truer than when it comes.
    pub(super) fn end_stall(&mut self, now_ms: u64, frame: &Frame, out: &mut Vec<Output>) {
        let State::Live(live) = &mut self.state else { return };
        live.stalled = false;
        live.flush(now_ms, &mut self.wall, out);
        self.meter.discontinuities += 1;
        let (kind, timestamp_ms) = (frame.track.kind, frame.timestamp_ms);
        let was_at_ms = self.timeline.foresee(kind, timestamp_ms);
        let lies_at_ms = self.timeline.restart(live.segmenter.position());
        let made = self.last_media_ms.saturating_sub(CLOCK_TOLERANCE_MS)..=now_ms + CLOCK_TOLERANCE_MS;
        let is_plausible = |line_ms: i64| {
            let date_ms = self.wall.date_ms(line_ms * 1000).and_then(|date_ms| u64::try_from(date_ms).ok());
            date_ms.is_some_and(|date_ms| made.contains(&date_ms))
        };
        match was_at_ms.filter(|line_ms| is_plausible(*line_ms)) {
            Some(line_ms) => self.wall.shift((lies_at_ms - line_ms) * 1000),
            None => self.wall.reset(),
        }
    }
}
