//! Committed writes a second: clients in a closed loop at the leader.

use std::time::Duration;

use anyhow::Context;
use tokio::{task::JoinSet, time::Instant};

use super::cluster::{Client, Cluster};

/// Over how many connections clients come, at most.
const CONNECTIONS: usize = 16;

/// How many channels are overwritten: a registry that grew would measure its size.
const CHANNELS: usize = 16;

/// Lets so many clients write for so long; returns how many writes a second were answered as committed.
///
/// # Errors
/// When one is not answered.
pub async fn per_second<C: Cluster>(cluster: &C, leader: usize, count: usize, length: Duration) -> anyhow::Result<f64> {
    let clients = cluster.clients(count, count.min(CONNECTIONS), leader)?;
    let mut warm = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        warm.spawn(async move { client.put(index % CHANNELS).await.map(|()| client) });
    }
    let clients = warm.join_all().await.into_iter().collect::<anyhow::Result<Vec<_>>>().context(C::NAME)?;
    let (began, mut writing) = (Instant::now(), JoinSet::new());
    for (index, client) in clients.into_iter().enumerate() {
        writing.spawn(async move {
            let mut written = 0u64;
            while began.elapsed() < length {
                client.put(index % CHANNELS).await?;
                written += 1;
            }
            anyhow::Ok(written)
        });
    }
    let written = writing.join_all().await.into_iter().sum::<anyhow::Result<u64>>().context(C::NAME)?;
    Ok(written as f64 / began.elapsed().as_secs_f64())
}
