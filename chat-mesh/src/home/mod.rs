//! The home of one channel: it alone puts the channel's events in order.
//!
//! ```text
//! Submit ──known already? banned? modes, slow, unique, links, terms, hold, limit──▶ Record::Event ──▶ standby, hubs
//!                                      └──▶ Answer: refused                 StandbyHas ──▶ Answer: accepted
//! /command ──may they?──▶ Record::Change ──▶ standby, whoever stores it     Stored ──────▶ Answer: accepted
//! ```
//! Four promises, held by the tests against a model:
//! - no two events have one position: a home is fenced by its epoch, and counts on from the greatest position that any hub
//!   knows;
//! - what was acknowledged is known to the standby, so it outlives either of the two; without a standby the home answers
//!   at once, and for itself;
//! - a post that comes again within a minute is the same post, at the next home too;
//! - what moderators do stands in the same order, so nothing overtakes it.
//!
//! No I/O and no clock: time is an argument ([`Now`]).

mod act;
mod gate;
mod history;
pub mod pace;
mod pending;
mod recent;
mod state;
mod takeover;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use freshet_proto::{
    chat::{
        Accepted, Answer, Code, Event, Login, Note, Notice, Origin, Position, Refusal, Role, Snowflake, Submit, To,
        What,
    },
    id::ChannelName,
};

use self::pace::Bucket;
pub use self::{
    history::{History, Limits, Resume, Tail},
    pending::Pending,
    recent::{Outcome, Recent},
    state::{Record, Snapshot, State},
    takeover::StaleEpoch,
};
use crate::moderation::{Change, Held, LogEntry};

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By a clock that never jumps, in ms: what intervals go by.
    pub mono_ms: u64,
    /// In ms since 1970: what is shown, and what bans end by.
    pub wall_ms: u64,
}

/// What a home must be told about its channel.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub channel: ChannelName,
    /// Whose it is.
    pub owner: Login,
    /// The number of the hub: message ids have it.
    pub hub: u64,
    /// How much is kept.
    pub limits: Limits,
    /// How many messages a second the channel takes; moderators are not counted.
    pub rate: u32,
}

impl Settings {
    /// Those of a channel with the default limits: 200 messages a second.
    pub fn new(channel: ChannelName, owner: Login, hub: u64) -> Self {
        Self { channel, owner, hub, limits: Limits::default(), rate: 200 }
    }
}

/// What happens to a home.
#[derive(Debug, Clone)]
pub enum Input {
    /// A post. `ticket` comes back with its answer.
    Submit {
        /// Chosen by the shell.
        ticket: u64,
        /// The post.
        submit: Box<Submit>,
    },
    /// This hub is the standby now, and has the snapshot; or there is none.
    Standby(Option<u64>),
    /// A hub has everything up to there. Counts only from the standby.
    StandbyHas {
        /// Which hub.
        hub: u64,
        /// Up to where.
        position: Position,
    },
    /// Every change up to this version is stored, but for some.
    Stored {
        /// Of [`crate::moderation::Durable`].
        version: u64,
        /// Changes among them that can't be kept: roles of somebody without an account, or where nobody owns the channel.
        lacks: Vec<(u64, Change)>,
    },
    /// What is stored says that these have roles, and nothing that this home did is still to be stored: some were given or
    /// taken outside of chat.
    Roles(BTreeMap<Login, Role>),
    /// The deadline has passed.
    Timeout,
    /// The home is to be handed over: it takes no more posts. What stands is still acknowledged.
    Stop,
}

/// What a home wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// To the standby; events also to every hub with interest, changes also to whoever stores them.
    Record(Record),
    /// How a post went.
    Answer {
        /// Which.
        ticket: u64,
        /// How.
        answer: Answer,
    },
    /// What only some are told.
    Notice(Notice),
    /// For the moderation log.
    Log(LogEntry),
}

/// How many admins that have spoken here are remembered, so that nobody tries to ban them.
pub(super) const MAX_ADMINS: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Home {
    settings: Settings,
    epoch: u64,
    state: State,
    ids: Snowflake,
    pending: Pending,
    bucket: Bucket,
    standby: Option<(u64, Position)>,
    admins: BTreeSet<Login>,
    /// Whose roles are in force and can't be kept, and where they were given, 0.0 where
    /// that is not known: what is stored says nothing of these.
    unkept: BTreeMap<Login, Position>,
    stopped: bool,
}

/// A post that stands, and the version that must be stored before it is acknowledged.
struct Posted {
    accepted: Accepted,
    version: Option<u64>,
}

impl Home {
    /// What is known of the channel: history, bans, modes, pin.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The same, to make it shorter.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// What it knew, when it is the home no more.
    pub fn into_state(self) -> State {
        self.state
    }

    /// The epoch it orders in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Everything, for a standby or for the next home. The records that follow continue it.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        self.state.snapshot(now)
    }

    /// When [`Input::Timeout`] is wanted, by the monotonic clock.
    pub fn deadline_ms(&self, now: Now) -> Option<u64> {
        let held = self.state.holds.iter().map(|held| held.until_ms).min();
        let pinned = self.state.pin.as_ref().and_then(|pin| pin.until_ms);
        let wall = held.into_iter().chain(pinned).map(|until| now.mono_ms + until.saturating_sub(now.wall_ms));
        wall.chain(self.pending.deadline_ms()).min()
    }

    /// Takes what happened; appends to `out` what is to be done.
    ///
    /// A post that is taken appends its records; its answer comes with a later input, or with this one where there is no
    /// standby. A refused post appends its answer alone.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Submit { ticket, submit } => self.submit(now, ticket, *submit, out),
            Input::Standby(hub) => self.standby = hub.map(|hub| (hub, Position::default())),
            Input::StandbyHas { hub, position } => self.standby_has(hub, position),
            Input::Stored { version, lacks } => self.stored(version, &lacks),
            Input::Roles(roles) => self.told_roles(now, &roles, out),
            Input::Timeout => self.expire(now, out),
            Input::Stop => self.stopped = true,
        }
        let ready = self.pending.ready(self.standby.map(|(_, has)| has), now.mono_ms);
        out.extend(ready.into_iter().map(|(ticket, answer)| Output::Answer { ticket, answer }));
    }

    fn standby_has(&mut self, hub: u64, position: Position) {
        let head = self.state.head();
        if let Some((standby, has)) = &mut self.standby
            && *standby == hub
            && position <= head
        {
            *has = position.max(*has);
        }
    }

    fn stored(&mut self, version: u64, lacks: &[(u64, Change)]) {
        for (_, change) in lacks {
            if let Change::Role(login, Some(_)) = change
                && self.state.durable.roles.contains_key(login)
            {
                self.unkept.insert(login.clone(), self.state.history.gave_role(login).unwrap_or_default());
            }
        }
        let unkept = &self.unkept;
        self.pending.stored(version, |wanted, accepted| {
            lacks.iter().any(|(lacking, _)| *lacking == wanted) || is_unkept(unkept, accepted)
        });
    }

    fn submit(&mut self, now: Now, ticket: u64, submit: Submit, out: &mut Vec<Output>) {
        let origin = Origin { login: submit.author.user.login.clone(), nonce: submit.nonce.clone() };
        let posted = match self.state.recent.get(&origin, now.mono_ms).cloned() {
            Some(outcome) => self.again(outcome),
            None => self.post(now, submit, &origin, out),
        };
        match posted {
            Ok(posted) => self.pending.push(ticket, posted.accepted, posted.version, now.mono_ms),
            Err(refusal) => out.push(Output::Answer { ticket, answer: Err(refusal) }),
        }
    }

    /// A post that is known gets the same answer again, and waits for the same.
    fn again(&self, outcome: Outcome) -> Result<Posted, Refusal> {
        match outcome {
            Outcome::Done(_) if self.pending.count() >= 2 * Pending::MAX => Err(Code::RateLimit.into()),
            Outcome::Done(accepted) if is_unkept(&self.unkept, &accepted) => Err(Code::NotStored.into()),
            Outcome::Done(accepted) => {
                let version = accepted.done.map(|_| self.state.durable.version);
                Ok(Posted { accepted, version: version.filter(|version| !self.pending.is_stored(*version)) })
            }
            Outcome::Held => Err(Code::Held.into()),
            Outcome::Denied => Err(Code::Blocked.into()),
        }
    }

    /// Gives an event its position, and does what follows from it here.
    fn sequence(&mut self, now: Now, origin: Option<Origin>, what: What, out: &mut Vec<Output>) -> Position {
        let position = Position::new(self.epoch, self.state.head().seq + 1);
        let event = Arc::new(Event { position, at_ms: now.wall_ms, origin, what });
        self.state.show(event.clone(), now);
        out.push(Output::Record(Record::Event(event)));
        position
    }

    /// What ends by itself.
    fn expire(&mut self, now: Now, out: &mut Vec<Output>) {
        for held in self.state.holds.expire(now.wall_ms) {
            self.deny(now, held, out);
        }
        let pinned = self.state.pin.as_ref().and_then(|pin| pin.until_ms);
        if !self.stopped && pinned.is_some_and(|until| until <= now.wall_ms) {
            self.sequence(now, None, What::Pin(None), out);
        }
    }

    /// A message that waited is not said; it is out of [`State::held`] already.
    fn deny(&mut self, now: Now, held: Held, out: &mut Vec<Output>) {
        let id = held.message.id;
        self.state.recent.insert(held.origin.clone(), Outcome::Denied, now.mono_ms);
        for to in [To::Moderators, To::User(held.origin.login.clone())] {
            out.push(Output::Notice(Notice { to, note: Note::Decided { id, approved: false } }));
        }
        out.push(Output::Record(Record::Release { origin: held.origin, id }));
    }
}

/// Whether this is what gave a role that can't be kept.
fn is_unkept(unkept: &BTreeMap<Login, Position>, accepted: &Accepted) -> bool {
    accepted.position.is_some_and(|position| unkept.values().any(|given| *given == position))
}
