//! The machine: what to fetch next, and which checks a reply is for.

mod objects;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::{
    MAX_TRACKS, Report, Request, Response, http,
    log::Log,
    playlist, presentation,
    probe::{ENDED, LIVE, Probe},
    rule::rules,
    track::{Track, patience},
    url::{resolve, split, with},
};
use crate::playlist::read::{self, Media, Multivariant, Playlist, apply_delta};

/// How long to wait before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How many redirects of the entry are followed.
const MAX_REDIRECTS: u32 = 5;

/// Checks one stream. See the module for how.
#[derive(Debug, Default)]
pub struct Lint {
    log: Log,
    entry: String,
    redirects: u32,
    /// Why the entry could not be read the last time.
    refusal: String,
    multivariant: Option<Multivariant>,
    tracks: Vec<Track>,
    out: Vec<Request>,
    pending: BTreeMap<u64, (String, Purpose)>,
    next_id: u64,
    /// Full and delta of the same moment: whichever came first.
    pairs: BTreeMap<u64, Option<Media>>,
    kept_checks: u32,
    ranges_tried: bool,
    stopped: bool,
    playlists: u64,
    objects: u64,
}

#[derive(Debug, Clone)]
enum Purpose {
    Entry,
    Reload(usize, Ask),
    Init(usize, String),
    Object(usize, Named),
    Kept(&'static str),
    Probe(usize, Tried),
}

/// A probe, and what was known when it was sent.
#[derive(Debug, Clone)]
struct Tried {
    probe: Probe,
    /// The segment of which a range is asked for.
    whole: Bytes,
    playlist: Option<Box<Media>>,
}

/// A part or segment, as a playlist names it.
#[derive(Debug, Clone)]
struct Named {
    uri: String,
    is_segment: bool,
    is_hinted: bool,
}

/// What a reload asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Ask {
    block: Option<(u64, Option<u64>)>,
    skip: bool,
    /// The number of the moment at which the other form is asked for too.
    pair: Option<u64>,
    /// Whether the next reload waits for this one.
    primary: bool,
}

impl Lint {
    /// Begins with a multivariant or media playlist; `None` unless `url` is an absolute one of `http` or `https`.
    pub fn new(url: &str) -> Option<Self> {
        split(url)?;
        let mut lint = Self { entry: url.to_owned(), ..Self::default() };
        lint.ask(url.to_owned(), Purpose::Entry, Vec::new(), Duration::ZERO);
        Some(lint)
    }

    /// What is to be fetched, all at once or as soon as can be; each is given out once. A server may hold several of
    /// them for seconds.
    pub fn requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.out)
    }

    /// Takes the reply to a request.
    pub fn respond(&mut self, id: u64, response: &Response) {
        let Some((url, purpose)) = self.pending.remove(&id) else { return };
        match purpose {
            Purpose::Entry => self.entry(&url, response),
            Purpose::Reload(track, ask) => self.reloaded(track, ask, &url, response),
            Purpose::Init(track, uri) => self.init(track, uri, &url, response),
            Purpose::Object(track, named) => self.object(track, &named, &url, response),
            Purpose::Kept(remedy) => {
                let saw = || format!("{} of what has just been removed from the playlist", response.status);
                self.log.must("L07", response.status == 200, &url, saw, remedy);
            }
            Purpose::Probe(track, tried) => self.probed(track, &tried, &url, response),
        }
    }

    /// A request got no reply, for this reason.
    pub fn fail(&mut self, id: u64, reason: &str) {
        let Some((url, purpose)) = self.pending.remove(&id) else { return };
        let saw = || format!("no reply: {reason}");
        match purpose {
            Purpose::Entry => {
                self.refusal = saw();
                self.ask(url, Purpose::Entry, Vec::new(), RETRY);
            }
            Purpose::Reload(track, ask) => {
                self.log.scope(&self.tracks[track].url);
                self.log.must("L43", false, &url, saw, "answer every request for a playlist");
                self.reload_again(track, ask);
            }
            Purpose::Probe(..) => self.log.must("L22", false, &url, saw, "answer with a status, don't hang up"),
            _ => self.log.must("L30", false, &url, saw, "answer every request for what is listed or hinted"),
        }
    }

    /// From here on nothing new is asked for.
    pub fn stop(&mut self) {
        self.stopped = true;
        self.out.clear();
        let loaded = !self.tracks.is_empty();
        let (url, saw) = (self.entry.clone(), || self.refusal.clone());
        self.log.must("L43", loaded, &url, saw, "serve the playlist that is asked for");
    }

    /// Whether nothing is left to be fetched: the stream has ended.
    pub fn is_done(&self) -> bool {
        self.out.is_empty() && self.pending.is_empty()
    }

    /// What has been found so far.
    pub fn report(&self) -> Report {
        Report {
            findings: self.log.findings().to_vec(),
            checked: rules().iter().map(|rule| (rule, self.log.checked(rule.id))).collect(),
            playlists: self.playlists,
            objects: self.objects,
        }
    }

    fn ask(&mut self, url: String, purpose: Purpose, headers: Vec<(&'static str, String)>, after: Duration) {
        if self.stopped {
            return;
        }
        let id = self.next_id;
        self.next_id += 1;
        let is_options = matches!(&purpose, Purpose::Probe(_, tried) if tried.probe == Probe::Preflight);
        self.out.push(Request { id, is_options, url: url.clone(), headers, after });
        self.pending.insert(id, (url, purpose));
    }
}

/// The entry.
impl Lint {
    fn entry(&mut self, url: &str, response: &Response) {
        let location = response.header("location").and_then(|location| resolve(url, location));
        if let (300..400, Some(to), true) = (response.status, location, self.redirects < MAX_REDIRECTS) {
            self.redirects += 1;
            self.entry = to.clone();
            return self.ask(to, Purpose::Entry, Vec::new(), Duration::ZERO);
        }
        self.log.scope(url);
        if response.status != 200 {
            // Not live yet, perhaps: it is a finding if that never changes.
            self.refusal = format!("{} as last reply", response.status);
            return self.ask(url.to_owned(), Purpose::Entry, Vec::new(), RETRY);
        }
        match read::parse(&response.text()) {
            Err(error) => {
                playlist::unreadable(&mut self.log, url, &error);
                self.ask(url.to_owned(), Purpose::Entry, Vec::new(), RETRY);
            }
            Ok(Playlist::Multivariant(multivariant)) => {
                http::check_playlist(&mut self.log, url, response, Duration::from_secs(10));
                self.playlists += 1;
                self.follow(url, multivariant);
            }
            Ok(Playlist::Media(_)) => {
                self.tracks.push(Track::new(url.to_owned()));
                self.reloaded(0, Ask { primary: true, ..Ask::default() }, url, response);
            }
        }
    }

    fn follow(&mut self, url: &str, multivariant: Multivariant) {
        presentation::check_multivariant(&mut self.log, url, &multivariant);
        let variants = multivariant.variants.iter().map(|variant| variant.uri.as_str());
        let renditions = multivariant.renditions.iter().filter_map(|rendition| rendition.uri.as_deref());
        for uri in variants.chain(renditions) {
            let Some(playlist) = resolve(url, uri) else { continue };
            if self.tracks.len() < MAX_TRACKS && self.tracks.iter().all(|track| track.url != playlist) {
                self.tracks.push(Track::new(playlist));
            }
        }
        self.multivariant = Some(multivariant);
        for track in 0..self.tracks.len() {
            self.ask_playlist(track, Ask { primary: true, ..Ask::default() }, Duration::ZERO);
        }
    }
}

/// Reloads.
impl Lint {
    fn ask_playlist(&mut self, track: usize, ask: Ask, after: Duration) {
        let mut url = self.tracks[track].url.clone();
        if let Some((msn, part)) = ask.block {
            url = with(&url, &format!("_HLS_msn={msn}"));
            if let Some(part) = part {
                url = with(&url, &format!("_HLS_part={part}"));
            }
        }
        if ask.skip {
            url = with(&url, "_HLS_skip=YES");
        }
        self.ask(url, Purpose::Reload(track, ask), Vec::new(), after);
    }

    /// After a reply that was of no use.
    fn reload_again(&mut self, track: usize, ask: Ask) {
        if ask.primary {
            self.ask_playlist(track, Ask { skip: false, pair: None, ..ask }, RETRY);
        }
    }

    /// Asks for the next version: by turns in full and as delta update, and sometimes in both forms at once.
    fn reload(&mut self, track: usize, after: Duration) {
        let Some(media) = &self.tracks[track].latest else { return };
        let control = media.control.unwrap_or_default();
        let next = media.last_msn().map_or(media.media_sequence, |last| last + 1);
        let part = media.open.as_ref().map_or(0, |open| open.parts.len() as u64);
        let block = Some((next, media.part_target.map(|_| part))).filter(|_| control.can_block_reload);
        let after = if control.can_block_reload { after } else { media.target_duration / 2 };
        let can_skip = control.can_skip_until.is_some();
        let n = self.tracks[track].reloads;
        self.tracks[track].reloads += 1;
        let ask = Ask { block, primary: true, ..Ask::default() };
        match n % 3 {
            0 if can_skip => {
                self.pairs.insert(self.next_id, None);
                let pair = Some(self.next_id);
                self.ask_playlist(track, Ask { pair, ..ask }, after);
                self.ask_playlist(track, Ask { pair, skip: true, primary: false, ..ask }, after);
            }
            1 if can_skip => self.ask_playlist(track, Ask { skip: true, ..ask }, after),
            _ => self.ask_playlist(track, ask, after),
        }
        if n % 8 == 1 && block.is_some() {
            self.ask_playlist(track, Ask { block: Some((next, None)), ..Ask::default() }, after);
        }
    }

    fn reloaded(&mut self, track: usize, ask: Ask, url: &str, response: &Response) {
        self.log.scope(&self.tracks[track].url);
        let ended = self.tracks[track].latest.as_ref().is_some_and(|media| media.ended);
        if response.status != 200 {
            let saw = || format!("{} after {:?}", response.status, response.held());
            let good = ended || (response.status == 503 && ask.block.is_some());
            self.log.must("L43", good, url, saw, "serve the playlists that are named");
            return self.reload_again(track, ask);
        }
        let Some((media, skipped)) = self.read(track, ask, url, response) else { return self.reload_again(track, ask) };
        self.check_blocking(track, ask, url, response, &media);
        let own = &self.tracks[track];
        if let Some(newest_at) = own.history.newest_at() {
            // What is known is this old at most, plus what it was when it was first seen.
            let most = response.done_at.saturating_sub(newest_at) + 2 * media.target_duration;
            http::check_freshness(&mut self.log, url, response, most);
        }
        let crossed = response.asked_at < own.seen_at
            && own.latest.as_ref().is_some_and(|latest| media.newest() < latest.newest());
        if !crossed {
            self.advance(track, url, response, media.clone());
        }
        self.compare(ask, url, media, skipped);
        if ask.primary {
            self.after_reload(track, ask, response);
        }
    }

    /// The full playlist that a reply means, and how many segments it skipped.
    fn read(&mut self, track: usize, ask: Ask, url: &str, response: &Response) -> Option<(Media, u64)> {
        let text = response.text();
        let media = match read::parse_media(&text) {
            Ok(media) => media,
            Err(error) => {
                playlist::unreadable(&mut self.log, url, &error);
                return None;
            }
        };
        self.playlists += 1;
        http::check_playlist(&mut self.log, url, response, media.target_duration);
        playlist::check_text(&mut self.log, url, &String::from_utf8_lossy(&text));
        let log = &mut self.log;
        let empty = text.windows(18).any(|window| window == b"SKIPPED-SEGMENTS=0");
        log.must(
            "L25",
            !empty,
            url,
            || "SKIPPED-SEGMENTS=0".into(),
            "send the full playlist where nothing can be skipped",
        );
        let saw = || format!("{} segments skipped", media.skipped);
        let asked = ask.skip || media.skipped == 0;
        log.must("L25", asked, url, saw, "send delta updates only to who asks with _HLS_skip");
        if media.skipped == 0 {
            return Some((media, 0));
        }
        let version = media.version;
        log.must(
            "L14",
            version >= 9,
            url,
            || format!("EXT-X-VERSION:{version}"),
            "write EXT-X-VERSION:9 with EXT-X-SKIP",
        );
        let control = media.control.unwrap_or_default();
        let listed: Duration = media.segments.iter().map(|segment| segment.duration).sum();
        let saw = || {
            format!(
                "{} segments skipped, {listed:?} listed, CAN-SKIP-UNTIL {:?}",
                media.skipped, control.can_skip_until
            )
        };
        let good = control.can_skip_until.is_some_and(|until| listed + Duration::from_millis(1) >= until);
        log.must("L25", good, url, saw, "skip only segments that end beyond the skip boundary");
        let skipped = media.skipped;
        match apply_delta(self.tracks[track].latest.as_ref()?, &media) {
            // The update's own version has been looked at; it is enough for whatever was skipped.
            Ok(merged) => Some((Media { version: merged.version.max(9), ..merged }, skipped)),
            Err(error) => {
                log.must("L25", false, url, || error.to_string(), "skip only segments that the playlist before had");
                None
            }
        }
    }

    fn check_blocking(&mut self, track: usize, ask: Ask, url: &str, response: &Response, media: &Media) {
        let Some((msn, part)) = ask.block else { return };
        let held = response.held();
        let target = media.target_duration;
        let saw = || format!("held for {held:?} at a target duration of {target:?}");
        let good = held <= 3 * target + Duration::from_secs(1);
        self.log.must("L24", good, url, saw, "hold no request for more than three target durations: 503 then");
        if media.ended {
            return;
        }
        let newest = media.newest();
        let saw = || format!("{newest:?} was listed after {held:?}");
        let wanted = (msn, part);
        let satisfied = newest.is_some_and(|(last, last_part)| match part {
            Some(part) => last > msn || (last == msn && last_part >= Some(part)) || media.last_msn() >= Some(msn),
            None => last >= msn,
        });
        if satisfied && held > Duration::from_millis(250) {
            http::check_freshness(&mut self.log, url, response, Duration::ZERO);
        }
        if satisfied || held < patience(media) {
            self.log.must("L20", satisfied, url, saw, "hold a blocking reload until what it asks for is listed");
        } else {
            self.log.should("L20", false, url, saw, "have the next part ready before players give up waiting");
        }
        if part.is_none() {
            let whole = media.last_msn() >= Some(wanted.0);
            self.log.should(
                "L20",
                whole || !satisfied,
                url,
                saw,
                "hold _HLS_msn without _HLS_part until the segment is whole",
            );
        }
        let _ = track;
    }

    fn advance(&mut self, track: usize, url: &str, response: &Response, media: Media) {
        let log = &mut self.log;
        playlist::check(log, url, &media);
        let at = response.done_at;
        let own = &mut self.tracks[track];
        let before = own.latest.take();
        own.history.advance(log, url, before.as_ref(), &media, at);
        presentation::check_reports(log, &self.tracks, track, &media);
        self.tracks[track].seen_at = self.tracks[track].seen_at.max(at);
        self.tracks[track].latest = Some(media);
        self.tracks[track].judge_waiting(log);
        self.tracks[track].judge_refused(log);
        presentation::check_alike(log, &self.tracks, track);
        presentation::check_pace(log, &self.tracks, track);
        self.plan_objects(track, before.as_ref());
        self.plan_kept(track, before.as_ref());
    }

    fn compare(&mut self, ask: Ask, url: &str, media: Media, skipped: u64) {
        let Some(pair) = ask.pair else { return };
        let Some(other) = self.pairs.get_mut(&pair) else { return };
        let Some(other) = other.take() else {
            *other = Some(media);
            return;
        };
        self.pairs.remove(&pair);
        if other.newest() != media.newest() || other.ended != media.ended {
            return;
        }
        let essence = |media: &Media| Media { version: 0, hints: Vec::new(), reports: Vec::new(), ..media.clone() };
        let saw = || format!("merged and full differ at {:?}, {skipped} skipped", media.newest());
        let good = essence(&other) == essence(&media);
        self.log.must("L25", good, url, saw, "let a delta update be the full playlist without the skipped segments");
    }

    fn after_reload(&mut self, track: usize, ask: Ask, response: &Response) {
        let Some(media) = &self.tracks[track].latest else { return };
        if media.ended {
            return self.probe_all(track, ENDED);
        }
        // A server that answers at once with nothing new must not be asked in a spin.
        let unmoved = ask.block.is_some_and(|(msn, part)| media.newest() < Some((msn, part)));
        let after = if unmoved && response.held() < RETRY { RETRY } else { Duration::ZERO };
        if self.tracks[track].reloads == 0 {
            self.probe_all(track, LIVE);
        }
        self.reload(track, after);
    }
}

/// Probes.
impl Lint {
    fn probe_all(&mut self, track: usize, probes: &[Probe]) {
        let Some(media) = self.tracks[track].latest.clone() else { return };
        for &probe in probes {
            if let Some(url) = probe.url(&self.tracks[track].url, &media) {
                let tried = Tried { probe, whole: Bytes::new(), playlist: Some(Box::new(media.clone())) };
                self.ask(url, Purpose::Probe(track, tried), probe.headers(), Duration::ZERO);
            }
        }
    }

    fn probed(&mut self, track: usize, tried: &Tried, url: &str, response: &Response) {
        self.log.scope(&self.tracks[track].url);
        let probe = tried.probe;
        match probe {
            Probe::RangeStart | Probe::RangeOpen => probe.check_range(&mut self.log, url, response, &tried.whole),
            Probe::Satisfied | Probe::Again | Probe::EndedBlocking | Probe::EndedSkip => {
                let saw = || format!("{}", response.status);
                let rule = if matches!(probe, Probe::Satisfied | Probe::Again) { "L21" } else { "L24" };
                self.log.must(rule, response.status == 200, url, saw, "answer with 200 and the playlist");
                if let (Ok(media), Some(known)) = (read::parse_media(&response.text()), &tried.playlist) {
                    probe.check_playlist(&mut self.log, url, response, &media, known);
                }
            }
            _ => probe.check(&mut self.log, url, response),
        }
    }
}
