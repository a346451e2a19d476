//! What one follower of a track is sent next, read from the live window at the moment when its stream takes more.
//!
//! ```text
//! Window ──next──▶ Constants · { Init · Part · Arrival · Playlist }* · Ended
//! ```
//! Nothing queues: a follower is a position in the window. It takes the newest playlist, is sent the parts up to that
//! playlist's last one, then the playlist, and looks again; versions that came and went meanwhile are never sent. So a
//! slow link skips stale playlists, and one that is slower than the stream still makes progress.

use bytes::Bytes;
use freshet_media::output::Rendered;
use freshet_proto::{
    id::{Epoch, Msn, TrackName},
    level::Level,
    message::{Arrival, FollowEvent, PlaylistHeader, Version},
    object::Object,
};

use crate::live::{InitName, Made, Segment, Track, Window, version_of};
use std::sync::Arc;

/// A position in the events of one track. Whoever has nothing, or fell out of the window, begins with the newest whole
/// segment: what viewers ask beyond that is fetched.
#[derive(Debug)]
pub(crate) struct Cursor {
    track: TrackName,
    constants_sent: bool,
    init_sent: Option<InitName>,
    /// The next part to send; `None` until the first is chosen.
    at: Option<(Msn, u32)>,
    /// The newest playlist that the follower has.
    has: Option<Version>,
    /// The playlist whose parts are being sent.
    towards: Option<Made<Arc<Rendered>>>,
    /// How the newest of that playlist came, still to be told; only to those who understand it.
    arrival: Option<Arrival>,
    tells_arrival: bool,
}

/// One event and the bytes that follow it.
#[derive(Debug, PartialEq)]
pub(crate) struct Sending {
    pub(crate) event: FollowEvent,
    pub(crate) payload: Vec<Bytes>,
    /// The object whose bytes these are, so that transfers can be counted.
    pub(crate) object: Option<(Epoch, Object)>,
}

impl Cursor {
    /// A follower of `track` that has everything up to `after`; `None` begins with the newest whole segment. It is told what
    /// those understand who speak that version.
    pub(crate) fn new(track: TrackName, after: Option<Version>, speaks: Level) -> Self {
        let at = after.map(|version| (version.msn, version.part + 1));
        let tells_arrival = speaks >= Level::TELLS_ARRIVAL;
        let (towards, arrival) = (None, None);
        Self { track, constants_sent: false, init_sent: None, at, has: after, towards, arrival, tells_arrival }
    }

    /// The next thing to send, or `None` while there is nothing. [`FollowEvent::Ended`] is the last.
    pub(crate) fn next(&mut self, window: &Window, now_ms: u64) -> Option<Sending> {
        if !self.constants_sent {
            let constants = window.constants()?;
            self.constants_sent = true;
            return Some(Sending::bare(FollowEvent::Constants(constants)));
        }
        let track = window.track(self.track)?;
        self.choose_playlist(track);
        if let Some(part) = self.next_part(track, now_ms) {
            return Some(part);
        }
        if let Some(arrival) = self.arrival.take() {
            return Some(Sending::bare(FollowEvent::Arrival(arrival)));
        }
        match self.towards.take() {
            Some(playlist) => Some(self.playlist(&playlist, now_ms)),
            None => self.has_ended(track).then(|| Sending::bare(FollowEvent::Ended)),
        }
    }

    fn choose_playlist(&mut self, track: &Track) {
        if self.towards.is_none() {
            let newest = track.playlist();
            self.towards = newest.filter(|newest| self.has < Some(version_of(&newest.value))).cloned();
            self.arrival = track.arrival().filter(|_| self.tells_arrival && self.towards.is_some());
        }
    }

    /// The next part that the chosen playlist names, or that there is while no playlist is chosen; before it the init
    /// that it needs. Parts that have left the window are skipped.
    fn next_part(&mut self, track: &Track, now_ms: u64) -> Option<Sending> {
        let (segment, index) = self.locate(track)?;
        let last = self.towards.as_ref().map(|playlist| version_of(&playlist.value));
        if last.is_some_and(|last| (segment.msn, index) > (last.msn, last.part)) {
            return None;
        }
        if segment.init.is_some() && segment.init != self.init_sent {
            return self.init(track, segment.init?).or_else(|| self.part(segment, index, now_ms));
        }
        self.part(segment, index, now_ms)
    }

    fn locate<'a>(&self, track: &'a Track) -> Option<(&'a Segment, u32)> {
        let begin = || track.near_live().map(|segment| (segment, 0));
        let Some((msn, index)) = self.at else { return begin() };
        if track.oldest()?.msn > msn {
            return begin();
        }
        match track.segment(msn).filter(|segment| (index as usize) < segment.parts.len()) {
            Some(segment) => Some((segment, index)),
            None => track.segment_from(Msn(msn.0 + 1)).map(|next| (next, 0)),
        }
    }

    fn init(&mut self, track: &Track, name: InitName) -> Option<Sending> {
        self.init_sent = Some(name);
        let bytes = track.init(name)?.value.clone();
        let (epoch, n) = name;
        let event = FollowEvent::Init { epoch, n, length: bytes.len() as u32 };
        Some(Sending { event, payload: vec![bytes], object: Some((epoch, Object::Init(n))) })
    }

    fn part(&mut self, segment: &Segment, index: u32, now_ms: u64) -> Option<Sending> {
        let part = segment.parts.get(index as usize)?;
        self.at = Some((segment.msn, index + 1));
        let event = FollowEvent::Part {
            epoch: segment.epoch,
            msn: segment.msn,
            part: index,
            age_ms: age(now_ms, part.made_ms),
            length: part.bytes.len() as u32,
        };
        let object = (!part.gap).then_some((segment.epoch, Object::Part(segment.msn, index)));
        Some(Sending { event, payload: vec![part.bytes.clone()], object })
    }

    fn playlist(&mut self, made: &Made<Arc<Rendered>>, now_ms: u64) -> Sending {
        let playlist = &made.value;
        let version = version_of(playlist);
        self.has = Some(version);
        let delta = playlist.delta_gz.clone().unwrap_or_default();
        let header = PlaylistHeader {
            version,
            complete: playlist.complete.map(|(msn, _)| Msn(msn)),
            complete_parts: playlist.complete.map_or(0, |(_, parts)| parts),
            age_ms: age(now_ms, made.at_ms),
            body: playlist.body as u32,
            ended: playlist.ended,
            full_gz: playlist.full_gz.len() as u32,
            delta_gz: delta.len() as u32,
        };
        let payload = vec![playlist.full_gz.clone(), delta];
        Sending { event: FollowEvent::Playlist(header), payload, object: None }
    }

    fn has_ended(&self, track: &Track) -> bool {
        track.playlist().is_some_and(|newest| newest.value.ended)
    }
}

impl Sending {
    fn bare(event: FollowEvent) -> Self {
        Self { event, payload: Vec::new(), object: None }
    }
}

fn age(now_ms: u64, made_ms: u64) -> u32 {
    now_ms.saturating_sub(made_ms).min(u32::MAX.into()) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use freshet_media::{frame::TrackId, output::Output};
    use freshet_proto::id::SessionId;

    use super::*;
    use crate::live::testing::{constants, init, part, playlist, segment};

    fn window(made: Vec<Output>) -> Window {
        let mut window = Window::new(SessionId(1), u64::MAX);
        put(&mut window, made);
        window
    }

    fn put(window: &mut Window, made: Vec<Output>) {
        made.into_iter().for_each(|made| window.put(0, made));
    }

    fn version(msn: u64, part: u32) -> Option<Version> {
        Some(Version { epoch: Epoch(1), msn: Msn(msn), part, edit: 0 })
    }

    /// What a follower is sent before it must wait.
    fn send(cursor: &mut Cursor, window: &Window) -> String {
        let mut words = Vec::new();
        while let Some(sending) = cursor.next(window, 0) {
            words.push(word(&sending));
            if sending.event == FollowEvent::Ended {
                break;
            }
        }
        words.join(" ")
    }

    fn word(sending: &Sending) -> String {
        match &sending.event {
            FollowEvent::Constants(_) => "constants".into(),
            FollowEvent::Init { n, .. } => format!("init-{n}"),
            FollowEvent::Part { msn, part, length: 0, .. } => format!("gap:{msn}.{part}"),
            FollowEvent::Part { msn, part, .. } => format!("{msn}.{part}"),
            FollowEvent::Arrival(arrival) => format!("late({})", arrival.late_ms),
            FollowEvent::Playlist(header) => format!("playlist({}.{})", header.version.msn, header.version.part),
            other => format!("{other:?}"),
        }
    }

    fn two_segments() -> Vec<Output> {
        let mut made = vec![constants(), init(0)];
        made.extend([part(5, 0), part(5, 1), segment(5, 2), part(6, 0), part(6, 1), segment(6, 2), part(7, 0)]);
        made.push(playlist(7, 0));
        made
    }

    #[test]
    fn a_new_follower_begins_with_the_newest_whole_segment_and_then_gets_the_playlist() {
        let window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, None, Level::NEWEST);
        assert_eq!(send(&mut cursor, &window), "constants init-0 6.0 6.1 7.0 playlist(7.0)");
    }

    #[test]
    fn a_follower_that_comes_back_is_sent_only_what_is_newer() {
        let window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, version(6, 0), Level::NEWEST);
        assert_eq!(send(&mut cursor, &window), "constants init-0 6.1 7.0 playlist(7.0)");
        let mut cursor = Cursor::new(TrackName::V0, version(7, 0), Level::NEWEST);
        assert_eq!(send(&mut cursor, &window), "constants");
    }

    #[test]
    fn playlists_that_came_and_went_meanwhile_are_never_sent() {
        let mut window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, version(7, 0), Level::NEWEST);
        assert_eq!(send(&mut cursor, &window), "constants");
        put(&mut window, vec![part(7, 1), playlist(7, 1), part(7, 2), playlist(7, 2)]);
        assert_eq!(send(&mut cursor, &window), "init-0 7.1 7.2 playlist(7.2)");
    }

    #[test]
    fn a_link_slower_than_the_stream_still_gets_a_playlist_now_and_then() {
        let mut window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, version(7, 0), Level::NEWEST);
        let mut sent = Vec::new();
        for index in 1..8 {
            put(&mut window, vec![part(7, index), playlist(7, index)]);
            sent.extend(cursor.next(&window, 0).map(|sending| word(&sending)));
        }
        assert_eq!(sent, ["constants", "init-0", "7.1", "7.2", "playlist(7.2)", "7.3", "7.4"]);
    }

    #[test]
    fn how_the_newest_media_came_is_told_before_its_playlist_to_those_who_understand_it() {
        let mut window = Window::new(SessionId(1), u64::MAX);
        let late = |late_ms| Some(Arrival { uplink_ms: Some(20), late_ms });
        window.note(late(7));
        put(&mut window, two_segments());
        window.note(late(9));
        put(&mut window, vec![part(7, 1)]);
        let mut cursor = Cursor::new(TrackName::V0, version(6, 1), Level::NEWEST);
        assert_eq!(send(&mut cursor, &window), "constants init-0 7.0 late(7) playlist(7.0) 7.1");
        put(&mut window, vec![playlist(7, 1)]);
        assert_eq!(send(&mut cursor, &window), "late(9) playlist(7.1)");
        window.note(None);
        put(&mut window, vec![part(7, 2), playlist(7, 2)]);
        assert_eq!(send(&mut cursor, &window), "7.2 playlist(7.2)");
        let mut old = Cursor::new(TrackName::V0, version(6, 1), Level::FIRST);
        window.note(late(8));
        put(&mut window, vec![part(7, 3), playlist(7, 3)]);
        assert_eq!(send(&mut old, &window), "constants init-0 7.0 7.1 7.2 7.3 playlist(7.3)");
    }

    #[test]
    fn parts_are_sent_before_there_is_a_playlist() {
        let mut window = window(vec![constants(), init(0), part(5, 0)]);
        let mut cursor = Cursor::new(TrackName::V0, None, Level::NEWEST);
        assert_eq!(send(&mut cursor, &window), "constants init-0 5.0");
        put(&mut window, vec![part(5, 1)]);
        assert_eq!(send(&mut cursor, &window), "5.1");
    }

    #[test]
    fn a_changed_init_comes_before_the_first_part_that_needs_it() {
        let mut window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, None, Level::NEWEST);
        send(&mut cursor, &window);
        put(&mut window, vec![segment(7, 1), init(1), part(8, 0), playlist(8, 0)]);
        assert_eq!(send(&mut cursor, &window), "init-1 8.0 playlist(8.0)");
    }

    #[test]
    fn whoever_fell_out_of_the_window_begins_again_near_its_end() {
        let mut window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, version(5, 0), Level::NEWEST);
        put(&mut window, vec![Output::Expired { track: TrackId::V0, msn: 6 }]);
        assert_eq!(send(&mut cursor, &window), "constants init-0 6.0 6.1 7.0 playlist(7.0)");
    }

    #[test]
    fn an_ended_playlist_is_the_last_thing_before_the_end() {
        let mut window = window(two_segments());
        let mut cursor = Cursor::new(TrackName::V0, version(7, 0), Level::NEWEST);
        send(&mut cursor, &window);
        put(&mut window, vec![crate::live::testing::ended(7, 0)]);
        assert_eq!(send(&mut cursor, &window), "playlist(7.0) Ended");
        let mut late = Cursor::new(TrackName::V0, cursor.has, Level::NEWEST);
        assert_eq!(send(&mut late, &window), "constants Ended");
    }

    #[test]
    fn a_part_carries_its_age() {
        let mut window = window(vec![constants(), init(0)]);
        window.put(1000, part(5, 0));
        let mut cursor = Cursor::new(TrackName::V0, None, Level::NEWEST);
        let events: Vec<_> = std::iter::from_fn(|| cursor.next(&window, 1250)).map(|sending| sending.event).collect();
        let age = events.iter().find_map(|event| match event {
            FollowEvent::Part { age_ms, .. } => Some(Duration::from_millis((*age_ms).into())),
            _ => None,
        });
        assert_eq!(age, Some(Duration::from_millis(250)));
    }
}
