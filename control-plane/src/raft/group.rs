//! A member of the group: what the rest of the program holds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use freshet_proto::{id::NodeId, level::Level, random::Random, registry::Refused};
use openraft::{
    RaftMetrics, RaftState, ReadPolicy,
    errors::{ClientWriteError, ForwardToLeader, InitializeError, LinearizableReadError, RaftError},
    raft::ClientWriteResponse,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::info;

use super::{
    codec,
    config::Config,
    machine::{Machine, State},
    network::{Carrier, Desk, Limits, Network},
    runtime::seeded,
    snapshot::BackupError,
    store::{LogStore, Store},
    types::{
        Applied, ChangeError, Command, Leadership, MAX_PROPOSAL, Member, OpenError, Proposal, ProposeError, Raft,
        Status, Types,
    },
    watcher,
};
use crate::{channel::Times, feed::Feed, machine::Registry};

/// A running member. Cheap to clone; once the last clone is dropped, the member stops where it is, as in a crash.
#[derive(Clone)]
pub struct Group(Arc<Inner>);

/// What the clones share.
pub(super) struct Inner {
    id: NodeId,
    raft: Raft,
    state: Arc<State>,
    store: LogStore,
    leadership: watch::Receiver<Leadership>,
    config: Config,
    random: Random,
    new: bool,
    /// Until when this member neither votes nor stands.
    quiet_until: Instant,
    /// When a leader was heard last. openraft goes on naming a leader that has died until another one is elected.
    heard: Mutex<Instant>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Group(node {})", self.0.id)
    }
}

impl Inner {
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.raft
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn times(&self) -> Times {
        self.config.times
    }

    /// A number for a registry.
    pub(super) fn draw(&self) -> u64 {
        1 + self.random.below(u64::MAX)
    }

    /// A copy, because openraft's core waits for whoever holds the original.
    pub(super) fn metrics(&self) -> RaftMetrics<Types> {
        self.raft.metrics().borrow().clone()
    }

    /// When a leader was heard last.
    pub(super) fn heard(&self) -> Instant {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has stopped for good.
    fn stopped(&self) -> Option<String> {
        self.metrics().running_state.err().map(|error| error.to_string())
    }

    pub(super) async fn write(&self, command: Command) -> Result<ClientWriteResponse<Types>, ProposeError> {
        if self.stopped().is_some() {
            return Err(ProposeError::Stopped);
        }
        let limit = Duration::from_millis(self.config.propose_ms);
        let written = timeout(limit, self.raft.client_write(command)).await;
        written.map_err(|_| ProposeError::Unknown)?.map_err(|error| self.refused(error))
    }

    pub(super) fn refused(&self, error: RaftError<Types, ClientWriteError<Types>>) -> ProposeError {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => not_leader(forward),
            // Fatal: openraft stopped while the entry was on its way, so it may be on other disks.
            _ => ProposeError::Unknown,
        }
    }
}

fn not_leader(forward: ForwardToLeader<Types>) -> ProposeError {
    ProposeError::NotLeader { leader: forward.leader_id.map(NodeId).zip(forward.leader_node) }
}

/// How long a new group may take to begin. It writes several times, nobody else can be asked meanwhile, and a disk to which
/// others write may take seconds for each.
const BEGIN: Duration = Duration::from_secs(60);

impl Group {
    /// Starts the member `id` from its store. Nobody else may use the store, or the id, ever.
    ///
    /// A new member waits until it is bootstrapped or hears from a leader. One that was there before hears its peers at
    /// once, and votes and stands after `election_max_ms`, unless it is the only voter.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        id: NodeId,
        store: Store,
        carrier: Arc<dyn Carrier>,
        config: Config,
        random: Random,
    ) -> Result<Self, OpenError> {
        if store.level() > config.level {
            return Err(OpenError::Held { found: store.level(), held: config.level });
        }
        let new = store.is_new();
        let settings = config.openraft(new)?;
        let (store, kept) = store.start(id)?;
        let (machine, state) = Machine::new(store.clone(), kept);
        let limits = Limits {
            append: Duration::from_millis(config.append_ms),
            snapshot: Duration::from_millis(config.snapshot_ms),
        };
        let network = Network { carrier, state: state.clone(), limits };
        let started = seeded(&random, Raft::new(id.0, settings, network, store.clone(), machine)).await;
        let raft = started.map_err(|error| OpenError::Damaged(error.to_string()))?;
        let quiet_until = if new { Instant::now() } else { Instant::now() + config.lease() };
        let (sender, leadership) = watch::channel(Leadership::default());
        let inner = Inner {
            id,
            raft,
            state,
            store,
            leadership,
            config,
            random,
            new,
            quiet_until,
            heard: Instant::now().into(),
        };
        let group = Self(Arc::new(inner));
        group.attend(sender).await;
        Ok(group)
    }

    async fn attend(&self, sender: watch::Sender<Leadership>) {
        let (lease, metrics) = (self.0.config.lease(), self.0.raft.metrics());
        tokio::spawn(watcher::run(Arc::downgrade(&self.0), metrics, sender, lease));
        if self.0.new {
            return;
        }
        let id = self.0.id.0;
        let only = move |state: &RaftState<Types>| state.membership_state.effective().voter_ids().eq([id]);
        if self.0.raft.with_raft_state(only).await.unwrap_or(false) {
            // Nobody else's lease can be at stake.
            let _ = self.0.raft.trigger().elect(false).await;
            self.0.raft.runtime_config().elect(true);
            return;
        }
        let (group, quiet) = (Arc::downgrade(&self.0), lease);
        tokio::spawn(async move {
            sleep(quiet).await;
            if let Some(group) = group.upgrade() {
                group.raft.runtime_config().elect(true);
            }
        });
    }

    /// This member's id.
    pub fn id(&self) -> NodeId {
        self.0.id
    }

    /// Whether nothing was ever written to its store before it was opened.
    pub fn is_new(&self) -> bool {
        self.0.new
    }

    /// Makes a new member the only voter of a new group, and returns once its registry has begun. Bootstrap one member of
    /// a group only; the others join it.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] when it belongs to a group already; [`ChangeError::Late`] when the disk takes too long.
    pub async fn bootstrap(&self, me: Member) -> Result<(), ChangeError> {
        let members = std::collections::BTreeMap::from([(self.0.id.0, me)]);
        match self.0.raft.initialize(members).await {
            Ok(()) => {}
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                return Err(ChangeError::Refused("this control node belongs to a group already".to_owned()));
            }
            Err(RaftError::APIError(error)) => return Err(ChangeError::Refused(error.to_string())),
            Err(RaftError::Fatal(_)) => return Err(ProposeError::Stopped.into()),
        }
        let mut view = self.feed().view();
        let begun = view.wait_for(|view| view.cluster != 0);
        match timeout(BEGIN, begun).await {
            Ok(Ok(_)) => {
                info!(node = self.0.id.0, "a new control plane");
                Ok(())
            }
            Ok(Err(_)) => Err(ProposeError::Stopped.into()),
            Err(_) => Err(ChangeError::Late("the registry has not begun yet".to_owned())),
        }
    }

    /// The newest version of the node protocol that this member reads and writes.
    pub fn newest(&self) -> Level {
        self.0.config.level
    }

    /// The version that all voters can read: what a newer one brought is not proposed.
    pub fn agreed(&self) -> Level {
        self.read(Registry::level)
    }

    /// Proposes a change and waits until it is committed and applied here.
    ///
    /// # Errors
    /// See [`ProposeError`], above all on whether the change may have been applied.
    pub async fn propose(&self, proposal: Proposal) -> Result<Applied, ProposeError> {
        let length = postcard::to_stdvec(&proposal).map_or(usize::MAX, |bytes| bytes.len());
        if length > MAX_PROPOSAL {
            return Err(ProposeError::TooLong(length));
        }
        let (needed, agreed) = (proposal.input.needs(), self.agreed());
        if needed > agreed {
            return Err(ProposeError::TooNew { needed, agreed });
        }
        let written = self.0.write(Command::Propose(proposal)).await;
        let result = match &written {
            Ok(_) => "applied",
            Err(ProposeError::NotLeader { .. }) => "not_leader",
            Err(ProposeError::Stopped) => "stopped",
            Err(_) => "unknown",
        };
        metrics::counter!("freshet_raft_proposals_total", "result" => result).increment(1);
        let written = written?;
        let index = written.log_id.index;
        // The state machine answers every proposal; the alternative is there for the type's sake.
        let none = Applied { index, reply: Err(Refused::Unavailable), alerts: Vec::new() };
        Ok(written.data.applied.unwrap_or(none))
    }

    /// Makes sure that this member leads and has applied whatever was acknowledged before the call: what is then read here
    /// is as fresh as if there were one copy. Costs no message while the lease lasts.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn confirm(&self) -> Result<(), ProposeError> {
        let limit = Duration::from_millis(self.0.config.propose_ms);
        let confirmed = timeout(limit, self.0.raft.ensure_linearizable(ReadPolicy::LeaseRead)).await;
        match confirmed.map_err(|_| ProposeError::NotLeader { leader: None })? {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => Err(not_leader(forward)),
            Err(RaftError::APIError(_)) => Err(ProposeError::NotLeader { leader: None }),
            Err(RaftError::Fatal(_)) => Err(ProposeError::Stopped),
        }
    }

    /// The view as applied here, and its changes.
    pub fn feed(&self) -> Feed {
        self.0.state.feed()
    }

    /// Looks at the registry as applied here. Nothing is applied meanwhile, so `look` must be short.
    pub fn read<T>(&self, look: impl FnOnce(&Registry) -> T) -> T {
        look(&self.0.state.now().registry)
    }

    /// The registry's time as it goes on here, in ms: that of its last change, and what has passed since this member applied
    /// it. Nothing passed while this member was not there.
    pub fn running_ms(&self) -> u64 {
        self.0.state.now().running_ms()
    }

    /// Who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// Answers a call that a peer's [`Carrier`] brought. `None` when this member has no answer that can be encoded.
    pub async fn answer(&self, body: Bytes) -> Option<Bytes> {
        let quiet = Instant::now() < self.0.quiet_until;
        let desk = Desk { raft: &self.0.raft, state: &self.0.state, id: self.0.id, quiet, newest: self.newest() };
        let answer = desk.answer(&body).await;
        if answer.obeys() {
            *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        codec::message(&answer).ok()
    }

    /// Its state.
    pub fn status(&self) -> Status {
        let now = self.0.metrics();
        let membership = now.membership_config.membership();
        let index = |id: Option<super::types::LogId>| id.map(|id| id.index);
        let matched = now.replication.iter().flatten().filter_map(|(id, log)| Some((NodeId(*id), log.as_ref()?.index)));
        Status {
            id: self.0.id,
            term: now.current_term,
            leader: self.0.leadership.borrow().leader.as_ref().map(|(id, _)| *id),
            members: membership.nodes().map(|(id, member)| (NodeId(*id), member.clone())).collect(),
            voters: membership.voter_ids().map(NodeId).collect(),
            matched: matched.collect(),
            last_log: now.last_log_index,
            committed: index(now.local_committed),
            applied: index(now.last_applied),
            snapshot: index(now.snapshot),
            purged: index(now.purged),
            stopped: now.running_state.err().map(|error| error.to_string()),
        }
    }

    /// Resolves when this member has stopped for good, and says why: the process should end then.
    pub async fn stopped(&self) -> String {
        let mut metrics = self.0.raft.metrics();
        loop {
            if let Err(error) = &metrics.borrow_and_update().running_state {
                return error.to_string();
            }
            if metrics.changed().await.is_err() {
                return "openraft has ended".to_owned();
            }
        }
    }

    /// A whole snapshot of what is applied here: checksummed, and versioned. Call [`Group::confirm`] first where it must
    /// contain everything that was acknowledged.
    ///
    /// # Errors
    /// [`BackupError::Failed`].
    pub async fn backup(&self) -> Result<Bytes, BackupError> {
        let snapshot = self.0.state.snapshot();
        if snapshot.meta.last_log_id.is_none() {
            return Err(BackupError::Failed("this control node knows nothing yet".to_owned()));
        }
        snapshot.encode().map_err(BackupError::Failed)
    }

    /// Stops, and gives the store up. Transfer the leadership first.
    pub async fn shutdown(&self) {
        let _ = self.0.raft.shutdown().await;
        self.0.store.close().await;
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }
}
