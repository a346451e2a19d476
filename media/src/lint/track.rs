//! What is known of one media playlist and of the objects that it names.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use super::{
    fragment::{self, Span},
    init::Init,
    log::Log,
    playlist::DATE_SLACK_US,
    reload::History,
};
use crate::playlist::read::Media;

/// How many segments' bytes are kept, to compare them with those of their parts.
const KEPT_SEGMENTS: usize = 6;

/// How many objects wait for the playlist that tells of them.
const MAX_WAITING: usize = 32;

/// One media playlist.
#[derive(Debug, Default)]
pub(super) struct Track {
    pub(super) url: String,
    /// The newest version that was seen, full.
    pub(super) latest: Option<Media>,
    /// When that came.
    pub(super) seen_at: Duration,
    pub(super) history: History,
    /// How many reloads were asked for.
    pub(super) reloads: u64,
    /// URLs that were asked for.
    pub(super) requested: BTreeSet<String>,
    pub(super) inits: BTreeMap<String, Init>,
    segments: BTreeMap<u64, Gathered>,
    /// Microseconds from media time zero to 1970, for each discontinuity number.
    pub(super) offsets: BTreeMap<u64, i64>,
    spans: BTreeMap<u64, Span>,
    /// Parts that came, and how many of them came slowly.
    pub(super) paces: (u64, u64),
    /// Hinted URIs that were refused: whether they should have been shows when the next part is listed.
    refused: BTreeMap<String, Refused>,
    /// What came before the playlist that tells of it, or before its init.
    waiting: VecDeque<Object>,
}

/// What has been fetched of a segment.
#[derive(Debug, Default)]
struct Gathered {
    parts: BTreeMap<usize, Bytes>,
    whole: Option<(Bytes, usize)>,
}

/// A part or segment that came.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) url: String,
    /// As a playlist names it.
    pub(super) uri: String,
    pub(super) bytes: Bytes,
}

/// The refusal of a hinted part.
#[derive(Debug)]
struct Refused {
    url: String,
    /// For how long it was held before.
    held: Duration,
}

/// For how long a server must hold a request before it may say that it can't answer. hls.js gives up after max(3 part targets,
/// 0.8 target durations), and an answer is worth more before that.
pub(super) fn patience(media: &Media) -> Duration {
    (3 * media.part_target.unwrap_or_default()).max(media.target_duration.mul_f64(0.8)).mul_f64(0.7)
}

/// What the playlist tells of a part or segment.
#[derive(Debug)]
struct Told {
    msn: u64,
    /// `None` is the whole segment.
    part: Option<usize>,
    /// How many parts its segment lists that can be fetched; 0 while that is open.
    parts: usize,
    duration: Duration,
    independent: bool,
    map: Option<Arc<str>>,
    date: Option<i64>,
}

impl Track {
    /// The track at `url`, of which nothing is known.
    pub(super) fn new(url: String) -> Self {
        Self { url, ..Self::default() }
    }

    /// Whether this one was last seen well before `other`, so that it looks behind because we haven't looked.
    pub(super) fn is_behind_by_us(&self, other: &Self) -> bool {
        let target = other.latest.as_ref().and_then(|media| media.part_target).unwrap_or_default();
        self.seen_at + target < other.seen_at
    }

    /// A hinted part was refused after so long.
    pub(super) fn refuse(&mut self, uri: &str, url: &str, held: Duration) {
        if self.refused.len() < MAX_WAITING {
            self.refused.insert(uri.to_owned(), Refused { url: url.to_owned(), held });
        }
    }

    /// Judges the refusals of hinted parts by the newest version: what is listed should not have been refused, and what
    /// is no longer hinted at never was.
    pub(super) fn judge_refused(&mut self, log: &mut Log) {
        let Some(media) = &self.latest else { return };
        let open = media.open.iter().map(|open| &open.parts);
        let whole = media.segments.iter().map(|segment| &segment.parts);
        let listed: BTreeSet<_> = open.chain(whole).flatten().filter(|part| !part.gap).map(|part| &part.uri).collect();
        self.refused.retain(|uri, Refused { url, held }| {
            let is_listed = listed.contains(uri);
            let saw = || format!("404 after {held:?} while it was hinted at, and then it was listed");
            if *held < patience(media) {
                log.must("L30", !is_listed, url, saw, "hold a request for a hinted part until it is there");
            } else {
                log.should("L30", !is_listed, url, saw, "have the next part ready before players give up waiting");
            }
            !is_listed && media.hints.iter().any(|hint| hint.uri == *uri)
        });
    }

    /// Takes a part or segment that came; it is checked now or once what tells of it is known.
    pub(super) fn take(&mut self, log: &mut Log, object: Object) {
        self.waiting.push_back(object);
        self.judge_waiting(log);
        while self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
        }
    }

    /// Checks what can be checked by now.
    pub(super) fn judge_waiting(&mut self, log: &mut Log) {
        for _ in 0..self.waiting.len() {
            let Some(object) = self.waiting.pop_front() else { return };
            match self.told(&object.uri) {
                Some(told) if told.map.as_ref().is_some_and(|map| self.inits.contains_key(map.as_ref())) => {
                    self.gather(log, &object, &told);
                    self.judge(log, &object, &told);
                }
                _ => self.waiting.push_back(object),
            }
        }
    }

    /// What the newest playlist tells of a URI; `None` where it doesn't list it.
    fn told(&self, uri: &str) -> Option<Told> {
        let media = self.latest.as_ref()?;
        let next = media.media_sequence + media.segments.len() as u64;
        let open = media.open.iter().map(|open| (next, &open.start, &open.parts, None));
        let whole = media.numbered().rev().map(|(msn, segment)| (msn, &segment.start, &segment.parts, Some(segment)));
        open.chain(whole).find_map(|(msn, start, parts, segment)| {
            let part = parts.iter().position(|part| part.uri == uri);
            let whole = segment.filter(|segment| segment.uri == uri);
            let (duration, independent) = match (part, whole) {
                (Some(part), _) => (parts[part].duration, parts[part].independent),
                (None, Some(segment)) => (segment.duration, true),
                (None, None) => return None,
            };
            let parts = segment.map_or(0, |_| parts.iter().filter(|part| !part.gap).count());
            let (map, date) = (start.map.clone(), start.program_date_time);
            Some(Told { msn, part, parts, duration, independent, map, date })
        })
    }

    /// Checks a part or segment against its init and what the playlist says of it.
    fn judge(&mut self, log: &mut Log, object: &Object, told: &Told) {
        let Some(init) = told.map.as_ref().and_then(|map| self.inits.get(map.as_ref())) else { return };
        let Some(span) = fragment::check(log, &object.url, init, &object.bytes) else { return };
        let (scale, is_video) = (u64::from(init.timescale.max(1)), init.is_video);
        let nanos = u128::from(span.end - span.start) * 1_000_000_000 / u128::from(scale);
        let lasts = Duration::from_nanos(nanos as u64);
        let saw = || format!("{lasts:?} of samples where the playlist says {:?}", told.duration);
        let good = lasts.abs_diff(told.duration) <= Duration::from_millis(2);
        log.must("L01", good, &object.url, saw, "write the durations of the samples into EXT-X-PART and EXTINF");
        let saw = || format!("starts with a sync sample: {}, INDEPENDENT: {}", span.starts_sync, told.independent);
        if told.part.is_some() {
            let remedy = "write INDEPENDENT=YES only where decoding can begin";
            log.must("L10", span.has_sync || !told.independent, &object.url, saw, remedy);
            let remedy = "write INDEPENDENT=YES on every part with a keyframe";
            log.should("L10", !span.starts_sync || told.independent, &object.url, saw, remedy);
        } else {
            log.must("C02", span.starts_sync || !is_video, &object.url, saw, "cut segments at sync samples");
            self.place(log, object, told, span, scale);
        }
    }

    /// Compares a segment with its parts once all are here.
    fn gather(&mut self, log: &mut Log, object: &Object, told: &Told) {
        let gathered = self.segments.entry(told.msn).or_default();
        match told.part {
            Some(part) => drop(gathered.parts.insert(part, object.bytes.clone())),
            None => gathered.whole = Some((object.bytes.clone(), told.parts)),
        }
        if let Some((whole, count)) = &gathered.whole
            && *count > 0
            && gathered.parts.len() == *count
        {
            let parts = gathered.parts.values().flat_map(|part| part.iter());
            let length: usize = gathered.parts.values().map(Bytes::len).sum();
            let saw = || format!("{} bytes where its {count} parts have {length}", whole.len());
            let good = whole.iter().eq(parts);
            log.must("L07", good, &object.url, saw, "serve as segment exactly the bytes of its parts");
            self.segments.remove(&told.msn);
        }
        while self.segments.len() > KEPT_SEGMENTS {
            self.segments.pop_first();
        }
    }

    /// Checks that a segment begins where the one before ended, and that its date says so too.
    fn place(&mut self, log: &mut Log, object: &Object, told: &Told, span: Span, scale: u64) {
        let msn = told.msn;
        let Some(number) = self.history.discontinuity(msn) else { return };
        let same = |msn| self.history.discontinuity(msn) == Some(number);
        let before = msn.checked_sub(1).filter(|msn| same(*msn)).and_then(|msn| self.spans.get(&msn));
        let after = self.spans.get(&(msn + 1)).filter(|_| same(msn + 1));
        let saw = || format!("{span:?} between {before:?} and {after:?}");
        let joins = before.is_none_or(|before| before.end == span.start);
        let good = joins && after.is_none_or(|after| after.start == span.end);
        log.must("C02", good, &object.url, saw, "let each segment's tfdt be the end of the one before");
        self.spans.insert(msn, span);
        while self.spans.len() > KEPT_SEGMENTS {
            self.spans.pop_first();
        }
        let Some(date) = told.date else { return };
        let offset = date - (u128::from(span.start) * 1_000_000 / u128::from(scale)) as i64;
        if let Some(before) = self.offsets.insert(number, offset) {
            let saw = || format!("the date moved by {} µs against media time", offset - before);
            let good = (offset - before).abs() <= DATE_SLACK_US;
            log.must(
                "L11",
                good,
                &object.url,
                saw,
                "let dates advance as media does, and jump only at a discontinuity",
            );
        }
        while self.offsets.len() > KEPT_SEGMENTS {
            self.offsets.pop_first();
        }
    }
}
