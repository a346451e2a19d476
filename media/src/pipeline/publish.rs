//! A session that is being published: the segmenter's cuts become objects and playlists.
//!
//! ```text
//! Cut::Begin ─▶ Output::Init where coding changed
//! Cut::Part ──▶ Output::Part, then the track's Output::Playlist that names it, then Output::Expired
//! Cut::End ───▶ Output::Segment
//! ```

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::gather::Constants;
use crate::{
    cmaf,
    frame::{CodecConfig, TrackId, TrackKind},
    output::{Output, Part},
    pipeline::PackagingConfig,
    playlist::{Hint, MediaPlaylist, PartEntry, PlaylistConfig, RenditionReport, SegmentStart},
    segmenter::{Begin, Cut, PartCut},
    timeline::{LINE_SCALE, Unit, rescale},
};

/// One published track.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: TrackId,
    pub(super) scale: u32,
    codec: Arc<CodecConfig>,
    /// What it will be coded as from the next segment with a discontinuity on.
    next_codec: Option<Arc<CodecConfig>>,
    /// Number of the init of the segment that begins next.
    init: u32,
    playlist: MediaPlaylist,
    sequence: u32,
    expired: Option<u64>,
}

/// A segment that some track has not finished.
#[derive(Debug)]
struct Segment {
    msn: u64,
    epoch: u64,
    discontinuity: bool,
    /// Wall time minus media time, in microseconds.
    anchor_us: i64,
    inits: Vec<u32>,
    unfinished: usize,
}

/// The publisher of a session.
#[derive(Debug)]
pub(super) struct Publisher {
    epoch: u64,
    part_target: Duration,
    pub(super) tracks: Vec<Track>,
    segments: VecDeque<Segment>,
    /// Every track's init is to be made anew: at the start and in each epoch.
    needs_inits: bool,
    /// Since when a finished segment waits to be listed, in wall milliseconds.
    unlisted_since: Option<u64>,
    pub(super) gap_parts: u64,
    reports: Vec<RenditionReport>,
}

impl Publisher {
    /// A publisher of tracks in the segmenter's order.
    pub(super) fn new(
        epoch: u64,
        part_target: Duration,
        tracks: Vec<(TrackId, u32, Arc<CodecConfig>, MediaPlaylist)>,
    ) -> Self {
        let track = |(id, scale, codec, playlist)| Track {
            id,
            scale,
            codec,
            next_codec: None,
            init: 0,
            playlist,
            sequence: 0,
            expired: None,
        };
        Self {
            epoch,
            part_target,
            tracks: tracks.into_iter().map(track).collect(),
            segments: VecDeque::new(),
            needs_inits: true,
            unlisted_since: None,
            gap_parts: 0,
            reports: Vec::new(),
        }
    }

    /// Another publish of the session: its objects are named anew. One that was readmitted in the same epoch goes on with
    /// the names there are, for a name stands for the same bytes for ever.
    pub(super) fn resume(&mut self, epoch: u64) {
        self.segments.clear();
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        self.needs_inits = true;
        self.tracks.iter_mut().for_each(|track| track.init = 0);
    }

    /// How a track is coded now, or will be from the next discontinuity on.
    pub(super) fn codec(&self, lane: usize) -> &Arc<CodecConfig> {
        let track = &self.tracks[lane];
        track.next_codec.as_ref().unwrap_or(&track.codec)
    }

    /// From the next discontinuity on the track is coded like this.
    pub(super) fn change_codec(&mut self, lane: usize, codec: Arc<CodecConfig>) {
        self.tracks[lane].next_codec = Some(codec);
    }

    /// Publishes what the segmenter cut. `anchor` is asked once for each segment.
    pub(super) fn publish(
        &mut self,
        now_ms: u64,
        cuts: &mut Vec<Cut>,
        mut anchor: impl FnMut() -> i64,
        out: &mut Vec<Output>,
    ) {
        for cut in cuts.drain(..) {
            match cut {
                Cut::Begin(begin) => self.begin(&begin, anchor(), out),
                Cut::Part(part) => self.part(part, out),
                Cut::End { lane, msn, parts } => self.end_segment(now_ms, lane, msn, parts, out),
            }
        }
    }

    /// When a finished segment is to be listed though no part has followed it.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        self.unlisted_since.map(|since| since + self.part_target.as_millis() as u64)
    }

    /// Lists finished segments that no part has followed.
    pub(super) fn list_finished(&mut self, out: &mut Vec<Output>) {
        self.unlisted_since = None;
        for lane in 0..self.tracks.len() {
            self.tracks[lane].playlist.list_finished();
            self.render(lane, out);
        }
    }

    /// Nobody knows what comes next: takes the hints out, and lists what is finished.
    pub(super) fn interrupt(&mut self, out: &mut Vec<Output>) {
        self.tracks.iter_mut().for_each(|track| track.playlist.set_hint(None));
        self.list_finished(out);
    }

    /// Ends every playlist.
    pub(super) fn end(&mut self, out: &mut Vec<Output>) {
        self.unlisted_since = None;
        for lane in 0..self.tracks.len() {
            self.tracks[lane].playlist.end();
            self.render(lane, out);
        }
    }
}

impl Publisher {
    fn begin(&mut self, begin: &Begin, anchor_us: i64, out: &mut Vec<Output>) {
        for track in &mut self.tracks {
            let changed = track.next_codec.take_if(|_| begin.discontinuity || self.needs_inits);
            if changed.is_some() && !self.needs_inits {
                track.init += 1;
            }
            let is_new = changed.is_some() || self.needs_inits;
            track.codec = changed.unwrap_or_else(|| Arc::clone(&track.codec));
            if is_new {
                let bytes = cmaf::init(track_id(track.id), track.scale, &track.codec);
                out.push(Output::Init { epoch: self.epoch, track: track.id, n: track.init, bytes });
            }
        }
        self.needs_inits = false;
        self.segments.push_back(Segment {
            msn: begin.msn,
            epoch: self.epoch,
            discontinuity: begin.discontinuity,
            anchor_us,
            inits: self.tracks.iter().map(|track| track.init).collect(),
            unfinished: self.tracks.len(),
        });
    }

    fn part(&mut self, cut: PartCut, out: &mut Vec<Output>) {
        let Some(segment) = self.segments.iter().find(|segment| segment.msn == cut.msn) else { return };
        let track = &mut self.tracks[cut.lane];
        let gap = cut.units.is_empty();
        self.gap_parts += u64::from(gap);
        let start_us = segment.anchor_us + rescale(cut.start, track.scale, 1_000_000);
        if cut.part == 0 {
            track.playlist.begin_segment(segment.start(cut.lane, start_us));
        }
        if cut.part == 0 && cut.lane == 0 {
            out.extend(track.keyframe(segment, cut.lane, &cut.units));
        }
        let part = track.part(&cut, segment.epoch, start_us);
        let entry = PartEntry { part: cut.part, duration: part.duration, independent: part.independent, gap };
        out.push(Output::Part(part));
        track.playlist.push_part(entry);
        let hint = self.hint(&cut);
        self.tracks[cut.lane].playlist.set_hint(hint);
        self.render(cut.lane, out);
    }

    /// What follows a part is known when it is published.
    fn hint(&self, cut: &PartCut) -> Option<Hint> {
        let segment = self.segments.iter().find(|segment| segment.msn == cut.msn)?;
        if !cut.last {
            return Some(Hint { epoch: segment.epoch, msn: cut.msn, part: cut.part + 1, init: None });
        }
        let next = self.segments.iter().find(|next| next.msn == cut.msn + 1);
        let init = next.map(|next| next.inits[cut.lane]).filter(|&init| init != segment.inits[cut.lane]);
        Some(Hint { epoch: segment.epoch, msn: cut.msn + 1, part: 0, init })
    }

    fn end_segment(&mut self, now_ms: u64, lane: usize, msn: u64, parts: u32, out: &mut Vec<Output>) {
        let Some(segment) = self.segments.iter_mut().find(|segment| segment.msn == msn) else { return };
        segment.unfinished -= 1;
        let track = &mut self.tracks[lane];
        track.playlist.end_segment();
        out.push(Output::Segment { epoch: segment.epoch, track: track.id, msn, parts });
        self.unlisted_since = Some(now_ms);
        while self.segments.pop_front_if(|segment| segment.unfinished == 0).is_some() {}
    }

    fn render(&mut self, lane: usize, out: &mut Vec<Output>) {
        self.reports.clear();
        self.reports.extend(self.tracks.iter().filter_map(|track| track.playlist.report()));
        let track = &mut self.tracks[lane];
        if track.playlist.report().is_none() {
            return;
        }
        out.push(Output::Playlist(track.id, track.playlist.render(&self.reports)));
        let expired = track.playlist.expired_below();
        if expired != track.expired {
            track.expired = expired;
            out.extend(expired.map(|msn| Output::Expired { track: track.id, msn }));
        }
    }
}

impl Segment {
    fn start(&self, lane: usize, program_date_time: i64) -> SegmentStart {
        SegmentStart {
            epoch: self.epoch,
            msn: self.msn,
            program_date_time,
            discontinuity: self.discontinuity,
            init: Some(self.inits[lane]),
        }
    }
}

impl Track {
    fn part(&mut self, cut: &PartCut, epoch: u64, start_us: i64) -> Part {
        let ticks = u128::from((cut.end - cut.start).max(0) as u64);
        let payload = if cut.units.is_empty() { Vec::new() } else { self.chunk(cut, start_us) };
        Part {
            epoch,
            track: self.id,
            msn: cut.msn,
            part: cut.part,
            duration: Duration::from_nanos((ticks * 1_000_000_000 / u128::from(self.scale.max(1))) as u64),
            independent: cut.units.first().is_some_and(|unit| unit.sync),
            gap: cut.units.is_empty(),
            payload,
        }
    }

    fn chunk(&mut self, cut: &PartCut, start_us: i64) -> Vec<bytes::Bytes> {
        self.sequence = self.sequence.wrapping_add(1);
        let samples = samples(&cut.units, cut.end);
        let first = cut.units.first().map_or(cut.start, |unit| unit.dts);
        let unix_us = start_us + rescale(first - cut.start, self.scale, 1_000_000);
        let time = cmaf::ReferenceTime { unix_us, media_time: first.max(0) as u64 };
        let chunk = cmaf::Chunk {
            track_id: track_id(self.id),
            sequence: self.sequence,
            decode_time: first.max(0) as u64,
            segment: (cut.part == 0).then_some(time),
            default_duration: default_duration(&self.codec),
        };
        cmaf::chunk(&chunk, &samples)
    }

    /// The first unit of a segment of `v0` alone, for the thumbnail.
    fn keyframe(&self, segment: &Segment, lane: usize, units: &[Unit]) -> Option<Output> {
        let unit = units.first().filter(|unit| unit.sync && self.id == TrackId::V0)?;
        let sample = cmaf::Sample { duration: LINE_SCALE / 30, cts: 0, sync: true, data: unit.data.clone() };
        let chunk = cmaf::Chunk {
            track_id: track_id(self.id),
            sequence: 1,
            decode_time: 0,
            segment: None,
            default_duration: default_duration(&self.codec),
        };
        let payload = cmaf::chunk(&chunk, &[sample]);
        Some(Output::Keyframe { epoch: segment.epoch, init: segment.inits[lane], payload })
    }
}

/// A unit lasts until the next, the last one until the part's end.
fn samples(units: &[Unit], end: i64) -> Vec<cmaf::Sample> {
    let ends = units.iter().skip(1).map(|unit| unit.dts).chain([end]);
    let sample = |(unit, end): (&Unit, i64)| cmaf::Sample {
        duration: (end - unit.dts).clamp(1, u32::MAX.into()) as u32,
        cts: (unit.pts - unit.dts).clamp(i32::MIN.into(), i32::MAX.into()) as i32,
        sync: unit.sync,
        data: unit.data.clone(),
    };
    units.iter().zip(ends).map(sample).collect()
}

/// Video is track 1 of its file, audio track 2, so that the files can be joined.
fn track_id(id: TrackId) -> u32 {
    match id.kind {
        TrackKind::Video => 1,
        TrackKind::Audio => 2,
    }
}

fn default_duration(codec: &CodecConfig) -> u32 {
    match codec {
        CodecConfig::Avc(_) => 0,
        CodecConfig::Aac(aac) => aac.frame_samples,
    }
}

/// What the session's playlists have in common.
pub(super) fn playlist_config(constants: &Constants, config: &PackagingConfig) -> PlaylistConfig {
    PlaylistConfig {
        target_duration: constants.target_duration,
        part_target: constants.part_target,
        window: config.window(),
    }
}
