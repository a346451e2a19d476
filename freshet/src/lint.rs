//! `freshet lint URL`: watches a live stream for a while as players would and says what is wrong with it.
//!
//! ```text
//! media::lint::Lint ──Request──▶ client (HTTP/1.1 or 2, one task a request) ──▶ the server
//!                   ◀─Response──┘
//!                   ──Report──▶ report (table or JSON), exit code
//! ```
//! Exit codes: 0 no violation (there may be advice), 1 lint itself failed, 2 wrong usage, 3 violations.

mod client;
mod report;

use std::{io::IsTerminal, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use freshet_media::lint::{Lint, Report, Request, Response};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, sleep_until},
};

use self::client::Client;

/// `freshet lint URL`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 no violation (there may be advice), 1 lint itself failed, 2 wrong usage, \
                        3 violations.")]
pub struct Args {
    /// A multivariant or media playlist: http://localhost:8080/live/demo/index.m3u8.
    #[arg(value_name = "URL")]
    pub url: String,
    /// For how long the stream is watched: 30s, 2m, 1h. An ended stream is watched no longer than needed.
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub watch: Duration,
    /// Print the result as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Accept any certificate.
    #[arg(long)]
    pub insecure: bool,
}

/// How many requests are under way at once; a request that a server holds is one of them.
const MAX_REQUESTS: usize = 256;

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write seconds, minutes or hours as in 30s, 2m, 1h".into()),
    };
    let number: u64 = number.parse().map_err(|_| "write seconds, minutes or hours as in 30s, 2m, 1h".to_owned())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds).clamp(1, 7 * 86_400)))
}

/// Watches the stream, prints what was found.
///
/// # Errors
/// Where the URL is none, or certificates can't be read. What the server does wrong is a finding, not an error.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let lint = Lint::new(&args.url).with_context(|| format!("{} is no http or https URL", args.url))?;
    let client = Arc::new(Client::new(args.insecure)?);
    let report = watch(lint, client, args.watch, std::io::stderr().is_terminal() && !args.json).await;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report::json(&args.url, &report))?);
    } else {
        print!("{}", report::table(&args.url, &report));
    }
    Ok(if report.violations() > 0 { ExitCode::from(EXIT_VIOLATIONS) } else { ExitCode::SUCCESS })
}

/// There were violations.
const EXIT_VIOLATIONS: u8 = 3;

async fn watch(mut lint: Lint, client: Arc<Client>, length: Duration, progress: bool) -> Report {
    let start = Instant::now();
    let places = Arc::new(Semaphore::new(MAX_REQUESTS));
    // Bounded by the requests under way: each sends one reply.
    let (replies, mut replied) = mpsc::channel::<(u64, anyhow::Result<Response>)>(MAX_REQUESTS);
    let mut second = 0;
    loop {
        for request in lint.requests() {
            tokio::spawn(fetch(Arc::clone(&client), Arc::clone(&places), request, start, replies.clone()));
        }
        if lint.is_done() {
            break;
        }
        tokio::select! {
            () = sleep_until(start + length) => break,
            () = sleep_until(start + Duration::from_secs(second + 1)) => {
                second = start.elapsed().as_secs();
                if progress {
                    report::progress(second, length, &lint.report());
                }
            }
            reply = replied.recv() => match reply {
                Some((id, Ok(response))) => lint.respond(id, &response),
                Some((id, Err(reason))) => lint.fail(id, &format!("{reason:#}")),
                None => break,
            },
        }
    }
    lint.stop();
    if progress {
        eprint!("\r\x1b[K");
    }
    lint.report()
}

async fn fetch(
    client: Arc<Client>,
    places: Arc<Semaphore>,
    request: Request,
    start: Instant,
    replies: mpsc::Sender<(u64, anyhow::Result<Response>)>,
) {
    sleep(request.after).await;
    let Ok(_place) = places.acquire().await else { return };
    let reply = client.fetch(&request, start).await;
    let _ = replies.send((request.id, reply)).await;
}

#[cfg(test)]
mod tests;
