//! A platform whose registry three control nodes replicate, and what becomes of its viewers when they die.

use freshet_netsim::{
    bugs::Bug,
    campaign::{Suite, campaign, play_safely},
    schedule::{CONTROLS, Farewell, Fault, Handover, LEADER, Layout, ORIGINS, Planned, Schedule},
    sometimes::Situation,
    weather::Link,
    world::Outcome,
};

fn play(seed: u64, faults: Vec<Planned>, bug: Option<Bug>) -> Outcome {
    let usual = Link { loss_permille: 5, delay_ms: 0, jitter_ms: 10 };
    let schedule =
        Schedule { seed, layout: Layout::Platform, usual, faults, heal_ms: 18_000, farewell: Farewell::Goodbye };
    play_safely(&schedule, bug, false)
}

#[test]
fn the_leader_dies_and_the_encoder_moves_to_the_other_origin_and_viewers_go_on() {
    let leader = Planned { at_ms: 8_000, for_ms: 6_000, fault: Fault::Crash(LEADER) };
    let moves = Planned { at_ms: 8_100, for_ms: 900, fault: Fault::Encoder(Handover::Dies, ORIGINS[1]) };
    let outcome = play(1, vec![leader, moves], None);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
    assert_eq!(outcome.sometimes.of(Situation::TookOverElsewhere), 1, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::Discontinuity) > 0, "{:#?}", outcome.story);
    assert_eq!(outcome.sometimes.of(Situation::EndedEarly), 0, "{:#?}", outcome.story);
    assert!(outcome.longest_wait_ms < 5_000, "{} ms: {:#?}", outcome.longest_wait_ms, outcome.story);
}

#[test]
fn no_promise_is_broken_by_the_first_seeds_of_a_platform() {
    let report = campaign(Suite::Platform, 0..12, 2, |_| {});
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(report.failed.is_empty(), "{}", failures.join("\n\n"));
    for situation in [Situation::LeaderKilledClaiming, Situation::ControlLostBytes, Situation::NoControl] {
        assert!(report.sometimes.of(situation) > 0, "this never came up: {situation}");
    }
}

#[test]
fn control_nodes_whose_disks_say_that_they_have_synced_are_found_out_when_all_die() {
    let all = CONTROLS.map(|host| Planned { at_ms: 8_000, for_ms: 1_000, fault: Fault::Crash(host) }).to_vec();
    assert_eq!(play(1, all.clone(), None).violation, None);
    assert!(play(1, all, Some(Bug::FsyncSkipped)).violation.is_some());
}
