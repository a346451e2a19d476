//! Playlists: held, released together, closed when the session is over, and never older than what was shown.

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{BOUND, Object, Rig, gunzip, part_bytes, playlist_body, view};
use freshet_edge::{
    Config,
    config::{OnStall, PartlessRelease},
};
use freshet_proto::{
    id::{Epoch, Msn},
    message::{Arrival, FollowEvent, Version},
    view::ChannelState,
};
use tokio::{task::JoinSet, time::timeout};

const PLAYLIST: &str = "/live/ada/v0.m3u8";

fn blocking(msn: u64, part: u32) -> String {
    format!("{PLAYLIST}?_HLS_msn={msn}&_HLS_part={part}")
}

fn live(config: Config) -> Rig {
    Rig::with(config, view(1, ChannelState::Live, 1, &[(1, 1)]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_held_reloads_are_released_by_one_part() {
    let mut rig = Rig::crowded();
    let follow = rig.patient(5, 0).await;
    let before = rig.edge.stats().released.get();
    let mut viewers = JoinSet::new();
    for _ in 0..10_000 {
        let mut viewer = rig.viewer();
        viewers.spawn(async move { viewer.get(&blocking(5, 1)).await });
    }
    rig.held(10_000).await;
    follow.publish(1, 5, 1);
    while let Some(reply) = viewers.join_next().await {
        let reply = reply.expect("a viewer");
        assert_eq!(reply.status, 200);
        assert!(reply.text().starts_with(&playlist_body(1, 5, 1)));
    }
    rig.held(0).await;
    assert_eq!((rig.edge.stats().released.get() - before, rig.edge.stats().stalled.get()), (10_000, 0));
    assert!(rig.origin.fetched().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_version_is_served_at_once_with_what_players_and_caches_need() {
    let mut rig = Rig::live();
    let _follow = rig.following(5, 1).await;
    let mut viewer = rig.viewer();
    let reply = viewer.get(PLAYLIST).await;
    assert_eq!(reply.text(), format!("{}#EXT-X-PRELOAD-HINT:TYPE=PART\n", playlist_body(1, 5, 1)));
    for (name, value) in [
        ("content-type", "application/vnd.apple.mpegurl"),
        ("cache-control", "public, max-age=2"),
        ("vary", "accept-encoding"),
        ("age", "0"),
        ("access-control-allow-origin", "*"),
        ("timing-allow-origin", "*"),
        ("priority", "u=1"),
        ("etag", "\"1.5.1.0\""),
        ("server-timing", "edge;desc=hit"),
        ("date", "Wed, 18 Nov 2026 11:06:40 GMT"),
    ] {
        assert_eq!(reply.field(name), value, "{name}");
    }
    assert_eq!(viewer.get(&blocking(5, 1)).await.field("cache-control"), "public, max-age=24");
    let packed = viewer.get_with(PLAYLIST, "accept-encoding: gzip\r\n").await;
    assert_eq!((packed.field("content-encoding"), packed.field("etag")), ("gzip", "\"1.5.1.0-z\""));
    assert_eq!(gunzip(&packed.body), reply.body);
    let delta = viewer.get(&format!("{PLAYLIST}?_HLS_skip=YES")).await;
    assert!(delta.text().contains("EXT-X-SKIP"));
    let known = viewer.get_with(PLAYLIST, "if-none-match: \"1.5.1.0\"\r\n").await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let head = viewer.head(PLAYLIST).await;
    assert_eq!((head.status, head.field("content-length")), (200, reply.body.len().to_string().as_str()));
    assert_eq!(viewer.get(PLAYLIST).await.body, reply.body, "nothing of the head's body came");
}

#[tokio::test(start_paused = true)]
async fn all_who_waited_are_told_the_same_of_how_the_media_came_to_the_origin() {
    let mut rig = Rig::live();
    let follow = rig.following(5, 0).await;
    let mut viewers = [rig.viewer(), rig.viewer(), rig.viewer()];
    for viewer in &mut viewers {
        viewer.ask(&blocking(5, 1), "").await;
    }
    rig.held(3).await;
    follow.send(FollowEvent::Arrival(Arrival { uplink_ms: Some(21), late_ms: 130 }), "");
    follow.publish(1, 5, 1);
    let [first, second, third] = &mut viewers;
    let replies = [first.reply().await, second.reply().await, third.reply().await];
    assert_eq!(replies[0].field("server-timing"), "edge;desc=held, uplink;dur=21, late;dur=130");
    assert!(replies.iter().all(|reply| (&reply.fields, &reply.body) == (&replies[0].fields, &replies[0].body)));
    let later = first.get(&blocking(5, 1)).await;
    assert_eq!(later.field("server-timing"), "edge;desc=hit, uplink;dur=21, late;dur=130", "in the same second");
    follow.publish(1, 5, 2);
    assert!(!first.get(&blocking(5, 2)).await.field("server-timing").contains("late"), "nothing is known of it");
}

#[tokio::test(start_paused = true)]
async fn a_held_reply_has_the_age_of_its_version_and_not_of_its_wait() {
    let mut rig = Rig::live();
    let follow = rig.following(5, 0).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 1), "").await;
    rig.held(1).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    follow.publish(1, 5, 1);
    let reply = viewer.reply().await;
    assert_eq!((reply.field("age"), reply.field("server-timing")), ("0", "edge;desc=held"));
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(viewer.get(PLAYLIST).await.field("age"), "3");
}

#[tokio::test(start_paused = true)]
async fn when_nothing_comes_the_newest_version_is_sent_before_players_give_up() {
    let mut rig = Rig::live();
    let _follow = rig.following(5, 0).await;
    let began = tokio::time::Instant::now();
    let reply = rig.viewer().get(&blocking(5, 1)).await;
    assert_eq!((reply.status, reply.field("cache-control")), (200, "no-store"));
    assert!(reply.text().starts_with(&playlist_body(1, 5, 0)));
    assert_eq!(began.elapsed().as_millis() / 10, 240, "0.75 of 0.8 target durations");
}

#[tokio::test(start_paused = true)]
async fn l24_by_the_letter_a_reload_gets_503_after_three_target_durations() {
    let mut config = Config::default();
    config.reload.on_stall = OnStall::Error;
    config.follow.silence_ms = 60_000;
    let mut rig = live(config);
    let _follow = rig.following(5, 0).await;
    let began = tokio::time::Instant::now();
    let reply = rig.viewer().get(&blocking(5, 1)).await;
    assert_eq!((reply.status, reply.field("retry-after")), (503, "1"));
    assert_eq!(began.elapsed().as_millis() / 100, 120);
}

#[tokio::test]
async fn at_24_a_reload_without_a_part_is_released_once_by_the_whole_segment() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 3).await;
    let before = rig.edge.stats().held_total.get();
    let mut viewer = rig.viewer();
    viewer.ask(&format!("{PLAYLIST}?_HLS_msn=5"), "").await;
    rig.held(1).await;
    follow.publish(1, 6, 0);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(1, 6, 0)));
    assert_eq!(rig.edge.stats().held_total.get() - before, 1);
}

#[tokio::test]
async fn at_24_with_the_switch_a_reload_without_a_part_is_released_by_the_first_part() {
    let mut config = Config::default();
    config.reload.partless_release = PartlessRelease::Part0;
    let mut rig = live(config);
    let follow = rig.patient(5, 3).await;
    assert_eq!(rig.viewer().get(&format!("{PLAYLIST}?_HLS_msn=5")).await.status, 200);
    let mut viewer = rig.viewer();
    viewer.ask(&format!("{PLAYLIST}?_HLS_msn=6"), "").await;
    rig.held(1).await;
    follow.publish(1, 6, 0);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(1, 6, 0)));
}

#[tokio::test]
async fn at_25_a_part_beyond_a_finished_segment_waits_for_the_first_of_the_next() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 3).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 4), "").await;
    rig.held(1).await;
    follow.publish(1, 6, 0);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(1, 6, 0)));
    assert!(rig.viewer().get(&blocking(5, 9)).await.text().starts_with(&playlist_body(1, 6, 0)));
}

#[tokio::test]
async fn at_27_directives_that_make_no_sense_are_refused_at_once() {
    let mut rig = Rig::live();
    let _follow = rig.patient(5, 0).await;
    let before = rig.edge.stats().held_total.get();
    let mut viewer = rig.viewer();
    for query in ["_HLS_msn=7", "_HLS_msn=5&_HLS_part=7", "_HLS_part=1", "_HLS_msn=x", "_HLS_msn=5&_HLS_msn=5"] {
        assert_eq!(viewer.get(&format!("{PLAYLIST}?{query}")).await.status, 400, "{query}");
    }
    assert_eq!(rig.edge.stats().held_total.get(), before, "none was held");
}

#[tokio::test]
async fn at_34_a_held_request_ends_when_its_client_goes_away() {
    let mut rig = Rig::live();
    let address = rig.listen().await;
    let _follow = rig.patient(5, 0).await;
    let mut viewers = Vec::new();
    for _ in 0..200 {
        let mut viewer = common::Viewer::connect(address).await;
        viewer.ask(&blocking(5, 1), "").await;
        viewers.push(viewer);
    }
    rig.held(200).await;
    drop(viewers);
    rig.held(0).await;
    rig.until(|edge| edge.stats().lines(freshet_edge::stats::Line::Http1) <= 3).await;
}

#[tokio::test]
async fn a_held_connection_answers_what_was_sent_behind_and_goes_on() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 0).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 1), "").await;
    rig.held(1).await;
    viewer.ask("/live/ada/1/v0/5.0.m4s", "").await;
    viewer.ask("/live/ada/1/v0/5.1.m4s", "").await;
    follow.publish(1, 5, 1);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(1, 5, 1)));
    assert_eq!(viewer.reply().await.text(), part_bytes(1, 5, 0));
    assert_eq!(viewer.reply().await.text(), part_bytes(1, 5, 1));
    assert!(viewer.get(PLAYLIST).await.text().starts_with(&playlist_body(1, 5, 1)));
}

#[tokio::test]
async fn l33_beyond_the_budget_of_an_address_a_reload_gets_503_and_others_are_held() {
    let mut config = Config::default();
    config.reload.held_per_address = 3;
    let mut rig = live(config);
    let follow = rig.patient(5, 0).await;
    let from = |ip: [u8; 4]| SocketAddr::from((ip, 1));
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut viewer = rig.viewer_from(from([10, 9, 9, 9]), 4096);
        viewer.ask(&blocking(5, 1), "").await;
        held.push(viewer);
    }
    rig.held(3).await;
    let mut shed = rig.viewer_from(from([10, 9, 9, 9]), 4096);
    let reply = shed.get(&blocking(5, 1)).await;
    assert_eq!((reply.status, reply.field("retry-after"), reply.field("cache-control")), (503, "1", "no-store"));
    let mut other = rig.viewer_from(from([10, 9, 9, 8]), 4096);
    other.ask(&blocking(5, 1), "").await;
    rig.held(4).await;
    follow.publish(1, 5, 1);
    assert_eq!(other.reply().await.status, 200);
    assert_eq!(rig.edge.stats().shed.get(), 1);
}

#[tokio::test]
async fn l30_a_hinted_part_is_held_and_sent_whole_and_a_dead_hint_is_404_at_once() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 2).await;
    let [mut next, mut dead, mut first] = [rig.viewer(), rig.viewer(), rig.viewer()];
    next.ask("/live/ada/1/v0/5.3.m4s", "range: bytes=0-9007199254740991\r\n").await;
    rig.held(1).await;
    follow.publish(1, 5, 3);
    let reply = next.reply().await;
    let expected = part_bytes(1, 5, 3);
    assert_eq!((reply.status, reply.text()), (206, expected.clone()));
    assert_eq!(reply.field("content-range"), format!("bytes 0-{}/{}", expected.len() - 1, expected.len()));
    dead.ask("/live/ada/1/v0/5.4.m4s", "").await;
    first.ask("/live/ada/1/v0/6.0.m4s", "").await;
    rig.held(2).await;
    follow.publish(1, 6, 0);
    assert_eq!(dead.reply().await.status, 404);
    assert_eq!(first.reply().await.text(), part_bytes(1, 6, 0));
    assert!(rig.origin.fetched().is_empty());
}

#[tokio::test]
async fn l31_what_is_neither_there_nor_announced_is_404_without_asking_the_origin() {
    let mut rig = Rig::live();
    let _follow = rig.patient(5, 1).await;
    for path in ["5.3.m4s", "6.1.m4s", "7.0.m4s", "6.m4s", "4.4.m4s"] {
        assert_eq!(rig.viewer().get(&format!("/live/ada/1/v0/{path}")).await.status, 404, "{path}");
    }
    assert!(rig.origin.fetched().is_empty());
}

#[tokio::test]
async fn l48_the_end_releases_all_and_stays() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 0).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 1), "").await;
    rig.held(1).await;
    follow.send(FollowEvent::Ended, "");
    let ended = format!("{}#EXT-X-ENDLIST\n", playlist_body(1, 5, 0));
    assert_eq!(viewer.reply().await.text(), ended);
    rig.view.send_replace(view(2, ChannelState::Ended, 1, &[(1, 1)]));
    assert_eq!(rig.viewer().get(&blocking(9, 9)).await.text(), ended, "directives are ignored now");
    assert_eq!(rig.viewer().get(&format!("{PLAYLIST}?_HLS_skip=YES")).await.text(), ended);
}

#[tokio::test(start_paused = true)]
async fn an_edge_closes_the_session_of_a_dead_origin_when_the_view_says_that_it_is_over() {
    let mut rig = Rig::live();
    let follow = rig.following(5, 0).await;
    let mut viewer = rig.viewer();
    rig.view.send_replace(view(2, ChannelState::Grace, 1, &[(1, 1)]));
    viewer.ask(&blocking(5, 1), "").await;
    rig.held(1).await;
    rig.view.send_replace(view(3, ChannelState::Ended, 1, &[(1, 1)]));
    assert_eq!(viewer.reply().await.text(), format!("{}#EXT-X-ENDLIST\n", playlist_body(1, 5, 0)));
    follow.closed().await;
    rig.view.send_replace(view(4, ChannelState::Idle, 1, &[(1, 1)]));
    assert_eq!(rig.viewer().get(PLAYLIST).await.status, 404);
}

#[tokio::test]
async fn another_session_is_waited_for_and_the_end_of_the_last_is_not_shown() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 0).await;
    follow.send(FollowEvent::Ended, "");
    rig.view.send_replace(view(2, ChannelState::Ended, 1, &[(1, 1)]));
    rig.view.send_replace(view(3, ChannelState::Starting, 2, &[(7, 2)]));
    let mut viewer = rig.viewer();
    viewer.ask(PLAYLIST, "").await;
    let next = rig.followed().await;
    assert_eq!((next.peer.server_name.as_str(), next.after), ("origin-2", None));
    rig.held(1).await;
    next.constants(2);
    next.publish(7, 30, 0);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(7, 30, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_follow_resumes_after_the_last_version_at_the_origin_that_the_view_names() {
    let mut rig = Rig::live();
    let follow = rig.following(5, 1).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 2), "").await;
    rig.held(1).await;
    rig.view.send_replace(view(2, ChannelState::Live, 1, &[(1, 1), (2, 2)]));
    let next = rig.followed().await;
    let after = Version { epoch: Epoch(1), msn: Msn(5), part: 1, edit: 0 };
    assert_eq!((next.peer.server_name.as_str(), next.after), ("origin-2", Some(after)));
    assert!(!follow.is_heard(), "what the fenced origin says is not listened to");
    next.constants(1);
    next.publish(2, 6, 0);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(2, 6, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_follow_that_breaks_is_begun_again() {
    let mut rig = Rig::live();
    let follow = rig.following(5, 1).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 2), "").await;
    drop(follow);
    let next = rig.followed().await;
    next.constants(1);
    next.publish(1, 5, 2);
    assert!(viewer.reply().await.text().starts_with(&playlist_body(1, 5, 2)));
}

#[tokio::test(start_paused = true)]
async fn ten_seconds_after_the_last_viewer_the_edge_stops_following() {
    let mut rig = Rig::live();
    let follow = rig.following(5, 0).await;
    let began = tokio::time::Instant::now();
    let mut part = 0;
    while follow.is_heard() {
        part += 1;
        follow.publish(1, 5, part);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(began.elapsed() < BOUND, "it goes on for ever");
    }
    assert_eq!(began.elapsed().as_secs(), 10);
    rig.until(|edge| edge.stats().follows.get() == 0).await;
    rig.viewer().ask(PLAYLIST, "").await;
    assert_eq!(rig.followed().await.after, None, "and begins anew for the next");
}

#[tokio::test]
async fn many_viewers_of_a_track_are_one_follow() {
    let mut rig = Rig::live();
    let mut viewers = Vec::new();
    for _ in 0..50 {
        let mut viewer = rig.viewer();
        viewer.ask(PLAYLIST, "").await;
        viewers.push(viewer);
    }
    let follow = rig.followed().await;
    rig.held(50).await;
    follow.constants(1);
    follow.publish(1, 5, 0);
    for viewer in &mut viewers {
        assert_eq!(viewer.reply().await.status, 200);
    }
    assert!(rig.follows.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn while_a_session_starts_its_multivariant_playlist_is_held() {
    let rig = Rig::with(Config::default(), view(1, ChannelState::Starting, 1, &[(1, 1)]));
    rig.origin.has("ada/index.m3u8", Object::new("#EXTM3U\n"));
    let mut viewer = rig.viewer();
    viewer.ask("/live/ada/index.m3u8", "").await;
    rig.held(1).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(rig.origin.fetched().is_empty());
    rig.view.send_replace(view(2, ChannelState::Live, 1, &[(1, 1)]));
    assert_eq!(viewer.reply().await.text(), "#EXTM3U\n");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_never_starts_is_503_after_twelve_seconds() {
    let rig = Rig::with(Config::default(), view(1, ChannelState::Starting, 1, &[(1, 1)]));
    let began = tokio::time::Instant::now();
    let [mut index, mut playlist] = [rig.viewer(), rig.viewer()];
    let (index, playlist) = tokio::join!(index.get("/live/ada/index.m3u8"), playlist.get(PLAYLIST));
    assert_eq!((index.status, playlist.status), (503, 503));
    assert_eq!(began.elapsed().as_secs(), 12);
}

#[tokio::test]
async fn an_offline_channel_is_404_for_a_moment() {
    let rig = Rig::with(Config::default(), view(1, ChannelState::Idle, 1, &[(1, 1)]));
    for path in ["index.m3u8", "v0.m3u8", "v0.m3u8?_HLS_msn=4", "thumb.mp4"] {
        let reply = rig.viewer().get(&format!("/live/ada/{path}")).await;
        assert_eq!((reply.status, reply.field("cache-control")), (404, "public, max-age=1"), "{path}");
    }
    assert_eq!(rig.edge.stats().transfers.get() + rig.edge.stats().followed.get(), 0);
}

#[tokio::test]
async fn a_track_that_the_origin_does_not_have_is_404() {
    let mut rig = Rig::live();
    let mut viewer = rig.viewer();
    viewer.ask("/live/ada/v7.m3u8", "").await;
    let follow = rig.followed().await;
    follow.constants(1);
    follow.send(FollowEvent::Gone, "");
    assert_eq!(viewer.reply().await.status, 404);
}

#[tokio::test]
async fn draining_answers_what_is_held_and_then_closes() {
    let mut rig = Rig::live();
    let follow = rig.patient(5, 0).await;
    let mut viewer = rig.viewer();
    viewer.ask(&blocking(5, 1), "").await;
    rig.held(1).await;
    let edge = rig.edge.clone();
    assert!(edge.ready());
    let drained = tokio::spawn(async move { edge.drain().await });
    rig.until(|edge| !edge.ready()).await;
    follow.publish(1, 5, 1);
    let reply = viewer.reply().await;
    assert_eq!((reply.status, reply.field("connection")), (200, "close"));
    assert_eq!(viewer.try_reply().await, None);
    timeout(BOUND, drained).await.expect("in time").expect("drained");
}

#[tokio::test(start_paused = true)]
async fn at_32_an_origin_that_is_down_is_asked_ever_less_often_and_not_at_all_without_viewers() {
    let mut rig = Rig::live();
    drop(rig.following(5, 0).await);
    let began = tokio::time::Instant::now();
    let mut asked_at = Vec::new();
    let mut viewer = rig.viewer();
    while began.elapsed() < Duration::from_secs(20) {
        viewer.ask(&blocking(5, 1), "").await;
        assert_eq!(viewer.reply().await.field("server-timing"), "edge;desc=stalled", "viewers keep what there is");
        while let Ok(follow) = rig.follows.try_recv() {
            asked_at.push(began.elapsed());
            drop(follow);
        }
    }
    assert!((8..=25).contains(&asked_at.len()), "{asked_at:?}");
    drop(viewer);
    rig.until(|edge| edge.stats().follows.get() == 0).await;
    while rig.follows.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(rig.follows.try_recv().is_err());
}
