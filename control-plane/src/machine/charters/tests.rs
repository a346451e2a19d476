use freshet_proto::{
    id::NodeId,
    registry::Departure,
    view::{ChannelState, NodeView, Role},
};

use super::*;
use crate::{
    channel::Times,
    key::Pepper,
    machine::{Input, testing},
};

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

fn key(text: &str) -> KeyHash {
    Pepper([7; 32]).hash(text)
}

/// An origin is node 7.
fn registry() -> Registry {
    let mut registry = Registry::new(1, Times::default());
    let view = NodeView::new(Role::Origin, ([127, 0, 0, 1], 9).into(), "origin-1");
    for input in [Input::PutNode { node: NodeId(7), view }, Input::Rise { level: Level(2) }] {
        take(&mut registry, input).unwrap();
    }
    registry
}

fn take(registry: &mut Registry, input: Input) -> Reply {
    testing::take(registry, 1000, input)
}

fn charter(seq: u64, keys: &[&str], go_live: GoLive) -> Input {
    charter_of(ada(), seq, keys, go_live)
}

fn charter_of(channel: ChannelName, seq: u64, keys: &[&str], go_live: GoLive) -> Input {
    let keys = keys.iter().map(|text| key(text)).collect();
    let (policy, visibility) = (Policy::Newest, Visibility::Private);
    Input::Charter { channel, seq, charter: Some(Charter { keys, policy, visibility, go_live }) }
}

fn removal(seq: u64) -> Input {
    Input::Charter { channel: ada(), seq, charter: None }
}

fn publish(registry: &mut Registry, with: &str) -> Reply {
    take(registry, Input::Claim { key: key(with), origin: NodeId(7), nonce: 0 })
}

fn state(registry: &Registry) -> Option<ChannelState> {
    registry.view().channels.get(&ada()).map(|channel| channel.state)
}

#[test]
fn any_of_a_charters_keys_publishes_and_no_other() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one", "two"], GoLive::Auto)).unwrap();
    assert_eq!(registry.annex().marks.of(&ada()).visibility, Visibility::Private);
    assert_eq!(publish(&mut registry, "three"), Err(Refused::UnknownKey));
    assert!(publish(&mut registry, "one").is_ok() && publish(&mut registry, "two").is_ok());
}

#[test]
fn a_publisher_whose_key_is_taken_away_is_stopped_and_one_whose_key_stays_is_not() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one", "two"], GoLive::Auto)).unwrap();
    publish(&mut registry, "one").unwrap();
    take(&mut registry, charter(2, &["one", "three"], GoLive::Auto)).unwrap();
    assert_eq!(state(&registry), Some(ChannelState::Starting));
    take(&mut registry, charter(3, &["three"], GoLive::Auto)).unwrap();
    assert_eq!(state(&registry), Some(ChannelState::Ended));
    assert_eq!(publish(&mut registry, "one"), Err(Refused::UnknownKey));
    assert!(publish(&mut registry, "three").is_ok());
}

#[test]
fn what_comes_late_sets_nothing_back_not_even_a_removal() {
    let mut registry = registry();
    take(&mut registry, charter(2, &["two"], GoLive::Auto)).unwrap();
    let before = registry.revision();
    for seq in [1, 2] {
        take(&mut registry, charter(seq, &["one"], GoLive::Auto)).unwrap();
    }
    assert_eq!(registry.revision(), before);
    assert_eq!(publish(&mut registry, "one"), Err(Refused::UnknownKey));
    take(&mut registry, Input::Charter { channel: ada(), seq: 9, charter: None }).unwrap();
    take(&mut registry, charter(8, &["two"], GoLive::Auto)).unwrap();
    assert_eq!((state(&registry), registry.is_chartered(&ada())), (None, false));
    assert_eq!(publish(&mut registry, "two"), Err(Refused::UnknownKey));
}

#[test]
fn where_sessions_are_started_by_hand_publishing_waits_for_it_and_again_after_the_end() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one"], GoLive::Manual)).unwrap();
    assert_eq!(publish(&mut registry, "one"), Err(Refused::NotStarted));
    take(&mut registry, Input::Start { channel: ada() }).unwrap();
    publish(&mut registry, "one").unwrap();
    take(&mut registry, charter(2, &["one", "two"], GoLive::Manual)).unwrap();
    assert_eq!(state(&registry), Some(ChannelState::Starting));
    take(&mut registry, Input::End { channel: ada() }).unwrap();
    assert_eq!(state(&registry), Some(ChannelState::Ended));
    assert_eq!(publish(&mut registry, "one"), Err(Refused::NotStarted));
}

#[test]
fn a_channel_that_was_started_awaits_its_encoder_until_the_end() {
    let mut registry = registry();
    let awaits = |registry: &Registry| registry.timing(&ada()).awaits_encoder;
    take(&mut registry, charter(1, &["one"], GoLive::Manual)).unwrap();
    assert!(!awaits(&registry), "nobody has started it");
    take(&mut registry, Input::Start { channel: ada() }).unwrap();
    assert!(awaits(&registry));
    take(&mut registry, charter(2, &["one"], GoLive::Auto)).unwrap();
    assert!(!awaits(&registry), "it goes live by itself");
    take(&mut registry, charter(3, &["one"], GoLive::Manual)).unwrap();
    let epoch = publish(&mut registry, "one").unwrap().unwrap().epoch;
    assert!(!awaits(&registry), "it is there");
    take(&mut registry, Input::Release { channel: ada(), epoch, how: Departure::EndSession }).unwrap();
    assert!(awaits(&registry), "its session is over, and another publish begins the next");
    take(&mut registry, Input::End { channel: ada() }).unwrap();
    assert!(!awaits(&registry));
}

#[test]
fn a_session_ends_when_somebody_says_so_and_ending_nothing_is_no_error() {
    let mut registry = registry();
    let end = || Input::End { channel: ada() };
    assert_eq!(take(&mut registry, end()), Err(Refused::NoSuch(NoSuch::Channel)));
    take(&mut registry, charter(1, &["one"], GoLive::Auto)).unwrap();
    let before = registry.revision();
    take(&mut registry, end()).unwrap();
    assert_eq!(registry.revision(), before, "nothing is logged that changes nothing");
    publish(&mut registry, "one").unwrap();
    take(&mut registry, end()).unwrap();
    assert_eq!(state(&registry), Some(ChannelState::Ended));
}

#[test]
fn a_purge_names_the_newest_publish_and_leaves_who_may_watch() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one"], GoLive::Auto)).unwrap();
    let claimed = publish(&mut registry, "one").unwrap().unwrap();
    take(&mut registry, Input::Purge { channel: ada() }).unwrap();
    let mark = registry.annex().marks.of(&ada());
    assert_eq!((mark.purged, mark.visibility), (claimed.epoch, Visibility::Private));
}

#[test]
fn keys_are_found_again_after_a_restart() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one"], GoLive::Auto)).unwrap();
    let later = postcard::from_bytes(&postcard::to_stdvec(registry.later()).unwrap()).unwrap();
    let mut read: Registry = postcard::from_bytes(&postcard::to_stdvec(&registry).unwrap()).unwrap();
    read.set_later(later);
    read.index();
    assert_eq!(read, registry);
    assert!(read.channel_of(&key("one")).is_some());
}

#[test]
fn nothing_of_it_is_agreed_on_before_version_2_is() {
    let mut registry = Registry::new(1, Times::default());
    let channel = ada;
    for input in [
        charter(1, &["one"], GoLive::Auto),
        removal(1),
        Input::Start { channel: channel() },
        Input::End { channel: channel() },
        Input::Purge { channel: channel() },
    ] {
        assert_eq!((input.since(), take(&mut registry, input)), (Level(2), Err(Refused::Unavailable)));
    }
    assert_eq!(registry.chartered(), 0);
}

#[test]
fn a_charter_has_so_many_keys_and_one_with_more_changes_nothing() {
    let mut registry = registry();
    let names: Vec<String> = (0..=Charter::MAX_KEYS).map(|n| format!("key {n}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    take(&mut registry, charter(1, &keys[..Charter::MAX_KEYS], GoLive::Auto)).unwrap();
    let before = registry.revision();
    assert_eq!(
        take(&mut registry, charter(2, &keys, GoLive::Auto)),
        Err(Refused::TooMany(NoSuch::StreamKey)),
        "one more"
    );
    assert_eq!(registry.revision(), before);
    take(&mut registry, charter(2, &[], GoLive::Auto)).unwrap();
    assert_eq!(publish(&mut registry, keys[0]), Err(Refused::UnknownKey), "with no key nobody may");
}

#[test]
fn a_key_moves_to_another_channel_whichever_charter_comes_first() {
    let bob = || "bob".parse::<ChannelName>().unwrap();
    let whose = |registry: &mut Registry| publish(registry, "one").map(|claimed| claimed.unwrap().channel);
    for gives_first in [true, false] {
        let mut registry = registry();
        take(&mut registry, charter(1, &["one"], GoLive::Auto)).unwrap();
        assert_eq!(whose(&mut registry), Ok(ada()));
        let (gives, takes) = (charter(2, &[], GoLive::Auto), charter_of(bob(), 1, &["one"], GoLive::Auto));
        for input in if gives_first { [gives, takes] } else { [takes, gives] } {
            take(&mut registry, input).unwrap();
        }
        assert_eq!((whose(&mut registry), state(&registry)), (Ok(bob()), Some(ChannelState::Ended)));
    }
}

#[test]
fn what_was_removed_is_gone_with_its_marks_and_nothing_can_be_done_with_it() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one"], GoLive::Manual)).unwrap();
    take(&mut registry, removal(2)).unwrap();
    assert_eq!((registry.chartered(), state(&registry)), (0, None));
    assert_eq!(registry.annex().marks.of(&ada()), Mark::default());
    let before = registry.revision();
    for input in [Input::Start { channel: ada() }, Input::End { channel: ada() }, Input::Purge { channel: ada() }] {
        assert_eq!(take(&mut registry, input), Err(Refused::NoSuch(NoSuch::Channel)));
    }
    take(&mut registry, removal(2)).unwrap();
    assert_eq!(registry.revision(), before, "once is enough");
}

#[test]
fn a_removal_that_comes_before_the_channel_keeps_it_from_being_made() {
    let mut registry = registry();
    take(&mut registry, removal(5)).unwrap();
    take(&mut registry, charter(4, &["one"], GoLive::Auto)).unwrap();
    assert_eq!((registry.chartered(), publish(&mut registry, "one")), (0, Err(Refused::UnknownKey)));
}

#[test]
fn a_start_holds_until_the_end_however_often_it_is_said() {
    let mut registry = registry();
    let (start, end) = (|| Input::Start { channel: ada() }, || Input::End { channel: ada() });
    assert_eq!(take(&mut registry, start()), Err(Refused::NoSuch(NoSuch::Channel)));
    take(&mut registry, charter(1, &["one"], GoLive::Manual)).unwrap();
    take(&mut registry, start()).unwrap();
    let before = registry.revision();
    take(&mut registry, start()).unwrap();
    assert_eq!(registry.revision(), before, "it was started");
    take(&mut registry, end()).unwrap();
    assert_eq!(publish(&mut registry, "one"), Err(Refused::NotStarted), "an end before the publish takes it back");
}

#[test]
fn how_sessions_begin_can_change_while_one_goes_on() {
    let mut registry = registry();
    take(&mut registry, charter(1, &["one"], GoLive::Auto)).unwrap();
    publish(&mut registry, "one").unwrap();
    take(&mut registry, charter(2, &["one"], GoLive::Manual)).unwrap();
    assert_eq!(state(&registry), Some(ChannelState::Starting), "it goes on");
    take(&mut registry, Input::End { channel: ada() }).unwrap();
    assert_eq!(publish(&mut registry, "one"), Err(Refused::NotStarted), "the next one waits");
    take(&mut registry, charter(3, &["one"], GoLive::Auto)).unwrap();
    assert!(publish(&mut registry, "one").is_ok());
}

#[test]
fn a_purge_of_what_was_never_published_or_was_purged_changes_nothing() {
    let mut registry = registry();
    let purge = || Input::Purge { channel: ada() };
    assert_eq!(take(&mut registry, purge()), Err(Refused::NoSuch(NoSuch::Channel)));
    take(&mut registry, charter(1, &["one"], GoLive::Auto)).unwrap();
    let before = registry.revision();
    take(&mut registry, purge()).unwrap();
    assert_eq!(registry.revision(), before);
    publish(&mut registry, "one").unwrap();
    take(&mut registry, purge()).unwrap();
    let before = registry.revision();
    take(&mut registry, purge()).unwrap();
    assert_eq!(registry.revision(), before);
    let next = publish(&mut registry, "one").unwrap().unwrap();
    assert!(next.epoch > registry.annex().marks.of(&ada()).purged, "what is published next is seen");
}
