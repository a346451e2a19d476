//! Puts an encoder's timestamps on one line: 32-bit milliseconds that wrap and jump become ticks that never go back.
//!
//! ```text
//! Frame { timestamp_ms: u32, composition_ms } ──place──▶ Event::Unit { dts, pts: i64 }
//!                                                └─────▶ Event::Discontinuity
//! ```
//! - DTS and CTS are taken as given, never inferred from the bitstream. A DTS that doesn't rise is moved by one tick.
//! - A jump of more than [`PackagingLimits::jump_ms`] and three frames is a discontinuity; the line itself goes on.
//! - AAC frames follow each other at exactly their length, however RTMP's milliseconds jitter; what remains of clock
//!   drift is worked off one sample a frame. Missing frames become silence where we can make it.
//! - Tracks that stay apart are moved together.
//!
//! The line's zero is arbitrary, so far below the first frame that no presentation time is negative.

mod audio;
mod clock;
mod silence;
mod video;
mod wall;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    frame::{CodecConfig, Frame, TrackKind},
    pipeline::PackagingLimits,
};

use clock::Clock;
pub(crate) use wall::WallAnchor;

/// Ticks a second of video, and of the line where tracks are compared.
pub(crate) const LINE_SCALE: u32 = 90_000;

/// Where on the line the first frame comes to lie, in milliseconds: presentation may precede decoding by so much.
const LINE_START_MS: i64 = 10_000;

/// One coded frame on the line. Times are in ticks of its track's timescale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) sync: bool,
    pub(crate) data: Bytes,
}

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// Timestamps jumped: what follows does not continue what was.
    Discontinuity,
    /// A frame of the track of this kind.
    Unit(TrackKind, Unit),
}

/// What had to be done to frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mended {
    /// Frames that could not be placed.
    pub(crate) dropped: u64,
    /// Frames that were moved, and silent ones that were added.
    pub(crate) repaired: u64,
}

/// The timelines of a session's tracks.
#[derive(Debug)]
pub(crate) struct Timeline {
    limits: PackagingLimits,
    video: Option<Clock>,
    audio: Option<Clock>,
    mended: Mended,
}

impl Timeline {
    pub(crate) fn new(limits: PackagingLimits) -> Self {
        Self { limits, video: None, audio: None, mended: Mended::default() }
    }

    /// Says how a track is coded. A track without this has no place on the line.
    pub(crate) fn configure(&mut self, kind: TrackKind, codec: &Arc<CodecConfig>) {
        let clock = self.clock_mut(kind);
        match clock {
            Some(clock) => clock.configure(codec),
            None => *clock = Some(Clock::new(codec)),
        }
    }

    /// Puts a frame on the line; appends at most one discontinuity, a second of silence and the frame.
    pub(crate) fn place(&mut self, frame: Frame, out: &mut Vec<Event>) {
        let kind = frame.track.kind;
        let other = self.clock(opposite(kind)).and_then(Clock::standing);
        let limits = self.limits;
        let start_ms = self.end_ms().unwrap_or(LINE_START_MS);
        let mut mended = self.mended;
        let Some(clock) = self.clock_mut(kind) else {
            self.mended.dropped += 1;
            return;
        };
        let moved = clock.locate(frame.timestamp_ms, other, start_ms, &limits);
        if moved == clock::Moved::Jumped {
            out.push(Event::Discontinuity);
        }
        match kind {
            TrackKind::Video => video::place(clock, frame, &mut mended, out),
            TrackKind::Audio => audio::place(clock, frame.data, moved, &mut mended, out),
        }
        self.mended = mended;
    }

    /// The next frame begins anew: another publish, or the end of a stall. The line goes on at its end, or at
    /// `line_ticks` if that is later; gives where, in milliseconds.
    pub(crate) fn restart(&mut self, line_ticks: i64) -> i64 {
        let at_ms = self.end_ms().unwrap_or(LINE_START_MS).max(line_ticks / i64::from(LINE_SCALE / 1000) + 1);
        for clock in [&mut self.video, &mut self.audio].into_iter().flatten() {
            clock.restart(at_ms);
        }
        self.end_ms().unwrap_or(at_ms)
    }

    /// Where a frame with this timestamp lies on the line, in milliseconds, as long as nothing jumps; `None` where no frame of
    /// the track has come since it began anew.
    pub(crate) fn foresee(&self, kind: TrackKind, timestamp_ms: u32) -> Option<i64> {
        self.clock(kind)?.foresee(timestamp_ms, &self.limits)
    }

    /// What had to be done to frames so far.
    pub(crate) fn mended(&self) -> Mended {
        self.mended
    }

    /// How far the newest video is ahead of the newest audio, in milliseconds.
    pub(crate) fn skew_ms(&self) -> i64 {
        let newest =
            |clock: &Option<Clock>| clock.as_ref().and_then(Clock::standing).map(|standing| standing.newest_ms);
        newest(&self.video).zip(newest(&self.audio)).map_or(0, |(video, audio)| video - audio)
    }

    /// Where the track that is furthest ends.
    fn end_ms(&self) -> Option<i64> {
        [&self.video, &self.audio].into_iter().flatten().filter_map(Clock::end_ms).max()
    }

    fn clock(&self, kind: TrackKind) -> Option<&Clock> {
        match kind {
            TrackKind::Video => self.video.as_ref(),
            TrackKind::Audio => self.audio.as_ref(),
        }
    }

    fn clock_mut(&mut self, kind: TrackKind) -> &mut Option<Clock> {
        match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }
}

fn opposite(kind: TrackKind) -> TrackKind {
    match kind {
        TrackKind::Video => TrackKind::Audio,
        TrackKind::Audio => TrackKind::Video,
    }
}

/// `ticks` of a clock with `from` ticks a second in one with `to`, rounded down.
pub(crate) fn rescale(ticks: i64, from: u32, to: u32) -> i64 {
    if from == to {
        return ticks;
    }
    (i128::from(ticks) * i128::from(to)).div_euclid(i128::from(from.max(1))) as i64
}

/// As [`rescale`], rounded up.
pub(crate) fn rescale_up(ticks: i64, from: u32, to: u32) -> i64 {
    -rescale(-ticks, from, to)
}

#[cfg(test)]
mod tests;
