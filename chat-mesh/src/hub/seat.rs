//! A connection's place in a channel.

use std::sync::Arc;

use freshet_proto::{chat::Position, id::ChannelName};
use tokio::sync::mpsc;

use super::{format::Format, inbox::Inbox};
use crate::{
    fanout::{Cursor, Log},
    protocol::{Identity, Joined},
};

/// A connection wants to read a channel. It is answered by a letter: [`super::Letter::Joined`] or
/// [`super::Letter::NotJoined`].
pub struct Join {
    /// Which channel.
    pub channel: ChannelName,
    /// What its connection calls this: comes back with the answer.
    pub join: u64,
    /// In what it reads.
    pub format: Format,
    /// From where; `None` from now.
    pub resume: Option<Position>,
    /// How many messages before that, where it does not resume.
    pub history: u32,
    /// Who it is.
    pub identity: Option<Identity>,
    /// Since when it follows the channel, in ms since 1970.
    pub follows_since_ms: Option<u64>,
    /// Whether it may read a private channel whoever it is.
    pub watches: bool,
    /// Where the answer goes.
    pub inbox: Arc<Inbox>,
}

/// What a hub knows of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Everything up to now.
    All,
    /// What was so when the channel's home was last in reach.
    Old,
}

/// What a connection gets that has joined: what is told at once, and where the log goes on.
pub struct Arrival {
    /// Which of its joins.
    pub join: u64,
    /// What it is told.
    pub joined: Joined,
    /// The log to read.
    pub log: Log,
    /// From where: just after `joined`.
    pub cursor: Cursor,
    /// Its place; dropping it is leaving.
    pub pass: Pass,
}

/// A place in a channel. Dropping it gives it back.
pub struct Pass {
    pub(super) channel: ChannelName,
    pub(super) key: usize,
    /// Without limit, but no more wait in it than there are seats.
    pub(super) leaving: mpsc::UnboundedSender<(ChannelName, usize)>,
}

impl Drop for Pass {
    fn drop(&mut self) {
        let _ = self.leaving.send((self.channel.clone(), self.key));
    }
}
