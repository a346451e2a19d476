//! The nodes of the platform: how they come, how they are, how they go.
//!
//! ```text
//! token ──join──▶ Joined ──renewed──▶ Active ◀──renewed── Lost
//!                                       │ ▲                ▲
//!                                  drain│ │undrain         │ lease runs out
//!                                       ▼ │                │
//!                                     Draining ────────────┘        any ──remove──▶ gone, its number never used again
//!                                                                    (since version 2: cut off too, see [`super::later`])
//! ```

use freshet_proto::{
    id::NodeId,
    registry::{NoSuch, Refused, Reply},
    view::{NodeState, NodeView, Role},
};
use serde::{Deserialize, Serialize};

use super::{At, Output, Registry};
use crate::{key::KeyHash, secrets::Secrets};

/// How many join tokens may be good at once.
pub const MAX_TOKENS: usize = 256;

/// How many nodes there may be.
pub const MAX_NODES: usize = 10_000;

/// A node as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What everybody may know of it.
    pub view: NodeView,
    /// Which of its processes was heard of last.
    pub life: u64,
}

impl Node {
    /// A node of which no process is known.
    pub fn new(view: NodeView) -> Self {
        Self { view, life: 0 }
    }
}

/// Lets nodes join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The hash of its secret part.
    pub hash: KeyHash,
    /// What the nodes will be for.
    pub role: Role,
    /// Until when it is good, in ms.
    pub expires_ms: u64,
    /// How many more nodes may use it.
    pub uses: u32,
}

impl Token {
    /// Whether a node may join with it at `now_ms`.
    pub fn is_good(&self, now_ms: u64) -> bool {
        self.uses > 0 && now_ms < self.expires_ms
    }
}

impl Registry {
    pub(super) fn found(&mut self, at: At, secrets: Secrets, out: &mut Vec<Output>) -> Reply {
        if self.secrets.is_none() {
            self.secrets = Some(secrets);
            self.advance(at, vec![], vec![], out);
        }
        Ok(None)
    }

    pub(super) fn put_token(&mut self, at: At, token: Token, out: &mut Vec<Output>) -> Reply {
        self.tokens.retain(|known| known.is_good(at.now_ms));
        if self.tokens.len() >= MAX_TOKENS {
            return Err(Refused::TooMany(NoSuch::Token));
        }
        self.tokens.push(token);
        self.advance(at, vec![], vec![], out);
        Ok(None)
    }

    /// A node whose answer was lost joins again under the same name, as long as nobody has heard of it.
    pub(super) fn join(&mut self, at: At, token: &KeyHash, name: String, out: &mut Vec<Output>) -> Reply {
        let good = |known: &&mut Token| known.hash == *token && known.is_good(at.now_ms);
        let known = self.tokens.iter_mut().find(good).ok_or(Refused::BadToken)?;
        let role = known.role;
        let former = self.nodes.iter().find(|(_, node)| node.view.server_name == name);
        let former = former.map(|(id, node)| (*id, node.view.role == role && node.view.state == NodeState::Joined));
        if matches!(former, Some((_, false))) {
            return Err(Refused::NameTaken);
        }
        if self.nodes.len() >= MAX_NODES {
            return Err(Refused::TooMany(NoSuch::Node));
        }
        known.uses -= 1;
        let unknown = ([0, 0, 0, 0], 0).into();
        let view = NodeView { state: NodeState::Joined, ..NodeView::new(role, unknown, &name) };
        let former = former.map(|(id, _)| id);
        former.iter().for_each(|id| drop(self.nodes.remove(id)));
        self.nodes.insert(NodeId(at.index), Node::new(view));
        self.advance(at, vec![], former.into_iter().chain([NodeId(at.index)]).collect(), out);
        Ok(None)
    }

    pub(super) fn put_node(&mut self, at: At, id: NodeId, node: Node, out: &mut Vec<Output>) -> Reply {
        if self.nodes.get(&id) != Some(&node) {
            self.nodes.insert(id, node);
            self.advance(at, vec![], vec![id], out);
        }
        Ok(None)
    }

    pub(super) fn renewed(&mut self, at: At, id: NodeId, view: NodeView, life: u64, out: &mut Vec<Output>) -> Reply {
        let known = self.nodes.get_mut(&id).ok_or(Refused::NoSuch(NoSuch::Node))?;
        let draining = known.view.state == NodeState::Draining;
        let state = if draining { NodeState::Draining } else { NodeState::Active };
        let renewed = Node { view: NodeView { state, ..view }, life };
        if *known == renewed {
            return Ok(None);
        }
        let another_process = known.life != life && known.life != 0;
        *known = renewed;
        let lost = if another_process { self.lose_publishers(at, id) } else { Vec::new() };
        self.advance(at, lost, vec![id], out);
        Ok(None)
    }

    pub(super) fn set_state(&mut self, at: At, id: NodeId, state: NodeState, out: &mut Vec<Output>) -> Reply {
        let known = self.nodes.get_mut(&id).ok_or(Refused::NoSuch(NoSuch::Node))?;
        if known.view.state != state {
            known.view.state = state;
            let lost = if state == NodeState::Lost { self.lose_publishers(at, id) } else { Vec::new() };
            self.advance(at, lost, vec![id], out);
        }
        Ok(None)
    }

    pub(super) fn remove_node(&mut self, at: At, id: NodeId, out: &mut Vec<Output>) -> Reply {
        if self.nodes.remove(&id).is_some() {
            self.later.forget_hubs(at.index, &[id]);
            let lost = self.lose_publishers(at, id);
            self.advance(at, lost, vec![id], out);
        }
        Ok(None)
    }

    /// Whoever publishes at `origin` is lost; tells which channels that changed.
    pub(super) fn lose_publishers(&mut self, at: At, origin: NodeId) -> Vec<freshet_proto::id::ChannelName> {
        self.change_all(|channel, times| channel.lose(at.now_ms, origin, times))
    }
}
