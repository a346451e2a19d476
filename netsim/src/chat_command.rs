//! `netsim chat`: what it prints.

use std::process::ExitCode;

use freshet_netsim::chat::{Bug, Plan, Sometimes, play};
use tokio::time::Instant;

/// How many failures are told in full.
const TOLD: usize = 5;

/// Plays seeds, one seed's story, or seeds with a bug in.
pub fn run(seeds: u64, from: u64, replay: Option<u64>, bug: Option<&str>) -> ExitCode {
    let good = match (replay, bug) {
        (Some(seed), bug) => match bug.map(named).transpose() {
            Ok(bug) => story(seed, bug),
            Err(code) => return code,
        },
        (None, Some("all")) => Bug::ALL.map(|bug| is_found(bug, from, bug.within())).into_iter().all(|found| found),
        (None, Some(name)) => match named(name) {
            Ok(bug) => is_found(bug, from, seeds),
            Err(code) => return code,
        },
        (None, None) => campaign(seeds, from),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn named(name: &str) -> Result<Bug, ExitCode> {
    Bug::ALL.into_iter().find(|bug| bug.name() == name).ok_or_else(|| {
        eprintln!("netsim: there is no such bug; there are {}", Bug::ALL.map(Bug::name).join(", "));
        ExitCode::from(2)
    })
}

fn campaign(seeds: u64, from: u64) -> bool {
    let (began, mut failed, mut simulated_ms) = (Instant::now(), Vec::new(), 0);
    let (mut sometimes, mut unlike) = (Sometimes::default(), Vec::new());
    for seed in from..from.saturating_add(seeds) {
        let plan = Plan::of(seed);
        let outcome = play(&plan, None);
        simulated_ms += outcome.lasted_ms;
        sometimes.add(outcome.sometimes);
        // One in ten is played twice.
        if seed % 10 == 0 && play(&plan, None).digest != outcome.digest {
            unlike.push(seed);
        }
        if let Some((at_ms, violation)) = outcome.violation {
            if failed.len() < TOLD {
                println!("{plan}  FAILED at {:.3} s: {violation}\n", at_ms as f64 / 1e3);
            }
            failed.push(seed);
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{seeds} seeds, {:.0} simulated s in {took:.1} s", simulated_ms as f64 / 1e3);
    println!("{} failed{}", failed.len(), if failed.is_empty() { String::new() } else { format!(": {failed:?}") });
    println!("{} came out differently the second time {unlike:?}", unlike.len());
    println!("{sometimes}");
    failed.is_empty() && unlike.is_empty()
}

fn story(seed: u64, bug: Option<Bug>) -> bool {
    let plan = Plan::of(seed);
    let (outcome, again) = (play(&plan, bug), play(&plan, bug));
    print!("{plan}");
    outcome.story.iter().for_each(|line| println!("{line}"));
    println!("{:.3} simulated s; {}", outcome.lasted_ms as f64 / 1e3, outcome.sometimes);
    let alike = again.digest == outcome.digest;
    println!("played again: {}", if alike { "the same" } else { "ANOTHER" });
    match &outcome.violation {
        Some((at_ms, violation)) => println!("FAILED at {:.3} s: {violation}", *at_ms as f64 / 1e3),
        None => println!("nothing was broken"),
    }
    alike && outcome.violation.is_none()
}

fn is_found(bug: Bug, from: u64, within: u64) -> bool {
    let name = bug.name();
    for seed in from..from.saturating_add(within) {
        if let Some((_, violation)) = play(&Plan::of(seed), Some(bug)).violation {
            println!("{name}: found after {} of {within} seeds, by seed {seed}: {violation}", seed - from + 1);
            return true;
        }
    }
    println!("{name}: NOT FOUND within {within} seeds");
    false
}
