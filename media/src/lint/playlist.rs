//! What one version of a media playlist must be like by itself.

use std::time::Duration;

use super::log::Log;
use crate::playlist::read::{Media, Part, Problem, ReadError, ServerControl};

/// Says which rule an unreadable playlist breaks.
pub(super) fn unreadable(log: &mut Log, url: &str, error: &ReadError) {
    let saw = || error.to_string();
    match &error.problem {
        Problem::MissingUri(_) | Problem::StrayUri | Problem::Misplaced { tag: "EXT-X-PART", .. } => {
            log.must("L06", false, url, saw, "write a segment's parts, then its EXTINF, then its URI");
        }
        Problem::Misplaced { tag: "EXT-X-MEDIA-SEQUENCE" | "EXT-X-DISCONTINUITY-SEQUENCE", .. } => {
            log.must("L05", false, url, saw, "write sequence numbers before the first segment");
        }
        Problem::Misplaced { .. } => {
            log.must("L06", false, url, saw, "write EXT-X-DISCONTINUITY, EXT-X-MAP and dates before the first part");
        }
        _ => log.must(
            "L16",
            false,
            url,
            saw,
            "write what draft-pantos-hls-rfc8216bis §4 allows: clients must refuse this",
        ),
    }
}

/// Checks a version that could be read, or a delta update merged into the one before.
pub(super) fn check(log: &mut Log, url: &str, media: &Media) {
    log.must("L06", true, url, String::new, "");
    log.must("L16", true, url, String::new, "");
    check_control(log, url, media);
    check_parts(log, url, media);
    check_segments(log, url, media);
    check_dates(log, url, media);
    check_hints(log, url, media);
    check_version(log, url, media);
    let uris = media.segments.iter().map(|segment| &segment.uri).chain(media.hints.iter().map(|hint| &hint.uri));
    let reserved = uris.chain(media.reports.iter().map(|report| &report.uri)).find(|uri| uri.contains("_HLS_"));
    log.must("L26", reserved.is_none(), url, || format!("{reserved:?}"), "leave _HLS_ parameters out of URIs");
}

/// Checks what only the text tells.
pub(super) fn check_text(log: &mut Log, url: &str, text: &str) {
    let at = |tag: &str| text.lines().position(|line| line.starts_with(tag));
    if let Some(skip) = at("#EXT-X-SKIP:") {
        let before = |tag| at(tag).is_none_or(|line| line < skip);
        let good = before("#EXT-X-MEDIA-SEQUENCE:") && before("#EXT-X-DISCONTINUITY-SEQUENCE:");
        let saw = || "a sequence number after EXT-X-SKIP".to_owned();
        log.should(
            "L05",
            good,
            url,
            saw,
            "write sequence numbers before EXT-X-SKIP: older hls.js refuses them after it",
        );
    }
    let good = at("#EXT-X-DISCONTINUITY-SEQUENCE:").is_some() || !text.contains("#EXT-X-DISCONTINUITY\n");
    let saw = || "EXT-X-DISCONTINUITY without EXT-X-DISCONTINUITY-SEQUENCE".to_owned();
    log.should("L05", good, url, saw, "write EXT-X-DISCONTINUITY-SEQUENCE always");
}

fn check_control(log: &mut Log, url: &str, media: &Media) {
    let control = media.control.unwrap_or_default();
    let ServerControl { can_skip_until, can_skip_dateranges, hold_back, part_hold_back, .. } = control;
    let target = media.target_duration;
    let saw = || format!("HOLD-BACK {hold_back:?} at a target duration of {target:?}");
    log.must("L03", hold_back.is_none_or(|back| back >= 3 * target), url, saw, "let HOLD-BACK be 3 target durations");
    let saw = || format!("CAN-SKIP-UNTIL {can_skip_until:?} at a target duration of {target:?}");
    let good = can_skip_until.is_none_or(|until| until >= 6 * target);
    log.must("L03", good, url, saw, "let CAN-SKIP-UNTIL be 6 target durations");
    let saw = || "CAN-SKIP-DATERANGES without CAN-SKIP-UNTIL".to_owned();
    let good = !can_skip_dateranges || can_skip_until.is_some();
    log.must("L03", good, url, saw, "leave out CAN-SKIP-DATERANGES, or add CAN-SKIP-UNTIL");
    if let Some(part_target) = media.part_target {
        let saw = || format!("PART-HOLD-BACK {part_hold_back:?} at a part target of {part_target:?}");
        // Both are rounded as they are written.
        let good = part_hold_back.is_some_and(|back| back + Duration::from_micros(3) >= 3 * part_target);
        log.must("L02", good, url, saw, "let PART-HOLD-BACK be 3 part targets: Apple's players demand it");
    }
    let length: Duration = media.segments.iter().map(|segment| segment.duration).sum();
    let good = length <= Duration::from_secs(120) || can_skip_until.is_some() || media.ended;
    let saw = || format!("{length:?} listed without CAN-SKIP-UNTIL");
    log.should("L16", good, url, saw, "offer delta updates for a window longer than 2 minutes");
}

fn check_parts(log: &mut Log, url: &str, media: &Media) {
    let whole = media.segments.iter().map(|segment| (&segment.parts, true));
    let open = media.open.iter().map(|open| (&open.parts, false));
    let remedy = "close each part before the frame that would exceed PART-TARGET, which never changes";
    for (parts, finished) in whole.chain(open).filter(|(parts, _)| !parts.is_empty()) {
        let Some(target) = media.part_target else {
            log.must("L01", false, url, || "EXT-X-PART without EXT-X-PART-INF".into(), "write EXT-X-PART-INF");
            return;
        };
        for (n, part) in parts.iter().enumerate() {
            let saw = || format!("{} lasts {:?} at a PART-TARGET of {target:?}", part.uri, part.duration);
            log.must("L01", part.duration <= target, url, saw, remedy);
            let good = is_long_enough(parts, n, target) || is_excused(parts, n);
            log.must("L01", good, url, saw, "let parts last at least 85 % of PART-TARGET");
        }
        if finished {
            let saw = || format!("none of {} parts from {} on", parts.len(), parts[0].uri);
            let good = parts.iter().any(|part| part.independent || part.gap);
            log.must("L10", good, url, saw, "let each segment have a keyframe, and its part INDEPENDENT=YES");
        }
    }
}

fn is_long_enough(parts: &[Part], n: usize, target: Duration) -> bool {
    parts[n].duration.as_nanos() * 100 >= target.as_nanos() * 85
}

/// Whether a part may be short: the last of its segment, or of those so far, and gaps and what they cut short.
fn is_excused(parts: &[Part], n: usize) -> bool {
    let next_is_gap = parts.get(n + 1).is_none_or(|next| next.gap);
    next_is_gap || parts[n].independent || parts[n].gap
}

fn check_segments(log: &mut Log, url: &str, media: &Media) {
    let target = media.target_duration;
    for (msn, segment) in media.numbered() {
        let rounded = (segment.duration + Duration::from_millis(500)).as_secs();
        let saw = || format!("segment {msn} lasts {:?} at a target duration of {target:?}", segment.duration);
        log.must("L04", rounded <= target.as_secs(), url, saw, "cut segments before the target duration is exceeded");
        let good = segment.start.map.is_some() || segment.gap || !is_mp4(&segment.uri);
        let saw = || format!("segment {msn}, {}, has no EXT-X-MAP before it", segment.uri);
        log.must("C01", good, url, saw, "write EXT-X-MAP before the first fMP4 segment, and where it changes");
    }
    let good = media.playlist_type.is_none() || media.ended;
    let saw = || format!("EXT-X-PLAYLIST-TYPE:{}", media.playlist_type.as_deref().unwrap_or_default());
    if media.playlist_type.as_deref() == Some("VOD") {
        log.must("L09", good, url, saw, "leave out EXT-X-PLAYLIST-TYPE of a live playlist");
    } else {
        log.must("L09", true, url, saw, "");
    }
    let saw = || "the first segments' parts are listed more than 3 target durations from the end".to_owned();
    let mut after = Duration::ZERO;
    let mut late = false;
    for segment in media.segments.iter().rev() {
        late |= after > 3 * target + target && !segment.parts.is_empty();
        after += segment.duration;
    }
    log.should("L07", !late, url, saw, "remove EXT-X-PART tags 3 target durations from the end");
}

fn is_mp4(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or_default();
    [".m4s", ".mp4", ".m4v", ".m4a", ".cmfv", ".cmfa"].iter().any(|end| path.ends_with(end))
}

fn check_dates(log: &mut Log, url: &str, media: &Media) {
    let any = media.segments.iter().any(|segment| segment.start.program_date_time.is_some());
    let none_yet = media.segments.is_empty();
    let saw = || "no EXT-X-PROGRAM-DATE-TIME".to_owned();
    log.must("L11", any || none_yet, url, saw, "write EXT-X-PROGRAM-DATE-TIME, best on every segment");
    for pair in media.segments.windows(2) {
        let [before, after] = pair else { continue };
        if after.start.discontinuity {
            let saw = || format!("{} after EXT-X-DISCONTINUITY has no date", after.uri);
            let good = after.start.program_date_time.is_some();
            log.should("L11", good, url, saw, "write EXT-X-PROGRAM-DATE-TIME after every EXT-X-DISCONTINUITY");
            continue;
        }
        if let (Some(from), Some(to)) = (before.start.program_date_time, after.start.program_date_time) {
            let off = to - from - before.duration.as_micros() as i64;
            let saw = || format!("the date of {} is {off} µs off that of {} and its duration", after.uri, before.uri);
            let good = off.abs() <= DATE_SLACK_US;
            log.must("L11", good, url, saw, "let dates advance as media does, and jump only at a discontinuity");
        }
    }
}

/// By how much a date may be off: slewing against the encoder's clock is a millisecond a segment.
pub(super) const DATE_SLACK_US: i64 = 50_000;

fn check_hints(log: &mut Log, url: &str, media: &Media) {
    let parts = media.hints.iter().filter(|hint| !hint.is_map).count();
    let maps = media.hints.len() - parts;
    let saw = || format!("{parts} hints of parts, {maps} of maps, ended: {}", media.ended);
    if media.ended {
        log.must("L12", media.hints.is_empty(), url, saw, "hint at nothing once the playlist has ended");
        log.must("L48", media.hints.is_empty(), url, saw, "hint at nothing once the playlist has ended");
        return;
    }
    log.should("L12", parts <= 1 && maps <= 1, url, saw, "hint at one part and at most one map");
    // Nobody knows what comes next while the publisher is away: that this is so shows when it comes.
    let good = media.part_target.is_none() || parts > 0;
    log.should("L12", good, url, saw, "write EXT-X-PRELOAD-HINT for the next part while the stream lives");
}

fn check_version(log: &mut Log, url: &str, media: &Media) {
    let map = media.segments.iter().any(|segment| segment.start.map.is_some());
    let gap = media.segments.iter().any(|segment| segment.gap);
    let needed = match (media.skipped > 0, gap, map) {
        (true, _, _) => 9,
        (_, true, _) => 8,
        (_, _, true) => 6,
        _ => 1,
    };
    let version = media.version;
    let saw = || format!("EXT-X-VERSION:{version} where {needed} is needed");
    log.must(
        "L14",
        version >= needed,
        url,
        saw,
        "write EXT-X-VERSION 6 with EXT-X-MAP, 8 with EXT-X-GAP, 9 with EXT-X-SKIP",
    );
    log.should("L14", version <= needed.max(9), url, saw, "write the version that the tags need, not a later one");
}
