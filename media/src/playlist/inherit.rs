//! What a session leaves behind when another origin goes on with it: its last playlists, read back.
//!
//! ```text
//! m3u8 of each track ──read──▶ InheritedTrack ─┐
//! multivariant m3u8 ───────────────────────────┴─▶ Inherited ──▶ pipeline::Pipeline::inherit
//! ```
//! Only playlists that [`super::MediaPlaylist`] wrote are read, for they are to be gone on with as if they had been
//! written here: the same constants, the same names, numbers that follow each other.
//!
//! The origin that wrote them may have died in the middle of a segment. What of it was listed, players have seen, and
//! have perhaps fetched; so it stays, by its names, and the segment ends with it (§6.2.2: a segment is its parts). Where
//! a part of it can't be had any more all of it becomes a gap ([`InheritedTrack::lose_unfinished`]). A track that the
//! origin left behind the others gets gaps up to where they are, so that all go on with the same number (§6.2.4); one
//! that nobody has any more is gaps altogether. Gaps of an epoch of which the track has nothing name no `EXT-X-MAP`: the
//! section may be nowhere, and players load it even where they don't load the segment.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    PartEntry, SegmentStart,
    read::{self, Media, Playlist, ReadError, ServerControl, Start},
};
use crate::frame::{TrackId, TrackKind};

/// The most tracks that a session has of one kind.
const MAX_TRACKS: u8 = 16;

/// Why a session can't be gone on with. The remedy: begin anew with greater numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInherited {
    /// A text is not a playlist. The other node's doing.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// There is nothing to go on with.
    #[error("the playlist has ended or lists nothing")]
    Over,
    /// The playlist was not written by our rules: another version of the software, perhaps.
    #[error("{0} is not as we write it")]
    Foreign(&'static str),
    /// The tracks don't belong together.
    #[error("the tracks' playlists don't make one session: {0}")]
    Unlike(&'static str),
}

/// One track's last playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InheritedTrack {
    pub(crate) track: TrackId,
    pub(crate) target_duration: Duration,
    pub(crate) part_target: Duration,
    pub(crate) discontinuity_sequence: u64,
    /// Every segment that is listed, in order; never empty.
    pub(crate) segments: Vec<InheritedSegment>,
    /// Whether the last segment was in progress.
    unfinished: bool,
}

/// A segment as the playlist told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InheritedSegment {
    pub(crate) start: SegmentStart,
    pub(crate) duration: Duration,
    /// Its parts, as long as they are listed.
    pub(crate) parts: Vec<PartEntry>,
    pub(crate) gap: bool,
}

/// A segment that its origin did not finish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The publish that made it.
    pub epoch: u64,
    /// Its number.
    pub msn: u64,
    /// The parts of it that are listed and no gaps.
    pub parts: Vec<u32>,
}

impl InheritedTrack {
    /// Reads the full media playlist of `track`.
    ///
    /// # Errors
    /// See [`NotInherited`].
    pub fn read(track: TrackId, text: &[u8]) -> Result<Self, NotInherited> {
        let media = read::parse_media(text)?;
        if media.ended || (media.segments.is_empty() && media.open.is_none()) {
            return Err(NotInherited::Over);
        }
        let part_target = media.part_target.ok_or(NotInherited::Foreign("EXT-X-PART-INF"))?;
        check_constants(&media, part_target)?;
        let mut segments = Vec::with_capacity(media.segments.len() + 1);
        for (msn, segment) in media.numbered() {
            let epoch = epoch_of(&segment.uri, track, &format!("{msn}.m4s")).ok_or(NotInherited::Foreign("a URI"))?;
            segments.push(InheritedSegment {
                start: start(&segment.start, track, epoch, msn, segment.gap)?,
                duration: segment.duration,
                parts: parts(&segment.parts, track, epoch, msn)?,
                gap: segment.gap,
            });
        }
        let unfinished = media.open.is_some();
        if let Some(open) = &media.open {
            let msn = media.media_sequence + media.segments.len() as u64;
            let first = open.parts.first().ok_or(NotInherited::Over)?;
            let epoch = epoch_of(&first.uri, track, &format!("{msn}.0.m4s")).ok_or(NotInherited::Foreign("a URI"))?;
            let parts = parts(&open.parts, track, epoch, msn)?;
            let gap = parts.iter().all(|part| part.gap);
            segments.push(InheritedSegment {
                start: start(&open.start, track, epoch, msn, gap)?,
                duration: parts.iter().map(|part| part.duration).sum(),
                gap,
                parts,
            });
        }
        let (target_duration, discontinuity_sequence) = (media.target_duration, media.discontinuity_sequence);
        Ok(Self { track, target_duration, part_target, discontinuity_sequence, segments, unfinished })
    }

    /// Which track.
    pub fn track(&self) -> TrackId {
        self.track
    }

    /// Epoch, segment and index of the newest part: the greater, the newer is the playlist.
    pub fn newest(&self) -> (u64, u64, u32) {
        let last = self.segments.last().map(|last| (last.start.epoch, last.start.msn, last.parts.len()));
        last.map_or((0, 0, 0), |(epoch, msn, parts)| (epoch, msn, (parts as u32).saturating_sub(1)))
    }

    /// The segment that was in progress: it will be listed as whole.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let last = self.segments.last().filter(|_| self.unfinished)?;
        let parts = last.parts.iter().filter(|part| !part.gap).map(|part| part.part).collect();
        Some(Unfinished { epoch: last.start.epoch, msn: last.start.msn, parts })
    }

    /// Not all of the segment that was in progress can be had: it is listed as a gap.
    pub fn lose_unfinished(&mut self) {
        if let Some(last) = self.segments.last_mut().filter(|_| self.unfinished) {
            *last = last.lost(last.start.init);
        }
    }

    fn first_msn(&self) -> u64 {
        self.segments.first().map_or(0, |first| first.start.msn)
    }

    fn next_msn(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.start.msn + 1)
    }

    /// Lists as gaps what `other` has beyond the end of this track; everything, where this one ended before `other` begins.
    fn catch_up(&mut self, other: &Self) {
        if self.next_msn() < other.first_msn() {
            *self = Self::lost(self.track, other);
        }
        let next = self.next_msn();
        for segment in other.segments.iter().filter(|segment| segment.start.msn >= next) {
            let last = self.segments.last().map(|last| last.start);
            let goes_on = |last: &SegmentStart| last.epoch == segment.start.epoch && !segment.start.discontinuity;
            self.segments.push(segment.lost(last.filter(goes_on).and_then(|last| last.init)));
            self.unfinished = false;
        }
    }

    /// A track of which nothing can be had: where `other` has segments it has gaps.
    ///
    /// But for the first, where three target durations are left without it (§6.2.2): the tracks' segments are not equally
    /// long, so that of a full window one track may have dropped a segment that another still has; and somebody, somewhere,
    /// may have seen that of this one (§6.2.1: its media sequence must not go back).
    fn lost(track: TrackId, other: &Self) -> Self {
        let mut segments: Vec<_> = other.segments.iter().map(|segment| segment.lost(None)).collect();
        let mut discontinuity_sequence = other.discontinuity_sequence;
        let left: Duration = segments.iter().skip(1).map(|segment| segment.duration).sum();
        if left >= 3 * other.target_duration {
            discontinuity_sequence += u64::from(segments.remove(0).start.discontinuity);
        }
        let Self { target_duration, part_target, .. } = *other;
        Self { track, target_duration, part_target, discontinuity_sequence, segments, unfinished: false }
    }
}

impl InheritedSegment {
    /// The same, all of it a gap, under `init`.
    fn lost(&self, init: Option<u32>) -> Self {
        let lost = |part: &PartEntry| PartEntry { gap: true, independent: false, ..*part };
        let parts = self.parts.iter().map(lost).collect();
        Self { start: SegmentStart { init, ..self.start }, duration: self.duration, parts, gap: true }
    }
}

/// A session's last playlists: what [`crate::pipeline::Pipeline::inherit`] goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inherited {
    /// The multivariant playlist.
    pub(crate) index: Bytes,
    /// The leader first, as a new session orders them. All end with the same segment.
    pub(crate) tracks: Vec<InheritedTrack>,
    /// As the multivariant playlist tells of them: one for each kind of track at least.
    pub(crate) codecs: Vec<String>,
}

impl Inherited {
    /// Puts a session together of at least one of the tracks that `index` names. The others are gaps.
    ///
    /// # Errors
    /// See [`NotInherited`]: the tracks must be of those that `index` names, and have the same constants.
    pub fn new(index: Bytes, tracks: Vec<InheritedTrack>) -> Result<Self, NotInherited> {
        let named = Self::tracks(&index)?;
        if !tracks.iter().all(|track| named.contains(&track.track)) {
            return Err(NotInherited::Unlike("the multivariant playlist does not name all of them"));
        }
        let constants = |track: &InheritedTrack| (track.target_duration, track.part_target);
        if tracks.windows(2).any(|pair| constants(&pair[0]) != constants(&pair[1])) {
            return Err(NotInherited::Unlike("their target durations differ"));
        }
        let foremost = tracks.iter().max_by_key(|track| track.next_msn()).cloned().ok_or(NotInherited::Over)?;
        let mut had: BTreeMap<_, _> = tracks.into_iter().map(|track| (track.track, track)).collect();
        let whole = |id| {
            let mut track = had.remove(&id).unwrap_or_else(|| InheritedTrack::lost(id, &foremost));
            track.catch_up(&foremost);
            track
        };
        let tracks = named.into_iter().map(whole).collect();
        let codecs = multivariant(&index)?.variants.into_iter().filter_map(|variant| variant.codecs);
        let codecs = codecs.flat_map(|all| all.split(',').map(|one| one.trim().to_owned()).collect::<Vec<_>>());
        Ok(Self { index: index.clone(), tracks, codecs: codecs.collect() })
    }

    /// The tracks that a multivariant playlist names, video first.
    ///
    /// # Errors
    /// See [`NotInherited`].
    pub fn tracks(index: &[u8]) -> Result<Vec<TrackId>, NotInherited> {
        let index = multivariant(index)?;
        let variants = index.variants.iter().map(|variant| variant.uri.as_str());
        let renditions = index.renditions.iter().filter_map(|rendition| rendition.uri.as_deref());
        let tracks = variants.chain(renditions).map(track_of);
        let mut tracks =
            tracks.collect::<Option<Vec<_>>>().ok_or(NotInherited::Foreign("the multivariant playlist"))?;
        tracks.sort();
        tracks.dedup();
        if tracks.is_empty() { Err(NotInherited::Over) } else { Ok(tracks) }
    }

    /// The number of the segment with which the session goes on.
    pub fn next_msn(&self) -> u64 {
        self.tracks.iter().map(InheritedTrack::next_msn).max().unwrap_or(0)
    }
}

fn multivariant(index: &[u8]) -> Result<read::Multivariant, NotInherited> {
    match read::parse(index)? {
        Playlist::Multivariant(index) => Ok(index),
        Playlist::Media(_) => Err(NotInherited::Foreign("the multivariant playlist")),
    }
}

fn track_of(uri: &str) -> Option<TrackId> {
    let all =
        (0..MAX_TRACKS).flat_map(|index| [TrackKind::Video, TrackKind::Audio].map(|kind| TrackId { kind, index }));
    let mut all = all.into_iter();
    all.find(|track| uri.strip_suffix(".m3u8") == Some(track.to_string().as_str()))
}

/// What is frozen must be what we would write.
fn check_constants(media: &Media, part_target: Duration) -> Result<(), NotInherited> {
    let ours = ServerControl {
        can_block_reload: true,
        can_skip_until: Some(6 * media.target_duration),
        can_skip_dateranges: false,
        hold_back: Some(3 * media.target_duration),
        part_hold_back: Some(3 * part_target),
    };
    let plain = media.skipped == 0 && media.playlist_type.is_none();
    if plain && media.control == Some(ours) { Ok(()) } else { Err(NotInherited::Foreign("EXT-X-SERVER-CONTROL")) }
}

/// The epoch of `{epoch}/{track}/{file}`.
fn epoch_of(uri: &str, track: TrackId, file: &str) -> Option<u64> {
    let epoch: u64 = uri.split('/').next()?.parse().ok()?;
    (uri == format!("{epoch}/{track}/{file}")).then_some(epoch)
}

fn start(start: &Start, track: TrackId, epoch: u64, msn: u64, gap: bool) -> Result<SegmentStart, NotInherited> {
    let program_date_time = start.program_date_time.ok_or(NotInherited::Foreign("EXT-X-PROGRAM-DATE-TIME"))?;
    let init = start.map.as_ref().and_then(|map| init_of(map, track, epoch));
    if init.is_none() && !gap {
        return Err(NotInherited::Foreign("EXT-X-MAP"));
    }
    Ok(SegmentStart { epoch, msn, program_date_time, discontinuity: start.discontinuity, init })
}

fn init_of(map: &Arc<str>, track: TrackId, epoch: u64) -> Option<u32> {
    let number = map.rsplit_once("/init-")?.1.strip_suffix(".mp4")?.parse::<u32>().ok()?;
    (**map == format!("{epoch}/{track}/init-{number}.mp4")).then_some(number)
}

fn parts(listed: &[read::Part], track: TrackId, epoch: u64, msn: u64) -> Result<Vec<PartEntry>, NotInherited> {
    let entry = |(part, listed): (u32, &read::Part)| {
        let ours = listed.range.is_none() && listed.uri == format!("{epoch}/{track}/{msn}.{part}.m4s");
        let read::Part { duration, independent, gap, .. } = *listed;
        ours.then_some(PartEntry { part, duration, independent, gap })
    };
    (0..).zip(listed).map(entry).collect::<Option<_>>().ok_or(NotInherited::Foreign("EXT-X-PART"))
}

#[cfg(test)]
#[path = "inherit_tests.rs"]
mod tests;
