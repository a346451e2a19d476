//! The registry as a state machine: commands in, replies and view changes out. No I/O, no clock, no randomness, so that
//! whoever applies the same inputs in the same order holds the same state.
//!
//! Every input that changes something has a log index, which becomes the *revision* and, for a claim, its epoch. An input
//! that is refused changes nothing: whoever asks the machine before writing a log need not write it.

mod annex;
mod charters;
mod hubs;
mod input;
mod keys;
mod later;
mod nodes;
mod starts;

use std::{collections::BTreeMap, sync::Arc};

use freshet_proto::{
    id::{ChannelName, Epoch, Msn, NodeId, SessionId},
    level::Level,
    registry::{Claimed, NoSuch, Refused, Reply},
    view::{Delta, NodeState, Role, View},
};
use serde::{Deserialize, Serialize};

pub use charters::Charter;
pub use input::Input;
pub(crate) use later::Later;
pub use nodes::{MAX_NODES, MAX_TOKENS, Node, Token};
pub use starts::Timing;

use crate::{
    channel::{Channel, Granted, Policy, Times},
    key::KeyHash,
    keys::Ring,
    secrets::Secrets,
};

/// How many channels there may be, counting those that were removed and are remembered for their numbers. With as many, and
/// [`MAX_NODES`] nodes, a snapshot still fits into [`crate::raft::MAX_SNAPSHOT`] and a view into one message, whatever
/// happened to them.
pub const MAX_CHANNELS: usize = 20_000;

/// What a registry says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// The input's answer. Exactly one per input.
    Reply(Reply),
    /// The view moves on. At most one per input, before its reply.
    Changed(Delta),
    /// An operator should know.
    Alert(Alert),
}

/// What an operator should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Alert {
    /// Two encoders with the same key keep displacing each other; the newer one was refused.
    #[error(
        "{channel}: {takeovers} encoders took over within 30 s, the next was refused; reset the key if it has leaked"
    )]
    Fighting {
        /// Where.
        channel: ChannelName,
        /// How many displacements there were.
        takeovers: u32,
    },
}

/// Where in the log an input stands, and when it happens.
#[derive(Clone, Copy)]
struct At {
    index: u64,
    now_ms: u64,
}

/// The registry's whole state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    cluster: u64,
    revision: u64,
    now_ms: u64,
    times: Times,
    secrets: Option<Secrets>,
    tokens: Vec<Token>,
    channels: BTreeMap<ChannelName, Channel>,
    nodes: BTreeMap<NodeId, Node>,
    /// What newer versions brought. Written beside the rest, by those formats that have a place for it.
    #[serde(skip)]
    later: Later,
    /// Channels by their key's bucket.
    #[serde(skip)]
    keys: BTreeMap<u32, Vec<ChannelName>>,
}

impl Registry {
    /// An empty registry. `cluster` tells it from every other one.
    pub fn new(cluster: u64, times: Times) -> Self {
        Self {
            cluster,
            revision: 0,
            now_ms: 0,
            times,
            secrets: None,
            tokens: Vec::new(),
            channels: BTreeMap::new(),
            nodes: BTreeMap::new(),
            later: Later::default(),
            keys: BTreeMap::new(),
        }
    }

    /// The log index of the last input that changed something.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Its time: that of the latest input, in ms. It never goes back.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Becomes another registry with the same state, when it begins anew from a backup: revisions of the two don't compare.
    pub fn begin_anew(&mut self, cluster: u64) {
        self.cluster = cluster;
        self.later.forget_mesh();
    }

    /// Changes how long things last from now on. Deadlines that run stay.
    pub fn set_times(&mut self, times: Times) {
        self.times = times;
    }

    /// What everybody may know.
    pub fn view(&self) -> View {
        let listed = self.channels.iter().filter(|(_, channel)| channel.listed);
        View {
            cluster: self.cluster,
            revision: self.revision,
            channels: listed.map(|(name, channel)| (name.clone(), channel.view())).collect(),
            nodes: self.nodes.iter().map(|(id, node)| (*id, node.view.clone())).collect(),
            removed: Arc::new(self.later.removed.clone()),
            annex: self.later.annex.clone(),
        }
    }

    /// Which version all control nodes know. It never goes back.
    pub fn level(&self) -> Level {
        self.later.level
    }

    /// From when on a certificate of this name must be valid, in ms; `None` where any will do.
    pub fn barred_until(&self, name: &str) -> Option<u64> {
        self.later.removed.nodes.get(name).map(|bar| bar.since_ms)
    }

    /// The signing keys, with their wrapped private halves, and the secrets of path tokens.
    pub fn ring(&self) -> &Ring {
        &self.later.ring
    }

    /// What newer versions brought.
    pub(crate) fn later(&self) -> &Later {
        &self.later
    }

    /// Puts back what newer versions brought.
    pub(crate) fn set_later(&mut self, later: Later) {
        self.later = later;
    }

    /// What all control nodes share; `None` until the platform is founded.
    pub fn secrets(&self) -> Option<&Secrets> {
        self.secrets.as_ref()
    }

    /// How long things last.
    pub fn times(&self) -> Times {
        self.times
    }

    /// What the join token of this hash is for, if it is still good at `now_ms`.
    pub fn token(&self, token: &KeyHash, now_ms: u64) -> Option<Role> {
        self.tokens.iter().find(|known| known.hash == *token && known.is_good(now_ms)).map(|known| known.role)
    }

    /// The node of this name.
    pub fn node_named(&self, name: &str) -> Option<(NodeId, &Node)> {
        self.nodes.iter().find(|(_, node)| node.view.server_name == name).map(|(id, node)| (*id, node))
    }

    /// Every node.
    pub fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// When [`Input::Timeout`] is due, in ms.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.channels.values().filter_map(Channel::deadline_ms).chain(self.later.deadline_ms()).min()
    }

    /// Whether there is a channel with this key and policy.
    pub fn has(&self, channel: &ChannelName, key: &KeyHash, policy: Policy) -> bool {
        self.channels.get(channel).is_some_and(|known| known.key.as_ref() == Some(key) && known.policy == policy)
    }

    /// Lets a private test begin, of which nothing is kept: not while the channel is live, for an origin tells of one session
    /// a channel.
    pub(crate) fn test(&self, key: &KeyHash) -> Reply {
        let channel = self.channel_of(key).ok_or(Refused::UnknownKey)?;
        if self.channels.get(&channel).is_some_and(Channel::continues) {
            return Err(Refused::AlreadyLive);
        }
        Ok(Some(Claimed { channel, session: SessionId(0), epoch: Epoch(0), msn_base: Msn(0), prior: None }))
    }

    /// The channels there are.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.iter().filter(|(_, channel)| channel.listed).map(|(name, _)| name)
    }

    /// Rebuilds what is not kept on disk.
    pub fn index(&mut self) {
        let own = self.channels.iter().filter_map(|(name, channel)| Some((name, channel.key.as_ref()?)));
        let mut keys = BTreeMap::<u32, Vec<ChannelName>>::new();
        for (name, key) in own.chain(self.chartered_keys()) {
            keys.entry(key.bucket()).or_default().push(name.clone());
        }
        self.keys = keys;
    }

    /// Takes the input of log index `index`, greater than the revision, that happens at `now_ms` (wall time; a time before
    /// the latest counts as the latest). The input has changed something, and must be durable before anyone hears of its
    /// outputs, if the revision has risen; it is then `index`.
    pub fn handle(&mut self, index: u64, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        let at = At { index: index.max(self.revision + 1), now_ms: now_ms.max(self.now_ms) };
        let reply = match input {
            Input::Claim { key, origin, nonce } => self.claim(at, &key, origin, nonce, out).map(Some),
            Input::Live { channel, epoch } => self.change(at, &channel, out, |c, _| c.live(epoch)),
            Input::Heard { channel, epoch, heard } => self.change(at, &channel, out, |c, _| c.heard(epoch, heard)),
            Input::Release { channel, epoch, how } => {
                self.change(at, &channel, out, |c, times| c.release(at.now_ms, epoch, how, times))
            }
            Input::OriginLost { origin } => self.lose(at, origin, out),
            Input::Timeout => self.timeout(at, out),
            Input::PutChannel { channel, key, policy } => self.put_channel(at, channel, key, policy, out),
            Input::RemoveChannel { channel } => self.remove_channel(at, &channel, out),
            Input::PutNode { node, view } => self.put_node(at, node, Node::new(view), out),
            Input::Found(secrets) => self.found(at, secrets, out),
            Input::PutToken(token) => self.put_token(at, token, out),
            Input::Join { token, name } => self.join(at, &token, name, out),
            Input::Renewed { node, view, life } => self.renewed(at, node, view, life, out),
            Input::NodeLost { node } => self.set_state(at, node, NodeState::Lost, out),
            Input::DrainNode { node, draining } => {
                self.set_state(at, node, if draining { NodeState::Draining } else { NodeState::Active }, out)
            }
            Input::RemoveNode { node } => self.remove_node(at, node, out),
            Input::Rise { level } => self.rise(at, level, out),
            Input::CutOff { node, bar } => self.cut_off(at, node, bar, out),
            Input::Place { node, place } => self.place(at, node, place, out),
            Input::Mark { channel, mark } => self.mark(at, channel, mark, out),
            Input::Revoke { what, bar } => self.revoke(at, what, bar, out),
            Input::Leads { unseen_ms } => self.put_off(at, unseen_ms, out),
            Input::BarName { name, bar } => self.bar_name(at, name, bar, out),
            Input::PutKey(made) => self.turn_keys(at, out, |ring, now_ms| ring.put(now_ms, made)),
            Input::ActivateKey { kid } => self.turn_keys(at, out, |ring, now_ms| ring.activate(now_ms, &kid)),
            Input::RetireKey { kid } => self.turn_keys(at, out, |ring, now_ms| ring.retire(now_ms, &kid)),
            Input::RevokeKey { kid, successor } => {
                self.turn_keys(at, out, |ring, now_ms| ring.revoke(now_ms, &kid, successor))
            }
            Input::PutPathSecret { secret, older_until_ms } => {
                self.turn_keys(at, out, |ring, now_ms| ring.put_path(now_ms, secret, older_until_ms))
            }
            Input::Charter { channel, seq, charter } => self.charter(at, channel, seq, charter, out),
            Input::Start { channel } => self.start(at, channel, out),
            Input::End { channel } => self.end(at, channel, out),
            Input::Purge { channel } => self.purge(at, channel, out),
            Input::HubIn { node, weight, life } => self.hub_in(at, node, weight, life, out),
            Input::HubsOut { hubs } => self.hubs_out(at, &hubs, out),
        };
        out.push(Output::Reply(reply));
    }

    fn claim(
        &mut self,
        at: At,
        key: &KeyHash,
        origin: NodeId,
        nonce: u64,
        out: &mut Vec<Output>,
    ) -> Result<Claimed, Refused> {
        let name = self.channel_of(key).ok_or(Refused::UnknownKey)?;
        let epoch = Epoch(at.index);
        let may_begin = self.may_begin(&name);
        let channel = self.channels.get_mut(&name).ok_or(Refused::UnknownKey)?;
        if let Some((epoch, granted)) = channel.granted_before(origin, nonce) {
            return Ok(claimed(name, epoch, granted));
        }
        if !channel.continues() {
            may_begin?;
        }
        let granted = channel.claim(at.now_ms, epoch, origin, nonce, &self.times).inspect_err(|refused| {
            if let Refused::Fighting { takeovers } = *refused {
                out.push(Output::Alert(Alert::Fighting { channel: name.clone(), takeovers }));
            }
        })?;
        self.used(&name, key);
        self.advance(at, vec![name.clone()], vec![], out);
        Ok(claimed(name, epoch, granted))
    }

    /// The channel that has this key.
    pub(crate) fn channel_of(&self, key: &KeyHash) -> Option<ChannelName> {
        let candidates = self.keys.get(&key.bucket())?;
        let owns = |name: &&ChannelName| {
            let own = self.channels.get(*name).is_some_and(|channel| channel.key == Some(*key));
            own || self.charter_names(name, key)
        };
        candidates.iter().find(owns).cloned()
    }

    /// Changes one channel; nothing is logged when it stays as it was.
    fn change(
        &mut self,
        at: At,
        name: &ChannelName,
        out: &mut Vec<Output>,
        work: impl FnOnce(&mut Channel, &Times) -> Result<(), Refused>,
    ) -> Reply {
        let channel = self.channels.get_mut(name).ok_or(Refused::Superseded)?;
        let before = channel.clone();
        work(channel, &self.times)?;
        if *channel != before {
            self.advance(at, vec![name.clone()], vec![], out);
        }
        Ok(None)
    }

    fn timeout(&mut self, at: At, out: &mut Vec<Output>) -> Reply {
        let expired = self.change_all(|channel, times| channel.expire(at.now_ms, times));
        let forgotten = self.later.expire(at.index, at.now_ms);
        if forgotten || !expired.is_empty() {
            self.advance(at, expired, vec![], out);
        }
        Ok(None)
    }

    fn lose(&mut self, at: At, origin: NodeId, out: &mut Vec<Output>) -> Reply {
        let lost = self.lose_publishers(at, origin);
        if !lost.is_empty() {
            self.advance(at, lost, vec![], out);
        }
        Ok(None)
    }

    /// Tells which channels changed.
    fn change_all(&mut self, work: impl Fn(&mut Channel, &Times) -> bool) -> Vec<ChannelName> {
        let times = &self.times;
        let changed = self.channels.iter_mut().filter_map(|(name, channel)| work(channel, times).then(|| name.clone()));
        changed.collect()
    }

    fn put_channel(&mut self, at: At, name: ChannelName, key: KeyHash, policy: Policy, out: &mut Vec<Output>) -> Reply {
        if self.level() >= Level::LIMITS_CHANNELS && !self.channels.contains_key(&name) {
            self.make_room()?;
        }
        let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel::new(None, policy));
        (channel.key, channel.policy, channel.listed) = (Some(key), policy, true);
        self.index();
        self.advance(at, vec![name], vec![], out);
        Ok(None)
    }

    /// Where there is no room for one more channel, the numbers of one that was removed are forgotten: the one that was
    /// claimed last the longest ago.
    fn make_room(&mut self) -> Result<(), Refused> {
        if self.channels.len() < MAX_CHANNELS {
            return Ok(());
        }
        let removed = self.channels.iter().filter(|(_, channel)| !channel.listed);
        let oldest = removed.min_by_key(|(_, channel)| channel.claimed_at_ms()).map(|(name, _)| name.clone());
        let oldest = oldest.ok_or(Refused::TooMany(NoSuch::Channel))?;
        self.channels.remove(&oldest);
        self.later.charters.remove(&oldest);
        Ok(())
    }

    fn remove_channel(&mut self, at: At, name: &ChannelName, out: &mut Vec<Output>) -> Reply {
        let times = self.times;
        if let Some(channel) = self.channels.get_mut(name).filter(|channel| channel.listed) {
            channel.remove(at.now_ms, &times);
            annex::forget_mark(&mut self.later.annex, at.index, name);
            self.index();
            self.advance(at, vec![name.clone()], vec![], out);
        }
        Ok(None)
    }

    /// Moves to the input's log index and tells what changed under it.
    fn advance(&mut self, at: At, channels: Vec<ChannelName>, nodes: Vec<NodeId>, out: &mut Vec<Output>) {
        (self.revision, self.now_ms) = (at.index, at.now_ms);
        for name in &channels {
            self.note_start(at, name);
        }
        let removed = &self.later.removed;
        let view_of = |name: &ChannelName| self.channels.get(name).filter(|c| c.listed).map(Channel::view);
        out.push(Output::Changed(Delta {
            revision: self.revision,
            channels: channels.into_iter().map(|name| (name.clone(), view_of(&name))).collect(),
            nodes: nodes.into_iter().map(|id| (id, self.nodes.get(&id).map(|node| node.view.clone()))).collect(),
            removed: (removed.revision == at.index).then(|| Arc::new(removed.clone())),
            annex: self.later.annex.parts().into_iter().filter(|part| part.revision() == at.index).collect(),
        }));
    }
}

fn claimed(channel: ChannelName, epoch: Epoch, granted: Granted) -> Claimed {
    let prior = granted.prior.map(|prior| (prior.epoch, prior.origin));
    Claimed { channel, session: granted.session, epoch, msn_base: granted.msn_base, prior }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
