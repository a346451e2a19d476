//! The live window of one session: everything that viewers may still ask for, in memory.
//!
//! ```text
//! media::output::Output ──put──▶ Window ──find──▶ FETCH
//!                                   └── tracks ──▶ follow::Cursor ──▶ FOLLOW
//! ```
//! A segment is the bytes of its parts and shares them. How long an object is kept is the packager's to say
//! (`Output::Expired`, draft-pantos-hls-rfc8216bis §6.2.2); once the session has ended, all that is left stays for the
//! playlist's duration and the time that an object outlives its playlist, and then goes at once.
//!
//! What an encoder sent arrives as slices of receive buffers. Each part is copied once, into a buffer of its own size:
//! a slice would keep the whole buffer alive for as long as the window keeps the part.

#[cfg(test)]
pub(crate) mod testing;
mod track;

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use freshet_media::{
    frame::{self, TrackId},
    output::{self, Output},
};
use freshet_proto::{
    id::{Epoch, Msn, SessionId, TrackKind, TrackName},
    message::{Arrival, Constants},
    object::Object,
};

pub(crate) use track::{InitName, Made, Segment, Track, version_of};

/// One session's window. Holds at most `limit` bytes of parts; beyond that the oldest segments go first.
#[derive(Debug)]
pub(crate) struct Window {
    session: SessionId,
    limit: u64,
    bytes: u64,
    constants: Option<Constants>,
    index: Option<Made<Bytes>>,
    thumb: Option<Thumb>,
    /// How the newest media came, where that is known.
    arrival: Option<Arrival>,
    tracks: BTreeMap<TrackName, Track>,
}

/// Something to send: its bytes in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) made_ms: u64,
    /// The lengths of a segment's parts; empty for anything else.
    pub(crate) part_lengths: Vec<u32>,
}

/// What became of a look-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// Here it is.
    Found(Body),
    /// It is not made yet, but may be the next thing made.
    Announced,
    /// It is not here and will not be.
    Missing,
}

#[derive(Debug)]
struct Thumb {
    init: InitName,
    fragment: Bytes,
    made_ms: u64,
}

impl Window {
    /// An empty window.
    pub(crate) fn new(session: SessionId, limit: u64) -> Self {
        let tracks = BTreeMap::new();
        Self { session, limit, bytes: 0, constants: None, index: None, thumb: None, arrival: None, tracks }
    }

    /// What is put from now on was made when the newest media had come like this.
    pub(crate) fn note(&mut self, arrival: Option<Arrival>) {
        self.arrival = arrival;
    }

    /// Takes one thing that the pipeline made.
    pub(crate) fn put(&mut self, now_ms: u64, made: Output) {
        match made {
            Output::Constants(constants) => self.constants = Some(self.constants_of(constants)),
            Output::Init { epoch, track, n, bytes } => {
                self.bytes += bytes.len() as u64;
                self.track_mut(track).put_init((Epoch(epoch), n), right_sized(&[bytes]), now_ms);
            }
            Output::Part(part) => self.put_part(now_ms, part),
            Output::Segment { epoch, track, msn, .. } => self.track_mut(track).finish_segment(Epoch(epoch), Msn(msn)),
            Output::Keyframe { epoch, init, payload } => {
                let fragment = right_sized(&payload);
                self.thumb = Some(Thumb { init: (Epoch(epoch), init), fragment, made_ms: now_ms });
            }
            // hls.js gives up for good on a playlist without a whole segment (`levelEmptyError`), and Shaka fails too:
            // until there is one, viewers wait.
            Output::Playlist(track, playlist) if playlist.complete.is_some() || playlist.ended => {
                let arrival = self.arrival;
                self.track_mut(track).put_playlist(playlist, arrival, now_ms);
            }
            Output::Multivariant(index) => self.index = Some(Made { value: index, at_ms: now_ms }),
            Output::Expired { track, msn } => self.bytes -= self.track_mut(track).expire_below(Msn(msn)),
            _ => {}
        }
    }

    fn put_part(&mut self, now_ms: u64, part: output::Part) {
        let kept = track::Part {
            bytes: right_sized(&part.payload),
            made_ms: now_ms,
            duration_ms: part.duration.as_millis() as u64,
            gap: part.gap,
        };
        let length = kept.bytes.len() as u64;
        if self.track_mut(part.track).put_part(Epoch(part.epoch), Msn(part.msn), part.part, kept) {
            self.bytes += length;
        }
        self.keep_to_limit();
    }

    fn keep_to_limit(&mut self) {
        while self.bytes > self.limit {
            let droppable = self.tracks.values_mut().filter(|track| track.len() > 1);
            let Some(track) = droppable.min_by_key(|track| track.oldest().map(|segment| segment.msn)) else { return };
            let Some(oldest) = track.oldest().map(|segment| segment.msn) else { return };
            self.bytes -= track.expire_below(Msn(oldest.0 + 1));
        }
    }

    fn constants_of(&self, constants: output::Constants) -> Constants {
        Constants {
            session: self.session,
            target_duration_ms: constants.target_duration.as_millis() as u32,
            part_target_ms: constants.part_target.as_millis() as u32,
            keep_ms: constants.keep.as_millis() as u32,
        }
    }

    fn track_mut(&mut self, track: TrackId) -> &mut Track {
        self.tracks.entry(track_name(track)).or_default()
    }

    /// The session's constants, once the packager has frozen them.
    pub(crate) fn constants(&self) -> Option<Constants> {
        self.constants
    }

    /// Whether the session shows and does not have `track`: its tracks are frozen by then.
    pub(crate) fn has_no(&self, track: TrackName) -> bool {
        self.index.is_some() && !self.tracks.contains_key(&track)
    }

    /// How many bytes of inits and parts are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is kept of `track`.
    pub(crate) fn track(&self, track: TrackName) -> Option<&Track> {
        self.tracks.get(&track)
    }

    /// The number after the newest segment's; 0 where there is none.
    pub(crate) fn next_msn(&self) -> Msn {
        Msn(self.tracks.values().filter_map(Track::newest_msn).map(|msn| msn.0 + 1).max().unwrap_or(0))
    }

    /// Whether `epoch` has a playlist that viewers can begin with.
    pub(crate) fn is_live(&self, epoch: Epoch) -> bool {
        let playlists = self.tracks.values().filter_map(Track::playlist);
        self.index.is_some() && playlists.into_iter().any(|playlist| playlist.value.version.epoch >= epoch.0)
    }

    /// The multivariant playlist; announced while the session has not begun to show.
    pub(crate) fn find_index(&self) -> Lookup {
        self.index.as_ref().map_or(Lookup::Announced, |index| Lookup::Found(whole(&index.value, index.at_ms)))
    }

    /// A track's newest playlist in full; announced while the session has not begun to show.
    pub(crate) fn find_playlist(&self, track: TrackName) -> Lookup {
        match self.track(track).and_then(Track::playlist) {
            Some(playlist) => Lookup::Found(whole(&playlist.value.full, playlist.at_ms)),
            None if self.index.is_none() => Lookup::Announced,
            None => Lookup::Missing,
        }
    }

    /// The thumbnail: init and latest IDR.
    pub(crate) fn find_thumb(&self) -> Lookup {
        let found = self.thumb.as_ref().and_then(|thumb| {
            let init = self.track(TrackName::V0)?.init(thumb.init)?;
            let pieces = vec![init.value.clone(), thumb.fragment.clone()];
            Some(Body { pieces, made_ms: thumb.made_ms, part_lengths: Vec::new() })
        });
        found.map_or(Lookup::Missing, Lookup::Found)
    }

    /// An immutable object. `open` is the epoch that is being published, if any.
    pub(crate) fn find(&self, epoch: Epoch, track: TrackName, object: Object, open: Option<Epoch>) -> Lookup {
        self.track(track).map_or(Lookup::Missing, |kept| kept.find(epoch, object, open))
    }

    /// How long everything must stay once the session has ended, in milliseconds [6.2.2].
    pub(crate) fn afterlife_ms(&self) -> u64 {
        let playlist = self.tracks.values().map(Track::duration_ms).max().unwrap_or(0);
        playlist + self.constants.map_or(0, |constants| constants.keep_ms.into())
    }
}

fn whole(bytes: &Bytes, made_ms: u64) -> Body {
    Body { pieces: vec![bytes.clone()], made_ms, part_lengths: Vec::new() }
}

/// One buffer of exactly the length of `pieces`.
fn right_sized(pieces: &[Bytes]) -> Bytes {
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    pieces.iter().for_each(|piece| all.extend_from_slice(piece));
    all.freeze()
}

/// The media core's name of a track in the language of the nodes.
pub(crate) fn track_name(track: TrackId) -> TrackName {
    let kind = match track.kind {
        frame::TrackKind::Video => TrackKind::Video,
        frame::TrackKind::Audio => TrackKind::Audio,
    };
    TrackName { kind, index: track.index }
}

/// The nodes' name of a track in the language of the media core.
pub(crate) fn track_id(name: TrackName) -> TrackId {
    let kind = match name.kind {
        TrackKind::Video => frame::TrackKind::Video,
        TrackKind::Audio => frame::TrackKind::Audio,
    };
    TrackId { kind, index: name.index }
}

#[cfg(test)]
mod tests {
    use super::{
        testing::{constants, ended, gap, init, part, playlist, segment},
        *,
    };

    const E1: Epoch = Epoch(1);

    fn window(limit: u64, made: Vec<Output>) -> Window {
        let mut window = Window::new(SessionId(1), limit);
        made.into_iter().for_each(|made| window.put(0, made));
        window
    }

    fn two_segments() -> Vec<Output> {
        vec![constants(), init(0), part(5, 0), part(5, 1), segment(5, 2), part(6, 0), playlist(6, 0)]
    }

    /// An object's text, or why there is none.
    fn find(window: &Window, file: &str) -> String {
        match window.find(E1, TrackName::V0, file.parse().unwrap(), Some(E1)) {
            Lookup::Found(body) => String::from_utf8(body.pieces.concat()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_segment_is_exactly_the_bytes_of_its_parts_and_shares_them() {
        let window = window(u64::MAX, two_segments());
        assert_eq!(find(&window, "5.m4s"), "5.05.1");
        let address = |file: &str| match window.find(E1, TrackName::V0, file.parse().unwrap(), None) {
            Lookup::Found(body) => body.pieces[0].as_ptr(),
            other => panic!("{other:?}"),
        };
        assert_eq!(address("5.m4s"), address("5.0.m4s"));
    }

    #[test]
    fn a_playlist_without_a_whole_segment_is_not_shown() {
        let shown = |window: &Window| window.track(TrackName::V0).is_some_and(|track| track.playlist().is_some());
        let mut window = window(u64::MAX, vec![constants(), init(0), part(0, 0), playlist(0, 0)]);
        assert!(!shown(&window));
        [segment(0, 1), part(1, 0), playlist(1, 0)].into_iter().for_each(|made| window.put(0, made));
        assert!(shown(&window));
    }

    #[test]
    fn a_segments_parts_are_listed_by_their_lengths() {
        let window = window(u64::MAX, two_segments());
        let Lookup::Found(body) = window.find(E1, TrackName::V0, "5.m4s".parse().unwrap(), None) else { panic!() };
        assert_eq!(body.part_lengths, [3, 3]);
    }

    #[test]
    fn only_what_may_come_next_is_announced() {
        let window = window(u64::MAX, two_segments());
        let files = ["6.1.m4s", "7.0.m4s", "6.2.m4s", "7.1.m4s", "5.2.m4s", "8.0.m4s", "6.m4s", "init-1.mp4"];
        let answers = files.map(|file| find(&window, file));
        assert_eq!(&answers[..2], ["Announced", "Announced"]);
        assert!(answers[2..].iter().all(|answer| answer == "Missing"), "{answers:?}");
    }

    #[test]
    fn a_hint_is_dead_once_its_segment_is_finished_or_its_publisher_has_gone() {
        let mut window = window(u64::MAX, two_segments());
        assert_eq!(window.find(E1, TrackName::V0, "6.1.m4s".parse().unwrap(), None), Lookup::Missing);
        window.put(0, segment(6, 1));
        assert_eq!(find(&window, "6.1.m4s"), "Missing");
        assert_eq!(find(&window, "7.0.m4s"), "Announced");
    }

    #[test]
    fn a_gap_is_missing_and_so_is_its_segment() {
        let mut window = window(u64::MAX, two_segments());
        for made in [gap(6, 1), segment(6, 2), part(7, 0)] {
            window.put(0, made);
        }
        assert_eq!([find(&window, "6.1.m4s"), find(&window, "6.m4s")], ["Missing", "Missing"]);
        assert_eq!(find(&window, "6.0.m4s"), "6.0");
    }

    #[test]
    fn what_has_expired_is_forgotten_with_the_inits_that_only_it_needed() {
        let mut window = window(u64::MAX, two_segments());
        for made in [segment(6, 1), init(1), part(7, 0)] {
            window.put(0, made);
        }
        let track = TrackId::V0;
        window.put(0, Output::Expired { track, msn: 6 });
        assert_eq!([find(&window, "5.0.m4s"), find(&window, "init-0.mp4")], ["Missing", "init0"]);
        window.put(0, Output::Expired { track, msn: 7 });
        assert_eq!([find(&window, "init-0.mp4"), find(&window, "init-1.mp4")], ["Missing", "init1"]);
        assert_eq!(window.bytes(), "init1".len() as u64 + "7.0".len() as u64);
    }

    #[test]
    fn beyond_its_limit_a_window_loses_the_oldest_segments_but_never_the_newest() {
        let mut window = window(8, two_segments());
        assert_eq!([find(&window, "5.0.m4s"), find(&window, "6.0.m4s")], ["Missing", "6.0"]);
        (1..9).for_each(|index| window.put(0, part(6, index)));
        assert_eq!(find(&window, "6.8.m4s"), "6.8");
    }

    #[test]
    fn a_part_is_kept_in_a_buffer_of_its_own_size() {
        let big = Bytes::from(vec![7; 1 << 20]);
        let kept = right_sized(&[big.slice(..3)]);
        assert_eq!(kept, big[..3]);
        assert_eq!(kept.try_into_mut().map(|bytes| bytes.capacity()), Ok(3));
    }

    #[test]
    fn an_ended_session_stays_for_its_playlist_and_the_time_that_objects_outlive_it() {
        let mut window = window(u64::MAX, two_segments());
        window.put(0, ended(6, 0));
        assert_eq!(window.afterlife_ms(), 3 * 500 + 10_000);
    }

    #[test]
    fn the_thumbnail_is_the_init_and_the_latest_keyframe() {
        let mut window = window(u64::MAX, two_segments());
        assert_eq!(window.find_thumb(), Lookup::Missing);
        window.put(9, Output::Keyframe { epoch: 1, init: 0, payload: vec![Bytes::from("IDR")] });
        let Lookup::Found(body) = window.find_thumb() else { panic!("no thumbnail") };
        assert_eq!((body.pieces.concat(), body.made_ms), (b"init0IDR".to_vec(), 9));
    }
}
