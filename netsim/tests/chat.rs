//! The mesh of chat hubs: a bounded slice of its campaign, and the bugs that it must find. `make sim` plays thousands.

use freshet_netsim::chat::{Bug, Fault, Kind, Plan, Sometimes, Violation, What, play};

#[test]
fn nothing_acknowledged_is_lost_doubled_or_out_of_order_whatever_happens_to_hubs() {
    let mut sometimes = Sometimes::default();
    for seed in 0..300 {
        let plan = Plan::of(seed);
        let outcome = play(&plan, None);
        if let Some((at_ms, violation)) = outcome.violation {
            panic!("{plan}at {at_ms} ms: {violation}; see `netsim chat --replay {seed}`");
        }
        sometimes.add(outcome.sometimes);
    }
    let Sometimes { acked, refused, again, homes, alone, woken, .. } = sometimes;
    for (what, count, least) in [
        ("posts acknowledged", acked, 50_000),
        ("posts refused", refused, 10_000),
        ("posts sent again", again, 1_000),
        ("changes of homes", homes, 500),
        ("posts acknowledged without a control plane", alone, 1_000),
        ("posts to a channel at rest", woken, 1_000),
    ] {
        assert!(count >= least, "{what}: {count}, fewer than {least}: {sometimes}");
    }
}

#[test]
fn a_seed_comes_out_the_same_every_time() {
    for seed in [1, 2, 46, 815] {
        let [first, second] = [(); 2].map(|()| play(&Plan::of(seed), None));
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.story, second.story, "seed {seed}");
    }
}

#[test]
fn every_bug_that_is_put_in_is_found() {
    for bug in Bug::ALL {
        let found = (0..bug.within()).any(|seed| play(&Plan::of(seed), Some(bug)).violation.is_some());
        assert!(found, "{} was not found within {} seeds", bug.name(), bug.within());
    }
}

/// The home of the first channel among five hubs.
const HOME: usize = 3;

/// A plan in which one thing goes wrong.
fn one(seed: u64, what: What, for_ms: u64) -> Plan {
    let (at_ms, kind) = (6_000, Kind::Calm);
    let faults = vec![Fault { at_ms, for_ms, what }];
    Plan { seed, kind, hubs: 5, channels: 1, delay_ms: 120, faults, healed_ms: at_ms + for_ms }
}

#[test]
fn how_long_a_client_waits_for_a_hub_that_is_gone_is_not_the_mesh_and_a_slow_hub_is() {
    for seed in 0..100 {
        let violation = play(&one(seed, What::Drain(HOME), 300), None).violation;
        assert_eq!(violation, None, "seed {seed}");
    }
    let found = play(&one(0, What::Drain(HOME), 300), Some(Bug::TailsLate)).violation.map(|(_, violation)| violation);
    assert!(matches!(found, Some(Violation::Slow(_, "when a hub was drained"))), "{found:?}");
}

#[test]
fn control_nodes_that_begin_anew_from_a_backup_cost_nothing_that_hubs_have() {
    for seed in 0..100 {
        let violation = play(&one(seed, What::Restore, 1_500), None).violation;
        assert_eq!(violation, None, "seed {seed}");
    }
}
