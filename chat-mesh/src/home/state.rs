//! What a channel's home knows and its standby must know too.

use std::sync::Arc;

use freshet_proto::chat::{
    Accepted, Author, Event, Login, Origin, Pin, Position, Reason, Role, Roles, UserAction, What,
};
use serde::{Deserialize, Serialize};

use super::{
    History, Limits, Now, Tail,
    history::cost,
    pace::{LastSpoke, Said},
    recent::{Outcome, Recent},
};
use crate::moderation::{Change, Durable, Held, Holds, Terms};

/// What a home tells its standby, in order. The standby acknowledges by the position of the last event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An event; to all hubs with interest as well.
    Event(Arc<Event>),
    /// A change of what must be stored, before the event that tells of it; to whoever stores it as well.
    Change {
        /// The version it makes.
        version: u64,
        /// The change.
        change: Change,
    },
    /// A message waits.
    Hold(Box<Held>),
    /// It does not wait any more.
    Release {
        /// Which post it came with.
        origin: Origin,
        /// Its id.
        id: freshet_proto::chat::MessageId,
    },
}

/// All of it, for a new standby or a new home.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The events.
    pub tail: Tail,
    /// What is stored too.
    pub durable: Durable,
    /// What waits.
    pub holds: Holds,
    /// What is pinned.
    pub pin: Option<Pin>,
    /// What became of the posts of the last minute.
    pub recent: Vec<(Origin, Outcome)>,
    /// Who spoke how many ms ago.
    pub spoke: Vec<(Login, u64)>,
}

impl Snapshot {
    /// The longest, in bytes, with room to spare in a frame between hubs (16 MiB).
    pub const MAX: usize = 14 << 20;

    /// Leaves out what it must to be no longer than [`Snapshot::MAX`]: why people are silenced, which is stored elsewhere, and
    /// then the oldest events.
    pub fn fit(mut self) -> Self {
        /// What a ban has beside its reason, and what is kept of somebody who spoke or of a post; written, they are shorter.
        const BAN: usize = 85;
        const SPOKE: usize = 40;
        const RECENT: usize = 110;
        let people = BAN * self.durable.bans.len() + SPOKE * self.spoke.len() + RECENT * self.recent.len();
        let reasons: usize = self.durable.bans.values().map(|ban| ban.reason.as_str().len()).sum();
        let events: usize = self.tail.events.iter().map(|event| cost(event)).sum();
        let mut left = Self::MAX.saturating_sub(people);
        if reasons + events > left {
            self.durable.bans.values_mut().for_each(|ban| ban.reason = Reason::cut(""));
        } else {
            left -= reasons;
        }
        let fits = self.tail.events.iter().rev().take_while(|event| {
            let fits = cost(event) <= left;
            left = left.saturating_sub(cost(event));
            fits
        });
        // The last one says where numbers go on.
        let fits = fits.count().max(1);
        self.tail.events.drain(..self.tail.events.len().saturating_sub(fits));
        self
    }
}

/// The state itself, at the home or at its standby.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) history: History,
    pub(super) durable: Durable,
    pub(super) terms: Terms,
    pub(super) holds: Holds,
    pub(super) pin: Option<Pin>,
    pub(super) recent: Recent,
    pub(super) spoke: LastSpoke,
    pub(super) said: Said,
}

impl State {
    /// That of a channel where nobody has said anything.
    pub fn new(limits: Limits, durable: Durable) -> Self {
        Self {
            history: History::new(limits),
            terms: Terms::new(&durable.terms),
            durable,
            holds: Holds::default(),
            pin: None,
            recent: Recent::default(),
            spoke: LastSpoke::default(),
            said: Said::default(),
        }
    }

    /// That of a snapshot. Posts are known for a minute from now, and unique texts for ten: longer than at the home that
    /// made it, never shorter.
    pub fn restore(limits: Limits, snapshot: Snapshot, now: Now) -> Self {
        let mut state = Self::new(limits.clone(), snapshot.durable);
        state.history = History::of(limits, snapshot.tail, now.wall_ms);
        (state.holds, state.pin) = (snapshot.holds, snapshot.pin);
        for (origin, outcome) in snapshot.recent {
            state.recent.insert(origin, outcome, now.mono_ms);
        }
        for (login, ago_ms) in snapshot.spoke {
            state.spoke.speak(&login, now.mono_ms.saturating_sub(ago_ms));
        }
        let since = now.wall_ms.saturating_sub(Said::KEEP_MS);
        for event in state.history.iter().filter(|event| event.at_ms >= since) {
            if let What::Message(message) = &event.what {
                state.said.say(message.text.as_str(), now.mono_ms);
            }
        }
        state
    }

    /// All of it.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        Snapshot {
            tail: self.history.tail(usize::MAX),
            durable: self.durable.clone(),
            holds: self.holds.clone(),
            pin: self.pin.clone(),
            recent: self.recent.iter().map(|(origin, outcome)| (origin.clone(), outcome.clone())).collect(),
            spoke: self.spoke.ages(now.mono_ms),
        }
    }

    /// Takes what the home tells its standby. Returns whether it follows: after an event that is not the next, the standby
    /// needs a snapshot.
    pub fn follow(&mut self, record: Record, now: Now) -> bool {
        match record {
            Record::Event(event) => return self.learn(event, now),
            Record::Change { version, change } => {
                self.change(&change, now);
                self.durable.version = version;
            }
            Record::Hold(held) => {
                self.recent.insert(held.origin.clone(), Outcome::Held, now.mono_ms);
                self.spoke.speak(&held.origin.login, now.mono_ms);
                self.holds.hold(*held);
            }
            Record::Release { origin, id } => {
                if self.holds.take(id).is_some() {
                    self.recent.insert(origin, Outcome::Denied, now.mono_ms);
                }
            }
        }
        true
    }

    /// An event that another hub made: it is shown, and it says what changed.
    pub(crate) fn learn(&mut self, event: Arc<Event>, now: Now) -> bool {
        if !self.show(event.clone(), now) {
            return false;
        }
        if let Some(change) = Durable::told_by(&event) {
            self.change(&change, now);
        }
        true
    }

    /// Appends an event, and does all that follows from it but what [`Change`]s tell. Whether it was the next.
    pub(super) fn show(&mut self, event: Arc<Event>, now: Now) -> bool {
        if !self.history.push(event.clone(), now.wall_ms) {
            return false;
        }
        if let Some(origin) = &event.origin {
            let id = event.what.message().map(|message| message.id);
            let accepted = Accepted { position: Some(event.position), id, done: None };
            self.recent.insert(origin.clone(), Outcome::Done(accepted), now.mono_ms);
        }
        match &event.what {
            What::Message(message) => {
                self.spoke.speak(&message.user.login, now.mono_ms);
                self.said.say(message.text.as_str(), now.mono_ms);
            }
            What::Pin(pin) => self.pin = pin.clone(),
            What::Clear { .. } => self.pin = None,
            What::Delete { id, .. } => drop(self.pin.take_if(|pin| pin.message.id == *id)),
            What::User { login, action: UserAction::Timeout { .. } | UserAction::Ban, .. } => {
                drop(self.pin.take_if(|pin| pin.message.user.login == *login));
            }
            _ => {}
        }
        true
    }

    /// Does a change; one for which there is no room is left out, as at the home.
    fn change(&mut self, change: &Change, now: Now) {
        if self.durable.apply(change, now.wall_ms) == Ok(true) && matches!(change, Change::Term(..)) {
            self.terms = Terms::new(&self.durable.terms);
        }
    }

    /// Nobody has been here for long: keeps the last so many events, and nothing that is over or can be made again.
    pub(crate) fn rest(&mut self, events: usize, now: Now) {
        self.history.cut(events);
        self.recent.forget(now.mono_ms);
        self.spoke.forget(now.mono_ms);
        self.said.forget(now.mono_ms);
        self.terms = Terms::new(&[]);
    }

    /// Somebody comes.
    pub(crate) fn wake(&mut self) {
        if !self.durable.terms.is_empty() {
            self.terms = Terms::new(&self.durable.terms);
        }
    }

    /// The events, for replays and history.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What is stored too.
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// What is pinned at `now_ms` since 1970.
    pub fn pin(&self, now_ms: u64) -> Option<&Pin> {
        self.pin.as_ref().filter(|pin| pin.until_ms.is_none_or(|until| until > now_ms))
    }

    /// What waits for a moderator, the oldest first.
    pub fn held(&self) -> impl Iterator<Item = &Held> {
        self.holds.iter()
    }

    /// The newest position.
    pub fn head(&self) -> Position {
        self.history.head()
    }

    /// What somebody is here.
    pub fn roles_of(&self, author: &Author, owner: &Login) -> Roles {
        let login = &author.user.login;
        let marks = [
            (true, Role::Plain),
            (author.follows_since_ms.is_some(), Role::Follower),
            (login == owner, Role::Owner),
            (author.admin, Role::Admin),
        ];
        let roles = marks.into_iter().filter(|(is, _)| *is).fold(Roles::default(), |roles, (_, role)| roles.with(role));
        self.durable.roles.get(login).map_or(roles, |role| roles.with(*role))
    }
}
