//! A session whose encoder goes and comes again.

use super::*;

/// A session whose encoder has gone after 4.4 s.
fn cut_off() -> Session {
    let mut session = Session::new(true, true);
    session.send(0, 4400);
    session.interrupt(NOON + 4400);
    session
}

#[test]
fn at_12_a_reconnect_goes_on_with_the_next_number_in_a_new_epoch_after_a_discontinuity() {
    let mut session = cut_off();
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
    let mut session = cut_off();
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
    let mut session = cut_off();
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
    let mut session = cut_off();
    session.pipeline.resume(NOON + 9000, 9);
    session.video = false;
    session.send(0, 4900);
    assert_eq!(session.reason(), None);
    session.send(4900, 9000);
    assert_eq!(session.reason(), Some("the video did not come back"));
    let asked = session.out.iter().filter(|output| matches!(output, Output::NewSession(_))).count();
    assert_eq!(asked, 1);
}
