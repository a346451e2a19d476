//! Who may publish when there is somebody already: takeover, reconnection, silence (AT-10, AT-11, AT-22).

mod common;

use std::time::Duration;

use common::{
    BOUND, KEY, Plan, World, ada,
    encoder::{Encoder, clip},
    world,
};
use freshet_control_plane::channel::{Policy, Times};
use freshet_origin::Config;
use freshet_proto::{id::TrackName, message::FollowEvent, view::ChannelState};
use tokio::time::timeout;

/// The playlist of `v0` once it has a part of the newest publish.
async fn playlist_of(world: &World, publishes: usize) -> String {
    let mut follower = world.follow(TrackName::V0, None).await;
    let found = async {
        loop {
            let heard = follower.until(|event| matches!(event, FollowEvent::Playlist(_))).await;
            let epochs = world.view.borrow().channels[&ada()].epochs.clone();
            let newest = epochs.last().map(|last| last.epoch);
            let listed = heard.iter().rev().find_map(|heard| match &heard.event {
                FollowEvent::Playlist(header) => Some(header.version.epoch),
                _ => None,
            });
            if epochs.len() == publishes && listed == newest {
                return world.text("ada/v0.m3u8").await;
            }
        }
    };
    timeout(BOUND, found).await.expect("the newest publish shows in the playlist")
}

/// Every segment's epoch and number, in order, a line for each discontinuity.
fn shape(playlist: &str) -> Vec<String> {
    let lines = playlist.lines().filter(|line| line.ends_with(".m4s") || *line == "#EXT-X-DISCONTINUITY");
    lines.map(|line| line.replace("/v0", "").replace(".m4s", "")).collect()
}

/// Epochs are whatever the registry gives; numbers must be consecutive with one discontinuity where the epoch changes.
fn assert_continues(playlist: &str) {
    let shape = shape(playlist);
    let breaks: Vec<_> = (0..shape.len()).filter(|&i| shape[i] == "#EXT-X-DISCONTINUITY").collect();
    assert_eq!(breaks.len(), 1, "{playlist}");
    let named =
        |line: &String| line.split_once('/').map(|(epoch, msn)| (epoch.to_owned(), msn.parse::<u64>().unwrap()));
    let numbers: Vec<_> = shape.iter().filter_map(named).collect();
    assert!(numbers.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1), "{playlist}");
    if let (Some(last_before), Some(first_after)) = (numbers.get(breaks[0] - 1), numbers.get(breaks[0])) {
        assert_ne!(last_before.0, first_after.0, "{playlist}");
    }
}

#[tokio::test]
async fn the_newest_publisher_wins_and_the_session_goes_on_after_a_discontinuity() {
    let mut world = world().await;
    let mut first = Encoder::publish(world.rtmp, KEY).await.unwrap();
    first.send_all(clip().await).await;
    let before = world.until_state(ChannelState::Live).await;
    let mut second = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let told = first.told().await;
    assert_eq!(told.code, "NetStream.Publish.BadName");
    assert!(told.text.contains("another encoder"), "{}", told.text);
    first.closed().await;
    second.send_all(clip().await).await;
    let playlist = playlist_of(&world, 2).await;
    assert_continues(&playlist);
    assert_eq!(world.until_state(ChannelState::Live).await.session, before.session);
}

#[tokio::test]
async fn at_10_a_reconnect_wins_at_once_over_a_frozen_connection() {
    let config = Config { silent_after_ms: 100, ..common::config() };
    let mut world = Plan { config, ..Plan::default() }.start().await;
    let mut frozen = Encoder::publish(world.rtmp, KEY).await.unwrap();
    frozen.send_all(clip().await).await;
    world.until_state(ChannelState::Live).await;
    // It stays connected and neither reads nor sends, as when the cable is pulled.
    for publishes in 2..6 {
        let mut next = Encoder::publish(world.rtmp, KEY).await.expect("a reconnect is never refused");
        next.send_all(clip().await).await;
        playlist_of(&world, publishes).await;
        drop(next);
        world.until_state(ChannelState::Grace).await;
    }
    drop(frozen);
}

#[tokio::test]
async fn at_11_two_encoders_that_fight_are_stopped_with_words() {
    let world = world().await;
    let mut publishing = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let mut refused = None;
    for _ in 0..4 {
        match Encoder::publish(world.rtmp, KEY).await {
            Ok(next) => publishing = next,
            Err(told) => refused = Some(told),
        }
    }
    let told = refused.expect("the fourth displacement is refused");
    assert_eq!(told.code, "NetStream.Publish.BadName");
    assert!(told.text.contains("stop the other encoder"), "{}", told.text);
    publishing.send_all(clip().await).await;
}

#[tokio::test]
async fn a_reconnect_within_the_grace_continues_the_session() {
    let mut world = world().await;
    let mut first = Encoder::publish(world.rtmp, KEY).await.unwrap();
    first.send_all(clip().await).await;
    let before = world.until_state(ChannelState::Live).await;
    drop(first);
    world.until_state(ChannelState::Grace).await;
    let mut second = Encoder::publish(world.rtmp, KEY).await.unwrap();
    second.send_all(clip().await).await;
    assert_continues(&playlist_of(&world, 2).await);
    let after = world.until_state(ChannelState::Live).await;
    assert_eq!(after.session, before.session);
}

#[tokio::test]
async fn a_publish_after_the_grace_is_another_session_with_greater_numbers() {
    let times = Times { end_grace_ms: 50, ..Times::default() };
    let mut world = Plan { times, ..Plan::default() }.start().await;
    let mut first = Encoder::publish(world.rtmp, KEY).await.unwrap();
    first.send_all(clip().await).await;
    let before = world.until_state(ChannelState::Live).await;
    first.finish().await;
    world.until_state(ChannelState::Ended).await;
    let old = shape(&world.text("ada/v0.m3u8").await);
    let mut second = Encoder::publish(world.rtmp, KEY).await.unwrap();
    second.send_all(clip().await).await;
    let after = world.until_state(ChannelState::Live).await;
    assert_ne!(after.session, before.session);
    let listed = async {
        loop {
            let new = shape(&world.text("ada/v0.m3u8").await);
            if !new.is_empty() {
                return new;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let new = timeout(BOUND, listed).await.expect("it has whole segments");
    let number = |line: &String| line.split_once('/').unwrap().1.parse::<u64>().unwrap();
    assert!(number(&new[0]) > number(old.last().unwrap()), "{old:?} then {new:?}");
    let (reply, _) = world.fetch(&format!("ada/{}.m4s", old[0].replace('/', "/v0/"))).await;
    assert!(reply.length > 0, "the ended session is still fetchable");
}

#[tokio::test]
async fn a_silent_publisher_is_told_and_lost() {
    let config = Config { silent_after_ms: 50, lost_after_ms: 1000, ..Config::default() };
    let mut world = Plan { config, ..Plan::default() }.start().await;
    let mut silent = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let told = silent.told().await;
    assert!(told.text.contains("nothing came for 1s"), "{}", told.text);
    silent.closed().await;
    world.until_state(ChannelState::Grace).await;
}

#[tokio::test]
async fn under_the_policy_silent_only_a_silent_publisher_gives_way() {
    // Long enough that the first is still heard when the second comes, on a busy machine too.
    let config = Config { silent_after_ms: 3000, ..common::config() };
    let world = Plan { config, policy: Policy::Silent, ..Plan::default() }.start().await;
    let first = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let told = Encoder::publish(world.rtmp, KEY).await.err().expect("the first is heard");
    assert!(told.text.contains("live already"), "{}", told.text);
    let retries = async {
        while Encoder::publish(world.rtmp, KEY).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, retries).await.expect("the silent one gives way");
    drop(first);
}

#[tokio::test]
async fn at_22_a_publisher_that_never_reads_our_answers_is_read_to_its_end() {
    let mut world = world().await;
    let mut deaf = Encoder::publish(world.rtmp, KEY).await.unwrap();
    let tags = clip().await;
    let bytes: usize = tags.iter().map(|tag| tag.payload.len()).sum();
    let rounds = (8 * 2_500_000 / bytes + 1) as u32;
    for round in 0..rounds {
        deaf.send_all(&common::encoder::shifted(tags, round * 6000)).await;
    }
    deaf.finish().await;
    world.until_state(ChannelState::Grace).await;
}
