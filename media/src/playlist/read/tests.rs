use proptest::prelude::*;

use super::*;
use crate::{
    frame::TrackId,
    playlist::{self, MediaPlaylist, PartEntry, PlaylistConfig, RenditionReport, SegmentStart},
};

const LIVE: &str = r#"#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:4
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=24.0,HOLD-BACK=12.0,PART-HOLD-BACK=1.5
#EXT-X-PART-INF:PART-TARGET=0.5
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:2
# a comment
#EXT-X-MAP:URI="3/v0/init-0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T08:00:00.250Z
#EXT-X-PART:DURATION=0.5,INDEPENDENT=YES,URI="3/v0/7.0.m4s"
#EXTINF:0.5,
3/v0/7.m4s
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="4/v0/init-0.mp4"
#EXT-X-PART:DURATION=0.5,GAP=YES,URI="4/v0/8.0.m4s"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="4/v0/8.1.m4s"
#EXT-X-RENDITION-REPORT:URI="a0.m3u8",LAST-MSN=8,LAST-PART=1
"#;

fn part(uri: &str) -> Part {
    Part { uri: uri.into(), duration: Duration::from_millis(500), independent: false, gap: false, range: None }
}

fn live() -> Media {
    Media {
        version: 6,
        independent_segments: false,
        target_duration: Duration::from_secs(4),
        control: Some(ServerControl {
            can_block_reload: true,
            can_skip_until: Some(Duration::from_secs(24)),
            can_skip_dateranges: false,
            hold_back: Some(Duration::from_secs(12)),
            part_hold_back: Some(Duration::from_millis(1500)),
        }),
        part_target: Some(Duration::from_millis(500)),
        playlist_type: None,
        media_sequence: 7,
        discontinuity_sequence: 2,
        skipped: 0,
        segments: vec![Segment {
            start: Start {
                discontinuity: false,
                map: Some("3/v0/init-0.mp4".into()),
                program_date_time: Some(1_795_248_000_250_000),
            },
            parts: vec![Part { independent: true, ..part("3/v0/7.0.m4s") }],
            duration: Duration::from_millis(500),
            gap: false,
            range: None,
            uri: "3/v0/7.m4s".into(),
        }],
        open: Some(Open {
            start: Start { discontinuity: true, map: Some("4/v0/init-0.mp4".into()), program_date_time: None },
            parts: vec![Part { gap: true, ..part("4/v0/8.0.m4s") }],
        }),
        hints: vec![Hint { is_map: false, uri: "4/v0/8.1.m4s".into(), is_range: false }],
        reports: vec![Report { uri: "a0.m3u8".into(), last_msn: Some(8), last_part: Some(1) }],
        ended: false,
    }
}

#[test]
fn a_live_playlist_is_read_whole() {
    let read = parse_media(LIVE.as_bytes()).unwrap();
    assert_eq!(read, live());
    assert_eq!((read.last_msn(), read.newest()), (Some(7), Some((8, Some(0)))));
    assert_eq!(parse_media(LIVE.replace('\n', "\r\n").as_bytes()), Ok(read));
}

#[test]
fn a_multivariant_playlist_is_read_as_it_was_written() {
    let written = playlist::multivariant(&playlist::Multivariant {
        independent_segments: true,
        video: vec![playlist::VideoRendition {
            track: TrackId::V0,
            codecs: "avc1.64001f".into(),
            width: 1280,
            height: 720,
            frame_rate_milli: 30_000,
            bandwidth: 3_000_000,
            average_bandwidth: 2_500_000,
        }],
        audio: vec![playlist::AudioRendition {
            track: TrackId::A0,
            codecs: "mp4a.40.2".into(),
            channels: 2,
            bandwidth: 140_000,
            average_bandwidth: 128_000,
        }],
    });
    let read = Multivariant {
        version: 1,
        independent_segments: true,
        variants: vec![Variant {
            uri: "v0.m3u8".into(),
            bandwidth: 3_140_000,
            average_bandwidth: Some(2_628_000),
            codecs: Some("avc1.64001f,mp4a.40.2".into()),
            resolution: Some((1280, 720)),
            frame_rate: Some(30.0),
            audio: Some("audio".into()),
        }],
        renditions: vec![Rendition {
            kind: "AUDIO".into(),
            group_id: "audio".into(),
            name: "Main".into(),
            uri: Some("a0.m3u8".into()),
            default: true,
            channels: Some("2".into()),
        }],
    };
    assert_eq!(parse(&written), Ok(Playlist::Multivariant(read)));
}

#[test]
fn what_is_wrong_is_refused_with_its_line() {
    let cases: &[(&str, &str, &str)] = &[
        ("#EXTM3U", "#EXTM3", "line 1: the first line must be #EXTM3U"),
        ("#EXTM3U", "\u{feff}#EXTM3U", "line 1: a byte order mark; playlists have none"),
        ("VERSION:6", "VERSION:six", "line 2: EXT-X-VERSION has a value it can't have"),
        ("#EXT-X-TARGETDURATION:4\n", "", "line 17: EXT-X-TARGETDURATION is missing"),
        (
            "#EXT-X-TARGETDURATION:4",
            "#EXT-X-TARGETDURATION:4.5",
            "line 3: EXT-X-TARGETDURATION has a value it can't have",
        ),
        ("#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:4", "line 3: EXT-X-TARGETDURATION appears a second time"),
        ("CAN-BLOCK-RELOAD=YES,", "CAN-BLOCK-RELOAD=YES,,", "line 4: EXT-X-SERVER-CONTROL is not an attribute list"),
        ("CAN-BLOCK-RELOAD=YES", "HOLD-BACK=1.0", "line 4: EXT-X-SERVER-CONTROL is not an attribute list"),
        (
            "CAN-BLOCK-RELOAD=YES",
            "CAN-BLOCK-RELOAD=\"YES\"",
            "line 4: EXT-X-SERVER-CONTROL has a value of CAN-BLOCK-RELOAD that it can't have",
        ),
        (
            "HOLD-BACK=12.0",
            "HOLD-BACK=-12.0",
            "line 4: EXT-X-SERVER-CONTROL has a value of HOLD-BACK that it can't have",
        ),
        ("PART-TARGET=0.5", "TARGET=0.5", "line 5: EXT-X-PART-INF lacks PART-TARGET"),
        ("# a comment", "# a\u{7}comment", "line 8: a control character"),
        ("# a comment", "stray.m4s", "line 8: a URI without EXTINF or EXT-X-STREAM-INF before it"),
        (
            "# a comment",
            "#EXT-X-MEDIA:TYPE=AUDIO",
            "line 1: tags of a media playlist and of a multivariant playlist in one",
        ),
        ("08:00:00.250Z", "08:00:00.250", "line 10: EXT-X-PROGRAM-DATE-TIME has a value it can't have"),
        ("#EXTINF:0.5,\n", "", "line 12: a URI without EXTINF or EXT-X-STREAM-INF before it"),
        ("#EXTINF:0.5,", "#EXTINF:,", "line 12: EXTINF has a value it can't have"),
        (
            "#EXTINF:0.5,",
            "#EXTINF:0.5,\n#EXT-X-PART:DURATION=1,URI=\"x\"",
            "line 13: EXT-X-PART must come before its segment's EXTINF",
        ),
        ("\n3/v0/7.m4s\n", "\n", "line 12: EXTINF is not followed by a URI"),
        (
            "#EXTINF:0.5,",
            "#EXT-X-MAP:URI=\"x\"\n#EXTINF:0.5,",
            "line 12: EXT-X-MAP must come before the first part of its segment",
        ),
        (
            "#EXT-X-DISCONTINUITY\n",
            "#EXT-X-MEDIA-SEQUENCE:7\n",
            "line 14: EXT-X-MEDIA-SEQUENCE must come before the first segment",
        ),
        (
            "#EXT-X-DISCONTINUITY\n",
            "#EXT-X-SKIP:SKIPPED-SEGMENTS=1\n",
            "line 14: EXT-X-SKIP must come before the first segment",
        ),
        (",URI=\"4/v0/8.0.m4s\"", "", "line 16: EXT-X-PART lacks URI"),
        ("URI=\"4/v0/8.0.m4s\"", "URI=\"\"", "line 16: EXT-X-PART has a value of URI that it can't have"),
        ("TYPE=PART", "TYPE=SOON", "line 17: EXT-X-PRELOAD-HINT has a value of TYPE that it can't have"),
    ];
    for (good, bad, expected) in cases {
        assert!(LIVE.contains(good), "{good}");
        let outcome = parse(LIVE.replacen(good, bad, 1).as_bytes());
        // A line that was taken out moves the others up, and so does a missing segment's tag at the end.
        assert_eq!(outcome.map_err(|e| e.to_string()), Err((*expected).to_owned()), "{bad}");
    }
    assert_eq!(parse(b"#EXTM3U\n\n\xff").unwrap_err().to_string(), "line 3: not UTF-8");
}

#[test]
fn nothing_is_read_without_limit() {
    let refused = |text: String| matches!(parse(text.as_bytes()).unwrap_err().problem, Problem::TooMuch { .. });
    assert!(refused(format!("#EXTM3U\n{}", "#\n".repeat(MAX_BYTES / 2))));
    assert!(refused(format!("#EXTM3U\n#{}\n", "x".repeat(MAX_LINE))));
    assert!(refused(format!("#EXTM3U\n{}", "#EXTINF:1,\nx\n".repeat(MAX_SEGMENTS + 1))));
    assert!(refused(format!("#EXTM3U\n{}", "#EXT-X-PART:DURATION=1,URI=\"x\"\n".repeat(MAX_SEGMENTS + 1))));
    assert!(refused(format!("#EXTM3U\n{}", "#EXT-X-RENDITION-REPORT:URI=\"x\"\n".repeat(MAX_ENTRIES + 1))));
    assert!(refused(format!("#EXTM3U\n{}", "#EXT-X-STREAM-INF:BANDWIDTH=1\nx\n".repeat(MAX_ENTRIES + 1))));
}

#[test]
fn a_delta_update_of_unknown_segments_cannot_be_merged() {
    let before = live();
    let delta = Media { media_sequence: 7, skipped: 2, ..live() };
    assert_eq!(apply_delta(&before, &delta), Err(MergeError::Unknown { first: 7, last: 8 }));
    let delta = Media { media_sequence: 6, skipped: 1, ..live() };
    assert_eq!(apply_delta(&before, &delta), Err(MergeError::Unknown { first: 6, last: 6 }));
    assert_eq!(apply_delta(&delta, &delta), Err(MergeError::NotFull));
}

/// What a publisher may do next.
#[derive(Debug, Clone)]
enum Step {
    Part { gap: bool },
    Segment { discontinuity: bool, init: bool },
    List,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let part = any::<bool>().prop_map(|gap| Step::Part { gap });
    let segment =
        (any::<bool>(), any::<bool>()).prop_map(|(discontinuity, init)| Step::Segment { discontinuity, init });
    prop::collection::vec(prop_oneof![5 => part, 2 => segment, 1 => Just(Step::List)], 1..120)
}

/// Plays `steps` and shows every version that comes of them.
fn play(steps: &[Step], mut show: impl FnMut(&crate::output::Rendered)) {
    let config = PlaylistConfig {
        target_duration: Duration::from_secs(1),
        part_target: Duration::from_micros(500_001),
        window: Duration::ZERO,
    };
    let mut written = MediaPlaylist::new(config, TrackId::V0, 5);
    let (mut msn, mut part, mut init) = (5, 0, 0);
    written.begin_segment(SegmentStart { epoch: 1, msn, program_date_time: 0, discontinuity: false, init: Some(init) });
    for step in steps {
        match *step {
            Step::Part { gap } if part < 2 => {
                let duration = Duration::from_micros(500_001 - u64::from(part));
                written.push_part(PartEntry { part, duration, independent: part == 0, gap });
                part += 1;
            }
            Step::Segment { discontinuity, init: change } if part > 0 => {
                written.end_segment();
                (msn, part, init) = (msn + 1, 0, init + u32::from(change));
                let program_date_time = msn as i64 * 1_000_000;
                written.begin_segment(SegmentStart {
                    epoch: 1,
                    msn,
                    program_date_time,
                    discontinuity,
                    init: Some(init),
                });
            }
            Step::List => written.list_finished(),
            _ => {}
        }
        show(&written.render(&[RenditionReport { track: TrackId::A0, msn, part }]));
    }
}

fn inflate(gz: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(gz), &mut text).unwrap();
    text
}

proptest! {
    #[test]
    fn whatever_is_written_is_read_and_every_delta_update_merges_into_the_full_playlist(steps in steps()) {
        let mut before: Option<Media> = None;
        play(&steps, |rendered| {
            let full = parse_media(&rendered.full).unwrap();
            assert_eq!(full.newest(), Some((rendered.version.msn, Some(rendered.version.part.into())))
                .filter(|_| full.newest().is_some()));
            let body = parse_media(&[&rendered.full[..rendered.body], b"#EXT-X-ENDLIST\n"].concat()).unwrap();
            assert!(body.ended && body.open.is_none() && body.hints.is_empty());
            assert_eq!(&body.segments, &full.segments);
            if let (Some(delta), Some(before)) = (&rendered.delta_gz, &before) {
                let merged = apply_delta(before, &parse_media(&inflate(delta)).unwrap()).unwrap();
                assert_eq!(Media { version: full.version, ..merged }, full);
            }
            before = Some(full);
        });
    }

    #[test]
    fn no_text_makes_the_reader_panic(lines in prop::collection::vec((0..25usize, "[ -~\u{80}-\u{90}]{0,30}"), 0..40)) {
        let tags: Vec<_> = LIVE.lines().collect();
        let text: String = lines.iter().map(|(n, rest)| format!("{}{rest}\n", tags.get(*n).unwrap_or(&""))).collect();
        let _ = parse(format!("#EXTM3U\n{text}").as_bytes());
    }
}
