//! Messages that wait for a moderator.

use std::collections::BTreeMap;

use freshet_proto::chat::{Login, Message, MessageId, Origin};
use serde::{Deserialize, Serialize};

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The message. It gets another id when it is said.
    pub message: Message,
    /// Which post it came with.
    pub origin: Origin,
    /// Until when it waits, in ms since 1970.
    pub until_ms: u64,
}

/// All that wait in a channel: at most [`Holds::MAX`]; where there are more, a post is refused instead.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds(BTreeMap<MessageId, Held>);

impl Holds {
    /// How many wait at most.
    pub const MAX: usize = 200;

    /// How long one waits, in ms. Then it counts as denied.
    pub const WAIT_MS: u64 = 5 * 60_000;

    /// Lets one more wait, or says that there is no room.
    pub fn hold(&mut self, held: Held) -> bool {
        let room = self.0.len() < Self::MAX;
        if room {
            self.0.insert(held.message.id, held);
        }
        room
    }

    /// Takes out the one that is decided about.
    pub fn take(&mut self, id: MessageId) -> Option<Held> {
        self.0.remove(&id)
    }

    /// Takes out those of one person.
    pub fn take_of(&mut self, login: &Login) -> Vec<Held> {
        self.take_if(|held| held.origin.login == *login)
    }

    /// Takes out those that have waited for too long.
    pub fn expire(&mut self, now_ms: u64) -> Vec<Held> {
        self.take_if(|held| held.until_ms <= now_ms)
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Held> {
        self.0.values()
    }

    fn take_if(&mut self, take: impl Fn(&Held) -> bool) -> Vec<Held> {
        let ids: Vec<_> = self.0.iter().filter(|(_, held)| take(held)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.0.remove(&id)).collect()
    }
}
