//! How many read a channel: told to its home every 2 s, and shown to readers when the home has counted.

use freshet_proto::id::ChannelName;
use tokio::time::{Duration, Instant};

use super::{actor::Actor, channel::Channel};
use crate::{
    mesh::{Input, TELL_MS},
    presence::{Sketch, hash},
};

/// How often the home is told, and readers are at most.
const EVERY: Duration = Duration::from_millis(TELL_MS);

/// What a channel's presence waits for.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// When the home was told last.
    told: Option<Instant>,
    /// When readers were told last.
    shown: Option<Instant>,
    /// What they are to be told: connections and users.
    count: Option<(u64, u64)>,
}

impl Channel {
    /// What the home is to be told now: every [`EVERY`] from the first reader on.
    fn attendance(&mut self, now: Instant) -> Option<Input> {
        if self.readers.is_empty() || self.presence.told.is_some_and(|told| now < told + EVERY) {
            return None;
        }
        self.presence.told = Some(now);
        let connections = u32::try_from(self.readers.len()).unwrap_or(u32::MAX);
        let users = self.by_login.keys().map(hash).collect();
        Some(Input::Readers { channel: self.name.clone(), connections, users })
    }

    /// What readers are to be told now.
    fn count_due(&mut self, now: Instant) -> Option<(u64, u64)> {
        let is_due = self.presence.shown.is_none_or(|shown| shown + EVERY <= now);
        let count = self.presence.count.take_if(|_| is_due)?;
        self.presence.shown = Some(now);
        Some(count)
    }
}

impl Actor {
    /// The home has counted. Readers are told when it is time.
    pub(super) fn count(&mut self, name: &ChannelName, connections: u64, users: u64) {
        if let Some(channel) = self.channels.get_mut(name) {
            channel.presence.count = Some((connections, users));
        }
    }

    /// Tells homes and readers what is due.
    pub(super) fn presence(&mut self, now: Instant) {
        let mut told = Vec::new();
        for channel in self.channels.values_mut() {
            told.extend(channel.attendance(now));
            if let Some((connections, users)) = channel.count_due(now) {
                channel.count(connections, users);
            }
        }
        for input in told {
            self.tell(input);
        }
    }

    /// The last reader of a channel is gone.
    pub(super) fn nobody_reads(&mut self, name: &ChannelName) {
        self.tell(Input::Readers { channel: name.clone(), connections: 0, users: Sketch::default() });
    }
}
