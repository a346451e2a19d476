//! What a connection is told by the rest of its hub, and what the rest of its hub knows of it.
//!
//! A connection that is not told anything has no queue: most read, and are told nothing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use freshet_proto::{
    chat::{Answer, Notice, Refusal, Role},
    id::ChannelName,
};
use tokio::{sync::Notify, time::Instant};

use super::{door::Holder, seat::Arrival};
use crate::{
    fanout::{Cursor, Log},
    ws::{Liveness, Patience, Verdict},
};

/// How many letters may wait for one connection: the answers to all its posts, all its channels, and some notices. One
/// more, and it is ended: it does not read.
pub const MAX_LETTERS: usize = 256;

/// What a connection is told.
pub enum Letter {
    /// It is in a channel.
    Joined(Box<Arrival>),
    /// It is not, or not any more.
    NotJoined {
        /// Which of its joins; `None` where it was in the channel.
        join: Option<u64>,
        /// Which channel.
        channel: ChannelName,
        /// Why.
        refusal: Refusal,
    },
    /// How a post went.
    Answer {
        /// Which.
        ticket: u64,
        /// How.
        answer: Answer,
    },
    /// What its user is in a channel has changed: role, and since when they follow it.
    Standing(ChannelName, Role, Option<u64>),
    /// What only some are told.
    Notice(ChannelName, Arc<Notice>),
    /// The channel's numbers begin anew: it goes on in another log.
    Moved {
        /// Which channel.
        channel: ChannelName,
        /// The log.
        log: Log,
        /// From where.
        cursor: Cursor,
        /// What it is told first.
        gap: Bytes,
    },
    /// It has been silent: say whether it is there.
    Ping,
    /// The hub goes away.
    Bye {
        /// After how many ms the client should come back.
        reconnect_ms: u64,
        /// Where to.
        hubs: Arc<[String]>,
    },
    /// It is over.
    End(End),
}

/// Why the hub ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Nothing was heard, for longer than silence is borne.
    Gone,
    /// It has joined no channel for too long.
    Idle,
    /// Its token is good no more.
    Revoked,
    /// More waited for it than [`MAX_LETTERS`].
    Overflow,
}

/// See the module.
pub struct Inbox {
    held: Mutex<Held>,
    bell: Notify,
}

struct Held {
    letters: VecDeque<Letter>,
    liveness: Liveness,
    holder: Option<Box<Holder>>,
    /// Since when it has been in no channel.
    idle: Option<Instant>,
    over: bool,
}

impl Inbox {
    /// That of a connection that begins now.
    pub fn new(now: Instant, holder: Option<Box<Holder>>) -> Arc<Self> {
        let liveness = Liveness::new(now);
        let held = Held { letters: VecDeque::new(), liveness, holder, idle: Some(now), over: false };
        Arc::new(Self { held: Mutex::new(held), bell: Notify::new() })
    }

    /// Leaves a letter; nobody waits. After [`End`] nothing is taken.
    pub fn put(&self, letter: Letter) {
        {
            let mut held = self.held();
            if held.over {
                return;
            }
            let letter = if held.letters.len() < MAX_LETTERS { letter } else { Letter::End(End::Overflow) };
            if matches!(letter, Letter::End(_)) {
                held.letters.clear();
                held.over = true;
            }
            held.letters.push_back(letter);
        }
        self.bell.notify_one();
    }

    /// The next letter.
    pub async fn next(&self) -> Letter {
        loop {
            if let Some(letter) = self.try_next() {
                return letter;
            }
            self.bell.notified().await;
        }
    }

    fn try_next(&self) -> Option<Letter> {
        let mut held = self.held();
        let letter = held.letters.pop_front();
        if held.letters.is_empty() {
            held.letters = VecDeque::new();
        }
        letter
    }

    /// Takes no more letters, and forgets those there are.
    pub fn close(&self) {
        let mut held = self.held();
        held.over = true;
        let letters = std::mem::take(&mut held.letters);
        drop(held);
        drop(letters);
    }

    /// Bytes came.
    pub fn heard(&self, now: Instant) {
        self.held().liveness.heard(now);
    }

    /// Shows one more token; whether it may.
    pub fn hold(&self, holder: Holder) -> bool {
        let mut held = self.held();
        let both = match &held.holder {
            Some(earlier) => holder.after(earlier),
            None => Some(holder),
        };
        let may = both.is_some();
        held.holder = both.map(Box::new).or(held.holder.take());
        may
    }

    /// Looks at whose it is.
    pub fn with_holder<T>(&self, look: impl FnOnce(Option<&Holder>) -> T) -> T {
        look(self.held().holder.as_deref())
    }

    /// Whether it is in a channel now.
    pub fn sits(&self, sits: bool, now: Instant) {
        let mut held = self.held();
        held.idle = if sits { None } else { held.idle.or(Some(now)) };
    }

    /// What its silence means.
    pub(super) fn look(&self, now: Instant, patience: &Patience, idle_limit: tokio::time::Duration) {
        let letter = {
            let mut held = self.held();
            let idle = held.idle.is_some_and(|since| now.saturating_duration_since(since) >= idle_limit);
            match held.liveness.look(now, patience) {
                _ if held.over => return,
                Verdict::Gone => Letter::End(End::Gone),
                _ if idle => Letter::End(End::Idle),
                Verdict::Ping => Letter::Ping,
                Verdict::Fine => return,
            }
        };
        self.put(letter);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
