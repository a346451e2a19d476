//! What must hold between the playlists of one presentation.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{log::Log, playlist::DATE_SLACK_US, track::Track, url::resolve};
use crate::playlist::read::{Media, Multivariant};

/// Checks what every playlist says alike.
pub(super) fn check_alike(log: &mut Log, tracks: &[Track], which: usize) {
    let Some(own) = tracks[which].latest.as_ref() else { return };
    let url = &tracks[which].url;
    for other in others(tracks, which) {
        let Some(media) = &other.latest else { continue };
        let saw = || format!("{:?}, in {} {:?}", own.control, other.url, media.control);
        log.must("L02", own.control == media.control, url, saw, "write the same EXT-X-SERVER-CONTROL in all playlists");
        let constants = |media: &Media| (media.target_duration, media.part_target);
        let saw = || format!("{:?}, in {} {:?}", constants(own), other.url, constants(media));
        log.must("L04", constants(own) == constants(media), url, saw, "use the same target durations in all playlists");
    }
}

fn others(tracks: &[Track], which: usize) -> impl Iterator<Item = &Track> {
    tracks.iter().enumerate().filter(move |(n, _)| *n != which).map(|(_, track)| track)
}

/// Checks the reports in a version that has just come.
pub(super) fn check_reports(log: &mut Log, tracks: &[Track], which: usize, media: &Media) {
    let url = &tracks[which].url;
    if media.part_target.is_none() || media.ended {
        return;
    }
    let reported: BTreeMap<_, _> =
        media.reports.iter().filter_map(|report| Some((resolve(url, &report.uri)?, report))).collect();
    for other in others(tracks, which) {
        let report = reported.get(other.url.split('?').next().unwrap_or_default());
        let report = report.or(reported.get(&other.url));
        let saw = || format!("no report of {} among {}", other.url, reported.len());
        log.must(
            "L13",
            report.is_some(),
            url,
            saw,
            "write EXT-X-RENDITION-REPORT for every other playlist, audio and video",
        );
        let (Some(report), Some(seen)) = (report, &other.latest) else { continue };
        let Some((known, _)) = seen.newest() else { continue };
        let saw = || format!("LAST-MSN {:?} of {}, which had {known} before", report.last_msn, other.url);
        let good = report.last_msn.is_none_or(|msn| msn + 1 >= known);
        log.must("L13", good, url, saw, "report how far the others have come when the version is made");
    }
    let absolute = media.reports.iter().find(|report| report.uri.contains("://"));
    log.should(
        "L13",
        absolute.is_none(),
        url,
        || format!("{absolute:?}"),
        "write relative URIs in EXT-X-RENDITION-REPORT",
    );
}

/// Checks that a track that has just been seen is not behind or ahead of the others.
pub(super) fn check_pace(log: &mut Log, tracks: &[Track], which: usize) {
    let own = &tracks[which];
    let Some((url, target)) = own.latest.as_ref().and_then(|media| Some((&own.url, media.part_target?))) else {
        return;
    };
    let Some(ours) = own.latest.as_ref().and_then(end) else { return };
    for other in others(tracks, which).filter(|other| !other.is_behind_by_us(own)) {
        let Some(theirs) = other.latest.as_ref().and_then(end) else { continue };
        let saw = || format!("ends {} ms after {}", (ours - theirs) / 1000, other.url);
        let good = (ours - theirs).abs() <= 3 * target.as_micros() as i64 + DATE_SLACK_US;
        log.must("L15", good, url, saw, "publish the same part of all tracks together");
    }
}

/// When the newest media listed ends, by the playlist's dates, in microseconds since 1970.
fn end(media: &Media) -> Option<i64> {
    let length = |parts: &[crate::playlist::read::Part]| parts.iter().map(|part| part.duration).sum::<Duration>();
    if let Some(open) = &media.open
        && let Some(start) = open.start.program_date_time
    {
        return Some(start + length(&open.parts).as_micros() as i64);
    }
    let last = media.segments.last()?;
    Some(last.start.program_date_time? + last.duration.as_micros() as i64)
}

/// Checks that the same media time has the same date and discontinuity number everywhere.
pub(super) fn check_mapping(log: &mut Log, tracks: &[Track], which: usize) {
    let own = &tracks[which];
    for other in others(tracks, which) {
        for (number, offset) in &own.offsets {
            let Some(theirs) = other.offsets.get(number) else { continue };
            let saw = || {
                format!(
                    "the dates of discontinuity {number} are {} ms apart from {}",
                    (offset - theirs) / 1000,
                    other.url
                )
            };
            let good = (offset - theirs).abs() <= DATE_SLACK_US;
            log.must(
                "L11",
                good,
                &own.url,
                saw,
                "derive EXT-X-PROGRAM-DATE-TIME from media time by one anchor for all tracks",
            );
        }
    }
}

/// Checks the multivariant playlist by itself.
pub(super) fn check_multivariant(log: &mut Log, url: &str, playlist: &Multivariant) {
    log.must("L43", !playlist.variants.is_empty(), url, || "no variants".into(), "write EXT-X-STREAM-INF");
    let groups: BTreeSet<_> = playlist.renditions.iter().map(|rendition| &rendition.group_id).collect();
    for variant in &playlist.variants {
        let saw = || format!("{} has no CODECS", variant.uri);
        log.must("L15", variant.codecs.is_some(), url, saw, "write CODECS with every variant");
        let saw = || format!("{} needs group {:?}", variant.uri, variant.audio);
        let good = variant.audio.as_ref().is_none_or(|group| groups.contains(group));
        log.must("L43", good, url, saw, "write EXT-X-MEDIA for every group that is named");
        let saw = || format!("{} has average {:?} above {}", variant.uri, variant.average_bandwidth, variant.bandwidth);
        let good = variant.average_bandwidth.is_none_or(|average| average <= variant.bandwidth);
        log.should("L15", good, url, saw, "let BANDWIDTH be the peak, AVERAGE-BANDWIDTH the mean");
    }
}

/// Checks that `CODECS` names the codec that the init of a playlist has.
pub(super) fn check_codec(log: &mut Log, multivariant: &Multivariant, base: &str, playlist: &str, codec: &str) {
    let is = |uri: &str| resolve(base, uri).as_deref() == Some(playlist);
    let groups: Vec<_> = multivariant
        .renditions
        .iter()
        .filter(|rendition| rendition.uri.as_deref().is_some_and(is))
        .map(|rendition| &rendition.group_id)
        .collect();
    for variant in &multivariant.variants {
        let uses = is(&variant.uri) || variant.audio.as_ref().is_some_and(|group| groups.contains(&group));
        let Some(codecs) = variant.codecs.as_ref().filter(|_| uses) else { continue };
        let named = codecs.split(',').any(|one| one.trim().eq_ignore_ascii_case(codec));
        let saw = || format!("CODECS {codecs:?} where the init says {codec}");
        log.must("L15", named, playlist, saw, "write the codecs of the inits, profile and level included, into CODECS");
    }
}
