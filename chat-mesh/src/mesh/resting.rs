//! Channels in which nobody has been for long: they rest. The hub keeps what it has of them but for most of their history, and
//! looks at them no more until something is said about them.
//!
//! ```text
//! awake ──nobody reads or waits, nothing happens for `rest_ms`, the standby has it all──▶ resting ──too many: the one that
//!   ▲──── anything that is said about it; other members, a link, leaving ───────────────────┘        rests for longest is cut
//! ```
//! To others nothing is different: who wakes a channel finds the same home in the same epoch, with the same numbers.

use std::collections::BTreeMap;

use freshet_proto::{
    chat::Position,
    id::{ChannelName, NodeId},
};

use super::{Channel, Input, Mesh, Message, Now};
use crate::home::State;

/// How many bytes the histories of all resting channels have at most, about. Beyond that, those that have rested for longest keep
/// their last event alone, which says where numbers go on.
const MAX_BYTES: usize = 64 << 20;

/// Since when a channel is as it is.
#[derive(Debug)]
pub(super) struct Quiet {
    head: Position,
    version: u64,
    since_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Resting {
    channels: BTreeMap<ChannelName, (u64, Channel)>,
    /// Those that have more than one event, by when they began to rest.
    whole: BTreeMap<u64, ChannelName>,
    next: u64,
    bytes: usize,
}

impl Resting {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&ChannelName, &Channel)> {
        self.channels.iter().map(|(name, (_, channel))| (name, channel))
    }

    fn put(&mut self, name: ChannelName, channel: Channel, now: Now) {
        self.next += 1;
        self.bytes += channel.bytes();
        self.whole.insert(self.next, name.clone());
        self.channels.insert(name, (self.next, channel));
        while self.bytes > MAX_BYTES
            && let Some((_, name)) = self.whole.pop_first()
        {
            let Some((_, channel)) = self.channels.get_mut(&name) else { continue };
            self.bytes -= channel.bytes();
            channel.states().for_each(|state| state.rest(1, now));
            self.bytes += channel.bytes();
        }
    }

    fn take(&mut self, name: &ChannelName) -> Option<Channel> {
        let (n, channel) = self.channels.remove(name)?;
        self.whole.remove(&n);
        self.bytes -= channel.bytes();
        Some(channel)
    }
}

impl Channel {
    fn state(&self) -> Option<&State> {
        let standby = self.standby.as_ref().map(|standby| &standby.state);
        self.running.as_ref().map(|running| running.state()).or(standby)
    }

    fn states(&mut self) -> impl Iterator<Item = &mut State> {
        let standby = self.standby.as_mut().map(|standby| &mut standby.state);
        self.running.as_mut().map(|running| running.state_mut()).into_iter().chain(standby)
    }

    fn bytes(&self) -> usize {
        let standby = self.standby.as_ref().map(|standby| &standby.state);
        let states = self.running.as_ref().map(|running| running.state()).into_iter().chain(standby);
        states.map(|state| state.history().bytes()).sum()
    }

    /// For how many ms nobody has been here and nothing has happened.
    fn quiet_ms(&mut self, now: Now) -> u64 {
        let is_busy = self.follower.is_some()
            || self.opening.is_some()
            || self.running.as_ref().is_some_and(|running| running.is_busy(now));
        let known = self.state().filter(|_| !is_busy).map(|state| (state.head(), state.durable().version));
        let Some((head, version)) = known else {
            self.quiet = None;
            return 0;
        };
        let quiet = self.quiet.take_if(|quiet| (quiet.head, quiet.version) == (head, version));
        let quiet = self.quiet.insert(quiet.unwrap_or(Quiet { head, version, since_ms: now.mono_ms }));
        now.mono_ms - quiet.since_ms
    }

    /// Whether it is kept as `ranked` wants it, so that nobody need look after it.
    fn is_in_place(&self, me: NodeId, ranked: &[NodeId]) -> bool {
        match &self.running {
            Some(running) => ranked.first() == Some(&me) && running.standby() == ranked.get(1).copied(),
            None => ranked.iter().take(2).any(|hub| *hub == me),
        }
    }
}

impl Mesh {
    pub(super) fn rest_idle(&mut self, now: Now) {
        let (me, members) = (self.standing.me(), self.standing.current());
        let (rest_ms, events) = (self.limits.rest_ms, self.limits.rest);
        let is_idle = |name: &ChannelName, channel: &mut Channel| {
            channel.quiet_ms(now) >= rest_ms && channel.is_in_place(me, &members.rank(name))
        };
        let idle: Vec<_> = self.channels.extract_if(.., is_idle).collect();
        for (name, mut channel) in idle {
            channel.states().for_each(|state| state.rest(events, now));
            self.resting.put(name, channel, now);
        }
    }

    /// Something is said about a channel.
    pub(super) fn wake(&mut self, name: &ChannelName) {
        if let Some(mut channel) = self.resting.take(name) {
            channel.states().for_each(State::wake);
            self.channels.insert(name.clone(), channel);
        }
    }

    pub(super) fn wake_all(&mut self) {
        let names: Vec<_> = self.resting.channels.keys().cloned().collect();
        names.iter().for_each(|name| self.wake(name));
    }

    pub(super) fn wake_for(&mut self, input: &Input) {
        match input {
            Input::Members(_) | Input::LinkUp(_) | Input::Leave => self.wake_all(),
            Input::Want(channel) | Input::Opened { channel, .. } | Input::Stored { channel, .. } => self.wake(channel),
            _ => {}
        }
    }

    pub(super) fn wake_to_hear(&mut self, message: &Message) {
        match message {
            Message::Submit { submit, .. } => self.wake(&submit.channel),
            Message::Sub { channel, .. }
            | Message::Unsub { channel }
            | Message::Takeover { channel, .. }
            | Message::Tail { channel, .. }
            | Message::Has { channel, .. }
            | Message::Lacks { channel }
            | Message::Recheck { channel }
            | Message::Waiting { channel, .. }
            | Message::Whole { channel, .. }
            | Message::Records { channel, .. }
            | Message::Joined { channel, .. }
            | Message::Events { channel, .. } => self.wake(channel),
            _ => {}
        }
    }
}
