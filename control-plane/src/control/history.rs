//! The leader remembers how sessions did: it hears what origins tell, and follows the view while it leads.

use std::sync::{MutexGuard, PoisonError};

use freshet_proto::{
    health::Health,
    history::History,
    id::{ChannelName, Epoch, NodeId},
    view::{Position, View},
};

use super::Inner;
use crate::{feed::Since, history::Histories};

impl Inner {
    pub(super) fn histories(&self) -> MutexGuard<'_, Histories> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of `channel`.
    pub(super) fn history(&self, channel: &ChannelName) -> History {
        self.histories().of(self.clock.now_ms(), channel)
    }

    /// Begins to remember; returns up to where the view is known.
    pub(super) fn begin_history(&self) -> Position {
        let view = self.group.feed().view().borrow().clone();
        self.histories().begin(self.clock.now_ms(), &view);
        view.position()
    }

    /// Remembers what has changed after `seen`.
    pub(super) fn follow_history(&self, seen: &mut Position) {
        let now_ms = self.clock.now_ms();
        match self.group.feed().since(Some(*seen)) {
            Since::Deltas(deltas) => {
                for delta in deltas {
                    self.histories().changed(now_ms, &delta);
                    seen.revision = delta.revision;
                }
            }
            Since::Snapshot(view) => {
                self.histories().begin(now_ms, &view);
                *seen = view.position();
            }
        }
    }

    /// An origin tells how a session or a private test does: of sessions, the current publish counts.
    pub(super) fn remember(&self, view: &View, node: NodeId, channel: &ChannelName, health: &Health) {
        let Some(known) = view.channels.get(channel) else { return };
        let current = known.current().filter(|current| current.origin == node && current.epoch == health.epoch);
        match current {
            _ if health.epoch == Epoch(0) => self.histories().try_out(self.clock.now_ms(), channel, health),
            Some(_) if known.session == Some(health.session) => {
                self.histories().hear(self.clock.now_ms(), channel, health);
            }
            _ => {}
        }
    }
}
