//! What is stored of a channel beside its log: looked at, made up for, and never ahead of the log.

use freshet_proto::id::ChannelName;

use crate::{
    home::Input as HomeInput,
    mesh::{Mesh, Now, Output, Stored},
    moderation::Change,
};

impl Mesh {
    /// Looks at what is stored, unless something that was done here is not yet.
    pub(in crate::mesh) fn recheck(&mut self, now: Now, name: ChannelName, out: &mut Vec<Output>) {
        let is_mine = self.is_mine(now, &name);
        let Some(running) = self.channels.get_mut(&name).and_then(|channel| channel.running.as_mut()) else { return };
        let version = running.state().durable().version;
        if is_mine && running.stored.is_some_and(|stored| stored >= version) && running.looks.replace(version).is_none()
        {
            out.push(Output::Open(name));
        }
    }

    /// What was looked at. It says nothing where something was done here meanwhile.
    pub(in crate::mesh) fn looked(
        &mut self,
        now: Now,
        name: &ChannelName,
        stored: Option<Box<Stored>>,
        out: &mut Vec<Output>,
    ) {
        let Some(running) = self.channels.get_mut(name).and_then(|channel| channel.running.as_mut()) else { return };
        if running.stored.is_none()
            && let Some(stored) = &stored
        {
            return self.make_up(now, name, stored, out);
        }
        let is_same = running.looks.take() == Some(running.state().durable().version);
        if let Some(stored) = stored.filter(|_| is_same) {
            self.home_input(now, name, HomeInput::Roles(stored.durable.roles), out);
        }
    }

    /// What is stored was not known when the channel opened: stores what an earlier home did that was not.
    fn make_up(&mut self, now: Now, name: &ChannelName, stored: &Stored, out: &mut Vec<Output>) {
        let Some(running) = self.channels.get_mut(name).and_then(|channel| channel.running.as_mut()) else { return };
        let (epoch, durable) = (running.epoch(), running.state().durable());
        let (changes, version) = (durable.since(&stored.durable), durable.version);
        running.stored = Some(stored.durable.version);
        let last = changes.len();
        for (n, (number, change)) in (stored.durable.version + 1..).zip(changes).enumerate() {
            // The last one stands for all that this hub knows.
            let version = if n + 1 == last { version.max(number) } else { number };
            out.push(Output::Store { channel: name.clone(), epoch, version, change });
        }
        if last == 0 {
            self.stored(now, name.clone(), version, Vec::new(), out);
        }
    }

    pub(in crate::mesh) fn stored(
        &mut self,
        now: Now,
        name: ChannelName,
        version: u64,
        lacks: Vec<(u64, Change)>,
        out: &mut Vec<Output>,
    ) {
        if let Some(running) = self.channels.get_mut(&name).and_then(|channel| channel.running.as_mut()) {
            running.stored = running.stored.max(Some(version));
        }
        self.home_input(now, &name, HomeInput::Stored { version, lacks }, out);
    }
}
