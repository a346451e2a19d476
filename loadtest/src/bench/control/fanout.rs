//! How long a change takes to reach a thousand watchers, from the moment it is asked for.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, ensure};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::cluster::{Client, Cluster, MEMBERS, Watch};
use crate::report::{Distribution, Summary};

/// How many watch, each on a stream of its own.
const WATCHERS: usize = 1000;

/// Over how many connections they come: each goes to one member.
const CONNECTIONS: usize = 20;

/// How many changes there are a second.
const RATE: u32 = 50;

/// How many clients take turns to write, so that none waits for another's answer.
const WRITERS: usize = 8;

/// How long all watchers may take, after the last change, to have read them all.
const PATIENCE: Duration = Duration::from_secs(30);

/// When each change was asked for, and how long each watcher waited for it.
struct Board {
    asked: Mutex<Vec<Option<Instant>>>,
    delays: Mutex<Distribution>,
}

impl Board {
    fn new(changes: usize) -> Self {
        Self { asked: Mutex::new(vec![None; changes]), delays: Mutex::default() }
    }

    fn ask(&self, change: usize) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)[change] = Some(Instant::now());
    }

    fn read(&self, change: usize) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner)[change];
        if let Some(asked) = asked {
            let us = asked.elapsed().as_micros() as u64;
            self.delays.lock().unwrap_or_else(PoisonError::into_inner).record_us(us);
        }
    }
}

/// Changes a channel fifty times a second for so many seconds; returns each watcher's delay for each change.
///
/// # Errors
/// When a watch ends, or not everybody has read every change half a minute after the last.
pub async fn delays<C: Cluster>(cluster: &C, leader: usize, seconds: u32) -> anyhow::Result<Summary> {
    let changes = (RATE * seconds) as usize;
    let board = Arc::new(Board::new(changes));
    let mut watching = JoinSet::new();
    for (index, client) in cluster.clients(WATCHERS, CONNECTIONS, leader)?.into_iter().enumerate() {
        let watch = client.watch(index % CONNECTIONS % MEMBERS).await.context(C::NAME)?;
        let board = board.clone();
        watching.spawn(async move { follow(watch, client, &board, changes).await });
    }
    write(cluster, leader, &board, changes).await.context(C::NAME)?;
    let all = timeout(PATIENCE, watching.join_all()).await;
    let delays = board.delays.lock().unwrap_or_else(PoisonError::into_inner).summary();
    let all = all.map_err(|_| anyhow::anyhow!("{} of {} changes were read", delays.samples, WATCHERS * changes));
    all.and_then(|all| all.into_iter().collect::<anyhow::Result<()>>()).context(C::NAME)?;
    ensure!(delays.samples == (WATCHERS * changes) as u64, "{} delays were taken", delays.samples);
    Ok(delays)
}

/// Reads until every change has come once; one that was written twice, because its answer was lost, comes twice.
async fn follow<C: Client>(mut watch: C::Watch, _client: C, board: &Board, changes: usize) -> anyhow::Result<()> {
    let (mut seen, mut left) = (vec![false; changes], changes);
    while left > 0 {
        let change = watch.next().await?;
        if seen.get(change) == Some(&false) {
            board.read(change);
            seen[change] = true;
            left -= 1;
        }
    }
    Ok(())
}

/// Each change is asked for when it is due, whatever became of those before it.
async fn write<C: Cluster>(cluster: &C, leader: usize, board: &Board, changes: usize) -> anyhow::Result<()> {
    let writers = cluster.clients(WRITERS, 1, leader)?;
    for writer in &writers {
        // Nobody waits for this one.
        writer.put(changes).await?;
    }
    let writers: Vec<Arc<C::Client>> = writers.into_iter().map(Arc::new).collect();
    let mut tick = interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut writing = JoinSet::new();
    for change in 0..changes {
        tick.tick().await;
        board.ask(change);
        let writer = writers[change % WRITERS].clone();
        writing.spawn(async move { writer.put(change).await });
    }
    writing.join_all().await.into_iter().collect()
}
