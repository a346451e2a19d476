//! Every rule has a stream that passes it and one that fails it. The stream that passes is the same for all: a made-up
//! server plays 55 s of video and audio in no time, and each failing stream differs from it by one fault.

mod muxer;
mod server;
mod takeover;

use std::{collections::BTreeSet, time::Duration};

use self::server::{Exchange, Server, watch};
use super::*;

/// What is wrong with a stream.
type Fault = fn(&Server, &mut Exchange);

const FAULTS: &[(&str, Fault)] = &[
    ("L01", |_, x| x.edit("v0.m3u8", "DURATION=0.512000", "DURATION=0.600000")),
    ("L01", |_, x| x.edit("v0.m3u8", "DURATION=0.512000", "DURATION=0.400000")),
    ("L01", |_, x| x.edit("v0.m3u8", "DURATION=0.512000", "DURATION=0.500000")),
    ("L01", |_, x| x.drop_lines("v0.m3u8", "#EXT-X-PART-INF")),
    ("L02", |_, x| x.edit(".m3u8", "PART-HOLD-BACK=1.599999", "PART-HOLD-BACK=1.100000")),
    ("L02", |_, x| x.edit("a0.m3u8", "CAN-SKIP-UNTIL=12.000000", "CAN-SKIP-UNTIL=13.000000")),
    ("L03", |_, x| x.edit(".m3u8", ",HOLD-BACK=6.000000", ",HOLD-BACK=5.000000")),
    ("L03", |_, x| x.edit(".m3u8", "CAN-SKIP-UNTIL=12.000000", "CAN-SKIP-UNTIL=11.000000")),
    ("L04", |_, x| x.edit_from(35, ".m3u8", "TARGETDURATION:2", "TARGETDURATION:3")),
    ("L04", |_, x| x.edit(".m3u8", "#EXTINF:2.048000", "#EXTINF:2.600000")),
    ("L05", |_, x| x.edit_from(35, "v0.m3u8", "MEDIA-SEQUENCE:1", "MEDIA-SEQUENCE:2")),
    ("L05", |_, x| x.edit_from(35, "v0.m3u8", "DISCONTINUITY-SEQUENCE:100", "DISCONTINUITY-SEQUENCE:102")),
    ("L06", |_, x| x.drop_line_after("v0.m3u8", "#EXTINF:2.048000,")),
    ("L06", |_, x| x.edit("v0.m3u8", "#EXTINF:2.048000,\n", "#EXTINF:2.048000,\n#EXT-X-PART:DURATION=0.5,URI=\"x\"\n")),
    ("L07", |_, x| x.spoil(x.is_segment(), |bytes| *bytes.last_mut().unwrap() ^= 1)),
    ("L07", |_, x| x.refuse(x.is_media() && x.is_old(), 404)),
    ("L08", |_, x| x.delay_from(35, ".m3u8", Duration::from_secs(4))),
    ("L09", |_, x| x.edit("v0.m3u8", "#EXT-X-PART-INF", "#EXT-X-PLAYLIST-TYPE:EVENT\n#EXT-X-PART-INF")),
    ("L10", |_, x| x.edit("v0.m3u8", ",INDEPENDENT=YES", "")),
    ("L10", |_, x| {
        x.edit(
            "v0.m3u8",
            ".1.m4s\"\n#EXT-X-PART:DURATION=0.512000",
            ".1.m4s\"\n#EXT-X-PART:DURATION=0.512000,INDEPENDENT=YES",
        )
    }),
    ("L11", |_, x| x.drop_lines("a0.m3u8", "#EXT-X-PROGRAM-DATE-TIME")),
    ("L11", |_, x| x.edit("a0.m3u8", "-21T", "-22T")),
    ("L12", |_, x| x.drop_lines("v0.m3u8", "#EXT-X-PRELOAD-HINT:TYPE=PART")),
    ("L12", |_, x| x.edit("v0.m3u8", "TYPE=PART,URI=\"3/v0/11", "TYPE=PART,URI=\"3/v0/12")),
    ("L12", |_, x| x.drop_lines("v0.m3u8", "#EXT-X-PRELOAD-HINT:TYPE=MAP")),
    ("L13", |_, x| x.drop_lines("v0.m3u8", "#EXT-X-RENDITION-REPORT")),
    ("L13", |_, x| x.edit("v0.m3u8", "LAST-MSN=1", "LAST-MSN=")),
    ("L14", |_, x| x.edit("v0.m3u8", "VERSION:6", "VERSION:5")),
    ("L15", |_, x| x.edit("index.m3u8", "avc1.64001f", "avc1.42c01e")),
    ("L15", |server, x| x.lag(server, "a0.m3u8", Duration::from_secs(3))),
    ("L16", |_, x| x.header(".m3u8", "content-type", Some("text/plain"))),
    ("L16", |_, x| x.edit("v0.m3u8", "#EXTM3U", "\u{feff}#EXTM3U")),
    ("L20", |server, x| x.answer_at_once(server)),
    ("L21", |_, x| x.delay(x.path.contains("v0.m3u8?_HLS_msn=") && !x.path.contains("part") && x.release == x.at)),
    ("L22", |_, x| x.refuse(x.path.ends_with("?_HLS_part=0"), 200)),
    ("L22", |_, x| x.refuse(x.path.ends_with("=next"), 500)),
    ("L23", |_, x| x.delay(x.status == 400)),
    ("L24", |_, x| x.refuse(x.at > server::END && x.path.contains("_HLS_msn"), 400)),
    ("L25", |_, x| x.edit_delta("#EXTINF:2.048000", "#EXTINF:2.040000")),
    ("L25", |_, x| x.edit_delta("SKIPPED-SEGMENTS=", "SKIPPED-SEGMENTS=1")),
    ("L26", |_, x| x.refuse(x.path.contains("_HLS_freshet"), 400)),
    ("L26", |_, x| x.edit("v0.m3u8", ".m4s\n", ".m4s?_HLS_x=1\n")),
    ("L27", |server, x| x.go_back(server)),
    ("L30", |_, x| x.refuse(x.is_media() && x.release > x.at, 404)),
    ("L30", |_, x| x.trickle()),
    ("L31", |_, x| x.refuse(x.status == 404, 500)),
    ("L32", |_, x| x.ignore_range()),
    ("L40", |_, x| x.protocol = Protocol::Http1),
    ("L41", |_, x| x.header("", "priority", None)),
    ("L42", |_, x| x.gzip = false),
    ("L42", |_, x| x.header("", "vary", None)),
    ("L43", |_, x| x.refuse(x.path.contains("a0.m3u8"), 404)),
    ("L45", |_, x| x.header("", "cache-control", None)),
    ("L45", |_, x| x.header(".m3u8", "cache-control", Some("max-age=3600"))),
    ("L46", |_, x| x.header(".m3u8", "age", Some("60"))),
    ("L47", |_, x| x.header("", "access-control-allow-origin", None)),
    ("L48", |_, x| x.edit_uncompressed("#EXT-X-ENDLIST", "#EXTINF:1,\nx\n#EXT-X-ENDLIST")),
    ("L48", |_, x| x.edit("v0.m3u8", "#EXT-X-ENDLIST", "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"x\"\n#EXT-X-ENDLIST")),
    ("C01", |_, x| x.drop_lines("v0.m3u8", "#EXT-X-MAP")),
    ("C01", |_, x| x.spoil(x.path.contains("init-"), |bytes| muxer::poke(bytes, b"mvhd", 16, 1))),
    ("C01", |_, x| x.spoil(x.is_part(), |bytes| muxer::poke(bytes, b"tfhd", 0, 0))),
    ("C02", |_, x| x.spoil(x.is_segment(), |bytes| muxer::poke(bytes, b"tfdt", 8, 77))),
    ("C02", |_, x| x.spoil(x.is_part(), |bytes| bytes.truncate(bytes.len() - 1))),
    ("C03", |_, x| x.spoil(x.path.contains("init-"), |bytes| muxer::rename(bytes, b"free", b"edts"))),
    ("C04", |_, x| x.spoil(x.path.contains("/v0/"), |bytes| muxer::poke(bytes, b"trun", 20, 0x0101_0000))),
    ("C05", |_, x| x.spoil(x.path.contains("v0/init-"), |bytes| *bytes = muxer::init(true, 2))),
    ("C06", |_, x| x.spoil(x.path.contains("a0/init-"), |bytes| muxer::poke(bytes, b"mdhd", 12, 44_100))),
];

#[test]
fn a_good_stream_passes_every_rule() {
    let report = watch(&Server::new(), |_, _| {});
    assert_eq!(report.findings, []);
    let unseen: Vec<_> = report.checked.iter().filter(|(_, times)| *times == 0).map(|(rule, _)| rule.id).collect();
    assert_eq!(unseen, [""; 0], "every rule was looked at");
    assert!(report.playlists > 200 && report.objects > 150, "{} {}", report.playlists, report.objects);
}

#[test]
fn every_rule_has_a_stream_that_fails_it() {
    let server = Server::new();
    let mut missed = Vec::new();
    for (n, (rule, fault)) in FAULTS.iter().enumerate() {
        let report = watch(&server, fault);
        let broken: BTreeSet<_> = report.findings.iter().map(|finding| finding.rule).collect();
        if !broken.contains(rule) {
            missed.push(format!("fault {n} breaks {broken:?}, not {rule}"));
        }
    }
    assert_eq!(missed, [""; 0]);
    let covered: BTreeSet<_> = FAULTS.iter().map(|(rule, _)| *rule).collect();
    let missing: Vec<_> = rules().iter().map(|rule| rule.id).filter(|id| !covered.contains(id)).collect();
    assert_eq!(missing, [""; 0], "every rule has a fault");
}

#[test]
fn a_finding_says_where_what_was_seen_and_what_to_do() {
    let report = watch(&Server::new(), |_, x| x.drop_line_after("v0.m3u8", "#EXTINF:2.048000,"));
    let finding = report.findings.iter().find(|finding| finding.rule == "L06").unwrap();
    assert_eq!(finding.severity, Severity::Violation);
    assert_eq!(finding.url, "https://edge/live/ada/v0.m3u8");
    assert!(finding.saw.ends_with("EXTINF is not followed by a URI"), "{}", finding.saw);
    assert_eq!(finding.remedy, "write a segment's parts, then its EXTINF, then its URI");
    assert!(finding.times > 10, "it counts");
}

#[test]
fn a_hinted_part_may_be_given_up_once_players_would_have() {
    let held_for = |held: u64| {
        let refuse = move |_: &Server, x: &mut Exchange| {
            if x.is_media() && x.release > x.at {
                x.refuse(true, 404);
                x.release += Duration::from_millis(held);
            }
        };
        let report = watch(&Server::new(), refuse);
        report
            .findings
            .into_iter()
            .filter(|finding| finding.rule == "L30")
            .map(|found| found.severity)
            .collect::<Vec<_>>()
    };
    assert_eq!(held_for(1000), [Severity::Violation; 2], "one a track: nobody waits any longer than this");
    assert_eq!(held_for(1200), [Severity::Advice; 2]);
}

#[test]
fn only_http_urls_can_be_linted() {
    assert!(Lint::new("file:///etc/passwd").is_none());
    assert!(Lint::new("live/ada/index.m3u8").is_none());
}
