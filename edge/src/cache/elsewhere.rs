//! Where else an object may be whose origin is gone: at other edges.
//!
//! ```text
//! View, me ──edges──▶ at most MOST_EDGES, those after me first ── FETCH, one after another ──▶ the first that has it
//! ```
//! They tell what they have and fetch nothing for it ([`crate::answer`]), so no question begets another. They are asked
//! one after another, for what several send at once would be transferred several times.

use std::sync::{Arc, OnceLock};

use freshet_proto::{
    ordered,
    view::{NodeState, NodeView, Role, View},
};
use tokio::time::Duration;

use crate::upstream::Peer;

/// The most edges that are asked for one object. Beyond it, those that come last after this one are not.
const MOST_EDGES: usize = 16;

/// How long one edge may take to say whether it has an object. It answers from memory; the connection may be new.
pub(super) const EDGE_PATIENCE: Duration = Duration::from_millis(700);

/// How long the search may take in all.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Knows the other edges.
pub(crate) struct Elsewhere {
    view: ordered::Receiver<Arc<View>>,
    me: OnceLock<String>,
}

impl Elsewhere {
    pub(crate) fn new(view: ordered::Receiver<Arc<View>>) -> Self {
        Self { view, me: OnceLock::new() }
    }

    /// This edge's certificate carries `name`; only the first call counts.
    pub(crate) fn set_name(&self, name: &str) {
        let _ = self.me.set(name.to_owned());
    }

    /// Whom to ask, in this order.
    pub(super) fn edges(&self) -> Vec<Peer> {
        let view = self.view.borrow();
        let mut edges: Vec<_> = view.nodes.values().filter(|node| node.role == Role::Edge).collect();
        // Each edge begins with another one, so that the first is not asked by all.
        if let Some(mine) = edges.iter().position(|node| self.me.get() == Some(&node.server_name)) {
            edges.rotate_left(mine);
            edges.remove(0);
        }
        let there = |node: &&NodeView| matches!(node.state, NodeState::Active | NodeState::Draining);
        edges.into_iter().filter(there).take(MOST_EDGES).map(Peer::of).collect()
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::id::NodeId;

    use super::*;

    /// The ports of those that edge `me` asks, where the nodes are as `nodes` has it, from port 1 on.
    fn asked(me: &str, nodes: &[(Role, NodeState)]) -> Vec<u16> {
        let node = |(n, (role, state)): (u16, &(Role, NodeState))| {
            let new = NodeView::new(*role, ([127, 0, 0, 1], n).into(), &format!("node-{n}"));
            (NodeId(n.into()), NodeView { state: *state, ..new })
        };
        let view = View { nodes: (1..).zip(nodes).map(node).collect(), ..View::default() };
        let views = ordered::Sender::new(Arc::new(view));
        let elsewhere = Elsewhere::new(views.subscribe());
        elsewhere.set_name(me);
        elsewhere.edges().iter().map(|peer| peer.addr.port()).collect()
    }

    const EDGE: (Role, NodeState) = (Role::Edge, NodeState::Active);

    #[test]
    fn each_edge_begins_with_the_one_after_it_and_never_asks_itself() {
        let nodes = [EDGE, EDGE, (Role::Origin, NodeState::Active), EDGE, (Role::Control, NodeState::Active)];
        assert_eq!(asked("node-1", &nodes), [2, 4]);
        assert_eq!(asked("node-2", &nodes), [4, 1]);
        assert_eq!(asked("node-4", &nodes), [1, 2]);
        assert_eq!(asked("nobody", &nodes), [1, 2, 4]);
    }

    #[test]
    fn who_is_lost_or_was_never_there_is_not_asked_and_of_many_only_some_are() {
        let nodes =
            [EDGE, (Role::Edge, NodeState::Lost), (Role::Edge, NodeState::Draining), (Role::Edge, NodeState::Joined)];
        assert_eq!(asked("node-1", &nodes), [3]);
        assert_eq!(asked("node-10", &[EDGE; 40]), (11..27).collect::<Vec<_>>());
    }
}
