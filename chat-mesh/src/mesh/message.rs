//! What hubs say to each other.
//!
//! ```text
//! every hub   ── Ask ──▶ every hub ── Tell: which mesh epoch it knows ──▶
//! a new home  ── Takeover ──▶ every hub ── Tail, or all of it ──▶             a hub with readers ── Sub, Unsub ──▶ home
//! sender's hub ── Submit ──▶ home ── Records ──▶ standby ── Has ──▶ home ── Events ──▶ hubs with readers
//!              ◀─ Answer ──       ── Whole ────▶                         ── Joined ──▶
//! hub with moderators ── Waiting ──▶ home ── Notice ──▶
//! hub with readers ── Present ──▶ home ── Count ──▶ hubs with readers: by datagrams, which may be lost
//! ```

use std::sync::Arc;

use freshet_proto::{
    chat::{Answer, Event, Login, Modes, Note, Notice, Pin, Position, Role, Submit, To},
    id::ChannelName,
};
use serde::{Deserialize, Serialize};

use crate::{
    home::{Record, Snapshot, Tail},
    presence::Chunk,
};

/// No number of a log or an event is as great: what JavaScript can count. Control nodes that begin anew from a backup go on by the
/// clock, at 2^20 for each second since 1970.
const END: u64 = 1 << 53;

/// Which of the streams between two hubs a message takes. Within one, messages stay in order; a stream that is held up by
/// a loss holds up no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// What hubs agree on, and moderation's notices: before everything else.
    Control,
    /// Posts on their way to the home, and their answers.
    Submit,
    /// What comes from homes: a channel's is always the same, one of [`Lane::RELAYS`].
    Relay(u8),
}

impl Lane {
    /// How many lanes there are for what comes from homes.
    pub const RELAYS: u8 = 8;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Control, Self::Submit].into_iter().chain((0..Self::RELAYS).map(Self::Relay))
    }

    fn of(channel: &ChannelName) -> Self {
        let sum = channel.as_str().bytes().fold(0u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        Self::Relay(sum % Self::RELAYS)
    }
}

/// What one hub says to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Message {
    /// Are you there? Every [`super::ASK_MS`].
    Ask {
        /// Which question: it comes back.
        n: u64,
    },
    /// Yes.
    Tell {
        /// The question.
        n: u64,
        /// The newest mesh epoch that the hub knows; 0 where it has not been a member since it started.
        epoch: u64,
    },
    /// The sender has readers of a channel, and has everything up to `from`. Said again after every change of homes and
    /// loss of a link.
    Sub {
        /// Which.
        channel: ChannelName,
        /// What it has; `None` for nothing.
        from: Option<Position>,
    },
    /// It has none any more.
    Unsub {
        /// Which.
        channel: ChannelName,
    },
    /// The sender is to be the channel's home in this mesh epoch: who hears it takes nothing more from a home of an older one.
    Takeover {
        /// Which.
        channel: ChannelName,
        /// The mesh epoch.
        epoch: u64,
    },
    /// What its hearer knows of the channel.
    Tail {
        /// Which.
        channel: ChannelName,
        /// The mesh epoch of the question.
        epoch: u64,
        /// What it has.
        known: Box<Known>,
    },
    /// The standby has everything up to there.
    Has {
        /// Which channel.
        channel: ChannelName,
        /// In which epoch it was told.
        epoch: u64,
        /// Up to where.
        position: Position,
    },
    /// The standby lacks something.
    Lacks {
        /// Which channel.
        channel: ChannelName,
    },
    /// What is stored of a channel says something else of somebody's role than the home does: it is to look.
    Recheck {
        /// Which.
        channel: ChannelName,
    },
    /// What only some are told.
    Notice {
        /// Where.
        channel: ChannelName,
        /// What.
        notice: Notice,
    },
    /// A post.
    Submit {
        /// Comes back with the answer.
        ticket: u64,
        /// The post.
        submit: Box<Submit>,
    },
    /// What became of it.
    Answer {
        /// Which.
        ticket: u64,
        /// How it went.
        answer: Answer,
    },
    /// The hub is not the channel's home, or must not act as one now. The post is to be sent again later, perhaps elsewhere.
    NotHome {
        /// Of which post.
        ticket: u64,
    },
    /// To the standby: all there is.
    Whole {
        /// Of which channel.
        channel: ChannelName,
        /// The home's epoch.
        epoch: u64,
        /// Whose channel it is.
        owner: Login,
        /// It.
        snapshot: Box<Snapshot>,
    },
    /// To the standby: what happened since.
    Records {
        /// In which channel.
        channel: ChannelName,
        /// The home's epoch.
        epoch: u64,
        /// It.
        records: Vec<Record>,
    },
    /// The answer to [`Message::Sub`].
    Joined {
        /// Which channel.
        channel: ChannelName,
        /// The home's epoch.
        epoch: u64,
        /// The mesh epoch that the home knows. A hub that knows a later one asks again: the home may be another by then, or
        /// begin anew.
        members: u64,
        /// What the reader's hub needs.
        follow: Box<Follow>,
    },
    /// Events that stand, in order.
    Events {
        /// Of which channel.
        channel: ChannelName,
        /// The home's epoch.
        epoch: u64,
        /// They.
        events: Vec<Arc<Event>>,
    },
    /// A piece of who reads a channel at the sender, every [`super::TELL_MS`]. The latest counts.
    Present {
        /// Which.
        channel: ChannelName,
        /// When, by the sender's monotonic clock, in ms: pieces of one time belong together.
        at_ms: u64,
        /// How many connections; 0 when the last one is gone.
        connections: u32,
        /// The piece.
        users: Chunk,
    },
    /// How many read a channel at all hubs. The latest counts.
    Count {
        /// Which.
        channel: ChannelName,
        /// When, by the home's monotonic clock, in ms.
        at_ms: u64,
        /// How many connections.
        connections: u64,
        /// How many users.
        users: u64,
    },
    /// Moderators have come to the sender, who are to be told what waits for them: by [`Message::Notice`].
    Waiting {
        /// Where.
        channel: ChannelName,
        /// Which of them.
        to: To,
    },
}

/// What a hub knows of a channel when its new home asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// What its readers have seen.
    Seen(Tail),
    /// Everything: it was the home or the standby, in that epoch.
    Whole {
        /// The home's epoch.
        epoch: u64,
        /// Whose channel it is.
        owner: Login,
        /// It.
        snapshot: Box<Snapshot>,
    },
}

/// What a hub with readers is told when it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Follow {
    /// Whether `tail` continues what the hub has; else it is the end of what there is, and something is missing.
    pub continues: bool,
    /// The events.
    pub tail: Tail,
    /// Whose channel it is.
    pub owner: Login,
    /// Moderators and VIPs.
    pub roles: Vec<(Login, Role)>,
    /// The modes.
    pub modes: Modes,
    /// What is pinned.
    pub pin: Option<Pin>,
}

impl Message {
    /// The stream that it takes; `None` where it takes a datagram: such a message may be lost, doubled or overtaken.
    pub fn lane(&self) -> Option<Lane> {
        Some(match self {
            Self::Present { .. } | Self::Count { .. } => return None,
            Self::Submit { .. } | Self::Answer { .. } | Self::NotHome { .. } => Lane::Submit,
            Self::Whole { channel, .. }
            | Self::Records { channel, .. }
            | Self::Joined { channel, .. }
            | Self::Tail { channel, .. }
            | Self::Events { channel, .. } => Lane::of(channel),
            _ => Lane::Control,
        })
    }

    /// Whether its numbers are such as can come to be. The sender's doing where they are not: nothing of it is done.
    pub fn is_possible(&self) -> bool {
        let small = |n: u64| n < END;
        let fits = |position: &Position| small(position.epoch) && small(position.seq);
        let all = |events: &[Arc<Event>]| events.iter().all(|event| fits(&event.position));
        let tail = |tail: &Tail| tail.starts.iter().all(fits) && all(&tail.events);
        let whole = |snapshot: &Snapshot| tail(&snapshot.tail) && small(snapshot.durable.version);
        match self {
            Self::Tell { epoch, .. } | Self::Takeover { epoch, .. } => small(*epoch),
            Self::Sub { from, .. } => from.as_ref().is_none_or(fits),
            Self::Has { epoch, position, .. } => small(*epoch) && fits(position),
            Self::Tail { epoch, known, .. } => {
                small(*epoch)
                    && match &**known {
                        Known::Nothing => true,
                        Known::Seen(seen) => tail(seen),
                        Known::Whole { epoch, snapshot, .. } => small(*epoch) && whole(snapshot),
                    }
            }
            Self::Whole { epoch, snapshot, .. } => small(*epoch) && whole(snapshot),
            Self::Records { epoch, records, .. } => {
                let fits_record = |record: &Record| match record {
                    Record::Event(event) => fits(&event.position),
                    Record::Change { version, .. } => small(*version),
                    _ => true,
                };
                small(*epoch) && records.iter().all(fits_record)
            }
            Self::Joined { epoch, members, follow, .. } => small(*epoch) && small(*members) && tail(&follow.tail),
            Self::Events { epoch, events, .. } => small(*epoch) && all(events),
            _ => true,
        }
    }

    /// Whether it is all or much of a channel's history or queue at once: it is asked for, and its size says nothing of whether
    /// its hearer keeps up.
    pub fn is_bulk(&self) -> bool {
        match self {
            Self::Whole { .. } | Self::Tail { .. } | Self::Joined { .. } => true,
            Self::Notice { notice, .. } => matches!(notice.note, Note::Waiting { .. }),
            _ => false,
        }
    }

    /// Whether it must not wait for others that could go with it.
    pub fn is_urgent(&self) -> bool {
        match self {
            Self::Events { events, .. } => events.iter().any(|event| event.what.message().is_none()),
            Self::Records { records, .. } => records.iter().any(|record| match record {
                Record::Event(event) => event.what.message().is_none(),
                _ => true,
            }),
            _ => true,
        }
    }
}
