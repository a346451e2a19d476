//! This hub is a channel's home: what it orders goes to the standby at once, and to hubs with readers when it stands.

mod standby;
mod stored;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use freshet_proto::{
    chat::{Event, Login, Note, Notice, Position, Submit, To},
    id::{ChannelName, NodeId},
};

use super::{Follow, Mesh, Message, Now, Output, opening::Opening, standby::Standby};
use crate::{
    home::{Home, Input as HomeInput, Output as HomeOutput, Record, Resume, State, Tail},
    moderation::Change,
};

/// How often the standby hears something, in ms, so that it keeps what it has.
const TELL_STANDBY_MS: u64 = 20_000;
/// How many events a hub is told that comes without any.
const JOINED_EVENTS: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Running {
    home: Home,
    owner: Login,
    /// The hubs that have readers.
    subs: BTreeSet<NodeId>,
    /// Hubs that ask for the channel before anything stands.
    early: BTreeMap<NodeId, Option<Position>>,
    standby: Option<NodeId>,
    /// What the standby has, in this epoch.
    has: Position,
    /// What the home was told of that: nothing is told while this hub may not act.
    answered: Position,
    /// Up to where events stand, and readers were told.
    stands: Position,
    /// What it knew when it began. Others know it too, so readers are told nothing before all of that stands.
    began: Position,
    is_open: bool,
    /// The posts that wait for an answer: whose, and what they call it.
    tickets: BTreeMap<u64, (NodeId, u64)>,
    next_ticket: u64,
    /// Changes that are stored once this stands: what is stored is never ahead of the log. As many as may wait at the home.
    unstored: VecDeque<(Position, u64, Change)>,
    /// When the standby was last told something, and everything.
    told_ms: u64,
    whole_ms: u64,
    /// Up to which version everything is stored; `None` where the channel was opened without that being known.
    stored: Option<u64>,
    /// What is stored is being looked at, in this version.
    looks: Option<u64>,
}

impl Running {
    /// `stored` is the version up to which everything is stored, where it is known.
    pub fn new(home: Home, owner: Login, stored: Option<u64>) -> Self {
        let began = home.state().head();
        Self {
            home,
            owner,
            subs: BTreeSet::new(),
            early: BTreeMap::new(),
            standby: None,
            has: Position::default(),
            answered: Position::default(),
            stands: Position::default(),
            began,
            is_open: false,
            tickets: BTreeMap::new(),
            next_ticket: 0,
            unstored: VecDeque::new(),
            told_ms: 0,
            whole_ms: 0,
            stored,
            looks: None,
        }
    }

    pub fn epoch(&self) -> u64 {
        self.home.epoch()
    }

    pub fn state(&self) -> &State {
        self.home.state()
    }

    pub fn state_mut(&mut self) -> &mut State {
        self.home.state_mut()
    }

    pub fn standby(&self) -> Option<NodeId> {
        self.standby
    }

    /// Whether somebody reads or waits, or something is not yet as it shall be.
    pub fn is_busy(&self, now: Now) -> bool {
        let waits = !(self.tickets.is_empty() && self.unstored.is_empty() && self.looks.is_none());
        let lacks = self.standby.is_some() && self.has < self.state().head();
        let is_read = !(self.subs.is_empty() && self.early.is_empty());
        is_read || waits || lacks || !self.is_open || self.home.deadline_ms(now).is_some()
    }

    pub fn unsub(&mut self, hub: NodeId) {
        self.subs.remove(&hub);
        self.early.remove(&hub);
    }

    /// What is left when another is the home; and those whose posts wait, which are to be sent there.
    pub fn into_standby(self) -> (Standby, Vec<(NodeId, Message)>) {
        let epoch = self.epoch();
        let waiting = self.tickets.into_values().map(|(hub, ticket)| (hub, Message::NotHome { ticket }));
        (Standby::of_home(self.home.into_state(), self.owner, epoch), waiting.collect())
    }

    fn whole(&self, name: &ChannelName, now: Now) -> Message {
        let snapshot = Box::new(self.home.snapshot(now).fit());
        Message::Whole { channel: name.clone(), epoch: self.epoch(), owner: self.owner.clone(), snapshot }
    }

    /// Does what the home wants done.
    fn carry_out(&mut self, name: &ChannelName, did: Vec<HomeOutput>, out: &mut Vec<Output>) -> Vec<(NodeId, Message)> {
        let (mut messages, mut records) = (Vec::new(), Vec::new());
        for output in did {
            match output {
                HomeOutput::Record(record) => {
                    if let Record::Change { version, change } = &record {
                        self.unstored.push_back((self.home.state().head(), *version, change.clone()));
                    }
                    records.push(record);
                }
                HomeOutput::Answer { ticket, answer } => {
                    if let Some((hub, ticket)) = self.tickets.remove(&ticket) {
                        messages.push((hub, Message::Answer { ticket, answer }));
                    }
                }
                HomeOutput::Notice(notice) => messages.extend(
                    self.subs
                        .iter()
                        .map(|hub| (*hub, Message::Notice { channel: name.clone(), notice: notice.clone() })),
                ),
                HomeOutput::Log(entry) => out.push(Output::Log { channel: name.clone(), entry }),
            }
        }
        if let Some(standby) = self.standby.filter(|_| !records.is_empty()) {
            messages.push((standby, Message::Records { channel: name.clone(), epoch: self.epoch(), records }));
        }
        messages
    }

    /// Tells readers' hubs what stands now.
    fn stand(&mut self, name: &ChannelName, members: u64, now: Now) -> Vec<(NodeId, Message)> {
        let stands = if self.standby.is_some() { self.has } else { self.home.state().head() };
        if stands < self.stands.max(self.began) {
            return Vec::new();
        }
        let (was, epoch) = (std::mem::replace(&mut self.stands, stands), self.epoch());
        if !std::mem::replace(&mut self.is_open, true) {
            let early = std::mem::take(&mut self.early);
            return early.into_iter().map(|(hub, from)| (hub, self.join(name, hub, from, members, now))).collect();
        }
        let events = between(self.home.state(), was, stands);
        if events.is_empty() {
            return Vec::new();
        }
        let tell = |hub: &NodeId| (*hub, Message::Events { channel: name.clone(), epoch, events: events.clone() });
        self.subs.iter().map(tell).collect()
    }

    /// Has stored what stands.
    fn store(&mut self, name: &ChannelName, out: &mut Vec<Output>) {
        while let Some((_, version, change)) = self.unstored.pop_front_if(|(position, ..)| *position <= self.stands) {
            out.push(Output::Store { channel: name.clone(), epoch: self.epoch(), version, change });
        }
    }

    fn join(&mut self, name: &ChannelName, hub: NodeId, from: Option<Position>, members: u64, now: Now) -> Message {
        self.subs.insert(hub);
        let state = self.home.state();
        let history = state.history();
        let starts = history.tail(0).starts;
        let replay = from.and_then(|from| match history.resume(from) {
            // What stands already, and does not begin anew below what the hub has.
            Resume::Replay(events) if events.first().is_none_or(|event| event.position.seq == from.seq + 1) => {
                Some(events)
            }
            _ => None,
        });
        let continues = replay.is_some();
        let events = match replay {
            Some(events) => events.into_iter().filter(|event| event.position <= self.stands).collect(),
            None => last(state, self.stands, JOINED_EVENTS),
        };
        let durable = state.durable();
        let follow = Follow {
            continues,
            tail: Tail { starts, events },
            owner: self.owner.clone(),
            roles: durable.roles.iter().map(|(login, role)| (login.clone(), *role)).collect(),
            modes: durable.modes.clone(),
            pin: state.pin(now.wall_ms).cloned(),
        };
        Message::Joined { channel: name.clone(), epoch: self.epoch(), members, follow: Box::new(follow) }
    }
}

/// The events after one position, up to and with another.
fn between(state: &State, after: Position, to: Position) -> Vec<Arc<Event>> {
    let newest = state.history().iter().rev().skip_while(|event| event.position > to);
    let mut events: Vec<_> = newest.take_while(|event| event.position > after).cloned().collect();
    events.reverse();
    events
}

/// The last events up to and with a position.
fn last(state: &State, to: Position, count: usize) -> Vec<Arc<Event>> {
    let newest = state.history().iter().rev().skip_while(|event| event.position > to);
    let mut events: Vec<_> = newest.take(count).cloned().collect();
    events.reverse();
    events
}

impl Mesh {
    pub(super) fn submitted(
        &mut self,
        now: Now,
        from: NodeId,
        ticket: u64,
        submit: Box<Submit>,
        out: &mut Vec<Output>,
    ) {
        let name = submit.channel.clone();
        if !self.is_mine(now, &name) {
            return self.send(from, Message::NotHome { ticket }, out);
        }
        let channel = self.channels.entry(name.clone()).or_default();
        let Some(running) = &mut channel.running else {
            if !self.opening_of(now, &name, out).wait(now, from, ticket, submit) {
                self.send(from, Message::NotHome { ticket }, out);
            }
            return;
        };
        running.next_ticket += 1;
        let number = running.next_ticket;
        running.tickets.insert(number, (from, ticket));
        self.home_input(now, &name, HomeInput::Submit { ticket: number, submit }, out);
    }

    /// Whether this hub may order the channel's events now.
    pub(super) fn is_mine(&self, now: Now, name: &ChannelName) -> bool {
        self.standing.acts(now.mono_ms) && self.standing.home_of(name) == Some(self.standing.me())
    }

    pub(super) fn sub(
        &mut self,
        now: Now,
        name: ChannelName,
        from: NodeId,
        has: Option<Position>,
        out: &mut Vec<Output>,
    ) {
        if !self.is_mine(now, &name) {
            return;
        }
        let members = self.standing.current().epoch;
        let channel = self.channels.entry(name.clone()).or_default();
        match &mut channel.running {
            Some(running) if running.is_open => {
                let joined = running.join(&name, from, has, members, now);
                self.send(from, joined, out);
            }
            Some(running) => drop(running.early.insert(from, has)),
            None => self.opening_of(now, &name, out).subscribe(from, has),
        }
    }

    /// Gives the home an input, and does what comes of it.
    fn home_input(&mut self, now: Now, name: &ChannelName, input: HomeInput, out: &mut Vec<Output>) {
        let members = self.standing.current().epoch;
        let Some(running) = self.channels.get_mut(name).and_then(|channel| channel.running.as_mut()) else { return };
        let mut did = Vec::new();
        running.home.handle(now, input, &mut did);
        let mut messages = running.carry_out(name, did, out);
        messages.extend(running.stand(name, members, now));
        running.store(name, out);
        self.send_all(messages, out);
    }

    /// Tells moderators at another hub what waits for them; one who has just come need not be told that nothing does. It goes the way of what begins to wait and of decisions, so none of
    /// these overtakes it.
    pub(super) fn tell_waiting(&mut self, from: NodeId, name: ChannelName, to: To, out: &mut Vec<Output>) {
        let running = self.channels.get(&name).and_then(|channel| channel.running.as_ref());
        let Some(running) = running else { return };
        let messages: Vec<_> = running.state().held().map(|held| held.message.clone()).collect();
        if messages.is_empty() && matches!(to, To::User(_)) {
            return;
        }
        let notice = Notice { to, note: Note::Waiting { messages } };
        self.send(from, Message::Notice { channel: name, notice }, out);
    }

    /// What becomes of the channel here now that the members are others.
    pub(super) fn moved(&mut self, now: Now, name: &ChannelName, is_next: bool, out: &mut Vec<Output>) {
        let is_home = self.standing.home_of(name) == Some(self.standing.me());
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.opening = None;
        if let Some(running) = channel.running.take_if(|_| !(is_home && is_next)) {
            let (standby, waiting) = running.into_standby();
            channel.standby = Some(standby);
            self.send_all(waiting, out);
        }
        self.give_standby(now, name, None, out);
    }

    pub(super) fn sweep_home(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) {
        self.try_to_open(now, name, out);
        if !self.is_mine(now, name) {
            return;
        }
        self.give_standby(now, name, None, out);
        // This hub could not act when the standby told.
        self.answer(now, name, out);
        let Some(running) = self.channels.get_mut(name).and_then(|channel| channel.running.as_mut()) else { return };
        if let Some(standby) = running.standby.filter(|_| running.told_ms + TELL_STANDBY_MS <= now.mono_ms) {
            running.told_ms = now.mono_ms;
            let records = Message::Records { channel: name.clone(), epoch: running.epoch(), records: Vec::new() };
            return self.send(standby, records, out);
        }
        if running.home.deadline_ms(now).is_some_and(|deadline| deadline <= now.mono_ms) {
            self.home_input(now, name, HomeInput::Timeout, out);
        }
    }

    /// The channel is open: gives it its standby, its readers and the posts that waited.
    pub(super) fn begin(
        &mut self,
        now: Now,
        name: &ChannelName,
        running: Running,
        opening: Opening,
        out: &mut Vec<Output>,
    ) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        out.push(Output::Home { channel: name.clone(), epoch: running.epoch() });
        (channel.running, channel.standby) = (Some(running), None);
        let (subs, posts) = opening.into_waiting(now);
        if let Some(running) = &mut channel.running {
            running.early = subs;
        }
        self.give_standby(now, name, None, out);
        // Without a standby, everything stands.
        self.home_input(now, name, HomeInput::Timeout, out);
        for (from, ticket, submit) in posts {
            self.submitted(now, from, ticket, submit, out);
        }
    }
}
