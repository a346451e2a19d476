//! What a hub needs of the world, as traits: whoever runs it has the rest.

use std::{future::Future, pin::Pin};

use freshet_proto::{
    chat::{Login, Role},
    id::{ChannelName, NodeId},
};

use crate::{
    mesh::{Message, Stored},
    moderation::{Change, LogEntry},
};

/// Something that takes its time.
pub type Doing<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Nobody could be asked, or nobody answered. Ours, never a client's doing; the remedy is to ask again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is stored of chat can't be reached: {0}")]
pub struct Unavailable(pub String);

/// Keeps what must outlive every hub. A call may take seconds; the hub asks again, later and later, where it failed.
pub trait Store: Send + Sync + 'static {
    /// What is stored of a channel; `None` where there is no such channel.
    fn open(&self, channel: ChannelName) -> Doing<Result<Option<Stored>, Unavailable>>;

    /// Stores changes, each with the version that it makes, in order, and lines of the moderation log. `epoch` is that of the
    /// home that made them: of two homes, the later one's count. Storing one twice stores it once.
    fn store(
        &self,
        channel: ChannelName,
        epoch: u64,
        changes: Vec<(u64, Change)>,
        log: Vec<LogEntry>,
    ) -> Doing<Result<Outcome, Unavailable>>;

    /// What somebody is to a channel.
    fn standing(&self, channel: ChannelName, login: Login) -> Doing<Result<Standing, Unavailable>>;
}

/// What became of what was to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Changes up to this version, and the lines, are there to stay.
    Stored {
        /// Which version.
        up_to: u64,
        /// Versions among them whose changes can't be kept.
        lacks: Vec<u64>,
    },
    /// It can't be stored, now or later: why.
    Refused(String),
}

/// What an account is to a channel, beyond what its moderators made of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when it follows the channel, in ms since 1970; `None` where it doesn't.
    pub follows_since_ms: Option<u64>,
    /// Whether it is stored as a moderator's or a VIP's.
    pub role: Option<Role>,
}

/// The ways to other hubs.
pub trait Links: Send + Sync + 'static {
    /// Says `message` to `to`, in order within its lane. Never waits: what can't be sent is lost, and the hub is told that
    /// the link is.
    fn send(&self, to: NodeId, message: Message);
}

/// There are no other hubs.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLinks;

impl Links for NoLinks {
    fn send(&self, _to: NodeId, _message: Message) {}
}
