//! However many ask for an object, it is transferred once, and nobody is hurt by what another does.

mod common;

use std::time::Duration;

use common::{BOUND, Object, Rig, Viewer, part_bytes, view};
use freshet_edge::Config;
use freshet_proto::view::ChannelState;
use tokio::{io::AsyncWriteExt, task::JoinSet, time::timeout};

const SEGMENT: &str = "/live/ada/1/v0/5.m4s";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_simultaneous_requests_for_one_cold_object_are_one_transfer() {
    let rig = Rig::crowded();
    let bytes = "0123456789".repeat(4000);
    let (object, gate) = Object::gated(bytes.clone());
    rig.origin.has("ada/1/v0/5.m4s", object);
    let mut viewers = JoinSet::new();
    for _ in 0..10_000 {
        let mut viewer = rig.viewer();
        viewers.spawn(async move { viewer.get(SEGMENT).await });
    }
    rig.until(|edge| edge.stats().misses.get() + edge.stats().coalesced.get() == 10_000).await;
    gate.add_permits(2);
    while let Some(reply) = viewers.join_next().await {
        let reply = reply.expect("a viewer");
        assert_eq!((reply.status, reply.body.as_slice()), (200, bytes.as_bytes()));
    }
    assert_eq!(rig.origin.fetched(), ["ada/1/v0/5.m4s"]);
    assert_eq!(rig.edge.stats().transfers.get(), 1);
}

#[tokio::test]
async fn at_35_the_first_requester_leaves_and_the_others_get_the_whole_object() {
    let rig = Rig::live();
    let (object, gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.0.m4s", object);
    let mut first = rig.viewer();
    first.ask("/live/ada/1/v0/5.0.m4s", "").await;
    rig.until(|edge| edge.stats().misses.get() == 1).await;
    let mut second = rig.viewer();
    second.ask("/live/ada/1/v0/5.0.m4s", "").await;
    rig.until(|edge| edge.stats().coalesced.get() == 1).await;
    drop(first);
    rig.until(|edge| edge.stats().lines(freshet_edge::stats::Line::Http1) == 1).await;
    gate.add_permits(2);
    assert_eq!(second.reply().await.text(), "abcdefgh");
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.0.m4s").await.text(), "abcdefgh");
    assert_eq!(rig.origin.fetched().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn at_35_a_transfer_that_ends_short_is_an_error_for_all_and_is_not_kept() {
    let rig = Rig::live();
    rig.origin.has("ada/1/v0/5.0.m4s", Object { sent: 5, ..Object::new("abcdefgh") });
    let (a, b) = (rig.viewer(), rig.viewer());
    let (mut a, mut b) = (a, b);
    let (a, b) = tokio::join!(a.get("/live/ada/1/v0/5.0.m4s"), b.get("/live/ada/1/v0/5.0.m4s"));
    assert_eq!((a.status, b.status), (502, 502));
    assert_eq!(a.field("cache-control"), "no-store");
    rig.origin.has("ada/1/v0/5.0.m4s", Object::new("abcdefgh"));
    // The failure is remembered for a moment, then the object is asked for again.
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.0.m4s").await.status, 502);
    let came = async {
        while rig.viewer().get("/live/ada/1/v0/5.0.m4s").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, came).await.expect("the object");
    assert_eq!(rig.origin.fetched().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn at_35_a_segment_that_breaks_off_is_never_taken_for_a_whole_one() {
    let rig = Rig::live();
    let (object, gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.m4s", Object { sent: 6, ..object });
    let mut viewer = rig.viewer();
    viewer.ask(SEGMENT, "").await;
    gate.add_permits(1);
    while !viewer.ahead().ends_with(b"\r\n\r\nabc") {
        timeout(BOUND, viewer.more()).await.expect("in time").expect("more bytes");
    }
    gate.add_permits(1);
    assert_eq!(viewer.try_reply().await, None, "the connection ends before the body does");
    assert_eq!(rig.viewer().get(SEGMENT).await.status, 502);
}

#[tokio::test]
async fn a_segment_streams_to_every_reader_while_it_comes() {
    let rig = Rig::live();
    let (object, gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.m4s", object);
    let mut viewers = [rig.viewer(), rig.viewer()];
    for viewer in &mut viewers {
        viewer.ask(SEGMENT, "").await;
    }
    gate.add_permits(1);
    for viewer in &mut viewers {
        let half = async {
            while !viewer.ahead().ends_with(b"\r\n\r\nabcd") {
                viewer.more().await.expect("more bytes");
            }
        };
        timeout(BOUND, half).await.expect("the first half before the second has come");
    }
    gate.add_permits(1);
    for viewer in &mut viewers {
        assert_eq!(viewer.reply().await.text(), "abcdefgh");
    }
    assert_eq!(rig.origin.fetched().len(), 1);
}

#[tokio::test]
async fn a_part_is_sent_only_when_it_is_whole() {
    let rig = Rig::live();
    let (object, gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.0.m4s", object);
    let mut viewer = rig.viewer();
    viewer.ask("/live/ada/1/v0/5.0.m4s", "").await;
    gate.add_permits(1);
    rig.until(|edge| edge.stats().upstream_bytes.get() == 4).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let nothing = timeout(Duration::from_millis(20), viewer.more()).await;
    assert!(nothing.is_err() && viewer.ahead().is_empty(), "no byte before the whole part is here");
    gate.add_permits(1);
    assert_eq!(viewer.reply().await.text(), "abcdefgh");
}

#[tokio::test]
async fn a_slow_reader_does_not_slow_the_others() {
    let rig = Rig::live();
    let bytes = "0123456789".repeat(50_000);
    rig.origin.has("ada/1/v0/5.m4s", Object::new(bytes.clone()));
    let mut slow = rig.viewer_from("10.0.0.9:1".parse().expect("an address"), 1024);
    slow.ask(SEGMENT, "").await;
    assert_eq!(rig.viewer().get(SEGMENT).await.body.len(), bytes.len());
    assert_eq!(slow.reply().await.body.len(), bytes.len());
    assert_eq!(rig.origin.fetched().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_takes_nothing_is_cut_off() {
    let rig = Rig::live();
    rig.origin.has("ada/1/v0/5.m4s", Object::new("0123456789".repeat(50_000)));
    let mut stuck = rig.viewer_from("10.0.0.9:1".parse().expect("an address"), 1024);
    stuck.ask(SEGMENT, "").await;
    rig.until(|edge| edge.stats().drops(freshet_edge::stats::Cut::Slow) == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_takes_too_long_is_given_up_for_all() {
    let rig = Rig::live();
    let (object, _gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.0.m4s", object);
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.0.m4s").await.status, 504);
}

#[tokio::test]
async fn at_35_a_slow_origin_leaves_places_for_another() {
    let mut config = Config::default();
    config.cache.fills_per_origin = 1;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1), (2, 2)]));
    let (slow, gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.0.m4s", slow);
    rig.origin.has("ada/1/v0/5.1.m4s", Object::new("x"));
    rig.origin.has("ada/2/v0/6.0.m4s", Object::new("y"));
    let [mut a, mut b] = [rig.viewer(), rig.viewer()];
    a.ask("/live/ada/1/v0/5.0.m4s", "").await;
    rig.until(|edge| edge.stats().transfers.get() == 1).await;
    b.ask("/live/ada/1/v0/5.1.m4s", "").await;
    rig.until(|edge| edge.stats().misses.get() == 2).await;
    assert_eq!(rig.viewer().get("/live/ada/2/v0/6.0.m4s").await.text(), "y");
    assert_eq!(rig.edge.stats().transfers.get(), 2, "the second of the slow origin waits");
    gate.add_permits(2);
    assert_eq!((a.reply().await.text(), b.reply().await.text()), ("abcdefgh".to_owned(), "x".to_owned()));
}

#[tokio::test]
async fn when_all_places_for_transfers_are_taken_a_viewer_is_told_to_come_again() {
    let mut config = Config::default();
    config.cache.fills = 1;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    let (object, _gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.0.m4s", object);
    rig.viewer().ask("/live/ada/1/v0/5.0.m4s", "").await;
    rig.until(|edge| edge.stats().fills.get() == 1).await;
    let reply = rig.viewer().get("/live/ada/1/v0/5.1.m4s").await;
    assert_eq!((reply.status, reply.field("retry-after")), (503, "1"));
}

#[tokio::test]
async fn a_whole_segment_whose_parts_were_followed_needs_no_transfer() {
    let mut rig = Rig::live();
    let _follow = rig.patient(5, 0).await;
    let reply = rig.viewer().get("/live/ada/1/v0/4.m4s").await;
    let expected: String = (0..4).map(|part| part_bytes(1, 4, part)).collect();
    assert_eq!((reply.status, reply.text()), (200, expected.clone()));
    assert_eq!(reply.field("server-timing"), "edge;desc=assembled");
    assert_eq!(rig.viewer().get("/live/ada/1/v0/4.m4s").await.field("server-timing"), "edge;desc=hit");
    let range = rig.viewer().get_with("/live/ada/1/v0/4.m4s", "range: bytes=30-70\r\n").await;
    assert_eq!((range.status, range.text()), (206, expected[30..=70].to_owned()));
    assert!(rig.origin.fetched().is_empty());
}

#[tokio::test]
async fn of_a_segment_only_the_parts_that_are_not_here_are_fetched() {
    let rig = Rig::live();
    for part in 0..3 {
        rig.origin.has(&format!("ada/1/v0/5.{part}.m4s"), Object::new(part_bytes(1, 5, part)));
    }
    let parts = (0..3).map(|part| part_bytes(1, 5, part)).collect::<Vec<_>>();
    let lengths = parts.iter().map(|part| part.len() as u32).collect();
    rig.origin.has("ada/1/v0/5.m4s", Object { parts: lengths, ..Object::new(parts.concat()) });
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.1.m4s").await.status, 200);
    assert_eq!(rig.viewer().get(SEGMENT).await.text(), parts.concat());
    let expected = ["ada/1/v0/5.1.m4s", "parts of ada/1/v0/5.m4s", "ada/1/v0/5.0.m4s", "ada/1/v0/5.2.m4s"];
    assert_eq!(rig.origin.fetched(), expected);
}

#[tokio::test]
async fn at_30_what_has_left_the_playlist_is_fetched_from_the_origin_of_its_epoch() {
    let rig = Rig::with(Config::default(), view(1, ChannelState::Live, 1, &[(1, 1), (2, 2)]));
    rig.origin.has("ada/1/v0/3.0.m4s", Object::new("old"));
    assert_eq!(rig.viewer().get("/live/ada/1/v0/3.0.m4s").await.text(), "old");
    assert_eq!(rig.viewer().get("/live/ada/9/v0/3.0.m4s").await.status, 404, "no such epoch, so nobody to ask");
    assert_eq!(rig.origin.fetched(), ["ada/1/v0/3.0.m4s"]);
}

#[tokio::test]
async fn at_33_what_does_not_exist_costs_no_transfer_and_no_memory() {
    let mut config = Config::default();
    config.http.misses_per_address = 100_000;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    let mut viewer = rig.viewer();
    for n in 0..2000 {
        for path in ["index.m3u8", "v0.m3u8?_HLS_msn=1", "1/v0/5.m4s", "thumb.mp4"] {
            assert_eq!(viewer.get(&format!("/live/nobody{n}/{path}")).await.status, 404);
        }
    }
    assert!(rig.origin.fetched().is_empty());
    assert_eq!((rig.edge.stats().follows.get(), rig.edge.stats().fills.get()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn at_33_an_address_that_floods_an_unknown_channel_is_told_to_slow_down_and_may_still_watch() {
    let mut config = Config::default();
    config.http.misses_per_address = 1;
    let rig = Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]));
    rig.origin.has("ada/1/v0/5.0.m4s", Object::new("x"));
    let mut viewer = rig.viewer();
    let mut flood = Vec::new();
    for _ in 0..40 {
        flood.push(viewer.get("/live/nobody/index.m3u8").await.status);
    }
    assert_eq!((flood[..10].iter().all(|status| *status == 404), flood[39]), (true, 429), "{flood:?}");
    assert_eq!(viewer.get("/live/nobody/index.m3u8").await.field("retry-after"), "1");
    assert_eq!(viewer.get("/live/ada/1/v0/5.0.m4s").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_old_object_has_its_true_age() {
    let rig = Rig::live();
    rig.origin.has("ada/1/v0/5.0.m4s", Object { age_ms: 7300, ..Object::new("x") });
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.0.m4s").await.field("age"), "7");
}

#[tokio::test]
async fn the_multivariant_playlist_is_fetched_once_a_session() {
    let rig = Rig::live();
    rig.origin.has("ada/index.m3u8", Object::new("#EXTM3U\n#one\n"));
    for _ in 0..3 {
        assert_eq!(rig.viewer().get("/live/ada/index.m3u8").await.text(), "#EXTM3U\n#one\n");
    }
    let packed = rig.viewer().get_with("/live/ada/index.m3u8?token=x", "accept-encoding: gzip\r\n").await;
    assert_eq!(packed.field("content-encoding"), "gzip");
    assert_eq!(common::gunzip(&packed.body), b"#EXTM3U\n#one\n");
    rig.origin.has("ada/index.m3u8", Object::new("#EXTM3U\n#two\n"));
    rig.view.send_replace(view(2, ChannelState::Live, 2, &[(3, 1)]));
    assert_eq!(rig.viewer().get("/live/ada/index.m3u8").await.text(), "#EXTM3U\n#two\n");
    assert_eq!(rig.origin.fetched().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_thumbnail_is_fetched_once_for_all_who_look_and_read_in_ranges() {
    let rig = Rig::live();
    let (object, gate) = Object::gated("<thumbnail>");
    rig.origin.has("ada/thumb.mp4", object);
    let mut viewers: Vec<_> = (0..50).map(|_| rig.viewer()).collect();
    for viewer in &mut viewers {
        viewer.ask("/live/ada/thumb.mp4?t=1", "").await;
    }
    gate.add_permits(2);
    let mut etag = String::new();
    for viewer in &mut viewers {
        let reply = viewer.reply().await;
        let told = (reply.text(), reply.field("cache-control"), reply.field("accept-ranges"));
        assert_eq!(told, ("<thumbnail>".to_owned(), "public, max-age=2", "bytes"));
        etag = reply.field("etag").to_owned();
    }
    assert_eq!(rig.origin.fetched(), ["ada/thumb.mp4"]);
    let get = async |fields: String| rig.viewer().get_with("/live/ada/thumb.mp4", &fields).await;
    let piece = get(format!("range: bytes=1-5\r\nif-range: {etag}\r\n")).await;
    let told = (piece.status, piece.text(), piece.field("content-range"));
    assert_eq!(told, (206, "thumb".to_owned(), "bytes 1-5/11"));
    assert_eq!(get("range: bytes=1-5\r\nif-range: \"other\"\r\n".to_owned()).await.status, 200);
    assert_eq!(get("range: bytes=11-\r\n".to_owned()).await.status, 416);
    assert_eq!(get(format!("if-none-match: {etag}\r\n")).await.status, 304);
}

#[tokio::test]
async fn a_viewer_who_resets_in_the_middle_leaves_nothing_behind() {
    let rig = Rig::live();
    let address = rig.listen().await;
    let (object, gate) = Object::gated("abcdefgh");
    rig.origin.has("ada/1/v0/5.m4s", object);
    for _ in 0..50 {
        let mut viewer = Viewer::connect(address).await;
        viewer.ask(SEGMENT, "").await;
        viewer.io.shutdown().await.expect("a shutdown");
    }
    gate.add_permits(2);
    assert_eq!(Viewer::connect(address).await.get(SEGMENT).await.text(), "abcdefgh");
    rig.until(|edge| edge.stats().lines(freshet_edge::stats::Line::Http1) <= 1).await;
    assert_eq!(rig.origin.fetched().len(), 1);
}
