//! How long writes stand still when the process that leads is killed.

use anyhow::Context;
use tokio::time::Instant;

use super::cluster::{Client, Cluster, settled};

/// Kills the leader, writes at once, and starts it again; returns the milliseconds until a client that was connected to the
/// leader had its write committed by another.
///
/// # Errors
/// When the members do not agree on a leader before, or nobody takes the write.
pub async fn standstill<C: Cluster>(cluster: &mut C, desk: &C::Client) -> anyhow::Result<f64> {
    let leader = settled(desk).await.context(C::NAME)?;
    let clients = cluster.clients(1, 1, leader)?;
    let client = clients.first().context("a client")?;
    client.put(0).await.context(C::NAME)?;
    let killed = Instant::now();
    cluster.kill(leader).context(C::NAME)?;
    client.put(0).await.context(C::NAME)?;
    let ms = killed.elapsed().as_secs_f64() * 1000.0;
    cluster.revive(leader).context(C::NAME)?;
    Ok(ms)
}
