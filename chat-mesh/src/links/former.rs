//! The mesh of before, once control nodes have begun anew from a backup: in theirs there is no hub until it comes in.

use std::sync::Arc;

use freshet_proto::{
    hub::{EarlierHubs, Hubs},
    view::View,
};
use tokio::time::{Duration, Instant};

/// For how long its hubs matter: they keep what they have for so long, and a new home waits no longer for them.
pub const KEEP: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub struct Former {
    /// Of which registry the last view was, and what the mesh was by it.
    seen: Option<(u64, Arc<Hubs>)>,
    kept: Option<(Instant, EarlierHubs)>,
}

impl Former {
    /// Takes the newest view at `now`; gives the mesh of before, for as long as it matters.
    pub fn of(&mut self, view: &View, now: Instant) -> Option<&EarlierHubs> {
        let hubs = &view.annex.hubs;
        let seen = self.seen.replace((view.cluster, hubs.clone()));
        let before = seen.filter(|(cluster, _)| *cluster != view.cluster).map(|(_, before)| before);
        // Until the new registry says which hubs there are, its view has the old ones, as of revision 0.
        if let Some(before) = before.filter(|before| before.revision > 0 && !before.members.is_empty()) {
            let set = EarlierHubs { revision: before.revision, members: before.members.clone() };
            self.kept = Some((now, set));
        }
        self.kept.take_if(|(since, _)| *since + KEEP <= now);
        self.kept.as_ref().map(|(_, set)| set)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use freshet_proto::{hub::HubMember, id::NodeId};

    use super::*;

    fn view(cluster: u64, revision: u64, hubs: &[u64]) -> View {
        let member = |n: &u64| (NodeId(*n), HubMember { number: *n as u16, weight: 1, since: 1 });
        let members: BTreeMap<_, _> = hubs.iter().map(member).collect();
        let mut view = View { cluster, ..View::default() };
        view.annex.hubs = Arc::new(Hubs { revision, members, before: Vec::new() });
        view
    }

    #[test]
    fn hubs_from_before_a_backup_matter_for_a_minute() {
        let (mut former, began) = (Former::default(), Instant::now());
        let mut at = |s, cluster, revision, hubs: &[u64]| {
            let set = former.of(&view(cluster, revision, hubs), began + Duration::from_secs(s))?.clone();
            Some((set.revision, set.members.into_keys().map(|hub| hub.0).collect::<Vec<_>>()))
        };
        assert_eq!(at(0, 1, 5, &[1, 2]), None);
        assert_eq!(at(1, 1, 6, &[1, 2, 3]), None, "the same control nodes say so");
        assert_eq!(at(2, 2, 900, &[]), Some((6, vec![1, 2, 3])));
        assert_eq!(at(61, 2, 901, &[1]), Some((6, vec![1, 2, 3])));
        assert_eq!(at(62, 2, 902, &[1, 2]), None);
    }
}
