//! The members of the chat mesh over real QUIC on loopback: hubs come in, stay under another leader, start anew, fall silent,
//! leave, and keep quiet for a while.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod world;

use std::sync::Arc;

use freshet_control_plane::remote::{HubHeld, HubHold, hold, hold_hub};
use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    hub::{HubAsk, HubLease, HubMember, Hubs},
    id::NodeId,
    level::Level,
    message::{Denied, Request},
    view::Role,
};
use tokio::{
    sync::watch,
    time::{Duration, Instant, timeout},
};
use world::{Node, PATIENCE, World, until};

/// An edge that holds a lease as a node, and its hub's place.
struct Hub {
    node: Node,
    held: watch::Receiver<HubHeld>,
    hold: HubHold,
}

async fn edge(world: &World, name: &str) -> Node {
    let node = world.join(name, Role::Edge).await;
    std::mem::forget(hold(node.remote.clone(), node.papers.node, node.view(), 5));
    node
}

async fn hub(world: &World, name: &str, weight: u32) -> Hub {
    let node = edge(world, name).await;
    let (held, hold) = hold_hub(node.remote.clone(), node.papers.node, weight, 1);
    Hub { node, held, hold }
}

impl Hub {
    fn id(&self) -> NodeId {
        self.node.papers.node
    }

    /// Waits until it holds its place in an epoch from `epoch` on.
    async fn holds(&mut self, epoch: u64) -> HubHeld {
        let good = self.held.wait_for(|held| held.is_good(Instant::now()) && held.epoch >= epoch);
        *timeout(PATIENCE, good).await.expect("it holds its place").expect("it is still held")
    }
}

/// Waits until the last control node knows such a mesh.
async fn mesh(world: &World, what: &str, is_it: impl Fn(&Hubs) -> bool) -> Hubs {
    let mut view = world.nodes.last().unwrap().control.feed().view();
    let seen = timeout(PATIENCE, view.wait_for(|view| is_it(&view.annex.hubs))).await;
    let hubs = Arc::clone(&seen.unwrap_or_else(|_| panic!("{what}")).unwrap().annex.hubs);
    Hubs::clone(&hubs)
}

async fn mesh_of(world: &World, hubs: &[&Hub]) -> Hubs {
    let mut ids: Vec<NodeId> = hubs.iter().map(|hub| hub.id()).collect();
    ids.sort();
    mesh(world, &format!("a mesh of {ids:?}"), |hubs| hubs.members.keys().copied().eq(ids.iter().copied())).await
}

#[tokio::test]
async fn hubs_come_in_with_numbers_and_weights_and_one_that_starts_anew_changes_the_epoch() {
    let world = World::found().await;
    let mut one = hub(&world, "edge-1", 4).await;
    let first = one.holds(1).await.epoch;
    let mut two = hub(&world, "edge-2", 1).await;
    let second = two.holds(1).await.epoch;
    let hubs = mesh_of(&world, &[&one, &two]).await;
    assert_eq!(hubs.revision, second);
    assert_eq!(hubs.members[&one.id()], HubMember { number: 0, weight: 4, since: first });
    assert_eq!(hubs.members[&two.id()], HubMember { number: 1, weight: 1, since: second });
    assert_eq!(one.holds(second).await.epoch, second, "renewals tell the epoch and change nothing");

    let former = std::mem::replace(&mut one.held, watch::channel(HubHeld::default()).1);
    (one.held, one.hold) = hold_hub(one.node.remote.clone(), one.id(), 4, 2);
    let third = one.holds(second + 1).await.epoch;
    let hubs = mesh(&world, "the new process", |hubs| hubs.revision == third).await;
    assert_eq!(hubs.members[&one.id()], HubMember { number: 2, weight: 4, since: third });
    assert_eq!(hubs.members[&two.id()].since, second);
    // The process before, if it is still there, is told so and does not drive the new one out.
    let ask = Request::Hub(HubAsk { node: one.id(), weight: 4, life: 1, leaves: false });
    let told = one.node.remote.ask::<HubLease>(&ask, PATIENCE).await;
    assert!(matches!(&told, Err(Denied::Forbidden(why)) if why.contains("another one has come in")), "{told:?}");
    drop(former);
    assert_eq!(two.holds(third).await.epoch, third);
}

#[tokio::test]
async fn a_hub_that_falls_silent_goes_and_one_that_leaves_goes_at_once() {
    let world = World::found().await;
    let [mut one, mut two, mut three] =
        [hub(&world, "edge-1", 1).await, hub(&world, "edge-2", 1).await, hub(&world, "edge-3", 1).await];
    for hub in [&mut one, &mut two, &mut three] {
        hub.holds(1).await;
    }
    let all = mesh_of(&world, &[&one, &two, &three]).await;
    let gone = one.id();
    drop(one);
    let fewer = mesh_of(&world, &[&two, &three]).await;
    assert!(fewer.revision > all.revision && !fewer.members.contains_key(&gone));

    two.hold.leave(PATIENCE).await.unwrap();
    assert!(!two.held.borrow().is_good(Instant::now()));
    let left = mesh_of(&world, &[&three]).await;
    assert!(left.revision > fewer.revision);
    let late = Request::Hub(HubAsk { node: two.id(), weight: 1, life: 1, leaves: false });
    let late = two.node.remote.ask::<HubLease>(&late, PATIENCE).await;
    assert!(matches!(&late, Err(Denied::Forbidden(why)) if why.contains("has left")), "{late:?}");
    // Under a life of its own it comes in again.
    (two.held, two.hold) = hold_hub(two.node.remote.clone(), two.id(), 1, 2);
    two.holds(left.revision + 1).await;
    mesh_of(&world, &[&two, &three]).await;
}

#[tokio::test]
async fn the_loss_of_the_leader_takes_no_hub_out() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let mut hubs = [hub(&world, "edge-1", 1).await, hub(&world, "edge-2", 1).await, hub(&world, "edge-3", 1).await];
    for hub in &mut hubs {
        hub.holds(1).await;
    }
    let before = mesh_of(&world, &[&hubs[0], &hubs[1], &hubs[2]]).await;
    let leader = world.leader().await;
    world.kill(leader).await;
    world.leader().await;
    let lost = Instant::now();
    for hub in &mut hubs {
        let renewed = hub.held.wait_for(|held| held.until.is_some_and(|until| until > lost + Duration::from_secs(6)));
        timeout(PATIENCE, renewed).await.expect("it is heard for longer than a new leader waits").unwrap();
    }
    let after = mesh(&world, "the same mesh", |hubs| !hubs.members.is_empty()).await;
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_hub_is_an_edges_own_and_makes_sense() {
    let world = World::found().await;
    let (one, two) = (edge(&world, "edge-1").await, edge(&world, "edge-2").await);
    let origin = world.join("origin-1", Role::Origin).await;
    let denied = async |asker: &Node, node: NodeId, weight: u32| {
        let ask = Request::Hub(HubAsk { node, weight, life: 1, leaves: false });
        match asker.remote.ask::<HubLease>(&ask, PATIENCE).await {
            Err(Denied::Forbidden(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(denied(&two, one.papers.node, 1).await, format!("edge-2 is not node {}", one.papers.node));
    assert_eq!(denied(&origin, origin.papers.node, 1).await, "origin-1 is no edge: chat hubs are at edges");
    for weight in [0, HubAsk::MAX_WEIGHT + 1] {
        assert_eq!(
            denied(&one, one.papers.node, weight).await,
            format!("a hub weighs from 1 to 1000000, not {weight}")
        );
    }
    // Who leaves without having been there, leaves.
    let leaves = Request::Hub(HubAsk { node: one.papers.node, weight: 1, life: 1, leaves: true });
    assert_eq!(one.remote.ask(&leaves, PATIENCE).await, Ok(HubLease { ttl_ms: 0, epoch: 0 }));
}

#[tokio::test]
async fn a_removed_edge_is_no_hub_any_more() {
    let world = World::found().await;
    let (mut one, mut two) = (hub(&world, "edge-1", 1).await, hub(&world, "edge-2", 1).await);
    one.holds(1).await;
    two.holds(1).await;
    mesh_of(&world, &[&one, &two]).await;
    let remove = Request::Admin(AdminCommand::RemoveNode { name: "edge-1".to_owned() });
    world.nodes[0].remote.ask::<AdminReply>(&remove, PATIENCE).await.unwrap();
    mesh_of(&world, &[&two]).await;
}

#[tokio::test]
async fn a_platform_of_the_first_version_has_no_mesh() {
    let world = World::found_at(Level::FIRST).await;
    let node = edge(&world, "edge-1").await;
    let ask = Request::Hub(HubAsk { node: node.papers.node, weight: 1, life: 1, leaves: false });
    let answer = node.remote.ask::<HubLease>(&ask, PATIENCE).await;
    assert!(matches!(&answer, Err(Denied::Forbidden(why)) if why.contains("version")), "{answer:?}");
    until("a view", async || Some(world.nodes[0].control.feed().view().borrow().annex.hubs.revision)).await;
}
