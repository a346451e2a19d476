//! Herds: thousands parked on one reload, thousands that want one cold object, beside pingora; memory while held.

use std::{thread, time::Duration};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{
    Setting,
    burst::{Burst, control},
    caches::Ground,
    clients::Cache,
    verdict::{Comparison, Figure, Findings},
};
use crate::report::Summary;

/// How many connections make a herd.
const HERD: usize = 10_000;
/// A smaller one.
const FLOCK: usize = 1_000;

/// What every connection asks first: small and soon cached.
const WARM: &str = "/live/bench/1/v0/100.m4s";

/// For how long a herd rests before it is released: all are parked by then, and RSS has settled.
const REST: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
struct Transfers {
    most: u64,
    name: String,
}

/// Measures herds at our edge and at pingora in turns, then memory per held viewer.
///
/// # Errors
/// When a server does not start, any request fails, or our edge transfers an object twice.
pub fn run(setting: &Setting, ground: &Ground, findings: &mut Findings) -> anyhow::Result<()> {
    let mut rows = [
        row("median delay, 10,000 parked reloads released by one part", 1.0),
        row("longest delay, 10,000 parked reloads released by one part", 1.0),
        row("median delay, 10,000 requests for one cold object", 1.0),
        row("longest delay, 10,000 requests for one cold object", 1.0),
    ];
    let mut flock = figure("median delay, 1,000 parked reloads released by one part", "ms", 20.0, 20.0);
    let (mut cold, mut peers_most) = (0, 0);
    for run in 0..setting.runs {
        for ours in [true, false] {
            let cache = if ours { ground.freshet(&setting.freshet)? } else { ground.pingora(&setting.pingora)? };
            let parked = parked(ground, &cache, HERD, false)?;
            cold += 1;
            let (burst, second) = cold_object(ground, &cache, cold)?;
            match ours {
                true => [&parked.transfers, &second].into_iter().try_for_each(once)?,
                false => peers_most = peers_most.max(parked.transfers.most).max(second.most),
            }
            let parked = parked.delays;
            for (row, value) in rows.iter_mut().zip([parked.p50, parked.max, burst.p50, burst.max]) {
                if ours { row.ours.push(value) } else { row.theirs.push(value) }
            }
            if ours {
                let flocked = self::parked(ground, &cache, FLOCK, false)?;
                once(&flocked.transfers)?;
                flock.values.push(flocked.delays.p50);
            }
        }
        eprintln!("herds, run {} of {}", run + 1, setting.runs);
    }
    eprintln!("pingora transferred one object at most {peers_most} times");
    findings.comparisons.extend(rows);
    findings.figures.push(flock);
    if let Err(error) = held_memory(setting, ground, findings) {
        // What was measured before is worth keeping; the missing rows miss their gates.
        eprintln!("memory was not measured: {error:#}");
    }
    Ok(())
}

fn held_memory(setting: &Setting, ground: &Ground, findings: &mut Findings) -> anyhow::Result<()> {
    let mut plain = figure("memory per held viewer, plain", "KiB", 30.0, 12.0);
    let mut tls = figure("memory per held viewer, TLS", "KiB", 40.0, 20.0);
    findings.figures.extend([plain.clone(), tls.clone()]);
    for _ in 0..setting.runs {
        for (figure, over_tls) in [(&mut plain, false), (&mut tls, true)] {
            let cache = ground.freshet(&setting.freshet)?;
            let parked = parked(ground, &cache, HERD, over_tls).with_context(|| figure.what.clone())?;
            once(&parked.transfers)?;
            figure.values.push(parked.bytes_each / 1024.0);
        }
    }
    let rows = findings.figures.len() - 2;
    findings.figures.truncate(rows);
    findings.figures.extend([plain, tls]);
    Ok(())
}

struct Parked {
    delays: Summary,
    bytes_each: f64,
    transfers: Transfers,
}

/// Parks `count` reloads and releases them by one part.
fn parked(ground: &Ground, cache: &Cache, count: usize, over_tls: bool) -> anyhow::Result<Parked> {
    let address = if over_tls { cache.https } else { cache.http };
    let before = cache.server.usage()?.rss_bytes;
    let mut burst = Burst::open(address, over_tls, count, WARM)?;
    let newest: u32 = control(ground.http, "GET", "/newest")?.trim().parse()?;
    control(ground.http, "GET", "/transfers")?;
    burst.ask(&format!("/live/bench/v0.m3u8?_HLS_msn=10000000&_HLS_part={}", newest + 1))?;
    // The herd must be parked before it is released; nothing tells when it is, so it gets ample time.
    thread::sleep(REST);
    let held = cache.server.usage()?.rss_bytes;
    burst.restart_clock();
    control(ground.http, "POST", "/release")?;
    let delays = burst.finish().context("a parked herd")?.summary();
    let bytes_each = (held as f64 - before as f64) / count as f64;
    Ok(Parked { delays, bytes_each, transfers: transfers(ground)? })
}

/// Has [`HERD`] connections ask for an object that nobody has; returns how often it was transferred, too.
fn cold_object(ground: &Ground, cache: &Cache, number: u32) -> anyhow::Result<(Summary, Transfers)> {
    let mut burst = Burst::open(cache.http, false, HERD, WARM)?;
    control(ground.http, "GET", "/transfers")?;
    burst.ask(&format!("/live/bench/1/v0/40000.{number}.m4s"))?;
    let delays = burst.finish().context("a herd for a cold object")?.summary();
    Ok((delays, transfers(ground)?))
}

/// How often the name was transferred that was so most often since this was last asked.
fn transfers(ground: &Ground) -> anyhow::Result<Transfers> {
    Ok(serde_json::from_str(&control(ground.http, "GET", "/transfers")?)?)
}

fn once(transfers: &Transfers) -> anyhow::Result<()> {
    let Transfers { most, name } = transfers;
    ensure!(*most == 1, "freshet transferred {name} {most} times");
    Ok(())
}

fn row(what: &str, gate: f64) -> Comparison {
    Comparison {
        what: what.to_owned(),
        peer: "pingora".to_owned(),
        unit: "ms",
        ours: Vec::new(),
        theirs: Vec::new(),
        more_is_better: false,
        gate,
        goal: gate,
    }
}

fn figure(what: &str, unit: &'static str, gate: f64, goal: f64) -> Figure {
    Figure { what: what.to_owned(), unit, values: Vec::new(), gate, goal }
}
