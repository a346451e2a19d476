//! What later versions of the node protocol brought to the registry: the version that is agreed on, and, since version 2,
//! who was removed and is not to be talked to, and the [`annex`](super::annex).
//!
//! Control nodes of version 1 can read neither a log nor a snapshot that has this, so none of it is written before all
//! control nodes know version 2. As long as version 1 is agreed on, the registry is written as version 1 writes it.

use std::collections::BTreeMap;

use freshet_proto::{
    annex::Annex,
    id::{ChannelName, NodeId},
    level::Level,
    registry::{Refused, Reply},
    view::{Bar, Removed},
};
use serde::{Deserialize, Serialize};

use super::{At, Output, Registry, charters::Kept};
use crate::keys::Ring;

/// The part of the registry that version 1 does not know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Later {
    pub(super) level: Level,
    pub(super) removed: Removed,
    pub(super) annex: Annex,
    pub(super) ring: Ring,
    pub(super) charters: BTreeMap<ChannelName, Kept>,
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
            let lost = self.lose_publishers(at, id);
            self.advance(at, lost, vec![id], out);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::view::{NodeView, Role, View};

    use super::*;
    use crate::{channel::Times, machine::Input};

    /// An edge of the name is node 7.
    fn registry() -> Registry {
        let mut registry = Registry::new(1, Times::default());
        let view = NodeView::new(Role::Edge, ([127, 0, 0, 1], 9).into(), "edge-1");
        take(&mut registry, 0, Input::PutNode { node: NodeId(7), view }).unwrap();
        registry
    }

    /// Follows the deltas and finds the view again.
    fn take(registry: &mut Registry, now_ms: u64, input: Input) -> Reply {
        let (mut view, mut out) = (registry.view(), vec![]);
        registry.handle(registry.revision() + 1, now_ms, input, &mut out);
        let mut reply = None;
        for output in out {
            match output {
                Output::Changed(delta) => assert!(view.apply(delta)),
                Output::Reply(answer) => reply = Some(answer),
                Output::Alert(alert) => panic!("{alert}"),
            }
        }
        assert_eq!(view, registry.view());
        reply.unwrap()
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
}
