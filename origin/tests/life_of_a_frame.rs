//! From an encoder's socket to another node: real ffmpeg and GStreamer publish, an edge's client fetches and follows.

mod common;

use common::{
    BOUND, KEY, Plan, World, ada,
    encoder::{Encoder, clip},
    tool::{self, Tool},
    world,
};
use freshet_control_plane::channel::Times;
use freshet_origin::Origin;
use freshet_proto::{
    id::{Epoch, SessionId, TrackName},
    message::{ContentType, FetchStatus, FollowEvent},
    object::{Object, ObjectName, ResourceName},
    view::ChannelState,
};
use tokio::time::timeout;

/// The URIs of a playlist that contain `part`, as they are listed.
fn uris<'a>(playlist: &'a str, tag: &str) -> Vec<&'a str> {
    let lines = playlist.lines().filter(|line| line.starts_with(tag));
    lines.filter_map(|line| line.split_once("URI=\"")?.1.split_once('"')).map(|(uri, _)| uri).collect()
}

fn segments(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|line| line.ends_with(".m4s")).collect()
}

/// The playlist of `track` once `is_so`. Each look waits for the next thing that the origin makes.
async fn playlist_once(world: &World, track: &str, is_so: impl Fn(&str) -> bool) -> String {
    let mut follower = world.follow(track.parse().unwrap(), None).await;
    let found = async {
        loop {
            follower.until(|event| matches!(event, FollowEvent::Playlist(_))).await;
            let playlist = world.text(&format!("ada/{track}.m3u8")).await;
            if is_so(&playlist) {
                return playlist;
            }
        }
    };
    timeout(BOUND, found).await.unwrap_or_else(|_| panic!("the playlist of {track} never became so"))
}

/// Checks by ffprobe that init and segment make pictures or sound without a complaint; returns how many packets.
async fn packets(world: &World, init: &str, segment: &str) -> usize {
    let bytes = [world.found(&format!("ada/{init}")).await, world.found(&format!("ada/{segment}")).await].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let path = file.path().display().to_string();
    let entries = ["-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", &path];
    let (status, said) = Tool::start("ffprobe", &entries).exit().await;
    assert!(status.success(), "{said}");
    said.trim().trim_end_matches(',').parse().unwrap_or_else(|_| panic!("ffprobe complains: {said}"))
}

/// What every stream of sound and picture must offer, whoever sends it.
async fn check_both_tracks(world: &mut World) {
    world.until(|channel| channel.session.is_some()).await;
    let index = world.text("ada/index.m3u8").await;
    assert!(index.contains("v0.m3u8") && index.contains("a0.m3u8"), "{index}");
    world.until_state(ChannelState::Live).await;
    for (track, least) in [("v0", 50), ("a0", 80)] {
        let playlist = playlist_once(world, track, |playlist| !segments(playlist).is_empty()).await;
        let init = uris(&playlist, "#EXT-X-MAP")[0];
        assert!(packets(world, init, segments(&playlist)[0]).await >= least, "{playlist}");
    }
}

#[tokio::test]
async fn what_ffmpeg_publishes_can_be_fetched_by_other_nodes() {
    let mut world = world().await;
    let _ffmpeg = tool::ffmpeg(&world.publish_url(), 60, &[]);
    check_both_tracks(&mut world).await;
}

#[tokio::test]
async fn what_ffmpeg_publishes_over_tls_can_be_fetched_by_other_nodes() {
    let mut world = world().await;
    let _ffmpeg = tool::ffmpeg(&format!("rtmps://{}/live/{KEY}", world.rtmps), 60, &[]);
    check_both_tracks(&mut world).await;
}

#[tokio::test]
async fn what_gstreamers_rtmp2sink_publishes_can_be_fetched_by_other_nodes() {
    let mut world = world().await;
    let _gstreamer = tool::gstreamer("rtmp2sink", &world.publish_url(), 3000);
    check_both_tracks(&mut world).await;
}

#[tokio::test]
async fn what_librtmp_publishes_can_be_fetched_by_other_nodes() {
    let mut world = world().await;
    let _gstreamer = tool::gstreamer("rtmpsink", &world.publish_url(), 3000);
    check_both_tracks(&mut world).await;
}

/// A world in which the clip has been published and its publisher is still there.
async fn published() -> (World, Encoder) {
    let world = Plan { times: Times { end_grace_ms: 100, ..Times::default() }, ..Plan::default() }.start().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    encoder.send_all(clip().await).await;
    (world, encoder)
}

fn object(path: &str) -> ObjectName {
    match path.parse().unwrap() {
        ResourceName::Object(name) => name,
        other => panic!("{other} is no object"),
    }
}

#[tokio::test]
async fn a_segment_is_the_bytes_of_its_parts_and_each_transfer_is_counted() {
    let (world, _encoder) = published().await;
    let playlist = playlist_once(&world, "v0", |playlist| !segments(playlist).is_empty()).await;
    let path = format!("ada/{}", segments(&playlist)[0]);
    let (reply, nothing) = world.fetch_listing(&path, true).await;
    assert_eq!((reply.status, reply.length, nothing.len()), (FetchStatus::Found, 0, 0));
    assert_eq!(world.origin.transfers(&object(&path)), 0);
    let stem = path.trim_end_matches(".m4s");
    let mut parts = Vec::new();
    for (index, length) in reply.parts.iter().enumerate() {
        let part = world.found(&format!("{stem}.{index}.m4s")).await;
        assert_eq!(part.len(), *length as usize);
        parts.extend_from_slice(&part);
    }
    let (reply, segment) = world.fetch(&path).await;
    assert_eq!(segment, parts);
    assert_eq!((reply.content_type, reply.fresh_ms), (ContentType::VideoMp4, u64::MAX));
    assert_eq!(world.origin.transfers(&object(&path)), 1);
}

#[tokio::test]
async fn a_followed_track_comes_in_order_and_its_parts_are_the_fetched_ones() {
    let (world, _encoder) = published().await;
    let mut follower = world.follow(TrackName::V0, None).await;
    let heard = follower.until(|event| matches!(event, FollowEvent::Playlist(_))).await;
    let kinds: Vec<_> = heard.iter().map(|heard| &heard.event).collect();
    assert!(matches!(
        kinds[..3],
        [FollowEvent::Constants(_), FollowEvent::Init { n: 0, .. }, FollowEvent::Part { .. }]
    ));
    let Some(FollowEvent::Playlist(header)) = kinds.last() else { panic!("{kinds:?}") };
    let last = heard.iter().rev().find_map(|heard| match heard.event {
        FollowEvent::Part { epoch, msn, part, .. } => Some((epoch, msn, part, heard.payload[0].clone())),
        _ => None,
    });
    let (epoch, msn, part, bytes) = last.expect("parts came before the playlist");
    assert_eq!((header.version.msn, header.version.part), (msn, part));
    let name = ObjectName { channel: ada(), epoch, track: TrackName::V0, object: Object::Part(msn, part) };
    assert_eq!(counted(&world.origin, &name), 1);
    assert_eq!(world.found(&name.to_string()).await, bytes);
    assert_eq!(counted(&world.origin, &name), 2);
}

fn counted(origin: &Origin, name: &ObjectName) -> u64 {
    origin.all_transfers().get(name).copied().unwrap_or_default()
}

#[tokio::test]
async fn a_follower_that_comes_back_is_sent_only_what_is_newer() {
    let (world, mut encoder) = published().await;
    let mut follower = world.follow(TrackName::V0, None).await;
    let heard = follower.until(|event| matches!(event, FollowEvent::Playlist(_))).await;
    let Some(FollowEvent::Playlist(header)) = heard.last().map(|heard| &heard.event) else { panic!() };
    let had = header.version;
    drop(follower);
    let mut again = world.follow(TrackName::V0, Some(had)).await;
    encoder.send_all(&common::encoder::shifted(clip().await, 6000)).await;
    let heard = again.until(|event| matches!(event, FollowEvent::Part { .. })).await;
    let Some(FollowEvent::Part { msn, part, .. }) = heard.last().map(|heard| &heard.event) else { panic!() };
    assert!((*msn, *part) > (had.msn, had.part));
}

#[tokio::test]
async fn a_hinted_part_is_held_and_sent_and_a_dead_hint_is_not_found() {
    let (world, mut encoder) = published().await;
    let playlist = playlist_once(&world, "v0", |playlist| playlist.contains("#EXT-X-PRELOAD-HINT:TYPE=PART")).await;
    let hint = format!("ada/{}", uris(&playlist, "#EXT-X-PRELOAD-HINT:TYPE=PART")[0]);
    let more = common::encoder::shifted(clip().await, 6000);
    let ((reply, body), ()) = tokio::join!(world.fetch(&hint), encoder.send_all(&more));
    assert_eq!(reply.status, FetchStatus::Found, "{hint}");
    assert!(!body.is_empty());
    let playlist = world.text("ada/v0.m3u8").await;
    let hint = format!("ada/{}", uris(&playlist, "#EXT-X-PRELOAD-HINT:TYPE=PART")[0]);
    let ((reply, _), ()) = tokio::join!(world.fetch(&hint), async {
        // Once the request is held, its publisher goes without a word.
        drop(encoder);
    });
    assert!(reply.status == FetchStatus::NotFound || reply.length > 0, "{hint}: {reply:?}");
    assert_eq!(world.fetch("ada/1/v0/99999.0.m4s").await.0.status, FetchStatus::NotFound);
}

#[tokio::test]
async fn the_multivariant_playlist_is_held_while_a_session_starts() {
    let world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let (index, ()) = tokio::join!(world.text("ada/index.m3u8"), encoder.send_all(clip().await));
    assert!(index.starts_with("#EXTM3U"), "{index}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found_at_once() {
    let world = world().await;
    for path in ["ada/index.m3u8", "ada/v0.m3u8", "ada/thumb.mp4", "ada/1/v0/1.0.m4s", "bob/index.m3u8"] {
        assert_eq!(world.fetch(path).await.0.status, FetchStatus::NotFound, "{path}");
    }
    assert_eq!(world.follow(TrackName::V0, None).await.next().await.event, FollowEvent::Gone);
}

#[tokio::test]
async fn a_session_that_ended_tells_its_followers_and_stays_fetchable() {
    let (mut world, encoder) = published().await;
    let mut follower = world.follow(TrackName::V0, None).await;
    encoder.finish().await;
    let heard = follower.until(|event| *event == FollowEvent::Ended).await;
    follower.end().await;
    let last = heard.iter().rev().find_map(|heard| match &heard.event {
        FollowEvent::Playlist(header) => Some(header.ended),
        _ => None,
    });
    assert_eq!(last, Some(true));
    world.until_state(ChannelState::Ended).await;
    let playlist = world.text("ada/v0.m3u8").await;
    assert!(playlist.ends_with("#EXT-X-ENDLIST\n"), "{playlist}");
    for uri in segments(&playlist) {
        world.found(&format!("ada/{uri}")).await;
    }
    assert!(world.text("ada/index.m3u8").await.contains("v0.m3u8"));
}

#[tokio::test]
async fn the_thumbnail_shows_one_picture() {
    let (world, _encoder) = published().await;
    playlist_once(&world, "v0", |playlist| !segments(playlist).is_empty()).await;
    let file = tempfile::NamedTempFile::with_suffix(".mp4").unwrap();
    std::fs::write(file.path(), world.found("ada/thumb.mp4").await).unwrap();
    let path = file.path().display().to_string();
    let entries = ["-v", "error", "-show_entries", "frame=pict_type", "-of", "csv=p=0", &path];
    let (status, said) = Tool::start("ffprobe", &entries).exit().await;
    assert!(status.success());
    assert_eq!(said.trim().trim_end_matches(','), "I");
}

#[tokio::test]
async fn draining_tells_publishers_and_takes_no_new_ones() {
    let config = freshet_origin::Config { drain_timeout_ms: 100, ..common::config() };
    let mut world = Plan { config, ..Plan::default() }.start().await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    assert!(world.origin.ready());
    let (told, ()) = tokio::join!(encoder.told(), world.origin.drain());
    assert!(told.text.contains("going down"), "{}", told.text);
    assert!(!world.origin.ready());
    world.until_state(ChannelState::Grace).await;
    let told = Encoder::publish(world.rtmp, KEY).await.err().expect("it is refused");
    assert!(told.text.contains("going down"), "{}", told.text);
}

#[tokio::test]
async fn numbers_never_go_back_when_the_origin_starts_again() {
    let (world, encoder) = published().await;
    let playlist = playlist_once(&world, "v0", |playlist| !segments(playlist).is_empty()).await;
    let before = newest(&playlist);
    drop(encoder);
    let world = Plan::default().start_in(world.stop().await).await;
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.unwrap();
    encoder.send_all(clip().await).await;
    let playlist = playlist_once(&world, "v0", |playlist| !segments(playlist).is_empty()).await;
    assert!(newest(&playlist) > before, "{:?} > {before:?}", newest(&playlist));
}

/// Epoch and number of the newest segment.
fn newest(playlist: &str) -> (Epoch, u64) {
    let last = object(&format!("ada/{}", segments(playlist).last().expect("there are segments")));
    match last.object {
        Object::Segment(msn) => (last.epoch, msn.0),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_private_test_is_measured_and_nobody_can_watch_it() {
    let mut world = world().await;
    let mut encoder = Encoder::publish(world.rtmp, &format!("{KEY}?test")).await.expect("it is taken");
    encoder.send_all(clip().await).await;
    let measured = async {
        loop {
            let health = world.origin.health().remove(&ada());
            if let Some(health) = health.filter(|health| health.video.is_some()) {
                return health;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = timeout(BOUND, measured).await.expect("it is measured");
    assert_eq!((health.session, health.epoch), (SessionId(0), Epoch(0)));
    assert_eq!(world.view.borrow().channels[&ada()].state, ChannelState::Idle);
    for path in ["ada/index.m3u8", "ada/v0.m3u8"] {
        assert_eq!(world.fetch(path).await.0.status, FetchStatus::NotFound, "{path}");
    }
    encoder.finish().await;
    let over = async {
        while world.origin.health().contains_key(&ada()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(BOUND, over).await.expect("nothing is left of it");

    // The same key begins a session as ever, and none is tested while it goes on.
    let mut encoder = Encoder::publish(world.rtmp, KEY).await.expect("it is taken");
    encoder.send_all(clip().await).await;
    world.until_state(ChannelState::Live).await;
    let told = Encoder::publish(world.rtmp, &format!("{KEY}?test")).await.err().expect("it is refused");
    assert!(told.text.contains("live already"), "{}", told.text);
    assert_eq!(world.view.borrow().channels[&ada()].state, ChannelState::Live);
}
