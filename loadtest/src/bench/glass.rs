//! Glass to glass: from the clock that an encoder burns into the picture to the pixels in Chromium.
//!
//! `e2e/glass.mjs` has the encoder, the browser and the clock; here it is run and believed. Nothing is pinned: encoder,
//! server and browser share the machine as they would anywhere.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{
    Setting,
    verdict::{Figure, Findings},
};

/// The median that must not be exceeded.
const GATE_MS: f64 = 2500.0;

#[derive(Deserialize)]
struct Glass {
    median: f64,
}

/// Measures it in several runs, a browser and a server of its own each.
///
/// # Errors
/// When the picture does not move, or Node.js, Chromium or ffmpeg is missing.
pub fn run(setting: &Setting, findings: &mut Findings) -> anyhow::Result<()> {
    let what = "median age of the picture in Chromium, by the clock burnt into it".to_owned();
    let mut glass = Figure { what, unit: "ms", values: Vec::new(), gate: GATE_MS, goal: GATE_MS };
    for run in 0..setting.runs {
        glass.values.push(once(setting)?.median);
        eprintln!("glass to glass, run {}: {:.0} ms", run + 1, glass.values[run]);
    }
    findings.figures.push(glass);
    Ok(())
}

fn once(setting: &Setting) -> anyhow::Result<Glass> {
    let script = Path::new("e2e/glass.mjs");
    ensure!(script.exists(), "{} is missing: run this in the repository's folder", script.display());
    let output = Command::new("node")
        .arg(script)
        .env("FRESHET_BIN", setting.freshet.canonicalize().context("the binary to measure")?)
        .stdin(Stdio::null())
        .output()
        .context("node could not be started")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} ended with {}:\n{said}", script.display(), output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
