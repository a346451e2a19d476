//! What clients asked and what they were told, each with the moment it was asked and the moment it was answered.
//!
//! ```text
//! client ──begin──▶ Recorder ──▶ History ──▶ checker
//!        ──end / forget──▶
//! ```
//! Moments have an order of their own: two of them may fall into one millisecond.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use freshet_proto::registry::{Departure, Policy};
use tokio::time::Instant;

/// What a client asks of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A publish at `origin`. A claim that is made again, because its answer was lost, has the same nonce.
    Claim {
        origin: u64,
        nonce: u64,
    },
    Live {
        epoch: u64,
    },
    Release {
        epoch: u64,
        how: Departure,
    },
    Read,
}

/// What it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Granted(Grant),
    Refused(Refusal),
    /// It was live, or was released.
    Done,
    Seen(Seen),
    /// Nothing: it may have happened at any moment since it was asked, or may yet, or never.
    Unknown,
}

impl Answer {
    /// Every kind there is.
    pub const KINDS: [&'static str; 8] =
        ["granted", "continued", "superseded", "fighting", "already live", "done", "seen", "unknown"];

    fn kind(&self) -> &'static str {
        let which = match self {
            Self::Granted(grant) if grant.prior.is_none() => 0,
            Self::Granted(_) => 1,
            Self::Refused(Refusal::Superseded) => 2,
            Self::Refused(Refusal::Fighting) => 3,
            Self::Refused(Refusal::AlreadyLive) => 4,
            Self::Done => 5,
            Self::Seen(_) => 6,
            Self::Unknown => 7,
        };
        Self::KINDS[which]
    }
}

/// A claim that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub epoch: u64,
    pub session: u64,
    /// The epoch before it in the same session, and its origin.
    pub prior: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Superseded,
    Fighting,
    AlreadyLive,
}

/// How a channel looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub phase: Phase,
    pub session: Option<u64>,
    /// The latest epoch and its origin.
    pub publish: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Idle,
    Starting,
    Live,
    Grace,
    Ended,
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its place among all moments.
    pub order: u64,
    /// Milliseconds since the history began.
    pub at_ms: u64,
}

/// One thing that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    pub client: u64,
    pub channel: usize,
    pub call: Call,
    pub asked: Stamp,
    pub answer: Answer,
    /// When it was answered, and by which member. `None` as long as the answer is unknown.
    pub answered: Option<(Stamp, u64)>,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, channel, call, asked, answer, answered } = self;
        write!(f, "client {client}, channel {channel}: {call:?} at {} ms → {answer:?}", asked.at_ms)?;
        match answered {
            Some((at, member)) => write!(f, " at {} ms by member {member}", at.at_ms),
            None => Ok(()),
        }
    }
}

/// All that was asked, and what the channels were at the beginning: idle, each with its policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    pub policies: Vec<Policy>,
    /// In the order in which they were asked.
    pub operations: Vec<Operation>,
}

impl History {
    /// What was asked of one channel.
    pub fn of(&self, channel: usize) -> Vec<Operation> {
        self.operations.iter().filter(|operation| operation.channel == channel).copied().collect()
    }

    /// How often a change was acknowledged by another member than the change before it.
    pub fn leader_changes(&self) -> usize {
        let mut answers: Vec<_> = self.operations.iter().filter(|known| known.call != Call::Read).collect();
        answers.retain(|known| known.answered.is_some());
        answers.sort_by_key(|known| known.answered.map(|(at, _)| at.order));
        let by = |operation: &Operation| operation.answered.map(|(_, member)| member);
        answers.windows(2).filter(|pair| by(pair[0]) != by(pair[1])).count()
    }

    /// How often each kind of answer was given; for claims that continue a session, and for no answer, too.
    pub fn answers(&self) -> BTreeMap<&'static str, usize> {
        let mut answers = BTreeMap::new();
        for operation in &self.operations {
            *answers.entry(operation.answer.kind()).or_default() += 1;
        }
        answers
    }

    /// The same, as if whatever was not answered had not happened.
    pub fn without_unknown(&self) -> Self {
        let mut known = self.clone();
        known.operations.retain(|operation| operation.answered.is_some());
        known
    }
}

/// Keeps a history while it happens. Clones keep the same one.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Notes>>);

struct Notes {
    began: Instant,
    moments: u64,
    policies: Vec<Policy>,
    operations: Vec<Option<Operation>>,
}

impl Notes {
    fn stamp(&mut self) -> Stamp {
        self.moments += 1;
        Stamp { order: self.moments, at_ms: self.began.elapsed().as_millis() as u64 }
    }
}

impl Recorder {
    pub fn new(policies: Vec<Policy>) -> Self {
        Self(Arc::new(Mutex::new(Notes { began: Instant::now(), moments: 0, policies, operations: Vec::new() })))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap()
    }

    /// Something is about to be asked. Its answer is unknown until it is told.
    pub fn begin(&self, client: u64, channel: usize, call: Call) -> usize {
        let mut notes = self.notes();
        let asked = notes.stamp();
        notes.operations.push(Some(Operation {
            client,
            channel,
            call,
            asked,
            answer: Answer::Unknown,
            answered: None,
        }));
        notes.operations.len() - 1
    }

    /// `member` has answered.
    pub fn end(&self, which: usize, answer: Answer, member: u64) {
        let mut notes = self.notes();
        let at = notes.stamp();
        let operation = notes.operations[which].as_mut().expect("an operation ends once");
        (operation.answer, operation.answered) = (answer, Some((at, member)));
    }

    /// It has certainly not happened, or it was a read that told nothing.
    pub fn forget(&self, which: usize) {
        self.notes().operations[which] = None;
    }

    pub fn history(&self) -> History {
        let notes = self.notes();
        History { policies: notes.policies.clone(), operations: notes.operations.iter().flatten().copied().collect() }
    }
}
