//! One track's live window as players see it: parts and segments in, versions of the media playlist out.
//!
//! ```text
//! begin_segment ─ push_part … push_part ─ end_segment ─▶ window ─▶ render ─▶ Rendered { full, delta }
//!                                             oldest segment ◀─┘
//! ```
//! The rules of draft-pantos-hls-rfc8216bis that decide:
//! - a segment's tags come before its first part, its parts before its `EXTINF` and URI (§4.4.4);
//! - `PART-HOLD-BACK` is at least 3 part targets, `CAN-SKIP-UNTIL` at least 6 target durations (§4.4.3.8);
//! - parts are removed once they are more than 3 target durations from the end (§6.2.2), and here once they are not of
//!   the last three segments either: a player that far behind has no use for them, and strict parsers refuse them;
//! - a removed segment stays fetchable for its duration plus that of the longest playlist that had it (§6.2.2).
//!
//! And one that Safari taught: a live playlist always ends with a part. So a finished segment's `EXTINF` and URI appear
//! together with the first part of the next, unless [`MediaPlaylist::list_finished`] is called.
//!
//! A segment's lines are written once, when they become known; a version is their concatenation.

mod inherit;
mod segment;
mod write;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;

use self::{
    segment::{Segment, State},
    write::constants,
};
use super::gzip::gzip;
use crate::{
    frame::TrackId,
    output::{Rendered, Version},
};

/// How many segments, the one in progress included, list their parts.
const SEGMENTS_WITH_PARTS: usize = 3;

/// What is frozen for a session (§6.2.4: alike in all its playlists).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaylistConfig {
    /// `EXT-X-TARGETDURATION`; rounded up to whole seconds, at least 1 s.
    pub target_duration: Duration,
    /// `PART-TARGET`: no part is longer.
    pub part_target: Duration,
    /// How much stays listed: at least 4 target durations, whatever this says. A longer window costs playlist bytes,
    /// and memory for twice its length of media.
    pub window: Duration,
}

impl PlaylistConfig {
    /// For how long a removed segment may still have to be served (§6.2.2).
    pub fn keep(&self) -> Duration {
        // A playlist is as long as its window, a segment that is just leaving it and one that is not finished.
        self.normalized().window + 3 * self.normalized().target_duration
    }

    fn normalized(self) -> Self {
        let whole = self.target_duration.as_nanos().div_ceil(1_000_000_000).max(1) as u64;
        let target_duration = Duration::from_secs(whole);
        Self { target_duration, window: self.window.max(4 * target_duration), ..self }
    }
}

/// How a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    /// The publish that makes it.
    pub epoch: u64,
    /// Its number: one more than the last segment's that has parts.
    pub msn: u64,
    /// When its first frame was made: microseconds since 1970 UTC.
    pub program_date_time: i64,
    /// Whether timestamps or coding are not continued from the segment before.
    pub discontinuity: bool,
    /// The initialization section it needs, of its epoch; `None` where all of it is a gap and needs none.
    pub init: Option<u32>,
}

/// A part that can be fetched, or is announced as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartEntry {
    /// Its index in the segment: one more than the last's.
    pub part: u32,
    /// How long it plays; no longer than the part target.
    pub duration: Duration,
    /// Whether it begins with a frame from which decoding can begin.
    pub independent: bool,
    /// Whether it is missing.
    pub gap: bool,
}

/// The part that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// The publish that will make it.
    pub epoch: u64,
    /// Its segment.
    pub msn: u64,
    /// Its index.
    pub part: u32,
    /// The initialization section it needs, where that differs from the last part's.
    pub init: Option<u32>,
}

/// How far a track has come, for the playlists of the others (`EXT-X-RENDITION-REPORT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenditionReport {
    /// The track.
    pub track: TrackId,
    /// Segment of its newest part.
    pub msn: u64,
    /// Its newest part.
    pub part: u32,
}

/// One track's window. See the module for what it does.
///
/// Holds the text of at most [`PlaylistConfig::window`] and one segment more.
#[derive(Debug)]
pub struct MediaPlaylist {
    config: PlaylistConfig,
    track: TrackId,
    /// Segments of which at least one part is listed; only the last may be unfinished, or finished but not listed.
    segments: VecDeque<Segment>,
    /// A segment that has no part yet, and so is not in the playlist.
    begun: Option<SegmentStart>,
    hint: Option<Hint>,
    ended: bool,
    next_msn: u64,
    discontinuity_sequence: u64,
    /// Duration of the listed segments.
    listed: Duration,
    /// Duration of all parts ever listed: the clock by which removed segments expire.
    elapsed: Duration,
    longest: Duration,
    removed: VecDeque<Removed>,
    expired_below: Option<u64>,
    /// The lines that never change.
    constants: String,
    newest: Option<Newest>,
    rendered: Option<Arc<Rendered>>,
    /// The `edit` of the first version that lists nothing newer than the last part.
    first_edit: u32,
    others: Vec<RenditionReport>,
    dirty: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Newest {
    epoch: u64,
    msn: u64,
    part: u32,
}

#[derive(Debug)]
struct Removed {
    msn: u64,
    until: Duration,
}

impl MediaPlaylist {
    /// An empty playlist whose first segment will be `first_msn`.
    ///
    /// `EXT-X-DISCONTINUITY-SEQUENCE` starts at `first_msn` too: there are never more discontinuities than segments, so
    /// that, as the numbers of a channel's segments never go back, neither do those of its discontinuities, even if
    /// the window was lost.
    pub fn new(config: PlaylistConfig, track: TrackId, first_msn: u64) -> Self {
        let config = config.normalized();
        Self {
            config,
            track,
            segments: VecDeque::new(),
            begun: None,
            hint: None,
            ended: false,
            next_msn: first_msn,
            discontinuity_sequence: first_msn,
            listed: Duration::ZERO,
            elapsed: Duration::ZERO,
            longest: Duration::ZERO,
            removed: VecDeque::new(),
            expired_below: None,
            constants: constants(&config),
            newest: None,
            rendered: None,
            first_edit: 0,
            others: Vec::new(),
            dirty: true,
        }
    }

    /// Begins a segment. It appears in the playlist with its first part; one that never gets any never was.
    ///
    /// Finishes the segment before if that is open. A number beyond the next empties the window, as if all before had
    /// been removed; one that goes back is ignored, and so are its parts.
    pub fn begin_segment(&mut self, start: SegmentStart) {
        self.end_segment();
        self.begun = (start.msn >= self.next_msn && !self.ended).then_some(start);
    }

    /// Adds a part to the segment that has begun. Ignored when there is none.
    pub fn push_part(&mut self, part: PartEntry) {
        if let Some(start) = self.begun.take() {
            self.list_finished();
            self.open(start);
        }
        let Some(segment) = self.segments.back_mut().filter(|segment| segment.state == State::Open) else { return };
        segment.push(self.track, &part);
        self.elapsed += part.duration;
        self.newest = Some(Newest { epoch: segment.start.epoch, msn: segment.start.msn, part: part.part });
        self.first_edit = 0;
        self.longest = self.longest.max(self.listed + segment.duration);
        self.dirty = true;
        self.expire();
    }

    /// Finishes the segment: its parts are all there. It is listed with the first part of the next, or by
    /// [`Self::list_finished`].
    pub fn end_segment(&mut self) {
        self.begun = None;
        if let Some(segment) = self.segments.back_mut().filter(|segment| segment.state == State::Open) {
            segment.finish(self.track);
        }
    }

    /// Lists a finished segment without waiting for the next part. To be called when that doesn't come within a part
    /// target, so that players which wait for the segment get it.
    pub fn list_finished(&mut self) {
        let Some(segment) = self.segments.back_mut().filter(|segment| segment.state == State::Finished) else { return };
        segment.state = State::Listed;
        self.listed += segment.duration;
        self.dirty = true;
        self.shrink();
    }

    /// Says which part comes next; `None` when nobody knows.
    pub fn set_hint(&mut self, hint: Option<Hint>) {
        self.dirty |= self.hint != hint;
        self.hint = hint;
    }

    /// Ends the playlist (`EXT-X-ENDLIST`), finishing what is open. Nothing is added after this.
    pub fn end(&mut self) {
        self.end_segment();
        self.list_finished();
        self.hint = None;
        self.dirty |= !self.ended;
        self.ended = true;
    }

    /// How far the track has come; `None` before its first part.
    pub fn report(&self) -> Option<RenditionReport> {
        self.newest.map(|newest| RenditionReport { track: self.track, msn: newest.msn, part: newest.part })
    }

    /// Objects of segments below this one need not be kept any longer (§6.2.2); `None` until the first expires.
    pub fn expired_below(&self) -> Option<u64> {
        self.expired_below
    }

    /// The text of the playlist as it is now, without making a version of it.
    pub fn text(&self, others: &[RenditionReport]) -> String {
        self.full(others).0
    }

    /// The playlist as it is now, beside `others`, which are the other tracks of the session (its own report among
    /// them is left out).
    ///
    /// The same version again if nothing has changed since. Costs some microseconds, and two gzips of a few kilobytes.
    pub fn render(&mut self, others: &[RenditionReport]) -> Arc<Rendered> {
        let changed = self.dirty || self.others != others;
        if let Some(rendered) = self.rendered.as_ref().filter(|_| !changed) {
            return Arc::clone(rendered);
        }
        self.dirty = false;
        self.others.clear();
        self.others.extend_from_slice(others);
        let (full, body) = self.full(others);
        let rendered = Arc::new(Rendered {
            version: self.version(),
            complete: self.complete().map(|segment| (segment.start.msn, segment.parts)),
            body,
            ended: self.ended,
            full_gz: gzip(full.as_bytes()),
            full: Bytes::from(full),
            delta_gz: self.delta(others).map(|delta| gzip(delta.as_bytes())),
        });
        self.rendered = Some(Arc::clone(&rendered));
        rendered
    }
}

/// What is in the window.
impl MediaPlaylist {
    fn open(&mut self, start: SegmentStart) {
        if start.msn > self.next_msn {
            while self.remove_first() {}
        }
        self.next_msn = start.msn + 1;
        let before = self.segments.back().map(|segment| segment.start);
        self.segments.push_back(Segment::new(self.track, start, before));
        self.forget_parts();
    }

    fn shrink(&mut self) {
        while self.segments.front().is_some_and(|first| self.listed - first.duration >= self.config.window) {
            self.remove_first();
        }
    }

    /// Keeps the parts of the [`SEGMENTS_WITH_PARTS`] last segments as far as they end less than 3 target durations
    /// from the end.
    fn forget_parts(&mut self) {
        let mut from_end = Duration::ZERO;
        for (n, segment) in self.segments.iter_mut().rev().enumerate() {
            if n >= SEGMENTS_WITH_PARTS || from_end >= 3 * self.config.target_duration {
                segment.part_lines = String::new();
            }
            from_end += segment.duration;
        }
    }

    fn remove_first(&mut self) -> bool {
        let Some(first) = self.segments.pop_front() else { return false };
        self.listed = self.listed.saturating_sub(first.duration);
        self.discontinuity_sequence += u64::from(first.start.discontinuity);
        self.removed.push_back(Removed { msn: first.start.msn, until: self.elapsed + first.duration + self.longest });
        true
    }

    fn expire(&mut self) {
        while let Some(first) = self.removed.pop_front_if(|first| first.until <= self.elapsed) {
            self.expired_below = Some(first.msn + 1);
        }
    }

    fn complete(&self) -> Option<&Segment> {
        self.segments.iter().rev().find(|segment| segment.state == State::Listed)
    }

    fn version(&self) -> Version {
        let newest = self.newest.unwrap_or(Newest { epoch: 0, msn: 0, part: 0 });
        let version = Version { epoch: newest.epoch, msn: newest.msn, part: newest.part, edit: self.first_edit };
        match self.rendered.as_ref().map(|rendered| rendered.version) {
            Some(last) if (Version { edit: self.first_edit, ..last }) == version => {
                Version { edit: last.edit + 1, ..version }
            }
            _ => version,
        }
    }
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;
