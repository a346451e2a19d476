//! Which dates media have, and how late it is by them.

use std::time::Duration;

use super::*;

/// All that a playlist lists, in milliseconds after noon.
fn dates(session: &Session, track: TrackId) -> Vec<i64> {
    let playlist = session.playlist(track);
    let dates = playlist.lines().filter_map(|line| line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:"));
    dates.map(|date| date.parse::<jiff::Timestamp>().expect("a date").as_millisecond() - NOON as i64).collect()
}

#[test]
fn at_29_dates_are_an_anchor_plus_media_time_alike_in_all_tracks() {
    let mut session = Session::new(true, true);
    session.send(0, 30_000);
    let (video, audio) = (dates(&session, TrackId::V0), dates(&session, TrackId::A0));
    assert!(video.len() > 10);
    for (i, (v, a)) in video.iter().zip(&audio).enumerate() {
        assert_eq!(*v, i as i64 * 2000);
        assert!((0..22).contains(&(a - v)), "the first audio frame not before {v} is at {a}");
    }
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
fn a_congested_start_is_made_good_within_seconds_so_that_later_lateness_is_told_in_full() {
    let mut session = Session::new(true, true);
    session.zero_ms = NOON + 170;
    session.send(0, 3000);
    // What waited comes quicker than it was made.
    for step in 0..10 {
        session.zero_ms -= 17;
        session.send(3000 + step * 100, 3100 + step * 100);
    }
    session.send(4000, 30_000);
    let wrong: Vec<_> = dates(&session, TrackId::V0).iter().zip(0..).map(|(date, n)| date - n * 2000).collect();
    assert_eq!(wrong, [170, 170, 155, 140, 125, 110, 95, 80, 65, 50, 35, 20, 5, 0, 0]);
    session.zero_ms = NOON + 700;
    session.send(30_000, 31_900);
    assert_eq!(session.pipeline.arrival(), Some(Arrival { rtt_ms: None, late_ms: 700 }));
}
