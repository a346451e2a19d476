//! How the leader keeps the members of the chat mesh: who comes in, who is still there, who goes.
//!
//! ```text
//! HUB ──▶ a member that is known ──────────────────────────▶ HubLease (the leader's memory alone)
//!    └──▶ the first time, or another process ──HubIn──▶ ─────┘
//!    └──▶ leaves ──┐
//! silence ─────────┴─HubsOut──▶
//! ```
//! From when it is decided that a hub goes until that is agreed on, nothing is granted to it: no hub holds its place in an
//! epoch in which it has none.

use std::sync::MutexGuard;

use freshet_proto::{
    hub::{HubAsk, HubLease},
    id::NodeId,
    message::Denied,
    registry::Refused,
    view::{NodeState, Role},
};
use tokio::time::{Duration, Instant};
use tracing::{info, warn};

use super::{Inner, denied};
use crate::{
    hubs::{HubLeases, TTL},
    machine::{Input, Registry},
};

/// After how long what could not be agreed on is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// What became of a wish to stay.
enum Stay {
    Granted(HubLease),
    /// It is no member, or another process of it is.
    Unknown,
    /// It is being taken out.
    Goes,
}

impl Inner {
    /// Only what is new is logged; that a hub is alive is in the leader's memory alone.
    pub(super) async fn hub(&self, peer: &str, ask: HubAsk) -> Result<HubLease, Denied> {
        self.leading()?;
        // One that leads no more, and has not noticed, grants nothing.
        self.group.confirm().await.map_err(denied)?;
        let node = self.asking(peer, ask.node).await?;
        if node.view.role != Role::Edge {
            return Err(Denied::Forbidden(format!("{peer} is no edge: chat hubs are at edges")));
        }
        if !(1..=HubAsk::MAX_WEIGHT).contains(&ask.weight) {
            return Err(Denied::Forbidden(format!(
                "a hub weighs from 1 to {}, not {}",
                HubAsk::MAX_WEIGHT,
                ask.weight
            )));
        }
        if ask.leaves {
            return self.let_go(ask).await;
        }
        if self.hubs().has_left(ask.node, ask.life) {
            let why =
                format!("this process of the hub of {peer} has left, or another one has come in; draw a new life");
            return Err(Denied::Forbidden(why));
        }
        if node.view.state == NodeState::Lost {
            return Err(Refused::Unavailable.into());
        }
        match self.stay(&ask) {
            Stay::Granted(lease) => return Ok(lease),
            Stay::Goes => return Err(Refused::Unavailable.into()),
            Stay::Unknown => {}
        }
        let HubAsk { node, weight, life, .. } = ask;
        let former = self.group.read(|registry| registry.hub_life(node));
        self.propose(Input::HubIn { node, weight, life }).await?.reply?;
        info!(%node, name = peer, weight, "a chat hub is a member of the mesh");
        if let Some(former) = former.filter(|former| *former != life) {
            self.hubs().replace(node, former);
        }
        match self.stay(&ask) {
            Stay::Granted(lease) => Ok(lease),
            _ => Err(Refused::Unavailable.into()),
        }
    }

    /// Looks at the registry while nobody can decide that the hub goes.
    fn stay(&self, ask: &HubAsk) -> Stay {
        let mut hubs = self.hubs();
        let known = self.group.read(|registry| registry.is_member(ask).then(|| registry.annex().hubs.revision));
        let Some(epoch) = known else { return Stay::Unknown };
        match hubs.renew(Instant::now(), ask.node) {
            true => Stay::Granted(HubLease { ttl_ms: TTL.as_millis() as u64, epoch }),
            false => Stay::Goes,
        }
    }

    /// One that leaves goes whatever the others do: it says itself that it decides nothing any more. Where another process
    /// has come in since, that one stays.
    async fn let_go(&self, HubAsk { node, life, .. }: HubAsk) -> Result<HubLease, Denied> {
        let going = {
            let mut hubs = self.hubs();
            let all = self.group.read(|registry| registry.is_in(node, life).then(|| members(registry)));
            let going = all.unwrap_or_default().into_iter().find(|(id, _)| *id == node);
            if going.is_some() {
                hubs.leave(node, life);
            }
            going
        };
        if let Some(going) = going {
            self.propose(Input::HubsOut { hubs: vec![going] }).await?.reply?;
            self.hubs().gone(&[node]);
            info!(%node, "a chat hub has left the mesh");
        }
        Ok(HubLease { ttl_ms: 0, epoch: self.group.read(|registry| registry.annex().hubs.revision) })
    }

    /// When the leader must look after the hubs again.
    pub(super) fn hubs_due(&self) -> Option<Instant> {
        let any = self.group.read(|registry| !registry.annex().hubs.members.is_empty());
        any.then(|| self.hubs().deadline(Instant::now()))
    }

    /// Takes out those that are silent.
    pub(super) async fn take_hubs_out(&self) {
        let (due, hubs) = {
            let mut hubs = self.hubs();
            let members = self.group.read(members);
            let nodes: Vec<NodeId> = members.iter().map(|(node, _)| *node).collect();
            let due = hubs.due(Instant::now(), &nodes);
            let going = members.into_iter().filter(|(node, _)| due.contains(node)).collect::<Vec<_>>();
            (due, going)
        };
        if due.is_empty() {
            return;
        }
        warn!(hubs = ?due, "chat hubs are silent: the mesh goes on without them");
        match self.propose(Input::HubsOut { hubs }).await {
            Ok(_) => self.hubs().gone(&due),
            Err(error) => {
                warn!(%error, "that chat hubs are silent could not be agreed on yet");
                self.hubs().again(Instant::now() + RETRY);
            }
        }
    }

    pub(super) fn hubs(&self) -> MutexGuard<'_, HubLeases> {
        self.hubs.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The members, and since when each is one.
fn members(registry: &Registry) -> Vec<(NodeId, u64)> {
    registry.annex().hubs.members.iter().map(|(node, member)| (*node, member.since)).collect()
}
