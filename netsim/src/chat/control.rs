//! The control plane as hubs see it: members, leases, and what is stored.

use std::collections::BTreeMap;

use freshet_chat_mesh::{
    mesh::{Earlier, Member, Members, Stored},
    moderation::{Change, Durable},
};
use freshet_proto::id::{ChannelName, NodeId};

/// How long a lease lasts, and by how much a hub thinks its own shorter, in ms.
pub const TTL_MS: u64 = 2_000;
pub const MARGIN_MS: u64 = 300;
/// How often hubs renew.
pub const RENEW_MS: u64 = 500;
/// What a new leader gives everybody.
const GRACE_MS: u64 = 5_000;
/// After how long silent hubs are taken out although too few are heard.
const PATIENCE_MS: u64 = 60_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Control {
    pub members: Members,
    /// When each was last heard, and its life.
    heard: BTreeMap<NodeId, (u64, u64)>,
    stored: BTreeMap<ChannelName, Durable>,
    /// The newest epoch whose home stored something.
    epochs: BTreeMap<ChannelName, u64>,
    numbers: u16,
    revision: u64,
    /// How often it began anew.
    pub registry: u64,
    pub is_out: bool,
}

impl Control {
    /// A hub shows itself. Whether the members are others now.
    pub fn renew(&mut self, hub: NodeId, life: u64, now_ms: u64) -> bool {
        let known = self.heard.insert(hub, (now_ms, life));
        let is_member = self.members.hubs.contains_key(&hub);
        if is_member && known.is_none_or(|(_, known)| known == life) {
            return false;
        }
        self.numbers += 1;
        let member = Member { number: self.numbers % 1024, weight: 1 };
        self.change(|hubs| {
            hubs.insert(hub, member);
        });
        true
    }

    /// A hub goes.
    pub fn leave(&mut self, hub: NodeId) {
        self.heard.remove(&hub);
        self.change(|hubs| {
            hubs.remove(&hub);
        });
    }

    /// Takes out those who were silent. Whether the members are others now.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        let age = |hub: &NodeId| self.heard.get(hub).map_or(u64::MAX, |(heard, _)| now_ms.saturating_sub(*heard));
        let hubs: Vec<_> = self.members.hubs.keys().copied().collect();
        let fresh = hubs.iter().filter(|hub| age(hub) < TTL_MS).count();
        let limit = if 2 * fresh >= hubs.len() { TTL_MS } else { PATIENCE_MS };
        let gone: Vec<_> = hubs.into_iter().filter(|hub| age(hub) >= limit).collect();
        if gone.is_empty() {
            return false;
        }
        self.change(|hubs| hubs.retain(|hub, _| !gone.contains(hub)));
        true
    }

    /// Another leader: it does not know when anybody was heard.
    pub fn new_leader(&mut self, now_ms: u64) {
        for hub in self.members.hubs.keys() {
            let life = self.heard.get(hub).map_or(0, |(_, life)| *life);
            self.heard.insert(*hub, (now_ms + GRACE_MS - TTL_MS, life));
        }
    }

    /// Begins anew from a backup: no hub is a member until it comes in, and epochs go on by the clock.
    pub fn begin_anew(&mut self) {
        self.registry += 1;
        self.heard.clear();
        self.members = Members { epoch: self.revision, ..Members::default() };
        self.revision += 1_000_000;
    }

    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<NodeId, Member>)) {
        let members = &mut self.members;
        if members.epoch > 0 {
            members.before.push(Earlier { epoch: members.epoch, hubs: members.hubs.clone() });
        }
        if members.before.len() > Members::BEFORE {
            members.before.remove(0);
        }
        change(&mut members.hubs);
        // Other things are logged in between.
        self.revision += 1 + self.revision % 3;
        members.epoch = self.revision;
    }

    /// What is stored of a channel.
    pub fn open(&self, channel: &ChannelName) -> Stored {
        let durable = self.stored.get(channel).cloned().unwrap_or_default();
        Stored { owner: channel.clone(), durable }
    }

    /// Stores a change, unless a later home has stored something; whether it is stored now.
    pub fn store(&mut self, channel: &ChannelName, epoch: u64, version: u64, change: &Change, now_ms: u64) -> bool {
        let newest = self.epochs.entry(channel.clone()).or_default();
        if epoch < *newest {
            return false;
        }
        *newest = epoch;
        let durable = self.stored.entry(channel.clone()).or_default();
        if version > durable.version {
            let _ = durable.apply(change, now_ms);
            durable.version = version;
        }
        true
    }
}
