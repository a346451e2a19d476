//! `loadtest chat`: starts the processes, leads them, adds up what they met and judges it.
//!
//! ```text
//! Args ─▶ Job × n ─▶ worker × n ─▶ Report lines ─▶ drive ─▶ Finished ─▶ Outcome ─▶ table, JSON, exit code
//!                      └ wire ─▶ checker ◀─▶ reference      └ merge: what all saw together, and what was acknowledged
//! ```

use std::{fs, net::IpAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, ensure};

mod checker;
pub mod drive;
pub mod job;
mod line;
mod login;
mod merge;
mod outcome;
mod posts;
mod reference;
mod seat;
mod target;
pub mod wire;
pub mod worker;

use job::{Job, Pace, Target};
use outcome::Outcome;
use wire::Dialect;

/// Subscribers of one channel over many hubs, and senders.
///
/// Each connection's stream is held against all others' by position: nothing may be left out without a stated gap, come
/// twice, or stand in another order; and all that was acknowledged must be in it. The run fails (exit code 1) where
/// one of these does not hold, a connection was not in at the end, or nothing was posted.
#[derive(clap::Args)]
pub struct Args {
    /// Where the channel is, one a hub: ws://HOST:PORT/chat/CHANNEL or wss://… Connections spread over them evenly.
    #[arg(required = true)]
    urls: Vec<String>,
    /// How many connections that only read, without a token.
    #[arg(long, short = 'n', default_value_t = 1000)]
    subscribers: u32,
    /// An access token of somebody who posts; may be repeated. They read what is posted as well.
    #[arg(long, value_name = "JWT")]
    token: Vec<String>,
    /// A file of access tokens, one a line.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// An account that is signed in at the first hub's API and posts; may be repeated.
    #[arg(long, value_name = "NAME:PASSWORD")]
    account: Vec<String>,
    /// Connections that post; by default one for each token and account, which take turns where there are more.
    #[arg(long)]
    senders: Option<u32>,
    /// How many messages are posted a second, in all.
    #[arg(long, conflicts_with = "in_flight")]
    rate: Option<f64>,
    /// Post so many at a time: the next goes when one was acknowledged and the connections of its process have it.
    #[arg(long, value_name = "W")]
    in_flight: Option<u32>,
    /// How many characters a text has.
    #[arg(long, default_value_t = 60)]
    text: usize,
    /// How long is measured once all are in, seconds.
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// For so many seconds before that it is posted and nothing is measured.
    #[arg(long, default_value_t = 0)]
    warm_up: u64,
    /// Take several events in one frame, as a page does: hubs then gather them for a while.
    #[arg(long)]
    batch: bool,
    /// Lost connections come back at the next hub, from where they were, and are no errors.
    #[arg(long)]
    reconnect: bool,
    /// Fail where nothing was acknowledged for longer than this, though it was posted.
    #[arg(long, value_name = "MS")]
    most_pause_ms: Option<u64>,
    /// Client processes; by default as many as the descriptor limit asks for.
    #[arg(long)]
    processes: Option<u32>,
    /// Source addresses, for more than 28,000 connections to one hub: 127.0.1.1,127.0.1.2,…
    #[arg(long, value_delimiter = ',')]
    sources: Vec<IpAddr>,
    /// Process id of a server, whose CPU time and memory are then reported; may be repeated.
    #[arg(long, value_delimiter = ',', value_name = "PID")]
    server_pid: Vec<u32>,
    /// Write the report as JSON to this file (- for standard output, instead of the table).
    #[arg(long)]
    json: Option<PathBuf>,
}

impl Args {
    /// `None` where nobody posts.
    fn pace(&self) -> Option<Pace> {
        self.rate.map(Pace::Rate).or(self.in_flight.map(Pace::InFlight))
    }
}

/// Runs the load test and prints its report. The exit code is 0 where everything held, else 1.
///
/// # Errors
/// When the test itself can't be run: a bad URL, no hub, an account that can't sign in, a process that dies.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(run_async(args))
}

async fn run_async(args: Args) -> anyhow::Result<ExitCode> {
    let targets = target::all(&args.urls)?;
    let senders = senders(&args, &targets)?;
    let jobs = plan(&args, &targets, &senders)?;
    let gone = args.server_pid.iter().find(|pid| crate::procfs::usage(**pid).is_none());
    ensure!(gone.is_none(), "no process {}", gone.copied().unwrap_or_default());
    let finished = drive::drive(&jobs, None, true, &args.server_pid).await?;
    let outcome = Outcome::new(&args, senders.len() as u64, &finished);
    outcome.print(args.json.as_deref())?;
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// A token for each connection that posts.
fn senders(args: &Args, targets: &[Target]) -> anyhow::Result<Vec<String>> {
    let mut tokens = args.token.clone();
    if let Some(path) = &args.tokens {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        tokens.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
    }
    for account in &args.account {
        tokens.push(login::token(&targets[0], account)?);
    }
    let count = args.senders.map_or(tokens.len(), |count| count as usize);
    ensure!(args.pace().is_none() || count > 0 && !tokens.is_empty(), "who posts? --token, --tokens or --account");
    Ok(tokens.into_iter().cycle().take(if args.pace().is_some() { count } else { 0 }).collect())
}

/// Divides connections and senders over processes.
fn plan(args: &Args, targets: &[Target], senders: &[String]) -> anyhow::Result<Vec<Job>> {
    let all = args.subscribers as usize + senders.len();
    ensure!(all > 0, "nobody to connect");
    let processes = args.processes.map_or(all.div_ceil(worker::SOCKETS), |n| n as usize).max(1);
    ensure!(all.div_ceil(processes) < worker::SOCKETS, "at most {} connections a process", worker::SOCKETS);
    let share = |of: usize, number: usize| of * number / processes..of * (number + 1) / processes;
    let run = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_micros() as u64;
    let pace = |posters: usize| match args.pace() {
        None => Pace::InFlight(0),
        Some(Pace::Rate(rate)) => Pace::Rate(rate * posters as f64 / senders.len() as f64),
        Some(Pace::InFlight(most)) => Pace::InFlight(most),
    };
    let job = |number: usize| {
        let senders = senders[share(senders.len(), number)].to_vec();
        Job {
            number: number as u32,
            run,
            dialect: Dialect::Chat,
            targets: rotated(targets, number),
            sources: rotated(&args.sources, number),
            subscribers: share(args.subscribers as usize, number).len() as u32 + senders.len() as u32,
            pace: if senders.is_empty() { Pace::InFlight(0) } else { pace(senders.len()) },
            senders,
            text_chars: args.text,
            warm_up_ms: args.warm_up * 1000,
            duration_ms: args.duration * 1000,
            batch: args.batch,
            reconnect: args.reconnect,
        }
    };
    Ok((0..processes).map(job).collect())
}

fn rotated<T: Clone>(items: &[T], by: usize) -> Vec<T> {
    let mut items = items.to_vec();
    if !items.is_empty() {
        let by = by % items.len();
        items.rotate_left(by);
    }
    items
}
