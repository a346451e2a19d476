//! A platform whose registry three control nodes replicate, and what becomes of its viewers when they die.

mod shrinks;

use std::process::Command;

use freshet_netsim::{
    bugs::Bug,
    campaign::{Suite, campaign, find, play_safely},
    invariants::Rule,
    schedule::{CONTROLS, Farewell, Fault, Handover, LEADER, Layout, ORIGINS, Planned, Schedule},
    sometimes::Situation,
    weather::Link,
    world::Outcome,
};

fn schedule(seed: u64, faults: Vec<Planned>) -> Schedule {
    let usual = Link { loss_permille: 5, delay_ms: 0, jitter_ms: 10 };
    Schedule { seed, layout: Layout::Platform, usual, faults, heal_ms: 18_000, farewell: Farewell::Goodbye }
}

fn play(seed: u64, faults: Vec<Planned>, bug: Option<Bug>) -> Outcome {
    play_safely(&schedule(seed, faults), bug, false)
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
fn no_promise_is_broken_by_the_first_seeds_of_a_platform_and_the_same_seed_gives_the_same_trace() {
    let report = campaign(Suite::Platform, 0..12, 2, |_| {});
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(report.failed.is_empty(), "{}", failures.join("\n\n"));
    assert!(report.twice >= 2 && report.unlike.is_empty(), "came out differently: {:?}", report.unlike);
    for situation in [Situation::LeaderKilledClaiming, Situation::ControlLostBytes, Situation::NoControl] {
        assert!(report.sometimes.of(situation) > 0, "this never came up: {situation}");
    }
}

#[test]
fn another_process_plays_the_same_seed_the_same() {
    let digest = play_safely(&Schedule::platform(2), None, false).digest;
    let netsim = Command::new(env!("CARGO_BIN_EXE_netsim")).args(["replay", "2", "--layout", "platform"]).output();
    let said = String::from_utf8(netsim.unwrap().stdout).unwrap();
    assert!(said.contains(&format!("trace {digest}\nplayed again: the same trace")), "not {digest}:\n{said}");
}

#[test]
fn control_nodes_whose_disks_say_that_they_have_synced_are_found_out_when_all_die() {
    let all = CONTROLS.map(|host| Planned { at_ms: 8_000, for_ms: 1_000, fault: Fault::Crash(host) }).to_vec();
    assert_eq!(play(1, all.clone(), None).violation, None);
    assert!(play(1, all, Some(Bug::FsyncSkipped)).violation.is_some());
}

/// The leader is minutes ahead, and dies while the session waits for its encoder. Whoever keeps the grace then is minutes
/// behind the time that the registry has; the grace is as long as ever.
#[test]
fn a_grace_is_as_long_as_ever_under_a_leader_whose_clock_is_minutes_behind_the_last_ones() {
    let skew = |(host, fault)| Planned { at_ms: 0, for_ms: 18_000, fault: Fault::Skew(host, fault) };
    let mut faults = CONTROLS.into_iter().zip([300_000, 0, -300_000]).map(skew).collect::<Vec<_>>();
    faults.push(Planned { at_ms: 7_000, for_ms: 11_000, fault: Fault::Encoder(Handover::Dies, ORIGINS[1]) });
    faults.push(Planned { at_ms: 7_500, for_ms: 10_500, fault: Fault::Crash(CONTROLS[0]) });
    let outcome = play(1, faults, None);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::GraceAcrossClocks) > 0, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::EndedEarly) > 0, "the grace has not ended: {:#?}", outcome.story);
}

/// The other way round: by the clock of whoever leads next the grace was over long ago, yet the encoder finds its session.
#[test]
fn an_encoder_comes_back_to_its_session_under_a_leader_whose_clock_is_ten_minutes_ahead_of_the_last_ones() {
    let skew = |host| Planned { at_ms: 0, for_ms: 18_000, fault: Fault::Skew(host, 600_000) };
    let mut faults: Vec<_> = CONTROLS[1..].iter().copied().map(skew).collect();
    faults.push(Planned { at_ms: 7_000, for_ms: 5_500, fault: Fault::Encoder(Handover::Dies, ORIGINS[1]) });
    faults.push(Planned { at_ms: 7_500, for_ms: 10_500, fault: Fault::Crash(CONTROLS[0]) });
    let outcome = play(1, faults, None);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::GraceAcrossClocks) > 0, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::LeaderAhead) > 0, "{:#?}", outcome.story);
    assert_eq!(outcome.sometimes.of(Situation::EndedEarly), 0, "{:#?}", outcome.story);
    assert_eq!(outcome.sometimes.of(Situation::TookOverElsewhere), 1, "{:#?}", outcome.story);
}

#[test]
fn viewers_go_on_while_all_disks_of_the_control_nodes_are_slow() {
    let slow = CONTROLS.map(|host| Planned { at_ms: 6_000, for_ms: 9_000, fault: Fault::SlowDisk(host, 500) });
    let dies = Planned { at_ms: 8_000, for_ms: 3_000, fault: Fault::Crash(LEADER) };
    let outcome = play(1, slow.into_iter().chain([dies]).collect(), None);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
    assert!(outcome.sometimes.of(Situation::SlowElection) > 0, "{:#?}", outcome.story);
}

#[test]
fn an_origin_that_is_gone_for_good_ends_its_session_by_its_lease_alone() {
    let schedule = Schedule { farewell: Farewell::OriginGone, ..schedule(1, vec![]) };
    let outcome = play_safely(&schedule, None, false);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
    assert!(play_safely(&schedule, Some(Bug::LeaseNeverExpires), false).violation.is_some());
}

/// It says that its publish goes on as soon as the control nodes hear it again, and dies before it has its lease back: once
/// nobody noticed.
#[test]
fn an_origin_that_dies_between_its_return_and_its_lease_ends_its_session_too() {
    let part = |host| Planned { at_ms: 5_000, for_ms: 12_279, fault: Fault::Part(host, ORIGINS[0]) };
    let usual = Link { loss_permille: 1, delay_ms: 0, jitter_ms: 9 };
    let faults = CONTROLS.map(part).to_vec();
    let schedule = Schedule { usual, farewell: Farewell::OriginGone, ..schedule(212, faults) };
    let outcome = play_safely(&schedule, None, false);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
}

/// An encoder's process dies while its claim is under way, and the next one claims at the same origin. The older claim comes
/// in last, because the window that it goes on with is waited for: once it displaced the newer one, and nobody went live.
#[test]
fn of_two_claims_at_one_origin_the_newer_goes_live_though_the_older_comes_in_last() {
    let usurps = |at_ms, for_ms, to| Planned { at_ms, for_ms, fault: Fault::Encoder(Handover::Usurped, to) };
    let part = Planned { at_ms: 11_021, for_ms: 4_750, fault: Fault::Part(CONTROLS[1], ORIGINS[0]) };
    let faults = vec![usurps(7_751, 3_937, ORIGINS[0]), part, usurps(11_321, 4_750, ORIGINS[1])];
    let usual = Link { loss_permille: 9, delay_ms: 0, jitter_ms: 7 };
    let outcome = play_safely(&Schedule { usual, ..schedule(1255, faults) }, None, false);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
}

/// It leaves while nobody has answered yet that it is live: once that was written after its farewell.
#[test]
fn what_an_encoder_said_before_it_left_does_not_bring_it_back() {
    let plan = |at_ms, for_ms, fault| Planned { at_ms, for_ms, fault };
    let faults = vec![
        plan(8_172, 4_000, Fault::CrashClaiming),
        plan(8_172, 1_026, Fault::Encoder(Handover::Cut, ORIGINS[0])),
        plan(13_005, 3_958, Fault::Crash(CONTROLS[0])),
        plan(13_005, 3_958, Fault::Crash(CONTROLS[2])),
        plan(13_505, 607, Fault::Encoder(Handover::Dies, ORIGINS[0])),
    ];
    let usual = Link { loss_permille: 0, delay_ms: 0, jitter_ms: 9 };
    let outcome = play_safely(&Schedule { usual, ..schedule(2992, faults) }, None, false);
    assert_eq!(outcome.violation, None, "{:#?}", outcome.story);
}

/// The rest are found by `netsim bug all`, which takes longer.
#[test]
fn a_watch_that_resumes_with_a_hole_is_found_on_a_platform() {
    let within = Bug::WatchResumesCompacted.within(Suite::Platform).expect("it does harm");
    let found = find(Suite::Platform, Bug::WatchResumesCompacted, 0..within);
    assert!(found.is_some(), "not found by {within} seeds");
}

#[test]
fn keys_that_nobody_could_know_and_revocations_that_nobody_heeds_are_found() {
    for bug in [Bug::KeySignsAtOnce, Bug::RevocationIgnored] {
        let within = bug.within(Suite::Platform).expect("it does harm");
        let (seed, violation) = find(Suite::Platform, bug, 0..within).expect("it is found");
        assert_eq!(violation.rule, Rule::I6, "seed {seed}: {violation}");
    }
}

#[test]
fn a_failing_schedule_of_a_platform_shrinks_and_replays_exactly() {
    shrinks::shrinks_and_replays_exactly(Schedule::platform);
}
