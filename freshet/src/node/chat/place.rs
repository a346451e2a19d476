//! A hub's place in the mesh: who the others are, by the view, and until when it counts as there.

use std::sync::Arc;

use freshet_chat_mesh::{
    hub::Hub,
    links::Former,
    mesh::{Earlier, Input, Member, Members},
};
use freshet_control_plane::remote::HubHeld;
use freshet_proto::{
    hub::{EarlierHubs, HubMember, Hubs},
    id::NodeId,
    view::View,
};
use tokio::{sync::watch, time::Instant};

/// Tells the hub who the members are, whenever that changes.
pub(super) async fn tell_members(mut view: watch::Receiver<Arc<View>>, hub: Hub) {
    let (mut told, mut former) = (0, Former::default());
    loop {
        let (hubs, before) = {
            let view = view.borrow_and_update();
            (view.annex.hubs.clone(), former.of(&view, Instant::now()).cloned())
        };
        if hubs.revision > told {
            told = hubs.revision;
            hub.tell(Input::Members(members(&hubs, before.as_ref()))).await;
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}

/// Tells the hub until when it holds its place, whenever that changes.
pub(super) async fn tell_lease(mut held: watch::Receiver<HubHeld>, hub: Hub) {
    loop {
        let HubHeld { until, epoch } = *held.borrow_and_update();
        if let Some(until) = until {
            hub.tell(Input::Lease { until_ms: hub.mono_ms(until), epoch }).await;
        }
        if held.changed().await.is_err() {
            return;
        }
    }
}

/// The other hubs.
pub(super) struct Others {
    /// How many there are.
    pub count: usize,
    /// The hosts where clients reach them, as far as they have said so.
    pub hosts: Vec<String>,
}

/// The hubs beside `me`, by the view.
pub(super) fn others(view: &View, me: NodeId) -> Others {
    let others: Vec<NodeId> = view.annex.hubs.members.keys().copied().filter(|hub| *hub != me).collect();
    let places = others.iter().filter_map(|hub| view.annex.places.nodes.get(hub));
    let hosts = places.filter_map(|place| place.https.strip_prefix("https://")).map(str::to_owned);
    Others { count: others.len(), hosts: hosts.collect() }
}

fn members(hubs: &Hubs, former: Option<&EarlierHubs>) -> Members {
    let earlier = |set: &EarlierHubs| Earlier { epoch: set.revision, hubs: all(&set.members) };
    let before = hubs.before.iter().map(earlier).collect();
    Members { epoch: hubs.revision, hubs: all(&hubs.members), before, former: former.map(earlier) }
}

fn all(members: &std::collections::BTreeMap<NodeId, HubMember>) -> std::collections::BTreeMap<NodeId, Member> {
    let member = |member: &HubMember| Member { number: member.number, weight: member.weight };
    members.iter().map(|(node, known)| (*node, member(known))).collect()
}
