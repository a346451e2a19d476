//! A session that begins in one pipeline and goes on in another, as when an encoder moves to another origin.

use std::time::Duration;

use super::*;
use crate::playlist::inherit::{Inherited, InheritedTrack};

const TRACKS: [TrackId; 2] = [TrackId::V0, TrackId::A0];

/// What another origin finds of a session.
fn left(session: &Session) -> Inherited {
    let index = session.out.iter().find_map(|output| match output {
        Output::Multivariant(index) => Some(index.clone()),
        _ => None,
    });
    let index = index.expect("the session has begun");
    let read = |track: TrackId| InheritedTrack::read(track, session.playlist(track).as_bytes()).expect("ours");
    let tracks = Inherited::tracks(&index).expect("ours");
    Inherited::new(index, tracks.into_iter().map(read).collect()).expect("one session")
}

/// The session goes on elsewhere, in `epoch`, from an encoder that comes `after_ms` after noon.
fn taken_over(mut before: Session, epoch: u64, after_ms: u64) -> Session {
    let now_ms = NOON + after_ms;
    let start = Start { epoch, msn_base: 999, now_ms };
    let inherited = left(&before);
    // Edges put the segment together that the origin did not finish.
    for track in &inherited.tracks {
        let last = track.segments.last().expect("never empty").start;
        let (epoch, msn) = (last.epoch, last.msn);
        before.out.push(Output::Segment { epoch, track: track.track, msn, parts: 0 });
    }
    let pipeline = Pipeline::inherit(PackagingConfig::default(), start, inherited, &mut before.out);
    let mut session = Session { pipeline, zero_ms: now_ms, offset: 0, ..before };
    session.configure();
    session
}

/// A session with sound whose origin died after 5.1 s, in the middle of segment 102.
fn dead() -> Session {
    let mut session = Session::new(true, true);
    session.send(0, 5100);
    session
}

#[test]
fn at_12_another_origin_goes_on_with_the_window_the_constants_and_the_next_number() {
    let mut session = taken_over(dead(), 9, 7000);
    session.send(0, 520);
    session.check();
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
#EXTINF:2.000000,
7/v0/100.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="7/v0/101.0.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/101.1.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/101.2.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/101.3.m4s"
#EXTINF:2.000000,
7/v0/101.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:04.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="7/v0/102.0.m4s"
#EXT-X-PART:DURATION=0.500000,URI="7/v0/102.1.m4s"
#EXTINF:1.000000,
7/v0/102.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="9/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:07.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="9/v0/103.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="9/v0/103.1.m4s"
#EXT-X-RENDITION-REPORT:URI="a0.m3u8",LAST-MSN=102,LAST-PART=1
"#
    );
    let audio = session.playlist(TrackId::A0);
    assert!(audio.contains("7/a0/102.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"9/a0/init-0.mp4\"\n"), "{audio}");
}

#[test]
fn a_session_of_which_nothing_is_left_begins_anew_after_a_discontinuity_that_it_shows() {
    let start = Start { epoch: 9, msn_base: 500, now_ms: NOON };
    let mut session =
        Session { pipeline: Pipeline::bereft(PackagingConfig::default(), start), ..Session::new(true, true) };
    session.configure();
    session.send(0, 4600);
    session.check();
    for track in TRACKS {
        let playlist = session.playlist(track);
        let head = "#EXT-X-MEDIA-SEQUENCE:500\n#EXT-X-DISCONTINUITY-SEQUENCE:500\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP";
        assert!(playlist.contains(head), "{playlist}");
        assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{playlist}");
    }
    session.send(4600, 50_000);
    let playlist = session.playlist(TrackId::V0);
    assert!(playlist.contains("#EXT-X-DISCONTINUITY-SEQUENCE:501\n"), "it is counted when it has left: {playlist}");
}

#[test]
fn viewers_see_the_session_as_it_was_left_until_the_encoder_sends() {
    let mut before = Session::new(true, true);
    before.send(0, 5100);
    before.interrupt(NOON + 5100);
    let last = TRACKS.map(|track| before.playlist(track));
    let constants = |session: &Session| {
        let all = session.out.iter().filter_map(|output| match output {
            Output::Constants(constants) => Some(*constants),
            _ => None,
        });
        all.collect::<Vec<_>>()
    };
    let mut session = taken_over(before, 9, 7000);
    assert_eq!(TRACKS.map(|track| session.playlist(track)), last);
    assert!(constants(&session).windows(2).all(|pair| pair[0] == pair[1]) && constants(&session).len() == 2);
    let parts = session.parts(TrackId::V0).len();
    session.send(0, 400);
    assert_eq!(session.parts(TrackId::V0).len(), parts, "no part is complete");
    session.send(400, 2600);
    session.check();
    assert_eq!(session.pipeline.next_msn(), 105);
}

#[test]
fn a_session_can_move_again_and_again() {
    let mut session = taken_over(dead(), 9, 7000);
    session.send(0, 2700);
    let mut session = taken_over(session, 12, 11_000);
    session.send(0, 2700);
    session.check();
    for track in TRACKS {
        let playlist = session.playlist(track);
        assert_eq!(playlist.matches("#EXT-X-DISCONTINUITY\n").count(), 2, "{playlist}");
        let names = playlist.lines().filter(|line| line.ends_with(".m4s"));
        let names: Vec<_> = names.map(|name| name.replace(&format!("/{track}"), "")).collect();
        assert_eq!(names, ["7/100.m4s", "7/101.m4s", "7/102.m4s", "9/103.m4s", "9/104.m4s", "12/105.m4s"]);
    }
}

#[test]
fn an_encoder_that_is_lost_before_it_was_seen_leaves_the_session_as_it_was() {
    let mut session = taken_over(dead(), 9, 7000);
    let last = TRACKS.map(|track| session.playlist(track));
    session.audio = false;
    session.send(0, 400);
    session.audio = true;
    session.interrupt(NOON + 7400);
    assert_eq!(TRACKS.map(|track| session.playlist(track)), last);
    session.pipeline.resume(NOON + 9000, 11);
    session.configure();
    session.zero_ms = NOON + 9000;
    session.send(0, 600);
    session.check();
    assert!(
        session
            .playlist(TrackId::V0)
            .contains("7/v0/102.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"11/v0/init-0.mp4\"")
    );
}

#[test]
fn an_encoder_with_other_tracks_needs_another_session_and_ends_this_one() {
    let mut session = taken_over(dead(), 9, 7000);
    session.audio = false;
    session.send(0, 980);
    assert_eq!(session.reason(), None, "sound may still come");
    session.send(980, 1100);
    assert_eq!(session.reason(), Some("the encoder sends other tracks than the session has"));
    let asked = session.out.len();
    session.send(1100, 3000);
    assert_eq!(session.out.len(), asked, "nothing more is taken");
    session.end();
    for track in TRACKS {
        let playlist = session.playlist(track);
        assert!(playlist.ends_with(&format!("7/{track}/102.m4s\n#EXT-X-ENDLIST\n")), "{playlist}");
    }
}

#[test]
fn an_encoder_with_another_family_of_codecs_needs_another_session() {
    let mut before = dead();
    for output in &mut before.out {
        if let Output::Multivariant(index) = output {
            *index = String::from_utf8_lossy(index).replace("avc1.64001F", "hvc1.1.6.L93.B0").into();
        }
    }
    let mut session = taken_over(before, 9, 7000);
    session.send(0, 600);
    assert_eq!(session.reason(), Some("the encoder's codecs are not those of the session"));
}

#[test]
fn a_session_that_is_ended_before_it_could_go_on_ends_as_it_was_left() {
    let mut session = taken_over(dead(), 9, 7000);
    session.end();
    session.check();
    let playlist = session.playlist(TrackId::V0);
    assert!(playlist.ends_with("7/v0/102.m4s\n#EXT-X-ENDLIST\n"), "{playlist}");
    assert_eq!(session.pipeline.next_msn(), 103);
}

/// Sends seconds of another encoder's frames; returns what is not as the inherited part target has it.
fn misfits(frame_ms: &[u32], sample_rate: u32) -> Vec<String> {
    let mut session = taken_over(dead(), 9, 7000);
    session.push(NOON + 7000, Media::Config(TrackId::A0, aac(sample_rate)));
    let (mut frames, mut at) = (Vec::new(), 0);
    for i in 0.. {
        let gop = 2000 / frame_ms[0] as usize;
        frames.push((at, TrackId::V0, i % gop == 0));
        at += frame_ms[i % frame_ms.len()];
        if at > 9000 {
            break;
        }
    }
    frames
        .extend((0..).map(|n| (n * 1_024_000 / sample_rate, TrackId::A0, true)).take_while(|(audio, ..)| *audio < at));
    frames.sort_by_key(|(at, track, _)| (*at, *track));
    for (at, track, sync) in frames {
        session.push(NOON + 7000 + u64::from(at), session.frame(track, at, sync));
    }
    session.check();
    assert_eq!(session.reason(), None);
    let (longest, shortest) = (Duration::from_millis(522), Duration::from_micros(443_700));
    let new = TRACKS.map(|track| session.parts(track).into_iter().filter(|part| part.epoch == 9).collect::<Vec<_>>());
    assert!(new.iter().all(|parts| parts.len() > 10));
    let mut found = Vec::new();
    for parts in new {
        for pair in parts.windows(2) {
            let excused = pair[0].independent || pair[1].msn > pair[0].msn || pair[0].gap;
            if pair[0].duration > longest || (pair[0].duration < shortest && !excused) {
                found.push(format!("{} {}.{} {:?}", pair[0].track, pair[0].msn, pair[0].part, pair[0].duration));
            }
        }
    }
    found
}

#[test]
fn at_23_parts_of_any_encoder_keep_to_the_part_target_that_they_inherit() {
    for frame_ms in [&[40][..], &[33, 33, 34], &[17, 16, 17], &[41, 42, 42], &[100], &[143], &[66, 67, 67]] {
        for sample_rate in [48_000, 44_100, 24_000] {
            assert_eq!(misfits(frame_ms, sample_rate), [""; 0], "frames of {frame_ms:?} ms, sound at {sample_rate} Hz");
        }
    }
}

#[test]
fn sound_whose_frames_are_too_long_for_the_part_target_needs_another_session() {
    let mut session = taken_over(dead(), 9, 7000);
    session.push(NOON + 7000, Media::Config(TrackId::A0, aac(8000)));
    session.send(0, 600);
    assert_eq!(session.reason(), Some("the audio's frames are too long for the session's parts"));
}
