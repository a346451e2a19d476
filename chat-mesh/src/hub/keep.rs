//! What must be stored: in order for each channel, one call at a time, again and again until it is done.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use freshet_proto::id::ChannelName;
use tokio::{
    sync::mpsc,
    time::{Duration, sleep},
};

use super::{actor::Command, doors::Store};
use crate::{
    mesh,
    moderation::{Change, LogEntry},
};

/// How many changes go in one call.
const CALL: usize = 64;

/// How many lines of the moderation log may wait for one channel. The oldest are lost beyond that, and it is said.
const MAX_ENTRIES: usize = 1_000;

/// How soon a call that failed is made again: at first, and at last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// See the module.
pub(super) struct Keep {
    store: Arc<dyn Store>,
    back: mpsc::WeakSender<Command>,
    queues: BTreeMap<ChannelName, Queue>,
}

/// What waits for one channel. While it is there, a call is under way.
#[derive(Default)]
struct Queue {
    /// As many as moderators make: each waits for the last, so they are few.
    changes: VecDeque<(u64, u64, Change)>,
    entries: VecDeque<LogEntry>,
}

/// What one call stores.
struct Job {
    channel: ChannelName,
    epoch: u64,
    changes: Vec<(u64, Change)>,
    entries: Vec<LogEntry>,
}

impl Keep {
    pub(super) fn new(store: Arc<dyn Store>, back: mpsc::WeakSender<Command>) -> Self {
        Self { store, back, queues: BTreeMap::new() }
    }

    /// Finds out what is stored of a channel.
    pub(super) fn open(&self, channel: ChannelName) {
        let (store, back) = (Arc::clone(&self.store), self.back.clone());
        tokio::spawn(async move {
            let mut wait = RETRY.0;
            let stored = loop {
                match store.open(channel.clone()).await {
                    Ok(stored) => break stored,
                    Err(error) => tracing::warn!(%channel, %error, "a channel can't be opened yet"),
                }
                if back.upgrade().is_none() {
                    return;
                }
                again(&mut wait).await;
            };
            tell(&back, Command::Mesh(mesh::Input::Opened { channel, stored: stored.map(Box::new) })).await;
        });
    }

    /// Stores a change, after those before it.
    pub(super) fn store(&mut self, channel: ChannelName, epoch: u64, version: u64, change: Change) {
        self.add(channel, |queue| queue.changes.push_back((epoch, version, change)));
    }

    /// Keeps a line of the moderation log.
    pub(super) fn log(&mut self, channel: ChannelName, entry: LogEntry) {
        self.add(channel, |queue| queue.entries.push_back(entry));
    }

    fn add(&mut self, channel: ChannelName, add: impl FnOnce(&mut Queue)) {
        let busy = self.queues.contains_key(&channel);
        let queue = self.queues.entry(channel.clone()).or_default();
        add(queue);
        if queue.entries.len() > MAX_ENTRIES {
            queue.entries.pop_front();
            tracing::error!(%channel, "a line of the moderation log is lost: too many wait to be stored");
        }
        if !busy {
            self.next(channel);
        }
    }

    /// The call under way for `channel` is done: makes the next, if there is something.
    pub(super) fn next(&mut self, channel: ChannelName) {
        let Some(queue) = self.queues.get_mut(&channel) else { return };
        let epoch = queue.changes.front().map_or(0, |(epoch, ..)| *epoch);
        let mut job = Job { channel, epoch, changes: Vec::new(), entries: Vec::new() };
        while let Some((epoch, version, change)) = queue.changes.pop_front() {
            if epoch != job.epoch || job.changes.len() == CALL {
                queue.changes.push_front((epoch, version, change));
                break;
            }
            job.changes.push((version, change));
        }
        let entries = queue.entries.len().min(CALL);
        job.entries.extend(queue.entries.drain(..entries));
        if job.changes.is_empty() && job.entries.is_empty() {
            self.queues.remove(&job.channel);
            return;
        }
        tokio::spawn(run(job, Arc::clone(&self.store), self.back.clone()));
    }
}

/// Changes first: a moderator waits for them.
async fn run(job: Job, store: Arc<dyn Store>, back: mpsc::WeakSender<Command>) {
    let Job { channel, epoch, changes, entries } = job;
    let mut wait = RETRY.0;
    if let Some(version) = changes.last().map(|(version, _)| *version) {
        while let Err(error) = store.store(channel.clone(), epoch, changes.clone()).await {
            tracing::warn!(%channel, %error, "what moderators did is not stored yet");
            if back.upgrade().is_none() {
                return;
            }
            again(&mut wait).await;
        }
        tell(&back, Command::Mesh(mesh::Input::Stored { channel: channel.clone(), version })).await;
    }
    while !entries.is_empty()
        && let Err(error) = store.log(channel.clone(), entries.clone()).await
    {
        tracing::warn!(%channel, %error, "lines of the moderation log are not stored yet");
        if back.upgrade().is_none() {
            return;
        }
        again(&mut wait).await;
    }
    tell(&back, Command::Kept(channel)).await;
}

async fn again(wait: &mut Duration) {
    sleep(*wait).await;
    *wait = (*wait * 2).min(RETRY.1);
}

async fn tell(back: &mpsc::WeakSender<Command>, command: Command) {
    if let Some(back) = back.upgrade() {
        let _ = back.send(command).await;
    }
}
