//! A stream whose origin dies in the middle of a segment, and that goes on at another.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::{
    super::Finding,
    server::{END, Server, watch},
};
use crate::{
    flv::{Demuxer, file::Reader},
    frame::{Frame, Media, TrackId},
    output::{Output, Part},
    pipeline::{PackagingConfig, Pipeline, Start},
    playlist::inherit::{Inherited, InheritedTrack},
};

/// 27 frames at 25 a second with one keyframe, and sound.
const CLIP: &[u8] = include_bytes!("../../../tests/data/x264-aac.flv");
const CLIP_MS: u32 = 1080;
const NOON_MS: u64 = 1_795_262_400_000;
/// When the first origin dies, and when the encoder is at the other.
const DEAD: Duration = Duration::from_millis(31_600);
const BACK: Duration = Duration::from_millis(31_900);

/// What is made, and when.
type Made = Vec<(Duration, Output)>;

fn clip() -> Vec<Media> {
    let (mut demuxer, mut out) = (Demuxer::new(), Vec::new());
    for tag in Reader::new(Bytes::from_static(CLIP)).unwrap() {
        let tag = tag.unwrap();
        demuxer.parse(tag.kind, tag.timestamp_ms, tag.payload, &mut out).unwrap();
    }
    out
}

fn now_ms(at: Duration) -> u64 {
    NOON_MS + at.as_millis() as u64
}

fn start(epoch: u64, msn_base: u64, at: Duration) -> Start {
    Start { epoch, msn_base, now_ms: now_ms(at) }
}

/// Publishes the clip over and over, at its own pace.
fn publish(pipeline: &mut Pipeline, from: Duration, to: Duration, made: &mut Made) {
    let (clip, mut out, mut at) = (clip(), Vec::new(), from);
    for round in 0.. {
        for media in &clip {
            let media = match media.clone() {
                Media::Frame(frame) => {
                    let timestamp_ms = frame.timestamp_ms + round * CLIP_MS;
                    at = at.max(from + Duration::from_millis(timestamp_ms.into()));
                    Media::Frame(Frame { timestamp_ms, ..frame })
                }
                other => other,
            };
            if at >= to {
                return;
            }
            pipeline.push(now_ms(at), media, &mut out);
            made.extend(out.drain(..).map(|output| (at, output)));
        }
    }
}

fn newest(made: &Made, of: TrackId) -> Bytes {
    let playlists = made.iter().rev().find_map(|(_, output)| match output {
        Output::Playlist(track, rendered) if *track == of => Some(rendered.full.clone()),
        _ => None,
    });
    playlists.unwrap()
}

fn index(made: &Made) -> Bytes {
    made.iter()
        .find_map(|(_, output)| if let Output::Multivariant(index) = output { Some(index.clone()) } else { None })
        .unwrap()
}

/// What edges serve of it: versions that are newer than the last, and what parts make whole.
fn server(made: &Made, unfinished: &[(TrackId, u64, u64)]) -> Server {
    let (mut versions, mut objects) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::new());
    let mut parts: BTreeMap<(TrackId, u64, u64), Vec<u8>> = BTreeMap::new();
    for (at, output) in made {
        match output {
            Output::Init { epoch, track, n, bytes } => {
                objects.insert(format!("{epoch}/{track}/init-{n}.mp4"), (*at, bytes.clone()));
            }
            Output::Part(Part { epoch, track, msn, part, payload, .. }) => {
                let bytes = payload.concat();
                parts.entry((*track, *epoch, *msn)).or_default().extend(&bytes);
                objects.insert(format!("{epoch}/{track}/{msn}.{part}.m4s"), (*at, bytes.into()));
            }
            Output::Segment { epoch, track, msn, .. } => {
                let bytes = parts[&(*track, *epoch, *msn)].clone();
                objects.insert(format!("{epoch}/{track}/{msn}.m4s"), (*at, bytes.into()));
            }
            Output::Playlist(track, rendered) => {
                let name = if *track == TrackId::V0 { "v0" } else { "a0" };
                let versions: &mut Vec<(Duration, std::sync::Arc<crate::output::Rendered>)> =
                    versions.entry(name).or_default();
                if versions.last().is_none_or(|(_, last)| last.version < rendered.version) {
                    versions.push((*at, rendered.clone()));
                }
            }
            _ => {}
        }
    }
    for (track, epoch, msn) in unfinished {
        let bytes = parts[&(*track, *epoch, *msn)].clone();
        objects.insert(format!("{epoch}/{track}/{msn}.m4s"), (DEAD, bytes.into()));
    }
    Server::of(index(made), versions, objects)
}

/// What the lint finds of a stream that another origin takes over with what is left of it, and its playlists at the end.
fn taken_over(left: &[TrackId]) -> (Vec<Finding>, [String; 2]) {
    let mut made = Made::new();
    let mut pipeline = Pipeline::new(PackagingConfig::default(), start(7, 100, Duration::ZERO));
    publish(&mut pipeline, Duration::ZERO, DEAD, &mut made);
    let tracks = left.iter().map(|track| InheritedTrack::read(*track, &newest(&made, *track)).unwrap());
    let tracks: Vec<_> = tracks.collect();
    let unfinished = tracks.iter().map(|track| (track.track(), track.unfinished().unwrap()));
    let unfinished: Vec<_> = unfinished.map(|(track, segment)| (track, segment.epoch, segment.msn)).collect();
    let inherited = Inherited::new(index(&made), tracks).unwrap();
    assert_eq!(inherited.next_msn(), unfinished[0].2 + 1, "it died in the middle of a segment");

    let mut out = Vec::new();
    let mut pipeline = Pipeline::inherit(PackagingConfig::default(), start(9, 500, BACK), inherited, &mut out);
    made.extend(out.drain(..).map(|output| (BACK, output)));
    publish(&mut pipeline, BACK, END, &mut made);
    pipeline.end(now_ms(END), &mut out);
    made.extend(out.drain(..).map(|output| (END, output)));

    let report = watch(&server(&made, &unfinished), |_, _| {});
    assert!(report.playlists > 200 && report.objects > 150, "{} {}", report.playlists, report.objects);
    // Advice on frames: the clip has B-frames, and joins badly with itself. Advice on the pause: nobody publishes then, so
    // no part is to come (L12) and the next one comes late (L08).
    let advice = ["C03", "C06", "L08", "L12"];
    let is_advice = |f: &Finding| f.severity == crate::lint::Severity::Advice && advice.contains(&f.rule);
    let findings = report.findings.into_iter().filter(|finding| !is_advice(finding)).collect();
    let last = [TrackId::V0, TrackId::A0].map(|track| String::from_utf8(newest(&made, track).to_vec()).unwrap());
    (findings, last)
}

#[test]
fn a_stream_that_another_origin_takes_over_passes_every_rule() {
    let (findings, [v0, _]) = taken_over(&[TrackId::V0, TrackId::A0]);
    assert_eq!(findings, []);
    assert!(v0.contains("7/v0/") && v0.contains("#EXT-X-DISCONTINUITY\n") && !v0.contains("GAP"), "{v0}");
}

#[test]
fn a_stream_of_which_one_track_alone_was_left_passes_every_rule() {
    for (left, lost) in [(TrackId::V0, 1), (TrackId::A0, 0)] {
        let (findings, last) = taken_over(&[left]);
        assert_eq!(findings, [], "with {left} alone");
        let breaks = last.each_ref().map(|playlist| {
            let (before, after) = playlist.split_once("#EXT-X-DISCONTINUITY\n").unwrap();
            (before.matches("#EXT-X-GAP\n").count(), after.matches("#EXT-X-GAP\n").count())
        });
        assert!(breaks[lost].0 > 3 && breaks[1 - lost].0 == 0, "{breaks:?}");
        assert!(breaks.iter().all(|(_, after)| *after == 0), "{breaks:?}");
    }
}
