//! `loadtest bench`: measures Freshet beside its peers, in turns, on pinned cores, and writes the ratios down.
//!
//! ```text
//! packaging │ delay │ glass │ herd │ requests │ control │ chat ─▶ Findings, one a suite ─▶ its section of docs/performance.md, JSON, exit code
//! ```
//! Each suite has a section of its own, so that one can be measured anew without the others.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::ValueEnum;

mod burst;
mod caches;
mod chat;
mod clients;
mod control;
mod delay;
mod glass;
mod herd;
mod machine;
mod packaging;
mod process;
mod requests;
mod verdict;

use caches::Ground;
use machine::Ticks;
pub use process::pinned;
use verdict::Findings;

/// Measures Freshet beside nginx, nginx-rtmp, pingora, etcd, Bun, NATS and tungstenite.
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
    /// Where Bun, nats-server and the broadcast on tungstenite are (scripts/bench-peers puts them there).
    #[arg(long, default_value = "target/peers")]
    peers: PathBuf,
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
    /// Write each suite's tables between its markers in this file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write everything as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured by itself, in the order in which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Suite {
    /// CPU and memory per publisher beside nginx-rtmp.
    Packaging,
    /// From an RTMP frame to its bytes at a viewer.
    Delay,
    /// From the encoder's clock to the pixels in Chromium.
    Glass,
    /// Herds beside pingora, and memory per held viewer.
    Herd,
    /// Requests per CPU-second beside nginx.
    Requests,
    /// Committed writes, watch fan-out and failover of the control plane beside etcd.
    Control,
    /// Deliveries of chat per CPU-second beside Bun, NATS and tungstenite; memory per connection.
    Chat,
}

/// What every suite needs to know.
pub struct Setting {
    freshet: PathBuf,
    pingora: PathBuf,
    peers: PathBuf,
    clip: PathBuf,
    runs: usize,
    seconds: u32,
}

/// Runs the suites and writes the findings of each as soon as it is done.
///
/// # Errors
/// When something can't be measured; nothing is written of that suite and those after it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let Args { freshet, pingora, peers, clip, runs, seconds, .. } = &args;
    let (freshet, pingora, peers, clip) = (freshet.clone(), pingora.clone(), peers.clone(), clip.clone());
    let setting = Setting { freshet, pingora, peers, clip, runs: *runs, seconds: *seconds };
    let machine = machine::describe(&setting.freshet);
    let mut all = BTreeMap::new();
    for suite in Suite::value_variants().iter().filter(|suite| args.only.is_empty() || args.only.contains(suite)) {
        let name = suite.name();
        let findings = suite.run(&setting).with_context(|| name.clone())?;
        let section = findings.section(&machine, &jiff::Timestamp::now().strftime("%F").to_string());
        println!("{section}");
        if let Some(path) = &args.out {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            fs::write(path, between_markers(&text, &name, &section)?)?;
        }
        all.insert(name, findings);
    }
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    Ok(if all.values().all(Findings::hold) { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Suite {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn run(self, setting: &Setting) -> anyhow::Result<Findings> {
        let scratch = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
        let mut findings = Findings { runs: setting.runs, ..Findings::default() };
        let before = Ticks::now()?;
        match self {
            Self::Packaging => packaging::run(setting, scratch.path(), &mut findings)?,
            Self::Delay => delay::run(setting, scratch.path(), &mut findings)?,
            Self::Glass => glass::run(setting, &mut findings)?,
            Self::Herd => herd::run(setting, &Ground::new(scratch.path())?, &mut findings)?,
            Self::Requests => requests::run(setting, &Ground::new(scratch.path())?, &mut findings)?,
            Self::Control => control::run(setting, &mut findings)?,
            Self::Chat => chat::run(setting, scratch.path(), &mut findings)?,
        }
        findings.others_percent = Ticks::now()?.others_percent(before);
        Ok(findings)
    }
}

/// A number with a comma between its thousands.
fn thousands(number: u32) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}

/// Puts `section` between the markers of suite `name`.
fn between_markers(text: &str, name: &str, section: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- measured: {name} -->\n"), format!("<!-- /measured: {name} -->"));
    let (before, rest) = text.split_once(&begin).with_context(|| format!("the file has no line {begin}"))?;
    let (_, after) = rest.split_once(&end).with_context(|| format!("the file has no line {end}"))?;
    Ok(format!("{before}{begin}{section}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_replaces_what_stood_between_its_markers_and_nothing_else() {
        let text = "# Speed\n<!-- measured: herd -->\nold\n<!-- /measured: herd -->\n<!-- measured: delay -->\nkept\n";
        let new = between_markers(text, "herd", "| new |\n").expect("both markers are there");
        assert_eq!(new, text.replace("old", "| new |"));
        assert!(between_markers(text, "delay", "").is_err());
    }

    #[test]
    fn the_page_has_a_place_for_every_suite() {
        let page = include_str!("../../../docs/performance.md");
        for suite in Suite::value_variants() {
            between_markers(page, &suite.name(), "").expect("markers");
        }
    }
}
