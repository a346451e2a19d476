//! Versions of what nodes say to each other and of what the registry holds: one number for all of it.
//!
//! | version | what it brought |
//! |---|---|
//! | 1 | everything that is not named below |
//! | 2 | removed nodes are cut off: [`crate::message::WatchEvent::Removed`], [`crate::admin::AdminCommand::Levels`] |
//! | 2 | every node tells its time: [`crate::message::Request::Clock`] |
//! | 2 | keys, revocations, places and marks: [`crate::annex`], [`crate::message::WatchEvent::Annex`] |
//! | 2 | reports, and the REST API through edges: [`crate::message::Request::Report`], [`crate::message::Request::Api`] |
//! | 2 | origins tell how their sessions do: [`crate::health`], [`crate::admin::AdminCommand::Health`] |
//! | 2 | how streams did is remembered, and encoders are tested: [`crate::history`], [`crate::registry::Command::Test`] |
//! | 2 | edges tell how viewers fare: [`crate::audience`], [`crate::admin::AdminCommand::Audience`] |
//! | 2 | the leader tells what it alone knows of nodes: [`crate::admin::AdminCommand::Census`] |
//! | 2 | there is a limit to a platform's channels |
//! | 2 | a new leader's clock ends no grace; names are barred: [`crate::admin::AdminReply::Barred`] |
//! | 2 | origins tell followers how media came to them: [`crate::message::FollowEvent::Arrival`] |
//! | 2 | chat hubs hold leases and are members of a mesh: [`crate::hub`], [`crate::message::Request::Hub`] |
//! | 2 | what must outlive every hub is kept: [`crate::chat::ChatRequest`], [`crate::message::Request::Chat`] |
//!
//! A node speaks its newest version and the one before it, so that a platform can be upgraded node by node. On a connection
//! the newest that both know counts; in the registry, the newest that *all* control nodes know: what they write, each of
//! them must be able to read. That one only rises.

use serde::{Deserialize, Serialize};

/// A version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub u8);

impl Level {
    /// The first there was.
    pub const FIRST: Self = Self(1);

    /// The newest that this program knows.
    pub const NEWEST: Self = Self(2);

    /// Since when removed nodes are cut off.
    pub const CUTS_OFF: Self = Self(2);

    /// Since when every node tells its time.
    pub const TELLS_TIME: Self = Self(2);

    /// Since when the registry has an annex.
    pub const ANNEX: Self = Self(2);

    /// Since when there is a limit to a platform's channels.
    pub const LIMITS_CHANNELS: Self = Self(2);

    /// Since when what waits does not run out because a new leader's clock is ahead.
    pub const KEEPS_GRACES: Self = Self(2);

    /// Since when followers hear how media came to the origin.
    pub const TELLS_ARRIVAL: Self = Self(2);

    /// Since when there is a mesh of chat hubs.
    pub const CHAT: Self = Self(2);

    /// The oldest that a node speaks whose newest is this one.
    pub fn oldest(self) -> Self {
        Self(self.0.saturating_sub(1)).max(Self::FIRST)
    }

    /// All that a node speaks whose newest is this one, newest first.
    pub fn spoken(self) -> impl Iterator<Item = Self> {
        (self.oldest().0..=self.0).rev().map(Self)
    }
}

impl Default for Level {
    /// The first: what is not told is of an old node.
    fn default() -> Self {
        Self::FIRST
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_speaks_its_newest_version_and_the_one_before() {
        let spoken = |newest: u8| Level(newest).spoken().map(|level| level.0).collect::<Vec<_>>();
        assert_eq!((spoken(1), spoken(2), spoken(7)), (vec![1], vec![2, 1], vec![7, 6]));
    }
}
