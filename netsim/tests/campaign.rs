//! A bounded slice of the campaign that `make sim` runs at length.

mod shrinks;

use freshet_netsim::{
    bugs::Bug,
    campaign::{Suite, campaign, find, play_safely},
    schedule::Schedule,
    sometimes::Situation,
};

#[test]
fn no_promise_is_broken_by_the_first_seeds_and_the_same_seed_gives_the_same_trace() {
    let report = campaign(Suite::Single, 0..40, 2, |_| {});
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(report.failed.is_empty(), "{}", failures.join("\n\n"));
    assert!(report.twice >= 2 && report.unlike.is_empty(), "came out differently: {:?}", report.unlike);
    for situation in [Situation::TookOverElsewhere, Situation::UnsyncedLost, Situation::FollowLost] {
        assert!(report.sometimes.of(situation) > 0, "this never came up: {situation}");
    }
}

#[test]
fn another_seed_gives_another_trace() {
    let digest = |seed| play_safely(&Schedule { seed, ..Schedule::of(1) }, None, false).digest;
    assert_ne!(digest(1), digest(2));
}

/// Each test stands alone, so that they run beside each other.
fn assert_found(bug: Bug) {
    assert_found_in(Suite::Single, bug);
}

fn assert_found_in(suite: Suite, bug: Bug) {
    let within = bug.within(suite).expect("it does harm");
    let found = find(suite, bug, 0..within);
    assert!(found.is_some(), "{bug} was not found by {within} seeds");
}

#[test]
fn an_edge_that_does_not_fence_is_found() {
    assert_found(Bug::FencingOff);
}

#[test]
fn a_disk_that_says_it_has_synced_is_found() {
    assert_found(Bug::FsyncSkipped);
}

#[test]
fn a_short_fill_that_is_stored_is_found() {
    assert_found(Bug::ShortFillStored);
}

#[test]
fn an_origin_whose_death_nobody_tells_is_found() {
    assert_found_in(Suite::Platform, Bug::LeaseNeverExpires);
}

#[test]
fn a_watch_that_resumes_with_a_hole_is_found() {
    assert_found(Bug::WatchResumesCompacted);
}

#[test]
fn a_takeover_that_forgets_its_numbers_is_found() {
    assert_found(Bug::TakeoverForgetsMsn);
}

#[test]
fn a_failing_schedule_shrinks_to_one_that_fails_alike_and_replays_exactly() {
    shrinks::shrinks_and_replays_exactly(Schedule::of);
}

#[test]
fn two_hundred_rounds_of_killing_and_coming_back_break_no_promise() {
    let outcome = play_safely(&Schedule::rounds(1, 200), None, false);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::TookOverElsewhere) >= 200, "{:?}", outcome.sometimes);
}
