//! The standby of a channel whose home this hub is: which one, and what it has.

use freshet_proto::{
    chat::Position,
    id::{ChannelName, NodeId},
};

use crate::{
    home::Input as HomeInput,
    mesh::{Mesh, Now, Output},
};

/// For how many ms a standby that lacks something is not sent everything again.
const WHOLE_MS: u64 = 1_000;
impl Mesh {
    pub(in crate::mesh) fn standby_has(
        &mut self,
        now: Now,
        name: ChannelName,
        from: NodeId,
        epoch: u64,
        position: Position,
        out: &mut Vec<Output>,
    ) {
        let acts = self.is_mine(now, &name);
        let Some(running) = self.channels.get_mut(&name).and_then(|channel| channel.running.as_mut()) else { return };
        if running.standby != Some(from) || running.epoch() != epoch || position > running.state().head() {
            return;
        }
        running.has = running.has.max(position);
        if acts {
            self.answer(now, &name, out);
        }
    }

    /// Tells the home what the standby has, so that it answers.
    pub(super) fn answer(&mut self, now: Now, name: &ChannelName, out: &mut Vec<Output>) {
        let Some(running) = self.channels.get_mut(name).and_then(|channel| channel.running.as_mut()) else { return };
        let Some(hub) = running.standby.filter(|_| running.has > running.answered) else { return };
        running.answered = running.has;
        let position = running.has;
        self.home_input(now, name, HomeInput::StandbyHas { hub: hub.0, position }, out);
    }

    /// Makes sure that the right hub is the standby, and that it has everything; `again` where that one may have lost some.
    pub(in crate::mesh) fn give_standby(
        &mut self,
        now: Now,
        name: &ChannelName,
        again: Option<NodeId>,
        out: &mut Vec<Output>,
    ) {
        if !self.is_mine(now, name) {
            return;
        }
        let standby = self.next_in_line(now, name);
        let Some(running) = self.channels.get_mut(name).and_then(|channel| channel.running.as_mut()) else { return };
        let is_new = running.standby != standby;
        if !is_new && (standby.is_none() || again != standby) {
            return;
        }
        if is_new {
            (running.standby, running.has, running.answered) = (standby, Position::default(), Position::default());
        }
        let whole = running.whole(name, now);
        (running.told_ms, running.whole_ms) = (now.mono_ms, now.mono_ms);
        if let Some(standby) = standby {
            self.send(standby, whole, out);
        }
        if is_new {
            self.home_input(now, name, HomeInput::Standby(standby.map(|hub| hub.0)), out);
        }
    }

    /// The standby lacks something: it may be what is on its way already.
    pub(in crate::mesh) fn lacks(&mut self, now: Now, name: &ChannelName, from: NodeId, out: &mut Vec<Output>) {
        let running = self.channels.get(name).and_then(|channel| channel.running.as_ref());
        if running.is_some_and(|running| now.mono_ms >= running.whole_ms + WHOLE_MS) {
            self.give_standby(now, name, Some(from), out);
        }
    }

    /// The first in rank beside this hub that is in reach; where none is, the first.
    fn next_in_line(&self, now: Now, name: &ChannelName) -> Option<NodeId> {
        let me = self.standing.me();
        let ranked: Vec<_> = self.standing.current().rank(name).into_iter().filter(|hub| *hub != me).collect();
        let reached = ranked.iter().find(|hub| self.standing.reaches(**hub, now.mono_ms));
        reached.or(ranked.first()).copied()
    }
}
