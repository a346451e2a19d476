//! Who is alive: the leader's memory of when each node must show itself again. A machine; nothing of it is logged but the
//! end of a lease.
//!
//! A new leader gives every node a whole lease, for it does not know when each was last heard. So does a leader that could
//! not listen for a while: whoever was not heard meanwhile may have spoken.

use std::{collections::BTreeMap, time::Duration};

use freshet_proto::id::NodeId;
use tokio::time::Instant;

/// How long a node counts as alive after it has shown itself.
pub const TTL: Duration = Duration::from_secs(10);

/// How often a node shows itself.
pub const RENEW: Duration = Duration::from_secs(3);

/// A leader that looks later than this after it meant to was not listening.
pub const DEAF: Duration = Duration::from_secs(1);

/// When each node must show itself again.
#[derive(Debug, Default)]
pub struct Leases {
    ends: BTreeMap<NodeId, Instant>,
}

impl Leases {
    /// Gives these nodes a whole lease and forgets all others.
    pub fn begin(&mut self, now: Instant, nodes: impl IntoIterator<Item = NodeId>) {
        self.ends = nodes.into_iter().map(|node| (node, now + TTL)).collect();
    }

    /// A node has shown itself.
    pub fn renew(&mut self, now: Instant, node: NodeId) {
        self.ends.insert(node, now + TTL);
    }

    /// What follows from the end of a node's lease could not be done: it is due again at `at`.
    pub fn again(&mut self, at: Instant, node: NodeId) {
        self.ends.entry(node).or_insert(at);
    }

    /// A node has gone.
    pub fn forget(&mut self, node: NodeId) {
        self.ends.remove(&node);
    }

    /// Those whose lease is over, once. All begin anew instead if nobody was listening at the time it ended.
    pub fn due(&mut self, now: Instant) -> Vec<NodeId> {
        if self.deadline().is_some_and(|end| now > end + DEAF) {
            let all: Vec<NodeId> = self.ends.keys().copied().collect();
            self.begin(now, all);
            return Vec::new();
        }
        let due: Vec<NodeId> = self.ends.iter().filter(|(_, end)| **end <= now).map(|(node, _)| *node).collect();
        self.ends.retain(|_, end| *end > now);
        due
    }

    /// When [`Leases::due`] has something to say.
    pub fn deadline(&self) -> Option<Instant> {
        self.ends.values().min().copied()
    }

    /// How long `node` still counts as alive.
    pub fn left(&self, now: Instant, node: NodeId) -> Option<Duration> {
        self.ends.get(&node).map(|end| end.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    #[tokio::test]
    async fn a_node_that_shows_itself_stays_and_one_that_does_not_is_due_once() {
        let (began, mut leases) = (Instant::now(), Leases::default());
        let at = |seconds| began + Duration::from_secs(seconds);
        leases.begin(began, [A, B]);
        leases.renew(at(6), A);
        assert_eq!(leases.deadline(), Some(at(10)));
        assert_eq!(leases.due(at(9)), []);
        assert_eq!(leases.due(at(10)), [B]);
        assert_eq!(leases.due(at(10)), []);
        assert_eq!((leases.left(at(10), A), leases.left(at(10), B)), (Some(Duration::from_secs(6)), None));
    }

    #[tokio::test]
    async fn a_leader_that_was_paused_blames_nobody_for_it() {
        let (began, mut leases) = (Instant::now(), Leases::default());
        leases.begin(began, [A, B]);
        let late = began + TTL + Duration::from_secs(5);
        assert_eq!(leases.due(late), []);
        assert_eq!(leases.deadline(), Some(late + TTL));
    }
}
