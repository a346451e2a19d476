//! A session whose tracks are coded in another way, or come and go.

use super::*;

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
