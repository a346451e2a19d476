//! `netsim`: plays seeds of the simulated platform and tells which promises were broken.
//!
//! ```text
//! netsim run [--seeds N] [--from SEED] [--jobs N]     many seeds; fails if one does, or if something never came up
//! netsim replay SEED [--trace FILE] [--log FILTER]    one seed's story
//! netsim bug NAME|all [--seeds N]                     puts a bug in and looks for it, in both layouts
//! netsim link LISTEN NODE [--both PROFILE]            a bad link for a real process: see `freshet_netsim::link`
//! ```
//! With `--layout platform` they play the seeds in which three control nodes replicate the registry.

mod chat_command;

use std::{
    fs,
    io::{self, BufRead, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use freshet_netsim::{
    bugs::Bug,
    campaign::{self, Report, Suite, play_safely},
    link::{Link, Order, Profile, Side},
};
use tokio::{sync::mpsc, time::Instant};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{format::Writer, time::FormatTime},
};

/// Plays the real nodes over a simulated network, disk and clock, with faults that follow from a seed.
#[derive(Debug, Parser)]
#[command(name = "netsim", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays many seeds.
    Run {
        /// How many.
        #[arg(long, default_value_t = 200)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many at once; as many as there are processors, if not said.
        #[arg(long)]
        jobs: Option<usize>,
        /// Which layouts: `single` (one registry) or `platform` (three control nodes replicate it).
        #[arg(long, default_value = "single", value_parser = parse_suite)]
        layout: Suite,
    },
    /// Plays one seed twice and tells its story.
    Replay {
        /// The seed.
        seed: u64,
        /// Puts a bug in.
        #[arg(long, value_parser = parse_bug)]
        bug: Option<Bug>,
        /// Writes everything that crossed the network to this file, one line each.
        #[arg(long)]
        trace: Option<PathBuf>,
        /// Writes what the nodes log to standard error, as in `info` or `freshet_origin=debug`.
        #[arg(long, value_parser = parse_filter)]
        log: Option<Box<EnvFilter>>,
        /// As for `run`.
        #[arg(long, default_value = "single", value_parser = parse_suite)]
        layout: Suite,
    },
    /// Puts a bug in and plays seeds until it is found.
    Bug {
        /// Its name, or `all`.
        name: String,
        /// How many seeds to play; as many as are promised for the bug, if not said.
        #[arg(long)]
        seeds: Option<u64>,
        /// Where; in both layouts, if not said.
        #[arg(long, value_parser = parse_suite)]
        layout: Option<Suite>,
    },
    /// Plays the mesh of chat hubs: many seeds, one seed's story (`--replay`), or seeds with a bug in (`--bug`).
    Chat {
        /// How many.
        #[arg(long, default_value_t = 2000)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Plays this one twice and tells its story.
        #[arg(long, conflicts_with_all = ["seeds", "from"])]
        replay: Option<u64>,
        /// Puts a bug in, and plays seeds until it is found; `all` does that for every bug.
        #[arg(long)]
        bug: Option<String>,
    },
    /// Relays UDP to a real node with delay, loss and cuts; each line of standard input changes it, and its end ends it.
    ///
    /// A PROFILE is words of the form key=number: delay_ms, jitter_ms, loss_permille, reorder_permille, rate_kbit, queue.
    /// Lines are `both PROFILE`, `toward PROFILE`, `from PROFILE`, `cut [SIDE] [PEER]`, `heal [SIDE] [PEER]`, `counts`.
    Link {
        /// Where other nodes are told to come (quic.advertise), as in 127.0.0.1:5430; port 0 picks a free one.
        listen: SocketAddr,
        /// Where the node listens (listen.quic), as in 127.0.0.1:4430.
        node: SocketAddr,
        /// How both directions are, as in "delay_ms=20 loss_permille=10".
        #[arg(long)]
        both: Option<Profile>,
        /// How the direction toward the node is, if not as the other.
        #[arg(long)]
        toward: Option<Profile>,
        /// How the direction from the node is, if not as the other.
        #[arg(long)]
        from: Option<Profile>,
        /// What losses, jitter and reordering are drawn from.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
}

fn parse_bug(name: &str) -> Result<Bug, String> {
    let names = Bug::ALL.map(Bug::name).join(", ");
    Bug::named(name).ok_or_else(|| format!("there is no such bug; there are {names}"))
}

fn parse_filter(text: &str) -> Result<Box<EnvFilter>, ParseError> {
    EnvFilter::try_new(text).map(Box::new)
}

fn parse_suite(name: &str) -> Result<Suite, String> {
    let suite = Suite::ALL.into_iter().find(|suite| suite.name() == name);
    suite.ok_or_else(|| "there are `single` and `platform`".to_owned())
}

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run { seeds, from, jobs, layout } => run(layout, seeds, from, jobs),
        Command::Replay { seed, bug, trace, log, layout } => {
            if let Some(filter) = log {
                write_log(*filter);
            }
            replay(layout, seed, bug, trace)
        }
        Command::Bug { name, seeds, layout } if name == "all" => look_for(&Bug::ALL, layout, seeds),
        Command::Bug { name, seeds, layout } => match parse_bug(&name) {
            Ok(bug) => look_for(&[bug], layout, seeds),
            Err(why) => {
                eprintln!("netsim: {why}");
                ExitCode::from(2)
            }
        },
        Command::Chat { seeds, from, replay, bug } => chat_command::run(seeds, from, replay, bug.as_deref()),
        Command::Link { listen, node, both, toward, from, seed } => {
            let profiles = [(Side::Toward, toward.or(both)), (Side::From, from.or(both))];
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime.and_then(|runtime| runtime.block_on(link(listen, node, seed, profiles))) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("netsim: no link from {listen} to {node}: {error}");
                    ExitCode::from(2)
                }
            }
        }
    }
}

/// The time in a log is the simulation's.
struct Simulated;

impl FormatTime for Simulated {
    fn format_time(&self, to: &mut Writer<'_>) -> std::fmt::Result {
        write!(to, "{:8.3}", turmoil::sim_elapsed().unwrap_or_default().as_secs_f64())
    }
}

fn write_log(filter: EnvFilter) {
    tracing_subscriber::fmt().with_env_filter(filter).with_timer(Simulated).with_writer(io::stderr).init();
}

/// How many lines may wait to be obeyed; the reader of standard input waits then.
const ORDERS: usize = 16;

/// Relays until standard input ends.
async fn link(
    listen: SocketAddr,
    node: SocketAddr,
    seed: u64,
    profiles: [(Side, Option<Profile>); 2],
) -> io::Result<()> {
    let link = Link::open(listen, node, seed).await?;
    profiles.into_iter().for_each(|(side, profile)| link.set(&[side], profile.unwrap_or_default()));
    println!("{} relays to {node}", link.addr());
    let (sender, mut lines) = mpsc::channel::<String>(ORDERS);
    std::thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| sender.blocking_send(line).map_err(drop))
    });
    while let Some(line) = lines.recv().await {
        match line.parse::<Order>() {
            Ok(order) => link.obey(&order).into_iter().for_each(|told| println!("{told}")),
            Err(why) => eprintln!("netsim: {why}"),
        }
    }
    Ok(())
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(suite: Suite, seeds: u64, from: u64, jobs: Option<usize>) -> ExitCode {
    let jobs = jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    let every = (seeds / 20).max(1);
    let report = campaign::campaign(suite, from..from.saturating_add(seeds), jobs, |report| {
        if report.seeds.is_multiple_of(every) {
            let rate = report.simulated_ms as f64 / 1000.0 / began.elapsed().as_secs_f64();
            eprintln!(
                "{:>6} of {seeds} seeds, {} failed, {rate:.0} simulated s a second",
                report.seeds,
                report.failed.len()
            );
        }
    });
    summary(&report, began.elapsed().as_secs_f64());
    exit(report.is_good())
}

fn summary(report: &Report, took: f64) {
    report.failures.iter().for_each(|failure| println!("{failure}\n"));
    let others = report.failed.iter().skip(report.failures.len());
    others.for_each(|(seed, violation)| println!("seed {seed} FAILED: {violation}"));
    let simulated = report.simulated_ms as f64 / 1000.0;
    println!("{} seeds, {simulated:.0} simulated s in {took:.1} s: {:.0} a second", report.seeds, simulated / took);
    println!(
        "{} failed; {} played twice, {} came out differently",
        report.failed.len(),
        report.twice,
        report.unlike.len()
    );
    report.unlike.iter().for_each(|seed| println!("  seed {seed} came out differently the second time"));
    println!("what came up:\n{}", report.sometimes);
    if report.seeds >= campaign::ENOUGH {
        report.never().iter().for_each(|lacking| println!("FAILED: this never came up: {lacking}"));
    }
}

fn replay(suite: Suite, seed: u64, bug: Option<Bug>, trace: Option<PathBuf>) -> ExitCode {
    let schedule = suite.schedule(seed);
    let outcome = play_safely(&schedule, bug, trace.is_some());
    let again = play_safely(&schedule, bug, false);
    println!("{schedule}");
    outcome.story.iter().for_each(|line| println!("{line}"));
    println!("{:.3} simulated s, trace {}", outcome.lasted_ms as f64 / 1000.0, outcome.digest);
    let alike = again.digest == outcome.digest;
    println!("played again: {}", if alike { "the same trace" } else { "ANOTHER trace" });
    if let Some(path) = trace
        && let Err(error) = write(&path, &outcome.trace)
    {
        eprintln!("netsim: {} can't be written: {error}", path.display());
        return ExitCode::from(2);
    }
    match &outcome.violation {
        Some(violation) => println!("FAILED: {violation}"),
        None => println!("nothing was broken"),
    }
    exit(alike && outcome.violation.is_none())
}

fn write(path: &PathBuf, lines: &[String]) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    file.flush()
}

/// Looks for each bug in each layout, all of them, whether one is not found or not.
fn look_for(bugs: &[Bug], layout: Option<Suite>, seeds: Option<u64>) -> ExitCode {
    let suites = Suite::ALL.into_iter().filter(|suite| layout.is_none_or(|layout| layout == *suite));
    let hunts = suites.flat_map(|suite| bugs.iter().map(move |bug| (suite, *bug)));
    let missed = hunts.filter(|(suite, bug)| !is_found(*suite, *bug, seeds)).count();
    exit(missed == 0)
}

/// A bug that does no harm in a layout is not looked for there, unless somebody says in how many seeds.
fn is_found(suite: Suite, bug: Bug, seeds: Option<u64>) -> bool {
    let layout = suite.name();
    let Some(within) = seeds.or_else(|| bug.within(suite)) else {
        println!("{bug}, {layout}: does no harm there");
        return true;
    };
    match campaign::find(suite, bug, 0..within) {
        Some((seed, violation)) => {
            println!("{bug}, {layout}: found after {} of {within} seeds, by seed {seed}: {violation}", seed + 1);
            true
        }
        None => {
            println!("{bug}, {layout}: NOT FOUND within {within} seeds");
            false
        }
    }
}
