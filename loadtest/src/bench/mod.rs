//! `loadtest bench`: measures Freshet beside its peers, in turns, on pinned cores, and writes the ratios down.
//!
//! ```text
//! Ground (stub, certificates) ─▶ packaging │ delay │ herd │ requests ─▶ Findings ─▶ docs/performance.md, JSON, exit code
//! ```

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context;

mod burst;
mod caches;
mod clients;
mod delay;
mod herd;
mod packaging;
mod process;
mod requests;
mod verdict;

use caches::Ground;
use verdict::Findings;

/// Measures Freshet beside nginx, nginx-rtmp and pingora.
///
/// Every comparison is a ratio of figures taken in turns with the same client: servers on core 0, clients on core 1.
/// The exit code is 1 when a gate is missed.
#[derive(clap::Args)]
pub struct Args {
    /// The binary to measure: a release build.
    #[arg(long, default_value = "target/release/freshet")]
    freshet: PathBuf,
    /// The proxy on pingora, built from loadtest/peers/pingora.
    #[arg(long, default_value = "target/peers/release/pingora-peer")]
    pingora: PathBuf,
    /// The clip that publishers send: 720p30 of 2.5 Mb/s (scripts/bench makes one).
    #[arg(long, default_value = "target/bench-clip.flv")]
    clip: PathBuf,
    /// How many times each side is measured.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// How long one measurement takes, seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// Only these.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Suite>,
    /// Write the tables between the markers of this file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write everything as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// Requests per CPU-second beside nginx.
    Requests,
    /// Herds beside pingora, and memory per held viewer.
    Herd,
    /// CPU per publisher beside nginx-rtmp.
    Packaging,
    /// From an RTMP frame to its bytes at a viewer.
    Delay,
}

/// What every suite needs to know.
pub struct Setting {
    freshet: PathBuf,
    pingora: PathBuf,
    clip: PathBuf,
    runs: usize,
    seconds: u32,
}

/// Runs the suites and writes their findings.
///
/// # Errors
/// When something can't be measured; nothing is written then.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let Args { freshet, pingora, clip, runs, seconds, .. } = &args;
    let (freshet, pingora, clip) = (freshet.clone(), pingora.clone(), clip.clone());
    let setting = Setting { freshet, pingora, clip, runs: *runs, seconds: *seconds };
    let wanted = |suite| args.only.is_empty() || args.only.contains(&suite);
    let mut findings = Findings::default();
    if wanted(Suite::Packaging) {
        packaging::run(&setting, scratch.path(), &mut findings).context("packaging")?;
    }
    if wanted(Suite::Delay) {
        delay::run(&setting, scratch.path(), &mut findings).context("delay")?;
    }
    let ground = Ground::new(scratch.path())?;
    if wanted(Suite::Herd) {
        herd::run(&setting, &ground, &mut findings).context("herds")?;
    }
    if wanted(Suite::Requests) {
        requests::run(&setting, &ground, &mut findings).context("requests")?;
    }
    let tables = findings.tables();
    println!("{tables}");
    if let Some(path) = &args.out {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        fs::write(path, between_markers(&text, &tables)?)?;
    }
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&findings)? + "\n")?;
    }
    Ok(if findings.hold() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

const BEGIN: &str = "<!-- measured -->\n";
const END: &str = "<!-- /measured -->";

fn between_markers(text: &str, tables: &str) -> anyhow::Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("the file has no <!-- measured --> marker")?;
    let (_, after) = rest.split_once(END).context("the file has no <!-- /measured --> marker")?;
    Ok(format!("{before}{BEGIN}{tables}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_replace_what_stood_between_the_markers() {
        let text = "# Speed\n<!-- measured -->\nold\n<!-- /measured -->\nmore\n";
        let new = between_markers(text, "| new |\n").expect("both markers are there");
        assert_eq!(new, "# Speed\n<!-- measured -->\n| new |\n<!-- /measured -->\nmore\n");
        assert!(between_markers("nothing", "").is_err());
    }
}
