//! The registry as a state machine: commands in, replies and view changes out. No I/O, no clock, no randomness, so that
//! whoever applies the same inputs in the same order holds the same state.
//!
//! Every input that changes something has a log index, which becomes the *revision* and, for a claim, its epoch. An input
//! that is refused changes nothing: whoever asks the machine before writing a log need not write it.

use std::collections::BTreeMap;

use freshet_proto::{
    id::{ChannelName, Epoch, NodeId},
    registry::{Claimed, Departure, Refused, Reply},
    view::{Delta, NodeView, View},
};
use serde::{Deserialize, Serialize};

use crate::{
    channel::{Channel, Policy, Times},
    key::KeyHash,
};

/// What happens to a registry. Goes into the log as it is, so it names no stream key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Input {
    /// An encoder presents a key at an origin.
    Claim {
        /// The key's hash.
        key: KeyHash,
        /// Where.
        origin: NodeId,
    },
    /// A publish's media flows.
    Live {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
    },
    /// A publisher fell silent for 2 s, or spoke again.
    Heard {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
        /// Which of the two.
        heard: bool,
    },
    /// A publisher has gone.
    Release {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
        /// How.
        how: Departure,
    },
    /// An origin died or started anew: its publishers are lost.
    OriginLost {
        /// Which.
        origin: NodeId,
    },
    /// A channel is made, or its key or policy changes; its session goes on.
    PutChannel {
        /// Its name.
        channel: ChannelName,
        /// Its key's hash.
        key: KeyHash,
        /// What becomes of a second encoder.
        policy: Policy,
    },
    /// A channel is removed; its session ends.
    RemoveChannel {
        /// Its name.
        channel: ChannelName,
    },
    /// A node joins or changes.
    PutNode {
        /// Its id.
        node: NodeId,
        /// What others may know of it.
        view: NodeView,
    },
    /// A node leaves.
    RemoveNode {
        /// Its id.
        node: NodeId,
    },
    /// The time of [`Registry::deadline_ms`] has come.
    Timeout,
}

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
    channels: BTreeMap<ChannelName, Channel>,
    nodes: BTreeMap<NodeId, NodeView>,
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
            channels: BTreeMap::new(),
            nodes: BTreeMap::new(),
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
            nodes: self.nodes.clone(),
        }
    }

    /// When [`Input::Timeout`] is due, in ms.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.channels.values().filter_map(Channel::deadline_ms).min()
    }

    /// Whether there is a channel with this key and policy.
    pub fn has(&self, channel: &ChannelName, key: &KeyHash, policy: Policy) -> bool {
        self.channels.get(channel).is_some_and(|known| known.key.as_ref() == Some(key) && known.policy == policy)
    }

    /// The channels there are.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.iter().filter(|(_, channel)| channel.listed).map(|(name, _)| name)
    }

    /// Rebuilds what is not kept on disk.
    pub fn index(&mut self) {
        self.keys.clear();
        for (name, channel) in &self.channels {
            if let Some(key) = &channel.key {
                self.keys.entry(key.bucket()).or_default().push(name.clone());
            }
        }
    }

    /// Takes the input of log index `index`, greater than the revision, that happens at `now_ms` (wall time; a time before
    /// the latest counts as the latest). The input has changed something, and must be durable before anyone hears of its
    /// outputs, if the revision has risen; it is then `index`.
    pub fn handle(&mut self, index: u64, now_ms: u64, input: Input, out: &mut Vec<Output>) {
        let at = At { index: index.max(self.revision + 1), now_ms: now_ms.max(self.now_ms) };
        let reply = match input {
            Input::Claim { key, origin } => self.claim(at, &key, origin, out).map(Some),
            Input::Live { channel, epoch } => self.change(at, &channel, out, |c, _| c.live(epoch)),
            Input::Heard { channel, epoch, heard } => self.change(at, &channel, out, |c, _| c.heard(epoch, heard)),
            Input::Release { channel, epoch, how } => {
                self.change(at, &channel, out, |c, times| c.release(at.now_ms, epoch, how, times))
            }
            Input::OriginLost { origin } => {
                self.change_all(at, out, |channel, times| channel.lose(at.now_ms, origin, times))
            }
            Input::Timeout => self.change_all(at, out, |channel, times| channel.expire(at.now_ms, times)),
            Input::PutChannel { channel, key, policy } => self.put_channel(at, channel, key, policy, out),
            Input::RemoveChannel { channel } => self.remove_channel(at, &channel, out),
            Input::PutNode { node, view } => self.put_node(at, node, Some(view), out),
            Input::RemoveNode { node } => self.put_node(at, node, None, out),
        };
        out.push(Output::Reply(reply));
    }

    fn claim(&mut self, at: At, key: &KeyHash, origin: NodeId, out: &mut Vec<Output>) -> Result<Claimed, Refused> {
        let name = self.channel_of(key).ok_or(Refused::UnknownKey)?;
        let epoch = Epoch(at.index);
        let channel = self.channels.get_mut(&name).ok_or(Refused::UnknownKey)?;
        let granted = channel.claim(at.now_ms, epoch, origin, &self.times).inspect_err(|refused| {
            if let Refused::Fighting { takeovers } = *refused {
                out.push(Output::Alert(Alert::Fighting { channel: name.clone(), takeovers }));
            }
        })?;
        self.advance(at, vec![name.clone()], vec![], out);
        let prior = granted.prior.map(|prior| (prior.epoch, prior.origin));
        Ok(Claimed { channel: name, session: granted.session, epoch, msn_base: granted.msn_base, prior })
    }

    fn channel_of(&self, key: &KeyHash) -> Option<ChannelName> {
        let candidates = self.keys.get(&key.bucket())?;
        let owns = |name: &&ChannelName| self.channels.get(*name).is_some_and(|channel| channel.key == Some(*key));
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

    fn change_all(&mut self, at: At, out: &mut Vec<Output>, work: impl Fn(&mut Channel, &Times) -> bool) -> Reply {
        let times = &self.times;
        let changed = self.channels.iter_mut().filter_map(|(name, channel)| work(channel, times).then(|| name.clone()));
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            self.advance(at, changed, vec![], out);
        }
        Ok(None)
    }

    fn put_channel(&mut self, at: At, name: ChannelName, key: KeyHash, policy: Policy, out: &mut Vec<Output>) -> Reply {
        let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel::new(None, policy));
        (channel.key, channel.policy, channel.listed) = (Some(key), policy, true);
        self.index();
        self.advance(at, vec![name], vec![], out);
        Ok(None)
    }

    fn remove_channel(&mut self, at: At, name: &ChannelName, out: &mut Vec<Output>) -> Reply {
        let times = self.times;
        if let Some(channel) = self.channels.get_mut(name).filter(|channel| channel.listed) {
            channel.remove(at.now_ms, &times);
            self.index();
            self.advance(at, vec![name.clone()], vec![], out);
        }
        Ok(None)
    }

    fn put_node(&mut self, at: At, node: NodeId, view: Option<NodeView>, out: &mut Vec<Output>) -> Reply {
        if self.nodes.get(&node) != view.as_ref() {
            match view {
                Some(view) => self.nodes.insert(node, view),
                None => self.nodes.remove(&node),
            };
            self.advance(at, vec![], vec![node], out);
        }
        Ok(None)
    }

    /// Moves to the input's log index and tells what changed under it.
    fn advance(&mut self, at: At, channels: Vec<ChannelName>, nodes: Vec<NodeId>, out: &mut Vec<Output>) {
        (self.revision, self.now_ms) = (at.index, at.now_ms);
        let view_of = |name: &ChannelName| self.channels.get(name).filter(|c| c.listed).map(Channel::view);
        out.push(Output::Changed(Delta {
            revision: self.revision,
            channels: channels.into_iter().map(|name| (name.clone(), view_of(&name))).collect(),
            nodes: nodes.into_iter().map(|node| (node, self.nodes.get(&node).cloned())).collect(),
        }));
    }
}

#[cfg(test)]
mod tests;
