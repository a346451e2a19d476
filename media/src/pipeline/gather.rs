//! The start of a session: units are kept until its constants are known.
//!
//! ```text
//! Unit ──push──▶ Gather ──constants──▶ Constants { tracks, rules, target durations, bit rates }
//!                      └──take──▶ the units, for the segmenter
//! ```
//! The target duration may never change (draft-pantos-hls-rfc8216bis §4.4.3.1), and it must be no shorter than a group
//! of pictures. So nothing is published before the second keyframe, or before the largest target duration has passed.

use std::time::Duration;

use super::PackagingConfig;
use crate::{
    frame::TrackKind,
    segmenter::Rules,
    timeline::{LINE_SCALE, Unit, rescale},
};

/// The smallest target duration, in seconds.
const MIN_TARGET_DURATION_S: u64 = 4;

/// The longest part that is made for a video of few frames a second, in milliseconds.
const LONGEST_PART_MS: u64 = 2000;

/// For how long audio is kept that came before the first keyframe, in ticks of the line.
const BEFORE_KEYFRAME: i64 = 2 * LINE_SCALE as i64;

/// The most audio that is kept from before the first keyframe, in bytes.
const BEFORE_KEYFRAME_BYTES: usize = 8 << 20;

/// What one track has brought so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gathered {
    /// Ticks of the line.
    first: Option<i64>,
    newest: i64,
    bytes: u64,
    units: u64,
}

/// The units of a session's first seconds.
///
/// Holds at most [`super::PackagingLimits::start_bytes`] and [`super::PackagingLimits::waiting_frames`] a track.
#[derive(Debug, Default)]
pub(super) struct Gather {
    units: Vec<(TrackKind, Unit)>,
    bytes: usize,
    video: Gathered,
    audio: Gathered,
    first: Option<i64>,
    newest: i64,
    last_keyframe: Option<i64>,
    longest_gop: Option<i64>,
    video_came: bool,
    audio_came: bool,
}

/// What is frozen for the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constants {
    pub(super) rules: Rules,
    pub(super) target_duration: Duration,
    pub(super) part_target: Duration,
    /// Whether keyframes were near enough for every segment to begin with one.
    pub(super) independent_segments: bool,
    /// Frames of video in 1,000 seconds; 0 without.
    pub(super) frame_rate_milli: u32,
    /// Bits a second.
    pub(super) video_bitrate: u64,
    /// Bits a second.
    pub(super) audio_bitrate: u64,
}

impl Gather {
    /// Takes a unit. `line` is its decode time in ticks of the line.
    pub(super) fn push(&mut self, kind: TrackKind, unit: Unit, line: i64) {
        match kind {
            TrackKind::Video => self.video_came = true,
            TrackKind::Audio => self.audio_came = true,
        }
        self.first.get_or_insert(line);
        self.newest = self.newest.max(line);
        if kind == TrackKind::Video && !self.keyframe(&unit, line) {
            return;
        }
        self.bytes += unit.data.len();
        self.track(kind).add(&unit, line);
        self.units.push((kind, unit));
        if self.video_came && self.last_keyframe.is_none() {
            self.forget_before_keyframe();
        }
    }

    /// Forgets what was gathered, but not that tracks came.
    pub(super) fn clear(&mut self) {
        let Self { video_came, audio_came, first, newest, .. } = *self;
        *self = Self { video_came, audio_came, first, newest, ..Self::default() };
    }

    /// Whether this kind of track has come.
    pub(super) fn has(&self, kind: TrackKind) -> bool {
        match kind {
            TrackKind::Video => self.video_came,
            TrackKind::Audio => self.audio_came,
        }
    }

    /// Whether the set of tracks is closed.
    pub(super) fn is_settled(&self, config: &PackagingConfig) -> bool {
        self.span() >= i64::from(config.limits.tracks_ms) * i64::from(LINE_SCALE / 1000)
    }

    /// Whether enough is known to begin.
    pub(super) fn is_ready(&self, config: &PackagingConfig) -> bool {
        let full = self.is_full(config);
        let patience = i64::from(config.max_target_duration_s) * i64::from(LINE_SCALE);
        let waited = self.video.first.is_some_and(|first| self.newest - first >= patience);
        let known = self.longest_gop.is_some() || !self.video_came || waited || full;
        known && self.can_begin() && (self.is_settled(config) || full)
    }

    /// Whether a session whose constants are known can go on with tracks of these kinds.
    pub(super) fn can_continue(&self, kinds: &[TrackKind]) -> bool {
        self.can_begin() && kinds.iter().all(|kind| self.has(*kind))
    }

    /// Whether the set of tracks is closed, or too much is kept to wait any longer.
    pub(super) fn is_closed(&self, config: &PackagingConfig) -> bool {
        self.is_settled(config) || self.is_full(config)
    }

    fn is_full(&self, config: &PackagingConfig) -> bool {
        self.bytes >= config.limits.start_bytes || self.units.len() >= config.limits.waiting_frames
    }

    /// Whether there is anything that can be published.
    pub(super) fn can_begin(&self) -> bool {
        (self.last_keyframe.is_some() || !self.video_came) && !self.units.is_empty()
    }

    /// Whether video has come but no keyframe for as long as a segment may last.
    pub(super) fn lacks_keyframe(&self) -> bool {
        self.video_came && self.last_keyframe.is_none() && self.span() > i64::from(LINE_SCALE) * 4
    }

    /// The units in the order in which they came.
    pub(super) fn take(&mut self) -> Vec<(TrackKind, Unit)> {
        std::mem::take(&mut self.units)
    }

    /// What is frozen if the session begins now. `audio_frame` is the length of an audio frame, where there is audio.
    pub(super) fn constants(&self, config: &PackagingConfig, audio_frame: Option<Duration>) -> Constants {
        let frame = if self.video_came { self.video.mean_unit() } else { self.audio.mean_unit() };
        let aim = Duration::from_millis(config.part_ms.into());
        let longest = longest_part(aim, frame);
        let part_target = ceil_ms(longest + audio_frame.unwrap_or_default());
        let segment = Duration::from_millis(config.segment_ms.into());
        let target_s = self.target_duration_s(config);
        let lag = lag(config);
        Constants {
            rules: Rules { lag, ..Rules::new(aim, longest, part_target, segment, target_s) },
            target_duration: Duration::from_secs(target_s),
            part_target,
            independent_segments: self.longest_gop.is_some() || !self.video_came,
            frame_rate_milli: self.video.units_in_1000_s(),
            video_bitrate: self.video.bitrate(),
            audio_bitrate: self.audio.bitrate(),
        }
    }

    /// The longest segment that groups of pictures like the longest make, in whole seconds.
    fn target_duration_s(&self, config: &PackagingConfig) -> u64 {
        let most = u64::from(config.max_target_duration_s);
        let segment = i64::from(config.segment_ms) * i64::from(LINE_SCALE / 1000);
        let longest = match self.longest_gop {
            Some(gop) => gop * ((segment + gop - 1) / gop.max(1)).max(1),
            None if self.video_came => return most,
            None => segment,
        };
        (longest as u64).div_ceil(LINE_SCALE.into()).clamp(MIN_TARGET_DURATION_S.min(most), most)
    }

    fn span(&self) -> i64 {
        self.first.map_or(0, |first| self.newest - first)
    }

    /// Whether a video unit is at or after the first keyframe.
    fn keyframe(&mut self, unit: &Unit, line: i64) -> bool {
        if unit.sync
            && let Some(last) = self.last_keyframe.replace(line)
        {
            self.longest_gop = self.longest_gop.max(Some(line - last));
        }
        self.last_keyframe.is_some()
    }

    fn forget_before_keyframe(&mut self) {
        let horizon = self.newest - BEFORE_KEYFRAME;
        let recent = self.audio.first.is_some_and(|first| first >= horizon);
        if recent && self.bytes <= BEFORE_KEYFRAME_BYTES {
            return;
        }
        self.units.clear();
        self.bytes = 0;
        self.audio = Gathered::default();
    }

    fn track(&mut self, kind: TrackKind) -> &mut Gathered {
        match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }
}

impl Gathered {
    fn add(&mut self, unit: &Unit, line: i64) {
        self.first.get_or_insert(line);
        self.newest = line;
        self.bytes += unit.data.len() as u64;
        self.units += 1;
    }

    /// Mean distance of units, in ticks of the line; 0 where it is unknown.
    fn mean_unit(&self) -> i64 {
        let span = self.first.map_or(0, |first| self.newest - first);
        if self.units > 1 { span / (self.units as i64 - 1) } else { 0 }
    }

    fn units_in_1000_s(&self) -> u32 {
        let span = self.first.map_or(0, |first| self.newest - first);
        if span <= 0 {
            return 0;
        }
        ((self.units - 1) * u64::from(LINE_SCALE) * 1000 / span as u64).min(u32::MAX.into()) as u32
    }

    fn bitrate(&self) -> u64 {
        let span = self.first.map_or(0, |first| self.newest - first) + self.mean_unit();
        if span > 0 { self.bytes * 8 * u64::from(LINE_SCALE) / span as u64 } else { 0 }
    }
}

/// A track that is behind by so much is not waited for, in ticks of the line.
pub(super) fn lag(config: &PackagingConfig) -> i64 {
    i64::from(config.limits.skew_ms) * i64::from(LINE_SCALE / 1000)
}

/// The longest part that whole frames make when each part ends at the frame nearest to its target.
fn longest_part(aim: Duration, frame_ticks: i64) -> Duration {
    let frame = Duration::from_micros(rescale(frame_ticks.max(0), LINE_SCALE, 1_000_000) as u64);
    if frame.is_zero() {
        return aim;
    }
    let count = ((aim + frame / 2).as_micros() / frame.as_micros()).max(1);
    let nearest = ceil_ms(frame * count as u32);
    nearest.clamp(aim, Duration::from_millis(LONGEST_PART_MS).max(aim))
}

fn ceil_ms(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_micros().div_ceil(1000) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_longest_part_is_the_multiple_of_a_frame_that_is_nearest_to_the_aim() {
        let longest = |fps_milli: i64| longest_part(ms(500), 90_000_000 / fps_milli);
        assert_eq!(longest(30_000), ms(500));
        assert_eq!(longest(60_000), ms(500));
        assert_eq!(longest(24_000), ms(500));
        assert_eq!(longest(29_970), ms(501));
        assert_eq!(longest(25_000), ms(520));
        assert_eq!(longest(7_000), ms(572));
        assert_eq!(longest(1_000), ms(1000));
        assert_eq!(longest(100), ms(2000), "no part is longer");
    }
}
