//! The fan-out of chat beside its peers: one channel, one core for the server, one for the client, the same client for all.
//!
//! ```text
//! ours (loadtest hub) ┐
//! Bun, Bun batching   ├─ loadtest chat-worker: connections, W posts at a time ──▶ deliveries per second of the server's CPU
//! NATS, tungstenite   ┘   (every stream is checked: a message that is lost, doubled or out of order fails the run)
//! ```
//! A post is under way until the last connection has it; then the next goes. All servers send messages of the same length.

use std::path::Path;

use anyhow::{Context, ensure};

use super::{
    Setting,
    process::CLIENT_CORE,
    verdict::{Comparison, Figure, Findings, NO_GATE_BELOW},
};
use crate::chat::{
    drive::{Finished, drive},
    job::{Job, Pace},
    wire::Dialect,
};
use peers::{Peer, Running};

mod peers;

/// How many of the connections also post: posts of one person are limited.
const SENDERS: u32 = 1000;

/// How long a text is in our protocol, where the event around it comes to about 290 bytes; and without one.
const CHAT_CHARS: usize = 60;
const ECHO_CHARS: usize = 228;

/// By how many percent messages may differ in length.
const ALIKE_PERCENT: f64 = 3.0;

/// For so long it is posted before anything is measured.
const WARM_UP_MS: u64 = 1000;

/// One load, and who else is put under it, with the ratio that must hold.
struct Case {
    subscribers: u32,
    in_flight: u32,
    tls: bool,
    peers: &'static [(Peer, f64)],
}

const CASES: [Case; 6] = [
    Case {
        subscribers: 10_000,
        in_flight: 8,
        tls: false,
        peers: &[(Peer::Bun, 1.5), (Peer::BunBatch, 1.0), (Peer::Nats, 5.0), (Peer::Tungstenite, 8.0)],
    },
    Case { subscribers: 10_000, in_flight: 1, tls: false, peers: &[(Peer::Bun, 0.95)] },
    Case {
        subscribers: 1000,
        in_flight: 32,
        tls: false,
        peers: &[
            (Peer::Bun, NO_GATE_BELOW),
            (Peer::BunBatch, NO_GATE_BELOW),
            (Peer::Nats, NO_GATE_BELOW),
            (Peer::Tungstenite, NO_GATE_BELOW),
        ],
    },
    Case {
        subscribers: 10_000,
        in_flight: 8,
        tls: true,
        peers: &[(Peer::Bun, NO_GATE_BELOW), (Peer::BunBatch, NO_GATE_BELOW)],
    },
    Case { subscribers: 10_000, in_flight: 1, tls: true, peers: &[(Peer::Bun, NO_GATE_BELOW)] },
    Case {
        subscribers: 1000,
        in_flight: 32,
        tls: true,
        peers: &[(Peer::Bun, NO_GATE_BELOW), (Peer::BunBatch, NO_GATE_BELOW)],
    },
];

/// Measures all sides in turns.
///
/// # Errors
/// When a peer is not there, a server does not start, or a stream is not as it should be.
pub fn run(setting: &Setting, scratch: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    peers::installed(&setting.peers)?;
    super::caches::viewers_certificate(scratch)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measure = || runtime.block_on(measure(setting, scratch, findings));
    // A thread of its own, because another runtime's is this one's.
    let measured = std::thread::scope(|scope| scope.spawn(measure).join());
    measured.unwrap_or_else(|_| Err(anyhow::anyhow!("the client panicked")))
}

async fn measure(setting: &Setting, scratch: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<Comparison>> = CASES.iter().map(Case::rows).collect();
    let mut plain = figure("memory per connection that waits, plain", 4.0);
    let mut tls = figure("memory per connection that waits, TLS", 20.0);
    for run in 1..=setting.runs {
        for (case, rows) in CASES.iter().zip(&mut rows) {
            let ours = case.load(Peer::Ours, setting, scratch, run).await?;
            for (row, (peer, _)) in rows.iter_mut().zip(case.peers) {
                let theirs = case.load(*peer, setting, scratch, run).await?;
                let (one, other) = (ours.bytes_each, theirs.bytes_each);
                ensure!(
                    (one / other - 1.0).abs() * 100.0 < ALIKE_PERCENT,
                    "messages differ in length: ours have {one:.0} bytes, those of {} {other:.0}",
                    peer.name()
                );
                row.ours.push(ours.per_cpu_s);
                row.theirs.push(theirs.per_cpu_s);
            }
            if case.in_flight == 8 {
                if case.tls { &mut tls } else { &mut plain }.values.push(ours.kib_each);
            }
        }
    }
    findings.comparisons.extend(rows.into_iter().flatten());
    findings.figures.extend([plain, tls]);
    Ok(())
}

/// What one server came to under one load.
struct Loaded {
    per_cpu_s: f64,
    bytes_each: f64,
    kib_each: f64,
}

impl Case {
    fn rows(&self) -> Vec<Comparison> {
        let over = if self.tls { " over TLS" } else { "" };
        let what = format!(
            "deliveries per CPU-second, {} connections{over}, {} messages in flight",
            super::thousands(self.subscribers),
            self.in_flight
        );
        let row = |&(peer, gate): &(Peer, f64)| Comparison {
            what: what.clone(),
            peer: peer.name().to_owned(),
            unit: "1/CPU-s",
            ours: Vec::new(),
            theirs: Vec::new(),
            more_is_better: true,
            gate,
            goal: if gate == NO_GATE_BELOW { 1.0 } else { gate },
        };
        self.peers.iter().map(row).collect()
    }

    /// Starts a server, loads it, and ends it.
    async fn load(&self, peer: Peer, setting: &Setting, scratch: &Path, run: usize) -> anyhow::Result<Loaded> {
        let running = peer.start(setting, scratch, self.tls).with_context(|| peer.name())?;
        let job = self.job(&running, setting);
        let finished = drive(&[job], Some(CLIENT_CORE), false, &running.server).await.with_context(|| peer.name())?;
        let (measured, faults) = (finished.measured, finished.counts.faults());
        ensure!(faults == 0, "{}: {:?}", peer.name(), finished.counts);
        ensure!(measured.deliveries > 0, "{} delivered nothing: {:?}", peer.name(), finished.rest.errors);
        let loaded = Loaded::of(&finished, self.subscribers)?;
        eprintln!(
            "chat, run {run}: {}, {} connections{}, W={}: {:.0} deliveries/s, {:.2} µs of CPU each, {:.1} a read, {:.1} KiB a connection",
            peer.name(),
            self.subscribers,
            if self.tls { " over TLS" } else { "" },
            self.in_flight,
            measured.deliveries as f64 / measured.seconds,
            1e6 / loaded.per_cpu_s,
            measured.deliveries as f64 / measured.reads.max(1) as f64,
            loaded.kib_each,
        );
        Ok(loaded)
    }

    fn job(&self, running: &Running, setting: &Setting) -> Job {
        let senders = match running.dialect {
            Dialect::Chat => (0..SENDERS).map(|n| format!("m{n}")).collect(),
            Dialect::Echo => vec![String::new(); SENDERS as usize],
            // Over several connections NATS keeps no order.
            Dialect::Nats => vec![String::new()],
        };
        Job {
            number: 0,
            run: 1,
            dialect: running.dialect,
            targets: vec![running.target.clone()],
            sources: Vec::new(),
            subscribers: self.subscribers,
            senders,
            pace: Pace::InFlight(self.in_flight),
            text_chars: if running.dialect == Dialect::Chat { CHAT_CHARS } else { ECHO_CHARS },
            warm_up_ms: WARM_UP_MS,
            duration_ms: u64::from(setting.seconds) * 1000,
            batch: false,
            reconnect: false,
        }
    }
}

impl Loaded {
    fn of(finished: &Finished, subscribers: u32) -> anyhow::Result<Self> {
        let servers = finished.servers.context("no server was measured")?;
        ensure!(servers.cpu_s > 0.1, "the server used no CPU time");
        Ok(Self {
            per_cpu_s: finished.measured.deliveries as f64 / servers.cpu_s,
            bytes_each: finished.counts.bytes as f64 / finished.counts.deliveries.max(1) as f64,
            kib_each: (servers.rss_joined as f64 - servers.rss_before as f64) / f64::from(subscribers) / 1024.0,
        })
    }
}

fn figure(what: &str, limit: f64) -> Figure {
    Figure { what: what.to_owned(), unit: "KiB", values: Vec::new(), gate: limit, goal: limit }
}
