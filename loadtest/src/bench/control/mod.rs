//! The control plane beside etcd: committed writes, how fast a change spreads, and how long writes stand still when the
//! leader is killed. Three processes on either side, real disks, both sides encrypted; one client for both.
//!
//! ```text
//! ours (freshet control ×3, QUIC) ┐                      ┌ writes    committed writes/s
//!                                 ├─ cluster::Client ──▶ ┤ fanout    delay to 1,000 watchers
//! etcd (etcd ×3, gRPC ◀ protobuf) ┘                      └ failover  next committed write after SIGKILL
//! ```

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;

use super::{Setting, process::CLIENT_CORE, verdict::Findings};
use crate::report::Summary;
use cluster::{Cluster, settled};
use etcd::Etcd;
use ours::Freshet;
use rows::Rows;

mod cluster;
mod etcd;
mod failover;
mod fanout;
mod grpc;
mod ours;
mod protobuf;
mod rows;
mod writes;

/// How many clients write at once.
const CLIENTS: [usize; 3] = [1, 16, 128];

/// How often each leader is killed, at least, over all runs.
const KILLS: usize = 20;

/// Measures both sides in turns.
///
/// # Errors
/// When etcd is not installed, a process does not start, or anything that is asked is not answered. What the processes
/// logged is then kept, and where is said.
pub fn run(setting: &Setting, findings: &mut Findings) -> anyhow::Result<()> {
    etcd::installed()?;
    ensure!(setting.freshet.exists(), "{} is missing: `make bench` builds it", setting.freshet.display());
    let scratch = on_disk(&setting.freshet)?;
    let client = || {
        let mut core = CpuSet::new();
        core.set(CLIENT_CORE as usize);
        sched_setaffinity(None, &core).context("the clients' core")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(measure(setting, scratch.path(), findings))
    };
    // A thread of its own, because it stays on the clients' core.
    let measured = thread::scope(|scope| scope.spawn(client).join());
    let measured = measured.unwrap_or_else(|_| Err(anyhow::anyhow!("the client panicked")));
    measured.inspect_err(|_| eprintln!("control: logs and data are kept in {}", scratch.keep().display()))
}

/// A directory beside the binary, because the usual ones may be in memory, where a sync costs nothing.
fn on_disk(binary: &Path) -> anyhow::Result<TempDir> {
    /// `TMPFS_MAGIC` of statfs(2).
    const MEMORY: rustix::fs::FsWord = 0x0102_1994;
    let dir = binary.parent().unwrap_or(Path::new("."));
    let scratch = tempfile::tempdir_in(dir).with_context(|| dir.display().to_string())?;
    let kind = rustix::fs::statfs(scratch.path())?.f_type;
    ensure!(kind != MEMORY, "{} is in memory, where a sync costs nothing: build onto a disk", dir.display());
    Ok(scratch)
}

async fn measure(setting: &Setting, scratch: &Path, findings: &mut Findings) -> anyhow::Result<()> {
    let dir = |name: &str| -> anyhow::Result<_> {
        let dir = scratch.join(name);
        std::fs::create_dir(&dir)?;
        Ok(dir)
    };
    eprintln!("control: three control nodes and three members of etcd are started");
    let mut ours = Side::new(Freshet::start(&setting.freshet, &dir("freshet")?)?)?;
    let mut theirs = Side::new(Etcd::start(&dir("etcd")?)?)?;
    let kills = KILLS.div_ceil(setting.runs.max(1));
    let mut rows = Rows::new(CLIENTS, kills * setting.runs);
    for run in 1..=setting.runs {
        for (index, count) in CLIENTS.into_iter().enumerate() {
            rows.wrote(index, ours.writes(run, count, setting).await?, theirs.writes(run, count, setting).await?);
        }
        rows.spread(ours.spread(run, setting).await?, theirs.spread(run, setting).await?);
        rows.killed(ours.kills(run, kills).await?, theirs.kills(run, kills).await?);
    }
    rows.into_findings(findings);
    Ok(())
}

/// A cluster, and who looks after it.
struct Side<C: Cluster> {
    cluster: C,
    desk: C::Client,
}

impl<C: Cluster> Side<C> {
    fn new(cluster: C) -> anyhow::Result<Self> {
        let desk = cluster.clients(1, 1, 0)?.pop().context("a client")?;
        Ok(Self { cluster, desk })
    }

    async fn writes(&self, run: usize, count: usize, setting: &Setting) -> anyhow::Result<f64> {
        let leader = settled(&self.desk).await.context(C::NAME)?;
        let length = Duration::from_secs(setting.seconds.into());
        let per_second = writes::per_second(&self.cluster, leader, count, length).await?;
        eprintln!("control, run {run}: {}: {per_second:.0} committed writes/s with {count} at once", C::NAME);
        Ok(per_second)
    }

    async fn spread(&self, run: usize, setting: &Setting) -> anyhow::Result<Summary> {
        let leader = settled(&self.desk).await.context(C::NAME)?;
        let delays = fanout::delays(&self.cluster, leader, setting.seconds).await?;
        let Summary { p50, p99, .. } = delays;
        eprintln!("control, run {run}: {}: delay to watchers: median {p50:.1} ms, p99 {p99:.1} ms", C::NAME);
        Ok(delays)
    }

    async fn kills(&mut self, run: usize, count: usize) -> anyhow::Result<Vec<f64>> {
        let mut all = Vec::new();
        for kill in 1..=count {
            let ms = failover::standstill(&mut self.cluster, &self.desk).await?;
            eprintln!("control, run {run}: {}: leader killed ({kill} of {count}): {ms:.0} ms", C::NAME);
            all.push(ms);
        }
        Ok(all)
    }
}
