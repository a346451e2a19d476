//! Which version of the node protocol each node knows, and when all control nodes know the next one.
//!
//! ```text
//! RENEW, ENLIST on a connection that speaks N ──▶ Heard (the leader's memory) ──every member knows more than is agreed──▶ Rise
//! ```
//! Of a node the leader knows the version that the two speak with each other, so never a newer one than its own. Once a
//! version is agreed on, no control node of an older one is taken in, and none that was there can read the log any more.
//! Nobody is taken in while that is decided, and it is not decided while somebody is taken in.

use std::collections::BTreeMap;

use freshet_proto::{id::NodeId, level::Level, message::Denied, quic::Peer};
use tracing::{info, warn};

use super::Inner;
use crate::machine::Input;

/// The version that each node was last heard to know. At most as many as there are nodes.
#[derive(Debug, Default)]
pub(super) struct Heard(BTreeMap<NodeId, Level>);

impl Heard {
    /// Forgets everybody: for a leader that begins, for a node may have changed since it led before.
    pub(super) fn begin(&mut self) {
        self.0.clear();
    }

    /// A node was heard.
    pub(super) fn hear(&mut self, node: NodeId, level: Level) {
        self.0.insert(node, level);
    }

    /// A node has gone, or fell silent.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    /// Everybody who was heard.
    pub(super) fn all(&self) -> impl Iterator<Item = (NodeId, Level)> {
        self.0.iter().map(|(node, level)| (*node, *level))
    }

    /// What all of them know, at most `own`; `None` while one was not heard.
    fn known_to(&self, nodes: impl IntoIterator<Item = NodeId>, own: Level) -> Option<Level> {
        nodes.into_iter().map(|node| self.0.get(&node).copied()).try_fold(own, |least, level| Some(least.min(level?)))
    }
}

impl Inner {
    /// Agrees on the next version if every member knows it.
    pub(super) async fn rise(&self) {
        let own = self.group.newest();
        if self.group.agreed() >= own {
            return;
        }
        // Whoever is being taken in takes as long as it takes; this is asked again soon.
        let Ok(_alone) = self.admitting.try_write() else { return };
        let others = self.group.status().members.into_keys().filter(|id| *id != self.id);
        let known = self.heard().known_to(others, own);
        let next = Level(self.group.agreed().0.saturating_add(1));
        if known.is_none_or(|known| known < next) {
            return;
        }
        match self.propose(Input::Rise { level: next }).await {
            Ok(_) => info!(version = %next, "all control nodes know this version of the node protocol"),
            Err(error) => warn!(version = %next, %error, "the next version could not be agreed on yet"),
        }
    }

    /// Whether the peer may belong to the consensus.
    pub(super) fn is_new_enough(&self, peer: &Peer) -> Result<(), Denied> {
        let agreed = self.group.agreed();
        if peer.level >= agreed {
            return Ok(());
        }
        Err(Denied::Forbidden(format!(
            "the control nodes have agreed on version {agreed} of the node protocol, {} speaks {}: upgrade it, or leave \
             protocol.at_most out",
            peer.name, peer.level
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_counts_once_every_member_was_heard_to_know_it() {
        let [a, b, c] = [NodeId(1), NodeId(2), NodeId(3)];
        let mut heard = Heard::default();
        heard.hear(a, Level(2));
        assert_eq!(heard.known_to([a, b], Level(2)), None, "b may know anything");
        heard.hear(b, Level(1));
        assert_eq!(heard.known_to([a, b], Level(2)), Some(Level(1)));
        heard.hear(b, Level(2));
        assert_eq!(heard.known_to([a, b], Level(2)), Some(Level(2)));
        assert_eq!(heard.known_to([a, b], Level(1)), Some(Level(1)), "a leader speaks for itself");
        assert_eq!(heard.known_to([], Level(2)), Some(Level(2)), "it is alone");
        assert_eq!(heard.known_to([a, b, c], Level(2)), None);
        heard.begin();
        assert_eq!(heard.known_to([a, b], Level(2)), None, "a new leader hears everybody anew");
    }
}
