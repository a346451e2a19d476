//! What is agreed on besides channels' states and nodes' addresses: where nodes are, what channels are like, what is revoked.
//! Since version 2.

use std::sync::Arc;

use freshet_proto::{
    annex::{Annex, Mark, Place, Revocations, Revoked},
    id::{ChannelName, NodeId},
    level::Level,
    registry::{NoSuch, Refused, Reply},
    view::Bar,
};

use super::{At, Output, Registry};

impl Registry {
    /// What is agreed on besides.
    pub fn annex(&self) -> &Annex {
        &self.later.annex
    }

    pub(super) fn has_annex(&self) -> Result<(), Refused> {
        if self.level() < Level::ANNEX { Err(Refused::Unavailable) } else { Ok(()) }
    }

    pub(super) fn place(&mut self, at: At, node: NodeId, place: Place, out: &mut Vec<Output>) -> Reply {
        self.has_annex()?;
        if !self.nodes.contains_key(&node) {
            return Err(Refused::NoSuch(NoSuch::Node));
        }
        if self.later.annex.places.nodes.get(&node) == Some(&place) {
            return Ok(None);
        }
        let places = Arc::make_mut(&mut self.later.annex.places);
        // Those of nodes that have gone are dropped on the way.
        places.nodes.retain(|node, _| self.nodes.contains_key(node));
        places.nodes.insert(node, place);
        places.revision = at.index;
        self.advance(at, vec![], vec![], out);
        Ok(None)
    }

    pub(super) fn mark(&mut self, at: At, channel: ChannelName, mark: Mark, out: &mut Vec<Output>) -> Reply {
        self.has_annex()?;
        if !self.channels.get(&channel).is_some_and(|known| known.listed) {
            return Err(Refused::NoSuch(NoSuch::Channel));
        }
        if set_mark(&mut self.later.annex, at.index, &channel, mark) {
            self.advance(at, vec![], vec![], out);
        }
        Ok(None)
    }

    /// Beyond the limit the bar that matters the shortest is forgotten.
    pub(super) fn revoke(&mut self, at: At, what: Revoked, bar: Bar, out: &mut Vec<Output>) -> Reply {
        self.has_annex()?;
        let revoked = Arc::make_mut(&mut self.later.annex.revoked);
        let known = revoked.bars.entry(what).or_insert(bar);
        *known = Bar { since_ms: known.since_ms.max(bar.since_ms), until_ms: known.until_ms.max(bar.until_ms) };
        if revoked.bars.len() > Revocations::MAX {
            let first = revoked.bars.iter().min_by_key(|(_, bar)| bar.until_ms).map(|(what, _)| what.clone());
            first.map(|what| revoked.bars.remove(&what));
        }
        revoked.revision = at.index;
        self.advance(at, vec![], vec![], out);
        Ok(None)
    }
}

/// What `channel` is like from now on; tells whether that is new. Only channels that are not like others are named.
pub(super) fn set_mark(annex: &mut Annex, index: u64, channel: &ChannelName, mark: Mark) -> bool {
    if annex.marks.of(channel) == mark {
        return false;
    }
    let marks = Arc::make_mut(&mut annex.marks);
    match mark == Mark::default() {
        true => marks.channels.remove(channel),
        false => marks.channels.insert(channel.clone(), mark),
    };
    marks.revision = index;
    true
}

/// A channel of that name that is made later is like others.
pub(super) fn forget_mark(annex: &mut Annex, index: u64, channel: &ChannelName) {
    if annex.marks.channels.contains_key(channel) {
        let marks = Arc::make_mut(&mut annex.marks);
        marks.channels.remove(channel);
        marks.revision = index;
    }
}

/// Forgets what was revoked and would have run out by now; tells whether there was any.
pub(super) fn forget_revoked(annex: &mut Annex, index: u64, now_ms: u64) -> bool {
    if annex.revoked.bars.values().all(|bar| now_ms < bar.until_ms) {
        return false;
    }
    let revoked = Arc::make_mut(&mut annex.revoked);
    revoked.bars.retain(|_, bar| now_ms < bar.until_ms);
    revoked.revision = index;
    true
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        annex::Visibility,
        view::{NodeView, Role},
    };

    use super::*;
    use crate::machine::testing::take;
    use crate::{
        channel::{Policy, Times},
        key::Pepper,
        machine::Input,
    };

    fn ada() -> ChannelName {
        "ada".parse().unwrap()
    }

    /// Has a node 7 and a channel.
    fn registry(level: u8) -> Registry {
        let mut registry = Registry::new(1, Times::default());
        let view = NodeView::new(Role::Edge, ([127, 0, 0, 1], 9).into(), "edge-1");
        let put = Input::PutChannel { channel: ada(), key: Pepper([7; 32]).hash("sk"), policy: Policy::Newest };
        for input in [Input::PutNode { node: NodeId(7), view }, put, Input::Rise { level: Level(level) }] {
            take(&mut registry, 0, input).unwrap();
        }
        registry
    }

    fn place(node: u64, region: &str) -> Input {
        Input::Place { node: NodeId(node), place: Place { region: region.to_owned(), ..Place::default() } }
    }

    fn mark(visibility: Visibility) -> Input {
        Input::Mark { channel: ada(), mark: Mark { visibility, ..Mark::default() } }
    }

    fn revoke(since_ms: u64, until_ms: u64) -> Input {
        Input::Revoke { what: Revoked::Channel(ada()), bar: Bar { since_ms, until_ms } }
    }

    #[test]
    fn nothing_of_it_is_agreed_on_before_version_2_is() {
        let mut registry = registry(1);
        for input in [place(7, "fra"), mark(Visibility::Private), revoke(1, 2)] {
            assert_eq!((input.since(), take(&mut registry, 0, input)), (Level(2), Err(Refused::Unavailable)));
        }
        assert_eq!(registry.annex(), &Annex::default());
    }

    #[test]
    fn a_node_says_where_it_is_and_is_forgotten_when_it_has_gone() {
        let mut registry = registry(2);
        take(&mut registry, 0, place(7, "fra")).unwrap();
        let before = registry.revision();
        take(&mut registry, 0, place(7, "fra")).unwrap();
        assert_eq!(registry.revision(), before, "nothing is logged that changes nothing");
        assert_eq!(take(&mut registry, 0, place(8, "fra")), Err(Refused::NoSuch(NoSuch::Node)));
        let view = NodeView::new(Role::Edge, ([127, 0, 0, 1], 8).into(), "edge-2");
        take(&mut registry, 0, Input::PutNode { node: NodeId(8), view }).unwrap();
        take(&mut registry, 0, Input::RemoveNode { node: NodeId(7) }).unwrap();
        take(&mut registry, 0, place(8, "iad")).unwrap();
        let places = &registry.annex().places;
        let regions: Vec<_> = places.nodes.iter().map(|(id, place)| (id.0, place.region.as_str())).collect();
        assert_eq!((places.revision, regions), (registry.revision(), vec![(8, "iad")]));
    }

    #[test]
    fn only_channels_that_are_not_like_others_are_named() {
        let mut registry = registry(2);
        take(&mut registry, 0, mark(Visibility::Private)).unwrap();
        assert_eq!(registry.annex().marks.of(&ada()).visibility, Visibility::Private);
        take(&mut registry, 0, mark(Visibility::Public)).unwrap();
        assert!(registry.annex().marks.channels.is_empty());
        take(&mut registry, 0, mark(Visibility::Private)).unwrap();
        take(&mut registry, 0, Input::RemoveChannel { channel: ada() }).unwrap();
        assert!(registry.annex().marks.channels.is_empty(), "one that is made anew is like others");
        let nobody = Input::Mark { channel: "bob".parse().unwrap(), mark: Mark::default() };
        assert_eq!(take(&mut registry, 0, nobody), Err(Refused::NoSuch(NoSuch::Channel)));
    }

    #[test]
    fn what_is_revoked_stays_so_until_it_would_have_run_out() {
        let mut registry = registry(2);
        take(&mut registry, 10, revoke(10, 100)).unwrap();
        take(&mut registry, 20, revoke(20, 90)).unwrap();
        let barred = |registry: &Registry, minted| registry.annex().revoked.bars(&Revoked::Channel(ada()), minted);
        assert!(barred(&registry, 20) && !barred(&registry, 21));
        assert_eq!(registry.deadline_ms(), Some(100));
        take(&mut registry, 100, Input::Timeout).unwrap();
        assert!(!barred(&registry, 20));
        assert_eq!(registry.annex().revoked.revision, registry.revision());
    }
}
