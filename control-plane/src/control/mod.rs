//! A control node: a member of the group that keeps the registry, and what it says to other nodes.
//!
//! ```text
//! nodes ──QUIC──▶ answer (WATCH, COMMAND, RENEW, JOIN, CERTIFY, ENLIST) ──Proposal──▶ raft::Group ──▶ feed ──▶ watchers
//! operators ────▶ operate (ADMIN) ──────────────────────────────────────────────────▶    ▲  ▲
//! other control nodes ──CONSENSUS──▶ carry ──────────────────────────────────────────────┘  │
//!                                     lead: leases that run out, graces that end ───────────┘ (on the leader alone)
//!                                     level: the version that all control nodes know ───────┤
//!                                     keys: signing keys whose time has come ───────────────┤
//! chat hubs ──HUB──▶ hub: who belongs to the chat mesh ────────────────────────────────────┤
//! nodes ──REPORT──▶ report: how busy they and well their sessions are (memory alone), where ──┘
//! ```
//! What changes the registry is asked of the leader; the others say who that is. Any control node answers watchers.

mod answer;
mod api;
mod audience;
mod begin;
mod carry;
mod chat;
mod history;
mod hub;
mod keys;
mod lead;
mod level;
mod operate;
mod report;

pub use self::{api::Seat, begin::BeginError, keys::CannotSign};

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use freshet_proto::{
    clock::WallClock,
    id::{ChannelName, NodeId},
    message::{Certified, Denied},
    ordered,
    quic::Pool,
    random::Random,
    registry::Refused,
    view::{NodeView, Role},
};
use tokio::{sync::RwLock, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{
    api::Api,
    feed::Feed,
    history::{Cause, Histories},
    hubs::HubLeases,
    join::JoinToken,
    keys::safe::KekError,
    leases::Leases,
    loads::Loads,
    local::ChannelConfig,
    machine::{Alert, Input, Registry},
    raft::{self, Applied, Group, Member, OpenError, Proposal, ProposeError, Store},
};

/// What a control node needs to start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its number.
    pub id: NodeId,
    /// How others reach it.
    pub view: NodeView,
    /// How the consensus behaves.
    pub raft: raft::Config,
    /// The control nodes that were there when it joined; none for the one that founds the platform.
    pub seeds: Vec<NodeView>,
    /// For how long the certificates are valid that it issues to nodes: [`crate::ca::JOINED`] unless told otherwise.
    pub certified_for: Duration,
    /// How long signing keys live, and what they are wrapped with.
    pub keys: crate::keys::Plan,
}

/// A running control node. Cheap to clone.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    id: NodeId,
    view: NodeView,
    seeds: Vec<NodeView>,
    certified_for: Duration,
    group: Group,
    leases: Mutex<Leases>,
    hubs: Mutex<HubLeases>,
    loads: Mutex<Loads>,
    histories: Mutex<Histories>,
    heard: Mutex<level::Heard>,
    /// Read by whoever takes a member in, written by whoever changes what members must know.
    admitting: RwLock<()>,
    keeper: keys::Keeper,
    api: OnceLock<Api>,
    pool: Pool,
    clock: WallClock,
    /// By how much the registry's time was ahead of this node's clock at most.
    ahead_ms: AtomicU64,
    /// The last term in which this node led and had told the registry its time.
    office: ordered::Sender<u64>,
    random: Random,
    closing: CancellationToken,
}

/// Why a control node could not start. The operator's doing, or the disk's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// See [`OpenError`].
    #[error(transparent)]
    Open(#[from] OpenError),
    /// See [`KekError`].
    #[error(transparent)]
    Kek(#[from] KekError),
}

/// How long what is asked of a new leader waits until it has told its time.
const OFFICE_WAIT: Duration = Duration::from_secs(2);

impl Control {
    /// Opens the store and takes part, if this node ever did. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        plan: Plan,
        store: Store,
        pool: Pool,
        clock: WallClock,
        random: Random,
    ) -> Result<Self, StartError> {
        let keeper = keys::Keeper::open(plan.keys)?;
        let carrier = Arc::new(carry::OverQuic(pool.clone()));
        let group = Group::open(plan.id, store, carrier, plan.raft, random.clone()).await?;
        let inner = Arc::new(Inner {
            id: plan.id,
            view: plan.view,
            seeds: plan.seeds,
            certified_for: plan.certified_for,
            group,
            leases: Mutex::default(),
            hubs: Mutex::default(),
            loads: Mutex::default(),
            histories: Mutex::default(),
            heard: Mutex::default(),
            admitting: RwLock::default(),
            keeper,
            api: OnceLock::new(),
            pool,
            clock,
            ahead_ms: AtomicU64::new(0),
            office: ordered::Sender::new(0),
            random,
            closing: CancellationToken::new(),
        });
        tokio::spawn(lead::lead(Arc::downgrade(&inner), inner.group.leadership(), inner.closing.clone()));
        tokio::spawn(keys::attend(Arc::downgrade(&inner), inner.closing.clone()));
        Ok(Self(inner))
    }

    /// Whether nothing was ever written to its store.
    pub fn is_new(&self) -> bool {
        self.0.group.is_new()
    }

    /// A token with which one node may join within ten minutes; for whoever founds a platform in one process.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn token(&self, role: Role) -> Result<JoinToken, Denied> {
        self.0.make_token(role, 600, 1).await
    }

    /// Makes these channels, with these keys, the only ones there are but for those that belong to accounts.
    ///
    /// # Errors
    /// See [`Denied`].
    pub async fn set_channels(&self, channels: &[ChannelConfig]) -> Result<(), Denied> {
        let pepper = self.0.secrets()?.pepper;
        let is_ours = |registry: &Registry, name: &ChannelName| !registry.is_chartered(name);
        let there: Vec<_> = self.0.group.read(|registry| {
            let ours = registry.channels().filter(|name| is_ours(registry, name));
            ours.cloned().collect()
        });
        let gone = there.into_iter().filter(|name| channels.iter().all(|channel| channel.name != *name));
        for channel in gone {
            self.0.propose(Input::RemoveChannel { channel }).await?.reply?;
        }
        for ChannelConfig { name, key, policy } in channels {
            let key = pepper.hash(key);
            if !self.0.group.read(|registry| registry.has(name, &key, *policy)) {
                self.0.propose(Input::PutChannel { channel: name.clone(), key, policy: *policy }).await?.reply?;
            }
        }
        Ok(())
    }

    /// Certifies this node's own key anew, PKCS #10 in DER: it has the authority's key, and needs nobody, who might not let it
    /// in any more.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] while it does not know the platform yet, [`Refused::NoSuch`] once it is removed.
    pub fn certify(&self, request: &[u8]) -> Result<Certified, Denied> {
        let inner = &self.0;
        inner.secrets()?;
        inner.certify(&inner.view.server_name, request)
    }

    /// The view as this node knows it.
    pub fn feed(&self) -> Feed {
        self.0.group.feed()
    }

    /// The member of the consensus.
    pub fn group(&self) -> &Group {
        &self.0.group
    }

    /// Hands the leadership over, if it has it and there is somebody to take it.
    pub async fn drain(&self) {
        if self.0.group.status().voters.len() > 1
            && let Err(error) = self.0.group.transfer(None).await
        {
            warn!(%error, "the leadership was not handed over");
        }
    }

    /// Stops, and gives the store up.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.group.shutdown().await;
    }
}

impl Inner {
    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, level::Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time for what happens to the registry, in ms: this node's clock, but never behind the registry's own time as it
    /// goes on here, which a leader with a clock that is ahead may have set. Else the registry's time would stand still, and
    /// a grace would last, until this clock has caught up. How far it is ahead of it is for [`Inner::take_office`].
    fn now_ms(&self) -> u64 {
        let wall = self.clock.now_ms();
        let behind = self.group.running_ms().saturating_sub(wall);
        wall + self.ahead_ms.fetch_max(behind, Ordering::Relaxed).max(behind)
    }

    fn proposal(&self, input: Input) -> Proposal {
        Proposal { now_ms: self.now_ms(), input }
    }

    /// Proposes what another node asks for, or what follows from its silence.
    async fn propose(&self, input: Input) -> Result<Applied, Denied> {
        self.in_office().await?;
        let cause = Cause::of(&input);
        let applied = self.group.propose(self.proposal(input)).await.map_err(denied)?;
        if let Some(cause) = cause {
            self.histories().because(applied.index, cause);
        }
        applied.alerts.iter().for_each(alarm);
        Ok(applied)
    }

    /// Whether this node leads; says who does where it is not this one.
    fn leading(&self) -> Result<(), Denied> {
        let leadership = self.group.leadership().borrow().clone();
        if leadership.mine {
            return Ok(());
        }
        let other = leadership.leader.filter(|(id, _)| *id != self.id);
        Err(Denied::Elsewhere(other.map(|(_, member)| as_view(&member))))
    }
}

fn as_view(member: &Member) -> NodeView {
    NodeView::new(Role::Control, member.addr, &member.server_name)
}

fn denied(error: ProposeError) -> Denied {
    match error {
        ProposeError::NotLeader { leader } => Denied::Elsewhere(leader.map(|(_, member)| as_view(&member))),
        error @ ProposeError::TooNew { .. } => Denied::Forbidden(error.to_string()),
        ProposeError::TooLong(length) => Denied::Forbidden(format!("the request has {length} bytes: too many")),
        _ => Denied::Refused(Refused::Unavailable),
    }
}

fn alarm(alert: &Alert) {
    metrics::counter!("freshet_registry_alerts_total").increment(1);
    warn!(%alert, "two encoders fight over a channel");
}
