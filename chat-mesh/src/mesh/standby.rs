//! What a hub holds of a channel that another one orders: as its standby, or from when it was the home itself.

use freshet_proto::{
    chat::Login,
    id::{ChannelName, NodeId},
};

use super::{Mesh, Message, Now, Output};
use crate::home::{Record, Snapshot, State};

/// How long it is kept where the hub is neither the channel's home nor next in line, in ms.
const KEEP_MS: u64 = 60_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Standby {
    pub state: State,
    pub owner: Login,
    /// The epoch of the home that told it.
    pub epoch: u64,
    was_home: bool,
    /// Since when nobody needs it.
    useless_ms: Option<u64>,
}

impl Standby {
    /// What is left of a home.
    pub fn of_home(state: State, owner: Login, epoch: u64) -> Self {
        Self { state, owner, epoch, was_home: true, useless_ms: None }
    }

    /// Whether nobody has taken over since this hub was the home.
    pub fn was_home(&self) -> bool {
        self.was_home
    }

    /// Another hub has it all.
    pub fn handed_over(&mut self) {
        self.was_home = false;
    }
}

impl Mesh {
    pub(super) fn whole(
        &mut self,
        now: Now,
        from: NodeId,
        name: ChannelName,
        (epoch, owner): (u64, Login),
        snapshot: Snapshot,
        out: &mut Vec<Output>,
    ) {
        let limits = self.limits.clone();
        let channel = self.channels.entry(name.clone()).or_default();
        if epoch < channel.fenced || channel.running.as_ref().is_some_and(|running| running.epoch() >= epoch) {
            return;
        }
        let state = State::restore(limits, snapshot, now);
        let position = state.head();
        channel.standby = Some(Standby { state, owner, epoch, was_home: false, useless_ms: None });
        self.send(from, Message::Has { channel: name, epoch, position }, out);
    }

    pub(super) fn records(
        &mut self,
        now: Now,
        from: NodeId,
        name: ChannelName,
        epoch: u64,
        records: Vec<Record>,
        out: &mut Vec<Output>,
    ) {
        let channel = self.channels.entry(name.clone()).or_default();
        if epoch < channel.fenced || channel.running.is_some() {
            return;
        }
        let standby = channel.standby.as_mut().filter(|standby| standby.epoch == epoch && !standby.was_home);
        let has = standby.and_then(|standby| {
            standby.useless_ms = None;
            let follows = records.into_iter().all(|record| standby.state.follow(record, now));
            follows.then(|| standby.state.head())
        });
        let answer = match has {
            Some(position) => Message::Has { channel: name, epoch, position },
            None => Message::Lacks { channel: name },
        };
        self.send(from, answer, out);
    }

    pub(super) fn sweep_standby(&mut self, now: Now, name: &ChannelName) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        let Some(standby) = &mut channel.standby else { return };
        let me = self.standing.me();
        let in_line = self.standing.current().rank(name).into_iter().take(2).any(|hub| hub == me);
        if in_line || channel.opening.is_some() {
            standby.useless_ms = None;
        } else if *standby.useless_ms.get_or_insert(now.mono_ms) + KEEP_MS <= now.mono_ms {
            channel.standby = None;
        }
    }
}
