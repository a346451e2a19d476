//! The sum of what all processes met, the judgement on it, and how it is shown.

use std::{
    collections::BTreeMap,
    fs,
    io::{IsTerminal, Write},
    path::Path,
    time::Instant,
};

use anyhow::Context;
use serde::Serialize;

use super::{
    Args,
    count::{Comparison, Count, GONE_WITHIN},
    job::Report,
    probe::Checker,
    stats::Stats,
};
use crate::{
    procfs::{self, Usage},
    report::Summary,
};

/// The newest report of every process.
pub struct Progress {
    latest: Vec<Report>,
    stats: Stats,
    comparison: Comparison,
    empty_after_s: Option<f64>,
    finished: usize,
    viewers: u32,
    start: Instant,
    shown: Instant,
}

impl Progress {
    /// Nothing yet from `processes` processes.
    pub fn new(processes: usize, viewers: u32) -> Self {
        let latest = (0..processes).map(|_| Report::default()).collect();
        let now = Instant::now();
        Self {
            latest,
            stats: Stats::default(),
            comparison: Comparison::default(),
            empty_after_s: None,
            finished: 0,
            viewers,
            start: now,
            shown: now,
        }
    }

    /// Takes a report of process `number`.
    pub fn take(&mut self, number: usize, report: Report) {
        if let Some(parcel) = &report.done {
            self.stats.merge(parcel);
            self.finished += 1;
        }
        self.latest[number] = report;
        let watching = self.latest.iter().map(|report| report.watching).sum();
        self.comparison.truth(self.now_ms(), watching);
        if self.shown.elapsed().as_millis() >= 950 {
            self.show();
            self.shown = Instant::now();
        }
    }

    fn count(&self) -> Count {
        Count { empty_after_s: self.empty_after_s, ..self.comparison.outcome() }
    }

    /// Takes what the platform counts.
    pub fn counted(&mut self, count: Option<u64>) {
        self.comparison.counted(self.now_ms(), count);
    }

    /// After how many seconds without viewers the platform counted none.
    pub fn emptied(&mut self, after_s: Option<f64>) {
        self.empty_after_s = after_s;
    }

    fn now_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn show(&self) {
        let sum = |of: fn(&Report) -> u64| self.latest.iter().map(of).sum::<u64>();
        let seconds = self.start.elapsed().as_secs_f64();
        let line = format!(
            "{seconds:5.0} s  {} viewers  {} open  {} playing  {} requests  {} parts  {} errors",
            self.viewers,
            sum(|r| r.open),
            sum(|r| r.joined),
            sum(|r| r.requests),
            sum(|r| r.parts),
            sum(|r| r.errors),
        );
        let mut err = std::io::stderr().lock();
        let end = if err.is_terminal() { "\r" } else { "\n" };
        // Progress is a courtesy: a closed standard error does not end the test.
        drop(write!(err, "{line}{end}"));
    }
}

/// What the servers had used when the test began.
pub struct Servers(Vec<(u32, Usage)>);

impl Servers {
    /// Reads what `pids` have used.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn read(pids: &[u32]) -> anyhow::Result<Self> {
        let read = |&pid| procfs::usage(pid).map(|usage| (pid, usage)).with_context(|| format!("no process {pid}"));
        Ok(Self(pids.iter().map(read).collect::<anyhow::Result<_>>()?))
    }

    fn now(&self) -> anyhow::Result<Self> {
        Self::read(&self.0.iter().map(|&(pid, _)| pid).collect::<Vec<_>>())
    }

    fn sum<T: std::iter::Sum<T>>(&self, of: impl Fn(&Usage) -> T) -> T {
        self.0.iter().map(|(_, usage)| of(usage)).sum()
    }
}

/// The report of a load test.
#[derive(Serialize)]
pub struct Outcome {
    viewers: u32,
    sockets: u64,
    joined: u64,
    duration_s: u64,
    requests: u64,
    requests_per_s: f64,
    bytes: u64,
    parts: u64,
    stalls: u64,
    stalled_s: f64,
    join_ms: Summary,
    part_delay_ms: Summary,
    reload_delay_ms: Summary,
    errors: BTreeMap<String, u64>,
    bodies_compared: u64,
    compared_with: &'static str,
    client_cpu_s: f64,
    server: Option<Server>,
    /// The platform's count of viewers, where it was checked.
    count: Option<Count>,
    /// Why the run failed; empty where everything held.
    pub failures: Vec<String>,
}

/// What the servers used during the test.
#[derive(Serialize)]
struct Server {
    cpu_s: f64,
    cpu_us_per_request: f64,
    rss_bytes: u64,
    rss_growth_per_socket: f64,
    descriptors: u64,
}

impl Outcome {
    /// Adds everything up and judges it.
    ///
    /// # Errors
    /// When a server process has gone.
    pub fn new(
        args: &Args,
        sockets: u64,
        progress: Progress,
        checker: Checker,
        before: Servers,
    ) -> anyhow::Result<Self> {
        let stats = &progress.stats;
        let after = before.now().context("a server died during the test")?;
        let cpu_s = after.sum(|usage| usage.cpu_s) - before.sum(|usage| usage.cpu_s);
        let rss_bytes = after.sum(|usage| usage.rss_bytes);
        let growth = rss_bytes as f64 - before.sum(|usage| usage.rss_bytes) as f64;
        let server = (!args.server_pids.is_empty()).then(|| Server {
            cpu_s,
            cpu_us_per_request: cpu_s * 1e6 / stats.requests.max(1) as f64,
            rss_bytes,
            rss_growth_per_socket: growth / sockets.max(1) as f64,
            descriptors: after.sum(|usage| usage.descriptors),
        });
        Ok(Self {
            viewers: args.viewers,
            sockets,
            joined: stats.joined,
            duration_s: args.duration,
            requests: stats.requests,
            requests_per_s: stats.requests as f64 / args.duration.max(1) as f64,
            bytes: stats.bytes,
            parts: stats.parts,
            stalls: stats.stalls,
            stalled_s: stats.stalled_us as f64 / 1e6,
            join_ms: stats.join.summary(),
            part_delay_ms: stats.part_delay.summary(),
            reload_delay_ms: stats.reload_delay.summary(),
            errors: stats.errors.clone(),
            bodies_compared: checker.compared,
            compared_with: checker.with(),
            client_cpu_s: procfs::children_cpu_s(),
            server,
            count: args.check_count.map(|_| progress.count()),
            failures: failures(args, sockets, &progress, &checker),
        })
    }

    /// Prints the table, or writes the JSON where one was asked for.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn print(&self, json: Option<&Path>) -> anyhow::Result<()> {
        if std::io::stderr().is_terminal() {
            eprintln!();
        }
        if let Some(path) = json {
            let text = serde_json::to_string_pretty(self)?;
            if path == Path::new("-") {
                println!("{text}");
                return Ok(());
            }
            fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
        }
        self.table();
        Ok(())
    }

    fn table(&self) {
        println!("viewers   {} on {} connections, {} playing", self.viewers, self.sockets, self.joined);
        println!(
            "requests  {} ({:.0}/s), {} parts, {} MB",
            self.requests,
            self.requests_per_s,
            self.parts,
            self.bytes / 1_000_000
        );
        println!("stalls    {} ({:.1} s in all)", self.stalls, self.stalled_s);
        println!("bodies    {} hashed and compared with {}", self.bodies_compared, self.compared_with);
        println!(
            "{:<22}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "milliseconds", "samples", "p50", "p90", "p99", "p99.9", "max"
        );
        for (name, row) in [
            ("join", &self.join_ms),
            ("delay to the part", &self.part_delay_ms),
            ("delay to the reload", &self.reload_delay_ms),
        ] {
            if row.samples > 0 {
                println!(
                    "{name:<22}{:>9}{:>9.1}{:>9.1}{:>9.1}{:>9.1}{:>9.1}",
                    row.samples, row.p50, row.p90, row.p99, row.p999, row.max
                );
            }
        }
        println!("client    {:.1} s CPU", self.client_cpu_s);
        if let Some(server) = &self.server {
            println!(
                "server    {:.1} s CPU ({:.1} µs a request), {} MB resident (+{:.1} KiB a connection), {} descriptors",
                server.cpu_s,
                server.cpu_us_per_request,
                server.rss_bytes / 1_000_000,
                server.rss_growth_per_socket / 1024.0,
                server.descriptors,
            );
        }
        if let Some(count) = &self.count {
            println!(
                "count     {} of the platform's, {} while nothing changed: at most {:.2} % and {:.2} % from the truth (up to {})",
                count.samples,
                count.steady_samples,
                count.deviation_percent,
                count.steady_deviation_percent,
                count.most
            );
            if let Some(after_s) = count.empty_after_s {
                println!("          none {after_s:.1} s after the last viewer had left");
            }
        }
        for (kind, count) in &self.errors {
            println!("error     {count} × {kind}");
        }
        match self.failures.as_slice() {
            [] => println!("passed"),
            failures => failures.iter().for_each(|failure| println!("FAILED    {failure}")),
        }
    }
}

fn failures(args: &Args, sockets: u64, progress: &Progress, checker: &Checker) -> Vec<String> {
    let stats = &progress.stats;
    let samples = match args.behaviour {
        super::Behaviour::Follow => stats.part_delay.count(),
        super::Behaviour::Reload => stats.reload_delay.count(),
        super::Behaviour::Idle => stats.requests,
    };
    let errors: u64 = stats.errors.values().sum();
    let mut failures = Vec::new();
    let mut fail = |failed: bool, why: String| failed.then(|| failures.push(why));
    fail(progress.finished < progress.latest.len(), "a client process gave no report".to_owned());
    fail(samples == 0, "nothing was measured".to_owned());
    fail(
        args.behaviour != super::Behaviour::Idle && stats.joined < sockets,
        format!("{} connections never played", sockets - stats.joined.min(sockets)),
    );
    fail(errors > 0, format!("{errors} errors"));
    fail(!checker.failed.is_empty(), format!("sampled bodies: {}", checker.failed.join(", ")));
    let sampled = args.hash_every > 0 && args.behaviour == super::Behaviour::Follow;
    fail(sampled && checker.compared == 0, "no body was sampled".to_owned());
    fail(
        args.until_empty && progress.empty_after_s.is_none(),
        format!("the platform still counts viewers {} s after the last has left", GONE_WITHIN.as_secs()),
    );
    failures.extend(args.check_count.into_iter().flat_map(|limit| progress.count().failures(limit)));
    failures
}
