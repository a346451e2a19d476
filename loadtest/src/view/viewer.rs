//! One socket of a viewer: what it asks next, and what it makes of the answer. A machine: no socket, no clock.
//!
//! ```text
//! index.m3u8 [▶ where it sends us] ▶ {track}.m3u8 ▶ init ▶ parts up to the live edge ▶ ⟲ blocking reload ▶ its new parts
//! ```
//! It does what a player does (draft-pantos-hls-rfc8216bis §6.3): begins at an independent part that is PART-HOLD-BACK
//! away from the end, asks every reload with `_HLS_msn`, `_HLS_part` and `_HLS_skip`, and plays what it has received.

use std::{collections::VecDeque, rc::Rc};

use super::{
    listing::{Index, ListedPart, Listing, Memo},
    stats::Stats,
};

/// How a viewer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Follows the stream: blocking reloads and parts.
    Follow,
    /// Blocking reloads only: every viewer is held all the time.
    Reload,
    /// Fetches the multivariant playlist and then holds its connection, idle.
    Idle,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub struct Ask {
    /// Path and query.
    pub path: String,
    /// What to do with the body.
    pub body: Body,
}

/// What to do with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// Needed: it says what comes next.
    Keep,
    /// Only counted.
    Discard,
    /// Hashed, for comparison with the origin's.
    Hash,
}

/// An answer, complete.
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The body, where it was to be kept or hashed.
    pub body: &'a [u8],
    /// Its length in bytes.
    pub length: u64,
    /// When its last byte came, microseconds since 1970.
    pub now_us: u64,
    /// The path that it sends the viewer on to.
    pub redirect: Option<&'a str>,
}

/// What happens after an answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask at once.
    Ask,
    /// Ask after so many microseconds.
    Wait(u64),
    /// Nothing more to ask; the connection stays.
    Idle,
}

/// The machine.
pub struct Viewer {
    behaviour: Behaviour,
    /// The path of the multivariant playlist up to and including its last slash.
    dir: Rc<str>,
    index: Rc<str>,
    /// Whether the multivariant playlist has sent it on, which it may do once.
    redirected: bool,
    /// Which of the index's tracks.
    track: usize,
    /// One part body in this many is hashed; 0: none.
    hash_every: u32,
    step: Step,
    playlist: Rc<str>,
    queue: VecDeque<ListedPart>,
    newest: Option<(u64, u32)>,
    init: Option<Rc<str>>,
    started_us: u64,
    playing: Option<Playback>,
    parts: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Index,
    Playlist,
    Init,
    Part,
    Reload,
    Done,
}

/// A playhead that consumes what has been received.
struct Playback {
    /// When the buffer will be empty, microseconds since 1970.
    dry_at_us: u64,
}

/// How long a viewer waits before it asks again after an error, microseconds.
const RETRY_US: u64 = 500_000;

impl Viewer {
    /// A viewer that joins at `now_us` by the multivariant playlist `index` (a path) and follows its track number
    /// `track`. `offset` spreads the sampled bodies over viewers.
    pub fn new(index: Rc<str>, track: usize, behaviour: Behaviour, hash_every: u32, offset: u32, now_us: u64) -> Self {
        Self {
            behaviour,
            dir: dir(&index),
            redirected: false,
            playlist: "".into(),
            index,
            track,
            hash_every,
            step: Step::Index,
            queue: VecDeque::new(),
            newest: None,
            init: None,
            started_us: now_us,
            playing: None,
            parts: offset,
        }
    }

    /// The next request; `None` when there is none.
    pub fn ask(&self) -> Option<Ask> {
        let Self { dir, playlist, .. } = self;
        let keep = |path| Some(Ask { path, body: Body::Keep });
        match &self.step {
            Step::Index => keep(self.index.to_string()),
            Step::Playlist => keep(format!("{dir}{playlist}")),
            Step::Init => self.init.as_ref().map(|init| Ask { path: format!("{dir}{init}"), body: Body::Discard }),
            Step::Part => {
                let sampled = self.hash_every > 0 && self.parts.is_multiple_of(self.hash_every);
                let body = if sampled { Body::Hash } else { Body::Discard };
                self.queue.front().map(|part| Ask { path: format!("{dir}{}", part.uri), body })
            }
            Step::Reload => {
                let (msn, part) = self.newest.map_or((0, 0), |(msn, part)| (msn, part + 1));
                keep(format!("{dir}{playlist}?_HLS_msn={msn}&_HLS_part={part}&_HLS_skip=YES"))
            }
            Step::Done => None,
        }
    }

    /// Whether the next request is for a playlist that lists media, or for media: those make it one who watches.
    pub fn asks_for_media(&self) -> bool {
        matches!(self.step, Step::Playlist | Step::Init | Step::Part | Step::Reload)
    }

    /// Takes the answer to the last request.
    pub fn answered(&mut self, answer: &Answer, memo: &mut Memo, stats: &mut Stats) -> Next {
        if let (Step::Index, false, Some(place)) = (&self.step, self.redirected, answer.redirect) {
            self.redirected = true;
            self.index = place.into();
            self.dir = dir(place);
            return Next::Ask;
        }
        if answer.status != 200 {
            stats.error(format!("http_{}_{}", answer.status, self.step_name()));
            return self.recover();
        }
        let outcome = match self.step {
            Step::Index => memo.index(answer.body).map(|index| self.choose(&index)),
            Step::Playlist => memo.listing(answer.body).map(|listing| self.tune_in(&listing)),
            Step::Init => Ok(self.after_part()),
            Step::Part => Ok(self.received_part(answer, memo, stats)),
            Step::Reload => memo.listing(answer.body).map(|listing| self.reloaded(&listing, answer, stats)),
            Step::Done => Ok(Next::Idle),
        };
        outcome.unwrap_or_else(|problem| {
            stats.error(format!("malformed_{}: {problem}", self.step_name()));
            self.recover()
        })
    }

    /// Where it was sent on to.
    pub fn place(&self) -> Option<&Rc<str>> {
        self.redirected.then_some(&self.index)
    }

    /// The connection was lost: what was asked is asked again.
    pub fn disconnected(&mut self) -> Next {
        if self.step == Step::Done { Next::Idle } else { Next::Wait(RETRY_US) }
    }

    /// Whether media has begun to play (or, without parts, whether the first reload was answered).
    pub fn has_joined(&self) -> bool {
        self.playing.is_some()
    }

    fn step_name(&self) -> &'static str {
        match self.step {
            Step::Index => "index",
            Step::Playlist | Step::Reload => "playlist",
            Step::Init => "init",
            Step::Part => "part",
            Step::Done => "idle",
        }
    }

    /// Tunes in again a little later.
    fn recover(&mut self) -> Next {
        self.queue.clear();
        self.newest = None;
        self.step = if self.playlist.is_empty() { Step::Index } else { Step::Playlist };
        Next::Wait(RETRY_US)
    }

    fn choose(&mut self, index: &Index) -> Next {
        if self.behaviour == Behaviour::Idle {
            self.step = Step::Done;
            self.playing = Some(Playback { dry_at_us: u64::MAX });
            return Next::Idle;
        }
        match index.tracks.get(self.track) {
            Some(playlist) => {
                self.playlist = playlist.clone();
                self.step = Step::Playlist;
                Next::Ask
            }
            None => {
                self.step = Step::Done;
                Next::Idle
            }
        }
    }

    fn tune_in(&mut self, listing: &Listing) -> Next {
        self.newest = listing.parts.last().map(|part| part.id);
        if self.behaviour == Behaviour::Follow {
            self.queue = listing.parts[listing.start()..].iter().filter(|part| !part.gap).cloned().collect();
            if self.init != listing.init {
                self.init = listing.init.clone();
                self.step = Step::Init;
                return Next::Ask;
            }
        }
        self.after_playlist(listing)
    }

    fn reloaded(&mut self, listing: &Listing, answer: &Answer, stats: &mut Stats) -> Next {
        let known = self.newest;
        let mut fresh = listing.parts.iter().filter(|part| Some(part.id) > known);
        let first = fresh.clone().next().map(|part| part.id);
        if let (Some((msn, part)), Some(first)) = (known, first)
            && first != (msn, part + 1)
            && first != (msn + 1, 0)
        {
            stats.error("skipped_parts".to_owned());
        }
        if self.behaviour == Behaviour::Follow {
            self.queue.extend(fresh.filter(|part| !part.gap).cloned());
        } else if let Some(part) = fresh.next_back() {
            stats.reload_came(part.end_us, answer.now_us);
            self.joined(answer.now_us, stats);
        }
        self.newest = listing.parts.last().map(|part| part.id).or(known);
        self.after_playlist(listing)
    }

    fn after_playlist(&mut self, listing: &Listing) -> Next {
        if listing.ended {
            self.step = if self.queue.is_empty() { Step::Done } else { Step::Part };
            return if self.step == Step::Done { Next::Idle } else { Next::Ask };
        }
        self.after_part()
    }

    fn after_part(&mut self) -> Next {
        self.step = if self.queue.is_empty() { Step::Reload } else { Step::Part };
        Next::Ask
    }

    fn received_part(&mut self, answer: &Answer, memo: &mut Memo, stats: &mut Stats) -> Next {
        let Some(part) = self.queue.pop_front() else { return self.after_part() };
        self.parts = self.parts.wrapping_add(1);
        stats.parts += 1;
        if !memo.same_length(&part.uri, answer.length) {
            stats.error("length_differs".to_owned());
        }
        // Parts that were listed before this viewer came are old by nature: only what it waited for is timed.
        if self.queue.is_empty() && self.has_joined() {
            stats.part_came(part.end_us, answer.now_us);
        }
        self.joined(answer.now_us, stats);
        self.play(part.duration_us, answer.now_us, stats);
        self.after_part()
    }

    fn joined(&mut self, now_us: u64, stats: &mut Stats) {
        if self.playing.is_none() {
            stats.joined += 1;
            stats.join.record_us(now_us.saturating_sub(self.started_us));
            self.playing = Some(Playback { dry_at_us: now_us });
        }
    }

    fn play(&mut self, duration_us: u64, now_us: u64, stats: &mut Stats) {
        let Some(playing) = &mut self.playing else { return };
        if now_us > playing.dry_at_us {
            stats.stalls += 1;
            stats.stalled_us += now_us - playing.dry_at_us;
            playing.dry_at_us = now_us;
        }
        playing.dry_at_us += duration_us;
    }
}

/// A path, or a path and a query, up to and including the path's last slash.
fn dir(index: &str) -> Rc<str> {
    let path = index.split_once('?').map_or(index, |(path, _)| path);
    path.rsplit_once('/').map_or("/", |(dir, _)| &path[..dir.len() + 1]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str =
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"a0.m3u8\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n";

    fn playlist(first_part: u32, parts: u32) -> String {
        let mut text = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=1.5\n\
            #EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"1/v0/init-0.mp4\"\n\
            #EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:10.000Z\n"
            .to_owned();
        for part in first_part..parts {
            let independent = if part == 0 { ",INDEPENDENT=YES" } else { "" };
            text += &format!("#EXT-X-PART:DURATION=0.5,URI=\"1/v0/7.{part}.m4s\"{independent}\n");
        }
        text
    }

    /// Answers every request by `reply` until it has none, and tells what was asked.
    fn watch(behaviour: Behaviour, mut reply: impl FnMut(&str) -> Option<String>) -> (Vec<String>, Stats) {
        let (mut memo, mut stats, mut asked) = (Memo::default(), Stats::default(), Vec::new());
        let mut viewer = Viewer::new("/live/ada/index.m3u8".into(), 0, behaviour, 2, 0, 11_000_000);
        while let Some(ask) = viewer.ask() {
            asked.push(ask.path.clone());
            let Some(body) = reply(&ask.path) else { break };
            let length = body.len() as u64;
            let answer = Answer { status: 200, body: body.as_bytes(), length, now_us: 12_000_000, redirect: None };
            if viewer.answered(&answer, &mut memo, &mut stats) != Next::Ask {
                break;
            }
        }
        (asked, stats)
    }

    #[test]
    fn a_viewer_joins_at_an_independent_part_and_then_waits_for_the_next() {
        let (asked, stats) = watch(Behaviour::Follow, |path| match path {
            "/live/ada/index.m3u8" => Some(INDEX.to_owned()),
            "/live/ada/v0.m3u8" => Some(playlist(0, 2)),
            "/live/ada/v0.m3u8?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES" => Some(playlist(0, 3)),
            path if path.contains("_HLS_part=3") => None,
            _ => Some("media".to_owned()),
        });
        assert_eq!(
            asked,
            [
                "/live/ada/index.m3u8",
                "/live/ada/v0.m3u8",
                "/live/ada/1/v0/init-0.mp4",
                "/live/ada/1/v0/7.0.m4s",
                "/live/ada/1/v0/7.1.m4s",
                "/live/ada/v0.m3u8?_HLS_msn=7&_HLS_part=2&_HLS_skip=YES",
                "/live/ada/1/v0/7.2.m4s",
                "/live/ada/v0.m3u8?_HLS_msn=7&_HLS_part=3&_HLS_skip=YES",
            ]
        );
        assert_eq!((stats.joined, stats.parts, stats.stalls, stats.errors.len()), (1, 3, 0, 0));
        // The last part ended at 11.5 s and was here at 12 s.
        assert!((stats.part_delay.summary().p50 - 500.0).abs() < 1.0);
    }

    #[test]
    fn a_part_that_is_never_listed_counts_as_skipped() {
        let (_, stats) = watch(Behaviour::Reload, |path| match path {
            "/live/ada/index.m3u8" => Some(INDEX.to_owned()),
            "/live/ada/v0.m3u8" => Some(playlist(0, 2)),
            path if path.contains("_HLS_part=2") => {
                let later = playlist(0, 5).replace("#EXT-X-PART:DURATION=0.5,URI=\"1/v0/7.2.m4s\"\n", "");
                Some(later)
            }
            _ => None,
        });
        // Parts are counted as they are listed, so the list looks consecutive: the URI tells.
        assert_eq!(stats.errors.get("malformed_playlist: part 7.3 is listed where 7.2 should be"), Some(&1));
    }

    #[test]
    fn a_viewer_that_is_sent_on_goes_there_once_and_stays_there() {
        let (mut memo, mut stats) = (Memo::default(), Stats::default());
        let mut viewer = Viewer::new("/live/ada/index.m3u8?token=a/b".into(), 0, Behaviour::Follow, 0, 0, 0);
        let mut asked = Vec::new();
        for (status, body, redirect) in
            [(302, "", Some("/p/x/live/ada/index.m3u8")), (200, INDEX, None), (200, &playlist(0, 1), None)]
        {
            asked.extend(viewer.ask().map(|ask| ask.path));
            let answer = Answer { status, body: body.as_bytes(), length: 0, now_us: 0, redirect };
            assert_eq!(viewer.answered(&answer, &mut memo, &mut stats), Next::Ask);
        }
        asked.extend(viewer.ask().map(|ask| ask.path));
        let path = |rest| format!("/p/x/live/ada/{rest}");
        let expected = [path("index.m3u8"), path("v0.m3u8"), path("1/v0/init-0.mp4")];
        assert_eq!((asked[0].as_str(), &asked[1..]), ("/live/ada/index.m3u8?token=a/b", &expected[..]));
        let (mut again, answer) = (
            Viewer::new("/live/ada/index.m3u8".into(), 0, Behaviour::Follow, 0, 0, 0),
            Answer { status: 302, body: b"", length: 0, now_us: 0, redirect: Some("/p/x/index.m3u8") },
        );
        assert_eq!(again.answered(&answer, &mut memo, &mut stats), Next::Ask);
        assert_eq!(again.answered(&answer, &mut memo, &mut stats), Next::Wait(RETRY_US), "not in circles");
        assert_eq!(stats.errors.get("http_302_index"), Some(&1));
    }

    #[test]
    fn errors_are_counted_by_what_was_asked() {
        let (mut memo, mut stats) = (Memo::default(), Stats::default());
        let mut viewer = Viewer::new("/live/ada/index.m3u8".into(), 0, Behaviour::Follow, 0, 0, 0);
        let answer = Answer { status: 503, body: b"", length: 0, now_us: 0, redirect: None };
        assert_eq!(viewer.answered(&answer, &mut memo, &mut stats), Next::Wait(RETRY_US));
        assert_eq!(stats.errors.get("http_503_index"), Some(&1));
    }
}
