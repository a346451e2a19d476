//! Many seeds: what failed, what it shrinks to, what never came up.
//!
//! ```text
//! seeds ──play──▶ Outcome ──failed?──▶ shrink ──▶ Failure        every n-th seed is played twice: the hashes are equal
//! ```
//! A platform's seeds are a suite of their own.

use std::{
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    bugs::Bug,
    invariants::{Rule, Violation},
    schedule::{Layout, Schedule},
    sometimes::{Situation, Sometimes},
    world::{Outcome, play},
};

/// How many failures are shrunk and printed; the rest are counted.
pub const MOST_FAILURES: usize = 10;
/// How many seeds must have been played for every situation to be expected.
pub const ENOUGH: u64 = 200;

/// Which schedules seeds stand for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Suite {
    /// Those with one registry.
    #[default]
    Single,
    /// Those with a replicated one.
    Platform,
}

impl Suite {
    /// The schedule of a seed.
    pub fn schedule(self, seed: u64) -> Schedule {
        match self {
            Self::Single => Schedule::of(seed),
            Self::Platform => Schedule::platform(seed),
        }
    }

    /// Both.
    pub const ALL: [Self; 2] = [Self::Single, Self::Platform];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Platform => "platform",
        }
    }

    /// Of so many seeds one is played twice.
    pub fn twice_every(self) -> u64 {
        match self {
            Self::Single => 16,
            Self::Platform => 8,
        }
    }

    /// What must come up.
    pub fn wanted(self) -> &'static [Situation] {
        match self {
            Self::Single => Situation::ORDINARY,
            Self::Platform => Situation::PLATFORM,
        }
    }
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// How many faults there were.
    pub faults: usize,
    /// What was broken with all faults.
    pub violation: Violation,
    /// The smallest schedule found that still breaks the same promise.
    pub shrunk: Schedule,
    /// What the smallest one breaks.
    pub shrunk_violation: Violation,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.shrunk.seed;
        writeln!(f, "seed {seed} FAILED: {}", self.violation)?;
        writeln!(f, "{} of its {} faults suffice:", self.shrunk.faults.len(), self.faults)?;
        write!(f, "{}", self.shrunk)?;
        writeln!(f, "with them: {}", self.shrunk_violation)?;
        let layout = if self.shrunk.layout == Layout::Platform { " --layout platform" } else { "" };
        write!(f, "to see it again: netsim replay {seed}{layout}")
    }
}

/// A seed and what it broke.
pub type Failed = (u64, Violation);

/// What a campaign came to.
#[derive(Debug, Default)]
pub struct Report {
    /// What the seeds stood for.
    pub suite: Suite,
    /// Seeds played.
    pub seeds: u64,
    /// How long all runs lasted, in simulated ms.
    pub simulated_ms: u64,
    /// The seeds that failed.
    pub failed: Vec<Failed>,
    /// What the first [`MOST_FAILURES`] of them shrink to.
    pub failures: Vec<Failure>,
    /// Seeds that were played twice.
    pub twice: u64,
    /// Those of them that came out differently.
    pub unlike: Vec<u64>,
    /// What came up.
    pub sometimes: Sometimes,
}

impl Report {
    /// Whether nothing is wrong: nothing failed, and everything came up if there were [`ENOUGH`] seeds.
    pub fn is_good(&self) -> bool {
        let lacking = self.seeds >= ENOUGH && !self.never().is_empty();
        self.failed.is_empty() && self.unlike.is_empty() && !lacking
    }

    /// What never came up.
    pub fn never(&self) -> Vec<Situation> {
        self.sometimes.never(self.suite.wanted())
    }
}

/// Plays a schedule; a panic in it is a violation.
pub fn play_safely(schedule: &Schedule, bug: Option<Bug>, keep_trace: bool) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| play(schedule, bug, keep_trace))).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        let words = words.or_else(|| panic.downcast_ref::<&str>().map(|&words| words.to_owned()));
        let what = format!("a panic: {}", words.unwrap_or_default());
        Outcome {
            violation: Some(Violation::new(0, Rule::Alive, what)),
            sometimes: Sometimes::default(),
            digest: String::new(),
            lasted_ms: 0,
            longest_wait_ms: 0,
            story: vec![],
            trace: vec![],
        }
    })
}

/// Plays `seeds` on `jobs` threads, each run wholly on one. `done` is told of every seed.
pub fn campaign(suite: Suite, seeds: Range<u64>, jobs: usize, done: impl Fn(&Report) + Sync) -> Report {
    let next = AtomicU64::new(seeds.start);
    let report = Mutex::new(Report { suite, ..Report::default() });
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= seeds.end {
                        return;
                    }
                    let played = one(suite, seed);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(seed, played);
                    done(&report);
                }
            });
        }
    });
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failed.sort_by_key(|(seed, _)| *seed);
    let first = report.failed.iter().take(MOST_FAILURES);
    report.failures = first.map(|(seed, violation)| shrink(&suite.schedule(*seed), None, violation.clone())).collect();
    report
}

/// A seed's outcome, and whether it came out the same again if that was asked.
type Played = (Outcome, Option<bool>);

fn one(suite: Suite, seed: u64) -> Played {
    let schedule = suite.schedule(seed);
    let outcome = play_safely(&schedule, None, false);
    let twice = seed.is_multiple_of(suite.twice_every());
    let again = twice.then(|| play_safely(&schedule, None, false).digest == outcome.digest);
    (outcome, again)
}

impl Report {
    fn add(&mut self, seed: u64, (outcome, again): Played) {
        self.seeds += 1;
        self.simulated_ms += outcome.lasted_ms;
        self.sometimes.merge(&outcome.sometimes);
        self.failed.extend(outcome.violation.map(|violation| (seed, violation)));
        self.twice += u64::from(again.is_some());
        self.unlike.extend((again == Some(false)).then_some(seed));
    }
}

/// Leaves out faults while the same promise is broken: first halves, then one by one.
pub fn shrink(schedule: &Schedule, bug: Option<Bug>, violation: Violation) -> Failure {
    let mut best = (schedule.clone(), violation.clone());
    let mut size = schedule.faults.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < best.0.faults.len() {
            let mut smaller = best.0.clone();
            smaller.faults.drain(at..(at + size).min(best.0.faults.len()));
            match play_safely(&smaller, bug, false).violation {
                Some(still) if still.rule == violation.rule => best = (smaller, still),
                _ => at += size,
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    Failure { faults: schedule.faults.len(), violation, shrunk: best.0, shrunk_violation: best.1 }
}

/// Looks for `bug` among `seeds`; tells the first seed that finds it, and how.
pub fn find(suite: Suite, bug: Bug, seeds: Range<u64>) -> Option<(u64, Violation)> {
    seeds.into_iter().find_map(|seed| {
        let schedule = suite.schedule(seed);
        let violation = play_safely(&schedule, Some(bug), false).violation?;
        // What fails without the bug too has not found it.
        play_safely(&schedule, None, false).violation.is_none().then_some((seed, violation))
    })
}
