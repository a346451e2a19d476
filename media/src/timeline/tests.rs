use proptest::prelude::*;

use super::*;
use crate::{aac, avc, frame::TrackId};

fn h264() -> Arc<CodecConfig> {
    let codec = "avc1.64001F".into();
    Arc::new(CodecConfig::Avc(avc::Config { record: Bytes::new(), width: 16, height: 16, frame_rate: None, codec }))
}

/// AAC-LC of 48 kHz: two channels, or six, of which we can't make silence.
fn aac(channels: u8) -> Arc<CodecConfig> {
    let record = Bytes::from_static(&[0x11, 0x90]);
    let codec = "mp4a.40.2".into();
    Arc::new(CodecConfig::Aac(aac::Config { record, sample_rate: 48_000, channels, frame_samples: 1024, codec }))
}

fn timeline(channels: u8) -> Timeline {
    let mut timeline = Timeline::new(PackagingLimits::default());
    timeline.configure(TrackKind::Video, &h264());
    timeline.configure(TrackKind::Audio, &aac(channels));
    timeline
}

fn v(timestamp_ms: u32) -> Frame {
    frame(TrackId::V0, timestamp_ms, 0)
}

fn a(timestamp_ms: u32) -> Frame {
    frame(TrackId::A0, timestamp_ms, 0)
}

fn frame(track: TrackId, timestamp_ms: u32, composition_ms: i32) -> Frame {
    Frame { track, timestamp_ms, composition_ms, sync: true, data: Bytes::from_static(b"as it came") }
}

/// Where frames come to lie, in milliseconds after the line's start: `v33` a video frame at 33, `a` an audio frame,
/// `s` a silent one, `!` a discontinuity.
fn place(timeline: &mut Timeline, frames: impl IntoIterator<Item = Frame>) -> String {
    let mut events = Vec::new();
    frames.into_iter().for_each(|frame| timeline.place(frame, &mut events));
    let written = events.iter().map(|event| match event {
        Event::Discontinuity => "!".to_owned(),
        Event::Unit(TrackKind::Video, unit) => format!("v{}", unit.dts / 90 - LINE_START_MS),
        Event::Unit(TrackKind::Audio, unit) => {
            let letter = if unit.data == "as it came" { 'a' } else { 's' };
            format!("{letter}{}", unit.dts / 48 - LINE_START_MS)
        }
    });
    written.collect::<Vec<_>>().join(" ")
}

fn units(timeline: &mut Timeline, frames: impl IntoIterator<Item = Frame>) -> Vec<Unit> {
    let mut events = Vec::new();
    frames.into_iter().for_each(|frame| timeline.place(frame, &mut events));
    let units = events.into_iter().filter_map(|event| match event {
        Event::Unit(_, unit) => Some(unit),
        Event::Discontinuity => None,
    });
    units.collect()
}

#[test]
fn at_03_timestamps_wrap_at_2_to_the_32_without_a_trace() {
    let start = u32::MAX - 4999;
    let frames = (0..300).map(|i| v(start.wrapping_add(i * 33)));
    let units = units(&mut timeline(2), frames);
    assert!(units.windows(2).all(|two| two[1].dts - two[0].dts == 33 * 90));
    assert_eq!(units.len(), 300);
}

#[test]
fn at_03_timestamps_wrap_at_2_to_the_31_without_a_trace() {
    let written = place(&mut timeline(2), [v(0x7fff_ffde), v(0x7fff_ffff), v(33), v(66)]);
    assert_eq!(written, "v0 v33 v67 v100");
}

#[test]
fn at_03_nothing_happens_at_the_end_of_24_bits() {
    let frames = (0..1000).flat_map(|i| [v(16_777_000 + i * 33), a(16_777_000 + i * 33)]);
    assert!(!place(&mut timeline(2), frames.take(40)).contains('!'));
}

#[test]
fn at_04_a_jump_is_one_discontinuity_for_both_tracks() {
    let before = [v(0), a(0), v(33), a(21), v(66), a(43)];
    let after = [v(3_600_000), a(3_599_965), v(3_600_033), a(3_599_986)];
    let written = place(&mut timeline(2), before.into_iter().chain(after));
    assert_eq!(written, "v0 a0 v33 a21 v66 a42 ! v99 a64 v132 a85");
}

#[test]
fn at_04_one_absurd_timestamp_costs_one_discontinuity() {
    let written = place(&mut timeline(2), [v(0), v(33), v(2_146_858_000), v(99), v(132)]);
    assert_eq!(written, "v0 v33 ! v66 v99 v132");
}

#[test]
fn at_06_timestamps_that_restart_at_zero_go_on_where_they_were() {
    let written = place(&mut timeline(2), [v(500_000), v(500_033), v(0), v(33), a(0)]);
    assert_eq!(written, "v0 v33 ! v66 v99 a66");
}

#[test]
fn at_05_video_that_restarts_at_zero_comes_back_beside_the_audio() {
    let mut timeline = timeline(2);
    let audio = |from: u32, to: u32| (from..to).map(|n| a(100_000 + n * 1024 / 48));
    place(&mut timeline, [v(100_000), v(100_033)].into_iter().chain(audio(0, 500)));
    let written = place(&mut timeline, [v(0), v(33)].into_iter().chain(audio(500, 502)));
    assert_eq!(written, "! v10666 v10699 a10666 a10688");
}

#[test]
fn at_05_video_that_stays_behind_the_audio_is_moved_to_it() {
    let mut timeline = timeline(2);
    let mut drifting = Vec::new();
    for i in 0..400_u32 {
        drifting.push(v(i * 5));
        drifting.push(a(i * 21));
    }
    let written = place(&mut timeline, drifting);
    assert_eq!(written.matches('!').count(), 1);
    let skew_ms = timeline.skew_ms();
    assert!((-3000..0).contains(&skew_ms), "{skew_ms} ms, of 6,400 that they drifted apart");
}

#[test]
fn at_07_equal_decode_times_are_a_tick_apart_and_presentation_times_stay() {
    let units = units(&mut timeline(2), [v(0), v(33), frame(TrackId::V0, 33, 33), v(66)]);
    let dts: Vec<_> = units.iter().map(|unit| unit.dts - units[0].dts).collect();
    assert_eq!(dts, [0, 2970, 2971, 5940]);
    assert_eq!(units[2].pts - units[0].pts, 66 * 90);
}

#[test]
fn at_08_composition_times_are_taken_as_given_also_below_zero() {
    let units = units(&mut timeline(2), [(0, 0), (33, 66), (66, -33)].map(|(t, c)| frame(TrackId::V0, t, c)));
    let pts: Vec<_> = units.iter().map(|unit| unit.pts - units[0].dts).collect();
    assert_eq!(pts, [0, 99 * 90, 33 * 90]);
}

#[test]
fn at_18_missing_audio_becomes_silence() {
    let written = place(&mut timeline(2), [a(0), a(21), a(107), a(128)]);
    assert_eq!(written, "a0 a21 s42 s64 s85 a106 a128");
}

#[test]
fn at_18_without_a_silent_frame_the_one_before_lasts_longer() {
    let mut timeline = timeline(6);
    assert_eq!(place(&mut timeline, [a(0), a(21), a(107), a(128)]), "a0 a21 a107 a128");
    assert_eq!(timeline.mended().repaired, 1);
}

#[test]
fn a_track_that_was_away_is_back_without_a_discontinuity() {
    let mut timeline = timeline(2);
    place(&mut timeline, [v(0), a(0)].into_iter().chain((1..300).map(|i| v(i * 33))));
    assert_eq!(place(&mut timeline, [a(9800), a(9821)]), "a9800 a9821");
}

#[test]
fn audio_that_comes_twice_is_dropped() {
    let mut timeline = timeline(2);
    assert_eq!(place(&mut timeline, [a(0), a(21), a(43), a(64), a(0), a(21), a(85)]), "a0 a21 a42 a64 a85");
    assert_eq!(timeline.mended().dropped, 2);
}

#[test]
fn after_a_restart_the_line_goes_on_whatever_the_timestamps() {
    let mut timeline = timeline(2);
    place(&mut timeline, [v(777), a(777), v(810)]);
    timeline.restart(0);
    assert_eq!(place(&mut timeline, [v(5_000_000), a(5_000_010), v(5_000_033)]), "v66 a76 v99");
}

#[test]
fn audio_jitter_of_a_frame_is_not_seen() {
    let jitter = [0, 15, -15, 9, 20, -20, 3];
    let frames = (0..2000_i64).map(|n| a((1000 + n * 1024 / 48 + jitter[n as usize % 7]) as u32));
    let units = units(&mut timeline(2), frames);
    assert_eq!(units.len(), 2000);
    assert!(units.windows(2).all(|two| two[1].dts - two[0].dts == 1024));
}

#[test]
fn at_09_clock_drift_is_worked_off_a_sample_a_frame() {
    let drifting = |n: i64| n * 1024 * 1_000_200 / 48_000_000;
    let units = units(&mut timeline(2), (0..100_000).map(|n| a(drifting(n) as u32)));
    assert_eq!(units.len(), 100_000, "nothing was added or dropped in 35 minutes");
    assert!(units.windows(2).all(|two| (two[1].dts - two[0].dts - 1024).abs() <= 1));
    let worst = units.iter().zip(0..).map(|(unit, n)| (unit.dts - units[0].dts - drifting(n) * 48).abs()).max();
    assert!(worst < Some(20 * 48), "{worst:?} samples apart from what the encoder says");
}

proptest! {
    #[test]
    fn units_of_a_track_never_go_back_whatever_the_timestamps(
        frames in prop::collection::vec((any::<bool>(), prop_oneof![9 => 0..100_u32, 1 => any::<u32>()], -90..200_i32), 1..200)
    ) {
        let mut timeline = timeline(2);
        let mut at = [0_u32; 2];
        let mut events = Vec::new();
        for (is_video, step, composition) in frames {
            let at = &mut at[usize::from(is_video)];
            *at = at.wrapping_add(step);
            let track = if is_video { TrackId::V0 } else { TrackId::A0 };
            timeline.place(frame(track, *at, if is_video { composition } else { 0 }), &mut events);
        }
        for kind in [TrackKind::Video, TrackKind::Audio] {
            let dts: Vec<_> = events.iter().filter_map(|event| match event {
                Event::Unit(k, unit) if *k == kind => Some(unit.dts),
                _ => None,
            }).collect();
            prop_assert!(dts.windows(2).all(|two| two[0] < two[1]), "{dts:?}");
            prop_assert!(dts.iter().all(|dts| *dts >= 0));
        }


    }
}
