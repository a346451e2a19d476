//! Requests per CPU-second from cache, beside nginx: playlists, parts and segments, in the clear, over TLS and h2.

use anyhow::Context;

use super::{
    Setting,
    caches::Ground,
    clients::{Cache, Transport, requests_per_cpu_s},
    verdict::{Comparison, Findings},
};

/// What is asked for, how, and what must hold.
struct Case {
    what: &'static str,
    path: &'static str,
    transport: Transport,
    gate: f64,
    goal: f64,
}

const fn case(what: &'static str, path: &'static str, transport: Transport, gate: f64, goal: f64) -> Case {
    Case { what, path, transport, gate, goal }
}

const CASES: [Case; 9] = [
    case("playlist of 2 KB", "/live/bench/v0.m3u8", Transport::Plain, 0.8, 1.0),
    case("playlist of 2 KB", "/live/bench/v0.m3u8", Transport::Tls, 0.8, 1.0),
    case("playlist of 2 KB", "/live/bench/v0.m3u8", Transport::H2, 0.8, 1.0),
    case("part of 40 KB", "/live/bench/1/v0/40000.0.m4s", Transport::Tls, 1.0, 1.0),
    case("part of 40 KB", "/live/bench/1/v0/40000.0.m4s", Transport::H2, 1.0, 1.0),
    case("segment of 200 KB", "/live/bench/1/v0/200000.m4s", Transport::Tls, 1.2, 1.5),
    case("segment of 200 KB", "/live/bench/1/v0/200000.m4s", Transport::H2, 1.2, 1.5),
    case("segment of 1 MB", "/live/bench/1/v0/1000000.m4s", Transport::Tls, 1.2, 1.5),
    case("segment of 1 MB", "/live/bench/1/v0/1000000.m4s", Transport::H2, 1.2, 1.5),
];

/// Measures every case, ours and nginx's in turns.
///
/// # Errors
/// When a server does not start or a request fails.
pub fn run(setting: &Setting, ground: &Ground, findings: &mut Findings) -> anyhow::Result<()> {
    let ours = ground.freshet(&setting.freshet)?;
    let nginx = ground.nginx()?;
    for case in &CASES {
        let mut row = Comparison {
            what: format!("requests per CPU-second, {}, {}", case.what, case.transport.name()),
            peer: "nginx `proxy_cache`".to_owned(),
            unit: "requests/CPU-s",
            ours: Vec::new(),
            theirs: Vec::new(),
            more_is_better: true,
            gate: case.gate,
            goal: case.goal,
        };
        for run in 0..setting.runs {
            let measure = |cache: &Cache| requests_per_cpu_s(cache, case.transport, case.path, setting.seconds);
            row.ours.push(measure(&ours).context("freshet")?);
            row.theirs.push(measure(&nginx).context("nginx")?);
            eprintln!("{}, run {}: {:.2}", row.what, run + 1, row.ours[run] / row.theirs[run]);
        }
        findings.comparisons.push(row);
    }
    ground.check()
}
