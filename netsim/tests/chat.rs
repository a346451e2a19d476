//! The mesh of chat hubs: a bounded slice of its campaign, and the bugs that it must find. `make sim` plays thousands.

use freshet_netsim::chat::{Bug, Plan, Sometimes, play};

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
