//! Whether this hub may act as a home, and whether earlier homes are known to be over.

use std::collections::BTreeMap;

use freshet_proto::id::{ChannelName, NodeId};

use super::{Earlier, Members};

/// For how long a hub's word about its mesh epoch counts, in ms, from when it was asked.
const WORD_MS: u64 = 1_500;
/// After how much silence another hub counts as out of reach, in ms.
const SILENT_MS: u64 = 3_000;
/// How many questions may be unanswered.
const MAX_ASKS: usize = 8;
/// After how many ms, from when a later epoch was learnt of, a home of an earlier one has lost its lease and all words for it.
pub(super) const OVER_MS: u64 = 2_500;
/// After so long, in ms, an earlier home counts as over although too few hubs were heard: more than half of the hubs are
/// lost for good, or cut off from the control plane and from this hub for a minute.
const GIVEN_UP_MS: u64 = 60_000;

/// What is known of another hub.
#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    /// The newest epoch that it ever said it knows.
    knows: u64,
    /// The epoch that it said last, and when it was asked for that.
    said: Option<(u64, u64)>,
    /// When it was last heard.
    heard_ms: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Standing {
    me: NodeId,
    members: Members,
    /// When this hub first learnt that an epoch was over.
    ended_ms: BTreeMap<u64, u64>,
    /// Since when too few know of no later epoch for a home of that epoch to act by their word.
    settled_ms: BTreeMap<u64, u64>,
    lease: Option<(u64, u64)>,
    /// The newest mesh epoch that was heard of, from whomever.
    heard_of: u64,
    peers: BTreeMap<NodeId, Peer>,
    asks: BTreeMap<u64, u64>,
    next_ask: u64,
}

impl Standing {
    pub fn new(me: NodeId) -> Self {
        Self {
            me,
            members: Members::default(),
            ended_ms: BTreeMap::new(),
            settled_ms: BTreeMap::new(),
            lease: None,
            heard_of: 0,
            peers: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_ask: 0,
        }
    }

    pub fn me(&self) -> NodeId {
        self.me
    }

    pub fn current(&self) -> &Members {
        &self.members
    }

    pub fn home_of(&self, channel: &ChannelName) -> Option<NodeId> {
        self.members.home_of(channel)
    }

    pub fn is_member(&self) -> bool {
        self.members.hubs.contains_key(&self.me)
    }

    /// Takes newer members; `None` where they are not newer, else whether nothing lies between these and those before.
    pub fn members(&mut self, members: Members, now_ms: u64) -> Option<bool> {
        if members.epoch <= self.members.epoch {
            return None;
        }
        let is_next = members.before.last().is_some_and(|last| last.epoch == self.members.epoch);
        self.heard_of = self.heard_of.max(members.epoch);
        self.members = members;
        self.ended_ms.retain(|epoch, _| self.members.earlier().any(|set| set.epoch == *epoch));
        for set in self.members.earlier() {
            self.ended_ms.entry(set.epoch).or_insert(now_ms);
        }
        let is_known = |hub: &NodeId| {
            self.members.hubs.contains_key(hub) || self.members.earlier().any(|set| set.hubs.contains_key(hub))
        };
        self.peers.retain(|hub, _| is_known(hub));
        self.note_settled(now_ms);
        Some(is_next)
    }

    pub fn lease(&mut self, until_ms: u64, epoch: u64) {
        self.lease = Some((until_ms, epoch));
        self.heard_of = self.heard_of.max(epoch);
    }

    /// The newest epoch that this hub knows of; 0 before it has been a member: after a restart it may have forgotten one.
    pub fn known(&self) -> u64 {
        self.lease.map_or(0, |_| self.heard_of)
    }

    /// Somebody is to be a home in this epoch.
    pub fn hear_of(&mut self, epoch: u64) {
        self.heard_of = self.heard_of.max(epoch);
    }

    /// A hub knows of this epoch.
    pub fn knows(&mut self, hub: NodeId, epoch: u64, now_ms: u64) {
        let peer = self.peers.entry(hub).or_default();
        (peer.knows, peer.heard_ms) = (peer.knows.max(epoch), Some(now_ms));
        self.note_settled(now_ms);
    }

    /// Whom to ask, and as which question.
    pub fn ask(&mut self, now_ms: u64) -> (u64, Vec<NodeId>) {
        self.next_ask += 1;
        self.asks.insert(self.next_ask, now_ms);
        if self.asks.len() > MAX_ASKS {
            self.asks.pop_first();
        }
        (self.next_ask, self.others(now_ms))
    }

    /// All other hubs that there are, and those of the set before, which may still have something; for a minute, also those
    /// from before the control nodes began anew.
    pub fn others(&self, now_ms: u64) -> Vec<NodeId> {
        let former = self.members.former.as_ref().filter(|set| !self.is_given_up(set, now_ms));
        let before = self.members.before.last().into_iter().chain(former);
        let all = self.members.hubs.keys().chain(before.flat_map(|set| set.hubs.keys()));
        let all: std::collections::BTreeSet<_> = all.copied().filter(|hub| *hub != self.me).collect();
        all.into_iter().collect()
    }

    /// Whether a hub is one of these, or of the set before.
    pub fn has(&self, hub: NodeId) -> bool {
        let before = self.members.before.last();
        self.members.hubs.contains_key(&hub) || before.is_some_and(|set| set.hubs.contains_key(&hub))
    }

    pub fn told(&mut self, hub: NodeId, n: u64, epoch: u64, now_ms: u64) {
        let Some(asked_ms) = self.asks.get(&n).copied() else { return };
        self.knows(hub, epoch, now_ms);
        self.hear_of(epoch);
        if let Some(peer) = self.peers.get_mut(&hub) {
            peer.said = peer.said.max(Some((asked_ms, epoch)));
        }
    }

    /// There is no way to a hub at present.
    pub fn lost(&mut self, hub: NodeId) {
        if let Some(peer) = self.peers.get_mut(&hub) {
            peer.heard_ms = None;
        }
    }

    /// Whether a hub was heard of late.
    pub fn reaches(&self, hub: NodeId, now_ms: u64) -> bool {
        let heard = self.peers.get(&hub).and_then(|peer| peer.heard_ms);
        heard.is_some_and(|heard| now_ms < heard + SILENT_MS)
    }

    /// Whether this hub may act as the home of what is its own.
    pub fn acts(&self, now_ms: u64) -> bool {
        let Some((until_ms, _)) = self.lease else { return false };
        self.is_member()
            && self.heard_of == self.members.epoch
            && (now_ms < until_ms || 2 * self.confirmed(now_ms) > self.members.hubs.len())
    }

    /// How many members know of no later epoch, this one among them.
    fn confirmed(&self, now_ms: u64) -> usize {
        let is_so = |hub: &NodeId| {
            let said = self.peers.get(hub).and_then(|peer| peer.said);
            said.is_some_and(|(asked_ms, epoch)| epoch == self.members.epoch && now_ms < asked_ms + WORD_MS)
        };
        self.members.hubs.keys().filter(|hub| **hub == self.me || is_so(hub)).count()
    }

    /// Whether a home of an earlier epoch has neither a lease nor anybody's word for it any more; or counts as lost.
    pub fn is_over(&self, set: &Earlier, now_ms: u64) -> bool {
        if self.is_given_up(set, now_ms) {
            return true;
        }
        let ended = self.ended_ms.get(&set.epoch).is_some_and(|ended| now_ms >= ended + OVER_MS);
        ended && self.settled_ms.get(&set.epoch).is_some_and(|settled| now_ms >= settled + WORD_MS)
    }

    /// Whether no home of an earlier epoch can find enough hubs that know of no later one.
    pub fn is_settled(&self, now_ms: u64) -> bool {
        let mut all = self.members.earlier();
        all.all(|set| self.settled_ms.contains_key(&set.epoch) || self.is_given_up(set, now_ms))
    }

    /// Whether an earlier set ended so long ago that whoever is silent of it counts as lost.
    fn is_given_up(&self, set: &Earlier, now_ms: u64) -> bool {
        self.ended_ms.get(&set.epoch).is_some_and(|ended| now_ms >= ended + GIVEN_UP_MS)
    }

    /// Notes of which earlier epochs at least half of the members know of a later one.
    fn note_settled(&mut self, now_ms: u64) {
        let members = &self.members;
        self.settled_ms.retain(|epoch, _| members.earlier().any(|set| set.epoch == *epoch));
        for set in members.earlier() {
            let knows =
                |hub: &NodeId| *hub == self.me || self.peers.get(hub).is_some_and(|peer| peer.knows > set.epoch);
            if 2 * set.hubs.keys().filter(|hub| knows(hub)).count() >= set.hubs.len() {
                self.settled_ms.entry(set.epoch).or_insert(now_ms);
            }
        }
    }
}
