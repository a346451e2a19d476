//! Starts the client processes, leads them through their stages together, and adds up what they met.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::timeout,
};

use super::{
    job::{Counts, Job, Order, Parcel, Report, Stage},
    merge::{Merge, Verdict},
};
use crate::{
    procfs::{self, Usage},
    report::{Distribution, add_counts},
};

/// How long all may take to come in, beside a second for each thousand.
const JOINING: Duration = Duration::from_secs(60);

/// How long the end may take: twice the workers' patience for what is owed, and some.
const ENDING: Duration = Duration::from_secs(45);

/// What a run came to.
#[derive(Debug, Default)]
pub struct Finished {
    /// Sums over all processes.
    pub counts: Counts,
    /// The judgement on what all saw together.
    pub verdict: Verdict,
    /// See [`Parcel`].
    pub delay: Distribution,
    /// See [`Parcel`].
    pub ack: Distribution,
    /// See [`Parcel`].
    pub away: Distribution,
    /// The rest of it, added up.
    pub rest: Parcel,
    /// Connections that were in at the end.
    pub joined: u64,
    /// Connections that were lost.
    pub disconnects: u64,
    /// Posts acknowledged.
    pub acknowledged: u64,
    /// What happened while it was measured.
    pub measured: Measured,
    /// What the servers used.
    pub servers: Option<Servers>,
}

/// What happened while it was measured.
#[derive(Debug, Default, Clone, Copy)]
pub struct Measured {
    /// For how long, in seconds.
    pub seconds: f64,
    /// Events delivered.
    pub deliveries: u64,
    /// Reads that brought them.
    pub reads: u64,
}

/// What the servers have used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Servers {
    /// CPU time while it was measured, in seconds.
    pub cpu_s: f64,
    /// Resident memory before the first connection.
    pub rss_before: u64,
    /// When all were in.
    pub rss_joined: u64,
    /// When the measurement ended.
    pub rss_after: u64,
    /// Descriptors at that time.
    pub descriptors: u64,
}

/// Reads what the servers have used by now, by process. Those that are gone are left out.
pub trait Meter {
    /// See the trait.
    fn read(&self) -> BTreeMap<u32, Usage>;
}

impl Meter for Vec<u32> {
    fn read(&self) -> BTreeMap<u32, Usage> {
        self.iter().filter_map(|pid| Some((*pid, procfs::usage(*pid)?))).collect()
    }
}

impl Servers {
    /// Of those that are there at the end.
    fn of(before: &BTreeMap<u32, Usage>, joined: &BTreeMap<u32, Usage>, read: [&BTreeMap<u32, Usage>; 2]) -> Self {
        let [from, to] = read;
        let cpu_s = |(pid, used): (&u32, &Usage)| used.cpu_s - from.get(pid).map_or(0.0, |before| before.cpu_s);
        let rss = |read: &BTreeMap<u32, Usage>| read.values().map(|used| used.rss_bytes).sum();
        Self {
            cpu_s: to.iter().map(cpu_s).sum(),
            rss_before: rss(before),
            rss_joined: rss(joined),
            rss_after: rss(to),
            descriptors: to.values().map(|used| used.descriptors).sum(),
        }
    }
}

/// A process and the newest that it told.
struct Worker {
    child: Child,
    orders: ChildStdin,
    latest: Report,
}

/// Runs `jobs`, a process each, on `core` if one is given; `progress`: says each second how far they are.
///
/// # Errors
/// When a process can't be started, dies, or does not get on.
pub async fn drive(jobs: &[Job], core: Option<u32>, progress: bool, meter: &impl Meter) -> anyhow::Result<Finished> {
    let (sender, inbox) = mpsc::channel(1024);
    let before = meter.read();
    let mut workers = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        workers.push(start(number, job, core, sender.clone()).await?);
    }
    drop(sender);
    let mut crew = Crew {
        workers,
        inbox,
        finished: Finished::default(),
        merge: Merge::default(),
        shown: progress.then(Instant::now),
    };
    let subscribers: u64 = jobs.iter().map(|job| u64::from(job.subscribers)).sum();
    crew.until(Stage::Joined, JOINING + Duration::from_millis(subscribers)).await?;
    let joined = meter.read();
    crew.tell(&Order::Go).await?;
    let job = jobs.first().context("no process")?;
    crew.until(Stage::Measuring, Duration::from_millis(job.warm_up_ms) + ENDING).await?;
    let (began, used, from) = (Instant::now(), meter.read(), crew.sums());
    crew.until(Stage::Measured, Duration::from_millis(job.duration_ms) + ENDING).await?;
    let (after, to) = (meter.read(), crew.sums());
    let measured = Measured { seconds: began.elapsed().as_secs_f64(), deliveries: to.0 - from.0, reads: to.1 - from.1 };
    crew.until(Stage::Settled, ENDING).await?;
    let last_seq = crew.workers.iter().map(|worker| worker.latest.last_seq).max().unwrap_or_default();
    crew.tell(&Order::Finish(last_seq)).await?;
    crew.until(Stage::Done, ENDING).await?;
    let servers = Servers::of(&before, &joined, [&used, &after]);
    crew.finish(measured, servers).await
}

struct Crew {
    workers: Vec<Worker>,
    inbox: mpsc::Receiver<(usize, Report)>,
    finished: Finished,
    merge: Merge,
    /// When it was last said how far they are; `None` where nobody wants to know.
    shown: Option<Instant>,
}

impl Crew {
    /// Takes reports until all processes are at `stage`.
    async fn until(&mut self, stage: Stage, limit: Duration) -> anyhow::Result<()> {
        let collect = async {
            while self.workers.iter().any(|worker| worker.latest.stage < stage) {
                let Some((number, report)) = self.inbox.recv().await else { bail!("the client processes ended") };
                self.take(number, report);
            }
            Ok(())
        };
        match timeout(limit, collect).await {
            Ok(done) => done,
            Err(_) => bail!(
                "the client processes are not {stage:?} after {limit:?}: {} connections are in",
                self.workers.iter().map(|worker| worker.latest.joined).sum::<u64>()
            ),
        }
    }

    fn take(&mut self, number: usize, mut report: Report) {
        self.merge.seen(&report.seen);
        self.merge.acked(&report.acked);
        if let Some(parcel) = report.done.take() {
            let Finished { counts, delay, ack, away, rest, .. } = &mut self.finished;
            counts.add(&parcel.counts);
            delay.merge(&parcel.delay);
            ack.merge(&parcel.ack);
            away.merge(&parcel.away);
            rest.posted += parcel.posted;
            rest.pause_us = rest.pause_us.max(parcel.pause_us);
            add_counts(&mut rest.refused, &parcel.refused);
            add_counts(&mut rest.errors, &parcel.errors);
        }
        self.workers[number].latest = report;
        if self.shown.is_some_and(|shown| shown.elapsed() >= Duration::from_millis(950)) {
            self.show();
            self.shown = Some(Instant::now());
        }
    }

    fn sums(&self) -> (u64, u64) {
        let latest = self.workers.iter().map(|worker| &worker.latest);
        latest.fold((0, 0), |(deliveries, reads), report| (deliveries + report.deliveries, reads + report.reads))
    }

    fn show(&self) {
        let sum = |of: fn(&Report) -> u64| self.workers.iter().map(|worker| of(&worker.latest)).sum::<u64>();
        let line = format!(
            "{:?}  {} in  {} deliveries  {} acknowledged  {} lost connections",
            self.workers.iter().map(|worker| worker.latest.stage).min().unwrap_or_default(),
            sum(|r| r.joined),
            sum(|r| r.deliveries),
            sum(|r| r.acknowledged),
            sum(|r| r.disconnects),
        );
        let mut err = std::io::stderr().lock();
        let end = if err.is_terminal() { "\r" } else { "\n" };
        // Progress is a courtesy: a closed standard error does not end the test.
        drop(write!(err, "{line}{end}"));
    }

    async fn tell(&mut self, order: &Order) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(order)?;
        line.push(b'\n');
        for worker in &mut self.workers {
            worker.orders.write_all(&line).await.context("a client process has gone")?;
        }
        Ok(())
    }

    async fn finish(mut self, measured: Measured, servers: Servers) -> anyhow::Result<Finished> {
        let sum = |of: fn(&Report) -> u64| self.workers.iter().map(|worker| of(&worker.latest)).sum::<u64>();
        let (joined, disconnects) = (sum(|r| r.joined), sum(|r| r.disconnects));
        let acknowledged = sum(|r| r.acknowledged);
        for mut worker in self.workers {
            let status = worker.child.wait().await?;
            ensure!(status.success(), "a client process ended with {status}");
        }
        let verdict = self.merge.verdict();
        let finished = std::mem::take(&mut self.finished);
        Ok(Finished { verdict, joined, disconnects, acknowledged, measured, servers: Some(servers), ..finished })
    }
}

async fn start(
    number: usize,
    job: &Job,
    core: Option<u32>,
    reports: mpsc::Sender<(usize, Report)>,
) -> anyhow::Result<Worker> {
    let own = std::env::current_exe()?;
    let mut command = match core {
        Some(core) => Command::from(crate::bench::pinned(core, &own)),
        None => Command::new(Path::new(&own)),
    };
    let mut child = command
        .arg("chat-worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("a client process could not be started")?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    let mut orders = child.stdin.take().context("no standard input")?;
    orders.write_all(&line).await?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(report) = serde_json::from_str(&line) else { return };
            if reports.send((number, report)).await.is_err() {
                return;
            }
        }
    });
    Ok(Worker { child, orders, latest: Report::default() })
}
