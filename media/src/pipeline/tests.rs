use std::collections::BTreeMap;

use bytes::Bytes;

use super::*;
use crate::{
    aac, avc,
    frame::TrackId,
    health::{Alert, Arrival, Uplink},
    output::Part,
};

mod coding;
mod dates;
mod reconnects;
mod stalls;
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
fn at_16_nothing_is_published_before_the_first_keyframe() {
    let mut session = Session::new(true, true);
    session.send(500, 4600);
    session.check();
    assert!(session.parts(TrackId::V0)[0].independent);
    let playlist = session.playlist(TrackId::A0);
    assert!(playlist.contains("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02."), "{playlist}");
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
