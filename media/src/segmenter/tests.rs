use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    frame::TrackKind,
    timeline::{LINE_SCALE, rescale, rescale_up},
};

const VIDEO: LaneConfig = LaneConfig { kind: TrackKind::Video, scale: LINE_SCALE, frame: 3000 };
const AUDIO: LaneConfig = LaneConfig { kind: TrackKind::Audio, scale: 48_000, frame: 1024 };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Parts of `part` ms, segments of at least `segment` ms, target duration 4 s.
fn rules(part: u64, segment: u64) -> Rules {
    Rules::new(ms(part), ms(part), ms(part), ms(segment), 4)
}

fn video(at_ms: i64, sync: bool) -> Unit {
    Unit { dts: at_ms * 90, pts: at_ms * 90, sync, data: Bytes::from_static(b"v") }
}

fn audio(n: i64) -> Unit {
    Unit { dts: n * 1024, pts: n * 1024, sync: true, data: Bytes::from_static(b"a") }
}

/// Frames 100 ms apart of one video track: `I` is a keyframe, `P` is none, `.` is missing, `|` closes all. Writes each
/// part as `msn.part=frames/ms`, `-` for a gap, and each segment's end as `[msn/parts]`.
fn play(part: u64, segment: u64, frames: &str) -> String {
    let mut segmenter = Segmenter::new(rules(part, segment), PackagingLimits::default(), &[VIDEO], 0);
    let mut cuts = Vec::new();
    for (i, letter) in frames.chars().enumerate() {
        match letter {
            '.' => {}
            '|' => segmenter.flush(&mut cuts),
            letter => segmenter.push(0, video(i as i64 * 100, letter == 'I'), &mut cuts),
        }
    }
    segmenter.flush(&mut cuts);
    picture(&cuts)
}

fn picture(cuts: &[Cut]) -> String {
    let mut out = String::new();
    for cut in cuts {
        match cut {
            Cut::Begin(begin) if begin.discontinuity => out.push_str("! "),
            Cut::Begin(_) => {}
            Cut::Part(part) => {
                let _ = write!(out, "{}.{}=", part.msn, part.part);
                part.units.iter().for_each(|unit| out.push(if unit.sync { 'I' } else { 'P' }));
                let _ =
                    write!(out, "{}/{} ", if part.units.is_empty() { "-" } else { "" }, (part.end - part.start) / 90);
            }
            Cut::End { msn, parts, .. } => {
                let _ = write!(out, "[{msn}/{parts}] ");
            }
        }
    }
    out.trim_end().to_owned()
}

#[test]
fn a_keyframe_closes_the_part_and_the_segment() {
    assert_eq!(play(200, 300, "IPPIPP"), "0.0=IP/200 0.1=P/100 [0/2] 1.0=IP/200 1.1=P/100 [1/2]");
}

#[test]
fn a_keyframe_that_comes_too_early_closes_nothing() {
    assert_eq!(play(200, 600, "IPIPIPIP"), "0.0=IP/200 0.1=IP/200 0.2=IP/200 [0/3] 1.0=IP/200 [1/1]");
}

#[test]
fn nothing_is_cut_before_the_first_keyframe() {
    assert_eq!(play(200, 300, "PPIPP"), "0.0=IP/200 0.1=P/100 [0/2]");
}

#[test]
fn a_part_ends_at_the_whole_frame_nearest_to_its_target() {
    let rules = Rules::new(ms(250), ms(300), ms(300), ms(2000), 4);
    let mut segmenter = Segmenter::new(rules, PackagingLimits::default(), &[VIDEO], 0);
    let mut cuts = Vec::new();
    (0..10).for_each(|i| segmenter.push(0, video(i * 100, i == 0), &mut cuts));
    segmenter.flush(&mut cuts);
    assert_eq!(picture(&cuts), "0.0=IPP/300 0.1=PPP/300 0.2=PPP/300 0.3=P/100 [0/4]");
}

#[test]
fn a_part_before_a_hole_ends_at_its_target_and_the_next_frame_is_decoded_earlier() {
    assert_eq!(play(300, 2000, "IPPP....PPPP"), "0.0=IPP/300 0.1=P/300 0.2=P/300 0.3=PPP/300 [0/4]");
}

#[test]
fn a_long_hole_becomes_parts_that_are_missing() {
    assert_eq!(
        play(500, 9000, "IPPPP...............PPPPP"),
        "0.0=IPPPP/500 0.1=-/500 0.2=P/500 0.3=P/500 0.4=PPP/500 [0/5]"
    );
}

#[test]
fn without_a_keyframe_a_segment_ends_before_it_exceeds_the_target_duration() {
    let frames = format!("I{}", "P".repeat(44));
    let picture = play(500, 2000, &frames);
    assert!(picture.contains("0.7=PPPPP/500 [0/8] 1.0=PPPPP/500 [1/1]"), "{picture}");
}

#[test]
fn the_first_keyframe_after_a_segment_without_one_begins_a_segment() {
    let frames = format!("I{}IPPPP", "P".repeat(44));
    let picture = play(500, 2000, &frames);
    assert!(picture.ends_with("[0/8] 1.0=PPPPP/500 [1/1] 2.0=IPPPP/500 [2/1]"), "{picture}");
}

#[test]
fn after_a_flush_the_next_keyframe_begins_a_segment_with_a_discontinuity() {
    assert_eq!(play(200, 2000, "IPP|PPIP"), "0.0=IP/200 0.1=P/100 [0/2] ! 1.0=IP/200 [1/1]");
}

#[test]
fn a_stalled_segment_goes_on_with_missing_parts_and_ends_without_another() {
    let mut segmenter = Segmenter::new(rules(500, 2000), PackagingLimits::default(), &[VIDEO], 0);
    let mut cuts = Vec::new();
    (0..3).for_each(|i| segmenter.push(0, video(i * 100, i == 0), &mut cuts));
    segmenter.stall(&mut cuts);
    segmenter.stall(&mut cuts);
    segmenter.flush(&mut cuts);
    segmenter.push(0, video(5000, true), &mut cuts);
    segmenter.flush(&mut cuts);
    assert_eq!(picture(&cuts), "0.0=IPP/300 0.1=-/500 [0/2] ! 1.0=I/100 [1/1]");
}

#[test]
fn at_06_what_is_too_large_is_dropped_until_the_next_keyframe() {
    let limits = PackagingLimits { part_bytes: 3, ..Default::default() };
    let mut segmenter = Segmenter::new(rules(500, 1000), limits, &[VIDEO], 0);
    let mut cuts = Vec::new();
    (0..10).for_each(|i| segmenter.push(0, video(i * 100, i == 0), &mut cuts));
    assert!(segmenter.is_overfull());
    segmenter.push(0, video(1000, true), &mut cuts);
    segmenter.flush(&mut cuts);
    assert_eq!(picture(&cuts), "0.0=IPP/500 [0/1] 1.0=I/100 [1/1]");
    assert_eq!(segmenter.dropped(), 7);
}

/// Parts of video and audio, the audio `lag` frames late.
fn both(video_frames: impl Iterator<Item = i64>, audio_frames: impl Iterator<Item = i64>) -> Vec<Cut> {
    let mut segmenter = Segmenter::new(av_rules(), PackagingLimits::default(), &[VIDEO, AUDIO], 0);
    let mut cuts = Vec::new();
    let mut units: Vec<(i64, usize, Unit)> =
        video_frames.map(|i| (i * 3000, 0, video_at(i * 3000, i % 60 == 0))).collect();
    units.extend(audio_frames.map(|n| (n * 1920, 1, audio(n))));
    units.sort_by_key(|(at, lane, _)| (*at, *lane));
    units.into_iter().for_each(|(_, lane, unit)| segmenter.push(lane, unit, &mut cuts));
    segmenter.flush(&mut cuts);
    cuts
}

fn video_at(ticks: i64, sync: bool) -> Unit {
    Unit { dts: ticks, pts: ticks, sync, data: Bytes::from_static(b"v") }
}

fn av_rules() -> Rules {
    Rules::new(ms(500), ms(500), ms(522), ms(2000), 4)
}

fn parts(cuts: &[Cut], lane: usize) -> Vec<&PartCut> {
    let parts = cuts.iter().filter_map(|cut| match cut {
        Cut::Part(part) if part.lane == lane => Some(part),
        _ => None,
    });
    parts.collect()
}

#[test]
fn an_audio_part_ends_at_the_first_frame_that_is_not_before_the_end_of_the_video_part() {
    let cuts = both(0..180, 0..282);
    let (video, audio) = (parts(&cuts, 0), parts(&cuts, 1));
    assert_eq!(video.len(), audio.len());
    for (v, a) in video.iter().zip(&audio).take(11) {
        assert_eq!((v.msn, v.part), (a.msn, a.part));
        assert_eq!(
            a.end,
            rescale_up(v.end, LINE_SCALE, 48_000).div_euclid(1024) * 1024
                + if rescale_up(v.end, LINE_SCALE, 48_000) % 1024 == 0 { 0 } else { 1024 }
        );
    }
}

#[test]
fn audio_that_waits_for_more_than_a_part_goes_on_alone_and_video_gets_gaps() {
    let cuts = both(0..60, 0..400);
    let audio = parts(&cuts, 1);
    assert!(audio.len() >= 14, "{}", audio.len());
    assert!(audio.iter().all(|part| !part.units.is_empty()));
    let gaps = parts(&cuts, 0).iter().filter(|part| part.units.is_empty()).count();
    assert!(gaps >= 8, "{gaps}");
}

#[test]
fn video_that_is_only_behind_goes_on_leading() {
    let mut segmenter = Segmenter::new(av_rules(), PackagingLimits::default(), &[VIDEO, AUDIO], 0);
    let mut cuts = Vec::new();
    let mut units: Vec<(i64, usize, Unit)> =
        (0..300).map(|i| (i * 3000 + 120_000, 0, video_at(i * 3000, i % 60 == 0))).collect();
    units.extend((0..469).map(|n| (n * 1920, 1, audio(n))));
    units.sort_by_key(|(at, lane, _)| (*at, *lane));
    units.into_iter().for_each(|(_, lane, unit)| segmenter.push(lane, unit, &mut cuts));
    segmenter.flush(&mut cuts);
    let first = |part: &&&PartCut| part.part == 0;
    assert!(parts(&cuts, 0).iter().filter(first).all(|part| part.units[0].sync), "audio came 1.3 s before its video");
    assert!(parts(&cuts, 1).iter().all(|part| !part.units.is_empty()));
}

#[test]
fn video_that_comes_back_goes_on_where_it_is() {
    let cuts = both((0..60).chain(150..300), 0..470);
    let back: Vec<_> =
        parts(&cuts, 0).into_iter().flat_map(|part| &part.units).filter(|unit| unit.pts >= 450_000).collect();
    assert_eq!(back.len(), 150, "every frame is there");
    assert!(back.windows(2).all(|two| two[0].dts < two[1].dts));
}

#[test]
fn audio_that_begins_after_its_keyframe_begins_where_its_first_frame_is() {
    for late in 1..20 {
        let cuts = both(0..180, late..282);
        let (video, audio) = (parts(&cuts, 0), parts(&cuts, 1));
        assert_eq!(audio[0].start, late * 1024, "a part is as long as its samples");
        assert_eq!(audio[0].units[0].dts, late * 1024);
        for (v, a) in video.iter().zip(&audio).take(11) {
            assert_eq!((v.msn, v.part), (a.msn, a.part));
        }
        assert!(audio.windows(2).all(|two| two[0].end == two[1].start));
    }
}

#[test]
fn audio_that_stays_away_becomes_missing_parts_and_comes_back() {
    let cuts = both(0..300, (0..100).chain(300..470));
    let audio = parts(&cuts, 1);
    let gaps = audio.iter().filter(|part| part.units.is_empty()).count();
    assert!((7..=9).contains(&gaps), "4.27 s are missing, {gaps} parts");
    assert_eq!(audio.iter().map(|part| part.units.len()).sum::<usize>(), 270, "every frame is there");
    let with_samples = audio.iter().filter(|part| !part.units.is_empty());
    assert!(with_samples.into_iter().all(|part| part.units[0].dts == part.start), "a part is as long as its samples");
}

/// Distances of frames and where keyframes are.
fn pattern() -> impl Strategy<Value = Vec<(u16, bool)>> {
    let frame = prop_oneof![
        6 => 5..60_u16,
        1 => 60..700_u16,
        1 => Just(33_u16),
    ];
    prop::collection::vec((frame, prop::bool::weighted(0.03)), 1..400)
}

fn cut_pattern(frames: &[(u16, bool)], audio_too: bool) -> Vec<Cut> {
    let lanes = [VIDEO, AUDIO];
    let count = if audio_too { 2 } else { 1 };
    let mut segmenter = Segmenter::new(av_rules(), PackagingLimits::default(), &lanes[..count], 5);
    let mut cuts = Vec::new();
    let (mut at, mut n) = (0, 0);
    for (i, (distance, sync)) in frames.iter().enumerate() {
        while audio_too && n * 64 <= at * 3 {
            segmenter.push(1, audio(n), &mut cuts);
            n += 1;
        }
        segmenter.push(0, video(at, *sync || i == 0), &mut cuts);
        at += i64::from(*distance);
    }
    segmenter.flush(&mut cuts);
    cuts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn at_23_parts_and_segments_keep_their_limits_whatever_the_frames(frames in pattern(), audio_too: bool) {
        let cuts = cut_pattern(&frames, audio_too);
        for lane in 0..if audio_too { 2 } else { 1 } {
            let scale = [LINE_SCALE, 48_000][lane];
            let target = rescale(rules_ticks(522), LINE_SCALE, scale);
            let all = parts(&cuts, lane);
            let mut length = 0;
            for (i, part) in all.iter().enumerate() {
                let duration = part.end - part.start;
                prop_assert!(duration > 0 && duration <= target, "part {i} lasts {duration} of {target}");
                let before_gap = all.get(i + 1).is_none_or(|next| next.units.is_empty());
                let excused = lane > 0 || part.last || part.units.first().is_none_or(|unit| unit.sync) || before_gap;
                prop_assert!(excused || duration * 100 >= target * 85, "part {i} lasts {duration} of {target}");
                length += duration;
                prop_assert!(length <= rescale(rules_ticks(4499), LINE_SCALE, scale), "segment {} lasts {length}", part.msn);
                if part.last {
                    length = 0;
                }
            }
        }
    }

    #[test]
    fn every_part_begins_where_the_one_before_ends_and_is_the_one_that_was_to_come(frames in pattern(), audio_too: bool) {
        let cuts = cut_pattern(&frames, audio_too);
        for lane in 0..if audio_too { 2 } else { 1 } {
            for two in parts(&cuts, lane).windows(2) {
                let next = if two[0].last { (two[0].msn + 1, 0) } else { (two[0].msn, two[0].part + 1) };
                prop_assert_eq!((two[1].msn, two[1].part), next);
                prop_assert_eq!(two[0].end, two[1].start);
            }
        }
        let numbers = |lane| parts(&cuts, lane).iter().map(|part| (part.msn, part.part)).collect::<Vec<_>>();
        prop_assert!(!audio_too || numbers(0) == numbers(1), "the tracks have the same parts");
    }

    #[test]
    fn no_video_frame_is_lost_and_none_is_presented_at_another_time(frames in pattern(), audio_too: bool) {
        let cuts = cut_pattern(&frames, audio_too);
        let units: Vec<_> = parts(&cuts, 0).into_iter().flat_map(|part| &part.units).collect();
        prop_assert_eq!(units.len(), frames.len());
        let mut at = 0;
        for (unit, (distance, _)) in units.iter().zip(&frames) {
            prop_assert_eq!(unit.pts, at * 90);
            at += i64::from(*distance);
        }
        for part in parts(&cuts, 0) {
            prop_assert!(part.units.first().is_none_or(|unit| unit.dts == part.start), "decoding begins with the part");
            prop_assert!(part.units.windows(2).all(|two| two[0].dts < two[1].dts));
            prop_assert!(part.units.last().is_none_or(|unit| unit.dts < part.end));
        }
    }

    #[test]
    fn at_16_every_segment_begins_with_a_keyframe_unless_none_came_in_time(frames in pattern()) {
        let cuts = cut_pattern(&frames, false);
        let mut since = 0;
        for part in parts(&cuts, 0) {
            if part.part == 0 && !part.units.first().is_none_or(|unit| unit.sync) {
                prop_assert!(since + rules_ticks(1044) > rules_ticks(4499), "cut after {since} ticks");
            }
            since = if part.part == 0 { 0 } else { since } + part.end - part.start;
        }
    }
}

fn rules_ticks(ms: i64) -> i64 {
    ms * 90
}
