use super::*;

fn shown(channel: &Channel, count: usize) -> String {
    show_all(&channel.home.state().history().last_shown(count))
}

#[test]
fn history_has_no_text_of_what_was_taken_back() {
    let mut channel = Channel::open();
    for (name, text) in [("bob", "one"), ("eve", "two"), ("bob", "three"), ("eve", "four")] {
        channel.post(0, name, text);
    }
    channel.post(1, "mod", "/timeout bob 5");
    assert_eq!(shown(&channel, 100), "1.1:bob:- 1.2:eve:two 1.3:bob:- 1.4:eve:four");
    channel.post(2, "mod", "/clear");
    channel.post(3, "eve", "five");
    assert_eq!(shown(&channel, 3), "1.3:bob:- 1.4:eve:- 1.7:eve:five");
    let snapshot = format!("{:?}", channel.home.snapshot(at(3)));
    assert!(!snapshot.contains("three") && snapshot.contains("five"));
}

fn small(events: usize) -> History {
    let limits = Limits { events, replay: 8, after_gap: 3, ..Limits::default() };
    let mut history = History::new(limits);
    for seq in 1..=10 {
        assert!(history.push(message(1, seq), BEGIN));
    }
    history
}

fn message(epoch: u64, seq: u64) -> Arc<Event> {
    let mut channel = Channel::open();
    channel.post(0, "bob", &format!("m{seq}"));
    let event = channel.home.state().history().iter().next().unwrap().clone();
    let What::Message(message) = &event.what else { panic!() };
    let id = MessageId(epoch * 1_000 + seq);
    let what = What::Message(freshet_proto::chat::Message { id, ..message.clone() });
    Arc::new(Event { position: Position::new(epoch, seq), what, ..Event::clone(&event) })
}

fn resume(history: &History, position: &str) -> String {
    let numbers = |events: &[Arc<Event>]| events.iter().map(|e| e.position.to_string()).collect::<Vec<_>>().join(" ");
    match history.resume(position.parse().unwrap()) {
        Resume::Replay(events) => format!("replay {}", numbers(&events)),
        Resume::Gap { missed: Some(missed), tail } => format!("{missed} missed, then {}", numbers(&tail)),
        Resume::Gap { missed: None, tail } => format!("unknown, then {}", numbers(&tail)),
    }
}

#[test]
fn who_comes_back_gets_everything_since_or_hears_how_much_is_missing() {
    let history = small(6);
    assert_eq!(resume(&history, "1.10"), "replay ");
    assert_eq!(resume(&history, "1.7"), "replay 1.8 1.9 1.10");
    assert_eq!(resume(&history, "1.4"), "replay 1.5 1.6 1.7 1.8 1.9 1.10");
    assert_eq!(resume(&history, "1.3"), "4 missed, then 1.8 1.9 1.10");
    assert_eq!(resume(&history, "0.0"), "7 missed, then 1.8 1.9 1.10");
    for unknown in ["1.11", "2.3", "0.5"] {
        assert_eq!(resume(&history, unknown), "unknown, then 1.8 1.9 1.10", "{unknown}");
    }
    assert_eq!(resume(&small(100), "1.2"), "replay 1.3 1.4 1.5 1.6 1.7 1.8 1.9 1.10");
    assert_eq!(resume(&small(100), "1.1"), "6 missed, then 1.8 1.9 1.10", "longer than a replay may be");
}

#[test]
fn numbers_go_on_over_a_change_of_epoch_and_what_a_dead_home_showed_alone_is_replaced() {
    let mut history = small(100);
    assert!(history.push(message(3, 11), BEGIN));
    assert_eq!(resume(&history, "1.10"), "replay 3.11");
    assert_eq!(resume(&history, "1.14"), "replay 3.11", "1.11 to 1.14 are of nobody's history any more");
    assert_eq!(resume(&history, "2.11"), "unknown, then 1.9 1.10 3.11");

    let mut cut_off = small(100);
    assert!(!cut_off.push(message(3, 12), BEGIN), "3.11 is lacking");
    assert!(!cut_off.push(message(1, 10), BEGIN), "again");
    assert!(cut_off.push(message(3, 9), BEGIN));
    assert_eq!(resume(&cut_off, "1.7"), "replay 1.8 3.9");
    assert_eq!(resume(&cut_off, "1.10"), "replay 3.9");
    assert_eq!(cut_off.message(MessageId(1_010)), None);
}

#[test]
fn a_history_is_bounded_in_number_bytes_and_age() {
    let lengths = |limits: Limits, step_ms: u64| {
        let mut history = History::new(limits);
        for seq in 1..=50 {
            let event = Event { at_ms: BEGIN + seq * step_ms, ..Event::clone(&message(1, seq)) };
            history.push(Arc::new(event), BEGIN + seq * step_ms);
        }
        history.iter().count()
    };
    assert_eq!(lengths(Limits { events: 20, ..Limits::default() }, 1), 20);
    assert_eq!(lengths(Limits { keep: 5, ..Limits::default() }, 60_000), 11);
    assert_eq!(lengths(Limits { keep: 30, ..Limits::default() }, 60_000), 30);
    let few = lengths(Limits { bytes: 5_000, ..Limits::default() }, 1);
    assert!((5..=12).contains(&few), "{few}");
}

#[test]
fn a_tail_makes_the_same_history() {
    let history = small(100);
    let tail = history.tail(4);
    let written = postcard::to_stdvec(&tail).unwrap();
    let copy = History::of(Limits::default(), postcard::from_bytes(&written).unwrap(), BEGIN);
    assert_eq!(copy.tail(4), tail);
    assert_eq!(copy.head(), history.head());
    assert_eq!(resume(&copy, "1.6"), "replay 1.7 1.8 1.9 1.10");
}

#[test]
fn a_snapshot_of_the_largest_channel_fits_into_a_frame() {
    let mut snapshot = Channel::open().home.snapshot(at(0));
    let reason = freshet_proto::chat::Reason::cut(&"r".repeat(500));
    for n in 0..crate::moderation::MAX_BANS {
        let ban =
            crate::moderation::Ban { until_ms: Some(BEGIN), at_ms: BEGIN, by: login("ada"), reason: reason.clone() };
        snapshot.durable.bans.insert(login(&format!("{n:032}")), ban);
    }
    snapshot.spoke = (0..crate::home::pace::LastSpoke::MAX).map(|n| (login(&format!("{n:032}")), 60_000)).collect();
    let bans = snapshot.durable.bans.len();
    let fitting = snapshot.fit();
    assert_eq!(fitting.durable.bans.len(), bans);
    let written = freshet_proto::quic::frame(&fitting).unwrap();
    assert!(written.len() <= Snapshot::MAX + (1 << 20), "{}", written.len());
    assert_eq!(fitting.clone().fit(), fitting, "what fits stays");
}
