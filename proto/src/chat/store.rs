//! What a channel's home asks of the control nodes that keep its durable part.
//!
//! ```text
//! home ──Open──▶ a control node that keeps accounts ──▶ owner, Durable
//!      ──Store: numbered changes, lines of the log──▶   ──▶ the newest version that is stored
//! hub  ──Standing──▶                                    ──▶ what somebody is in a channel
//! ```

use serde::{Deserialize, Serialize};

use super::{Change, Durable, LogEntry, Login, Role};
use crate::id::ChannelName;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChatRequest {
    /// Whose a channel is, and what is stored of its chat.
    Open {
        /// Which.
        channel: ChannelName,
    },
    /// To store changes, in order. Asked twice it happens once.
    Store {
        /// Where.
        channel: ChannelName,
        /// The mesh epoch of the home that asks: an older one than somebody has stored under is refused.
        epoch: u64,
        /// Each with the [`Durable::version`] that it led to. At most [`ChatRequest::MAX_CHANGES`].
        changes: Vec<(u64, Change)>,
        /// What moderators did, the oldest first. A line that is there already is not written again. At most
        /// [`ChatRequest::MAX_CHANGES`].
        log: Vec<LogEntry>,
    },
    /// What somebody is in a channel, as its accounts have it now.
    Standing {
        /// Where.
        channel: ChannelName,
        /// Who.
        login: Login,
    },
}

impl ChatRequest {
    /// The longest, in bytes.
    pub const MAX: usize = 2 << 20;

    /// How many changes, and how many lines of the log, are stored at once.
    pub const MAX_CHANGES: usize = 256;
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ChatReply {
    /// There is no such channel.
    NoSuchChannel,
    /// To [`ChatRequest::Open`].
    Opened {
        /// Whose it is.
        owner: Login,
        /// What is stored; timeouts that have run out are not. Reasons of bans are left out where they are too long together.
        durable: Durable,
    },
    /// To [`ChatRequest::Store`]: all of it is there to stay.
    Stored {
        /// The newest version that is stored.
        version: u64,
        /// Versions of changes that can't be kept: roles of somebody without an account, or where a channel has no owner.
        unstored: Vec<u64>,
    },
    /// To [`ChatRequest::Store`], none of which was done: a home of a newer mesh epoch has stored.
    Stale {
        /// Which epoch.
        epoch: u64,
    },
    /// To [`ChatRequest::Store`], none of which was done: there are as many bans, roles or terms as there may be.
    Full,
    /// To [`ChatRequest::Standing`].
    Standing {
        /// Since when they follow the channel, in ms since 1970.
        follows_since_ms: Option<u64>,
        /// Owner, moderator or VIP.
        role: Option<Role>,
        /// Whether they run the platform.
        admin: bool,
    },
}
