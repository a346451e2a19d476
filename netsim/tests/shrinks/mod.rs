//! What every layout promises of a seed that fails.

use freshet_netsim::{
    bugs::Bug,
    campaign::{play_safely, shrink},
    schedule::Schedule,
};

/// The first of these schedules that fails with a bug in is made shorter, and both fail again as they did.
pub fn shrinks_and_replays_exactly(schedule_of: fn(u64) -> Schedule) {
    let bug = Some(Bug::FsyncSkipped);
    let failing = (0..).map(schedule_of).find_map(|schedule| {
        let violation = play_safely(&schedule, bug, false).violation?;
        (schedule.faults.len() > 2).then_some((schedule, violation))
    });
    let (schedule, violation) = failing.unwrap();
    let failure = shrink(&schedule, bug, violation.clone());
    assert!(failure.shrunk.faults.len() < schedule.faults.len(), "{failure}");
    assert_eq!(failure.shrunk_violation.rule, violation.rule);
    let again = play_safely(&failure.shrunk, bug, false);
    assert_eq!(again.violation, Some(failure.shrunk_violation));
    assert_eq!(play_safely(&schedule, bug, false).violation, Some(violation));
}
