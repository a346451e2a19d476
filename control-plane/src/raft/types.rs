//! What goes into the group and what comes out, and how openraft is told about it.

use std::{collections::BTreeMap, fmt, io, net::SocketAddr};

use freshet_proto::{id::NodeId, level::Level, registry::Reply};
use openraft::{EntryPayload, alias, impls::leader_id_std};
use serde::{Deserialize, Serialize};

use super::runtime::Runtime;
use crate::{
    channel::Times,
    machine::{Alert, Input},
};

/// The longest encoded proposal, in bytes. A longer one is refused before it reaches the log.
pub const MAX_PROPOSAL: usize = 32 << 10;

/// One log entry: what happens to the registry, and when, by the wall clock of whoever proposes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Wall time in ms; a time before the registry's counts as the registry's.
    pub now_ms: u64,
    /// What happens.
    pub input: Input,
}

/// Where a member is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its QUIC endpoint.
    pub addr: SocketAddr,
    /// The name its certificate carries.
    pub server_name: String,
}

/// A member and its number, which is never given to another, not even after it was removed.
pub type Peer = (NodeId, Member);

/// A proposal that is committed and applied here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its log index: the revision and, for a claim, the epoch, if it changed something.
    pub index: u64,
    /// What the registry answered.
    pub reply: Reply,
    /// What an operator should know. Only the proposer is told.
    pub alerts: Vec<Alert>,
}

/// Who leads, as far as this member knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The term. Rises with every election.
    pub term: u64,
    /// The leader of this term, once it is known.
    pub leader: Option<Peer>,
    /// Whether this member leads and a quorum has heard it within `election_max_ms`.
    pub mine: bool,
}

/// A member's state, for `/readyz`, `freshet node ls` and tests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// This member.
    pub id: NodeId,
    /// The term.
    pub term: u64,
    /// The leader, if one is known.
    pub leader: Option<NodeId>,
    /// Everyone in the group, voters and learners.
    pub members: BTreeMap<NodeId, Member>,
    /// Those whose word counts, in the membership that is in force, committed or not.
    pub voters: Vec<NodeId>,
    /// How far each member's log is known to agree with this one's; empty unless this member leads.
    pub matched: BTreeMap<NodeId, u64>,
    /// The last log index here.
    pub last_log: Option<u64>,
    /// The last index known to be committed here.
    pub committed: Option<u64>,
    /// The last index applied here.
    pub applied: Option<u64>,
    /// The index that the snapshot on disk covers.
    pub snapshot: Option<u64>,
    /// The last index that was purged from the log.
    pub purged: Option<u64>,
    /// Why this member has stopped for good, if it has.
    pub stopped: Option<String>,
}

/// Why a store can't be opened, or a member not be started from it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The operator's: the directory can't be used.
    #[error("the log's directory {dir}: {source}; give it to this process alone, on a disk that has room")]
    Dir {
        /// Which.
        dir: String,
        /// Why.
        source: io::Error,
    },
    /// The operator's: another process has it.
    #[error("another process uses {0}; stop it first: a member runs once")]
    InUse(String),
    /// The disk's doing, or somebody's who changed the file.
    #[error(
        "the replicated log is damaged ({0}) and is not guessed at: if other control nodes have a quorum, remove this \
         node (`freshet node remove`), empty its directory and join it anew under a new id; if not, restore a backup \
         into an empty directory (`freshet control restore`)"
    )]
    Damaged(String),
    /// It was written by another version.
    #[error(
        "the replicated log has format {found}, this program reads up to {}; run the version that wrote it",
        super::codec::NEWEST
    )]
    Version {
        /// Its format.
        found: u8,
    },
    /// The operator's: the platform has been upgraded beyond what this node may read.
    #[error(
        "the control nodes have agreed on version {found} of the node protocol, this one is held at {held}: set \
         protocol.at_most = {found}, or leave it out"
    )]
    Held {
        /// What its store has.
        found: Level,
        /// What it may read.
        held: Level,
    },
    /// The operator's: the directory is another member's.
    #[error("this directory belongs to control node {found}, not {wanted}; give each node its own directory and id")]
    OtherNode {
        /// Whose it is.
        found: NodeId,
        /// Who wanted it.
        wanted: NodeId,
    },
    /// The operator's: the configuration contradicts itself.
    #[error("the raft settings contradict each other: {0}")]
    Config(String),
    /// Ours: the disk fails.
    #[error("the replicated log can't be read or written: {0}; make room or mend the disk, then start again")]
    Disk(String),
}

/// Why a proposal was not applied, or a read not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposeError {
    /// Nothing was logged. The remedy: ask the leader; where none is named, ask again soon, here or elsewhere.
    #[error("this control node does not lead{}", .leader.as_ref().map_or(String::new(), |(id, _)| format!(", node {id} does")))]
    NotLeader {
        /// Who leads, if it is known.
        leader: Option<Peer>,
    },
    /// It may be applied, now or later, or never. The remedy: look at the state before asking again.
    #[error("leadership changed or no quorum answered in time: the proposal may or may not be applied")]
    Unknown,
    /// Not all voters can read it yet. Nothing was logged. The remedy: upgrade all control nodes.
    #[error(
        "the control nodes have agreed on version {agreed} of the node protocol, this needs {needed}: upgrade all of them"
    )]
    TooNew {
        /// The version that would have to be agreed on.
        needed: Level,
        /// The one that is.
        agreed: Level,
    },
    /// The caller's: it is longer than [`MAX_PROPOSAL`]. Nothing was logged.
    #[error("the proposal has {0} bytes, more than a log entry may have")]
    TooLong(usize),
    /// This member has stopped, or its disk has failed. Nothing was logged by this call.
    #[error("this control node has stopped; ask another one")]
    Stopped,
}

/// Why a change of the membership, or of the leader, was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// See [`ProposeError`].
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The operator's: it can't be done in the group's present state.
    #[error("{0}")]
    Refused(String),
    /// It was begun but is not finished yet. The remedy: look at the status, then ask again.
    #[error("{0}; it may still happen: look at the status, then ask again")]
    Late(String),
}

/// What is in a log entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Command {
    /// The first command of a group: makes the registry. Any later one changes nothing.
    Begin {
        /// Tells this registry from every other one.
        cluster: u64,
        /// How long things last in it.
        times: Times,
    },
    /// Something happens to the registry.
    Propose(Proposal),
}

impl Command {
    /// Which version can read it.
    pub(super) fn since(&self) -> Level {
        match self {
            Self::Begin { .. } => Level::FIRST,
            Self::Propose(proposal) => proposal.input.since(),
        }
    }
}

/// Which version can read an entry.
pub(super) fn since(entry: &Entry) -> Level {
    match &entry.payload {
        EntryPayload::Normal(command) => command.since(),
        EntryPayload::Blank | EntryPayload::Membership(_) => Level::FIRST,
    }
}

impl fmt::Display for Command {
    /// Short: openraft writes entries into its debug output.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { cluster, .. } => write!(f, "begin {cluster:016x}"),
            Self::Propose(proposal) => write!(f, "proposal at {} ms", proposal.now_ms),
        }
    }
}

/// What applying an entry gives its proposer. Never leaves this process, so that nothing of it is serialised.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Outcome {
    #[serde(skip)]
    pub(super) applied: Option<Applied>,
}

openraft::declare_raft_types!(
    /// How openraft's parts are filled in: standard Raft, one leader a term.
    pub(super) Types:
        D = Command,
        R = Outcome,
        NodeId = u64,
        Node = Member,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = Runtime,
);

pub(super) type LogId = alias::LogIdOf<Types>;
pub(super) type Entry = alias::EntryOf<Types>;
pub(super) type Vote = alias::VoteOf<Types>;
pub(super) type StoredMembership = alias::StoredMembershipOf<Types>;
pub(super) type SnapshotMeta = alias::SnapshotMetaOf<Types>;
pub(super) type Raft = openraft::Raft<Types, super::machine::Machine>;
