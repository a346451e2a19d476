//! Holds the platform's count of viewers against the viewers' own.
//!
//! ```text
//! worker × n ──sessions, each second──▶ truth ─┐
//! GET /api/streams/{channel}/viewers ──▶ count ┴──▶ Comparison ──▶ the largest deviations
//! ```
//! Edges tell the leader every 2 s, control nodes ask it every second, client processes tell us every second and we ask every
//! second, so that a count may be [`AGE_MS`] old, with a second for the way: it is right if it lies between the least and the most that was true since. Where nothing has changed for so
//! long that is to say that it is the same.

use std::{collections::VecDeque, time::Duration};

use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};

use super::{job::Target, probe};

/// How old a count may be, in ms.
const AGE_MS: u64 = 6_000;

/// By how much a count may be ahead of what client processes have told us, in ms.
const AHEAD_MS: u64 = 2_000;

/// How often the platform is asked.
const EVERY: Duration = Duration::from_secs(1);

/// By how many percent the truth may have changed within [`AGE_MS`] where it counts as steady.
const STEADY_PERCENT: f64 = 0.5;

/// How long after all viewers have left the platform may take to count none: half a minute, and the age of a count.
pub const GONE_WITHIN: Duration = Duration::from_secs(30).saturating_add(Duration::from_millis(AGE_MS));

/// What was true when, and how far counts were from it. A machine.
#[derive(Debug, Default)]
pub struct Comparison {
    truths: VecDeque<(u64, u64)>,
    /// Counts that wait for the truth of their time: one a second for [`AHEAD_MS`].
    counts: VecDeque<(u64, u64)>,
    outcome: Count,
}

/// What a comparison came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Count {
    /// How often the platform said how many watch.
    pub samples: u64,
    /// How often it could not be asked.
    pub unanswered: u64,
    /// The most that watched at once, in truth.
    pub most: u64,
    /// By how many percent a count was beyond all that had been true within its age, at most.
    pub deviation_percent: f64,
    /// How many samples there were while nothing changed.
    pub steady_samples: u64,
    /// By how many percent a count was wrong then, at most.
    pub steady_deviation_percent: f64,
    /// After how many seconds without viewers it counted none, where that was waited for and came.
    pub empty_after_s: Option<f64>,
}

impl Comparison {
    /// So many sessions there are now. Times rise.
    pub fn truth(&mut self, now_ms: u64, watching: u64) {
        self.truths.push_back((now_ms, watching));
        while let Some((at_ms, count)) = self.counts.pop_front_if(|(at_ms, _)| *at_ms + AHEAD_MS <= now_ms) {
            self.judge(at_ms, count);
        }
        self.outcome.most = self.outcome.most.max(watching);
    }

    /// So many the platform counts now; `None` where it could not be asked.
    pub fn counted(&mut self, now_ms: u64, count: Option<u64>) {
        let Some(count) = count else {
            self.outcome.unanswered += 1;
            return;
        };
        self.counts.push_back((now_ms, count));
    }

    fn judge(&mut self, at_ms: u64, count: u64) {
        // The last one from before is what was true when that age began.
        while self.truths.get(1).is_some_and(|(truth_ms, _)| truth_ms + AGE_MS <= at_ms) {
            self.truths.pop_front();
        }
        let Some(&(_, now)) = self.truths.back() else { return };
        let whole_age = self.truths.front().is_some_and(|(truth_ms, _)| truth_ms + AGE_MS <= at_ms);
        let recent = || self.truths.iter().map(|(_, watching)| *watching);
        let least = if whole_age { recent().min().unwrap_or(now) } else { 0 };
        let most = recent().max().unwrap_or(now);
        let outcome = &mut self.outcome;
        outcome.samples += 1;
        let off = count.abs_diff(count.clamp(least, most));
        outcome.deviation_percent = outcome.deviation_percent.max(percent(off, most));
        if least > 0 && percent(most - least, most) <= STEADY_PERCENT {
            outcome.steady_samples += 1;
            let off = percent(count.abs_diff(now), now);
            outcome.steady_deviation_percent = outcome.steady_deviation_percent.max(off);
        }
    }

    /// What it came to.
    pub fn outcome(&self) -> Count {
        self.outcome.clone()
    }
}

impl Count {
    /// Why it fails who asked for a deviation of at most `limit` percent.
    pub fn failures(&self, limit: f64) -> Vec<String> {
        let mut failures = Vec::new();
        if self.steady_samples == 0 {
            failures.push(format!(
                "viewers were never counted while nothing changed ({} counts, {} without an answer)",
                self.samples, self.unanswered
            ));
        }
        let worst = self.deviation_percent.max(self.steady_deviation_percent);
        if worst > limit {
            failures.push(format!("the platform's count of viewers was wrong by {worst:.2} %"));
        }
        failures
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Asks an edge once a second how many watch, until nobody listens.
pub fn ask(target: Target) -> mpsc::Receiver<Option<u64>> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let count = once(&target).await;
            if sender.send(count).await.is_err() {
                return;
            }
            sleep(EVERY).await;
        }
    });
    receiver
}

async fn once(target: &Target) -> Option<u64> {
    let target = target.clone();
    tokio::task::spawn_blocking(move || probe::viewers(&target).ok()).await.ok().flatten()
}

/// Waits until the platform counts nobody; tells after how many seconds.
pub async fn until_empty(counts: &mut mpsc::Receiver<Option<u64>>) -> Option<f64> {
    let began = Instant::now();
    while let Ok(Some(count)) = timeout_at(began + GONE_WITHIN, counts.recv()).await {
        if count == Some(0) {
            return Some(began.elapsed().as_secs_f64());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Truths at each second, and the count at the last one.
    fn compared(truths: &[u64], count: u64) -> Count {
        let mut comparison = Comparison::default();
        for (second, truth) in truths.iter().enumerate() {
            comparison.truth(second as u64 * 1000, *truth);
        }
        comparison.counted((truths.len() as u64 - 1) * 1000, Some(count));
        comparison.truth((truths.len() as u64 - 1) * 1000 + AHEAD_MS, truths[truths.len() - 1]);
        comparison.outcome()
    }

    #[test]
    fn a_count_may_be_six_seconds_old_and_no_older() {
        let growing: Vec<u64> = (1..=10).map(|n| n * 100).collect();
        assert_eq!(compared(&growing, 400).deviation_percent, 0.0);
        assert_eq!(compared(&growing, 1000).deviation_percent, 0.0);
        assert_eq!(compared(&growing, 300).deviation_percent, 10.0);
        assert_eq!(compared(&growing, 1100).deviation_percent, 10.0);
        assert_eq!(compared(&growing, 400).steady_samples, 0);
    }

    #[test]
    fn while_nothing_changes_every_difference_counts() {
        let count = compared(&[1000; 10], 975);
        assert_eq!((count.steady_samples, count.steady_deviation_percent), (1, 2.5));
        assert_eq!(count.failures(2.0), ["the platform's count of viewers was wrong by 2.50 %"]);
        assert!(compared(&[1000; 10], 985).failures(2.0).is_empty());
    }

    #[test]
    fn who_was_never_counted_in_peace_has_not_been_checked() {
        for count in [compared(&[1000; 3], 1000), compared(&[0; 10], 0)] {
            assert!(count.failures(2.0)[0].contains("never counted"), "{count:?}");
        }
        let mut silent = Comparison::default();
        silent.truth(0, 10);
        silent.counted(6000, None);
        assert!(silent.outcome().failures(2.0)[0].contains("1 without an answer"));
    }
}
