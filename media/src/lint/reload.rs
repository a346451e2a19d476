//! What must hold from one version of a media playlist to the next.

use std::{collections::BTreeMap, time::Duration};

use super::log::Log;
use crate::playlist::read::{Media, Part, Start};

/// How many segments behind the window are remembered.
const REMEMBERED: u64 = 64;

/// What is remembered of one playlist.
#[derive(Debug, Default)]
pub(super) struct History {
    /// URI and discontinuity number of each segment.
    names: BTreeMap<u64, (String, u64)>,
    /// When the newest part was first seen.
    newest_at: Option<Duration>,
    /// What was hinted in the version before, and the map that was in force.
    hinted: Option<(Vec<String>, Vec<String>)>,
}

impl History {
    /// Checks `after`, seen at `at`, against what came before, of which `before` is the latest version. Both are full.
    pub(super) fn advance(&mut self, log: &mut Log, url: &str, before: Option<&Media>, after: &Media, at: Duration) {
        if let Some(before) = before {
            check_constants(log, url, before, after);
            check_order(log, url, before, after);
            self.check_pace(log, url, before, after, at);
        }
        self.check_names(log, url, after);
        if let Some(before) = before {
            self.check_hinted(log, url, before, after);
        }
        self.remember(before, after, at);
    }

    /// When the newest part was first seen.
    pub(super) fn newest_at(&self) -> Option<Duration> {
        self.newest_at
    }

    /// Discontinuity number of a segment.
    pub(super) fn discontinuity(&self, msn: u64) -> Option<u64> {
        self.names.get(&msn).map(|(_, number)| *number)
    }

    fn check_names(&mut self, log: &mut Log, url: &str, after: &Media) {
        let first = after.numbered().next();
        let known = first.and_then(|(_, first)| self.names.iter().find(|(_, (uri, _))| *uri == first.uri));
        if let (Some((msn, first)), Some((known, _))) = (first, known) {
            let saw = || format!("{} was segment {known} and is {msn}", first.uri);
            log.must("L05", *known == msn, url, saw, "count removed segments in EXT-X-MEDIA-SEQUENCE");
        }
        let mut number = after.discontinuity_sequence;
        for (msn, segment) in after.numbered() {
            number += u64::from(segment.start.discontinuity);
            if let Some((uri, before)) = self.names.get(&msn) {
                let saw = || format!("segment {msn} was {uri} and is {}", segment.uri);
                log.must("L05", *uri == segment.uri, url, saw, "count removed segments in EXT-X-MEDIA-SEQUENCE");
                let saw = || format!("the discontinuity number of segment {msn} was {before} and is {number}");
                let remedy = "count removed discontinuities in EXT-X-DISCONTINUITY-SEQUENCE";
                log.must("L05", *before == number, url, saw, remedy);
            }
            self.names.insert(msn, (segment.uri.clone(), number));
        }
    }

    fn check_hinted(&mut self, log: &mut Log, url: &str, before: &Media, after: &Media) {
        let Some((parts, maps)) = &self.hinted else { return };
        let Some(next) = next_part(before, after) else { return };
        let saw = || format!("{} follows where nothing was hinted", next.uri);
        let good = !parts.is_empty() || is_after_break(after, &next.uri);
        log.must("L12", good, url, saw, "write EXT-X-PRELOAD-HINT for the next part: it is known when this one ends");
        // What a publish that was lost had hinted at comes to nothing; another goes on.
        let lost = parts.iter().all(|uri| directory(uri) != directory(&next.uri)) && is_after_break(after, &next.uri);
        let saw = || format!("{} follows where {parts:?} was hinted", next.uri);
        let good = parts.is_empty() || parts.contains(&next.uri) || lost;
        log.must("L12", good, url, saw, "hint at the part that comes: decide where the segment ends before hinting");
        let (old, new) = (map_of(before), map_of_part(after, &next.uri));
        if let (Some(old), Some(new)) = (old, new) {
            let saw = || format!("{new} is needed where {maps:?} was hinted");
            let good = old == new || parts.is_empty() || maps.contains(&new) || lost;
            log.must("L12", good, url, saw, "hint at a new map (TYPE=MAP) together with the first part that needs it");
        }
    }

    fn check_pace(&mut self, log: &mut Log, url: &str, before: &Media, after: &Media, at: Duration) {
        let (Some(since), true) = (self.newest_at, after.newest() > before.newest()) else { return };
        let waited = at.saturating_sub(since);
        let saw = || format!("{:?} after {waited:?}", after.newest());
        let longest = after.target_duration.mul_f64(1.5) + Duration::from_millis(500);
        log.must(
            "L08",
            waited <= longest,
            url,
            saw,
            "publish something new within 1.5 target durations: gaps if need be",
        );
        if let Some(target) = after.part_target {
            let good = waited <= target * 2 + Duration::from_millis(250);
            log.should("L08", good, url, saw, "publish each part within a part target of the one before");
        }
    }

    fn remember(&mut self, before: Option<&Media>, after: &Media, at: Duration) {
        if before.is_none_or(|before| after.newest() > before.newest()) {
            self.newest_at = Some(at);
        }
        let uris =
            |is_map| after.hints.iter().filter(|hint| hint.is_map == is_map).map(|hint| hint.uri.clone()).collect();
        self.hinted = Some((uris(false), uris(true)));
        let keep = after.media_sequence.saturating_sub(REMEMBERED);
        self.names = self.names.split_off(&keep);
    }
}

fn check_constants(log: &mut Log, url: &str, before: &Media, after: &Media) {
    let constants = |media: &Media| {
        (media.target_duration, media.part_target, media.control.and_then(|control| control.part_hold_back))
    };
    let (old, new) = (constants(before), constants(after));
    let saw = || format!("(target duration, PART-TARGET, PART-HOLD-BACK) was {old:?} and is {new:?}");
    log.must("L04", old == new, url, saw, "freeze target durations and hold-back for the session");
    let saw = || format!("EXT-X-SERVER-CONTROL was {:?} and is {:?}", before.control, after.control);
    log.must("L02", before.control == after.control, url, saw, "freeze EXT-X-SERVER-CONTROL for the session");
}

fn check_order(log: &mut Log, url: &str, before: &Media, after: &Media) {
    let numbers = |media: &Media| (media.media_sequence, media.discontinuity_sequence);
    let ((old, old_breaks), (new, new_breaks)) = (numbers(before), numbers(after));
    let saw = || format!("media and discontinuity sequence were {old}, {old_breaks} and are {new}, {new_breaks}");
    let good = new >= old && new_breaks >= old_breaks;
    log.must("L05", good, url, saw, "never let sequence numbers go back, whatever restarts");
    if new > old && !after.ended {
        let left: Duration = after.segments.iter().map(|segment| segment.duration).sum();
        let saw = || format!("{left:?} listed after segments were removed");
        let good = left >= 3 * after.target_duration;
        log.must("L09", good, url, saw, "keep three target durations listed while the stream lives");
        let sliding = after.playlist_type.is_none();
        let saw = || "segments were removed from a playlist with EXT-X-PLAYLIST-TYPE".to_owned();
        log.must("L09", sliding, url, saw, "leave out EXT-X-PLAYLIST-TYPE, or remove nothing");
    }
    let saw = || format!("{:?} after {:?}", after.newest(), before.newest());
    log.must("L27", after.newest() >= before.newest(), url, saw, "never answer with an older version than before");
    if before.ended {
        let saw = || "a playlist changed after EXT-X-ENDLIST".to_owned();
        log.must("L48", before == after, url, saw, "change nothing after EXT-X-ENDLIST");
    }
}

/// The part that follows the newest one of `before`, as `after` lists it.
fn next_part<'a>(before: &Media, after: &'a Media) -> Option<&'a Part> {
    let (msn, part) = before.newest()?;
    let in_segment = parts_of(after, msn)?.get(part.map_or(0, |part| part + 1) as usize);
    match in_segment {
        Some(part) => Some(part),
        None => parts_of(after, msn + 1)?.first(),
    }
}

fn directory(uri: &str) -> &str {
    uri.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn parts_of(media: &Media, msn: u64) -> Option<&[Part]> {
    let at = msn.checked_sub(media.media_sequence + media.skipped)? as usize;
    match media.segments.get(at) {
        Some(segment) => Some(&segment.parts),
        None if at == media.segments.len() => media.open.as_ref().map(|open| &open.parts[..]),
        None => None,
    }
}

fn map_of(media: &Media) -> Option<String> {
    let open = media.open.as_ref().map(|open| &open.start);
    open.or(media.segments.last().map(|segment| &segment.start))?.map.as_deref().map(str::to_owned)
}

fn map_of_part(media: &Media, uri: &str) -> Option<String> {
    start_of_part(media, uri)?.map.as_deref().map(str::to_owned)
}

/// Whether a part is the first after a discontinuity, as when another publish goes on.
fn is_after_break(media: &Media, uri: &str) -> bool {
    let lists = media.open.iter().map(|open| &open.parts).chain(media.segments.iter().map(|segment| &segment.parts));
    let is_first = lists.filter_map(|parts| parts.first()).any(|first| first.uri == uri);
    is_first && start_of_part(media, uri).is_some_and(|start| start.discontinuity)
}

fn start_of_part<'a>(media: &'a Media, uri: &str) -> Option<&'a Start> {
    let has = |parts: &[Part]| parts.iter().any(|part| part.uri == uri);
    let open = media.open.iter().filter(|open| has(&open.parts)).map(|open| &open.start);
    let whole = media.segments.iter().filter(|segment| has(&segment.parts)).map(|segment| &segment.start);
    open.chain(whole).next()
}
