//! The view: a node's local copy of what the registry has agreed, and the deltas that move it on.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    annex::{self, Annex},
    id::{ChannelName, Epoch, NodeId, SessionId},
};

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
    /// Who was removed. Since version 2, so it travels and is kept beside the view, not in it.
    #[serde(skip)]
    pub removed: Arc<Removed>,
    /// What else is agreed on. Since version 2, like that.
    #[serde(skip)]
    pub annex: Annex,
}

/// Nodes that were removed from the platform while certificates of theirs may still be valid: nobody talks to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The log index of the last change; 0 where there was none.
    pub revision: u64,
    /// By name. At most [`Removed::MAX`].
    pub nodes: BTreeMap<String, Bar>,
}

/// Which certificates of one name are no good any more. Later ones are: the name may be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Those that are valid since this time or an earlier one, in ms since 1970.
    pub since_ms: u64,
    /// They have all run out by then, in ms since 1970.
    pub until_ms: u64,
}

impl Removed {
    /// How many are remembered. Beyond it, the one whose certificate runs out first is forgotten.
    pub const MAX: usize = 4096;

    /// Whether a certificate of `name` that is valid since `since_ms` is no good any more.
    pub fn bars(&self, name: &str, since_ms: u64) -> bool {
        self.nodes.get(name).is_some_and(|bar| since_ms <= bar.since_ms)
    }

    /// Remembers one more.
    pub fn add(&mut self, name: String, bar: Bar) {
        let known = self.nodes.entry(name).or_insert(bar);
        *known = Bar { since_ms: known.since_ms.max(bar.since_ms), until_ms: known.until_ms.max(bar.until_ms) };
        if self.nodes.len() > Self::MAX {
            let first = self.nodes.iter().min_by_key(|(_, bar)| bar.until_ms).map(|(name, _)| name.clone());
            first.map(|name| self.nodes.remove(&name));
        }
    }
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
    /// Who was removed, all of them, if that changed. Never sent: [`crate::message::WatchEvent::Removed`] is.
    #[serde(skip)]
    pub removed: Option<Arc<Removed>>,
    /// Parts of the annex that changed. Never sent either: [`crate::message::WatchEvent::Annex`] is.
    #[serde(skip)]
    pub annex: Vec<annex::Part>,
}

impl View {
    /// Whether `server_name` is that of an origin other than `me`.
    pub fn is_other_origin(&self, server_name: &str, me: Option<NodeId>) -> bool {
        let is_it = |id: &NodeId, node: &NodeView| {
            node.role == Role::Origin && node.server_name == server_name && Some(*id) != me
        };
        self.nodes.iter().any(|(id, node)| is_it(id, node))
    }

    /// Whether the current publish of `channel` is at the origin of that `server_name`.
    pub fn is_current_origin(&self, channel: &ChannelName, server_name: &str) -> bool {
        let current = self.channels.get(channel).and_then(ChannelView::current);
        current.and_then(|current| self.nodes.get(&current.origin)).is_some_and(|node| node.server_name == server_name)
    }

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
        if let Some(removed) = delta.removed {
            self.removed = removed;
        }
        delta.annex.into_iter().for_each(|part| self.annex.put(part));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_a_removed_node_are_barred_and_those_of_its_namesake_that_came_later_are_not() {
        let mut removed = Removed::default();
        removed.add("edge-1".into(), Bar { since_ms: 7_000, until_ms: 9_000 });
        assert!(removed.bars("edge-1", 6_999) && removed.bars("edge-1", 7_000));
        assert!(!removed.bars("edge-1", 7_001) && !removed.bars("edge-2", 0));
    }

    #[test]
    fn beyond_the_limit_the_one_whose_certificate_runs_out_first_is_forgotten() {
        let mut removed = Removed::default();
        for n in 0..=Removed::MAX as u64 {
            removed.add(format!("edge-{n}"), Bar { since_ms: n, until_ms: if n == 7 { 1 } else { 1_000 + n } });
        }
        assert_eq!(removed.nodes.len(), Removed::MAX);
        assert!(!removed.bars("edge-7", 0) && removed.bars("edge-0", 0));
    }
}
