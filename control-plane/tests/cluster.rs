//! Control nodes over real QUIC on loopback: founding, joining, claims through whoever leads, leases, the loss of a leader.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "a benchmark uses the rest of it")]
mod world;

use std::time::Duration;

use freshet_control_plane::remote::hold;
use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    id::NodeId,
    message::{Denied, Request},
    registry::{Command, Policy, Refused},
    view::{ChannelState, NodeState, Role},
};
use world::{ControlNode, Node, PATIENCE, World, until};

#[tokio::test]
async fn a_founder_and_two_joiners_agree_and_a_key_made_at_one_is_good_at_all() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    until("three voters", async || (voters(&world) == [3, 3, 3]).then_some(())).await;
    let key = world.make_channel().await;
    let origin = world.join("origin-1", Role::Origin).await;
    let claimed = origin.commands().claim(key, origin.papers.node).await.unwrap();
    for node in &world.nodes {
        let mut view = node.control.feed().view();
        let live = view.wait_for(|view| view.channels.get(&world::ada()).is_some_and(|c| c.current().is_some()));
        let view = tokio::time::timeout(PATIENCE, live).await.unwrap().unwrap();
        assert_eq!(view.channels[&world::ada()].current().unwrap().epoch, claimed.epoch);
    }
}

/// How many voters each of the control nodes knows: who follows hears of it a moment later.
fn voters(world: &World) -> Vec<usize> {
    world.nodes.iter().map(|node| node.control.group().status().voters.len()).collect()
}

#[tokio::test]
async fn losing_the_leader_loses_nothing_that_was_acknowledged_and_the_next_claim_goes_through() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let key = world.make_channel().await;
    let origin = world.join("origin-1", Role::Origin).await;
    let first = origin.commands().claim(key.clone(), origin.papers.node).await.unwrap();
    let leader = world.leader().await;
    world.kill(leader).await;
    let second = until("a claim", async || origin.commands().claim(key.clone(), origin.papers.node).await.ok()).await;
    assert_eq!((second.session, second.prior), (first.session, Some((first.epoch, origin.papers.node))));
    assert!(second.epoch > first.epoch && second.msn_base > first.msn_base);
}

#[tokio::test]
async fn lost_control_nodes_are_replaced_one_after_the_other() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    for round in 4..9 {
        let leader = world.leader().await;
        let lost = world.nodes[leader].view.server_name.clone();
        world.kill(leader).await;
        let remove = Request::Admin(AdminCommand::RemoveNode { name: lost });
        world.nodes[0].remote.ask::<AdminReply>(&remove, PATIENCE).await.unwrap();
        world.join_control(&format!("control-{round}")).await;
        until("three voters", async || (voters(&world) == [3, 3, 3]).then_some(())).await;
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_without_a_word_in_the_log() {
    let world = World::found().await;
    let origin = world.join("origin-1", Role::Origin).await;
    world.has_begun().await;
    let commands = origin.commands();
    // A machine that is too busy to answer in time says that, and is asked again.
    let answered = async || {
        let claimed = commands.claim("sk_wrong".into(), origin.papers.node).await;
        Some(claimed).filter(|claimed| *claimed != Err(Refused::Unavailable))
    };
    until("an answer", &answered).await.unwrap_err();
    let before = world.nodes[0].control.group().status().last_log;
    for _ in 0..10 {
        assert_eq!(until("an answer", &answered).await, Err(Refused::UnknownKey));
    }
    assert_eq!(world.nodes[0].control.group().status().last_log, before);
}

#[tokio::test]
async fn a_claim_that_is_asked_twice_is_granted_once() {
    let world = World::found().await;
    let (key, origin) = (world.make_channel().await, world.join("origin-1", Role::Origin).await);
    let command = freshet_proto::registry::Command::Claim { key, origin: origin.papers.node };
    let request = Request::Command { nonce: 77, command };
    let ask = || origin.remote.ask::<Option<freshet_proto::registry::Claimed>>(&request, PATIENCE);
    assert_eq!(ask().await.unwrap(), ask().await.unwrap());
}

#[tokio::test]
async fn a_node_may_speak_only_for_itself_and_only_as_what_it_is() {
    let world = World::found().await;
    let key = world.make_channel().await;
    let (origin, edge) = (world.join("origin-1", Role::Origin).await, world.join("edge-1", Role::Edge).await);
    let claim = |key: &str, origin| {
        let command = freshet_proto::registry::Command::Claim { key: key.to_owned(), origin };
        Request::Command { nonce: 1, command }
    };
    let denied = |answer: Result<Option<freshet_proto::registry::Claimed>, Denied>| match answer {
        Err(Denied::Forbidden(why)) => why,
        other => panic!("{other:?}"),
    };
    let of_another = edge.remote.ask(&claim(&key, origin.papers.node), PATIENCE).await;
    assert_eq!(denied(of_another), format!("edge-1 is not node {}", origin.papers.node));
    let of_an_edge = edge.remote.ask(&claim(&key, edge.papers.node), PATIENCE).await;
    assert_eq!(denied(of_an_edge), "only an origin takes publishers");
    let operator = edge.remote.ask::<AdminReply>(&Request::Admin(AdminCommand::Channels), PATIENCE).await;
    assert!(matches!(operator, Err(Denied::Forbidden(why)) if why.contains("only a control node's host")));
    let enlist = Request::Enlist { node: edge.papers.node, view: edge.view() };
    assert!(matches!(edge.remote.ask::<()>(&enlist, PATIENCE).await, Err(Denied::Forbidden(_))));
}

#[tokio::test]
async fn a_token_lets_in_as_many_nodes_as_it_says_and_no_node_takes_anothers_name() {
    let world = World::found().await;
    let token = world.token(Role::Edge, 2).await;
    assert!(Node::join(&token, "edge-1").await.is_ok());
    world.show("edge-1").await;
    let taken = Node::join(&token, "edge-1").await.map(drop);
    assert_eq!(taken, Err(Denied::Refused(Refused::NameTaken)));
    assert!(Node::join(&token, "edge-2").await.is_ok());
    assert_eq!(Node::join(&token, "edge-3").await.map(drop), Err(Denied::Refused(Refused::BadToken)));
    let mut forged = freshet_control_plane::join::JoinToken::decode(&world.token(Role::Edge, 1).await).unwrap();
    forged.secret.push('0');
    assert_eq!(Node::join(&forged.encode(), "edge-4").await.map(drop), Err(Denied::Refused(Refused::BadToken)));
}

#[tokio::test]
async fn a_node_that_is_heard_is_active_and_one_that_is_not_is_lost_with_its_publishers_as_often_as_it_comes_back() {
    let world = World::found().await;
    let (key, origin) = (world.make_channel().await, world.join("origin-1", Role::Origin).await);
    let state = |node: NodeId| {
        let mut view = world.nodes[0].control.feed().view();
        async move |wanted: NodeState| {
            let seen = view.wait_for(|view| view.nodes.get(&node).is_some_and(|n| n.state == wanted));
            tokio::time::timeout(PATIENCE, seen).await.expect("it comes").expect("the feed is open");
        }
    };
    let mut seen = state(origin.papers.node);
    seen(NodeState::Joined).await;
    let held = hold(origin.remote.clone(), origin.papers.node, origin.view(), 5);
    seen(NodeState::Active).await;
    let claimed = origin.commands().claim(key, origin.papers.node).await.unwrap();
    drop(held);
    seen(NodeState::Lost).await;
    let view = world.nodes[0].control.feed().view().borrow().clone();
    let channel = &view.channels[&world::ada()];
    assert_eq!((channel.state, channel.current().unwrap().epoch), (ChannelState::Grace, claimed.epoch));
    // It says that the publish goes on, and dies before it has renewed its lease.
    let goes_on = Command::Live { channel: world::ada(), epoch: claimed.epoch };
    origin.commands().tell(goes_on).await.unwrap();
    seen(NodeState::Active).await;
    seen(NodeState::Lost).await;
    let view = world.nodes[0].control.feed().view().borrow().clone();
    assert_eq!(view.channels[&world::ada()].state, ChannelState::Grace);
}

#[tokio::test]
async fn a_new_process_of_an_origin_has_lost_the_publishers_of_the_one_before() {
    let world = World::found().await;
    let (key, origin) = (world.make_channel().await, world.join("origin-1", Role::Origin).await);
    let _first = hold(origin.remote.clone(), origin.papers.node, origin.view(), 5);
    origin.commands().claim(key, origin.papers.node).await.unwrap();
    let _second = hold(origin.remote.clone(), origin.papers.node, origin.view(), 6);
    let mut view = world.nodes[0].control.feed().view();
    let lost = view.wait_for(|view| view.channels[&world::ada()].state == ChannelState::Grace);
    tokio::time::timeout(Duration::from_secs(8), lost).await.expect("long before the lease is over").unwrap();
}

#[tokio::test]
async fn operators_drain_remove_and_make_channels_through_any_control_node() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.show("edge-1").await;
    let ask = async |command| world.nodes[1].remote.ask::<AdminReply>(&Request::Admin(command), PATIENCE).await;
    let drain = |draining| AdminCommand::Drain { name: "edge-1".into(), draining };
    let state = async || match ask(AdminCommand::Cluster).await.unwrap() {
        AdminReply::Cluster(cluster) => {
            cluster.nodes.iter().find(|n| n.view.server_name == "edge-1").map(|n| n.view.state)
        }
        other => panic!("{other:?}"),
    };
    ask(drain(true)).await.unwrap();
    until("draining", async || (state().await == Some(NodeState::Draining)).then_some(())).await;
    ask(drain(false)).await.unwrap();
    until("active", async || (state().await == Some(NodeState::Active)).then_some(())).await;
    ask(AdminCommand::RemoveNode { name: "edge-1".into() }).await.unwrap();
    until("gone", async || state().await.is_none().then_some(())).await;
    let gone = ask(drain(true)).await;
    assert!(matches!(gone, Err(Denied::Refused(Refused::NoSuch(_)))), "{gone:?}");
    ask(AdminCommand::PutChannel { channel: world::ada(), policy: Policy::Newest }).await.unwrap();
    let channels = ask(AdminCommand::Channels).await.unwrap();
    assert_eq!(channels, AdminReply::Channels(vec![(world::ada(), ChannelState::Idle)]));
}

#[tokio::test]
async fn the_only_control_node_is_not_drained_for_nobody_else_could_lead() {
    let world = World::found().await;
    let ask = async |command| world.nodes[0].remote.ask::<AdminReply>(&Request::Admin(command), PATIENCE).await;
    let AdminReply::Cluster(cluster) = ask(AdminCommand::Cluster).await.unwrap() else { panic!("no cluster") };
    let name = cluster.nodes[0].view.server_name.clone();
    let drained = ask(AdminCommand::Drain { name, draining: true }).await;
    assert!(matches!(&drained, Err(Denied::Forbidden(why)) if why.contains("only control node")), "{drained:?}");
    let AdminReply::Cluster(cluster) = ask(AdminCommand::Cluster).await.unwrap() else { panic!("no cluster") };
    assert_eq!(cluster.nodes[0].view.state, NodeState::Active);
}

#[tokio::test]
async fn without_a_majority_whoever_is_left_names_no_leader() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let cluster = async |node: &ControlNode| {
        let asked = Request::Admin(AdminCommand::Cluster);
        match node.asked_itself::<AdminReply>(&asked).await {
            Ok(AdminReply::Cluster(cluster)) => cluster,
            other => panic!("{other:?}"),
        }
    };
    let leads = async || {
        for (n, node) in world.nodes.iter().enumerate() {
            let (id, told) = (node.control.group().id(), cluster(node).await);
            if (told.leader, told.nodes.len()) == (Some(id), 3) {
                return Some((n, id));
            }
        }
        None
    };
    let (leader, id) = until("a leader", leads).await;
    for other in (0..3).rev().filter(|other| *other != leader) {
        world.kill(other).await;
    }
    let left = async || Some(cluster(&world.nodes[0]).await).filter(|left| left.leader.is_none());
    let left = until("no leader", left).await;
    assert_eq!((left.answered_by, left.nodes.len()), (id, 3), "it still tells who is there");
    assert!(left.nodes.iter().all(|node| node.lease_ms.is_none()), "only a leader knows of leases: {left:?}");
}

#[tokio::test]
async fn a_follower_that_is_left_alone_names_no_leader_either_and_its_watchers_turn_elsewhere() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let leader = world.leader().await;
    world.kill(leader).await;
    world.kill(0).await;
    let left = async || match world.nodes[0].remote.ask(&Request::Admin(AdminCommand::Cluster), PATIENCE).await {
        Ok(AdminReply::Cluster(cluster)) => Some(cluster).filter(|left| left.leader.is_none()),
        other => panic!("{other:?}"),
    };
    let left = until("no leader", left).await;
    let group = world.nodes[0].control.group();
    assert_eq!(left.answered_by, group.id());
    assert_eq!(group.leadership().borrow().leader, None, "it sends no bookmarks");
}

#[tokio::test]
async fn a_removed_control_node_votes_no_more_and_the_rest_goes_on() {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let remove = Request::Admin(AdminCommand::RemoveNode { name: "control-3".into() });
    world.nodes[0].remote.ask::<AdminReply>(&remove, PATIENCE).await.unwrap();
    until("two voters", async || (voters(&world)[..2] == [2, 2]).then_some(())).await;
    world.make_channel().await;
}
