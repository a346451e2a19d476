//! The mesh: which hub orders which channel, and how all hubs with readers come to have the same.
//!
//! A hub is up to four things to a channel, and speaks to itself as it does to others:
//! ```text
//!             ┌──────────── Submit ───────────▶┌──────┐──Records──▶┌─────────┐
//!  posts: a post waits here for its answer     │ home │            │ standby │  takes over when the home is gone
//!             └◀─────────── Answer ────────────└──────┘◀───Has─────└─────────┘
//!  follow: what readers see ◀──── Events ──────────┘  only what the standby has: nothing that was shown is ever unsaid
//! ```
//! *Who is home* follows from the members that the control plane has agreed on ([`Members::rank`]); nothing is agreed per
//! channel. A new home asks all hubs what they know ([`Message::Takeover`]) and opens when the answers can't be outdone.
//!
//! *Never two at once.* A home acts only while it holds the lease of its hub under the mesh epoch it knows, or while more
//! than half of the members of that epoch confirm that they know of no later one; a new home opens only when at least half
//! of the members of every earlier epoch know of a later one. So either a hub exists that has ended the old home's time,
//! or the control plane is gone and the old home goes on. In addition nothing counts that the standby does not have, and
//! a standby that was asked by a new home takes nothing more from the old one.
//!
//! No I/O and no clock: time is an argument ([`Now`]).

mod alone;
mod members;
mod message;

use std::sync::Arc;

use freshet_proto::{
    chat::{Answer, Event, Login, Notice, Position, Submit},
    id::{ChannelName, NodeId},
};

pub use self::{
    alone::{Follower, Mesh},
    members::{Earlier, Member, Members},
    message::{Follow, Known, Lane, Message},
};
pub use crate::home::Now;
use crate::moderation::{Change, Durable, LogEntry};

/// How often hubs ask each other whether they are there, in ms.
pub const ASK_MS: u64 = 500;

/// What happens to a hub.
#[derive(Debug, Clone)]
pub enum Input {
    /// The control plane has agreed on these hubs.
    Members(Members),
    /// The control plane counts this hub as a member until then, by the monotonic clock. Until the first time, the hub is
    /// nobody's home and confirms nothing.
    Lease {
        /// Until when, in ms.
        until_ms: u64,
        /// The mesh epoch when it said so.
        epoch: u64,
    },
    /// Both ways to another hub are open, for the first time or again: what was said before may be lost.
    LinkUp(NodeId),
    /// The way to or from another hub is lost.
    LinkDown(NodeId),
    /// Another hub says something.
    Message {
        /// Which.
        from: NodeId,
        /// What.
        message: Message,
    },
    /// A channel has its first reader here.
    Want(ChannelName),
    /// It has no reader here any more.
    Unwant(ChannelName),
    /// Somebody here posts something. `ticket` comes back with its answer, always.
    Submit {
        /// Chosen by the shell.
        ticket: u64,
        /// The post.
        submit: Box<Submit>,
    },
    /// The answer to [`Output::Open`]: whose the channel is and what is stored of it; `None` where there is no such channel.
    Opened {
        /// Which.
        channel: ChannelName,
        /// What is stored.
        stored: Option<Box<Stored>>,
    },
    /// Every change up to this version is stored.
    Stored {
        /// Of which channel.
        channel: ChannelName,
        /// [`Durable::version`].
        version: u64,
    },
    /// The hub will go: it gives its channels to those who are home without it, as soon as the members are.
    Leave,
    /// The deadline has passed.
    Timeout,
}

/// What is stored of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Whose it is.
    pub owner: Login,
    /// What its moderators did.
    pub durable: Durable,
}

/// What a hub wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Say this to another hub, in order within its [`Message::lane`]. Lost where there is no link.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// What [`Mesh::follower`] has of the channel is up to date: for the first time, or again after its home was lost.
    Ready(ChannelName),
    /// Show this to all who read the channel here. Numbers rise without gaps but where [`Output::Gap`] says so.
    Show {
        /// Where.
        channel: ChannelName,
        /// What.
        event: Arc<Event>,
    },
    /// Events are missing: what is shown next comes after `position`.
    Gap {
        /// Where.
        channel: ChannelName,
        /// How many, where it is known.
        missed: Option<u64>,
        /// The last position before what comes next.
        position: Position,
    },
    /// Numbers of the channel begin anew, below what was shown: what was there is lost with its home and its standby. Who
    /// reads it must come again.
    Restart(ChannelName),
    /// What only some are told, of those who read the channel here.
    Notice {
        /// Where.
        channel: ChannelName,
        /// What.
        notice: Notice,
    },
    /// How a post went.
    Answer {
        /// Which.
        ticket: u64,
        /// How.
        answer: Answer,
    },
    /// Say what is stored of the channel ([`Input::Opened`]), trying again until it can be had.
    Open(ChannelName),
    /// Store this, after everything before it ([`Input::Stored`]), trying again until it is done.
    Store {
        /// Where.
        channel: ChannelName,
        /// The epoch of the home that did it: of two homes, the later one's counts.
        epoch: u64,
        /// The version it makes.
        version: u64,
        /// What.
        change: Change,
    },
    /// For the moderation log.
    Log {
        /// Where.
        channel: ChannelName,
        /// What.
        entry: LogEntry,
    },
    /// All channels that this hub was home of have found another, or have nobody who wants them: it may go
    /// ([`Input::Leave`]).
    Left,
}
