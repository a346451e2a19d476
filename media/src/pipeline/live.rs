//! A session whose constants are frozen.

use std::{sync::Arc, time::Duration};

use super::{
    PackagingConfig, Start,
    gather::{Constants, Gather},
    publish::{Publisher, playlist_config},
};
use crate::{
    frame::{CodecConfig, TrackId, TrackKind},
    output::{self, Output},
    playlist::{AudioRendition, MediaPlaylist, Multivariant, VideoRendition, multivariant},
    segmenter::{Cut, LaneConfig, Rules, Segmenter},
    timeline::{LINE_SCALE, Unit, WallAnchor},
};

/// What bit rates are announced above what was measured, in percent: encoders vary.
const HEADROOM_PERCENT: u64 = 25;

/// After a reconnect, a session whose leading track doesn't come for so long is over, in ticks of the line.
const LEADER_PATIENCE: i64 = 5 * LINE_SCALE as i64;

const CHANGED: &str = "the audio's sample rate changed";
const LEADERLESS: &str = "the video did not come back";

/// The segmenter and the publisher of a session.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) segmenter: Segmenter,
    pub(super) publisher: Publisher,
    /// Nothing came for so long that parts were announced as missing.
    pub(super) stalled: bool,
    pub(super) stalled_at_ms: u64,
    /// Another session was asked for: nothing more is taken.
    pub(super) refused: bool,
    /// Since when the leading track is awaited, in ticks of the line.
    leaderless_since: Option<i64>,
    cuts: Vec<Cut>,
    /// What became of the publish before this one, still to be output.
    owed: Vec<Output>,
}

impl Live {
    /// Freezes what `gather` found and outputs it.
    pub(super) fn new(
        config: &PackagingConfig,
        start: &Start,
        gather: &Gather,
        tracks: Vec<(TrackId, Arc<CodecConfig>)>,
        out: &mut Vec<Output>,
    ) -> Self {
        let audio_frame = tracks.iter().find_map(|(_, codec)| audio_frame(codec));
        let constants = gather.constants(config, audio_frame);
        let playlist = playlist_config(&constants, config);
        out.push(Output::Constants(output::Constants {
            target_duration: constants.target_duration,
            part_target: constants.part_target,
            keep: playlist.keep(),
        }));
        out.push(Output::Multivariant(multivariant(&describe(&constants, &tracks))));
        let begin = |(id, codec)| (id, codec, MediaPlaylist::new(playlist, id, start.msn_base));
        let tracks = tracks.into_iter().map(begin).collect();
        Self::over(config, constants.rules, constants.part_target, (start.epoch, start.msn_base), tracks)
    }

    /// Goes on with playlists that another origin began, after a discontinuity.
    pub(super) fn inherit(
        config: &PackagingConfig,
        rules: Rules,
        part_target: Duration,
        first: (u64, u64),
        tracks: Vec<(TrackId, Arc<CodecConfig>, MediaPlaylist)>,
    ) -> Self {
        let mut live = Self::over(config, rules, part_target, first, tracks);
        live.segmenter.begin_with_discontinuity();
        live
    }

    fn over(
        config: &PackagingConfig,
        rules: Rules,
        part_target: Duration,
        (epoch, first_msn): (u64, u64),
        tracks: Vec<(TrackId, Arc<CodecConfig>, MediaPlaylist)>,
    ) -> Self {
        let lanes: Vec<_> = tracks.iter().map(|(id, codec, _)| lane(*id, codec)).collect();
        let scaled = tracks.into_iter().zip(&lanes);
        let scaled = scaled.map(|((id, codec, playlist), lane)| (id, lane.scale, codec, playlist));
        Self {
            segmenter: Segmenter::new(rules, config.limits, &lanes, first_msn),
            publisher: Publisher::new(epoch, part_target, scaled.collect()),
            stalled: false,
            stalled_at_ms: 0,
            refused: false,
            leaderless_since: None,
            cuts: Vec::new(),
            owed: Vec::new(),
        }
    }

    /// Index of the track of this kind.
    pub(super) fn lane(&self, kind: TrackKind) -> Option<usize> {
        self.publisher.tracks.iter().position(|track| track.id.kind == kind)
    }

    /// Ticks a second of the track of this kind.
    pub(super) fn scale(&self, kind: TrackKind) -> u32 {
        self.lane(kind).map_or(LINE_SCALE, |lane| self.publisher.tracks[lane].scale)
    }

    pub(super) fn is_running(&self) -> bool {
        self.segmenter.is_running()
    }

    /// Takes a unit at `line`.
    ///
    /// # Errors
    /// Why another session is needed; the unit is then not taken.
    pub(super) fn push(
        &mut self,
        now_ms: u64,
        kind: TrackKind,
        unit: Unit,
        line: i64,
        wall: &mut WallAnchor,
        out: &mut Vec<Output>,
    ) -> Result<(), &'static str> {
        out.append(&mut self.owed);
        let Some(lane) = self.lane(kind).filter(|_| !self.refused) else { return Ok(()) };
        if lane == 0 {
            self.leaderless_since = None;
        } else if self
            .leaderless_since
            .is_some_and(|since| line - *self.leaderless_since.insert(since.min(line)) > LEADER_PATIENCE)
        {
            return Err(LEADERLESS);
        }
        self.segmenter.push(lane, unit, &mut self.cuts);
        self.publisher.publish(now_ms, &mut self.cuts, || wall.next(), out);
        Ok(())
    }

    /// A track is coded in another way from its next keyframe on.
    ///
    /// # Errors
    /// Why another session is needed.
    pub(super) fn change(
        &mut self,
        now_ms: u64,
        kind: TrackKind,
        codec: &Arc<CodecConfig>,
        wall: &mut WallAnchor,
        out: &mut Vec<Output>,
    ) -> Result<(), &'static str> {
        let Some(lane) = self.lane(kind) else { return Ok(()) };
        if self.publisher.codec(lane) == codec {
            return Ok(());
        }
        match (&**self.publisher.codec(lane), &**codec) {
            (CodecConfig::Avc(_), CodecConfig::Avc(_)) => self.segmenter.break_at_keyframe(),
            (CodecConfig::Aac(old), CodecConfig::Aac(new))
                if (old.sample_rate, old.frame_samples) == (new.sample_rate, new.frame_samples) =>
            {
                self.flush(now_ms, wall, out);
                wall.reset();
            }
            _ => return Err(CHANGED),
        }
        self.publisher.change_codec(lane, Arc::clone(codec));
        Ok(())
    }

    /// Closes what is open; a discontinuity follows.
    pub(super) fn flush(&mut self, now_ms: u64, wall: &mut WallAnchor, out: &mut Vec<Output>) {
        out.append(&mut self.owed);
        self.segmenter.flush(&mut self.cuts);
        self.publisher.publish(now_ms, &mut self.cuts, || wall.next(), out);
    }

    /// Announces a part as missing in every track.
    pub(super) fn stall(&mut self, now_ms: u64, wall: &mut WallAnchor, out: &mut Vec<Output>) {
        self.segmenter.stall(&mut self.cuts);
        self.publisher.publish(now_ms, &mut self.cuts, || wall.next(), out);
    }

    /// Another publish of the session.
    pub(super) fn resume(&mut self, now_ms: u64, epoch: u64, wall: &mut WallAnchor) {
        let mut owed = Vec::new();
        if self.is_running() {
            self.flush(now_ms, wall, &mut owed);
            self.publisher.interrupt(&mut owed);
        }
        wall.reset();
        self.owed.append(&mut owed);
        self.stalled = false;
        self.leaderless_since = Some(i64::MAX);
        self.publisher.resume(epoch);
    }
}

fn lane(id: TrackId, codec: &CodecConfig) -> LaneConfig {
    match codec {
        CodecConfig::Avc(_) => LaneConfig { kind: id.kind, scale: LINE_SCALE, frame: i64::from(LINE_SCALE / 30) },
        CodecConfig::Aac(aac) => {
            LaneConfig { kind: id.kind, scale: aac.sample_rate.max(1), frame: aac.frame_samples.max(1).into() }
        }
    }
}

/// How long a frame of audio is; `None` where it is no audio.
pub(super) fn audio_frame(codec: &CodecConfig) -> Option<Duration> {
    let CodecConfig::Aac(aac) = codec else { return None };
    Some(Duration::from_nanos(u64::from(aac.frame_samples) * 1_000_000_000 / u64::from(aac.sample_rate.max(1))))
}

fn describe(constants: &Constants, tracks: &[(TrackId, Arc<CodecConfig>)]) -> Multivariant {
    let mut described =
        Multivariant { independent_segments: constants.independent_segments, video: vec![], audio: vec![] };
    for (track, codec) in tracks {
        match &**codec {
            CodecConfig::Avc(avc) => described.video.push(VideoRendition {
                track: *track,
                codecs: avc.codec.clone(),
                width: avc.width,
                height: avc.height,
                frame_rate_milli: frame_rate(avc.frame_rate, constants.frame_rate_milli),
                bandwidth: peak(constants.video_bitrate),
                average_bandwidth: constants.video_bitrate.max(1),
            }),
            CodecConfig::Aac(aac) => described.audio.push(AudioRendition {
                track: *track,
                codecs: aac.codec.clone(),
                channels: aac.channels,
                bandwidth: peak(constants.audio_bitrate),
                average_bandwidth: constants.audio_bitrate.max(1),
            }),
        }
    }
    described
}

fn peak(bitrate: u64) -> u64 {
    (bitrate * (100 + HEADROOM_PERCENT) / 100).max(1)
}

/// Of the bitstream where it tells something plausible, else as measured.
fn frame_rate(told: Option<(u32, u32)>, measured_milli: u32) -> u32 {
    let told = told.and_then(|(n, d)| (u64::from(n) * 1000).checked_div(d.into()));
    let near = |told: &u64| {
        let measured = u64::from(measured_milli);
        *told * 10 >= measured * 9 && *told * 10 <= measured * 11
    };
    told.filter(near).map_or(measured_milli, |told| told as u32)
}
