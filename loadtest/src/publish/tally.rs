//! What all publishers met, added up and judged.

use std::{collections::BTreeMap, path::Path, time::Duration};

use serde::Serialize;
use tokio::time::Instant;

use super::publisher::Event;
use crate::{
    procfs,
    report::{Distribution, Summary},
};

/// The sum so far.
pub struct Tally {
    begin: Instant,
    wanted: u32,
    started: u32,
    done: u32,
    frames: u64,
    bytes: u64,
    shown_bytes: u64,
    refused: BTreeMap<String, u32>,
    lost: BTreeMap<String, u32>,
    joining: Distribution,
    late: Distribution,
}

/// Kinds of words and errors told apart; a server that says something else to everybody fills no memory.
const KINDS: usize = 64;

impl Tally {
    /// Nothing yet, of `wanted` publishers.
    pub fn new(wanted: u32) -> Self {
        Self {
            begin: Instant::now(),
            wanted,
            started: 0,
            done: 0,
            frames: 0,
            bytes: 0,
            shown_bytes: 0,
            refused: BTreeMap::new(),
            lost: BTreeMap::new(),
            joining: Distribution::default(),
            late: Distribution::default(),
        }
    }

    /// Adds an event.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Started(after) => {
                self.started += 1;
                self.joining.record_us(micros(after));
            }
            Event::Sent { frames, bytes, late } => {
                self.frames += frames;
                self.bytes += bytes;
                self.late.record_us(micros(late));
            }
            Event::Refused(words) => count(&mut self.refused, words),
            Event::Lost(why) => count(&mut self.lost, why),
            Event::Done => self.done += 1,
        }
    }

    /// One line of progress.
    pub fn show(&mut self) {
        let megabits = (self.bytes - self.shown_bytes) as f64 * 8e-6;
        self.shown_bytes = self.bytes;
        let (refused, lost) = (sum(&self.refused), sum(&self.lost));
        eprintln!(
            "{:4} s  {} of {} publishing, {refused} refused, {lost} lost, {megabits:.1} Mbit/s",
            self.begin.elapsed().as_secs(),
            self.started - (self.done + refused + lost).min(self.started),
            self.wanted,
        );
    }

    /// The judgement.
    pub fn outcome(self, duration_s: u64) -> Outcome {
        let cpu_s = procfs::usage(std::process::id()).map_or(0.0, |usage| usage.cpu_s);
        let elapsed = self.begin.elapsed().as_secs_f64();
        let mut outcome = Outcome {
            publishers: self.wanted,
            started: self.started,
            finished: self.done,
            duration_s,
            frames: self.frames,
            bytes: self.bytes,
            megabits_per_s: self.bytes as f64 * 8e-6 / elapsed,
            refused: self.refused,
            lost: self.lost,
            joining_ms: self.joining.summary(),
            late_ms: self.late.summary(),
            client_cpu_s: cpu_s,
            failures: Vec::new(),
        };
        outcome.failures = outcome.judge();
        outcome
    }
}

/// The report of a run.
#[derive(Debug, Serialize)]
pub struct Outcome {
    publishers: u32,
    started: u32,
    finished: u32,
    duration_s: u64,
    frames: u64,
    bytes: u64,
    megabits_per_s: f64,
    refused: BTreeMap<String, u32>,
    lost: BTreeMap<String, u32>,
    joining_ms: Summary,
    late_ms: Summary,
    client_cpu_s: f64,
    /// What did not hold; empty where the run passed.
    pub failures: Vec<String>,
}

impl Outcome {
    fn judge(&self) -> Vec<String> {
        let (refused, lost) = (sum(&self.refused), sum(&self.lost));
        let unfinished = self.publishers - (self.finished + refused + lost).min(self.publishers);
        [
            (refused > 0, format!("{refused} publishers were refused")),
            (lost > 0, format!("{lost} publishers were lost")),
            (unfinished > 0, format!("{unfinished} publishers did not finish")),
            (self.frames == 0, "nothing was sent".to_owned()),
        ]
        .into_iter()
        .filter_map(|(failed, words)| failed.then_some(words))
        .collect()
    }

    /// Prints the table, or writes JSON.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn print(&self, json: Option<&Path>) -> anyhow::Result<()> {
        let Some(path) = json else {
            self.table();
            return Ok(());
        };
        let text = serde_json::to_string_pretty(self)?;
        if path == Path::new("-") {
            println!("{text}");
            return Ok(());
        }
        std::fs::write(path, text + "\n")?;
        self.table();
        Ok(())
    }

    fn table(&self) {
        println!("publishers {}, {} accepted, {} to the end", self.publishers, self.started, self.finished);
        println!("sent       {} frames, {:.1} Mbit/s", self.frames, self.megabits_per_s);
        row("accepted", &self.joining_ms);
        row("lateness", &self.late_ms);
        println!("client     {:.1} s CPU", self.client_cpu_s);
        self.refused.iter().for_each(|(words, count)| println!("refused    {count} × {words}"));
        self.lost.iter().for_each(|(why, count)| println!("lost       {count} × {why}"));
        match &self.failures[..] {
            [] => println!("passed"),
            failures => failures.iter().for_each(|failure| println!("FAILED     {failure}")),
        }
    }
}

fn row(name: &str, summary: &Summary) {
    println!(
        "{name:<10} p50 {:.1} ms, p90 {:.1}, p99 {:.1}, max {:.1}",
        summary.p50, summary.p90, summary.p99, summary.max
    );
}

fn count(kinds: &mut BTreeMap<String, u32>, kind: String) {
    let kind = if kinds.len() < KINDS || kinds.contains_key(&kind) { kind } else { "other".to_owned() };
    *kinds.entry(kind).or_default() += 1;
}

fn sum(kinds: &BTreeMap<String, u32>) -> u32 {
    kinds.values().sum()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
