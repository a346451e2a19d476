use super::*;
use crate::{
    output::Version,
    playlist::{Hint, MediaPlaylist, RenditionReport},
};

const INDEX: &str = r#"#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a0.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3140000,AVERAGE-BANDWIDTH=2628000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="audio"
v0.m3u8
"#;

/// As an edge shows it whose origin died in the middle of segment 12; segment 10 was that of a stall.
const V0: &str = r#"#EXTM3U
#EXT-X-VERSION:8
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.000000,HOLD-BACK=12.000000,PART-HOLD-BACK=1.566000
#EXT-X-PART-INF:PART-TARGET=0.522000
#EXT-X-MEDIA-SEQUENCE:9
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-MAP:URI="5/v0/init-1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:00.000Z
#EXTINF:2.000000,
5/v0/9.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02.000Z
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="5/v0/10.0.m4s"
#EXT-X-GAP
#EXTINF:0.500000,
5/v0/10.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="6/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:09.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="6/v0/11.0.m4s"
#EXT-X-PART:DURATION=0.500000,URI="6/v0/11.1.m4s"
#EXTINF:1.000000,
6/v0/11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:10.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="6/v0/12.0.m4s"
#EXT-X-PART:DURATION=0.466667,URI="6/v0/12.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="6/v0/12.2.m4s"
#EXT-X-RENDITION-REPORT:URI="a0.m3u8",LAST-MSN=11,LAST-PART=1
"#;

/// The same moment in `a0`, which is a segment behind.
const A0: &str = r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.000000,HOLD-BACK=12.000000,PART-HOLD-BACK=1.566000
#EXT-X-PART-INF:PART-TARGET=0.522000
#EXT-X-MEDIA-SEQUENCE:11
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="6/a0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:09.010Z
#EXT-X-PART:DURATION=0.490667,INDEPENDENT=YES,URI="6/a0/11.0.m4s"
#EXT-X-PART:DURATION=0.512000,INDEPENDENT=YES,URI="6/a0/11.1.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="6/a0/12.0.m4s"
#EXT-X-RENDITION-REPORT:URI="v0.m3u8",LAST-MSN=12,LAST-PART=1
"#;

fn read(track: TrackId, text: &str) -> InheritedTrack {
    InheritedTrack::read(track, text.as_bytes()).unwrap()
}

/// What is listed after what there was of both was taken over, by track.
fn taken_over(tracks: impl IntoIterator<Item = InheritedTrack>) -> (u64, [String; 2]) {
    let inherited = Inherited::new(INDEX.into(), tracks.into_iter().collect()).unwrap();
    let next = inherited.next_msn();
    let window = Duration::from_secs(30);
    let lists: Vec<_> = inherited.tracks.into_iter().map(|track| MediaPlaylist::inherit(track, window)).collect();
    let reports: Vec<RenditionReport> = lists.iter().filter_map(MediaPlaylist::report).collect();
    let texts: Vec<_> = lists.iter().map(|list| list.text(&reports)).collect();
    (next, texts.try_into().unwrap())
}

#[test]
fn a_segment_in_progress_ends_with_the_parts_that_players_have_seen() {
    let (next, [v0, _]) = taken_over([read(TrackId::A0, A0), read(TrackId::V0, V0)]);
    assert_eq!(next, 13);
    let (kept, _) = V0.split_once("#EXT-X-PRELOAD-HINT").unwrap();
    let report = "#EXT-X-RENDITION-REPORT:URI=\"a0.m3u8\",LAST-MSN=12,LAST-PART=1\n";
    assert_eq!(v0, format!("{kept}#EXTINF:0.966667,\n6/v0/12.m4s\n{report}"));
}

#[test]
fn a_track_that_is_behind_gets_gaps_up_to_where_the_others_are() {
    let (_, [_, a0]) = taken_over([read(TrackId::V0, V0), read(TrackId::A0, A0)]);
    let (kept, _) = A0.split_once("#EXT-X-PRELOAD-HINT").unwrap();
    let expected = r#"#EXTINF:1.002667,
6/a0/11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:10.000Z
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="6/a0/12.0.m4s"
#EXT-X-PART:DURATION=0.466667,GAP=YES,URI="6/a0/12.1.m4s"
#EXT-X-GAP
#EXTINF:0.966667,
6/a0/12.m4s
#EXT-X-RENDITION-REPORT:URI="v0.m3u8",LAST-MSN=12,LAST-PART=1
"#;
    assert_eq!(a0, format!("{kept}{expected}").replace("#EXT-X-VERSION:6", "#EXT-X-VERSION:8"));
}

/// As `V0` lists it, but nothing of it is there.
const LOST_A0: &str = r#"#EXTM3U
#EXT-X-VERSION:8
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.000000,HOLD-BACK=12.000000,PART-HOLD-BACK=1.566000
#EXT-X-PART-INF:PART-TARGET=0.522000
#EXT-X-MEDIA-SEQUENCE:9
#EXT-X-DISCONTINUITY-SEQUENCE:3
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:00.000Z
#EXT-X-GAP
#EXTINF:2.000000,
5/a0/9.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:02.000Z
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="5/a0/10.0.m4s"
#EXT-X-GAP
#EXTINF:0.500000,
5/a0/10.m4s
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:09.000Z
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="6/a0/11.0.m4s"
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="6/a0/11.1.m4s"
#EXT-X-GAP
#EXTINF:1.000000,
6/a0/11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:10.000Z
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="6/a0/12.0.m4s"
#EXT-X-PART:DURATION=0.466667,GAP=YES,URI="6/a0/12.1.m4s"
#EXT-X-GAP
#EXTINF:0.966667,
6/a0/12.m4s
#EXT-X-RENDITION-REPORT:URI="v0.m3u8",LAST-MSN=12,LAST-PART=1
"#;

#[test]
fn a_track_that_nobody_has_is_gaps_with_the_numbers_times_and_discontinuities_of_the_others() {
    let (next, [v0, a0]) = taken_over([read(TrackId::V0, V0)]);
    assert_eq!(next, 13);
    assert_eq!(a0, LOST_A0);
    let (_, [beside_a0, _]) = taken_over([read(TrackId::V0, V0), read(TrackId::A0, A0)]);
    assert_eq!(v0, beside_a0, "what is there is gone on with as ever");
}

#[test]
fn a_track_that_ended_before_the_others_begin_is_gaps_like_one_that_nobody_has() {
    let long_ago = ["a0/11.0", "a0/11.1"].iter().zip(["a0/5.0", "a0/5.1"]);
    let long_ago = long_ago.fold(A0.replace("SEQUENCE:11", "SEQUENCE:5"), |text, (from, to)| text.replace(from, to));
    let (next, [_, a0]) = taken_over([read(TrackId::V0, V0), read(TrackId::A0, &long_ago)]);
    assert_eq!(next, 13);
    assert_eq!(a0, LOST_A0);
}

#[test]
fn a_track_that_has_nothing_of_the_last_epoch_gets_its_discontinuity_with_the_gaps() {
    let before = A0.replace("6/a0", "5/a0").replace("11", "10").replace("DISCONTINUITY\n#", "#");
    let before = before.replace("#EXT-X-#", "#").replace("12.0.m4s", "11.0.m4s");
    let (next, [_, a0]) = taken_over([read(TrackId::V0, V0), read(TrackId::A0, &before)]);
    assert_eq!(next, 13);
    let (kept, _) = before.split_once("#EXT-X-PRELOAD-HINT").unwrap();
    let (_, gaps) = LOST_A0.split_once("5/a0/10.m4s\n").unwrap();
    let expected = format!("{kept}#EXTINF:1.002667,\n5/a0/10.m4s\n{gaps}");
    assert_eq!(a0, expected.replace("#EXT-X-VERSION:6", "#EXT-X-VERSION:8"));
}

#[test]
fn a_track_that_was_lost_goes_on_with_a_map_and_can_be_taken_over_again() {
    let lost = Inherited::new(INDEX.into(), vec![read(TrackId::V0, V0)]).unwrap().tracks.remove(1);
    let mut list = MediaPlaylist::inherit(lost, Duration::from_secs(30));
    let program_date_time = 1_795_262_413_000_000;
    list.begin_segment(SegmentStart { epoch: 7, msn: 13, program_date_time, discontinuity: true, init: Some(0) });
    list.push_part(PartEntry { part: 0, duration: Duration::from_millis(500), independent: true, gap: false });
    let (listed, _) = LOST_A0.split_once("#EXT-X-RENDITION-REPORT").unwrap();
    let listed = listed.replace("#EXT-X-PART:DURATION=0.500000,GAP=YES,URI=\"5/a0/10.0.m4s\"\n", "");
    let new = r#"#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="7/a0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:13.000Z
#EXT-X-PART:DURATION=0.500000,INDEPENDENT=YES,URI="7/a0/13.0.m4s"
"#;
    assert_eq!(list.text(&[]), format!("{listed}{new}"));
    let again = read(TrackId::A0, &list.text(&[]));
    let inits = again.segments.iter().map(|segment| (segment.start.msn, segment.gap, segment.start.init));
    let gap = |msn| (msn, true, None);
    assert_eq!(inits.collect::<Vec<_>>(), [gap(9), gap(10), gap(11), gap(12), (13, false, Some(0))]);
    assert_eq!(again.newest(), (7, 13, 0));
}

#[test]
fn at_13_of_a_full_window_a_lost_track_begins_no_earlier_than_it_may_have_begun_elsewhere() {
    let mut list = MediaPlaylist::inherit(read(TrackId::V0, V0), Duration::from_secs(30));
    for msn in 13..18 {
        let program_date_time = 1_795_262_420_000_000 + (msn - 13) * 4_000_000;
        let msn = msn as u64;
        let start = SegmentStart { epoch: 7, msn, program_date_time, discontinuity: msn == 13, init: Some(0) };
        list.begin_segment(start);
        for part in 0..8 {
            list.push_part(PartEntry {
                part,
                duration: Duration::from_millis(500),
                independent: part == 0,
                gap: false,
            });
        }
    }
    let inherited = Inherited::new(INDEX.into(), vec![read(TrackId::V0, &list.text(&[]))]).unwrap();
    let firsts = inherited.tracks.iter().map(|track| (track.first_msn(), track.discontinuity_sequence));
    assert_eq!(firsts.collect::<Vec<_>>(), [(9, 3), (10, 3)]);
    assert_eq!(inherited.next_msn(), 18);
}

#[test]
fn a_segment_in_progress_that_can_not_be_had_whole_is_a_gap() {
    let mut lost = read(TrackId::V0, V0);
    assert_eq!(lost.unfinished(), Some(Unfinished { epoch: 6, msn: 12, parts: vec![0, 1] }));
    lost.lose_unfinished();
    let (next, [v0, _]) = taken_over([lost, read(TrackId::A0, A0)]);
    assert_eq!(next, 13);
    let expected = r#"6/v0/11.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:10.000Z
#EXT-X-PART:DURATION=0.500000,GAP=YES,URI="6/v0/12.0.m4s"
#EXT-X-PART:DURATION=0.466667,GAP=YES,URI="6/v0/12.1.m4s"
#EXT-X-GAP
#EXTINF:0.966667,
6/v0/12.m4s
#EXT-X-RENDITION-REPORT:URI="a0.m3u8",LAST-MSN=12,LAST-PART=1
"#;
    assert!(v0.ends_with(expected), "{v0}");
}

#[test]
fn at_13_discontinuities_go_on_being_counted_as_they_leave() {
    let v0 = read(TrackId::V0, V0);
    let mut list = MediaPlaylist::inherit(v0, Duration::from_secs(16));
    let mut numbers = Vec::new();
    for msn in 13..24 {
        let program_date_time = 1_795_262_420_000_000 + (msn - 13) * 4_000_000;
        list.begin_segment(SegmentStart {
            epoch: 7,
            msn: msn as u64,
            program_date_time,
            discontinuity: msn == 13,
            init: Some(0),
        });
        for part in 0..8 {
            let duration = Duration::from_millis(500);
            list.push_part(PartEntry { part, duration, independent: part == 0, gap: false });
        }
        list.end_segment();
        list.set_hint(Some(Hint { epoch: 7, msn: msn as u64 + 1, part: 0, init: None }));
        numbers.push(["#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:"].map(|tag| {
            let text = list.text(&[]);
            text.lines().find_map(|line| line.strip_prefix(tag)).unwrap().parse::<u64>().unwrap()
        }));
    }
    numbers.dedup();
    // 9 to 12 leave together, for they are shorter than 13; the discontinuities are before 11 and 13.
    assert_eq!(numbers, [[9, 3], [13, 4], [14, 5], [15, 5], [16, 5], [17, 5], [18, 5], [19, 5]]);
    let head = list.text(&[]);
    assert!(head.contains("PART-TARGET=0.522000\n"), "{head}");
}

#[test]
fn what_is_shown_first_is_newer_than_all_that_the_other_origin_said_of_the_same_parts() {
    let mut list = MediaPlaylist::inherit(read(TrackId::V0, V0), Duration::from_secs(30));
    let first = list.render(&[]);
    assert_eq!(first.version, Version { epoch: 6, msn: 12, part: 1, edit: 1 << 16 });
    assert_eq!(first.complete, Some((12, 2)));
    list.set_hint(Some(Hint { epoch: 7, msn: 13, part: 0, init: None }));
    assert_eq!(list.render(&[]).version.edit, (1 << 16) + 1);
    list.begin_segment(SegmentStart { epoch: 7, msn: 13, program_date_time: 0, discontinuity: true, init: Some(0) });
    list.push_part(PartEntry { part: 0, duration: Duration::from_millis(500), independent: true, gap: false });
    assert_eq!(list.render(&[]).version, Version { epoch: 7, msn: 13, part: 0, edit: 0 });
}

#[test]
fn what_we_did_not_write_or_can_not_go_on_with_is_refused() {
    let edits = [
        ("6/v0/11.m4s", "6/v0/11.m4s?x"),
        ("6/v0/12.1.m4s", "6/v0/12.2.m4s"),
        ("6/v0/init-0.mp4", "5/v0/init-0.mp4"),
        ("PART-HOLD-BACK=1.566000", "PART-HOLD-BACK=1.600000"),
        ("CAN-SKIP-UNTIL=24.000000", "CAN-SKIP-UNTIL=25.000000"),
        ("#EXT-X-PART-INF:PART-TARGET=0.522000\n", ""),
        ("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T12:00:10.000Z\n", ""),
        ("#EXT-X-MEDIA-SEQUENCE:9", "#EXT-X-MEDIA-SEQUENCE:8"),
        ("#EXT-X-PRELOAD-HINT", "#EXT-X-ENDLIST\n#EXT-X-PRELOAD-HINT"),
    ];
    for (from, to) in edits {
        let edited = V0.replacen(from, to, 1);
        assert_ne!(edited, V0);
        assert!(InheritedTrack::read(TrackId::V0, edited.as_bytes()).is_err(), "{from} to {to}");
    }
    assert_eq!(InheritedTrack::read(TrackId::A0, V0.as_bytes()), Err(NotInherited::Foreign("a URI")));
}

#[test]
fn tracks_that_do_not_make_one_session_are_refused() {
    let put_together =
        |v0: &str, a0: &str| Inherited::new(INDEX.into(), vec![read(TrackId::V0, v0), read(TrackId::A0, a0)]);
    assert!(put_together(V0, A0).is_ok());
    assert_eq!(Inherited::new(INDEX.into(), Vec::new()), Err(NotInherited::Over));
    let silent = INDEX.lines().filter(|line| !line.contains("a0")).map(|line| line.replace(",AUDIO=\"audio\"", ""));
    let silent = silent.collect::<Vec<_>>().join("\n");
    let unnamed = Inherited::new(silent.into(), vec![read(TrackId::V0, V0), read(TrackId::A0, A0)]);
    assert_eq!(unnamed, Err(NotInherited::Unlike("the multivariant playlist does not name all of them")));
    let slower = A0.replace("0.522000", "0.600000").replace("1.566000", "1.800000");
    assert_eq!(put_together(V0, &slower), Err(NotInherited::Unlike("their target durations differ")));
}
