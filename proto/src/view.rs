//! The view: a node's local copy of what the registry has agreed, and the deltas that move it on.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::id::{ChannelName, Epoch, NodeId, SessionId};

/// Everything a node knows of the others. Absent channels are unknown: they answer 404 without a fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Which registry's it is, drawn when the registry was first made. Revisions of different ones don't compare.
    pub cluster: u64,
    /// The log index up to which it is true.
    pub revision: u64,
    /// Every channel there is.
    pub channels: BTreeMap<ChannelName, ChannelView>,
    /// Every node there is.
    pub nodes: BTreeMap<NodeId, NodeView>,
}

/// What others may know of a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Whether it is live.
    pub state: ChannelState,
    /// The current session, or the last one.
    pub session: Option<SessionId>,
    /// The publishes whose objects may still be there and the origins that hold them, oldest first; the last is the
    /// current one. When a session begins, those of the one before stay. At most [`ChannelView::MAX_EPOCHS`]: older
    /// ones are forgotten, and their objects with them.
    pub epochs: Vec<EpochView>,
}

impl ChannelView {
    /// How many publishes of a session are remembered.
    pub const MAX_EPOCHS: usize = 16;

    /// The current publish, or the last one.
    pub fn current(&self) -> Option<EpochView> {
        self.epochs.last().copied()
    }

    /// Who holds the objects of `epoch`.
    pub fn origin_of(&self, epoch: Epoch) -> Option<NodeId> {
        self.epochs.iter().find(|e| e.epoch == epoch).map(|e| e.origin)
    }
}

/// One publish and where its objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochView {
    /// The publish.
    pub epoch: Epoch,
    /// The origin that took it.
    pub origin: NodeId,
}

/// Whether a channel is live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelState {
    /// Known, not live, nothing kept.
    #[default]
    Idle,
    /// A publisher is accepted; its first playlist is not out yet. Where it continues a session, what the session has
    /// is served as in grace meanwhile.
    Starting,
    /// Media flows.
    Live,
    /// The publisher has gone; it may come back.
    Grace,
    /// The session is over; its objects are still kept.
    Ended,
}

/// What others may know of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// What it is for.
    pub role: Role,
    /// Where its QUIC endpoint listens.
    pub quic: SocketAddr,
    /// The name its certificate carries.
    pub server_name: String,
    /// How it is.
    pub state: NodeState,
}

impl NodeView {
    /// A node that is there.
    pub fn new(role: Role, quic: SocketAddr, server_name: &str) -> Self {
        Self { role, quic, server_name: server_name.to_owned(), state: NodeState::Active }
    }
}

/// How a node is, as the leader of the control plane sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NodeState {
    /// It has its certificate and was not heard of yet.
    Joined,
    /// It renews its lease.
    #[default]
    Active,
    /// It is to take nothing new: an operator said so.
    Draining,
    /// Its lease has run out. What it held may still be there.
    Lost,
}

impl std::fmt::Display for NodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Joined => "joined",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Lost => "lost",
        })
    }
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Role {
    /// Takes publishers.
    Origin,
    /// Serves viewers.
    Edge,
    /// Keeps the registry.
    Control,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Origin => "origin",
            Self::Edge => "edge",
            Self::Control => "control",
        })
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "origin" => Ok(Self::Origin),
            "edge" => Ok(Self::Edge),
            "control" => Ok(Self::Control),
            _ => Err(UnknownRole),
        }
    }
}

/// The text is no role. Whoever wrote it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is control, origin or edge")]
pub struct UnknownRole;

/// A point in the history of a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which registry: [`View::cluster`].
    pub cluster: u64,
    /// The log index.
    pub revision: u64,
}

/// One change of the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// The revision after it.
    pub revision: u64,
    /// Channels that changed; `None` where one was deleted.
    pub channels: Vec<(ChannelName, Option<ChannelView>)>,
    /// Nodes that changed; `None` where one was removed.
    pub nodes: Vec<(NodeId, Option<NodeView>)>,
}

impl View {
    /// How far in which registry's history it is.
    pub fn position(&self) -> Position {
        Position { cluster: self.cluster, revision: self.revision }
    }

    /// Moves the view on by `delta`. A delta that is not newer changes nothing and returns `false`.
    pub fn apply(&mut self, delta: Delta) -> bool {
        if delta.revision <= self.revision {
            return false;
        }
        self.revision = delta.revision;
        put_all(&mut self.channels, delta.channels);
        put_all(&mut self.nodes, delta.nodes);
        true
    }
}

fn put_all<K: Ord, V>(map: &mut BTreeMap<K, V>, changes: Vec<(K, Option<V>)>) {
    for (key, value) in changes {
        match value {
            Some(value) => map.insert(key, value),
            None => map.remove(&key),
        };
    }
}
