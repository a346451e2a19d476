//! What later versions of the node protocol brought to the registry: the version that is agreed on, and, since version 2,
//! who was removed and is not to be talked to, what a new leader's clock does not end, and the [`annex`](super::annex).
//!
//! Control nodes of version 1 can read neither a log nor a snapshot that has this, so none of it is written before all
//! control nodes know version 2. As long as version 1 is agreed on, the registry is written as version 1 writes it.

use std::collections::BTreeMap;

use freshet_proto::{
    annex::Annex,
    id::{ChannelName, NodeId, SessionId},
    level::Level,
    registry::{NoSuch, Refused, Reply},
    view::{Bar, Removed},
};
use serde::{Deserialize, Serialize};

use super::{At, Output, Registry, charters::Kept, hubs::Roll};
use crate::keys::Ring;

/// The part of the registry that version 1 does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Later {
    pub(super) level: Level,
    pub(super) removed: Removed,
    pub(super) annex: Annex,
    pub(super) ring: Ring,
    pub(super) charters: BTreeMap<ChannelName, Kept>,
    pub(super) roll: Roll,
    /// Which session of a channel that goes on went live when, in ms since 1970.
    pub(super) started: BTreeMap<ChannelName, (SessionId, u64)>,
}

impl Later {
    /// When a removed node's certificates have run out, or something that was revoked, or a secret of path tokens.
    pub(super) fn deadline_ms(&self) -> Option<u64> {
        let bars = self.removed.nodes.values().chain(self.annex.revoked.bars.values());
        bars.map(|bar| bar.until_ms).chain(self.ring.deadline_ms()).min()
    }

    /// Forgets removed nodes whose certificates have run out, what was revoked and would have run out by now, and the secrets of
    /// path tokens that have; tells whether there was any of it.
    pub(super) fn expire(&mut self, index: u64, now_ms: u64) -> bool {
        let before = self.removed.nodes.len();
        self.removed.nodes.retain(|_, bar| now_ms < bar.until_ms);
        let forgotten = self.removed.nodes.len() < before;
        if forgotten {
            self.removed.revision = index;
        }
        let secrets = super::keys::forget_secrets(self, index, now_ms);
        super::annex::forget_revoked(&mut self.annex, index, now_ms) || secrets || forgotten
    }
}

impl Registry {
    /// The version only rises.
    pub(super) fn rise(&mut self, at: At, level: Level, out: &mut Vec<Output>) -> Reply {
        if level > self.later.level {
            self.later.level = level;
            self.advance(at, vec![], vec![], out);
        }
        Ok(None)
    }

    pub(super) fn cut_off(&mut self, at: At, id: NodeId, bar: Bar, out: &mut Vec<Output>) -> Reply {
        if self.later.level < Level::CUTS_OFF {
            return Err(Refused::Unavailable);
        }
        if let Some(node) = self.nodes.remove(&id) {
            self.later.removed.add(node.view.server_name, bar);
            self.later.removed.revision = at.index;
            self.later.forget_hubs(at.index, &[id]);
            let lost = self.lose_publishers(at, id);
            self.advance(at, lost, vec![id], out);
        }
        Ok(None)
    }

    /// Whoever has the name now must be removed instead.
    pub(super) fn bar_name(&mut self, at: At, name: String, bar: Bar, out: &mut Vec<Output>) -> Reply {
        if self.later.level < Level::CUTS_OFF {
            return Err(Refused::NoSuch(NoSuch::Node));
        }
        if self.node_named(&name).is_some() {
            return Err(Refused::NameTaken);
        }
        self.later.removed.add(name, bar);
        self.later.removed.revision = at.index;
        self.advance(at, vec![], vec![], out);
        Ok(None)
    }

    /// Puts off what waits (the ends of graces, the ends of what is known as ended) by what the new leader did not see pass:
    /// it runs out after as long a time as somebody was there to end the wait. What its clock says beyond that counts for
    /// the rest, which is told in wall time: numbers must not be given twice, whoever was there; tokens and bars expire.
    ///
    /// What the leader did see pass counts, so that leaders who follow each other prolong nothing.
    pub(super) fn put_off(&mut self, at: At, unseen_ms: u64, out: &mut Vec<Output>) -> Reply {
        if self.later.level < Level::KEEPS_GRACES {
            return Err(Refused::Unavailable);
        }
        let by_ms = unseen_ms.min(at.now_ms - self.now_ms);
        let waits = self.change_all(|channel, _| by_ms > 0 && channel.put_off(by_ms));
        if !waits.is_empty() {
            // Nobody is told of deadlines, so no view changes.
            self.advance(at, vec![], vec![], out);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::view::{NodeView, Role, View};

    use super::*;
    use crate::machine::testing::take;
    use crate::{
        channel::Times,
        key::Pepper,
        machine::{Input, Token},
    };

    /// An edge of the name is node 7.
    fn registry() -> Registry {
        let mut registry = Registry::new(1, Times::default());
        let view = NodeView::new(Role::Edge, ([127, 0, 0, 1], 9).into(), "edge-1");
        take(&mut registry, 0, Input::PutNode { node: NodeId(7), view }).unwrap();
        registry
    }

    fn cut_off() -> Input {
        Input::CutOff { node: NodeId(7), bar: Bar { since_ms: 5, until_ms: 100 } }
    }

    fn names(view: &View) -> Vec<&str> {
        view.removed.nodes.keys().map(String::as_str).collect()
    }

    #[test]
    fn nobody_is_cut_off_before_version_2_is_agreed_on() {
        let mut registry = registry();
        let before = registry.clone();
        assert_eq!(take(&mut registry, 0, cut_off()), Err(Refused::Unavailable));
        assert_eq!(registry, before);
        assert_eq!((cut_off().needs(), Input::Rise { level: Level(2) }.needs()), (Level(2), Level(1)));
    }

    #[test]
    fn the_version_rises_and_never_goes_back() {
        let mut registry = registry();
        for (asked, agreed) in [(1, 1), (2, 2), (1, 2), (2, 2)] {
            let before = registry.revision();
            take(&mut registry, 0, Input::Rise { level: Level(asked) }).unwrap();
            assert_eq!(registry.level(), Level(agreed));
            assert_eq!(
                registry.revision() > before,
                asked == 2 && before == 1,
                "nothing is logged that changes nothing"
            );
        }
    }

    #[test]
    fn a_node_that_is_cut_off_is_named_until_its_certificates_have_run_out() {
        let mut registry = registry();
        take(&mut registry, 0, Input::Rise { level: Level(2) }).unwrap();
        assert_eq!(registry.deadline_ms(), None);
        take(&mut registry, 10, cut_off()).unwrap();
        assert!(registry.nodes().is_empty());
        assert_eq!((names(&registry.view()), registry.barred_until("edge-1")), (vec!["edge-1"], Some(5)));
        assert_eq!((registry.view().removed.revision, registry.deadline_ms()), (registry.revision(), Some(100)));
        take(&mut registry, 99, Input::Timeout).unwrap();
        assert_eq!(names(&registry.view()), ["edge-1"]);
        take(&mut registry, 100, Input::Timeout).unwrap();
        assert!(names(&registry.view()).is_empty());
        assert_eq!((registry.view().removed.revision, registry.deadline_ms()), (registry.revision(), None));
    }

    fn bar_edge(name: &str) -> Input {
        Input::BarName { name: name.to_owned(), bar: Bar { since_ms: 5, until_ms: 100 } }
    }

    #[test]
    fn a_name_that_no_node_has_any_more_is_barred_once_version_2_is_agreed_on() {
        let mut registry = registry();
        take(&mut registry, 0, Input::RemoveNode { node: NodeId(7) }).unwrap();
        assert_eq!(take(&mut registry, 0, bar_edge("edge-1")), Err(Refused::NoSuch(NoSuch::Node)));
        take(&mut registry, 0, Input::Rise { level: Level(2) }).unwrap();
        assert_eq!(registry.barred_until("edge-1"), None, "nobody knows any more that it was there");
        take(&mut registry, 10, bar_edge("edge-1")).unwrap();
        assert_eq!((names(&registry.view()), registry.barred_until("edge-1")), (vec!["edge-1"], Some(5)));
        assert_eq!((registry.view().removed.revision, registry.deadline_ms()), (registry.revision(), Some(100)));
        assert_eq!((bar_edge("edge-1").needs(), bar_edge("edge-1").since()), (Level(2), Level(2)));
    }

    #[test]
    fn a_name_that_a_node_has_is_not_barred_before_its_back() {
        let mut registry = registry();
        take(&mut registry, 0, Input::Rise { level: Level(2) }).unwrap();
        let before = registry.clone();
        assert_eq!(take(&mut registry, 10, bar_edge("edge-1")), Err(Refused::NameTaken));
        assert_eq!(registry, before);
    }

    #[test]
    fn a_new_leader_puts_off_no_bar_and_no_tokens_end() {
        let mut registry = registry();
        take(&mut registry, 0, Input::Rise { level: Level(2) }).unwrap();
        take(&mut registry, 10, cut_off()).unwrap();
        let (hash, role) = (Pepper([7; 32]).hash("token"), Role::Edge);
        take(&mut registry, 10, Input::PutToken(Token { hash, role, expires_ms: 100, uses: 1 })).unwrap();
        let before = registry.clone();
        let leads = Input::Leads { unseen_ms: 40 };
        assert_eq!((leads.needs(), leads.since()), (Level(2), Level(2)));
        take(&mut registry, 50, leads).unwrap();
        assert_eq!(registry, before, "nothing is logged that changes nothing");
        assert_eq!((registry.deadline_ms(), registry.token(&hash, 100)), (Some(100), None));
    }
}
