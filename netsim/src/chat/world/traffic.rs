//! What hubs are told and what they want: messages between them, and what goes to readers and to the control plane.

use std::hash::Hash;

use freshet_chat_mesh::{
    home::Record,
    mesh::{Input, Known, Message, Output, Stored, TELL_MS},
    presence,
};
use freshet_proto::{
    chat::{Position, What},
    id::ChannelName,
};

use super::{
    super::{Bug, judge::digest, people},
    Happening, World,
};

impl World<'_> {
    pub(super) fn send(&mut self, from: usize, to: usize, mut message: Message) {
        if self.bug == Some(Bug::LeasesForEver)
            && let Message::Tell { epoch, .. } = &mut message
        {
            *epoch = (*epoch).min(3);
        }
        if message.lane().is_none() {
            return self.send_datagram(from, to, message);
        }
        let ordered = self.bug != Some(Bug::LanesUnordered);
        let delay = self.delay();
        let tells = matches!(&message, Message::Tail { known, .. } if matches!(**known, Known::Whole { .. }));
        let delay = delay + if tells && self.bug == Some(Bug::TailsLate) { 3_000 } else { 0 };
        let at = self.lanes.send((from, to), self.now_ms, delay, &message, ordered);
        if let (Some(at), Some(life)) = (at, self.life(to)) {
            let input = Input::Message { from: Self::id(from), message };
            self.at(at, Happening::Input(to, life, Box::new(input)));
        }
    }

    /// A datagram has no lane: it is lost where nothing comes through, and now and then until all is well.
    pub(super) fn send_datagram(&mut self, from: usize, to: usize, message: Message) {
        self.datagrams += 1;
        let is_lost = self.now_ms < self.plan.healed_ms && self.datagrams.is_multiple_of(7);
        if is_lost || !self.lanes.passes((from, to)) {
            return;
        }
        if let Some(life) = self.life(to) {
            let at = self.now_ms + 1 + self.datagrams % self.plan.delay_ms.max(1);
            let input = Input::Message { from: Self::id(from), message };
            self.at(at, Happening::Input(to, life, Box::new(input)));
        }
    }

    /// Tells a hub who reads there, when it is time: one more at each, one user of its own and one who is everywhere.
    pub(super) fn readers(&mut self, hub: usize) {
        let now_ms = self.now_ms;
        let Some(slot) = self.hubs[hub].as_mut().filter(|slot| slot.tells_ms <= now_ms) else { return };
        slot.tells_ms = now_ms + TELL_MS;
        for n in 0..self.plan.channels {
            let users = [format!("reader{hub}"), "everywhere".to_owned()];
            let users = users.iter().filter_map(|name| Some(presence::hash(&name.parse().ok()?))).collect();
            let connections = u32::try_from(hub).unwrap_or_default() + 2;
            self.input(hub, Input::Readers { channel: people::channel(n), connections, users });
        }
    }

    pub(super) fn input(&mut self, hub: usize, input: Input) {
        let now = self.now_of(hub);
        let Some(slot) = &mut self.hubs[hub] else { return };
        if let Some(backlog) = &mut slot.backlog {
            if !matches!(input, Input::Timeout) {
                backlog.push(input);
            }
            return;
        }
        let mut out = Vec::new();
        if let Some(input) = spoilt(self.bug, input) {
            slot.mesh.handle(now, input, &mut out);
        }
        for output in out {
            self.output(hub, output);
        }
        self.note_homes(hub);
    }

    pub(super) fn note_homes(&mut self, hub: usize) {
        let Some(slot) = &self.hubs[hub] else { return };
        let homes: Vec<_> = slot.mesh.homes().map(|(channel, epoch)| (channel.clone(), epoch)).collect();
        for (channel, epoch) in homes {
            let known = self.homes.get(&channel).copied();
            if known.is_none_or(|(_, newest)| newest < epoch) {
                self.homes.insert(channel.clone(), (hub, epoch));
                self.sometimes.homes += u64::from(known.is_some());
                self.tell(format!("hub {hub} is home of {channel} in {epoch}"));
            }
        }
    }

    pub(super) fn output(&mut self, hub: usize, output: Output) {
        match output {
            Output::Send { to, message } => {
                let to = Self::index(to);
                let lies = self.bug == Some(Bug::StandbyLies);
                if let Message::Records { channel, epoch, records } = &message
                    && lies
                    && let Some(position) = records.iter().rev().find_map(position_of)
                {
                    // It is said to have them, and never gets them.
                    let has = Message::Has { channel: channel.clone(), epoch: *epoch, position };
                    return self.send(to, hub, has);
                }
                self.send(hub, to, message);
            }
            Output::Show { channel, event } => {
                (hub, event.position.epoch, event.position.seq, digest(&event)).hash(&mut self.hasher);
                self.judge.shown(hub, &channel, &event);
                if let What::User { login, action, .. } = &event.what {
                    self.tell(format!("hub {hub} shows {channel} {}: {login} {action:?}", event.position));
                }
            }
            Output::Gap { channel, missed, position } => {
                self.tell(format!("hub {hub}: a gap of {missed:?} in {channel} before what follows {position}"));
                self.sometimes.gaps += 1;
                self.judge.gap(hub, &channel, position);
            }
            Output::Restart(channel) => {
                self.tell(format!("hub {hub}: {channel} begins anew"));
                self.sometimes.gaps += 1;
                let head = self.head(hub, &channel);
                self.judge.restart(hub, &channel, head);
            }
            Output::Count { channel, connections, users } => {
                if let Some(slot) = &mut self.hubs[hub] {
                    slot.counts.insert(channel, (connections, users));
                }
            }
            Output::Answer { ticket, answer } => self.answer(hub, ticket, answer),
            Output::Open(channel) => {
                if let Some(slot) = &mut self.hubs[hub] {
                    slot.opens.insert(channel);
                }
            }
            Output::Store { channel, epoch, version, change } => {
                if let Some(slot) = &mut self.hubs[hub] {
                    slot.stores.push((channel, epoch, version, change));
                }
            }
            Output::Ready(_) | Output::Home { .. } | Output::Notice { .. } | Output::Log { .. } | Output::Left => {}
        }
    }

    pub(super) fn head(&self, hub: usize, channel: &ChannelName) -> Position {
        let follower = self.hubs[hub].as_ref().and_then(|hub| hub.mesh.follower(channel));
        follower.map_or(Position::default(), |follower| follower.state().head())
    }

    /// Brings what a hub wants stored or read to the control plane.
    pub(super) fn store(&mut self, hub: usize) {
        if self.control.is_out || !self.reaches_control(hub) {
            return;
        }
        let wall_ms = self.now_of(hub).wall_ms;
        let Some(slot) = self.hubs[hub].as_mut().filter(|slot| slot.backlog.is_none()) else { return };
        let (life, stores, opens) = (slot.life, std::mem::take(&mut slot.stores), std::mem::take(&mut slot.opens));
        for (channel, epoch, version, change) in stores {
            if self.control.store(&channel, epoch, version, &change, wall_ms) {
                let at = self.now_ms + self.delay();
                self.at(
                    at,
                    Happening::Input(hub, life, Box::new(Input::Stored { channel, version, lacks: Vec::new() })),
                );
            }
        }
        for channel in opens {
            let stored: Stored = self.control.open(&channel);
            let at = self.now_ms + self.delay();
            let opened = Input::Opened { channel, stored: Some(Box::new(stored)) };
            self.at(at, Happening::Input(hub, life, Box::new(opened)));
        }
    }
}

fn position_of(record: &Record) -> Option<Position> {
    match record {
        Record::Event(event) => Some(event.position),
        _ => None,
    }
}

/// What a hub hears when a bug is in.
fn spoilt(bug: Option<Bug>, input: Input) -> Option<Input> {
    match (bug, input) {
        (Some(Bug::LeasesForEver), Input::Lease { epoch, .. }) => Some(Input::Lease { until_ms: u64::MAX, epoch }),
        (Some(Bug::FenceIgnored), Input::Message { message: Message::Takeover { .. }, .. }) => None,
        (_, input) => Some(input),
    }
}
