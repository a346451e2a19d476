//! Which hubs there are, as the control plane has agreed, and whose a channel is.

use std::collections::BTreeMap;

use freshet_proto::{
    chat::Login,
    id::{ChannelName, NodeId},
};

use crate::hash::{fnv, spread};

/// What is agreed on about one hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its number among the hubs: message ids have it.
    pub number: u16,
    /// How much it bears beside others; at least 1.
    pub weight: u32,
}

/// The hubs at one mesh epoch. An epoch is the log index at which the set last changed, so a later set has a greater one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// The mesh epoch; 0 before anything is known.
    pub epoch: u64,
    /// The hubs.
    pub hubs: BTreeMap<NodeId, Member>,
    /// The sets before this one, the newest last; at most [`Members::BEFORE`].
    pub before: Vec<Earlier>,
    /// The last set that this hub knew before the control nodes began anew from a backup: what they have agreed on since
    /// says nothing of it. A new home asks these hubs too, and waits for them as for those of any earlier set.
    pub former: Option<Earlier>,
}

/// The hubs at an earlier mesh epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The mesh epoch.
    pub epoch: u64,
    /// The hubs.
    pub hubs: BTreeMap<NodeId, Member>,
}

impl Members {
    /// How many earlier sets are remembered.
    pub const BEFORE: usize = 8;

    /// All earlier sets that may still matter.
    pub(super) fn earlier(&self) -> impl Iterator<Item = &Earlier> {
        self.former.iter().chain(&self.before)
    }

    /// The hubs by preference for `channel`: the first is its home, the second its standby. The same at every hub.
    ///
    /// Costs a hash and a logarithm for each hub.
    pub fn rank(&self, channel: &ChannelName) -> Vec<NodeId> {
        rank(&self.hubs, channel)
    }

    /// Whose the channel is.
    pub fn home_of(&self, channel: &ChannelName) -> Option<NodeId> {
        let scored = self.hubs.iter().map(|(hub, member)| (score(channel, *hub, member.weight), *hub));
        scored.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, hub)| hub)
    }
}

/// See [`Members::rank`].
pub(super) fn rank(hubs: &BTreeMap<NodeId, Member>, channel: &ChannelName) -> Vec<NodeId> {
    let mut scored: Vec<_> = hubs.iter().map(|(hub, member)| (score(channel, *hub, member.weight), *hub)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)));
    scored.into_iter().map(|(_, hub)| hub).collect()
}

/// Weighted rendezvous hashing: `-w / ln(h)` with h uniform in (0, 1) for each pair. A hub gets channels in proportion to
/// its weight, and the loss of one moves only its own (Schindelhauer, Schomaker 2005).
fn score(channel: &Login, hub: NodeId, weight: u32) -> f64 {
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    let uniform = ((hash(channel.as_str().as_bytes(), hub.0) >> 11) as f64 + 0.5) * UNIT;
    f64::from(weight.max(1)) / -uniform.ln()
}

/// The channel, then the hub mixed in.
fn hash(channel: &[u8], hub: u64) -> u64 {
    spread(spread(fnv(channel)) ^ spread(hub.wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(weights: &[u32]) -> Members {
        let member = |(n, weight): (usize, &u32)| (NodeId(n as u64 + 1), Member { number: n as u16, weight: *weight });
        Members { epoch: 1, hubs: weights.iter().enumerate().map(member).collect(), ..Members::default() }
    }

    fn channels() -> impl Iterator<Item = ChannelName> {
        (0..10_000).map(|n| format!("channel{n}").parse().unwrap())
    }

    #[test]
    fn channels_go_to_hubs_in_proportion_to_their_weights() {
        let members = members(&[1, 1, 2]);
        let mut homes = BTreeMap::<_, u32>::new();
        channels().for_each(|channel| *homes.entry(members.home_of(&channel).unwrap()).or_default() += 1);
        for (hub, expected) in [(1, 2_500), (2, 2_500), (3, 5_000)] {
            let is = homes[&NodeId(hub)];
            assert!(is.abs_diff(expected) < 200, "hub {hub} has {is} of 10,000");
        }
    }

    #[test]
    fn the_loss_of_a_hub_moves_its_channels_alone_and_to_their_standbys() {
        let all = members(&[1, 1, 1, 1]);
        let mut fewer = all.clone();
        fewer.hubs.remove(&NodeId(2));
        for channel in channels() {
            let ranked = all.rank(&channel);
            assert_eq!(Some(ranked[0]), all.home_of(&channel));
            let expected = if ranked[0] == NodeId(2) { ranked[1] } else { ranked[0] };
            assert_eq!(fewer.home_of(&channel), Some(expected), "{channel}");
        }
    }

    #[test]
    fn a_channels_home_is_the_same_for_all_time() {
        let members = members(&[1, 1, 1]);
        let home = |name: &str| members.home_of(&name.parse().unwrap()).unwrap().0;
        assert_eq!(["ada", "bob", "carol", "dave", "eve", "frank"].map(home), [2, 1, 1, 2, 3, 1]);
    }

    #[test]
    fn without_hubs_nobody_has_it() {
        assert_eq!(Members::default().home_of(&"ada".parse().unwrap()), None);
    }
}
