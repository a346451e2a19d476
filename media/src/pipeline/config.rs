//! What may be configured of packaging. All of it is frozen for a session when that begins.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How sessions are packaged: the `[packaging]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackagingConfig {
    /// How long a part should play, in milliseconds; `PART-TARGET` is this and one audio frame. Default 500. Latency
    /// is about three times this; every halving doubles playlist requests and what playlists cost to make.
    pub part_ms: u32,
    /// How long a segment plays at least, in milliseconds; it ends at the next keyframe. Default 2,000. Shorter ones
    /// let viewers join sooner and make playlists longer.
    pub segment_ms: u32,
    /// How much a playlist lists, in milliseconds; at least four target durations are listed whatever this says.
    /// Default 30,000. Costs memory at the origin for about twice as much media, and playlist bytes.
    pub window_ms: u32,
    /// The largest `EXT-X-TARGETDURATION`, in seconds, 4 to 60. Default 10. A longer group of pictures is cut where no
    /// decoder can begin. The playlist of a stream with few keyframes appears after this time.
    pub max_target_duration_s: u32,
    /// Limits that keep one publisher from costing more than its share.
    pub limits: PackagingLimits,
}

impl Default for PackagingConfig {
    fn default() -> Self {
        Self {
            part_ms: 500,
            segment_ms: 2000,
            window_ms: 30_000,
            max_target_duration_s: 10,
            limits: PackagingLimits::default(),
        }
    }
}

/// Limits of one session: the `[packaging.limits]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PackagingLimits {
    /// The largest part of one track, in bytes. Default 8 MiB (134 Mbit/s). Frames that don't fit are dropped, and
    /// those after them up to the next keyframe.
    pub part_bytes: usize,
    /// The largest segment of one track, in bytes. Default 50 MiB. As above.
    pub segment_bytes: usize,
    /// The most media kept while a session starts, before its playlist appears, in bytes. Default 50 MiB. When it is
    /// full the playlist appears at once.
    pub start_bytes: usize,
    /// The most frames kept of one track, at the start or while it waits for another track. Default 20,000 (a minute
    /// and a half at 200 frames a second). As above at the start; later the frame is dropped.
    pub waiting_frames: usize,
    /// A timestamp that is off by more than this, in milliseconds, and by more than three frames, is a discontinuity.
    /// Default 1,000; smaller gaps are closed by showing the frame before the gap for longer.
    pub jump_ms: u32,
    /// Audio and video that are apart by more than this for as long are moved together, in milliseconds, with a
    /// discontinuity. Default 2,000. It is also for how much media a track that stays away is waited for before its
    /// parts are announced as missing.
    pub skew_ms: u32,
    /// For how long after its first frame a session's set of tracks is open, in milliseconds of media. Default 1,000.
    /// A track that comes later begins a new session.
    pub tracks_ms: u32,
    /// For how long every encoder must be silent, in milliseconds, before parts are announced as missing. Default
    /// 5,000. What comes after is a discontinuity, so a hiccup of the network should be shorter.
    pub stall_ms: u32,
}

impl Default for PackagingLimits {
    fn default() -> Self {
        Self {
            part_bytes: 8 << 20,
            segment_bytes: 50 << 20,
            start_bytes: 50 << 20,
            waiting_frames: 20_000,
            jump_ms: 1000,
            skew_ms: 2000,
            tracks_ms: 1000,
            stall_ms: 5000,
        }
    }
}

/// Why a packaging configuration is refused. The operator's doing; the message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("packaging.{field} is {value}; it must be from {min} to {max}")]
pub struct InvalidPackaging {
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
}

impl PackagingConfig {
    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// Names the first key that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), InvalidPackaging> {
        let limits = &self.limits;
        let part = u64::from(self.part_ms);
        check("part_ms", part, 100, 2000)?;
        check("segment_ms", self.segment_ms.into(), part, 10_000)?;
        check("window_ms", self.window_ms.into(), 1000, 86_400_000)?;
        check("max_target_duration_s", self.max_target_duration_s.into(), 4, 60)?;
        check("limits.part_bytes", limits.part_bytes as u64, 64 << 10, 64 << 20)?;
        check("limits.segment_bytes", limits.segment_bytes as u64, limits.part_bytes as u64, 64 << 20)?;
        check("limits.start_bytes", limits.start_bytes as u64, 1 << 20, 1 << 30)?;
        check("limits.waiting_frames", limits.waiting_frames as u64, 1000, 1_000_000)?;
        check("limits.jump_ms", limits.jump_ms.into(), 100, 10_000)?;
        check("limits.skew_ms", limits.skew_ms.into(), 500, 10_000)?;
        check("limits.tracks_ms", limits.tracks_ms.into(), 100, 10_000)?;
        check("limits.stall_ms", limits.stall_ms.into(), 1000, 60_000)
    }

    pub(crate) fn window(&self) -> Duration {
        Duration::from_millis(self.window_ms.into())
    }
}

fn check(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), InvalidPackaging> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(InvalidPackaging { field, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(PackagingConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let config = PackagingConfig { part_ms: 50, ..Default::default() };
        let error = config.validate().map_err(|error| error.to_string());
        assert_eq!(error, Err("packaging.part_ms is 50; it must be from 100 to 2000".into()));
    }
}
