//! What people are in a channel, and who may read it no more.

use freshet_proto::{
    chat::{Code, Login, Refusal},
    id::ChannelName,
};

use super::{
    super::{Access, Standing, channel::Reader, inbox::Letter, join},
    Actor,
};
use crate::mesh::Input;

impl Actor {
    /// What is stored of somebody: since when they follow, and a role that may have been given or taken outside of chat.
    pub(super) fn stands(&mut self, name: &ChannelName, login: &Login, standing: Standing) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        for key in channel.by_login.get(login).cloned().unwrap_or_default() {
            if let Some(reader) = channel.readers.get_mut(key) {
                reader.follows_since_ms = standing.follows_since_ms;
            }
        }
        self.standing(name, login);
        let known = self.mesh.follower(name).filter(|follower| follower.is_current() && follower.owner() != login);
        if known.is_some_and(|known| known.state().durable().roles.get(login).copied() != standing.role) {
            self.tell(Input::Recheck(name.clone()));
        }
    }

    /// Tells the connections of somebody what they are in a channel now.
    pub(super) fn standing(&mut self, name: &ChannelName, login: &Login) {
        let (Some(channel), Some(follower)) = (self.channels.get(name), self.mesh.follower(name)) else { return };
        let access = self.shared.door.channel(name);
        for reader in channel.readers_of(login) {
            let role = join::role(follower, reader.identity.as_ref(), reader.follows_since_ms);
            if !join::may_read(access, role, reader.watches) {
                evict(reader, name, &Code::NoSuchChannel.into());
                continue;
            }
            reader.inbox.put(Letter::Standing(name.clone(), role, reader.follows_since_ms));
        }
    }

    /// Sends those away who may not read a channel any more.
    pub(super) fn recheck(&mut self) {
        let refusal = Code::NoSuchChannel.into();
        for (name, channel) in &self.channels {
            let Some(follower) = self.mesh.follower(name) else { continue };
            let access = self.shared.door.channel(name);
            if access == Access::Open {
                continue;
            }
            for (_, reader) in &channel.readers {
                let role = join::role(follower, reader.identity.as_ref(), reader.follows_since_ms);
                if !join::may_read(access, role, reader.watches) {
                    evict(reader, name, &refusal);
                }
            }
        }
    }
}

fn evict(reader: &Reader, channel: &ChannelName, refusal: &Refusal) {
    reader.inbox.put(Letter::NotJoined { join: None, channel: channel.clone(), refusal: refusal.clone() });
}
