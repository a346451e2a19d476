//! Counts what passes, for the health report.

use std::collections::VecDeque;

use crate::{
    frame::{CodecConfig, TrackKind},
    health::{Alert, AudioHealth, Report, Uplink, VideoHealth},
    timeline::LINE_SCALE,
};

use super::uplink::Stalls;

/// Over how many seconds of media rates are means.
const WINDOW_S: i64 = 10;

/// Keyframes further apart than this are worth a word, in milliseconds.
const LONG_KEYFRAME_INTERVAL_MS: u64 = 6000;

/// A track that is behind the other by more than this is missing, in milliseconds.
const MISSING_MS: i64 = 2000;

/// Audio and video further apart than this are worth a word, in milliseconds.
const SKEW_MS: i64 = 1000;

/// Units and bytes of a second.
#[derive(Debug, Clone, Copy)]
struct Second {
    at: i64,
    units: u64,
    bytes: u64,
}

/// What one track brought in the last seconds.
#[derive(Debug, Default)]
struct Rate(VecDeque<Second>);

/// What passed.
#[derive(Debug, Default)]
pub(super) struct Meter {
    video: Rate,
    audio: Rate,
    last_keyframe: Option<i64>,
    newest_video: i64,
    pub(super) keyframe_interval_ms: u64,
    pub(super) unplaced: u64,
    pub(super) discontinuities: u64,
}

/// What the pipeline knows beside.
pub(super) struct Standing<'a> {
    pub(super) since_ms: u64,
    pub(super) video: Option<&'a CodecConfig>,
    pub(super) audio: Option<&'a CodecConfig>,
    pub(super) uplink: Uplink,
    /// Those of the last minute that are over.
    pub(super) stalls: Stalls,
    pub(super) skew_ms: i64,
    pub(super) dropped: u64,
    pub(super) repaired: u64,
    pub(super) lacks_keyframe: bool,
    pub(super) overfull: bool,
    pub(super) stalled: bool,
    pub(super) erratic: bool,
    pub(super) gap_parts: u64,
}

impl Meter {
    /// A unit came, at `line` in ticks of the line.
    pub(super) fn observe(&mut self, kind: TrackKind, line: i64, sync: bool, bytes: usize) {
        match kind {
            TrackKind::Audio => self.audio.add(line, bytes),
            TrackKind::Video => {
                self.video.add(line, bytes);
                self.newest_video = line;
                if sync && let Some(last) = self.last_keyframe.replace(line) {
                    self.keyframe_interval_ms = millis(line - last);
                }
            }
        }
    }

    /// What follows doesn't continue what was.
    pub(super) fn discontinue(&mut self) {
        self.last_keyframe = None;
    }

    pub(super) fn report(&self, standing: &Standing) -> Report {
        let video = standing.video.and_then(|codec| self.video_health(codec));
        let audio = standing.audio.and_then(|codec| self.audio_health(codec));
        let (of_video, of_audio) =
            (video.as_ref().map(|video| video.bitrate), audio.as_ref().map(|audio| audio.bitrate));
        Report {
            since_ms: standing.since_ms,
            bitrate: of_video.unwrap_or(0) + of_audio.unwrap_or(0),
            video,
            audio,
            uplink: standing.uplink,
            skew_ms: standing.skew_ms,
            dropped_frames: self.unplaced + standing.dropped,
            repaired_frames: standing.repaired,
            gap_parts: standing.gap_parts,
            discontinuities: self.discontinuities,
            alerts: self.alerts(standing),
        }
    }

    fn video_health(&self, codec: &CodecConfig) -> Option<VideoHealth> {
        let CodecConfig::Avc(avc) = codec else { return None };
        Some(VideoHealth {
            codec: avc.codec.clone(),
            profile: profile(&avc.record).0.into(),
            width: avc.width,
            height: avc.height,
            bitrate: self.video.bitrate(),
            frame_rate: self.video.units_a_second(),
            keyframe_interval_ms: self.keyframe_interval_ms,
        })
    }

    fn audio_health(&self, codec: &CodecConfig) -> Option<AudioHealth> {
        let CodecConfig::Aac(aac) = codec else { return None };
        Some(AudioHealth {
            codec: aac.codec.clone(),
            sample_rate: aac.sample_rate,
            channels: aac.channels,
            bitrate: self.audio.bitrate(),
        })
    }

    fn alerts(&self, standing: &Standing) -> Vec<Alert> {
        let since = self.last_keyframe.map_or(0, |last| millis(self.newest_video - last));
        let interval_ms = self.keyframe_interval_ms.max(since);
        let both = standing.video.is_some() && standing.audio.is_some();
        let missing = if standing.skew_ms > 0 { "audio" } else { "video" };
        let skew_ms = standing.skew_ms;
        let apart = both && !standing.stalled;
        let profile = standing.video.and_then(|codec| match codec {
            CodecConfig::Avc(avc) => Some(profile(&avc.record)).filter(|(_, playable)| !playable),
            CodecConfig::Aac(_) => None,
        });
        let Stalls { count, longest_ms, .. } = standing.stalls;
        let mut alerts: Vec<_> = [
            standing.lacks_keyframe.then_some(Alert::NoKeyFrame),
            profile.map(|(name, _)| Alert::NotBrowserPlayable { profile: name.into() }),
            (interval_ms > LONG_KEYFRAME_INTERVAL_MS).then_some(Alert::LongKeyFrameInterval { interval_ms }),
            standing.erratic.then_some(Alert::Erratic),
            standing.overfull.then_some(Alert::BitrateTooHigh),
            (apart && skew_ms.abs() > MISSING_MS).then_some(Alert::TrackMissing { track: missing }),
            (apart && skew_ms.abs() > SKEW_MS).then_some(Alert::AudioVideoSkew { skew_ms }),
            (count > 0).then_some(Alert::UplinkStalls { stalls: count, longest_ms }),
            standing.stalled.then_some(Alert::Stalled),
        ]
        .into_iter()
        .flatten()
        .collect();
        alerts.sort();
        alerts
    }
}

impl Rate {
    fn add(&mut self, line: i64, bytes: usize) {
        let at = line / i64::from(LINE_SCALE);
        match self.0.back_mut() {
            Some(second) if second.at >= at => {
                second.units += 1;
                second.bytes += bytes as u64;
            }
            _ => self.0.push_back(Second { at, units: 1, bytes: bytes as u64 }),
        }
        while self.0.front().is_some_and(|first| first.at < at - WINDOW_S) {
            self.0.pop_front();
        }
    }

    /// Sums of the whole seconds, and how many; the first and the last are only begun.
    fn sums(&self) -> (u64, u64, u64) {
        let whole = self.0.iter().skip(1).take(self.0.len().saturating_sub(2));
        whole.fold((0, 0, 0), |(units, bytes, n), second| (units + second.units, bytes + second.bytes, n + 1))
    }

    fn bitrate(&self) -> u64 {
        let (_, bytes, seconds) = self.sums();
        bytes * 8 / seconds.max(1)
    }

    fn units_a_second(&self) -> f64 {
        let (units, _, seconds) = self.sums();
        units as f64 / seconds.max(1) as f64
    }
}

/// Name of an H.264 profile (ITU-T H.264 Annex A), and whether browsers decode it.
fn profile(record: &[u8]) -> (&'static str, bool) {
    match record.get(1) {
        Some(66) => ("Baseline", true),
        Some(77) => ("Main", true),
        Some(88) => ("Extended", false),
        Some(100) => ("High", true),
        Some(110) => ("High 10", false),
        Some(122) => ("High 4:2:2", false),
        Some(244) => ("High 4:4:4 Predictive", false),
        Some(44) => ("CAVLC 4:4:4 Intra", false),
        _ => ("unknown", true),
    }
}

fn millis(ticks: i64) -> u64 {
    (ticks.max(0) / i64::from(LINE_SCALE / 1000)) as u64
}
