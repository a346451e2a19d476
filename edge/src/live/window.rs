//! What an edge knows of one followed track. A machine: the origin's events in, objects and versions out.
//!
//! ```text
//! FollowEvent ──handle──▶ Out::Store (inits, parts) · Out::Release (a version, or none) · Out::Over
//! ```
//! Versions only go forward: one that is not newer than the last, above all one of an older epoch, is dropped, and so is
//! one of a newer epoch whose segments have lower numbers (its origin could not learn how far the last one came). A
//! version comes after the parts that it names, so they are in the cache when viewers learn of them.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use freshet_proto::{
    id::{Epoch, Msn, SessionId},
    message::{Arrival, Constants, FollowEvent, PlaylistHeader, Version},
    object::Object,
};
use tokio::time::{Duration, Instant};

use super::playlist::Playlist;

/// What to do about an event.
pub(crate) enum Out {
    /// Keep an object.
    Store { epoch: Epoch, object: Object, bytes: Bytes, made: Option<Instant> },
    /// The newest part has changed.
    Moved,
    /// Show this version, or none.
    Release(Option<Arc<Playlist>>),
    /// The follow is over.
    Over(Over),
}

/// How a follow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The session is over and the last version says so.
    Ended,
    /// Another origin has it, or will.
    Moved,
    /// There is no such track.
    Gone,
}

/// A part's place in its track.
pub(crate) type Position = (Epoch, Msn, u32);

pub(crate) struct Window {
    most_segments: usize,
    most_playlist_bytes: u64,
    pub constants: Option<Constants>,
    pub newest: Option<Arc<Playlist>>,
    /// How the newest media of the next version came to the origin.
    arrival: Option<Arrival>,
    /// The newest part that came or is listed.
    pub at: Option<Position>,
    segments: BTreeMap<(Msn, Epoch), Parts>,
}

/// What is known of a segment's parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Parts {
    /// How many there are: up to the newest that came.
    count: u32,
    /// Whether there will be no more.
    finished: bool,
}

impl Window {
    pub(crate) fn new(most_segments: usize, most_playlist_bytes: u64) -> Self {
        let segments = BTreeMap::new();
        let (constants, newest, arrival, at) = (None, None, None, None);
        Self { most_segments, most_playlist_bytes, constants, newest, arrival, at, segments }
    }

    /// The session it belongs to.
    pub(crate) fn session(&self) -> Option<SessionId> {
        self.constants.map(|constants| constants.session)
    }

    /// The newest version, of which the origin need not tell again.
    pub(crate) fn version(&self) -> Option<Version> {
        self.newest.as_ref().map(|playlist| playlist.header.version)
    }

    /// Whether the last version says that the session is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.newest.as_ref().is_some_and(|playlist| playlist.header.ended)
    }

    /// How many parts a finished segment has.
    pub(crate) fn parts_of(&self, epoch: Epoch, msn: Msn) -> Option<u32> {
        self.segments.get(&(msn, epoch)).filter(|parts| parts.finished).map(|parts| parts.count)
    }

    /// Whether part `part` came, as far as is known.
    pub(crate) fn had(&self, epoch: Epoch, msn: Msn, part: u32) -> bool {
        self.segments.get(&(msn, epoch)).is_some_and(|parts| part < parts.count)
    }

    /// Whether `wanted` may be the part that comes next: the next of its segment, or the first of the next segment.
    pub(crate) fn may_come_next(&self, (epoch, msn, part): Position) -> bool {
        let Some((at_epoch, at_msn, at_part)) = self.at else { return false };
        let next_segment = part == 0 && msn.0 == at_msn.0.saturating_add(1) && epoch >= at_epoch;
        next_segment || (epoch, msn, part) == (at_epoch, at_msn, at_part.saturating_add(1))
    }

    /// Takes an event and its payload.
    pub(crate) fn handle(&mut self, now: Instant, event: FollowEvent, payload: Bytes, out: &mut Vec<Out>) {
        let made = |age_ms: u32| now.checked_sub(Duration::from_millis(age_ms.into()));
        match event {
            FollowEvent::Constants(constants) => self.begin(constants, out),
            FollowEvent::Init { epoch, n, .. } => {
                out.push(Out::Store { epoch, object: Object::Init(n), bytes: payload, made: made(0) });
            }
            FollowEvent::Part { epoch, msn, part, age_ms, length } => {
                if length > 0 {
                    out.push(Out::Store { epoch, object: Object::Part(msn, part), bytes: payload, made: made(age_ms) });
                }
                self.part((epoch, msn, part), out);
            }
            FollowEvent::Arrival(arrival) => self.arrival = Some(arrival),
            FollowEvent::Playlist(header) => self.playlist(header, made(header.age_ms), &payload, out),
            FollowEvent::Ended => {
                self.end(out);
                out.push(Out::Over(Over::Ended));
            }
            FollowEvent::Moved => out.push(Out::Over(Over::Moved)),
            FollowEvent::Gone => out.push(Out::Over(Over::Gone)),
            _ => {}
        }
    }

    /// Ends the playlist without its origin.
    pub(crate) fn end(&mut self, out: &mut Vec<Out>) {
        if let Some(newest) = self.newest.as_ref().filter(|newest| !newest.header.ended)
            && let Some(ended) = newest.ended(self.most_playlist_bytes)
        {
            self.release(ended, out);
        }
    }

    /// Forgets everything: another session has begun, or the track is no more.
    pub(crate) fn forget(&mut self, out: &mut Vec<Out>) {
        *self = Self::new(self.most_segments, self.most_playlist_bytes);
        out.push(Out::Release(None));
    }

    fn begin(&mut self, constants: Constants, out: &mut Vec<Out>) {
        if self.session().is_some_and(|session| session != constants.session) {
            self.forget(out);
        }
        self.constants = Some(constants);
    }

    fn part(&mut self, position: Position, out: &mut Vec<Out>) {
        let (epoch, msn, part) = position;
        let parts = self.segments.entry((msn, epoch)).or_default();
        parts.count = parts.count.max(part.saturating_add(1));
        self.forget_oldest();
        self.reach(position, out);
    }

    fn playlist(&mut self, header: PlaylistHeader, made: Option<Instant>, payload: &Bytes, out: &mut Vec<Out>) {
        let arrival = self.arrival.take();
        let Some(constants) = self.constants else { return };
        let goes_back = |newest: Version| header.version <= newest || header.version.msn < newest.msn;
        if self.version().is_some_and(goes_back) {
            return;
        }
        if payload.len() as u64 > self.most_playlist_bytes {
            return;
        }
        let Some(playlist) = Playlist::new(header, constants, made, payload) else { return };
        self.finish(&header);
        // An origin that goes on where another died lists what it never had itself: it is there, but not to come.
        let Version { epoch, msn, part, .. } = header.version;
        self.reach((epoch, msn, part), out);
        self.release(playlist.arrived(arrival), out);
    }

    /// The newest whole segment may be of an epoch before that of the version that tells of it, unless it is the newest
    /// of all. Of what its parts did not come, other nodes may have them.
    fn finish(&mut self, header: &PlaylistHeader) {
        let Some(complete) = header.complete else { return };
        let finished = Parts { count: header.complete_parts, finished: true };
        let Version { epoch, msn, .. } = header.version;
        if complete == msn {
            self.segments.insert((msn, epoch), finished);
            self.forget_oldest();
        } else if let Some((_, parts)) = self.segments.range_mut((complete, Epoch(0))..=(complete, epoch)).next_back() {
            *parts = finished;
        }
    }

    fn forget_oldest(&mut self) {
        while self.segments.len() > self.most_segments {
            self.segments.pop_first();
        }
    }

    fn reach(&mut self, position: Position, out: &mut Vec<Out>) {
        if self.at.is_none_or(|at| at < position) {
            self.at = Some(position);
            out.push(Out::Moved);
        }
    }

    fn release(&mut self, playlist: Playlist, out: &mut Vec<Out>) {
        let playlist = Arc::new(playlist);
        self.newest = Some(Arc::clone(&playlist));
        out.push(Out::Release(Some(playlist)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::gzip;

    fn constants(session: u64) -> FollowEvent {
        let session = SessionId(session);
        FollowEvent::Constants(Constants { session, target_duration_ms: 4000, part_target_ms: 500, keep_ms: 9 })
    }

    fn part(epoch: u64, msn: u64, part: u32) -> FollowEvent {
        FollowEvent::Part { epoch: Epoch(epoch), msn: Msn(msn), part, age_ms: 0, length: 1 }
    }

    fn version(epoch: u64, msn: u64, part: u32) -> FollowEvent {
        FollowEvent::Playlist(PlaylistHeader {
            version: Version { epoch: Epoch(epoch), msn: Msn(msn), part, edit: 0 },
            complete: msn.checked_sub(1).map(Msn),
            complete_parts: 2,
            age_ms: 0,
            body: 4,
            ended: false,
            full_gz: gzip(b"bodytail").len() as u32,
            delta_gz: 0,
        })
    }

    /// What viewers and the cache see of a story of events.
    fn seen(window: &mut Window, story: &[FollowEvent]) -> String {
        let mut out = Vec::new();
        for event in story {
            let payload = match event {
                FollowEvent::Playlist(_) => gzip(b"bodytail"),
                _ => Bytes::from_static(b"x"),
            };
            window.handle(Instant::now(), event.clone(), payload, &mut out);
        }
        let words = out.iter().filter_map(|out| match out {
            Out::Store { epoch, object, .. } => Some(format!("{epoch}/{object}")),
            Out::Moved => None,
            Out::Release(Some(playlist)) => {
                let version = playlist.header.version;
                let ended = if playlist.header.ended { " ended" } else { "" };
                Some(format!("[{} {}.{}{ended}]", version.epoch, version.msn, version.part))
            }
            Out::Release(None) => Some("[]".to_owned()),
            Out::Over(over) => Some(format!("{over:?}")),
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn window() -> Window {
        Window::new(3, 1000)
    }

    #[test]
    fn parts_are_kept_before_the_version_that_names_them_is_shown() {
        let init = FollowEvent::Init { epoch: Epoch(1), n: 0, length: 1 };
        let story = [constants(1), init, part(1, 5, 0), version(1, 5, 0), part(1, 5, 1), version(1, 5, 1)];
        let expected = "1/init-0.mp4 1/5.0.m4s [1 5.0] 1/5.1.m4s [1 5.1]";
        assert_eq!(seen(&mut window(), &story), expected);
    }

    #[test]
    fn how_media_came_is_said_of_the_next_version_alone() {
        let late = |late_ms| FollowEvent::Arrival(Arrival { uplink_ms: Some(20), late_ms });
        let mut window = window();
        let mut said = |story: &[FollowEvent]| {
            seen(&mut window, story);
            let newest = window.newest.as_ref().and_then(|newest| newest.arrival.clone());
            newest.map(|said| said.to_str().unwrap().to_owned())
        };
        let with = said(&[constants(1), late(9), version(1, 5, 0)]);
        assert_eq!(with.as_deref(), Some("uplink;dur=20, late;dur=9"));
        assert_eq!(said(&[version(1, 5, 1)]), None);
        assert_eq!(said(&[late(7), version(1, 5, 1), version(1, 5, 2)]), None, "that version was not news");
    }

    #[test]
    fn a_version_of_an_older_epoch_is_dropped() {
        let story = [constants(1), version(2, 5, 0), version(1, 9, 0), version(2, 5, 0), version(2, 5, 1)];
        assert_eq!(seen(&mut window(), &story), "[2 5.0] [2 5.1]");
    }

    #[test]
    fn at_12_a_version_whose_segments_have_lower_numbers_is_not_shown() {
        let story = [constants(1), version(1, 7, 0), version(2, 6, 0), version(2, 6, 1), version(2, 7, 0)];
        assert_eq!(seen(&mut window(), &story), "[1 7.0] [2 7.0]");
    }

    #[test]
    fn another_session_begins_with_nothing() {
        let story = [constants(1), version(2, 5, 0), constants(1), constants(3), version(4, 25, 0)];
        assert_eq!(seen(&mut window(), &story), "[2 5.0] [] [4 25.0]");
    }

    #[test]
    fn the_end_is_shown_even_if_the_last_version_does_not_say_so() {
        let story = [constants(1), version(1, 5, 0), FollowEvent::Ended];
        assert_eq!(seen(&mut window(), &story), "[1 5.0] [1 5.0 ended] Ended");
    }

    #[test]
    fn a_segment_is_finished_when_a_version_says_so_and_not_by_guessing() {
        let mut window = window();
        seen(&mut window, &[constants(1), part(1, 5, 0), part(1, 5, 1), part(1, 6, 0)]);
        assert_eq!(window.parts_of(Epoch(1), Msn(5)), None, "parts may have been skipped");
        seen(&mut window, &[version(1, 6, 0)]);
        assert_eq!(window.parts_of(Epoch(1), Msn(5)), Some(2));
        seen(&mut window, &[part(2, 7, 0), version(2, 7, 0)]);
        assert_eq!(window.parts_of(Epoch(1), Msn(6)), Some(2), "told by a version of the next epoch");
        seen(&mut window, &[part(2, 8, 0)]);
        assert_eq!(window.parts_of(Epoch(1), Msn(5)), None, "the oldest is forgotten");
    }

    #[test]
    fn what_a_successor_lists_beyond_what_came_is_there_and_not_to_come() {
        let mut window = window();
        seen(&mut window, &[constants(1), part(1, 5, 0), version(1, 5, 0)]);
        assert!(window.may_come_next((Epoch(1), Msn(5), 1)));
        let FollowEvent::Playlist(header) = version(1, 5, 2) else { panic!("a version") };
        let closed = PlaylistHeader { complete: Some(Msn(5)), complete_parts: 3, ..header };
        seen(&mut window, &[FollowEvent::Playlist(closed)]);
        assert_eq!(window.at, Some((Epoch(1), Msn(5), 2)));
        assert_eq!(window.parts_of(Epoch(1), Msn(5)), Some(3));
        assert!(!window.may_come_next((Epoch(1), Msn(5), 1)) && window.may_come_next((Epoch(2), Msn(6), 0)));
    }

    #[test]
    fn only_the_next_part_or_the_next_segments_first_may_come() {
        let mut window = window();
        seen(&mut window, &[constants(1), part(3, 5, 1)]);
        let may = |epoch, msn, part| window.may_come_next((Epoch(epoch), Msn(msn), part));
        assert!(may(3, 5, 2) && may(3, 6, 0) && may(4, 6, 0));
        assert!(!may(3, 5, 1) && !may(3, 5, 3) && !may(3, 6, 1) && !may(3, 7, 0) && !may(2, 6, 0));
    }
}
