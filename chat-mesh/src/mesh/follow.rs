//! A channel as its readers at this hub see it.

use std::sync::Arc;

use freshet_proto::{
    chat::{Event, Login, Position},
    id::{ChannelName, NodeId},
};

use super::{Follow, Mesh, Message, Now, Output};
use crate::{
    home::{Limits, Snapshot, State},
    moderation::Durable,
};

/// How long a channel without readers is kept up to date, in ms: a page that is loaded again finds it.
const LINGER_MS: u64 = 15_000;
/// After how many ms a home is asked again that did not answer.
const RETRY_MS: u64 = 200;

/// See the module.
#[derive(Debug)]
pub struct Follower {
    known: Option<(State, Login)>,
    is_current: bool,
    asked_ms: u64,
    unwanted_ms: Option<u64>,
    /// The last count: whose, when by its clock, and when by ours.
    pub(super) counted: Option<(NodeId, u64, u64)>,
}

impl Follower {
    fn new() -> Self {
        Self { known: None, is_current: false, asked_ms: 0, unwanted_ms: None, counted: None }
    }

    pub(super) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// Whether the home is in reach and has told everything; else what is here may be out of date, and who comes should
    /// wait a moment for [`Output::Ready`].
    pub fn is_current(&self) -> bool {
        self.is_current
    }

    /// The history, modes, pin and roles. It knows nothing of bans and terms.
    ///
    /// # Panics
    /// Never: [`Mesh::follower`] gives those alone that know it.
    #[allow(clippy::expect_used)]
    pub fn state(&self) -> &State {
        &self.known.as_ref().expect("checked by Mesh::follower").0
    }

    /// Whose channel it is.
    ///
    /// # Panics
    /// Never, as [`Follower::state`].
    #[allow(clippy::expect_used)]
    pub fn owner(&self) -> &Login {
        &self.known.as_ref().expect("checked by Mesh::follower").1
    }

    pub(super) fn head(&self) -> Option<Position> {
        self.known.as_ref().map(|(state, _)| state.head())
    }

    pub(super) fn known(&self) -> Option<&State> {
        self.known.as_ref().map(|(state, _)| state)
    }

    pub(super) fn unwanted(&mut self, now_ms: u64) {
        self.unwanted_ms = Some(now_ms);
    }

    pub(super) fn cut_off(&mut self) {
        self.is_current = false;
    }
}

impl Mesh {
    pub(super) fn want(&mut self, now: Now, name: ChannelName, out: &mut Vec<Output>) {
        let channel = self.channels.entry(name.clone()).or_default();
        match &mut channel.follower {
            Some(follower) => follower.unwanted_ms = None,
            None => {
                channel.follower = Some(Follower::new());
                self.subscribe(now, &name, out);
            }
        }
    }

    /// Asks the home for the channel, where readers are here.
    pub(super) fn subscribe(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) {
        let Some(follower) = self.channels.get_mut(name).and_then(|channel| channel.follower.as_mut()) else { return };
        (follower.is_current, follower.asked_ms) = (false, now.mono_ms);
        let from = follower.head();
        if let Some(home) = self.standing.home_of(name) {
            self.send(home, Message::Sub { channel: name.clone(), from }, out);
        }
    }

    pub(super) fn sweep_follower(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) {
        let home = self.standing.home_of(name);
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(follower) = &mut channel.follower else { return };
        if follower.unwanted_ms.is_some_and(|since| since + LINGER_MS <= now.mono_ms) {
            channel.follower = None;
            if let Some(home) = home {
                self.send(home, Message::Unsub { channel: name.clone() }, out);
            }
            return;
        }
        let is_lost = home.is_none_or(|home| home != self.standing.me() && !self.standing.reaches(home, now.mono_ms));
        follower.is_current &= !is_lost;
        if !follower.is_current && follower.asked_ms + RETRY_MS <= now.mono_ms {
            self.subscribe(now, name, out);
        }
    }

    pub(super) fn joined(
        &mut self,
        now: Now,
        from: NodeId,
        name: ChannelName,
        (epoch, is_new): (u64, bool),
        follow: Follow,
        out: &mut Vec<Output>,
    ) {
        let limits = self.limits.clone();
        let Some(channel) = self.channels.get_mut(&name).filter(|channel| epoch >= channel.fenced) else { return };
        let Some(follower) = &mut channel.follower else { return };
        let shown = follower.head();
        let events = follow.tail.events.clone();
        match &mut follower.known {
            Some((state, _)) if follow.continues => {
                let shown = state.head();
                let new: Vec<_> = events.into_iter().filter(|event| event.position > shown).collect();
                if !show(state, &name, new, now, out) {
                    // Whatever the home thinks that is here: the next answer is to be whole.
                    follower.is_current = false;
                    return self.send(from, Message::Sub { channel: name, from: None }, out);
                }
            }
            known => {
                let owner = follow.owner.clone();
                *known = Some((restore(limits, follow, now), owner));
                if let Some((shown, head)) = shown.zip(follower.head()) {
                    catch_up(&name, shown, head, events, out);
                }
            }
        }
        follower.is_current = is_new;
        if is_new {
            out.push(Output::Ready(name));
        }
    }

    pub(super) fn events(
        &mut self,
        now: Now,
        from: NodeId,
        name: ChannelName,
        epoch: u64,
        events: Vec<Arc<Event>>,
        out: &mut Vec<Output>,
    ) {
        let fenced = self.channels.get(&name).map_or(0, |channel| channel.fenced);
        let Some(follower) = self.channels.get_mut(&name).and_then(|channel| channel.follower.as_mut()) else {
            // It was not heard that nobody reads the channel here any more.
            return self.send(from, Message::Unsub { channel: name }, out);
        };
        let is_current = follower.is_current;
        let Some((state, _)) = follower.known.as_mut().filter(|_| epoch >= fenced) else { return };
        let shown = state.head();
        let new: Vec<_> = events.into_iter().filter(|event| event.position > shown).collect();
        if !show(state, &name, new, now, out) && is_current {
            self.subscribe(now, &name, out);
        }
    }
}

/// What a home told about a channel, as far as readers' hubs keep it.
fn restore(limits: Limits, follow: Follow, now: Now) -> State {
    let durable = Durable { roles: follow.roles.into_iter().collect(), modes: follow.modes, ..Durable::default() };
    let snapshot = Snapshot { tail: follow.tail, durable, pin: follow.pin, ..Snapshot::default() };
    State::restore(limits, snapshot, now)
}

/// Takes events that come next; whether they did.
fn show(state: &mut State, name: &ChannelName, events: Vec<Arc<Event>>, now: Now, out: &mut Vec<Output>) -> bool {
    for event in events {
        let is_next = event.position.seq == state.head().seq + 1;
        if !is_next || !state.learn(event.clone(), now) {
            return false;
        }
        out.push(Output::Show { channel: name.clone(), event });
    }
    true
}

/// Shows what is new of the end of a history; what was missed before that is said.
fn catch_up(name: &ChannelName, shown: Position, head: Position, events: Vec<Arc<Event>>, out: &mut Vec<Output>) {
    let new: Vec<_> = events.into_iter().filter(|event| event.position > shown).collect();
    let next = new.first().map_or(Position { seq: head.seq + 1, ..head }, |event| event.position);
    if next.seq <= shown.seq || head < shown {
        return out.push(Output::Restart(name.clone()));
    }
    let missed = next.seq - shown.seq - 1;
    if missed > 0 {
        let position = Position { seq: next.seq - 1, ..next };
        out.push(Output::Gap { channel: name.clone(), missed: Some(missed), position });
    }
    out.extend(new.into_iter().map(|event| Output::Show { channel: name.clone(), event }));
}
