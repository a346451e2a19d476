//! An encoder moves from one origin to another, and viewers at an edge go on (AT-12, AT-13, AT-30, AT-31).

mod common;
mod moving;

use std::time::Duration;

use common::{
    KEY,
    encoder::{Encoder, clip, shifted},
};
use freshet_control_plane::channel::Times;
use moving::{A, B, EDGE, OTHER_EDGE, Platform, Viewer, shape};

/// Media up to the middle of its fourth segment, whose origin doesn't know yet how that ends.
const HALF_MS: u32 = 6000;

async fn clip_and_a_half() -> Vec<freshet_media::flv::file::Tag> {
    let again = shifted(clip().await, HALF_MS);
    let half = again.into_iter().filter(|tag| tag.timestamp_ms < HALF_MS + 1300);
    clip().await.iter().cloned().chain(half).collect()
}

/// Both playlists of it, as the origin leaves them.
async fn both(viewer: &Viewer) -> (String, String) {
    (viewer.playlist_at("v0", 3, 2).await, viewer.playlist_at("a0", 3, 2).await)
}

/// What must hold of what a viewer sees before and after: the same constants, no number twice or left out, everything
/// that was listed still there unless it left at the front, one discontinuity where the epoch changes.
fn assert_goes_on(before: &str, after: &str) {
    let constants = |text: &str| {
        let frozen = ["#EXT-X-TARGETDURATION", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF"];
        text.lines()
            .filter(|line| frozen.iter().any(|tag| line.starts_with(tag)))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(constants(before), constants(after));
    let (old, new) = (shape(before), shape(after));
    let at = old.iter().position(|named| *named == new[0]).unwrap_or_else(|| panic!("{before}\nthen\n{after}"));
    assert_eq!(old[at..], new[..old.len() - at], "{before}\nthen\n{after}");
    let numbers: Vec<_> = new.iter().map(|(_, msn)| *msn).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{after}");
    let (first_epoch, last_epoch) = (new[0].0, new[new.len() - 1].0);
    assert!(first_epoch < last_epoch, "{after}");
    let gone_on = format!("#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"{last_epoch}/");
    assert_eq!(after.matches("#EXT-X-DISCONTINUITY\n").count(), 1, "{after}");
    assert!(after.contains(&gone_on), "{after}");
    let sequence =
        |text: &str| text.lines().find(|line| line.starts_with("#EXT-X-DISCONTINUITY-SEQUENCE")).map(str::to_owned);
    assert_eq!(sequence(before), sequence(after), "no discontinuity has left");
}

/// Both tracks go on, alike at the same numbers.
async fn assert_both_go_on(viewer: &Viewer, before: [&str; 2], epoch: u64) {
    let mut seen = Vec::new();
    for (track, before) in ["v0", "a0"].into_iter().zip(before) {
        let after = viewer.playlist_of(track, epoch).await;
        assert_goes_on(before, &after);
        seen.push(shape(&after));
    }
    let first_new = |shape: &[(u64, u64)]| shape.iter().find(|(of, _)| *of == epoch).copied();
    assert_eq!(first_new(&seen[0]), first_new(&seen[1]), "the tracks agree where the other publish begins");
}

#[tokio::test]
async fn a_living_origin_says_its_last_word_and_viewers_go_on_at_the_other() {
    let platform = Platform::start(Times::default()).await;
    let viewer = platform.viewer();
    let mut first = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    first.send_all(&clip_and_a_half().await).await;
    let index = viewer.text("index.m3u8").await;
    platform.until_live().await;
    let (v0, a0) = both(&viewer).await;

    let mut second = Encoder::publish(platform.rtmp(B), KEY).await.unwrap();
    let epoch = platform.epoch();
    assert!(first.told().await.text.contains("another encoder"));
    let goes_on = format!("\"{epoch}/v0/");
    let parked = viewer.park("v0", move |released| released.contains(&goes_on)).await;
    second.send_all(clip().await).await;
    parked.await.expect("whoever waits is released");
    assert_both_go_on(&viewer, [&v0, &a0], epoch).await;
    assert_eq!(viewer.text("index.m3u8").await, index, "the multivariant playlist is frozen");
    // The old origin lives: all that is listed can be fetched, old and new.
    for track in ["v0", "a0"] {
        viewer.fetch_all_of(&viewer.playlist(track).await).await;
    }
}

#[tokio::test]
async fn of_a_dead_origin_an_edge_has_the_window_and_the_parts_that_viewers_saw() {
    let mut platform = Platform::start(Times::default()).await;
    let viewer = platform.viewer();
    let mut first = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    first.send_all(&clip_and_a_half().await).await;
    platform.until_live().await;
    let index = viewer.text("index.m3u8").await;
    let (v0, a0) = both(&viewer).await;
    let open = moving::open_segment(&v0).expect("it is in the middle of a segment");
    let seen: Vec<u8> = viewer.bytes_of_parts(&v0, open).await;
    platform.kill(A).await;

    let mut second = Encoder::publish(platform.rtmp(B), KEY).await.unwrap();
    let epoch = platform.epoch();
    for track in ["v0", "a0"] {
        viewer.until_closed(track).await;
    }
    second.send_all(clip().await).await;
    assert_both_go_on(&viewer, [&v0, &a0], epoch).await;
    let after = viewer.playlist("v0").await;
    let (old_epoch, msn) = open;
    assert!(shape(&after).contains(&(old_epoch, msn)), "{after}");
    assert!(shape(&after).contains(&(epoch, msn + 1)), "{after}");
    assert!(!after.contains("GAP"), "the edge has all parts: {after}");
    assert_eq!(viewer.bytes(&format!("{old_epoch}/v0/{msn}.m4s")).await, seen, "a segment is its parts");
    assert_eq!(viewer.text("index.m3u8").await, index);
    assert_eq!(platform.session_count(), 1);
}

/// Every segment's epoch and number, and whether there is a discontinuity before it and a gap in its place.
fn breaks_and_gaps(playlist: &str) -> Vec<((u64, u64), bool, bool)> {
    let (mut found, mut discontinuity, mut gap) = (Vec::new(), false, false);
    for line in playlist.lines() {
        match line {
            "#EXT-X-DISCONTINUITY" => discontinuity = true,
            "#EXT-X-GAP" => gap = true,
            uri if !uri.starts_with('#') => {
                found.push((shape(uri)[0], std::mem::take(&mut discontinuity), std::mem::take(&mut gap)));
            }
            _ => {}
        }
    }
    found
}

/// The origin dies while viewers follow `heard` alone: that goes on, and the other track has gaps in its place.
async fn assert_one_track_goes_on(heard: &str, lost: &str) {
    let mut platform = Platform::start(Times::default()).await;
    let viewer = platform.viewer();
    let mut first = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    first.send_all(&clip_and_a_half().await).await;
    platform.until_live().await;
    viewer.text("index.m3u8").await;
    let before = viewer.playlist_at(heard, 3, 2).await;
    platform.kill(A).await;

    let mut second = Encoder::publish(platform.rtmp(B), KEY).await.unwrap();
    let epoch = platform.epoch();
    second.send_all(clip().await).await;
    let after = viewer.playlist_of(heard, epoch).await;
    assert_goes_on(&before, &after);
    let beside = viewer.playlist_of(lost, epoch).await;
    let is_new = |((of, _), ..): &((u64, u64), bool, bool)| *of == epoch;
    let (after, beside) = (breaks_and_gaps(&after), breaks_and_gaps(&beside));
    let old = after.iter().take_while(|segment| !is_new(segment)).map(|&(name, ..)| (name, false));
    let new = after.iter().filter(|segment| is_new(segment)).take(1).map(|&(name, ..)| (name, true));
    let expected: Vec<_> = old.chain(new).map(|(name, is_new)| (name, is_new, !is_new)).collect();
    assert_eq!(beside[..expected.len()], expected, "{lost} beside {heard}: {after:?}");
    assert!(after.iter().all(|(_, _, gap)| !gap), "what is there is no gap: {after:?}");
    assert_eq!(platform.session_count(), 1);
}

#[tokio::test]
async fn of_a_dead_origin_whose_sound_nobody_heard_the_picture_goes_on_and_the_sound_has_gaps() {
    assert_one_track_goes_on("v0", "a0").await;
}

#[tokio::test]
async fn of_a_dead_origin_whose_picture_nobody_saw_the_sound_goes_on_and_the_picture_has_gaps() {
    assert_one_track_goes_on("a0", "v0").await;
}

#[tokio::test]
async fn what_a_dead_origin_made_comes_from_the_edge_that_has_it() {
    let mut platform = Platform::start(Times::default()).await;
    let (early, late) = (platform.viewer(), platform.viewer_at(OTHER_EDGE));
    let mut first = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    first.send_all(&clip_and_a_half().await).await;
    platform.until_live().await;
    let listed = early.playlist_at("v0", 3, 2).await;
    early.fetch_all_of(&listed).await;
    assert_eq!(late.playlist_at("v0", 3, 2).await, listed);
    platform.kill(A).await;

    let stats = platform.edge(OTHER_EDGE).stats();
    late.fetch_all_of(&listed).await;
    let brought = stats.edges_had.get();
    assert!(brought > 0 && brought == stats.edges_asked.get(), "{brought} of {}", stats.edges_asked.get());
    late.fetch_all_of(&listed).await;
    assert_eq!(stats.edges_had.get(), brought, "it is kept like any other");
    assert_eq!(platform.edge(EDGE).stats().edges_asked.get(), 0, "who is asked asks nobody");
}

#[tokio::test]
async fn with_neither_origin_nor_edge_numbers_go_on_at_the_registrys_base() {
    let mut platform = Platform::start(Times::default()).await;
    let viewer = platform.viewer();
    let mut first = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    first.send_all(clip().await).await;
    platform.until_live().await;
    let before = shape(&viewer.playlist("v0").await);
    platform.kill(A).await;
    platform.forget(EDGE);
    platform.forget(OTHER_EDGE);

    let mut second = Encoder::publish(platform.rtmp(B), KEY).await.unwrap();
    let epoch = platform.epoch();
    second.send_all(clip().await).await;
    let after = viewer.playlist_of("v0", epoch).await;
    assert!(after.contains("\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP"), "players have what came before: {after}");
    let after = shape(&after);
    assert!(after[0].1 > before[before.len() - 1].1, "{before:?} then {after:?}");
    assert!(after.iter().all(|(of, _)| *of == epoch), "the window is empty: {after:?}");
    assert_eq!(platform.session_count(), 1, "the session is the same");
}

#[tokio::test]
async fn at_31_what_a_zombie_still_says_is_shown_to_nobody() {
    let platform = Platform::start(Times::default()).await;
    let viewer = platform.viewer();
    let mut zombie = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    zombie.send_all(&clip_and_a_half().await).await;
    platform.until_live().await;
    viewer.text("index.m3u8").await;
    let (v0, a0) = both(&viewer).await;
    // It hears of nothing any more, and publishes on.
    platform.deafen(A);
    let mut second = Encoder::publish(platform.rtmp(B), KEY).await.unwrap();
    let epoch = platform.epoch();
    zombie.send_all(&shifted(clip().await, 2 * HALF_MS)).await;
    second.send_all(clip().await).await;
    assert_both_go_on(&viewer, [&v0, &a0], epoch).await;
    let after = shape(&viewer.playlist("v0").await);
    let last_old = after.iter().rfind(|(of, _)| *of != epoch).copied();
    assert!(
        last_old.is_some_and(|(_, msn)| msn + 1 == after.iter().find(|(of, _)| *of == epoch).unwrap().1),
        "{after:?}"
    );
}

#[tokio::test]
async fn an_edge_ends_the_session_of_a_dead_origin_when_its_grace_is_over() {
    let times = Times { reconnect_grace_ms: 300, ..Times::default() };
    let mut platform = Platform::start(times).await;
    let viewer = platform.viewer();
    let mut first = Encoder::publish(platform.rtmp(A), KEY).await.unwrap();
    first.send_all(&clip_and_a_half().await).await;
    platform.until_live().await;
    let (before, _) = both(&viewer).await;
    let parked = viewer.park("v0", |released| released.contains("#EXT-X-ENDLIST")).await;
    platform.kill(A).await;
    platform.lose(A);
    let ended = tokio::time::timeout(Duration::from_secs(20), parked).await.expect("viewers are released").unwrap();
    assert!(ended.ends_with("#EXT-X-ENDLIST\n") && !ended.contains("PRELOAD-HINT"), "{ended}");
    assert_eq!(shape(&ended), shape(&before));
}
