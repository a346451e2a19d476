//! What an operator asks of the control plane, and what it answers: the words behind `freshet node`, `channel` and
//! `control`.

use serde::{Deserialize, Serialize};

use crate::{
    id::{ChannelName, NodeId},
    level::Level,
    registry::Policy,
    view::{ChannelState, NodeView, Role},
};

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdminCommand {
    /// Who is there and how they are. Answered by [`AdminReply::Cluster`]. Any control node answers.
    Cluster,
    /// A token with which nodes may join. Answered by [`AdminReply::Token`].
    MakeToken {
        /// What the nodes will be for.
        role: Role,
        /// For how many seconds it is good.
        seconds: u64,
        /// How many nodes may use it.
        uses: u32,
    },
    /// Let a node take nothing new, or again.
    Drain {
        /// Its name.
        name: String,
        /// Whether to drain it.
        draining: bool,
    },
    /// Forget a node; a control node leaves the consensus. Answered by [`AdminReply::CutOff`] where the control nodes and the
    /// asker know version 2, or by [`AdminReply::Barred`] where there is no such node.
    RemoveNode {
        /// Its name.
        name: String,
    },
    /// Make a channel, or give it a new key. Answered by [`AdminReply::Key`].
    PutChannel {
        /// Its name.
        channel: ChannelName,
        /// What becomes of a second encoder.
        policy: Policy,
    },
    /// Remove a channel; its session ends.
    RemoveChannel {
        /// Its name.
        channel: ChannelName,
    },
    /// Which channels there are. Answered by [`AdminReply::Channels`].
    Channels,
    /// Everything that is agreed, to be restored elsewhere. Answered by [`AdminReply::Backup`] and that many bytes.
    Backup,
    /// Since version 2. Which version who speaks. Answered by [`AdminReply::Levels`]; the leader alone knows of nodes.
    Levels,
}

/// What the control plane answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdminReply {
    /// It is done.
    Done,
    /// The cluster as the control node that answers sees it.
    Cluster(Cluster),
    /// A join token. A secret.
    Token(String),
    /// A stream key. A secret; it is told this once.
    Key(String),
    /// The channels.
    Channels(Vec<(ChannelName, ChannelState)>),
    /// How many bytes follow.
    Backup {
        /// Their number.
        length: u32,
    },
    /// Since version 2. The node is removed, and nodes that speak version 2 talk to it no more.
    CutOff {
        /// Those that speak an older version, and still do.
        unaware: Vec<String>,
    },
    /// Since version 2.
    Levels(Levels),
    /// Since version 2. No node has the name; who was certified under it before is talked to no more, by nodes that speak
    /// version 2.
    Barred {
        /// Those that speak an older version, and still do.
        unaware: Vec<String>,
    },
}

/// Which version of the node protocol who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// That of the registry: all control nodes knew it when it was agreed on.
    pub agreed: Level,
    /// The newest that the leader and a node share, of those that the leader has heard.
    pub nodes: Vec<(NodeId, Level)>,
}

/// The cluster as a control node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The number of the node that answers.
    pub answered_by: NodeId,
    /// Who leads the consensus, as far as it knows.
    pub leader: Option<NodeId>,
    /// The term of the consensus.
    pub term: u64,
    /// The last change that it has applied.
    pub revision: u64,
    /// Every node.
    pub nodes: Vec<NodeStatus>,
}

/// One node as a control node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its number.
    pub id: NodeId,
    /// What everybody knows of it.
    pub view: NodeView,
    /// Whether it votes.
    pub voter: bool,
    /// Milliseconds until its lease runs out; only the leader knows.
    pub lease_ms: Option<u64>,
}
