use std::io::Read;

use super::*;

const SECOND: i64 = 1_000_000;
/// 2026-11-21T08:00:00Z.
const NOON: i64 = 1_795_248_000 * SECOND;

fn config() -> PlaylistConfig {
    PlaylistConfig {
        target_duration: Duration::from_secs(1),
        part_target: Duration::from_millis(500),
        window: Duration::from_secs(8),
    }
}

fn v0() -> MediaPlaylist {
    MediaPlaylist::new(config(), TrackId::V0, 7)
}

fn start(msn: u64) -> SegmentStart {
    let program_date_time = NOON + (msn as i64 - 7) * SECOND;
    SegmentStart { epoch: 3, msn, program_date_time, discontinuity: false, init: Some(0) }
}

fn part(part: u32) -> PartEntry {
    PartEntry { part, duration: Duration::from_millis(500), independent: part == 0, gap: false }
}

fn push_segment(playlist: &mut MediaPlaylist, start: SegmentStart) {
    playlist.begin_segment(start);
    playlist.push_part(part(0));
    playlist.push_part(part(1));
    playlist.end_segment();
}

fn push_segments(playlist: &mut MediaPlaylist, msns: std::ops::Range<u64>) {
    for msn in msns {
        push_segment(playlist, start(msn));
    }
}

fn hint(msn: u64, part: u32) -> Option<Hint> {
    Some(Hint { epoch: 3, msn, part, init: None })
}

fn full(playlist: &mut MediaPlaylist) -> String {
    let rendered = playlist.render(&[]);
    assert_eq!(inflate(&rendered.full_gz), rendered.full);
    String::from_utf8(rendered.full.to_vec()).unwrap()
}

fn inflate(gz: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(gz).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_segment_in_progress_is_a_list_of_parts_a_hint_and_the_reports_of_the_others() {
    let mut playlist = v0();
    playlist.begin_segment(start(7));
    playlist.push_part(part(0));
    playlist.set_hint(hint(7, 1));
    let a0 = RenditionReport { track: TrackId::A0, msn: 7, part: 0 };
    let own = playlist.report().unwrap();
    let rendered = playlist.render(&[own, a0]);
    assert_eq!(
        rendered.full,
        r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=6.000000,HOLD-BACK=3.000000,PART-HOLD-BACK=1.500000
#EXT-X-PART-INF:PART-TARGET=0.500000
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:7
#EXT-X-MAP:URI="3/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:00.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="3/v0/7.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="3/v0/7.1.m4s"
#EXT-X-RENDITION-REPORT:URI="a0.m3u8",LAST-MSN=7,LAST-PART=0
"#
    );
    assert_eq!(rendered.version, Version { epoch: 3, msn: 7, part: 0, edit: 0 });
    assert_eq!((rendered.complete, rendered.ended), (None, false));
    assert_eq!(rendered.delta_gz, None);
}

#[test]
fn at_24_a_finished_segment_is_listed_together_with_the_first_part_of_the_next() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    playlist.set_hint(hint(8, 0));
    let before = full(&mut playlist);
    assert!(before.ends_with("7.1.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"3/v0/8.0.m4s\"\n"), "{before}");

    playlist.begin_segment(start(8));
    playlist.push_part(part(0));
    playlist.set_hint(hint(8, 1));
    let after = full(&mut playlist);
    assert!(
        after.ends_with(
            r#"#EXT-X-PART:DURATION=0.500000,URI="3/v0/7.1.m4s"
#EXTINF:1.000000,
3/v0/7.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:01.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="3/v0/8.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="3/v0/8.1.m4s"
"#
        ),
        "{after}"
    );
    assert_eq!(playlist.render(&[]).complete, Some((7, 2)));
}

#[test]
fn at_24_a_finished_segment_can_be_listed_when_the_next_part_does_not_come() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    assert_eq!(playlist.render(&[]).version, Version { epoch: 3, msn: 7, part: 1, edit: 0 });
    playlist.list_finished();
    let rendered = playlist.render(&[]);
    assert_eq!(rendered.version, Version { epoch: 3, msn: 7, part: 1, edit: 1 });
    assert!(rendered.full.ends_with(b"#EXTINF:1.000000,\n3/v0/7.m4s\n"));
}

#[test]
fn a_version_is_rendered_once_and_every_change_makes_another() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    let first = playlist.render(&[]);
    assert!(Arc::ptr_eq(&first, &playlist.render(&[])));
    let a0 = RenditionReport { track: TrackId::A0, msn: 7, part: 1 };
    let second = playlist.render(&[a0]);
    assert!(Arc::ptr_eq(&second, &playlist.render(&[a0])));
    playlist.set_hint(hint(8, 0));
    let third = playlist.render(&[a0]);
    assert!(first.version < second.version && second.version < third.version);
    assert_eq!(third.version.edit, 2);
}

#[test]
fn the_window_slides_when_a_segment_more_than_fills_it() {
    let mut playlist = v0();
    push_segments(&mut playlist, 7..15);
    playlist.list_finished();
    assert!(full(&mut playlist).contains("#EXT-X-MEDIA-SEQUENCE:7\n"));
    push_segment(&mut playlist, start(15));
    assert!(full(&mut playlist).contains("#EXT-X-MEDIA-SEQUENCE:7\n"), "8 s are listed, 1 s is not");
    push_segment(&mut playlist, start(16));
    let text = full(&mut playlist);
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:8\n#EXT-X-DISCONTINUITY-SEQUENCE:7\n#EXT-X-MAP:URI=\"3/v0/init-0.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:01.000Z\n"), "{text}");
}

fn msns_with_parts(playlist: &mut MediaPlaylist) -> Vec<u64> {
    let text = full(playlist);
    (7..30).filter(|msn| text.contains(&format!("3/v0/{msn}.0.m4s"))).collect()
}

#[test]
fn parts_are_listed_of_the_last_three_segments() {
    let mut playlist = v0();
    push_segments(&mut playlist, 7..12);
    assert_eq!(msns_with_parts(&mut playlist), [9, 10, 11]);
    playlist.list_finished();
    assert_eq!(msns_with_parts(&mut playlist), [9, 10, 11]);
    playlist.begin_segment(start(12));
    playlist.push_part(part(0));
    assert_eq!(msns_with_parts(&mut playlist), [10, 11, 12]);
}

#[test]
fn parts_are_not_listed_beyond_three_target_durations_from_the_end() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    playlist.begin_segment(start(8));
    for n in 0..6 {
        playlist.push_part(part(n));
    }
    push_segment(&mut playlist, start(9));
    assert_eq!(msns_with_parts(&mut playlist), [8, 9], "7 ends 3 s from the end of 8");
}

#[test]
fn a_delta_update_skips_what_ends_beyond_the_skip_boundary_with_all_its_tags() {
    let mut playlist = v0();
    push_segments(&mut playlist, 7..14);
    assert_eq!(playlist.render(&[]).delta_gz, None, "6 s listed: none lies beyond 6 s");
    playlist.list_finished();
    let rendered = playlist.render(&[]);
    let delta = inflate(&rendered.delta_gz.clone().unwrap());
    assert!(
        delta.contains(
            r#"#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=6.000000,HOLD-BACK=3.000000,PART-HOLD-BACK=1.500000
#EXT-X-PART-INF:PART-TARGET=0.500000
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:7
#EXT-X-SKIP:SKIPPED-SEGMENTS=1
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:01.000Z
#EXTINF:1.000000,
3/v0/8.m4s
"#
        ),
        "{delta}"
    );
    let rest = |text: &str| text[text.find("T08:00:01.000Z").unwrap()..].to_owned();
    assert_eq!(rest(&delta), rest(&inflate(&rendered.full_gz)), "what is not skipped is as in the full playlist");
}

#[test]
fn at_15_a_new_init_has_a_discontinuity_a_map_and_a_hint_for_the_map() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    playlist.set_hint(Some(Hint { epoch: 3, msn: 8, part: 0, init: Some(1) }));
    let hinted =
        "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"3/v0/init-1.mp4\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"3/v0/8.0.m4s\"\n";
    assert!(full(&mut playlist).ends_with(hinted));
    push_segment(&mut playlist, SegmentStart { init: Some(1), discontinuity: true, ..start(8) });
    let text = full(&mut playlist);
    let tags = "3/v0/7.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"3/v0/init-1.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:";
    assert!(text.contains(tags), "{text}");
}

#[test]
fn at_13_the_discontinuity_sequence_counts_the_discontinuities_that_left() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    push_segment(&mut playlist, SegmentStart { epoch: 4, discontinuity: true, ..start(8) });
    push_segments(&mut playlist, 9..18);
    let text = full(&mut playlist);
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:9\n#EXT-X-DISCONTINUITY-SEQUENCE:8\n"), "{text}");
    assert!(!text.contains("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"4"), "{text}");
}

#[test]
fn at_30_parts_of_the_next_publish_have_other_names() {
    let mut playlist = v0();
    push_segment(&mut playlist, start(7));
    push_segment(&mut playlist, SegmentStart { epoch: 4, discontinuity: true, ..start(8) });
    let text = full(&mut playlist);
    assert!(text.contains("#EXT-X-MAP:URI=\"4/v0/init-0.mp4\"\n"), "{text}");
    assert!(text.contains("URI=\"4/v0/8.0.m4s\""), "{text}");
    assert_eq!(playlist.render(&[]).version, Version { epoch: 4, msn: 8, part: 1, edit: 0 });
}

#[test]
fn a_segment_of_nothing_but_gaps_is_a_gap() {
    let mut playlist = v0();
    playlist.begin_segment(start(7));
    playlist.push_part(PartEntry { gap: true, independent: false, ..part(0) });
    playlist.end_segment();
    playlist.begin_segment(start(8));
    playlist.push_part(part(0));
    playlist.push_part(PartEntry { gap: true, ..part(1) });
    playlist.end_segment();
    playlist.list_finished();
    let text = full(&mut playlist);
    let gap = "#EXT-X-PART:DURATION=0.500000,GAP=YES,URI=\"3/v0/7.0.m4s\"\n#EXT-X-GAP\n#EXTINF:0.500000,\n3/v0/7.m4s\n";
    assert!(text.starts_with("#EXTM3U\n#EXT-X-VERSION:8\n"), "{text}");
    assert!(text.contains(gap), "{text}");
    assert!(text.contains("GAP=YES,URI=\"3/v0/8.1.m4s\"\n#EXTINF:1.000000,\n3/v0/8.m4s\n"), "{text}");
}

#[test]
fn the_body_and_endlist_are_an_ended_playlist_of_the_whole_segments() {
    let mut playlist = v0();
    push_segments(&mut playlist, 7..9);
    playlist.begin_segment(start(9));
    playlist.push_part(part(0));
    playlist.set_hint(hint(9, 1));
    let rendered = playlist.render(&[RenditionReport { track: TrackId::A0, msn: 9, part: 0 }]);
    let ended = [&rendered.full[..rendered.body], b"#EXT-X-ENDLIST\n"].concat();
    let mut same = v0();
    push_segments(&mut same, 7..9);
    same.end();
    assert_eq!(String::from_utf8(ended).unwrap(), full(&mut same));
}

#[test]
fn the_end_finishes_what_is_open_and_hints_at_nothing() {
    let mut playlist = v0();
    playlist.begin_segment(start(7));
    playlist.push_part(part(0));
    playlist.set_hint(hint(7, 1));
    playlist.end();
    push_segment(&mut playlist, start(8));
    let rendered = playlist.render(&[RenditionReport { track: TrackId::A0, msn: 7, part: 0 }]);
    assert!(rendered.full.ends_with(b"7.0.m4s\"\n#EXTINF:0.500000,\n3/v0/7.m4s\n#EXT-X-ENDLIST\n"));
    assert_eq!((rendered.ended, rendered.body, &rendered.delta_gz), (true, rendered.full.len(), &None));
}

#[test]
fn a_segment_that_never_gets_a_part_never_was() {
    let mut playlist = v0();
    playlist.begin_segment(start(7));
    playlist.end_segment();
    assert_eq!(playlist.report(), None);
    push_segment(&mut playlist, start(7));
    push_segment(&mut playlist, start(6));
    playlist.list_finished();
    assert_eq!(playlist.report(), Some(RenditionReport { track: TrackId::V0, msn: 7, part: 1 }));
}

#[test]
fn at_12_numbers_jump_forward_and_never_back() {
    let mut playlist = v0();
    push_segments(&mut playlist, 7..9);
    push_segment(&mut playlist, SegmentStart { discontinuity: true, ..start(100) });
    assert!(full(&mut playlist).contains("#EXT-X-MEDIA-SEQUENCE:100\n"));
    push_segment(&mut playlist, start(99));
    playlist.list_finished();
    assert!(!full(&mut playlist).contains("99"));
}

#[test]
fn a_removed_segment_expires_after_its_duration_and_that_of_the_longest_playlist() {
    let mut playlist = v0();
    let mut expiries = Vec::new();
    for msn in 7..40 {
        let before = playlist.expired_below();
        push_segment(&mut playlist, start(msn));
        if playlist.expired_below() != before {
            expiries.push((msn, playlist.expired_below().unwrap()));
        }
    }
    // 7 leaves as 16 begins, at 9 s, when playlists have been 9 s long: it is kept for 10 s, until 25 has ended.
    assert_eq!(expiries[..2], [(25, 8), (26, 9)]);
    assert_eq!(expiries.last(), Some(&(39, 22)));
}
