//! The last events of a channel, as a home, its standby and every interested hub have them.
//!
//! Numbers have no gaps, so an event is found by its number. What is taken back loses its text here at once: neither a
//! replay nor the history on join can serve it again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use freshet_proto::chat::{Event, Login, Message, MessageId, Position, UserAction, What};
use serde::{Deserialize, Serialize};

/// How much is kept. The oldest goes first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// At most so many events.
    pub events: usize,
    /// At most about so many bytes.
    pub bytes: usize,
    /// So many are kept however old they are.
    pub keep: usize,
    /// Beyond that, only what is younger, in ms.
    pub age_ms: u64,
    /// The longest replay, in events; who missed more is told a gap.
    pub replay: usize,
    /// How many events come after a gap.
    pub after_gap: usize,
    /// After how many ms in which nobody is there and nothing happens a channel rests.
    pub rest_ms: u64,
    /// How many events are kept of one that rests.
    pub rest: usize,
}

impl Default for Limits {
    /// Ten minutes at 30 messages a second; at least a thousand events; 8 MiB. After a quarter of an hour, the last hundred.
    fn default() -> Self {
        Self {
            events: 20_000,
            bytes: 8 << 20,
            keep: 1_000,
            age_ms: 600_000,
            replay: 1_000,
            after_gap: 50,
            rest_ms: 900_000,
            rest: 100,
        }
    }
}

/// How many changes of epoch are remembered.
const MAX_STARTS: usize = 64;

/// What an event costs beside its texts: itself, its places in two collections, the shared pointer.
const EVENT_BYTES: usize = 400;

/// See the module.
#[derive(Debug, Clone)]
pub struct History {
    limits: Limits,
    events: VecDeque<Arc<Event>>,
    ids: BTreeMap<MessageId, u64>,
    bytes: usize,
    head: Position,
    /// The first number of each epoch, oldest first.
    starts: VecDeque<Position>,
}

/// The end of somebody's history, for a new home.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The first position of each epoch that is known.
    pub starts: Vec<Position>,
    /// Events without gaps, oldest first.
    pub events: Vec<Arc<Event>>,
}

/// What somebody gets who comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Everything since.
    Replay(Vec<Arc<Event>>),
    /// Something is missing.
    Gap {
        /// How many events, where it is known: not when the position is of a history that this is not.
        missed: Option<u64>,
        /// The last events.
        tail: Vec<Arc<Event>>,
    },
}

impl History {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            events: VecDeque::new(),
            ids: BTreeMap::new(),
            bytes: 0,
            head: Position::default(),
            starts: VecDeque::new(),
        }
    }

    /// What a tail has. An event that is not the next ends it.
    pub fn of(limits: Limits, tail: Tail, now_ms: u64) -> Self {
        let mut history = Self { starts: tail.starts.into(), ..Self::new(limits) };
        for event in tail.events {
            if !history.push(event, now_ms) {
                break;
            }
        }
        history
    }

    /// About how many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all but the last `keep` events; the last of all stays.
    pub(super) fn cut(&mut self, keep: usize) {
        while self.events.len() > keep.max(1) {
            let oldest = self.events.pop_front();
            self.forget(oldest);
        }
        self.events.shrink_to_fit();
    }

    /// The newest position; 0.0 before the first.
    pub fn head(&self) -> Position {
        self.head
    }

    /// Appends the next event. Returns whether it was the next: a number that leaves others out, or that is taken, changes
    /// nothing. The first event of an empty history may have any. A newer epoch may begin at a number that is taken: what
    /// had it, and all after that, was never acknowledged, and has been lost with its home.
    pub fn push(&mut self, event: Arc<Event>, now_ms: u64) -> bool {
        let position = event.position;
        let first = self.events.front().map(|event| event.position.seq);
        let is_next = position.seq == self.head.seq + 1 && position.epoch >= self.head.epoch;
        let begins = first.is_none() && position > self.head;
        let rewinds = position.epoch > self.head.epoch && first.is_some_and(|first| first <= position.seq);
        if !(is_next || begins || (rewinds && position.seq <= self.head.seq)) {
            return false;
        }
        while self.events.back().is_some_and(|last| last.position.seq >= position.seq) {
            let lost = self.events.pop_back();
            self.forget(lost);
        }
        self.starts.retain(|start| start.epoch >= position.epoch || start.seq < position.seq);
        if self.starts.back().is_none_or(|start| start.epoch < position.epoch) {
            self.starts.push_back(position);
        }
        while self.starts.len() > MAX_STARTS {
            self.starts.pop_front();
        }
        self.take_back(&event);
        self.head = position;
        self.bytes += cost(&event);
        if let Some(message) = event.what.message() {
            self.ids.insert(message.id, position.seq);
        }
        self.events.push_back(event);
        self.shorten(now_ms);
        true
    }

    /// The message with this id, if it is still here.
    pub fn message(&self, id: MessageId) -> Option<&Message> {
        self.at(*self.ids.get(&id)?)?.what.message()
    }

    /// Where somebody's role was last given or taken, if that is still here.
    pub(super) fn gave_role(&self, of: &Login) -> Option<Position> {
        let gives = |what: &What| matches!(what, What::User { login, action: UserAction::Role(_), .. } if login == of);
        self.events.iter().rev().find(|event| gives(&event.what)).map(|event| event.position)
    }

    /// Everything, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.events.iter()
    }

    /// What is shown to who comes: the last `count` messages, announcements and raids, oldest first. Messages that were
    /// taken back are among them, without their text.
    pub fn last_shown(&self, count: usize) -> Vec<Arc<Event>> {
        let is_shown = |what: &What| matches!(what, What::Message(_) | What::Announcement(_) | What::Raid { .. });
        let mut last: Vec<_> =
            self.events.iter().rev().filter(|event| is_shown(&event.what)).take(count).cloned().collect();
        last.reverse();
        last
    }

    /// The last `count` events, for a new home.
    pub fn tail(&self, count: usize) -> Tail {
        Tail { starts: self.starts.iter().copied().collect(), events: self.last(count) }
    }

    /// What came after `position`, or that it can't be told.
    pub fn resume(&self, position: Position) -> Resume {
        if position == self.head {
            return Resume::Replay(Vec::new());
        }
        let tail = self.last(self.limits.after_gap);
        let Some(next) = self.after(position) else { return Resume::Gap { missed: None, tail } };
        let first = self.events.front().map_or(self.head.seq + 1, |event| event.position.seq);
        let wanted = (self.head.seq + 1).saturating_sub(next);
        if next >= first && wanted <= self.limits.replay as u64 {
            return Resume::Replay(self.last(wanted as usize));
        }
        let shown = tail.first().map_or(self.head.seq + 1, |event| event.position.seq);
        Resume::Gap { missed: Some(shown.saturating_sub(next)), tail }
    }

    /// The number of the event that follows `position` in this history, which need not have `position` itself: a home that
    /// died may have shown events that nobody has any more. `None` where it is of an epoch that this history knows nothing of.
    fn after(&self, position: Position) -> Option<u64> {
        if position == Position::default() {
            return Some(1);
        }
        let of_epoch = self.starts.iter().position(|start| start.epoch == position.epoch)?;
        match self.starts.get(of_epoch + 1) {
            Some(later) => Some(position.seq.saturating_add(1).min(later.seq)),
            None if position.seq > self.head.seq => None,
            None => Some(position.seq + 1),
        }
    }

    fn last(&self, count: usize) -> Vec<Arc<Event>> {
        self.events.iter().skip(self.events.len().saturating_sub(count)).cloned().collect()
    }

    fn at(&self, seq: u64) -> Option<&Arc<Event>> {
        let first = self.events.front()?.position.seq;
        self.events.get(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// Takes the text out of what an event takes back.
    fn take_back(&mut self, event: &Event) {
        match &event.what {
            What::Delete { id, .. } => {
                if let Some((first, seq)) = self.events.front().map(|e| e.position.seq).zip(self.ids.get(id).copied()) {
                    self.redact(seq.saturating_sub(first) as usize);
                }
                self.unpin(*id);
            }
            What::Clear { .. } => self.redact_if(|_| true),
            What::User { login, action: UserAction::Timeout { .. } | UserAction::Ban, .. } => {
                self.redact_if(|author| author == login);
            }
            _ => {}
        }
    }

    fn redact_if(&mut self, matches: impl Fn(&Login) -> bool) {
        for at in 0..self.events.len() {
            if said_by(&self.events[at]).is_some_and(&matches) {
                self.redact(at);
            }
        }
    }

    fn redact(&mut self, at: usize) {
        let Some(event) = self.events.get_mut(at) else { return };
        let what = match &event.what {
            What::Message(message) if !message.deleted => What::Message(message.redacted()),
            What::Announcement(message) if !message.deleted => What::Announcement(message.redacted()),
            What::Pin(Some(_)) => What::Pin(None),
            _ => return,
        };
        self.bytes -= cost(event);
        *event = Arc::new(Event { what, ..Event::clone(event) });
        self.bytes += cost(event);
    }

    /// A pin repeats its message.
    fn unpin(&mut self, id: MessageId) {
        let pins = |event: &Event| matches!(&event.what, What::Pin(Some(pin)) if pin.message.id == id);
        for at in 0..self.events.len() {
            if pins(&self.events[at]) {
                self.redact(at);
            }
        }
    }

    fn shorten(&mut self, now_ms: u64) {
        while let Some(oldest) = self.events.front() {
            let is_old =
                oldest.at_ms.saturating_add(self.limits.age_ms) < now_ms && self.events.len() > self.limits.keep;
            let is_too_much = self.events.len() > self.limits.events || self.bytes > self.limits.bytes;
            if self.events.len() == 1 || !(is_old || is_too_much) {
                return;
            }
            let oldest = self.events.pop_front();
            self.forget(oldest);
        }
    }

    fn forget(&mut self, event: Option<Arc<Event>>) {
        let Some(event) = event else { return };
        self.bytes -= cost(&event);
        if let Some(message) = event.what.message() {
            self.ids.remove(&message.id);
        }
    }
}

/// Whose words an event repeats.
fn said_by(event: &Event) -> Option<&Login> {
    match &event.what {
        What::Pin(Some(pin)) => Some(&pin.message.user.login),
        what => what.message().map(|message| &message.user.login),
    }
}

pub(super) fn cost(event: &Event) -> usize {
    let message = match &event.what {
        What::Pin(Some(pin)) => Some(&pin.message),
        what => what.message(),
    };
    EVENT_BYTES + message.map_or(0, |message| message.text.as_str().len() + message.user.name.as_str().len())
}
