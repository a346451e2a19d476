//! What happens to a hub, and what it wants done.

use std::sync::Arc;

use freshet_proto::{
    chat::{Answer, Event, Login, Notice, Position, Submit, To},
    id::{ChannelName, NodeId},
};

use super::{Members, Message};
use crate::{
    moderation::{Change, Durable, LogEntry},
    presence::Sketch,
};

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
    /// Every change up to this version is stored, but for some.
    Stored {
        /// Of which channel.
        channel: ChannelName,
        /// [`Durable::version`].
        version: u64,
        /// Changes among them that can't be kept.
        lacks: Vec<(u64, Change)>,
    },
    /// What is stored of a channel says something else of somebody's role than [`super::Follower::state`] does: it was given or
    /// taken outside of chat.
    Recheck(ChannelName),
    /// Moderators are here that may not have been told of all that waits for them.
    Waiting {
        /// In which channel.
        channel: ChannelName,
        /// Which of them.
        to: To,
    },
    /// Who reads a channel here; to be said every [`super::TELL_MS`] while there are some, and once when the last is gone.
    Readers {
        /// Which.
        channel: ChannelName,
        /// How many connections.
        connections: u32,
        /// The users among them.
        users: Sketch,
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
    /// Say this to another hub, in order within its [`Message::lane`]. Lost where there is no link; what has no lane may be
    /// lost at any time.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// What [`super::Mesh::follower`] has of the channel is up to date: for the first time, or again after its home was lost.
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
    /// How many read the channel, over all hubs. Apart from the order of what is shown.
    Count {
        /// Where.
        channel: ChannelName,
        /// How many connections.
        connections: u64,
        /// How many users.
        users: u64,
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
    /// This hub orders the channel's events from now on.
    Home {
        /// Which.
        channel: ChannelName,
        /// In which epoch.
        epoch: u64,
    },
    /// All channels that this hub was home of have found another, or have nobody who wants them: it may go
    /// ([`Input::Leave`]).
    Left,
}
