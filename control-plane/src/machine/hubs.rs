//! The members of the chat mesh: how hubs come in and go. Since version 2.
//!
//! ```text
//! HubIn (first, or another process) ──▶ a member, with a number and `since` ──HubsOut, its node removed──▶ none
//! ```
//! Each change has a log index of its own, which is the mesh epoch from then on. Who is alive is for the leader's memory to
//! know ([`crate::hubs`]); a node that is lost renews nothing, so it goes by that.

use std::{collections::BTreeMap, sync::Arc};

use freshet_proto::{
    hub::{HubAsk, HubMember, Hubs},
    id::NodeId,
    level::Level,
    registry::{NoSuch, Refused, Reply},
    view::{NodeState, Role},
};
use serde::{Deserialize, Serialize};

use super::{At, Later, Output, Registry};

/// What the registry keeps of members beside what everybody may know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roll {
    /// Which process of each member came in. At most [`Hubs::MAX`].
    lives: BTreeMap<NodeId, u64>,
    /// Where the search for a free number begins: after the one that was given last, so that a number rests for as long as
    /// can be and no two hubs make the same message id, though one's clock is behind.
    next: u16,
}

impl Registry {
    /// Whether this very process of the hub of `node` is a member that weighs so.
    pub fn is_member(&self, ask: &HubAsk) -> bool {
        let member = self.later.annex.hubs.members.get(&ask.node);
        member.is_some_and(|member| member.weight == ask.weight) && self.is_in(ask.node, ask.life)
    }

    /// Whether this very process of the hub of `node` is a member.
    pub fn is_in(&self, node: NodeId, life: u64) -> bool {
        self.hub_life(node) == Some(life)
    }

    /// Which process of the hub of `node` is a member.
    pub fn hub_life(&self, node: NodeId) -> Option<u64> {
        self.later.roll.lives.get(&node).copied()
    }

    pub(super) fn hub_in(&mut self, at: At, node: NodeId, weight: u32, life: u64, out: &mut Vec<Output>) -> Reply {
        if self.level() < Level::CHAT {
            return Err(Refused::Unavailable);
        }
        let known = self.nodes.get(&node).filter(|known| known.view.role == Role::Edge);
        match known.ok_or(Refused::NoSuch(NoSuch::Node))?.view.state {
            NodeState::Active | NodeState::Draining => {}
            // It renews its lease as a node first.
            _ => return Err(Refused::Unavailable),
        }
        let (former, weight) = (self.later.annex.hubs.members.get(&node).copied(), weight.max(1));
        let member = match former {
            Some(former) if self.is_in(node, life) && former.weight == weight => return Ok(None),
            Some(former) if self.is_in(node, life) => HubMember { weight, ..former },
            _ => HubMember { number: self.free_number()?, weight, since: at.index },
        };
        Arc::make_mut(&mut self.later.annex.hubs).change(at.index, |members| {
            members.insert(node, member);
        });
        self.later.roll.lives.insert(node, life);
        self.advance(at, vec![], vec![], out);
        Ok(None)
    }

    pub(super) fn hubs_out(&mut self, at: At, hubs: &[(NodeId, u64)], out: &mut Vec<Output>) -> Reply {
        if self.level() < Level::CHAT {
            return Err(Refused::Unavailable);
        }
        let members = &self.later.annex.hubs.members;
        let is_it = |(node, since): &&(NodeId, u64)| members.get(node).is_some_and(|member| member.since == *since);
        let nodes: Vec<NodeId> = hubs.iter().filter(is_it).map(|(node, _)| *node).collect();
        if self.later.forget_hubs(at.index, &nodes) {
            self.advance(at, vec![], vec![], out);
        }
        Ok(None)
    }

    /// The next number that no member has.
    fn free_number(&mut self) -> Result<u16, Refused> {
        let members = &self.later.annex.hubs.members;
        let max = Hubs::MAX as u16;
        let next = self.later.roll.next;
        let free = (0..max).map(|n| (next + n) % max).find(|n| members.values().all(|member| member.number != *n));
        let free = free.ok_or(Refused::TooMany(NoSuch::Hub))?;
        self.later.roll.next = (free + 1) % max;
        Ok(free)
    }
}

impl Later {
    /// Tells whether any of them was a member.
    pub(super) fn forget_hubs(&mut self, index: u64, nodes: &[NodeId]) -> bool {
        if nodes.iter().all(|node| !self.annex.hubs.members.contains_key(node)) {
            return false;
        }
        Arc::make_mut(&mut self.annex.hubs).change(index, |members| members.retain(|node, _| !nodes.contains(node)));
        self.roll.lives.retain(|node, _| !nodes.contains(node));
        true
    }

    /// There is no mesh until hubs come in: the epochs of another history of this registry may have gone further.
    pub(super) fn forget_mesh(&mut self) {
        if !self.annex.hubs.members.is_empty() {
            let hubs = Arc::make_mut(&mut self.annex.hubs);
            hubs.members.clear();
            hubs.before.clear();
            self.roll.lives.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use freshet_proto::view::{Bar, NodeView};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        channel::Times,
        machine::{Input, testing::take},
    };

    const A: u64 = 7;
    const B: u64 = 8;

    /// Edges 7 and 8 and an origin, 9.
    fn registry(level: u8) -> Registry {
        let mut registry = Registry::new(1, Times::default());
        for (node, role) in [(A, Role::Edge), (B, Role::Edge), (9, Role::Origin)] {
            let view = NodeView::new(role, ([127, 0, 0, 1], 9).into(), &format!("node-{node}"));
            take(&mut registry, 0, Input::PutNode { node: NodeId(node), view }).unwrap();
        }
        take(&mut registry, 0, Input::Rise { level: Level(level) }).unwrap();
        registry
    }

    fn comes(node: u64, weight: u32, life: u64) -> Input {
        Input::HubIn { node: NodeId(node), weight, life }
    }

    fn goes(hubs: &[(u64, u64)]) -> Input {
        Input::HubsOut { hubs: hubs.iter().map(|(node, since)| (NodeId(*node), *since)).collect() }
    }

    /// What happened, and the mesh afterwards: its epoch, then `node#number*weight@since` of each member.
    fn tell(registry: &mut Registry, input: Input) -> String {
        let reply = take(registry, 0, input);
        let hubs = &registry.annex().hubs;
        let member = |(node, it): (&NodeId, &HubMember)| format!(" {node}#{}*{}@{}", it.number, it.weight, it.since);
        let members: String = hubs.members.iter().map(member).collect();
        let reply = reply.map_or_else(|refused| format!("{refused:?}: "), |_| String::new());
        format!("{reply}{}{members}", hubs.revision)
    }

    #[test]
    fn hubs_come_in_weigh_otherwise_start_anew_and_go_and_each_of_it_is_an_epoch() {
        let mut registry = registry(2);
        let told: Vec<String> = [
            comes(A, 4, 1),
            comes(B, 1, 1),
            comes(A, 4, 1),
            comes(A, 5, 1),
            comes(A, 5, 2),
            goes(&[(A, 5), (B, 5)]),
            goes(&[(B, 6), (9, 1)]),
            goes(&[(B, 6)]),
            comes(B, 0, 1),
        ]
        .map(|input| tell(&mut registry, input))
        .into();
        assert_eq!(
            told,
            [
                "5 7#0*4@5",
                "6 7#0*4@5 8#1*1@6",
                "6 7#0*4@5 8#1*1@6",
                "7 7#0*5@5 8#1*1@6",
                "8 7#2*5@8 8#1*1@6",
                "8 7#2*5@8 8#1*1@6",
                "9 7#2*5@8",
                "9 7#2*5@8",
                "10 7#2*5@8 8#3*1@10",
            ]
        );
    }

    #[test]
    fn only_edges_that_are_there_are_members_and_none_before_version_2_is_agreed_on() {
        let mut old = registry(1);
        assert_eq!((comes(A, 1, 1).since(), goes(&[(A, 1)]).since()), (Level::CHAT, Level::CHAT));
        assert_eq!(tell(&mut old, comes(A, 1, 1)), "Unavailable: 0");
        assert_eq!(tell(&mut old, goes(&[(A, 1)])), "Unavailable: 0");
        let mut registry = registry(2);
        assert_eq!(tell(&mut registry, comes(9, 1, 1)), "NoSuch(Node): 0");
        assert_eq!(tell(&mut registry, comes(10, 1, 1)), "NoSuch(Node): 0");
        take(&mut registry, 0, Input::NodeLost { node: NodeId(A) }).unwrap();
        assert_eq!(tell(&mut registry, comes(A, 1, 1)), "Unavailable: 0", "it renews as a node first");
    }

    #[test]
    fn a_node_that_is_removed_takes_its_hub_along() {
        for bars in [false, true] {
            let mut registry = registry(2);
            take(&mut registry, 0, comes(A, 1, 1)).unwrap();
            take(&mut registry, 0, comes(B, 1, 1)).unwrap();
            let (node, bar) = (NodeId(A), Bar { since_ms: 1, until_ms: 2 });
            let remove = if bars { Input::CutOff { node, bar } } else { Input::RemoveNode { node } };
            assert_eq!(tell(&mut registry, remove), "7 8#1*1@6");
        }
    }

    #[test]
    fn whoever_begins_anew_from_a_backup_has_no_mesh_yet() {
        let mut registry = registry(2);
        take(&mut registry, 0, comes(A, 1, 1)).unwrap();
        registry.begin_anew(2);
        assert!(registry.annex().hubs.members.is_empty() && !registry.is_in(NodeId(A), 1));
        assert_eq!(tell(&mut registry, comes(A, 1, 1)), "6 7#1*1@6");
    }

    /// As many edges as there may be hubs, and one more.
    fn crowd() -> Registry {
        let mut registry = registry(2);
        for node in 0..=Hubs::MAX as u64 {
            let view = NodeView::new(Role::Edge, ([127, 0, 0, 1], 9).into(), &format!("edge-{node}"));
            let put = Input::PutNode { node: NodeId(100 + node), view };
            registry.handle(registry.revision() + 1, 0, put, &mut vec![]);
        }
        registry
    }

    #[test]
    fn there_are_as_many_hubs_as_numbers() {
        let mut registry = crowd();
        let come = |registry: &mut Registry, node: u64| {
            let mut out = vec![];
            registry.handle(registry.revision() + 1, 0, comes(100 + node, 1, 1), &mut out);
            out.pop()
        };
        for node in 0..Hubs::MAX as u64 {
            assert_eq!(come(&mut registry, node), Some(Output::Reply(Ok(None))));
        }
        let full = Some(Output::Reply(Err(Refused::TooMany(NoSuch::Hub))));
        assert_eq!(come(&mut registry, Hubs::MAX as u64), full);
        let since = registry.annex().hubs.members[&NodeId(105)].since;
        take(&mut registry, 0, goes(&[(105, since)])).unwrap();
        assert_eq!(come(&mut registry, Hubs::MAX as u64), Some(Output::Reply(Ok(None))));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn numbers_are_unique_and_epochs_rise_with_every_change_of_members(
            steps in prop::collection::vec((0u64..6, 0u64..3, any::<bool>()), 1..200)
        ) {
            let mut registry = crowd();
            for (node, life, comes_in) in steps {
                let before = registry.annex().hubs.clone();
                let since = before.members.get(&NodeId(100 + node)).map_or(0, |member| member.since);
                let input = if comes_in { comes(100 + node, 1, life) } else { goes(&[(100 + node, since)]) };
                registry.handle(registry.revision() + 1, 0, input, &mut vec![]);
                let hubs = &registry.annex().hubs;
                let numbers: BTreeSet<u16> = hubs.members.values().map(|member| member.number).collect();
                prop_assert_eq!(numbers.len(), hubs.members.len());
                prop_assert!(numbers.iter().all(|number| usize::from(*number) < Hubs::MAX));
                prop_assert_eq!(hubs.revision > before.revision, hubs.members != before.members);
                prop_assert!(hubs.members.values().all(|member| member.since <= hubs.revision));
                prop_assert_eq!(registry.is_in(NodeId(100 + node), life), comes_in);
            }
        }
    }
}
