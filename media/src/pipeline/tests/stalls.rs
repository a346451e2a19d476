//! What becomes of a session whose encoder stalls.

use super::*;

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
