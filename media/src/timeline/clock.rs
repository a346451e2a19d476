//! One track's clock: RTMP's wrapping milliseconds in, milliseconds on the line out.

use std::sync::Arc;

use bytes::Bytes;

use super::{LINE_SCALE, rescale, silence};
use crate::{frame::CodecConfig, pipeline::PackagingLimits};

/// How many frames must lie apart from the other track before they are moved to it.
const SKEWED_FRAMES: u32 = 10;

/// A track ahead of the other by no more than this was only away, in milliseconds.
const AHEAD_MS: i64 = 200;

/// One track's clock.
#[derive(Debug)]
pub(super) struct Clock {
    /// Ticks a second.
    pub(super) scale: u32,
    /// Length of a frame in ticks: of AAC fixed, of video the last one's.
    pub(super) frame: i64,
    /// The silent frame, where we can make it.
    pub(super) silence: Option<Bytes>,
    /// Where the next frame is expected, in ticks.
    pub(super) end: Option<i64>,
    /// DTS of the last frame, in ticks.
    pub(super) last: Option<i64>,
    /// Where the frame at hand belongs, in milliseconds on the line.
    pub(super) at_ms: i64,
    /// Smoothed distance of audio timestamps from the sample count, in 1/32 ticks.
    pub(super) drift: i64,
    /// Whether drift is being worked off.
    pub(super) correcting: bool,
    base: Option<Base>,
    /// The offset before the last jump: frames of before may still come.
    former_offset: Option<i64>,
    skewed: Option<Skewed>,
}

/// How raw timestamps lie on the line.
#[derive(Debug, Clone, Copy)]
struct Base {
    raw: u32,
    unwrapped: i64,
    offset: i64,
}

/// Since when a track has been behind the other.
#[derive(Debug, Clone, Copy)]
struct Skewed {
    other_ms: i64,
    frames: u32,
}

/// Where another track stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    raw: u32,
    unwrapped: i64,
    offset: i64,
    /// Its newest frame on the line.
    pub(super) newest_ms: i64,
}

/// How a frame lies to those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// It follows them.
    No,
    /// The track was away, and is back where the other is.
    Away,
    /// It doesn't continue them.
    Jumped,
}

impl Clock {
    pub(super) fn new(codec: &Arc<CodecConfig>) -> Self {
        let mut clock = Self {
            scale: LINE_SCALE,
            frame: 0,
            silence: None,
            end: None,
            last: None,
            at_ms: 0,
            drift: 0,
            correcting: false,
            base: None,
            former_offset: None,
            skewed: None,
        };
        clock.configure(codec);
        clock
    }

    pub(super) fn configure(&mut self, codec: &Arc<CodecConfig>) {
        let scale = self.scale;
        match &**codec {
            CodecConfig::Avc(_) => {
                self.scale = LINE_SCALE;
                self.frame = i64::from(LINE_SCALE / 30);
            }
            CodecConfig::Aac(aac) => {
                self.scale = aac.sample_rate.max(1);
                self.frame = aac.frame_samples.max(1).into();
                self.silence = silence::frame(aac);
            }
        }
        self.end = self.end.map(|end| rescale(end, scale, self.scale));
        self.last = self.last.map(|last| rescale(last, scale, self.scale));
    }

    pub(super) fn restart(&mut self, at_ms: i64) {
        self.end = Some(self.ticks(at_ms));
        self.base = None;
        self.former_offset = None;
        self.skewed = None;
    }

    pub(super) fn standing(&self) -> Option<Standing> {
        let Base { raw, unwrapped, offset } = self.base?;
        Some(Standing { raw, unwrapped, offset, newest_ms: self.last.map_or(self.at_ms, |last| self.millis(last)) })
    }

    pub(super) fn end_ms(&self) -> Option<i64> {
        self.end.map(|end| self.millis(end))
    }

    pub(super) fn ticks(&self, ms: i64) -> i64 {
        rescale(ms, 1000, self.scale)
    }

    fn millis(&self, ticks: i64) -> i64 {
        rescale(ticks, self.scale, 1000)
    }

    /// Finds out where a frame with this timestamp belongs: [`Self::at_ms`].
    pub(super) fn locate(
        &mut self,
        raw: u32,
        other: Option<Standing>,
        start_ms: i64,
        limits: &PackagingLimits,
    ) -> Moved {
        let Some(base) = self.base else {
            self.begin(raw, other, start_ms, limits);
            return Moved::No;
        };
        let frame_ms = self.millis(self.frame);
        let threshold = i64::from(limits.jump_ms).max(3 * frame_ms);
        let unwrapped = base.unwrapped + delta(base.raw, raw, threshold);
        let expected = self.end_ms().unwrap_or(start_ms);
        let at = |offset: i64| unwrapped + offset;
        let fits = |offset: &i64| (at(*offset) - expected).abs() <= threshold;
        let away = |offset: &i64| {
            other.is_some_and(|other| {
                let ahead = at(*offset) - other.newest_ms;
                at(*offset) > expected && ahead <= AHEAD_MS && -ahead <= i64::from(limits.skew_ms)
            })
        };
        let candidates = [Some(base.offset), other.map(|other| other.offset), self.former_offset];
        let (offset, moved) = if let Some(offset) = candidates.into_iter().flatten().find(fits) {
            (offset, Moved::No)
        } else if away(&base.offset) {
            (base.offset, Moved::Away)
        } else {
            (start_ms - unwrapped, Moved::Jumped)
        };
        if offset != base.offset {
            self.former_offset = Some(base.offset);
        }
        self.base = Some(Base { raw, unwrapped, offset });
        self.at_ms = unwrapped + offset;
        if moved == Moved::No && self.is_skewed(other, limits) { self.join(start_ms) } else { moved }
    }

    /// Where a frame with this timestamp lies on the line, in milliseconds, as long as nothing jumps.
    pub(super) fn foresee(&self, raw: u32, limits: &PackagingLimits) -> Option<i64> {
        let base = self.base?;
        Some(base.unwrapped + delta(base.raw, raw, limits.jump_ms.into()) + base.offset)
    }

    /// The track's first frame: by the other's clock if that is plausible, else beside the other's newest frame.
    fn begin(&mut self, raw: u32, other: Option<Standing>, start_ms: i64, limits: &PackagingLimits) {
        let plausible = other.map(|other| {
            let unwrapped = other.unwrapped + delta(other.raw, raw, limits.skew_ms.into());
            let apart = (unwrapped + other.offset - other.newest_ms).abs();
            let offset = if apart <= i64::from(limits.skew_ms) { other.offset } else { other.newest_ms - unwrapped };
            Base { raw, unwrapped, offset }
        });
        let base = plausible.unwrap_or(Base { raw, unwrapped: raw.into(), offset: start_ms - i64::from(raw) });
        self.base = Some(base);
        self.at_ms = base.unwrapped + base.offset;
        self.end = None;
        self.drift = 0;
    }

    /// Whether the track has been behind the other for too long.
    fn is_skewed(&mut self, other: Option<Standing>, limits: &PackagingLimits) -> bool {
        let Some(other) = other.filter(|other| other.newest_ms - self.at_ms > limits.skew_ms.into()) else {
            self.skewed = None;
            return false;
        };
        let since = self.skewed.get_or_insert(Skewed { other_ms: other.newest_ms, frames: 0 });
        since.frames += 1;
        since.frames > SKEWED_FRAMES && other.newest_ms - since.other_ms >= limits.skew_ms.into()
    }

    fn join(&mut self, start_ms: i64) -> Moved {
        if let Some(base) = &mut self.base {
            base.offset += start_ms - self.at_ms;
        }
        self.at_ms = start_ms;
        self.skewed = None;
        Moved::Jumped
    }
}

/// From one timestamp to the next the short way round, of 2³² or, where only that is no jump, of 2³¹.
fn delta(from: u32, to: u32, threshold: i64) -> i64 {
    let by_32 = i64::from(to.wrapping_sub(from) as i32);
    let by_31 = i64::from((to.wrapping_sub(from) << 1) as i32 >> 1);
    if by_32.abs() > threshold && by_31.abs() <= threshold { by_31 } else { by_32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_round_is_taken_at_both_wraps() {
        assert_eq!(delta(u32::MAX, 32, 1000), 33);
        assert_eq!(delta(32, u32::MAX, 1000), -33);
        assert_eq!(delta(i32::MAX as u32, 32, 1000), 33);
        assert_eq!(delta(i32::MAX as u32 - 10, i32::MAX as u32 + 10, 1000), 20);
        assert_eq!(delta(5000, 0, 1000), -5000);
        assert_eq!(delta(0, 1 << 30, 1000), 1 << 30);
    }
}
