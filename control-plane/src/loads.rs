//! How busy nodes are, how many watch what, and how sessions do: the leader's memory of what each node told last. A machine;
//! nothing of it is logged, and a new leader knows it after the first reports, two seconds later.
//!
//! REPORT of a node, every 2 s ──hear──▶ Loads ──all──▶ every node that reports, for `rank`
//!                                            └─viewers, health, audience─▶ the REST API

use std::{collections::BTreeMap, time::Duration};

use freshet_proto::{
    annex::{self, Load},
    audience::Audience,
    health::Health,
    id::{ChannelName, NodeId},
};
use tokio::time::Instant;

use crate::{leases::TTL, machine::MAX_CHANNELS};

/// How often a node tells how busy it is.
pub const EVERY: Duration = Duration::from_secs(2);

/// How many numbers of viewers are kept, over all nodes: about 64 bytes each. Those of a report that goes beyond it are
/// dropped; its load is kept.
pub const MAX_COUNTS: usize = 1 << 20;

/// For how long what an origin told of its sessions is true: three of its reports. After that nobody knows how they do, which
/// is told sooner than that it is lost.
pub const HEALTH_FOR: Duration = Duration::from_secs(6);

/// The health of how many sessions is kept, over all nodes: one of each channel, about 1 KiB each. That of a report that goes
/// beyond it is dropped; the rest is kept.
pub const MAX_HEALTH: usize = MAX_CHANNELS;

/// How the viewers of how many channels fare is kept, over all nodes: two edges' worth of each channel, about 1 KiB each. That of
/// a report that goes beyond it is dropped; the rest is kept.
pub const MAX_AUDIENCES: usize = 2 * MAX_CHANNELS;

/// What each node told last. At most as many as there are nodes.
#[derive(Debug, Default)]
pub struct Loads {
    told: BTreeMap<NodeId, Told>,
    counts: usize,
    sessions: usize,
    audiences: usize,
}

/// What a node told of itself.
#[derive(Debug, Default)]
pub struct Heard {
    /// How busy it is.
    pub load: Load,
    /// How many watch which channel there.
    pub viewers: BTreeMap<ChannelName, u32>,
    /// How its sessions do.
    pub health: BTreeMap<ChannelName, Health>,
    /// How viewers fare there.
    pub audience: BTreeMap<ChannelName, Audience>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    load: Load,
    viewers: BTreeMap<ChannelName, u32>,
    health: BTreeMap<ChannelName, Health>,
    audience: BTreeMap<ChannelName, Audience>,
}

impl Loads {
    /// A node tells. Whatever it told before is forgotten, and so are nodes that were silent for as long as a lease.
    pub fn hear(&mut self, now: Instant, node: NodeId, heard: Heard) {
        let Heard { load, mut viewers, mut health, mut audience } = heard;
        self.told.retain(|other, told| *other != node && told.is_good(now));
        self.counts = self.told.values().map(|told| told.viewers.len()).sum();
        self.sessions = self.told.values().map(|told| told.health.len()).sum();
        self.audiences = self.told.values().map(|told| told.audience.len()).sum();
        viewers.retain(|_, count| *count > 0);
        if self.counts + viewers.len() > MAX_COUNTS {
            viewers.clear();
        }
        if self.sessions + health.len() > MAX_HEALTH {
            health.clear();
        }
        if self.audiences + audience.len() > MAX_AUDIENCES {
            audience.clear();
        }
        self.counts += viewers.len();
        self.sessions += health.len();
        self.audiences += audience.len();
        self.told.insert(node, Told { at: now, load, viewers, health, audience });
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

    /// How many watch each channel, at all edges together.
    pub fn all_viewers(&self, now: Instant) -> BTreeMap<ChannelName, u64> {
        let mut all = BTreeMap::new();
        for told in self.told.values().filter(|told| told.is_good(now)) {
            for (channel, count) in &told.viewers {
                *all.entry(channel.clone()).or_default() += u64::from(*count);
            }
        }
        all
    }

    /// How the viewers of `channel` fare at each edge that told of them.
    pub fn audiences<'a>(
        &'a self,
        now: Instant,
        channel: &'a ChannelName,
    ) -> impl Iterator<Item = (NodeId, &'a Audience)> {
        let good = self.told.iter().filter(move |(_, told)| told.is_good(now));
        good.filter_map(move |(node, told)| Some((*node, told.audience.get(channel)?)))
    }

    /// How many watch at each node, channels together.
    pub fn viewers_by_node(&self, now: Instant) -> BTreeMap<NodeId, u64> {
        let good = self.told.iter().filter(|(_, told)| told.is_good(now));
        good.map(|(node, told)| (*node, told.viewers.values().map(|count| u64::from(*count)).sum())).collect()
    }

    /// How the session of `channel` does, by what its origin told within [`HEALTH_FOR`].
    pub fn health(&self, now: Instant, origin: NodeId, channel: &ChannelName) -> Option<&Health> {
        let told = self.told.get(&origin)?;
        told.health.get(channel).filter(|_| now.saturating_duration_since(told.at) < HEALTH_FOR)
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

    fn told(clients: u32, viewers: BTreeMap<ChannelName, u32>) -> Heard {
        Heard { load: Load { clients, permille: 0 }, viewers, ..Heard::default() }
    }

    fn watching(count: u32) -> BTreeMap<ChannelName, u32> {
        [(ada(), count)].into()
    }

    /// That many sessions, of which `ada` is one, each with that many frames dropped.
    fn sessions(count: usize, dropped_frames: u64) -> Heard {
        let names = (1..count).map(|n| format!("c{n}").parse().unwrap());
        let health = Health { dropped_frames, ..Health::default() };
        let health = names.chain([ada()]).map(|name| (name, health.clone())).collect();
        Heard { load: Load { clients: 1, permille: 0 }, health, ..Heard::default() }
    }

    fn dropped(loads: &Loads, now: Instant, node: NodeId) -> Option<u64> {
        loads.health(now, node, &ada()).map(|health| health.dropped_frames)
    }

    fn clients(loads: &Loads, now: Instant) -> Vec<(u64, u32)> {
        loads.all(now).nodes.iter().map(|(node, load)| (node.0, load.clients)).collect()
    }

    #[tokio::test]
    async fn the_last_word_counts_and_is_forgotten_after_a_lease_of_silence() {
        let (began, mut loads) = (Instant::now(), Loads::default());
        let at = |seconds| began + Duration::from_secs(seconds);
        loads.hear(at(0), A, told(5, watching(5)));
        loads.hear(at(1), B, told(7, watching(7)));
        assert_eq!((clients(&loads, at(2)), loads.viewers(at(2), &ada())), (vec![(1, 5), (2, 7)], 12));
        loads.hear(at(4), A, told(3, watching(3)));
        assert_eq!((clients(&loads, at(4)), loads.viewers(at(4), &ada())), (vec![(1, 3), (2, 7)], 10));
        assert_eq!(loads.viewers_by_node(at(4)), [(A, 3), (B, 7)].into());
        assert_eq!((clients(&loads, at(11)), loads.viewers(at(11), &ada())), (vec![(1, 3)], 3));
        loads.hear(at(11), A, told(3, BTreeMap::new()));
        assert_eq!((loads.told.len(), loads.viewers(at(11), &ada())), (1, 0), "nothing is left of the silent one");
    }

    #[tokio::test]
    async fn numbers_beyond_the_limit_are_dropped_and_the_load_is_kept() {
        let (now, mut loads) = (Instant::now(), Loads::default());
        let many = |first: usize, count: usize| -> BTreeMap<ChannelName, u32> {
            (first..first + count).map(|n| (format!("c{n}").parse().unwrap(), 1)).collect()
        };
        loads.hear(now, A, told(1, many(0, MAX_COUNTS)));
        loads.hear(now, B, told(2, watching(2)));
        assert_eq!((clients(&loads, now), loads.viewers(now, &ada())), (vec![(1, 1), (2, 2)], 0));
        loads.hear(now, A, told(1, many(0, 10)));
        loads.hear(now, B, told(2, watching(2)));
        assert_eq!((loads.viewers(now, &ada()), loads.counts), (2, 11));
    }

    #[tokio::test]
    async fn how_viewers_fare_is_known_of_each_edge_and_within_the_limit() {
        let (began, mut loads) = (Instant::now(), Loads::default());
        let fare = |first: usize, count: usize| {
            let names = (first..first + count).map(|n| if n == 0 { ada() } else { format!("c{n}").parse().unwrap() });
            let audience = Audience { players: 3, ..Audience::default() };
            Heard { audience: names.map(|name| (name, audience.clone())).collect(), ..Heard::default() }
        };
        let told = |loads: &Loads, now| -> Vec<u64> { loads.audiences(now, &ada()).map(|(node, _)| node.0).collect() };
        loads.hear(began, A, fare(0, 1));
        loads.hear(began + Duration::from_secs(1), B, fare(0, 1));
        assert_eq!((told(&loads, began), told(&loads, began + TTL)), (vec![1, 2], vec![2]));
        let mut full = Loads::default();
        full.hear(began, A, fare(1, MAX_AUDIENCES));
        full.hear(began, B, fare(0, 1));
        assert_eq!((told(&full, began), full.audiences), (vec![], MAX_AUDIENCES));
    }

    #[tokio::test]
    async fn how_a_session_does_is_known_while_its_origin_tells_it() {
        let (began, mut loads) = (Instant::now(), Loads::default());
        let at = |seconds| began + Duration::from_secs(seconds);
        loads.hear(at(0), A, sessions(1, 5));
        loads.hear(at(0), B, sessions(1, 9));
        assert_eq!((dropped(&loads, at(1), A), dropped(&loads, at(1), B)), (Some(5), Some(9)));
        loads.hear(at(2), A, sessions(1, 6));
        assert_eq!(dropped(&loads, at(2), A), Some(6), "the last value wins");
        let last = at(2) + HEALTH_FOR;
        assert_eq!((dropped(&loads, last - Duration::from_millis(1), A), dropped(&loads, last, A)), (Some(6), None));
        assert_eq!(clients(&loads, last).len(), 2, "its load is known for longer");
        loads.hear(last, A, told(1, BTreeMap::new()));
        assert_eq!(dropped(&loads, last, A), None, "what is not told any more is over");
    }

    #[tokio::test]
    async fn health_beyond_the_limit_is_dropped_and_the_rest_is_kept() {
        let (now, mut loads) = (Instant::now(), Loads::default());
        loads.hear(now, A, sessions(MAX_HEALTH, 5));
        loads.hear(now, B, Heard { viewers: watching(3), ..sessions(1, 9) });
        assert_eq!((dropped(&loads, now, A), dropped(&loads, now, B)), (Some(5), None));
        assert_eq!((clients(&loads, now), loads.viewers(now, &ada())), (vec![(1, 1), (2, 1)], 3));
        loads.hear(now, A, sessions(10, 5));
        loads.hear(now, B, sessions(1, 9));
        assert_eq!((dropped(&loads, now, B), loads.sessions), (Some(9), 11));
    }
}
