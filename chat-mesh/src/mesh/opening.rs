//! A channel gets a home: this hub asks all others what they know, and opens when nothing that comes later can matter.

use std::collections::BTreeMap;

use freshet_proto::{
    chat::{Code, Login, Position, Submit},
    id::{ChannelName, NodeId},
};

use super::{
    Earlier, Known, Mesh, Message, Now, Output, Stored, members::rank, posts::PATIENCE_MS, running::Running,
    standby::Standby,
};
use crate::{
    home::{Home, Settings, Snapshot, State, Tail},
    moderation::Change,
};

/// How many posts may wait for a channel to open.
const MAX_WAITING: usize = 1_024;
/// After how many ms hubs are asked again that have not answered.
const AGAIN_MS: u64 = 300;
/// After how many ms a member that does not answer counts as lost, and what it alone knows with it.
const LOST_MS: u64 = 10_000;
/// For how many ms what is stored is waited for, where a hub has everything anyway.
const STORED_MS: u64 = 1_000;
/// By how much the version of what is stored rises where that is not known: more than may be on its way.
const LEAP: u64 = 1_000;
/// How many events of what readers have seen are told to a new home, at most.
const TAIL: usize = 4_096;

/// See the module.
#[derive(Debug)]
pub(super) struct Opening {
    epoch: u64,
    began_ms: u64,
    asked_ms: u64,
    known: BTreeMap<NodeId, Known>,
    stored: Option<Stored>,
    subs: BTreeMap<NodeId, Option<Position>>,
    /// With when each came.
    posts: Vec<(u64, Post)>,
}

type Post = (NodeId, u64, Box<Submit>);
type Waiting = (BTreeMap<NodeId, Option<Position>>, Vec<Post>);

impl Opening {
    /// A post waits; whether there is room for it.
    pub fn wait(&mut self, now: Now, from: NodeId, ticket: u64, submit: Box<Submit>) -> bool {
        self.drop_refused(now);
        let has_room = self.posts.len() < MAX_WAITING;
        if has_room && !self.posts.iter().any(|(_, (hub, known, _))| (*hub, *known) == (from, ticket)) {
            self.posts.push((now.mono_ms, (from, ticket, submit)));
        }
        has_room
    }

    /// Senders have been told that these were not said: they may have said them elsewhere, longer ago than homes know.
    fn drop_refused(&mut self, now: Now) {
        self.posts.retain(|(came_ms, _)| now.mono_ms < came_ms + PATIENCE_MS);
    }

    /// A hub with readers waits.
    pub fn subscribe(&mut self, from: NodeId, has: Option<Position>) {
        self.subs.insert(from, has);
    }

    /// Whether its epoch is newer than anything that is known: else the members that this hub knows are too old.
    fn outdoes(&self, standby: Option<&Standby>) -> bool {
        let last = |tail: &Tail| tail.events.last().map_or(0, |event| event.position.epoch);
        let known = self.known.values().map(|known| match known {
            Known::Nothing => 0,
            Known::Seen(tail) => last(tail),
            Known::Whole { snapshot, .. } => last(&snapshot.tail),
        });
        known.chain(standby.map(|standby| standby.state.head().epoch)).all(|epoch| epoch < self.epoch)
    }

    /// Whoever waits.
    pub fn into_waiting(mut self, now: Now) -> Waiting {
        self.drop_refused(now);
        (self.subs, self.posts.into_iter().map(|(_, post)| post).collect())
    }
}

impl Mesh {
    /// The channel's opening, which begins now if it has not.
    pub(super) fn opening_of(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) -> &mut Opening {
        let epoch = self.standing.current().epoch;
        let channel = self.channels.entry(name.clone()).or_default();
        if channel.opening.is_none() {
            (channel.fenced, channel.fenced_ms) = (channel.fenced.max(epoch), now.mono_ms);
            out.push(Output::Open(name.clone()));
            self.ask_all(now, name, out);
        }
        let channel = self.channels.entry(name.clone()).or_default();
        channel.opening.get_or_insert_with(|| Opening {
            epoch,
            began_ms: now.mono_ms,
            asked_ms: now.mono_ms,
            known: BTreeMap::new(),
            stored: None,
            subs: BTreeMap::new(),
            posts: Vec::new(),
        })
    }

    /// Asks those that have not answered.
    fn ask_all(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) {
        let epoch = self.standing.current().epoch;
        let opening = self.channels.get(name).and_then(|channel| channel.opening.as_ref());
        let has_answered = |hub: &NodeId| opening.is_some_and(|opening| opening.known.contains_key(hub));
        let to: Vec<_> = self.standing.others(now.mono_ms).into_iter().filter(|hub| !has_answered(hub)).collect();
        for hub in to {
            self.send(hub, Message::Takeover { channel: name.clone(), epoch }, out);
        }
    }

    /// Another hub is to be the home: tells it everything, and listens to no earlier one any more.
    pub(super) fn asked_by_new_home(
        &mut self,
        now: Now,
        name: ChannelName,
        from: NodeId,
        epoch: u64,
        out: &mut Vec<Output>,
    ) {
        self.standing.hear_of(epoch);
        self.standing.knows(from, epoch, now.mono_ms);
        let channel = self.channels.entry(name.clone()).or_default();
        if epoch < channel.fenced {
            return;
        }
        (channel.fenced, channel.fenced_ms) = (epoch, now.mono_ms);
        channel.opening.take_if(|opening| opening.epoch < epoch);
        let mut waiting = Vec::new();
        if let Some(running) = channel.running.take_if(|running| running.epoch() < epoch) {
            let (standby, posts) = running.into_standby();
            (channel.standby, waiting) = (Some(standby), posts);
        }
        let known = match (&mut channel.standby, &channel.follower) {
            (Some(standby), _) => {
                standby.handed_over();
                let snapshot = Box::new(standby.state.snapshot(now).fit());
                Known::Whole { epoch: standby.epoch, owner: standby.owner.clone(), snapshot }
            }
            (None, Some(follower)) => {
                follower.known().map_or(Known::Nothing, |state| Known::Seen(state.history().tail(TAIL)))
            }
            (None, None) => Known::Nothing,
        };
        self.send(from, Message::Tail { channel: name, epoch, known: Box::new(known) }, out);
        self.send_all(waiting, out);
    }

    pub(super) fn tail(
        &mut self,
        now: Now,
        name: ChannelName,
        from: NodeId,
        epoch: u64,
        known: Known,
        out: &mut Vec<Output>,
    ) {
        self.standing.knows(from, epoch, now.mono_ms);
        let opening = self.channels.get_mut(&name).and_then(|channel| channel.opening.as_mut());
        let Some(opening) = opening.filter(|opening| opening.epoch == epoch) else { return };
        opening.known.insert(from, known);
        self.try_to_open(now, &name, out);
    }

    pub(super) fn opened(&mut self, now: Now, name: ChannelName, stored: Option<Box<Stored>>, out: &mut Vec<Output>) {
        let Some(channel) = self.channels.get_mut(&name) else { return };
        if channel.running.is_some() {
            return self.looked(now, &name, stored, out);
        }
        match stored {
            Some(stored) => {
                if let Some(opening) = &mut channel.opening {
                    opening.stored = Some(*stored);
                }
                self.try_to_open(now, &name, out);
            }
            None => {
                let Some(opening) = channel.opening.take() else { return };
                for (from, ticket, _) in opening.into_waiting(now).1 {
                    let answer = Err(Code::NoSuchChannel.into());
                    self.send(from, Message::Answer { ticket, answer }, out);
                }
            }
        }
    }

    pub(super) fn try_to_open(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) {
        let opening = self.channels.get_mut(name).and_then(|channel| channel.opening.as_mut());
        let Some(opening) = opening else { return };
        if opening.asked_ms + AGAIN_MS <= now.mono_ms {
            opening.asked_ms = now.mono_ms;
            self.ask_all(now, name, out);
        }
        if !self.may_open(now, name) {
            return;
        }
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(opening) = channel.opening.take_if(|opening| opening.outdoes(channel.standby.as_ref())) else {
            return;
        };
        let seen =
            channel.follower.as_ref().and_then(|follower| follower.known()).map(|state| state.history().tail(TAIL));
        let hub = self.standing.current().hubs.get(&self.standing.me()).map_or(0, |member| member.number);
        let Some(mut found) = Found::new(&opening, channel.standby.take(), seen, now) else { return };
        let changes = found.unstored(opening.stored.as_ref());
        let mut settings = Settings::new(name.clone(), found.owner.clone(), hub.into());
        settings.limits = self.limits.clone();
        let own = State::restore(self.limits.clone(), found.own, now);
        let Ok(home) = Home::take_over(settings, opening.epoch, own, found.tails, now) else { return };
        for (version, change) in changes {
            out.push(Output::Store { channel: name.clone(), epoch: opening.epoch, version, change });
        }
        let stored = opening.stored.as_ref().map(|stored| stored.durable.version);
        self.begin(now, name, Running::new(home, found.owner, stored), opening, out);
    }

    /// Whether nothing that comes later can matter.
    fn may_open(&self, now: Now, name: &ChannelName) -> bool {
        let Some(channel) = self.channels.get(name) else { return false };
        let Some(opening) = &channel.opening else { return false };
        let (members, now_ms) = (self.standing.current(), now.mono_ms);
        let has = |hub: &NodeId| *hub == self.standing.me() || opening.known.contains_key(hub);
        let is_known =
            channel.standby.is_some() || opening.known.values().any(|known| matches!(known, Known::Whole { .. }));
        let is_stored = opening.stored.is_some() || is_known && now_ms >= opening.began_ms + STORED_MS;
        self.is_mine(now, name)
            && opening.epoch == members.epoch
            && is_stored
            && members.earlier().all(|set| self.standing.is_over(set, now_ms) || has_ended(set, name, &has))
            && self.standing.is_settled(now_ms)
            && (members.hubs.keys().all(has) || now_ms >= opening.began_ms + LOST_MS)
    }
}

/// Whether the home of an earlier set can make nothing stand any more: it has answered, or every hub that it could have
/// for a standby has.
fn has_ended(set: &Earlier, name: &ChannelName, has: &impl Fn(&NodeId) -> bool) -> bool {
    let ranked = rank(&set.hubs, name);
    let mut ranked = ranked.iter();
    ranked.next().is_none_or(has) || ranked.len() > 0 && ranked.all(has)
}

/// What is known of the channel altogether.
struct Found {
    owner: Login,
    own: Snapshot,
    tails: Vec<Tail>,
}

impl Found {
    /// `None` where nobody knows whose channel it is.
    fn new(opening: &Opening, own: Option<Standby>, seen: Option<Tail>, now: Now) -> Option<Self> {
        let mut wholes: Vec<(u64, Login, Snapshot)> = Vec::new();
        wholes.extend(own.map(|own| (own.epoch, own.owner, own.state.snapshot(now))));
        let mut tails: Vec<Tail> = seen.into_iter().collect();
        for known in opening.known.values() {
            match known {
                Known::Whole { epoch, owner, snapshot } => wholes.push((*epoch, owner.clone(), (**snapshot).clone())),
                Known::Seen(tail) => tails.push(tail.clone()),
                Known::Nothing => {}
            }
        }
        let head = |snapshot: &Snapshot| snapshot.tail.events.last().map(|event| event.position);
        wholes.sort_by_key(|(epoch, _, snapshot)| (*epoch, head(snapshot), snapshot.durable.version));
        let best = wholes.pop();
        tails.extend(wholes.into_iter().map(|(_, _, snapshot)| snapshot.tail));
        let stored = opening.stored.clone();
        let Some((_, owner, mut own)) = best else {
            let Stored { owner, durable } = stored?;
            return Some(Self { owner, own: Snapshot { durable, ..Snapshot::default() }, tails });
        };
        match stored {
            Some(stored) if stored.durable.version > own.durable.version => own.durable = stored.durable,
            Some(_) => {}
            None => own.durable.version += LEAP,
        }
        Some(Self { owner, own, tails })
    }

    /// What an earlier home did that was not stored, as the changes that make up for it; they are numbered on from what is
    /// stored, and the present version is at least theirs.
    fn unstored(&mut self, stored: Option<&Stored>) -> Vec<(u64, Change)> {
        let durable = &mut self.own.durable;
        let Some(stored) = stored.filter(|stored| stored.durable.version < durable.version) else { return Vec::new() };
        let numbered: Vec<_> = (stored.durable.version + 1..).zip(durable.since(&stored.durable)).collect();
        durable.version = numbered.last().map_or(durable.version, |(last, _)| durable.version.max(*last));
        numbered
    }
}
