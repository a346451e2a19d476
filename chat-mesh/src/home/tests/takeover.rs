use super::*;

/// A home and a standby that follows it.
fn pair() -> (Channel, State) {
    let mut channel = Channel::open();
    channel.input(0, Input::Standby(Some(2)));
    let standby = State::restore(Limits::default(), channel.home.snapshot(at(0)), at(0));
    (channel, standby)
}

fn follow(channel: &Channel, standby: &mut State, ms: u64) {
    for output in &channel.out {
        if let Output::Record(record) = output {
            let written = postcard::to_stdvec(record).unwrap();
            assert!(standby.follow(postcard::from_bytes(&written).unwrap(), at(ms)));
        }
    }
}

fn take_over(epoch: u64, own: State, tails: Vec<Tail>, ms: u64) -> Channel {
    Channel::over(Home::take_over(settings(2), epoch, own, tails, at(ms)).unwrap())
}

fn all(channel: &Channel) -> String {
    show_all(&channel.home.state().history().iter().cloned().collect::<Vec<_>>())
}

#[test]
fn a_standby_that_follows_has_the_state_of_its_home() {
    let (mut channel, mut standby) = pair();
    for (name, text) in [
        ("bob", "one"),
        ("mod", "/ban eve spam"),
        ("mod", "/hold meh"),
        ("bob", "meh"),
        ("mod", "/slow 7"),
        ("mod", "/block x*"),
        ("ada", "/vip zoe"),
        ("mod", "/shield"),
        ("vip", "two"),
        ("bob", "refused"),
    ] {
        channel.submit(5, submit(name, text, text));
        follow(&channel, &mut standby, 5);
    }
    let pin = format!("/pin {}", channel.id(0));
    channel.submit(6, submit("mod", "pin", &pin));
    follow(&channel, &mut standby, 6);
    let (mut home, mut copy) = (channel.home.snapshot(at(7)), standby.snapshot(at(7)));
    assert_eq!(home.recent.len(), 10);
    // What a command did is known to its home alone; that it was done, and where, to both.
    for (_, outcome) in home.recent.iter_mut().chain(&mut copy.recent) {
        if let Outcome::Done(accepted) = outcome {
            accepted.done = None;
        }
    }
    home.recent.retain(|(_, outcome)| !matches!(outcome, Outcome::Done(done) if done.position.is_none()));
    assert_eq!(home.durable, copy.durable);
    assert_eq!(home.recent, copy.recent);
    assert_eq!(home, copy);
}

#[test]
fn the_standby_goes_on_with_the_next_number_in_its_epoch() {
    let (mut channel, mut standby) = pair();
    let first = submit("bob", "x", "one");
    channel.submit(0, submit("mod", "s", "/slow 10"));
    follow(&channel, &mut standby, 0);
    channel.submit(0, first.clone());
    follow(&channel, &mut standby, 0);
    let mut next = take_over(2, standby, Vec::new(), 3_000);
    assert_eq!(next.submit(3_000, first), "#1=1.2", "sent again, said once");
    assert_eq!(next.post(3_000, "bob", "two"), "#2!msg_slowmode/7000");
    assert_eq!(next.post(10_000, "bob", "two"), "2.3:bob:two #3=2.3");
    assert!(next.ids.last() > channel.ids.last());
}

#[test]
fn what_any_hub_has_shown_survives_home_and_standby() {
    let (mut channel, _) = pair();
    channel.submit(0, submit("mod", "b", "/ban eve"));
    channel.submit(0, submit("bob", "x", "one"));
    channel.submit(50_000, submit("bob", "y", "two"));
    let long = channel.home.state().history().tail(100);
    let short = Tail { events: long.events[..2].to_vec(), ..long.clone() };
    let late = Tail { events: long.events[2..].to_vec(), ..long.clone() };
    let mut next = take_over(4, fresh(), vec![short, late], 60_000);
    assert_eq!(all(&next), "1.1:ban:eve 1.2:bob:one 1.3:bob:two");
    assert_eq!(next.submit(60_000, submit("bob", "y", "two")), "#1=1.3");
    assert_eq!(next.post(60_000, "eve", "x"), "#2!msg_banned");
    assert_eq!(next.post(60_000, "bob", "three"), "4.4:bob:three #3=4.4");
}

#[test]
fn where_events_are_missing_the_history_begins_after_the_hole() {
    let (mut channel, _) = pair();
    for n in 0..6 {
        channel.post(n, "bob", &n.to_string());
    }
    let tail = channel.home.state().history().tail(100);
    let part = |range: std::ops::Range<usize>| Tail { events: tail.events[range].to_vec(), ..tail.clone() };
    let next = take_over(2, fresh(), vec![part(0..2), part(3..6)], 10);
    assert_eq!(all(&next), "1.4:bob:3 1.5:bob:4 1.6:bob:5");
    let resumed = next.home.state().history().resume(Position::new(1, 1));
    assert!(matches!(resumed, Resume::Gap { missed: Some(2), .. }), "{resumed:?}");
}

#[test]
fn what_a_home_that_was_cut_off_put_in_order_alone_is_lost_and_can_be_said_again() {
    let (mut old, mut standby) = pair();
    old.submit(0, submit("bob", "a", "both"));
    follow(&old, &mut standby, 0);
    let mut new = take_over(2, standby, Vec::new(), 1_000);
    assert_eq!(old.submit(1_000, submit("bob", "b", "alone")), "1.2:bob:alone");
    assert_eq!(new.submit(1_000, submit("eve", "c", "other")), "2.2:eve:other #1=2.2");
    // The old home is asked for its tail when the next takes over, and is the next itself.
    let own = State::restore(Limits::default(), old.home.snapshot(at(2_000)), at(2_000));
    let mut third = take_over(3, own, vec![new.home.state().history().tail(1)], 2_000);
    assert_eq!(all(&third), "1.1:bob:both 2.2:eve:other");
    assert_eq!(third.submit(2_000, submit("bob", "b", "alone")), "3.3:bob:alone #1=3.3");
    assert_eq!(third.submit(2_000, submit("eve", "c", "other")), "#2=2.2");
}

#[test]
fn an_epoch_that_is_not_newer_than_what_was_seen_begins_nothing() {
    let (mut channel, _) = pair();
    channel.post(0, "bob", "one");
    let tail = channel.home.state().history().tail(1);
    let refused = Home::take_over(settings(2), 1, fresh(), vec![tail], at(0)).unwrap_err();
    assert_eq!(refused, StaleEpoch { epoch: 1, seen: Position::new(1, 1) });
}

#[test]
fn a_tail_that_still_has_a_deleted_text_brings_it_not_back() {
    let (mut channel, _) = pair();
    channel.post(0, "bob", "secret");
    let unaware = channel.home.state().history().tail(1);
    let delete = format!("/delete {}", channel.id(0));
    channel.post(1, "mod", &delete);
    let own = State::restore(Limits::default(), channel.home.snapshot(at(2)), at(2));
    let next = take_over(2, own, vec![unaware], 2);
    assert_eq!(all(&next), "1.1:bob:- 1.2:delete:bob");
}

#[test]
fn a_long_history_leaves_room_for_posts_after_a_take_over() {
    let (mut channel, _) = pair();
    for n in 0..Recent::MAX as u64 + 100 {
        channel.submit(n * 10, submit("vip2", &n.to_string(), &n.to_string()));
        channel.input(n * 10, Input::StandbyHas { hub: 2, position: Position::new(1, n + 1) });
    }
    let ms = Recent::MAX as u64 * 10 + 1_000;
    let mut next = take_over(2, fresh(), vec![channel.home.state().history().tail(20_000)], ms);
    assert!(next.post(ms, "bob", "hi").contains(":bob:hi"));
}
