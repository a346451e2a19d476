use freshet_proto::{
    health::{Advice, Uplink},
    id::{Epoch, NodeId},
};

use super::*;

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

/// A change of `ada` at a revision, which is also the time, in seconds.
fn delta(revision: u64, state: ChannelState, session: u64, epoch: u64, origin: u64) -> Delta {
    let epochs = vec![EpochView { epoch: Epoch(epoch), origin: NodeId(origin) }];
    let channel = ChannelView { state, session: Some(SessionId(session)), epochs };
    Delta { revision, channels: vec![(ada(), Some(channel))], nodes: vec![], removed: None, annex: vec![] }
}

fn after(deltas: &[Delta]) -> Histories {
    let mut histories = Histories::default();
    histories.begin(0, &View::default());
    deltas.iter().for_each(|delta| histories.changed(delta.revision * 1000, delta));
    histories
}

fn events(histories: &Histories) -> Vec<(u64, u64, Happened)> {
    histories.of(0, &ada()).events.iter().map(|event| (event.at_ms / 1000, event.origin.0, event.what)).collect()
}

use ChannelState::{Ended, Grace, Live, Starting};

#[test]
fn an_encoder_comes_is_lost_comes_back_moves_is_taken_over_and_does_not_come_back() {
    let histories = after(&[
        delta(1, Starting, 1, 1, 7),
        delta(2, Live, 1, 1, 7),
        delta(3, Grace, 1, 1, 7),
        delta(4, Starting, 1, 4, 7),
        delta(5, Live, 1, 4, 7),
        delta(6, Grace, 1, 4, 7),
        delta(7, Starting, 1, 7, 8),
        delta(8, Live, 1, 7, 8),
        delta(9, Starting, 1, 9, 8),
        delta(10, Grace, 1, 9, 8),
        delta(11, Ended, 1, 9, 8),
        delta(12, Starting, 12, 12, 7),
    ]);
    let expected = [
        (1, 7, Happened::Came),
        (2, 7, Happened::Live),
        (3, 7, Happened::Lost),
        (4, 7, Happened::CameBack),
        (5, 7, Happened::Live),
        (6, 7, Happened::Lost),
        (7, 8, Happened::Moved),
        (8, 8, Happened::Live),
        (9, 8, Happened::TookOver),
        (10, 8, Happened::Lost),
        (11, 8, Happened::TimedOut),
        (12, 7, Happened::Came),
    ];
    assert_eq!(events(&histories), expected);
}

#[test]
fn what_a_change_came_of_may_be_heard_before_it_or_after_it() {
    let last = |cause: Cause, state| {
        let began = [delta(1, Starting, 1, 1, 7), delta(2, Live, 1, 1, 7)];
        let mut first = after(&began);
        first.because(3, cause);
        first.changed(3000, &delta(3, state, 1, 1, 7));
        let mut second = after(&began);
        second.changed(3000, &delta(3, state, 1, 1, 7));
        second.because(3, cause);
        let (first, second) = (events(&first), events(&second));
        assert_eq!(first, second);
        first.last().map(|event| event.2)
    };
    assert_eq!(last(Cause::Left, Grace), Some(Happened::Left));
    assert_eq!(last(Cause::ServerLost, Grace), Some(Happened::ServerLost));
    assert_eq!(last(Cause::Ended, Ended), Some(Happened::Ended));
    assert_eq!(last(Cause::KeyChanged, Ended), Some(Happened::KeyChanged));
    assert_eq!(last(Cause::Changed, Ended), Some(Happened::Changed));
}

#[test]
fn a_leader_that_begins_says_so_and_knows_who_is_live() {
    let began = delta(1, Live, 1, 1, 7);
    let view = View { channels: [(ada(), began.channels[0].1.clone().unwrap())].into(), ..View::default() };
    let mut histories = Histories::default();
    histories.begin(500, &view);
    histories.changed(2000, &delta(2, Grace, 1, 1, 7));
    assert_eq!((histories.of(0, &ada()).since_ms, events(&histories)), (500, vec![(2, 7, Happened::Lost)]));
}

#[test]
fn only_so_many_events_and_points_are_kept_and_the_oldest_go() {
    let mut histories = after(&[]);
    for turn in 1..=100 {
        histories.changed(turn * 1000, &delta(turn, Starting, 1, turn, 7));
    }
    let kept = events(&histories);
    assert_eq!((kept.len(), kept[0].0), (History::MAX_EVENTS, 37));
    for turn in 0..History::MAX_POINTS as u64 + 9 {
        histories.hear(turn * 4000, &ada(), &Health { bitrate: turn, ..Health::default() });
    }
    let points = histories.of(0, &ada()).points;
    assert_eq!((points.len(), points[0].bitrate), (History::MAX_POINTS, 9));
}

#[test]
fn every_second_report_makes_a_point_which_is_forgotten_after_half_an_hour() {
    let mut histories = after(&[]);
    [0, 2000, 4000, 6000].into_iter().for_each(|at| histories.hear(at, &ada(), &Health::default()));
    let times: Vec<u64> = histories.of(0, &ada()).points.iter().map(|point| point.at_ms).collect();
    assert_eq!(times, [0, 4000]);
    histories.changed(POINTS_FOR_MS + 2000, &delta(1, Starting, 1, 1, 7));
    assert_eq!((histories.of(0, &ada()).points.len(), histories.points), (1, 1));
    histories.changed(2 * REMEMBERED_MS, &Delta { channels: vec![], ..delta(2, Starting, 1, 1, 7) });
    assert!(histories.pasts.is_empty());
}

#[test]
fn a_test_keeps_every_alert_until_another_one_begins() {
    let alert = |kind: &str| Advice { kind: kind.to_owned(), advice: kind.to_uppercase() };
    let health = |since_ms, alerts| Health { since_ms, alerts, uplink: Uplink::default(), ..Health::default() };
    let mut histories = after(&[]);
    histories.try_out(1000, &ada(), &health(1, vec![alert("a")]));
    histories.try_out(3000, &ada(), &health(1, vec![alert("b")]));
    let test = histories.of(4000, &ada()).test.unwrap();
    assert_eq!((test.goes_on, test.points.len(), test.health.alerts), (true, 2, vec![alert("b"), alert("a")]));
    assert!(!histories.of(9000, &ada()).test.unwrap().goes_on);
    histories.try_out(10_000, &ada(), &health(2, vec![]));
    let test = histories.of(10_000, &ada()).test.unwrap();
    assert_eq!((test.points.len(), test.health.alerts), (1, vec![]));
}
