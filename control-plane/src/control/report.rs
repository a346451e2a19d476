//! What nodes tell of themselves every 2 s: where they are, which is agreed on; how busy they are and how their sessions do,
//! which is not.

use freshet_proto::{
    annex::{self, Place},
    health::Health,
    id::{ChannelName, NodeId},
    level::Level,
    message::{Denied, Report},
    quic::decode,
    registry::{NoSuch, Refused},
    view::{ChannelState, Role},
};
use tokio::time::Instant;
use tracing::info;

use super::{Control, Inner};
use crate::{
    loads::{Heard, Loads},
    machine::Input,
};

impl Control {
    /// How many watch `channel`, at all edges together, as far as this node was told: they tell the leader, and one that has
    /// just begun knows it two seconds later. 0 where nobody does.
    pub fn viewers(&self, channel: &ChannelName) -> u64 {
        self.0.loads().viewers(Instant::now(), channel)
    }
}

impl Inner {
    /// Hears a node, and tells it how busy all others are.
    pub(super) async fn report(&self, peer: &str, body: &[u8]) -> Result<annex::Loads, Denied> {
        self.leading()?;
        let (node, agreed) = self.place_of(peer).ok_or(Refused::NoSuch(NoSuch::Node))?;
        let unreadable = || Denied::Forbidden(format!("{peer} sends a report that can't be read"));
        if body.len() > Report::MAX {
            return Err(unreadable());
        }
        let Report { place, load, viewers, health, audience } = decode(body).map_err(|_| unreadable())?;
        place.check().map_err(|why| Denied::Forbidden(format!("the place of {peer}: {why}")))?;
        if health.len() > Report::MAX_SESSIONS {
            return Err(Denied::Forbidden(format!("{peer} tells of more than {} sessions", Report::MAX_SESSIONS)));
        }
        if !health.is_empty() && self.role_of(peer) != Some(Role::Origin) {
            return Err(Denied::Forbidden(format!("{peer} is no origin and has no sessions")));
        }
        for (channel, health) in &health {
            health.check().map_err(|why| Denied::Forbidden(format!("the health of {channel} by {peer}: {why}")))?;
        }
        self.check_audience(peer, &audience)?;
        let view = self.group.feed().view().borrow().clone();
        health.iter().for_each(|(channel, health)| self.remember(&view, node, channel, health));
        let now = Instant::now();
        let all = {
            let mut loads = self.loads();
            loads.hear(now, node, Heard { load, viewers, health, audience });
            loads.all(now)
        };
        if agreed != place && self.group.agreed() >= Level::ANNEX {
            info!(%node, name = peer, region = place.region, "a node says where it is");
            self.propose(Input::Place { node, place }).await?.reply?;
        }
        Ok(all)
    }

    /// How the session of `channel` does, as the origin told that the channel is published at now; `None` where there is no
    /// session, or that origin has not told it lately.
    pub(super) fn health(&self, channel: &ChannelName) -> Option<Health> {
        let view = self.group.feed().view().borrow().clone();
        let known = view
            .channels
            .get(channel)
            .filter(|known| matches!(known.state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace))?;
        let current = known.current()?;
        let loads = self.loads();
        let told = loads.health(Instant::now(), current.origin, channel)?;
        (told.epoch == current.epoch && Some(told.session) == known.session).then(|| told.clone())
    }

    /// The node of that name, and where it is as agreed on; nothing is known of one that never said it.
    fn place_of(&self, name: &str) -> Option<(NodeId, Place)> {
        self.group.read(|registry| {
            let (id, _) = registry.node_named(name)?;
            Some((id, registry.annex().places.nodes.get(&id).cloned().unwrap_or_default()))
        })
    }

    pub(super) fn loads(&self) -> std::sync::MutexGuard<'_, Loads> {
        self.loads.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
