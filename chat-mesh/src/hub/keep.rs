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

use super::{
    actor::Command,
    doors::{Outcome, Store},
};
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
    entries: VecDeque<(u64, LogEntry)>,
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

    /// Keeps a line of the moderation log, by the channel's home in `epoch`.
    pub(super) fn log(&mut self, channel: ChannelName, epoch: u64, entry: LogEntry) {
        self.add(channel, |queue| queue.entries.push_back((epoch, entry)));
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
        let epochs = queue.changes.front().map(|(epoch, ..)| *epoch).into_iter();
        let epoch = epochs.chain(queue.entries.front().map(|(epoch, _)| *epoch)).min().unwrap_or_default();
        let mut job = Job { channel, epoch, changes: Vec::new(), entries: Vec::new() };
        while job.changes.len() < CALL
            && let Some((_, version, change)) = queue.changes.pop_front_if(|(of, ..)| *of == epoch)
        {
            job.changes.push((version, change));
        }
        while job.entries.len() < CALL
            && let Some((_, entry)) = queue.entries.pop_front_if(|(of, _)| *of == epoch)
        {
            job.entries.push(entry);
        }
        if job.changes.is_empty() && job.entries.is_empty() {
            self.queues.remove(&job.channel);
            return;
        }
        tokio::spawn(run(job, Arc::clone(&self.store), self.back.clone()));
    }
}

/// Stores it, however often it takes.
async fn run(job: Job, store: Arc<dyn Store>, back: mpsc::WeakSender<Command>) {
    let Job { channel, epoch, changes, entries } = job;
    let version = changes.last().map(|(version, _)| *version);
    let mut wait = RETRY.0;
    let outcome = loop {
        match store.store(channel.clone(), epoch, changes.clone(), entries.clone()).await {
            Ok(outcome) => break outcome,
            Err(error) => tracing::warn!(%channel, %error, "what moderators did is not stored yet"),
        }
        if back.upgrade().is_none() {
            return;
        }
        again(&mut wait).await;
    };
    match (outcome, version) {
        (Outcome::Stored { up_to, lacks }, Some(version)) => {
            let lacks: Vec<_> = changes.into_iter().filter(|(version, _)| lacks.contains(version)).collect();
            if up_to < version || !lacks.is_empty() {
                tracing::warn!(%channel, up_to, version, lacks = lacks.len(), "some of what moderators did can't be stored");
            }
            tell(&back, Command::Mesh(mesh::Input::Stored { channel: channel.clone(), version: up_to, lacks })).await;
        }
        (Outcome::Stored { .. }, None) => {}
        (Outcome::Refused(why), _) => tracing::warn!(%channel, %why, "what moderators did can't be stored"),
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
