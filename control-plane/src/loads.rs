//! How busy nodes are, and how many watch what: the leader's memory of what each told last. A machine; nothing of it is
//! logged, and a new leader knows it after the first reports, two seconds later.
//!
//! REPORT of a node, every 2 s ──hear──▶ Loads ──all──▶ every node that reports, for `rank`
//!                                            └─viewers─▶ the REST API

use std::{collections::BTreeMap, time::Duration};

use freshet_proto::{
    annex::{self, Load},
    id::{ChannelName, NodeId},
};
use tokio::time::Instant;

use crate::leases::TTL;

/// How often a node tells how busy it is.
pub const EVERY: Duration = Duration::from_secs(2);

/// How many numbers of viewers are kept, over all nodes: about 64 bytes each. Those of a report that goes beyond it are
/// dropped; its load is kept.
pub const MAX_COUNTS: usize = 1 << 20;

/// What each node told last. At most as many as there are nodes.
#[derive(Debug, Default)]
pub struct Loads {
    told: BTreeMap<NodeId, Told>,
    counts: usize,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    load: Load,
    viewers: BTreeMap<ChannelName, u32>,
}

impl Loads {
    /// A node tells. Whatever it told before is forgotten, and so are nodes that were silent for as long as a lease.
    pub fn hear(&mut self, now: Instant, node: NodeId, load: Load, mut viewers: BTreeMap<ChannelName, u32>) {
        self.told.retain(|other, told| *other != node && told.is_good(now));
        self.counts = self.told.values().map(|told| told.viewers.len()).sum();
        viewers.retain(|_, count| *count > 0);
        if self.counts + viewers.len() > MAX_COUNTS {
            viewers.clear();
        }
        self.counts += viewers.len();
        self.told.insert(node, Told { at: now, load, viewers });
    }

    /// How busy each node is.
    pub fn all(&self, now: Instant) -> annex::Loads {
        let good = self.told.iter().filter(|(_, told)| told.is_good(now));
        annex::Loads { nodes: good.map(|(node, told)| (*node, told.load)).collect() }
    }

    /// How many watch `channel`, at all edges together.
    pub fn viewers(&self, now: Instant, channel: &ChannelName) -> u64 {
        let good = self.told.values().filter(|told| told.is_good(now));
        good.filter_map(|told| told.viewers.get(channel)).map(|count| u64::from(*count)).sum()
    }
}

impl Told {
    fn is_good(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) < TTL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn ada() -> ChannelName {
        "ada".parse().unwrap()
    }

    fn load(clients: u32) -> Load {
        Load { clients, permille: 0 }
    }

    fn watching(count: u32) -> BTreeMap<ChannelName, u32> {
        [(ada(), count)].into()
    }

    fn clients(loads: &Loads, now: Instant) -> Vec<(u64, u32)> {
        loads.all(now).nodes.iter().map(|(node, load)| (node.0, load.clients)).collect()
    }

    #[tokio::test]
    async fn the_last_word_counts_and_is_forgotten_after_a_lease_of_silence() {
        let (began, mut loads) = (Instant::now(), Loads::default());
        let at = |seconds| began + Duration::from_secs(seconds);
        loads.hear(at(0), A, load(5), watching(5));
        loads.hear(at(1), B, load(7), watching(7));
        assert_eq!((clients(&loads, at(2)), loads.viewers(at(2), &ada())), (vec![(1, 5), (2, 7)], 12));
        loads.hear(at(4), A, load(3), watching(3));
        assert_eq!((clients(&loads, at(4)), loads.viewers(at(4), &ada())), (vec![(1, 3), (2, 7)], 10));
        assert_eq!((clients(&loads, at(11)), loads.viewers(at(11), &ada())), (vec![(1, 3)], 3));
        loads.hear(at(11), A, load(3), BTreeMap::new());
        assert_eq!((loads.told.len(), loads.viewers(at(11), &ada())), (1, 0), "nothing is left of the silent one");
    }

    #[tokio::test]
    async fn numbers_beyond_the_limit_are_dropped_and_the_load_is_kept() {
        let (now, mut loads) = (Instant::now(), Loads::default());
        let many = |first: usize, count: usize| -> BTreeMap<ChannelName, u32> {
            (first..first + count).map(|n| (format!("c{n}").parse().unwrap(), 1)).collect()
        };
        loads.hear(now, A, load(1), many(0, MAX_COUNTS));
        loads.hear(now, B, load(2), watching(2));
        assert_eq!((clients(&loads, now), loads.viewers(now, &ada())), (vec![(1, 1), (2, 2)], 0));
        loads.hear(now, A, load(1), many(0, 10));
        loads.hear(now, B, load(2), watching(2));
        assert_eq!((loads.viewers(now, &ada()), loads.counts), (2, 11));
    }
}
