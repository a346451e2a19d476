//! `loadtest view`: starts the processes, watches over them, adds up what they met and judges it.
//!
//! ```text
//! Args ─▶ Plan (tracks of the index, sockets a process) ─▶ worker × n ─▶ Report lines ─▶ Outcome ─▶ table, JSON, exit code
//! ```

use std::{net::IpAddr, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

mod count;
pub mod head;
pub mod job;
pub mod listing;
mod origin;
mod outcome;
pub mod probe;
pub mod socket;
pub mod stats;
pub mod tls;
pub mod truth;
pub mod viewer;
pub mod worker;

use job::{Job, Report, Target};
use outcome::{Outcome, Progress};
use viewer::Behaviour;

/// Viewers that follow a live LL-HLS stream.
///
/// Every viewer has one connection a track and does what a player does: it tunes in PART-HOLD-BACK behind the end,
/// asks blocking reloads with delta updates, and fetches every new part. The run fails (exit code 1) when a body
/// differs, a viewer never plays, anything answers with an error, or nothing was measured.
#[derive(clap::Args)]
pub struct Args {
    /// Multivariant playlists, one an edge; viewers spread over them evenly.
    #[arg(required = true)]
    urls: Vec<String>,
    /// How many viewers.
    #[arg(long, short = 'n', default_value_t = 1000)]
    viewers: u32,
    /// How long the test takes in seconds, the joining included.
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// Over how many seconds the viewers join.
    #[arg(long, default_value_t = 5)]
    ramp: u64,
    /// For so many seconds from the start no delay is recorded, so that the joining of a crowd isn't measured with it.
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// Which tracks each viewer follows.
    #[arg(long, value_enum, default_value_t = Tracks::All)]
    tracks: Tracks,
    /// What viewers do.
    #[arg(long, value_enum, default_value_t = Behaviour::Follow)]
    behaviour: Behaviour,
    /// One part body in this many is hashed and compared; 0: none.
    #[arg(long, default_value_t = 200)]
    hash_every: u32,
    /// Client processes; by default as many as the descriptor limit asks for.
    #[arg(long)]
    processes: Option<u32>,
    /// Source addresses, for more than 28,000 connections to one edge: 127.0.1.1,127.0.1.2,…
    #[arg(long, value_delimiter = ',')]
    sources: Vec<IpAddr>,
    /// Process ids of the servers, whose CPU time and memory are then reported.
    #[arg(long, value_delimiter = ',')]
    server_pids: Vec<u32>,
    /// Viewers leave after about so many seconds, and others come in their place; 0: all stay to the end.
    #[arg(long, default_value_t = 0)]
    stay: u64,
    /// Hold the number of viewers that the platform counts (GET /api/streams/{channel}/viewers at the first edge) against the
    /// truth, and fail where it is wrong by more percent than this; 2 if none are said.
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "2")]
    check_count: Option<f64>,
    /// After the viewers have left, wait until the platform counts none, which must come within 36 s.
    #[arg(long, requires = "check_count")]
    until_empty: bool,
    #[command(flatten)]
    origin: origin::Options,
    /// Write the report as JSON to this file (- for standard output, instead of the table).
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Which tracks a viewer follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tracks {
    /// All of them, one connection each.
    All,
    /// Video only.
    Video,
    /// Audio only.
    Audio,
}

/// Runs the load test and prints its report. The exit code is 0 where everything held, else 1.
///
/// # Errors
/// When the test itself can't be run: a bad URL, no such stream, a process that dies.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(run_async(args))
}

async fn run_async(args: Args) -> anyhow::Result<ExitCode> {
    let jobs = plan(&args)?;
    let mut checker = probe::Checker::new(origin::Origin::new(&args.origin)?);
    let before = outcome::Servers::read(&args.server_pids)?;
    let (reports, mut inbox) = mpsc::channel(1024);
    let mut children = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        children.push(start(number, job, reports.clone()).await?);
    }
    drop(reports);
    let mut progress = Progress::new(jobs.len(), args.viewers);
    let limit = Duration::from_secs(args.duration) + worker::GRACE + Duration::from_secs(5);
    let mut counts = args.check_count.map(|_| probe::target(&args.urls[0])).transpose()?.map(count::ask);
    let collect = async {
        loop {
            tokio::select! {
                report = inbox.recv() => {
                    let Some((number, mut report)) = report else { return };
                    checker.check(std::mem::take(&mut report.hashes)).await;
                    progress.take(number, report);
                }
                count = next(&mut counts) => progress.counted(count),
            }
        }
    };
    tokio::time::timeout(limit, collect).await.context("the client processes did not end in time")?;
    if let Some(counts) = counts.as_mut().filter(|_| args.until_empty) {
        progress.emptied(count::until_empty(counts).await);
    }
    for mut child in children {
        let status = child.wait().await?;
        ensure!(status.success(), "a client process ended with {status}");
    }
    let sockets = jobs.iter().map(|job| u64::from(job.sockets)).sum();
    let outcome = Outcome::new(&args, sockets, progress, checker, before)?;
    outcome.print(args.json.as_deref())?;
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What the platform counts next; waits for ever where it is not asked.
async fn next(counts: &mut Option<mpsc::Receiver<Option<u64>>>) -> Option<u64> {
    let Some(counts) = counts else { return std::future::pending().await };
    match counts.recv().await {
        Some(count) => count,
        None => std::future::pending().await,
    }
}

/// Divides the viewers over processes.
fn plan(args: &Args) -> anyhow::Result<Vec<Job>> {
    let targets: Vec<Target> = args.urls.iter().map(|url| probe::target(url)).collect::<Result<_, _>>()?;
    let tracks = match args.behaviour {
        Behaviour::Idle => vec![0],
        Behaviour::Follow | Behaviour::Reload => choose(&probe::tracks(&targets[0])?, args.tracks)?,
    };
    let sockets = args.viewers as usize * tracks.len();
    let processes = args.processes.map_or(sockets.div_ceil(worker::SOCKETS), |n| n as usize).max(1);
    ensure!(sockets.div_ceil(processes) <= worker::SOCKETS, "at most {} sockets a process", worker::SOCKETS);
    let share = |number: usize| {
        let viewers = args.viewers as usize * (number + 1) / processes - args.viewers as usize * number / processes;
        (viewers * tracks.len()) as u32
    };
    Ok((0..processes)
        .map(|number| Job {
            targets: rotated(&targets, number),
            sources: rotated(&args.sources, number),
            sockets: share(number),
            tracks: tracks.clone(),
            behaviour: args.behaviour,
            ramp_ms: args.ramp * 1000,
            warm_up_ms: args.warm_up * 1000,
            stay_ms: args.stay * 1000,
            duration_ms: args.duration * 1000,
            hash_every: args.hash_every,
        })
        .collect())
}

fn choose(names: &[String], tracks: Tracks) -> anyhow::Result<Vec<usize>> {
    let wanted = |name: &str| match tracks {
        Tracks::All => true,
        Tracks::Video => name.starts_with('v'),
        Tracks::Audio => name.starts_with('a'),
    };
    let chosen: Vec<usize> = (0..names.len()).filter(|&index| wanted(&names[index])).collect();
    if chosen.is_empty() {
        bail!("the stream has no such track, only {}", names.join(", "))
    }
    Ok(chosen)
}

fn rotated<T: Clone>(items: &[T], by: usize) -> Vec<T> {
    let mut items = items.to_vec();
    if !items.is_empty() {
        let by = by % items.len();
        items.rotate_left(by);
    }
    items
}

async fn start(number: usize, job: &Job, reports: mpsc::Sender<(usize, Report)>) -> anyhow::Result<Child> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("view-worker")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = serde_json::to_vec(job)?;
    line.push(b'\n');
    child.stdin.take().context("no standard input")?.write_all(&line).await?;
    let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(report) = serde_json::from_str(&line) else { return };
            if reports.send((number, report)).await.is_err() {
                return;
            }
        }
    });
    Ok(child)
}
