use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::{
    aac, avc,
    health::{Alert, Arrival, Uplink},
    output::Part,
};

mod takeover;

/// A sequence parameter set's profile is all that is read of this.
fn h264(profile: u8, width: u32) -> Arc<CodecConfig> {
    let record = Bytes::from(vec![1, profile, 0, 31, 0xFF, 0xE0, 0, width as u8]);
    let codec = "avc1.64001F".into();
    Arc::new(CodecConfig::Avc(avc::Config { record, width, height: 720, frame_rate: Some((30, 1)), codec }))
}

fn aac(sample_rate: u32) -> Arc<CodecConfig> {
    let (record, codec) = (Bytes::from_static(&[0x11, 0x90]), "mp4a.40.2".into());
    Arc::new(CodecConfig::Aac(aac::Config { record, sample_rate, channels: 2, frame_samples: 1024, codec }))
}

/// An encoder: 30 frames a second, a keyframe every `gop` frames, AAC at 48 kHz; and what the session makes of it.
struct Session {
    pipeline: Pipeline,
    out: Vec<Output>,
    /// Wall time of timestamp 0.
    zero_ms: u64,
    gop: u32,
    video: bool,
    audio: bool,
    /// What is added to timestamps.
    offset: u32,
    /// When all of it comes, where it comes at once.
    came_at: Option<u64>,
}

const NOON: u64 = 1_795_262_400_000;

impl Session {
    fn new(video: bool, audio: bool) -> Self {
        let start = Start { epoch: 7, msn_base: 100, now_ms: NOON };
        let pipeline = Pipeline::new(PackagingConfig::default(), start);
        let mut session =
            Self { pipeline, out: Vec::new(), zero_ms: NOON, gop: 60, video, audio, offset: 0, came_at: None };
        session.configure();
        session
    }

    fn configure(&mut self) {
        if self.video {
            self.push(NOON, Media::Config(TrackId::V0, h264(100, 1280)));
        }
        if self.audio {
            self.push(NOON, Media::Config(TrackId::A0, aac(48_000)));
        }
    }

    fn push(&mut self, now_ms: u64, media: Media) {
        self.pipeline.push(now_ms, media, &mut self.out);
    }

    /// Sends what an encoder would between two times, in milliseconds, in order of time.
    fn send(&mut self, from_ms: u32, to_ms: u32) {
        let mut frames = Vec::new();
        if self.video {
            let all = (0..).map(|i| (i * 100 / 3, i)).skip_while(|(at, _)| *at < from_ms);
            frames.extend(all.take_while(|(at, _)| *at < to_ms).map(|(at, i)| (at, TrackId::V0, i % self.gop == 0)));
        }
        if self.audio {
            let all = (0..).map(|n| (n * 64 / 3, n)).skip_while(|(at, _)| *at < from_ms);
            frames.extend(all.take_while(|(at, _)| *at < to_ms).map(|(at, _)| (at, TrackId::A0, true)));
        }
        frames.sort_by_key(|(at, track, _)| (*at, *track));
        for (at, track, sync) in frames {
            let comes_at = self.came_at.unwrap_or(self.zero_ms + u64::from(at));
            self.push(comes_at, self.frame(track, at, sync));
        }
    }

    fn frame(&self, track: TrackId, at: u32, sync: bool) -> Media {
        let data = Bytes::from_static(&[0; 1000]).slice(..if track == TrackId::V0 { 1000 } else { 300 });
        let timestamp_ms = at.wrapping_add(self.offset);
        Media::Frame(Frame { track, timestamp_ms, composition_ms: 0, sync, data })
    }

    fn tick(&mut self, now_ms: u64) {
        self.pipeline.tick(now_ms, &mut self.out);
    }

    fn interrupt(&mut self, now_ms: u64) {
        self.pipeline.interrupt(now_ms, &mut self.out);
    }

    fn end(&mut self) {
        self.pipeline.end(NOON, &mut self.out);
    }

    fn playlist(&self, track: TrackId) -> String {
        let newest = self.out.iter().rev().find_map(|output| match output {
            Output::Playlist(of, rendered) if *of == track => Some(rendered.full.clone()),
            _ => None,
        });
        String::from_utf8(newest.expect("a playlist").to_vec()).expect("text")
    }

    fn parts(&self, track: TrackId) -> Vec<&Part> {
        let parts = self.out.iter().filter_map(|output| match output {
            Output::Part(part) if part.track == track => Some(part),
            _ => None,
        });
        parts.collect()
    }

    fn reason(&self) -> Option<&'static str> {
        self.out.iter().find_map(|output| match output {
            Output::NewSession(reason) => Some(*reason),
            _ => None,
        })
    }

    fn inits(&self, track: TrackId) -> Vec<(u64, u32)> {
        let inits = self.out.iter().filter_map(|output| match output {
            Output::Init { epoch, track: of, n, .. } if *of == track => Some((*epoch, *n)),
            _ => None,
        });
        inits.collect()
    }

    /// Whatever a playlist names was output before it, and what it hints at comes next; parts have rising numbers.
    fn check(&self) {
        let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut hints: BTreeMap<TrackId, String> = BTreeMap::new();
        for output in &self.out {
            match output {
                Output::Init { epoch, track, n, .. } => {
                    made.entry(track.to_string()).or_default().push(format!("{epoch}/{track}/init-{n}.mp4"));
                }
                Output::Part(Part { epoch, track, msn, part, .. }) => {
                    let name = format!("{epoch}/{track}/{msn}.{part}.m4s");
                    if let Some(hint) = hints.remove(track) {
                        assert_eq!(hint, name, "what was hinted at comes next");
                    }
                    made.entry(track.to_string()).or_default().push(name);
                }
                Output::Segment { epoch, track, msn, .. } => {
                    made.entry(track.to_string()).or_default().push(format!("{epoch}/{track}/{msn}.m4s"));
                }
                Output::Playlist(track, rendered) => {
                    let text = String::from_utf8(rendered.full.to_vec()).expect("text");
                    for line in text.lines() {
                        if let Some(hint) = line.strip_prefix("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"") {
                            hints.insert(*track, hint.trim_end_matches('"').to_owned());
                            continue;
                        }
                        let Some(name) = uri(line).filter(|name| !name.ends_with("m3u8")) else { continue };
                        assert!(made[&track.to_string()].contains(&name), "{name} is named before it is there");
                    }
                    if !text.contains("PRELOAD-HINT") {
                        hints.remove(track);
                    }
                }
                _ => {}
            }
        }
    }
}

fn uri(line: &str) -> Option<String> {
    if line.starts_with("#EXT-X-PRELOAD-HINT:TYPE=MAP") || line.is_empty() {
        return None;
    }
    if !line.starts_with('#') {
        return Some(line.to_owned());
    }
    let rest = line.split_once("URI=\"")?.1;
    Some(rest.split_once('"')?.0.to_owned())
}

#[test]
fn a_session_begins_with_its_constants_and_both_playlists() {
    let mut session = Session::new(true, true);
    session.send(0, 2600);
    session.check();
    let Output::Constants(constants) = &session.out[0] else { panic!("{:?}", session.out[0]) };
    assert_eq!((constants.target_duration.as_millis(), constants.part_target.as_millis()), (4000, 522));
    let Output::Multivariant(index) = &session.out[1] else { panic!("{:?}", session.out[1]) };
    let index = String::from_utf8_lossy(index);
    assert!(index.contains("RESOLUTION=1280x720,FRAME-RATE=30.000"), "{index}");
    assert_eq!(
        session.playlist(TrackId::V0),
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.000000,HOLD-BACK=12.000000,PART-HOLD-BACK=1.566000
#EXT-X-PART-INF:PART-TARGET=0.522000
#EXT-X-MEDIA-SEQUENCE:100
#EXT-X-DISCONTINUITY-SEQUENCE:100
#EXT-X-MAP:URI="7/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:00.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="7/v0/100.0.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/100.1.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/100.2.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/100.3.m4s"
#EXTINF:2.000000,
7/v0/100.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="7/v0/101.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="7/v0/101.1.m4s"
#EXT-X-RENDITION-REPORT:URI="a0.m3u8",LAST-MSN=100,LAST-PART=3
"#
    );
}

#[test]
fn at_24_a_finished_segment_is_listed_with_the_next_part_or_after_a_silent_part_target() {
    let mut session = Session::new(true, false);
    session.send(0, 4010);
    assert!(session.playlist(TrackId::V0).contains("7/v0/101.3.m4s"));
    assert!(!session.playlist(TrackId::V0).contains("7/v0/101.m4s"));
    let due = session.pipeline.deadline_ms().expect("the segment is to be listed");
    assert_eq!(due, NOON + 4000 + 500);
    session.tick(due - 1);
    assert!(!session.playlist(TrackId::V0).contains("7/v0/101.m4s"));
    session.tick(due);
    assert!(session.playlist(TrackId::V0).contains("7/v0/101.m4s"));
    session.check();
}

#[test]
fn a_stalled_encoder_leaves_missing_parts_and_comes_back_after_a_discontinuity() {
    let mut session = Session::new(true, true);
    session.send(0, 4300);
    for now in (4300..10_400).step_by(100) {
        session.tick(NOON + now);
    }
    let gaps = session.parts(TrackId::V0).iter().filter(|part| part.gap).count();
    assert!((2..=3).contains(&gaps), "{gaps} parts are missing in 6.1 s, of which 5 s are waited");
    assert_eq!(session.pipeline.health(NOON + 10_400).alerts, [Alert::Stalled]);
    session.zero_ms += 3000;
    session.send(8000, 10_600);
    let playlist = session.playlist(TrackId::V0);
    assert!(playlist.contains(",GAP=YES,") && playlist.contains("#EXT-X-DISCONTINUITY\n"), "{playlist}");
    let health = session.pipeline.health(NOON + 13_600);
    let Uplink { stalls, stalled_ms, longest_stall_ms, .. } = health.uplink;
    assert_eq!((stalls, stalled_ms, longest_stall_ms), (1, 6712, 6712), "from 4.288 s to 11 s");
    assert_eq!(health.alerts, [Alert::UplinkStalls { stalls: 1, longest_ms: 6712 }]);
    assert_eq!(session.pipeline.health(NOON + 13_600 + 60_000).alerts, [Alert::Stalled], "and not for ever");
}

#[test]
fn after_a_stall_dates_are_those_of_the_encoders_clock_as_long_as_it_goes_on() {
    let dates = |zero_ms: u64, at: [u32; 2], burst: bool| {
        let mut session = Session::new(true, true);
        session.send(0, 4300);
        for now in (4300..10_000).step_by(100) {
            session.tick(NOON + now);
        }
        if burst {
            // What waited comes at once, 10 s after noon.
            session.came_at = Some(NOON + 10_000);
            session.send(4300, 10_000);
            session.came_at = None;
        }
        session.zero_ms = zero_ms;
        session.send(at[0], at[1]);
        let playlist = session.playlist(TrackId::V0);
        let after = playlist.split("#EXT-X-DISCONTINUITY\n").nth(1).expect("a discontinuity");
        after
            .lines()
            .filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T").map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        dates(NOON, [10_000, 12_600], true),
        ["12:00:06.001Z", "12:00:08.002Z", "12:00:10.001Z", "12:00:12.000Z"]
    );
    assert_eq!(dates(NOON, [10_000, 12_600], false), ["12:00:10.000Z", "12:00:12.000Z"]);
    assert_eq!(dates(NOON + 10_000, [0, 2600], false), ["12:00:10.000Z", "12:00:12.000Z"], "its clock began anew");
}

#[test]
fn at_12_a_reconnect_goes_on_with_the_next_number_in_a_new_epoch_after_a_discontinuity() {
    let mut session = Session::new(true, true);
    session.send(0, 4400);
    session.interrupt(NOON + 4400);
    let playlist = session.playlist(TrackId::V0);
    assert!(playlist.contains("7/v0/102.m4s") && !playlist.contains("PRELOAD-HINT"), "{playlist}");
    session.pipeline.resume(NOON + 9000, 9);
    session.configure();
    session.zero_ms = NOON + 9000;
    session.send(0, 2600);
    session.check();
    let playlist = session.playlist(TrackId::V0);
    let expected = r#"7/v0/102.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="9/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:09.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="9/v0/103.0.m4s"
"#;
    assert!(playlist.contains(expected), "{playlist}");
    assert_eq!(session.inits(TrackId::A0), [(7, 0), (9, 0)]);
}

#[test]
fn a_publish_that_is_readmitted_in_its_epoch_never_uses_a_name_for_other_bytes() {
    let mut session = Session::new(true, true);
    session.send(0, 4400);
    session.interrupt(NOON + 4400);
    session.pipeline.resume(NOON + 9000, 7);
    session.configure();
    session.zero_ms = NOON + 9000;
    session.send(0, 2600);
    session.check();
    let playlist = session.playlist(TrackId::V0);
    let expected = r#"7/v0/102.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="7/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:09.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="7/v0/103.0.m4s"
"#;
    assert!(playlist.contains(expected), "{playlist}");
    assert_eq!(session.inits(TrackId::V0), [(7, 0)]);
    session.interrupt(NOON + 12_000);
    session.pipeline.resume(NOON + 15_000, 7);
    session.push(NOON + 15_000, Media::Config(TrackId::V0, h264(100, 640)));
    session.zero_ms = NOON + 15_000;
    session.send(0, 4600);
    session.check();
    assert_eq!(session.inits(TrackId::V0), [(7, 0), (7, 1)], "what is coded otherwise has another name");
}

#[test]
fn a_publish_that_is_lost_before_the_session_began_leaves_nothing_behind() {
    let mut session = Session::new(true, true);
    session.send(0, 1500);
    session.interrupt(NOON + 1500);
    assert!(session.out.is_empty());
    session.pipeline.resume(NOON + 5000, 9);
    session.configure();
    session.zero_ms = NOON + 5000;
    session.send(0, 2600);
    session.check();
    assert_eq!(session.inits(TrackId::V0), [(9, 0)]);
    assert!(session.playlist(TrackId::V0).contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:05.000Z"));
}

#[test]
fn a_reconnect_with_another_resolution_is_one_discontinuity() {
    let mut session = Session::new(true, true);
    session.send(0, 4400);
    session.interrupt(NOON + 4400);
    session.pipeline.resume(NOON + 9000, 9);
    session.push(NOON + 9000, Media::Config(TrackId::V0, h264(100, 640)));
    session.zero_ms = NOON + 9000;
    session.send(0, 8600);
    session.check();
    assert_eq!(session.playlist(TrackId::V0).matches("#EXT-X-DISCONTINUITY\n").count(), 1);
    assert_eq!(session.inits(TrackId::V0), [(7, 0), (9, 0)]);
}

#[test]
fn a_session_whose_video_does_not_come_back_asks_for_another() {
    let mut session = Session::new(true, true);
    session.send(0, 4400);
    session.interrupt(NOON + 4400);
    session.pipeline.resume(NOON + 9000, 9);
    session.video = false;
    session.send(0, 4900);
    assert_eq!(session.reason(), None);
    session.send(4900, 9000);
    assert_eq!(session.reason(), Some("the video did not come back"));
    let asked = session.out.iter().filter(|output| matches!(output, Output::NewSession(_))).count();
    assert_eq!(asked, 1);
}

#[test]
fn at_14_repeated_parameter_sets_change_nothing() {
    let mut session = Session::new(true, true);
    for second in 0..6 {
        session.configure();
        session.send(second * 2000, second * 2000 + 2000);
    }
    session.check();
    assert_eq!(session.inits(TrackId::V0), [(7, 0)]);
    assert!(!session.playlist(TrackId::V0).contains("#EXT-X-DISCONTINUITY\n"));
}

#[test]
fn at_15_another_resolution_begins_with_its_keyframe_a_new_init_that_is_hinted_at() {
    let mut session = Session::new(true, true);
    session.send(0, 4600);
    session.push(NOON + 4600, Media::Config(TrackId::V0, h264(100, 640)));
    session.send(4600, 6010);
    let hinted = session.playlist(TrackId::V0);
    assert!(hinted.contains("#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"7/v0/init-1.mp4\"\n"), "{hinted}");
    session.send(6010, 8600);
    session.check();
    for (track, init) in [(TrackId::V0, "init-1"), (TrackId::A0, "init-0")] {
        let playlist = session.playlist(track);
        let at = playlist.find("#EXT-X-DISCONTINUITY\n").expect("a discontinuity");
        assert!(playlist[..at].ends_with("102.m4s\n"), "{playlist}");
        assert!(playlist[at..].contains(&format!("#EXT-X-MAP:URI=\"7/{track}/{init}.mp4\"")), "{playlist}");
    }
}

#[test]
fn at_16_nothing_is_published_before_the_first_keyframe() {
    let mut session = Session::new(true, true);
    session.send(500, 4600);
    session.check();
    assert!(session.parts(TrackId::V0)[0].independent);
    let playlist = session.playlist(TrackId::A0);
    assert!(playlist.contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02."), "{playlist}");
}

#[test]
fn at_17_audio_alone_is_a_session_with_parts() {
    let mut session = Session::new(false, true);
    session.send(0, 6000);
    session.check();
    let playlist = session.playlist(TrackId::A0);
    assert!(playlist.contains("#EXT-X-PART:DURATION=0.490667,INDEPENDENT=YES,URI=\"7/a0/100.0.m4s\""), "{playlist}");
    assert!(playlist.contains("7/a0/101.m4s"), "{playlist}");
}

#[test]
fn at_17_a_track_that_comes_later_asks_for_a_new_session() {
    let mut session = Session::new(false, true);
    session.send(0, 3000);
    session.video = true;
    session.configure();
    session.send(3000, 3100);
    assert!(session.reason().is_some_and(|reason| reason.contains("a track came after")), "{:?}", session.reason());
    let start = Start { epoch: 8, msn_base: session.pipeline.next_msn(), now_ms: NOON };
    session.end();
    session.pipeline = Pipeline::new(PackagingConfig::default(), start);
    session.configure();
    session.out.clear();
    session.send(4000, 6600);
    assert_eq!(session.reason(), None);
    assert_eq!((session.inits(TrackId::V0), session.inits(TrackId::A0)), (vec![(8, 0)], vec![(8, 0)]));
}

#[test]
fn another_sample_rate_asks_for_a_new_session() {
    let mut session = Session::new(true, true);
    session.send(0, 3000);
    session.push(NOON + 3000, Media::Config(TrackId::A0, aac(44_100)));
    assert_eq!(session.reason(), Some("the audio's sample rate changed"));
}

#[test]
fn at_19_few_keyframes_delay_the_playlist_and_are_told() {
    let mut session = Session::new(true, true);
    session.gop = 360;
    session.send(0, 9900);
    assert!(session.out.is_empty(), "12 s between keyframes: not known before 10 s");
    session.send(9900, 26_000);
    session.check();
    let playlist = session.playlist(TrackId::V0);
    assert!(playlist.contains("#EXT-X-TARGETDURATION:10\n"), "{playlist}");
    assert!(playlist.contains("#EXTINF:10.000000,\n7/v0/100.m4s"), "{playlist}");
    assert!(playlist.contains("#EXTINF:2.000000,\n7/v0/101.m4s"), "the keyframe begins a segment: {playlist}");
    assert_eq!(session.pipeline.health(NOON + 26_000).alerts, [Alert::LongKeyFrameInterval { interval_ms: 12_000 }]);
}

#[test]
fn at_04_a_jump_of_the_clock_is_a_discontinuity_in_all_tracks_at_the_same_segment() {
    let mut session = Session::new(true, true);
    session.send(0, 4000);
    session.offset = 50_000;
    session.send(4000, 6600);
    session.check();
    for track in [TrackId::V0, TrackId::A0] {
        let playlist = session.playlist(track);
        assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{playlist}");
        let at = playlist.find("#EXT-X-DISCONTINUITY\n").expect("counted");
        assert!(playlist[..at].trim_end().ends_with("101.m4s"), "{playlist}");
    }
}

#[test]
fn an_encoder_whose_clock_jumps_all_the_time_is_not_listened_to_for_a_while() {
    let mut session = Session::new(true, false);
    session.gop = 1;
    session.send(0, 3000);
    for n in 0..300 {
        session.offset = n * 50_000;
        session.send(3000 + n * 100, 3100 + n * 100);
    }
    let health = session.pipeline.health(NOON + 33_000);
    assert_eq!((health.discontinuities, health.alerts), (31, vec![Alert::Erratic]));
    session.send(80_000, 84_100);
    session.check();
    let health = session.pipeline.health(NOON + 84_100);
    assert_eq!(
        (health.discontinuities, health.alerts),
        (32, vec![Alert::UplinkStalls { stalls: 1, longest_ms: 47_034 }])
    );
}

#[test]
fn at_05_a_session_goes_on_without_its_video() {
    let mut session = Session::new(true, true);
    session.send(0, 4000);
    session.video = false;
    session.send(4000, 14_000);
    session.check();
    let newest = session.parts(TrackId::A0).last().map(|part| part.msn);
    assert!(newest >= Some(103), "{newest:?}");
    assert!(session.parts(TrackId::V0).iter().filter(|part| part.gap).count() > 10);
    assert_eq!(session.pipeline.health(NOON + 14_000).alerts[0], Alert::TrackMissing { track: "video" });
}

#[test]
fn at_25_date_map_and_parts_come_before_their_segment() {
    let mut session = Session::new(true, true);
    session.send(0, 40_000);
    session.check();
    let playlist = session.playlist(TrackId::V0);
    let segment = playlist.rfind("#EXTINF").expect("a segment");
    let date = playlist[..segment].rfind("PROGRAM-DATE-TIME").expect("a date");
    let part = playlist[..segment].rfind("#EXT-X-PART:").expect("parts");
    assert!(date < part && part < segment, "{playlist}");
}

#[test]
fn at_26_only_parts_that_begin_with_a_keyframe_are_independent() {
    let mut session = Session::new(true, false);
    session.gop = 15;
    session.send(0, 6600);
    assert!(session.parts(TrackId::V0).iter().all(|part| part.independent), "each begins with one of two a second");
    let mut session = Session::new(true, false);
    session.gop = 20;
    session.send(0, 6600);
    let independent: Vec<_> = session.parts(TrackId::V0).iter().map(|part| part.independent).collect();
    assert_eq!(independent[..4], [true, false, false, false], "keyframes inside parts are not told");
}

#[test]
fn at_29_dates_are_an_anchor_plus_media_time_alike_in_all_tracks() {
    let mut session = Session::new(true, true);
    session.send(0, 30_000);
    let dates = |track: TrackId| {
        let playlist = session.playlist(track);
        let dates: Vec<_> = playlist
            .lines()
            .filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"))
            .map(|date| date.parse::<jiff::Timestamp>().expect("a date").as_millisecond() - NOON as i64)
            .collect();
        dates
    };
    let (video, audio) = (dates(TrackId::V0), dates(TrackId::A0));
    assert!(video.len() > 10);
    for (i, (v, a)) in video.iter().zip(&audio).enumerate() {
        assert_eq!(*v, i as i64 * 2000);
        assert!((0..22).contains(&(a - v)), "the first audio frame not before {v} is at {a}");
    }
}

#[test]
fn objects_expire_once_no_playlist_may_still_name_them() {
    let mut session = Session::new(true, true);
    session.send(0, 120_000);
    let expired = session.out.iter().rev().find_map(|output| match output {
        Output::Expired { track: TrackId::V0, msn } => Some(*msn),
        _ => None,
    });
    assert!((120..140).contains(&expired.expect("something expired")), "{expired:?}");
}

#[test]
fn an_ended_session_ends_every_playlist_and_takes_nothing_more() {
    let mut session = Session::new(true, true);
    session.send(0, 3000);
    session.end();
    session.check();
    for track in [TrackId::V0, TrackId::A0] {
        assert!(session.playlist(track).ends_with("101.m4s\n#EXT-X-ENDLIST\n"), "{}", session.playlist(track));
    }
    let before = session.out.len();
    session.send(3000, 5000);
    assert_eq!((session.out.len(), session.pipeline.next_msn()), (before, 102));
}

#[test]
fn a_broadcast_shorter_than_a_group_of_pictures_is_published_at_its_end() {
    let mut session = Session::new(true, true);
    session.send(0, 1500);
    assert!(session.out.is_empty());
    session.end();
    session.check();
    assert_eq!(session.parts(TrackId::V0).len(), 3);
}

#[test]
fn what_waits_on_the_way_from_the_encoder_shows_as_lateness_and_not_in_the_dates() {
    let mut session = Session::new(true, true);
    session.send(0, 10_000);
    session.pipeline.measure(Some(Duration::from_micros(41_900)));
    assert_eq!(session.pipeline.arrival(), Some(Arrival { rtt_ms: Some(41), late_ms: 0 }));
    session.zero_ms += 300;
    session.send(10_000, 20_000);
    // The dates have followed by a millisecond for each of four segments.
    assert_eq!(session.pipeline.arrival(), Some(Arrival { rtt_ms: Some(41), late_ms: 296 }));
    let uplink = session.pipeline.health(NOON + 20_300).uplink;
    assert_eq!((uplink.rtt_ms, uplink.late_ms), (Some(41), 298));
    session.pipeline.resume(NOON + 21_000, 8);
    assert_eq!(session.pipeline.arrival(), None, "another connection");
}

#[test]
fn health_tells_rates_and_what_browsers_cant_play() {
    let mut session = Session::new(true, true);
    session.push(NOON, Media::Config(TrackId::V0, h264(244, 1280)));
    session.send(0, 20_000);
    let health = session.pipeline.health(NOON + 20_000);
    let (video, audio) = (health.video.expect("video"), health.audio.expect("audio"));
    assert_eq!((video.bitrate / 1000, video.frame_rate.round(), video.keyframe_interval_ms), (240, 30.0, 2000));
    assert_eq!((health.since_ms, health.bitrate), (NOON, video.bitrate + audio.bitrate));
    let Uplink { bitrate, received_bytes, stalls, .. } = health.uplink;
    assert_eq!((bitrate / 1000, received_bytes, stalls), (352, 600 * 1000 + 938 * 300, 0));
    assert_eq!(health.alerts, [Alert::NotBrowserPlayable { profile: "High 4:4:4 Predictive".into() }]);
    assert_eq!((health.dropped_frames, health.repaired_frames), (0, 0));
}
