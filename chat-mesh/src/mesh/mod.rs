//! The mesh: which hub orders which channel, and how all hubs with readers come to have the same.
//!
//! A hub is up to four things to a channel, and speaks to itself as it does to others:
//! ```text
//!             ┌──────────── Submit ───────────▶┌──────┐──Records──▶┌─────────┐
//!  posts: a post waits here for its answer     │ home │            │ standby │  takes over when the home is gone
//!             └◀─────────── Answer ────────────└──────┘◀───Has─────└─────────┘
//!  follow: what readers see ◀──── Events ──────────┘  only what the standby has: nothing that was shown is ever unsaid
//! ```
//! *Who is home* follows from the members that the control plane has agreed on ([`Members::rank`]); nothing is agreed per
//! channel. A new home asks all hubs what they know ([`Message::Takeover`]) and opens when the answers can't be outdone.
//!
//! *Never two at once.* A home acts only while it holds the lease of its hub under the mesh epoch it knows, or while more
//! than half of the members of that epoch confirm that they know of no later one; a new home opens only when at least half
//! of the members of every earlier epoch know of a later one. So either a hub exists that has ended the old home's time,
//! or the control plane is gone and the old home goes on. In addition nothing counts that the standby does not have, and
//! a standby that was asked by a new home takes nothing more from the old one.
//!
//! No I/O and no clock: time is an argument ([`Now`]).

mod follow;
mod io;
mod members;
mod message;
mod opening;
mod posts;
mod presence;
mod resting;
mod running;
mod standby;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use freshet_proto::id::{ChannelName, NodeId};

pub use self::{
    follow::Follower,
    io::{Input, Output, Stored},
    members::{Earlier, Member, Members},
    message::{Follow, Known, Lane, Message},
    presence::TELL_MS,
};
use self::{
    opening::Opening,
    posts::Posts,
    presence::Audience,
    resting::{Quiet, Resting},
    running::Running,
    standby::Standby,
    standing::Standing,
};
use crate::home::Limits;
pub use crate::home::Now;

/// How often hubs ask each other whether they are there, in ms.
pub const ASK_MS: u64 = 500;

/// What a hub is to one channel.
#[derive(Debug, Default)]
struct Channel {
    /// Readers are here, or were just now.
    follower: Option<Follower>,
    /// What it holds as the standby, or held as the home.
    standby: Option<Standby>,
    opening: Option<Opening>,
    running: Option<Running>,
    /// Homes of older epochs are not listened to.
    fenced: u64,
    /// When a new home last asked.
    fenced_ms: u64,
    /// Since when nothing has happened.
    quiet: Option<Quiet>,
}

/// How long a sweep over all channels may be away, in ms: what retries and runs out is looked at then.
const SWEEP_MS: u64 = 100;

/// See the module.
#[derive(Debug)]
pub struct Mesh {
    standing: Standing,
    posts: Posts,
    channels: BTreeMap<ChannelName, Channel>,
    /// Those that nobody has been in for long: not among the others.
    resting: Resting,
    /// Who reads the channels of which this hub is the home. It bears on nothing else.
    audiences: BTreeMap<ChannelName, Audience>,
    /// What the hub says to itself.
    inbox: VecDeque<Message>,
    limits: Limits,
    swept_ms: u64,
    asked_ms: u64,
    leaving: Option<u64>,
}

impl Mesh {
    /// A hub that knows nothing yet, at `now`. Channels keep as much as `limits` say.
    pub fn new(me: NodeId, limits: Limits, now: Now) -> Self {
        Self {
            standing: Standing::new(me),
            posts: Posts::default(),
            channels: BTreeMap::new(),
            resting: Resting::default(),
            audiences: BTreeMap::new(),
            inbox: VecDeque::new(),
            limits,
            swept_ms: now.mono_ms,
            asked_ms: 0,
            leaving: None,
        }
    }

    /// What readers of a channel here may see; `None` where it was not told yet. It may be out of date: see
    /// [`Follower::is_current`].
    pub fn follower(&self, channel: &ChannelName) -> Option<&Follower> {
        self.channels.get(channel)?.follower.as_ref().filter(|follower| follower.is_known())
    }

    /// Whether this hub may order events now.
    pub fn acts(&self, now: Now) -> bool {
        self.standing.acts(now.mono_ms)
    }

    /// Of which channels it is the home, each with the epoch that it orders in.
    pub fn homes(&self) -> impl Iterator<Item = (&ChannelName, u64)> {
        let all = self.channels.iter().chain(self.resting.iter());
        all.filter_map(|(name, channel)| Some((name, channel.running.as_ref()?.epoch())))
    }

    /// How many channels rest here: nobody has been in them for long.
    pub fn resting(&self) -> usize {
        self.resting.iter().count()
    }

    /// When [`Input::Timeout`] is wanted, by the monotonic clock.
    pub fn deadline_ms(&self) -> u64 {
        self.swept_ms + SWEEP_MS
    }

    /// Takes what happened; appends to `out` what is to be done.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        self.wake_for(&input);
        match input {
            Input::Members(members) => self.members(now, members, out),
            Input::Lease { until_ms, epoch } => self.standing.lease(until_ms, epoch),
            Input::LinkUp(peer) => self.link_up(now, peer, out),
            Input::LinkDown(peer) => self.link_down(peer),
            Input::Message { from, message } if message.is_possible() => self.receive(now, from, message, out),
            Input::Message { .. } => {}
            Input::Want(channel) => self.want(now, channel, out),
            Input::Unwant(channel) => {
                if let Some(follower) = self.channels.get_mut(&channel).and_then(|channel| channel.follower.as_mut()) {
                    follower.unwanted(now.mono_ms);
                }
            }
            Input::Submit { ticket, submit } => self.post(now, ticket, submit, out),
            Input::Opened { channel, stored } => self.opened(now, channel, stored, out),
            Input::Stored { channel, version, lacks } => self.stored(now, channel, version, lacks, out),
            Input::Recheck(channel) => {
                if let Some(home) = self.standing.home_of(&channel) {
                    self.send(home, Message::Recheck { channel }, out);
                }
            }
            Input::Waiting { channel, to } => {
                if let Some(home) = self.standing.home_of(&channel) {
                    self.send(home, Message::Waiting { channel, to }, out);
                }
            }
            Input::Readers { channel, connections, users } => self.readers(now, channel, connections, &users, out),
            Input::Leave => self.leaving = Some(now.mono_ms),
            Input::Timeout => {}
        }
        self.settle(now, out);
        if self.deadline_ms() <= now.mono_ms {
            self.sweep(now, out);
            self.settle(now, out);
        }
    }

    /// Hears what the hub has said to itself.
    fn settle(&mut self, now: Now, out: &mut Vec<Output>) {
        while let Some(message) = self.inbox.pop_front() {
            self.receive(now, self.standing.me(), message, out);
        }
    }

    fn send(&mut self, to: NodeId, message: Message, out: &mut Vec<Output>) {
        match to == self.standing.me() {
            true => self.inbox.push_back(message),
            false => out.push(Output::Send { to, message }),
        }
    }

    fn send_all(&mut self, messages: Vec<(NodeId, Message)>, out: &mut Vec<Output>) {
        for (to, message) in messages {
            self.send(to, message, out);
        }
    }

    fn members(&mut self, now: Now, members: Members, out: &mut Vec<Output>) {
        let Some(is_next) = self.standing.members(members, now.mono_ms) else { return };
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            self.moved(now, &name, is_next, out);
            self.subscribe(now, &name, out);
        }
        self.resend(now, |_| true, out);
    }

    fn link_up(&mut self, now: Now, peer: NodeId, out: &mut Vec<Output>) {
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            self.give_standby(now, &name, Some(peer), out);
            if self.standing.home_of(&name) == Some(peer) {
                self.subscribe(now, &name, out);
            }
        }
        self.resend(now, |to| to == Some(peer), out);
    }

    fn link_down(&mut self, peer: NodeId) {
        self.standing.lost(peer);
        for (name, channel) in &mut self.channels {
            if let Some(follower) = channel.follower.as_mut().filter(|_| self.standing.home_of(name) == Some(peer)) {
                follower.cut_off();
            }
        }
    }

    fn receive(&mut self, now: Now, from: NodeId, message: Message, out: &mut Vec<Output>) {
        self.wake_to_hear(&message);
        match message {
            Message::Ask { n } => {
                let epoch = self.standing.known();
                self.send(from, Message::Tell { n, epoch }, out);
            }
            Message::Tell { n, epoch } => self.standing.told(from, n, epoch, now.mono_ms),
            Message::Sub { channel, from: has } => self.sub(now, channel, from, has, out),
            Message::Unsub { channel } => {
                if let Some(running) = self.channels.get_mut(&channel).and_then(|channel| channel.running.as_mut()) {
                    running.unsub(from);
                }
            }
            Message::Takeover { channel, epoch } => self.asked_by_new_home(now, channel, from, epoch, out),
            Message::Tail { channel, epoch, known } => self.tail(now, channel, from, epoch, *known, out),
            Message::Has { channel, epoch, position } => self.standby_has(now, channel, from, epoch, position, out),
            Message::Lacks { channel } => self.lacks(now, &channel, from, out),
            Message::Recheck { channel } => self.recheck(now, channel, out),
            Message::Waiting { channel, to } => self.tell_waiting(from, channel, to, out),
            Message::Notice { channel, notice } => out.push(Output::Notice { channel, notice }),
            Message::Submit { ticket, submit } => self.submitted(now, from, ticket, submit, out),
            Message::Answer { ticket, answer } => {
                if self.posts.answered(ticket) {
                    out.push(Output::Answer { ticket, answer });
                }
            }
            Message::NotHome { ticket } => self.posts.not_home(ticket, now.mono_ms),
            Message::Whole { channel, epoch, owner, snapshot } => {
                self.whole(now, from, channel, (epoch, owner), *snapshot, out);
            }
            Message::Records { channel, epoch, records } => self.records(now, from, channel, epoch, records, out),
            Message::Joined { channel, epoch, members, follow } => {
                let is_new = members >= self.standing.current().epoch && self.standing.home_of(&channel) == Some(from);
                self.joined(now, from, channel, (epoch, is_new), *follow, out);
            }
            Message::Events { channel, epoch, events } => self.events(now, from, channel, epoch, events, out),
            Message::Present { channel, at_ms, connections, users } => {
                self.present(now, from, channel, (at_ms, connections), &users);
            }
            Message::Count { channel, at_ms, connections, users } => {
                self.counted(now, from, channel, at_ms, (connections, users), out);
            }
        }
    }

    fn sweep(&mut self, now: Now, out: &mut Vec<Output>) {
        self.swept_ms = now.mono_ms;
        if now.mono_ms >= self.asked_ms + ASK_MS {
            self.asked_ms = now.mono_ms;
            let (n, peers) = self.standing.ask(now.mono_ms);
            peers.into_iter().for_each(|peer| out.push(Output::Send { to: peer, message: Message::Ask { n } }));
        }
        let names: Vec<_> = self.channels.keys().cloned().collect();
        for name in names {
            self.sweep_home(now, &name, out);
            self.sweep_follower(now, &name, out);
            self.sweep_standby(now, &name);
        }
        self.channels.retain(|_, channel| !channel.is_nothing(now));
        self.rest_idle(now);
        self.sweep_audiences(now, out);
        self.sweep_posts(now, out);
        self.leave(now, out);
    }

    /// Says when nobody needs this hub any more.
    fn leave(&mut self, now: Now, out: &mut Vec<Output>) {
        /// How long others may take to take over, in ms.
        const PATIENCE_MS: u64 = 5_000;
        let Some(since) = self.leaving else { return };
        let is_needed = self.standing.is_member()
            || self.channels.values().any(|channel| channel.standby.as_ref().is_some_and(Standby::was_home));
        if !is_needed || since + PATIENCE_MS <= now.mono_ms {
            self.leaving = None;
            out.push(Output::Left);
        }
    }
}

impl Channel {
    /// Nothing that would be missed: a fence stays for as long as an older home could speak.
    fn is_nothing(&self, now: Now) -> bool {
        /// Longer than any home acts beyond its time, in ms.
        const FENCE_MS: u64 = 120_000;
        self.follower.is_none()
            && self.standby.is_none()
            && self.opening.is_none()
            && self.running.is_none()
            && self.fenced_ms + FENCE_MS <= now.mono_ms
    }
}
