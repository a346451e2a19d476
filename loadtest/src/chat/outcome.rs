//! The report of a load test of chat, the judgement on it, and how it is shown.

use std::{collections::BTreeMap, fs, io::IsTerminal, path::Path};

use anyhow::Context;
use serde::Serialize;

use super::{Args, drive::Finished, job::Counts};
use crate::report::Summary;

/// See the module.
#[derive(Debug, Serialize)]
pub struct Outcome {
    subscribers: u64,
    senders: u64,
    hubs: u64,
    joined: u64,
    duration_s: f64,
    posted: u64,
    acknowledged: u64,
    refused: BTreeMap<String, u64>,
    deliveries: u64,
    deliveries_per_s: f64,
    messages_per_read: f64,
    delay_ms: Summary,
    ack_ms: Summary,
    #[serde(flatten)]
    faults: Faults,
    disconnects: u64,
    away_ms: Summary,
    longest_pause_ms: f64,
    errors: BTreeMap<String, u64>,
    client_cpu_s: f64,
    server: Option<Server>,
    /// Why the run failed; empty where everything held.
    pub failures: Vec<String>,
}

/// What went wrong with streams, over all connections and of what all saw together.
#[derive(Debug, Clone, Copy, Serialize)]
struct Faults {
    lost: u64,
    doubled: u64,
    reordered: u64,
    gaps: u64,
    missed_in_gaps: u64,
    taken_back: u64,
    repeated: u64,
}

#[derive(Debug, Serialize)]
struct Server {
    cpu_s: f64,
    cpu_us_per_delivery: f64,
    rss_bytes: u64,
    rss_per_connection: f64,
    descriptors: u64,
}

impl Faults {
    fn of(finished: &Finished) -> Self {
        let Counts { lost, doubled, reordered, gaps, missed, taken_back, repeated, .. } = finished.counts;
        let verdict = finished.verdict;
        Self {
            lost: lost + verdict.lost,
            doubled: doubled + verdict.doubled,
            reordered: reordered + verdict.reordered,
            gaps,
            missed_in_gaps: missed,
            taken_back,
            repeated,
        }
    }
}

impl Outcome {
    /// Adds everything up and judges it.
    pub fn new(args: &Args, senders: u64, finished: &Finished) -> Self {
        let subscribers = u64::from(args.subscribers) + senders;
        let measured = finished.measured;
        let per = |sum: f64, count: u64| sum / count.max(1) as f64;
        let server = finished.servers.filter(|_| !args.server_pid.is_empty()).map(|servers| Server {
            cpu_s: servers.cpu_s,
            cpu_us_per_delivery: per(servers.cpu_s * 1e6, measured.deliveries),
            rss_bytes: servers.rss_after,
            rss_per_connection: per(servers.rss_joined as f64 - servers.rss_before as f64, subscribers),
            descriptors: servers.descriptors,
        });
        let faults = Faults::of(finished);
        Self {
            subscribers,
            senders,
            hubs: args.urls.len() as u64,
            joined: finished.joined,
            duration_s: measured.seconds,
            posted: finished.rest.posted,
            acknowledged: finished.acknowledged,
            refused: finished.rest.refused.clone(),
            deliveries: finished.counts.deliveries,
            deliveries_per_s: measured.deliveries as f64 / measured.seconds.max(1e-9),
            messages_per_read: per(measured.deliveries as f64, measured.reads),
            delay_ms: finished.delay.summary(),
            ack_ms: finished.ack.summary(),
            faults,
            disconnects: finished.disconnects,
            away_ms: finished.away.summary(),
            longest_pause_ms: finished.rest.pause_us as f64 / 1000.0,
            errors: finished.rest.errors.clone(),
            client_cpu_s: crate::procfs::children_cpu_s(),
            server,
            failures: failures(args, subscribers, finished, &faults),
        }
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
        println!("channel   {} connections at {} hubs, {} of them senders", self.subscribers, self.hubs, self.senders);
        println!(
            "posts     {} made, {} acknowledged; longest time without: {:.0} ms",
            self.posted, self.acknowledged, self.longest_pause_ms
        );
        println!(
            "events    {} delivered ({:.0}/s), {:.1} a read",
            self.deliveries, self.deliveries_per_s, self.messages_per_read
        );
        let Faults { lost, doubled, reordered, gaps, missed_in_gaps, taken_back, repeated } = self.faults;
        println!("order     {lost} lost, {doubled} doubled, {reordered} out of order");
        println!(
            "stated    {gaps} gaps with {missed_in_gaps} events; {taken_back} taken back, {repeated} repeated after a join"
        );
        println!("{:<22}{:>9}{:>9}{:>9}{:>9}{:>9}", "milliseconds", "samples", "p50", "p90", "p99", "max");
        for (name, row) in [("delay", &self.delay_ms), ("ack", &self.ack_ms), ("away, of those lost", &self.away_ms)] {
            if row.samples > 0 {
                println!(
                    "{name:<22}{:>9}{:>9.1}{:>9.1}{:>9.1}{:>9.1}",
                    row.samples, row.p50, row.p90, row.p99, row.max
                );
            }
        }
        println!("client    {:.1} s CPU; {} connections lost", self.client_cpu_s, self.disconnects);
        if let Some(server) = &self.server {
            println!(
                "server    {:.1} s CPU ({:.2} µs a delivery), {} MB resident ({:.1} KiB a connection), {} descriptors",
                server.cpu_s,
                server.cpu_us_per_delivery,
                server.rss_bytes / 1_000_000,
                server.rss_per_connection / 1024.0,
                server.descriptors,
            );
        }
        for (code, count) in &self.refused {
            println!("refused   {count} × {code}");
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

fn failures(args: &Args, subscribers: u64, finished: &Finished, faults: &Faults) -> Vec<String> {
    let mut failures = Vec::new();
    let mut fail = |failed: bool, why: String| failed.then(|| failures.push(why));
    let Faults { lost, doubled, reordered, .. } = *faults;
    for (count, what) in [(lost, "lost"), (doubled, "doubled"), (reordered, "out of order")] {
        fail(count > 0, format!("{count} events {what}"));
    }
    let silent = finished.acknowledged == 0 || finished.counts.deliveries == 0;
    fail(args.pace().is_some() && silent, "nothing was posted, or nobody saw it".to_owned());
    let away = subscribers - finished.joined.min(subscribers);
    fail(away > 0, format!("{away} connections were not in at the end"));
    let errors: u64 = finished.rest.errors.values().sum();
    fail(errors > 0, format!("{errors} errors"));
    let unanswered = finished.rest.refused.get("unanswered").copied().unwrap_or_default();
    fail(unanswered > 0, format!("{unanswered} posts were never answered"));
    let pause_ms = finished.rest.pause_us / 1000;
    let limit = args.most_pause_ms.filter(|limit| pause_ms > *limit);
    fail(limit.is_some(), format!("nothing was acknowledged for {pause_ms} ms"));
    failures
}
