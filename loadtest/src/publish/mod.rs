//! `loadtest publish`: many encoders at once, each sending the same file in a loop over RTMP at the pace of its times.
//!
//! ```text
//! Args ─▶ Clip (tags of the file) ─▶ publisher × n ─Event─▶ Tally ─▶ progress, table, JSON, exit code
//! ```

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

mod clip;
mod keys;
mod publisher;
mod tally;
mod url;

use clip::Clip;
use keys::KeyTemplate;
use publisher::{Event, Job};
use tally::Tally;
use url::RtmpUrl;

/// Publishers that send a file in a loop over RTMP.
///
/// The run fails (exit code 1) when a publisher is refused, is lost before its time, or nothing was sent.
#[derive(clap::Args)]
pub struct Args {
    /// Where to publish: rtmp://HOST[:PORT]/APP.
    #[arg(long)]
    url: RtmpUrl,
    /// Stream keys: `{}` stands for the publisher's number, `{:04}` for the same in four digits.
    #[arg(long, default_value = "load-{}")]
    key_template: KeyTemplate,
    /// How many publishers.
    #[arg(long, short = 'n', default_value_t = 1)]
    count: u32,
    /// Number of the first publisher.
    #[arg(long, default_value_t = 0)]
    first: u32,
    /// The FLV file to send (make one by `ffmpeg -i IN -c:v libx264 -c:a aac OUT.flv`).
    #[arg(long)]
    file: PathBuf,
    /// How long the test takes in seconds, the joining included.
    #[arg(long, default_value_t = 30)]
    duration: u64,
    /// Over how many seconds the publishers join.
    #[arg(long, default_value_t = 2)]
    ramp: u64,
    /// Threads that send. One core sends for hundreds of publishers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Write the report as JSON to this file (- for standard output, instead of the table).
    #[arg(long)]
    json: Option<PathBuf>,
}

/// How long a publisher may take to say goodbye after the test's end.
const GRACE: Duration = Duration::from_secs(2);
/// Events that wait for the tally; publishers wait where it is full, which shows as lateness.
const EVENTS: usize = 4096;

/// Runs the load test and prints its report. The exit code is 0 where everything held, else 1.
///
/// # Errors
/// When the test itself can't be run: a file that is no FLV, an address that doesn't resolve.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let threads = usize::from(args.threads);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?.block_on(publish(args))
}

async fn publish(args: Args) -> anyhow::Result<ExitCode> {
    let clip = Arc::new(Clip::read(&args.file)?);
    let address = args.url.resolve().await?;
    crate::limits::raise_descriptors();
    ensure!(args.count > 0, "--count 0 publishes nothing");
    let begin = Instant::now();
    let end = begin + Duration::from_secs(args.duration);
    let (events, mut inbox) = mpsc::channel(EVENTS);
    let mut publishers = JoinSet::new();
    for number in 0..args.count {
        let job = Job {
            address,
            target: args.url.target(args.key_template.key(args.first + number)),
            clip: clip.clone(),
            begin: begin + Duration::from_secs(args.ramp) * number / args.count,
            end,
        };
        publishers.spawn(publisher::run(job, events.clone()));
    }
    drop(events);
    let mut tally = Tally::new(args.count);
    watch(&mut inbox, &mut tally, end + GRACE).await;
    publishers.shutdown().await;
    let outcome = tally.outcome(args.duration);
    outcome.print(args.json.as_deref()).context("writing the report")?;
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Adds up events and shows progress once a second until all publishers are done, or `limit`.
async fn watch(inbox: &mut mpsc::Receiver<Event>, tally: &mut Tally, limit: Instant) {
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = inbox.recv() => match event {
                Some(event) => tally.take(event),
                None => return,
            },
            _ = second.tick() => tally.show(),
            () = sleep_until(limit) => return,
        }
    }
}
