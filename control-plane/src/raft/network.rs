//! Carries openraft's calls to the other members, and answers theirs.
//!
//! A call is one body there and one back; how bodies travel is the [`Carrier`]'s affair. It must let in members alone:
//! whoever can make a member answer can depose its leader.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use freshet_proto::{id::NodeId, level::Level};
use openraft::{
    RaftNetworkFactory, RaftNetworkV2,
    alias::SnapshotOf,
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
        VoteRequest, VoteResponse,
    },
};
use tokio::time::timeout;
use tracing::error;

use super::{
    codec::{self, Answer, Call, Refusal, Request},
    machine::State,
    snapshot::{MAX_SNAPSHOT, Snapshot},
    types::{self, Member, Raft, Types, Vote},
};

/// The longest body, either way: a snapshot and what is around it.
pub const MAX_BODY: usize = MAX_SNAPSHOT + (1 << 20);

/// What [`Carrier::call`] returns.
pub type Carried = Pin<Box<dyn Future<Output = Result<Bytes, CarrierError>> + Send>>;

/// Why a body was not carried there and back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarrierError {
    /// The member can't be reached at present: it is asked again after a pause.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// The call failed on its way, or the limit passed: it may be asked again at once.
    #[error("the call failed: {0}")]
    Failed(String),
}

/// Carries one call to a member and its answer back.
pub trait Carrier: Send + Sync + 'static {
    /// Brings `body` to [`super::Group::answer`] at `to` and returns what that returns, within `limit`. Bodies are at most
    /// [`MAX_BODY`] long.
    fn call(&self, to: Member, body: Bytes, limit: Duration) -> Carried;
}

/// How long calls may take, beyond what openraft says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) append: Duration,
    pub(super) snapshot: Duration,
}

/// Makes a [`Link`] to each member.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) carrier: Arc<dyn Carrier>,
    pub(super) state: Arc<State>,
    pub(super) limits: Limits,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Link;

    async fn new_client(&mut self, target: u64, node: &Member) -> Link {
        Link { network: self.clone(), to: NodeId(target), member: node.clone() }
    }
}

/// The way to one member.
pub(super) struct Link {
    network: Network,
    to: NodeId,
    member: Member,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[error("node {to}: {why}")]
struct Unanswered {
    to: NodeId,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Carrier(CarrierError),
    Refused(Refusal),
    Late(Duration),
    Garbled(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carrier(error) => error.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Late(limit) => write!(f, "no answer within {limit:?}"),
            Self::Garbled(why) => write!(f, "its answer can't be read: {why}"),
        }
    }
}

impl From<Unanswered> for RPCError<Types> {
    fn from(error: Unanswered) -> Self {
        match error.why {
            Why::Late(_) | Why::Carrier(CarrierError::Failed(_)) => NetworkError::new(&error).into(),
            _ => Unreachable::new(&error).into(),
        }
    }
}

impl From<Unanswered> for StreamingError<Types> {
    fn from(error: Unanswered) -> Self {
        match RPCError::from(error) {
            RPCError::Network(error) => Self::Network(error),
            RPCError::Unreachable(error) => Self::Unreachable(error),
            RPCError::Timeout(error) => Self::Timeout(error),
        }
    }
}

impl Link {
    async fn call(&self, call: Call, limit: Duration) -> Result<Answer, Unanswered> {
        let failed = |why| Unanswered { to: self.to, why };
        let request = Request { cluster: self.network.state.now().cluster, to: self.to, call };
        let body = codec::message(&request).map_err(|error| failed(Why::Garbled(error.to_string())))?;
        let carried = timeout(limit, self.network.carrier.call(self.member.clone(), body, limit)).await;
        let body = carried.map_err(|_| failed(Why::Late(limit)))?.map_err(|error| failed(Why::Carrier(error)))?;
        match codec::read(&body).map_err(|why| failed(Why::Garbled(why)))? {
            Answer::Refused(refusal) => Err(failed(Why::Refused(refusal))),
            answer => Ok(answer),
        }
    }

    fn garbled(&self) -> Unanswered {
        Unanswered { to: self.to, why: Why::Garbled("it answers another question".to_owned()) }
    }

    async fn ballot(&self, call: Call, limit: Duration) -> Result<VoteResponse<Types>, RPCError<Types>> {
        match self.call(call, limit).await? {
            Answer::Vote(response) => Ok(response),
            _ => Err(self.garbled().into()),
        }
    }
}

impl RaftNetworkV2<Types> for Link {
    type SnapshotData = Bytes;

    /// A heartbeat has as long as openraft says, which is one heartbeat; entries must be synced there first.
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let limit = if rpc.entries.is_empty() { option.hard_ttl() } else { self.network.limits.append };
        match self.call(Call::Append(rpc), limit).await? {
            Answer::Append(response) => Ok(response),
            _ => Err(self.garbled().into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(Call::Vote(rpc), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ballot(Call::PreVote(rpc), option.hard_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: SnapshotOf<Types, Bytes>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let call = Call::Snapshot { vote, meta: snapshot.meta, bytes: snapshot.snapshot };
        metrics::counter!("freshet_raft_snapshots_sent_total").increment(1);
        let answer = tokio::select! {
            biased;
            closed = cancel => return Err(closed.into()),
            answer = self.call(call, self.network.limits.snapshot) => answer?,
        };
        match answer {
            Answer::Snapshot(response) => Ok(response),
            _ => Err(self.garbled().into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        match self.call(Call::Transfer(request), option.hard_ttl()).await? {
            Answer::Transfer(response) => Ok(response),
            _ => Err(self.garbled().into()),
        }
    }
}

/// What a member knows when it answers.
pub(super) struct Desk<'a> {
    pub(super) raft: &'a Raft,
    pub(super) state: &'a State,
    pub(super) id: NodeId,
    /// Whether it has forgotten whom it told what, and so does not vote yet.
    pub(super) quiet: bool,
    /// The newest version that it may read.
    pub(super) newest: Level,
}

impl Desk<'_> {
    /// Answers a call. Nothing that a peer sends is trusted to make sense.
    pub(super) async fn answer(&self, body: &[u8]) -> Answer {
        let answered = match codec::read::<Request>(body) {
            Ok(request) => self.consider(request).await,
            Err(why) => Err(Refusal::Senseless(why)),
        };
        answered.unwrap_or_else(Answer::Refused)
    }

    /// Nothing is taken that could not be applied.
    fn readable(&self, needed: Level) -> Result<(), Refusal> {
        let newest = self.newest;
        if needed > newest {
            error!(%needed, %newest, "this control node is too old for its platform: upgrade it");
            return Err(Refusal::Senseless(format!("this control node reads version {newest}, that is {needed}")));
        }
        Ok(())
    }

    async fn consider(&self, request: Request) -> Result<Answer, Refusal> {
        let ours = self.state.now().cluster;
        if request.to != self.id {
            return Err(Refusal::OtherNode(self.id));
        }
        if ours != 0 && request.cluster != 0 && ours != request.cluster {
            return Err(Refusal::OtherGroup { ours, theirs: request.cluster });
        }
        match request.call {
            Call::Append(rpc) => {
                consecutive(&rpc)?;
                self.readable(rpc.entries.iter().map(types::since).max().unwrap_or_default())?;
                self.raft.append_entries(rpc).await.map(Answer::Append).map_err(|_| Refusal::Stopped)
            }
            Call::Vote(_) | Call::PreVote(_) if self.quiet => Err(Refusal::Starting),
            Call::Vote(rpc) => self.raft.vote(rpc).await.map(Answer::Vote).map_err(|_| Refusal::Stopped),
            Call::PreVote(rpc) => self.raft.pre_vote(rpc).await.map(Answer::Vote).map_err(|_| Refusal::Stopped),
            Call::Snapshot { vote, meta, bytes } => {
                // Here, where it can be refused: openraft takes a snapshot that can't be installed for a broken disk.
                let found = Snapshot::decode(&bytes).map_err(Refusal::Senseless)?;
                self.readable(found.registry.level())?;
                if found.meta != meta {
                    return Err(Refusal::Senseless("the snapshot is another one".to_owned()));
                }
                metrics::counter!("freshet_raft_snapshots_received_total").increment(1);
                let snapshot = openraft::Snapshot { meta, snapshot: bytes };
                let installed = self.raft.install_full_snapshot(vote, snapshot).await;
                installed.map(Answer::Snapshot).map_err(|_| Refusal::Stopped)
            }
            Call::Transfer(rpc) => {
                self.raft.handle_transfer_leader(rpc).await.map(Answer::Transfer).map_err(|_| Refusal::Stopped)
            }
        }
    }
}

/// openraft takes for granted that entries follow each other.
fn consecutive(rpc: &AppendEntriesRequest<Types>) -> Result<(), Refusal> {
    let first = rpc.prev_log_id.map_or(0, |id| id.index.saturating_add(1));
    let place = |(i, _): &(usize, _)| first.saturating_add(*i as u64);
    match rpc.entries.iter().enumerate().find(|pair| pair.1.log_id.index != place(pair)) {
        Some(pair) => {
            Err(Refusal::Senseless(format!("entry {} stands where {} should", pair.1.log_id.index, place(&pair))))
        }
        None => Ok(()),
    }
}
