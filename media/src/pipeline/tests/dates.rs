//! Which dates media have, and how late it is by them.

use std::time::Duration;

use super::*;

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
