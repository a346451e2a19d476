//! Who comes and who goes: a join waits until its channel can be read.

use freshet_proto::{
    chat::{Code, Refusal, To},
    id::ChannelName,
};
use tokio::time::{Duration, Instant};

use super::{
    super::{
        channel::{Channel, Waiting},
        inbox::Letter,
        join,
        seat::{Join, Known},
    },
    Actor, MODERATES,
};
use crate::mesh::{Follower, Input};

/// How many joins may wait until their channels can be read, over all channels.
const MAX_WAITING: usize = 100_000;

impl Actor {
    pub(super) fn join(&mut self, join: Join, now: Instant) {
        let name = join.channel.clone();
        let channel = self.channels.entry(name.clone());
        let is_new = matches!(channel, std::collections::btree_map::Entry::Vacant(_));
        channel.or_insert_with(|| Channel::new(name.clone()));
        if is_new {
            // Also where the machine still has it: it would forget it else.
            self.tell(Input::Want(name.clone()));
        }
        if self.mesh.follower(&name).is_some_and(Follower::is_current) {
            return self.seat(join, Known::All);
        }
        if self.waiting >= MAX_WAITING {
            return refuse(&join, &Refusal::for_ms(Code::Paused, 1_000));
        }
        self.waiting += 1;
        let until = now + Duration::from_millis(self.shared.config.join_timeout_ms);
        if let Some(channel) = self.channels.get_mut(&name) {
            channel.waiting.push(Waiting { join, until });
        }
    }

    pub(super) fn ready(&mut self, name: &ChannelName) {
        self.moderators_may_lack(name);
        let Some(channel) = self.channels.get_mut(name) else { return };
        let waiting = std::mem::take(&mut channel.waiting);
        self.waiting -= waiting.len();
        for Waiting { join, .. } in waiting {
            self.seat(join, Known::All);
        }
    }

    /// What began to wait while the home was out of reach, or was decided, was not told here.
    pub(super) fn moderators_may_lack(&mut self, name: &ChannelName) {
        let (Some(channel), Some(follower)) = (self.channels.get(name), self.mesh.follower(name)) else { return };
        let moderators = join::addressees(channel, follower, &To::Moderators);
        if moderators.iter().any(|login| channel.readers_of(login).next().is_some()) {
            self.tell(Input::Waiting { channel: name.clone(), to: To::Moderators });
        }
    }

    /// Lets a reader in.
    pub(super) fn seat(&mut self, join: Join, known: Known) {
        let name = join.channel.clone();
        if self.flushed(&name, |_| ()).is_none() {
            return refuse(&join, &Code::NoSuchChannel.into());
        }
        let (Some(channel), Some(follower)) = (self.channels.get_mut(&name), self.mesh.follower(&name)) else {
            return refuse(&join, &Refusal::for_ms(Code::Paused, 1_000));
        };
        let login = join.identity.as_ref().map(|identity| identity.user.login.clone());
        match join::arrive(&self.shared, channel, (follower, known), join) {
            Ok(role) => {
                self.shared.stats.joins.add(1);
                if let Some(login) = login.filter(|_| role >= MODERATES) {
                    self.tell(Input::Waiting { channel: name, to: To::User(login) });
                }
            }
            Err(join) => {
                refuse(&join, &Code::NoSuchChannel.into());
                self.forget_unwanted(&name);
            }
        }
    }

    pub(super) fn leave(&mut self, name: &ChannelName, key: usize) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.leave(key);
        self.forget_unwanted(name);
    }

    /// Forgets a channel that nobody reads or waits for. The machine keeps it for a while.
    pub(super) fn forget_unwanted(&mut self, name: &ChannelName) {
        if self.channels.get(name).is_some_and(|channel| !channel.is_wanted()) {
            self.channels.remove(name);
            self.nobody_reads(name);
            self.tell(Input::Unwant(name.clone()));
        }
    }
}

fn refuse(join: &Join, refusal: &Refusal) {
    let (channel, refusal) = (join.channel.clone(), refusal.clone());
    join.inbox.put(Letter::NotJoined { join: Some(join.join), channel, refusal });
}
