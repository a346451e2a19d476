//! openraft's state machine: what is committed goes to the [`Registry`], what comes of it to the feed and the proposer.
//!
//! The state is in memory. On disk is the last snapshot; what was applied since is applied again after a start.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytes::Bytes;
use freshet_proto::{registry::Refused, view::Delta};
use futures_util::{Stream, TryStreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    alias::SnapshotOf,
    storage::{EntryResponder, RaftStateMachine},
};
use tokio::time::Instant;
use tracing::error;

use super::{
    disk::Kept,
    snapshot::Snapshot,
    store::LogStore,
    types::{Applied, Command, Entry, LogId, Outcome, SnapshotMeta, StoredMembership, Types},
};
use crate::{
    channel::Times,
    feed::{Feed, Publisher},
    machine::{Output, Registry},
};

/// The applied state. Whoever holds the [`super::Group`] reads it; openraft's worker alone changes it.
#[derive(Debug)]
pub(super) struct State {
    now: RwLock<Now>,
    feed: Feed,
}

#[derive(Debug)]
pub(super) struct Now {
    pub(super) registry: Registry,
    /// The registry's number; 0 before the group's first command.
    pub(super) cluster: u64,
    last: Option<LogId>,
    membership: StoredMembership,
    publisher: Publisher,
    /// When the registry's time became what it is, here.
    since: Instant,
}

impl State {
    /// The state of `kept`, or that of a member that knows nothing.
    fn new(kept: Option<Snapshot>) -> Self {
        let (meta, registry) = match kept {
            Some(Snapshot { meta, registry }) => (meta, registry),
            None => (SnapshotMeta::default(), Registry::new(0, Times::default())),
        };
        let view = registry.view();
        let cluster = view.cluster;
        let (publisher, feed) = Feed::new(view);
        let (last, membership, since) = (meta.last_log_id, meta.last_membership, Instant::now());
        let now = Now { registry, cluster, last, membership, publisher, since };
        Self { now: RwLock::new(now), feed }
    }

    pub(super) fn feed(&self) -> Feed {
        self.feed.clone()
    }

    pub(super) fn now(&self) -> RwLockReadGuard<'_, Now> {
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Now> {
        self.now.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry and how far it has come, as one.
    pub(super) fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let meta = SnapshotMeta { last_log_id: now.last, last_membership: now.membership.clone() };
        Snapshot { meta, registry: now.registry.clone() }
    }
}

/// What becomes of `kept` when `entries`, which follow it, are applied.
pub(super) fn replay(kept: Option<Snapshot>, entries: impl IntoIterator<Item = Entry>) -> Snapshot {
    let state = State::new(kept);
    for entry in entries {
        let _ = state.change().apply(entry, &mut Vec::new());
    }
    state.snapshot()
}

impl Now {
    /// The registry's time as it goes on here, in ms: that of its last change, and what has passed since that was applied.
    pub(super) fn running_ms(&self) -> u64 {
        self.registry.now_ms().saturating_add(self.since.elapsed().as_millis() as u64)
    }

    fn apply(&mut self, entry: Entry, deltas: &mut Vec<Delta>) -> Outcome {
        let index = entry.log_id.index;
        self.last = Some(entry.log_id);
        let proposal = match entry.payload {
            EntryPayload::Blank => return Outcome::default(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                return Outcome::default();
            }
            EntryPayload::Normal(Command::Begin { cluster, times }) => {
                self.begin(cluster, times);
                return Outcome::default();
            }
            EntryPayload::Normal(Command::Propose(proposal)) => proposal,
        };
        let (mut out, before_ms) = (Vec::new(), self.registry.now_ms());
        self.registry.handle(index, proposal.now_ms, proposal.input, &mut out);
        if self.registry.now_ms() > before_ms {
            self.since = Instant::now();
        }
        let mut applied = Applied { index, reply: Err(Refused::Unavailable), alerts: Vec::new() };
        for output in out {
            match output {
                Output::Reply(reply) => applied.reply = reply,
                Output::Changed(delta) => deltas.push(delta),
                Output::Alert(alert) => applied.alerts.push(alert),
            }
        }
        Outcome { applied: Some(applied) }
    }

    fn begin(&mut self, cluster: u64, times: Times) {
        if self.cluster == 0 {
            self.cluster = cluster;
            self.registry = Registry::new(cluster, times);
            self.publisher.replace(self.registry.view());
        }
    }
}

/// What openraft holds.
#[derive(Debug)]
pub(super) struct Machine {
    state: Arc<State>,
    store: LogStore,
    kept: Arc<Mutex<Option<(SnapshotMeta, Bytes)>>>,
}

impl Machine {
    pub(super) fn new(store: LogStore, kept: Option<Kept>) -> (Self, Arc<State>) {
        let (snapshot, bytes) = kept.unzip();
        let meta = snapshot.as_ref().map(|snapshot| snapshot.meta.clone());
        let state = Arc::new(State::new(snapshot));
        let kept = Arc::new(Mutex::new(meta.zip(bytes)));
        (Self { state: state.clone(), store, kept }, state)
    }
}

/// A snapshot that took long to make does not replace one that was installed meanwhile.
fn keep(kept: &Mutex<Option<(SnapshotMeta, Bytes)>>, meta: SnapshotMeta, bytes: Bytes) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.as_ref().is_none_or(|(older, _)| older.last_log_id <= meta.last_log_id) {
        *kept = Some((meta, bytes));
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let now = self.state.now();
        Ok((now.last, now.membership.clone()))
    }

    /// First the feed, then the proposers, so that whoever has an answer finds it in the view.
    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let entries: Vec<_> = entries.try_collect().await?;
        let (mut deltas, mut answers) = (Vec::new(), Vec::new());
        {
            let mut now = self.state.change();
            for (entry, responder) in entries {
                let outcome = now.apply(entry, &mut deltas);
                answers.extend(responder.map(|responder| (responder, outcome)));
            }
            now.publisher.publish(deltas);
        }
        for (responder, outcome) in answers {
            responder.send(outcome);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { snapshot: self.state.snapshot(), store: self.store.clone(), kept: self.kept.clone() }
    }

    /// First the disk, then the state. The feed starts over: what led here is not known.
    async fn install_snapshot(&mut self, _meta: &SnapshotMeta, bytes: Bytes) -> io::Result<()> {
        let Snapshot { meta, registry } = Snapshot::decode(&bytes).map_err(io::Error::other)?;
        self.store.keep_snapshot(meta.last_log_id, bytes.clone()).await?;
        keep(&self.kept, meta.clone(), bytes);
        let mut now = self.state.change();
        let view = registry.view();
        (now.cluster, now.registry, now.since) = (view.cluster, registry, Instant::now());
        (now.last, now.membership) = (meta.last_log_id, meta.last_membership);
        now.publisher.replace(view);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, Bytes>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(kept.map(|(meta, snapshot)| openraft::Snapshot { meta, snapshot }))
    }
}

/// Makes a snapshot of the state as it was when it was asked for.
#[derive(Debug)]
pub(super) struct Builder {
    snapshot: Snapshot,
    store: LogStore,
    kept: Arc<Mutex<Option<(SnapshotMeta, Bytes)>>>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Bytes>> {
        let bytes = self.snapshot.encode().map_err(|why| {
            error!(why, "no snapshot can be made; this control node stops");
            io::Error::other(why)
        })?;
        let meta = self.snapshot.meta.clone();
        self.store.keep_snapshot(meta.last_log_id, bytes.clone()).await?;
        keep(&self.kept, meta.clone(), bytes.clone());
        Ok(openraft::Snapshot { meta, snapshot: bytes })
    }
}
