//! Control nodes of different versions over real QUIC on loopback: when they agree on the newer one, who is cut off then,
//! and what those are told who know the older one.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod world;

use std::sync::Arc;

use freshet_control_plane::{remote::hold, watch};
use freshet_proto::{
    admin::{AdminCommand, AdminReply, Levels},
    clock::WallClock,
    level::Level,
    message::{Denied, Joined, MAX_FRAME, Request, WatchEvent},
    quic::{Doors, Endpoint, Pool, Reader, Tuning, within},
    random::Random,
    registry::{Policy, Refused},
    view::{Bar, Removed, Role, View},
};
use world::{ControlNode, Node, PATIENCE, World, until};

const ONE: Level = Level(1);
const TWO: Level = Level(2);

/// Asks from the host of the control node that came last.
async fn ask(world: &World, command: AdminCommand) -> Result<AdminReply, Denied> {
    world.nodes.last().unwrap().remote.ask(&Request::Admin(command), PATIENCE).await
}

async fn remove(world: &World, name: &str) -> AdminReply {
    ask(world, AdminCommand::RemoveNode { name: name.to_owned() }).await.unwrap()
}

/// The versions that the leader has heard, and the one that is agreed on.
async fn levels(world: &World) -> Option<Levels> {
    match ask(world, AdminCommand::Levels).await {
        Ok(AdminReply::Levels(levels)) => Some(levels),
        _ => None,
    }
}

fn agreed(world: &World) -> Vec<Level> {
    world.nodes.iter().map(|node| node.control.group().agreed()).collect()
}

/// A pool that speaks no newer version than `level`, in the name of a node that has joined.
fn pool(node: &Node, level: Level) -> Pool {
    let doors = Doors { clock: WallClock::system(), random: Random::system() };
    let identity = node.issued.identity().unwrap().at_most(level);
    Pool::new(&Endpoint::bind("127.0.0.1:0".parse().unwrap(), &identity, doors, Tuning::default()).unwrap())
}

async fn watching(world: &World, pool: &Pool) -> Reader {
    let control = &world.nodes[0].view;
    pool.request(control.quic, &control.server_name, &Request::Watch { after: None }).await.unwrap()
}

/// What a watcher is told next. Bookmarks, which come by the clock, are passed over.
async fn next(events: &mut Reader) -> WatchEvent {
    loop {
        match within(PATIENCE, events.read_frame(MAX_FRAME)).await.unwrap() {
            WatchEvent::Bookmark(_) => {}
            event => return event,
        }
    }
}

#[tokio::test]
async fn the_last_control_node_to_be_upgraded_decides_and_an_older_one_is_not_taken_in_any_more() {
    let mut world = World::found_at(TWO).await;
    until("version 2", async || (agreed(&world) == [TWO]).then_some(())).await;
    let joined = Node::join(&world.token(Role::Control, 1).await, "control-2").await.unwrap();
    let Joined { node, control: seeds, .. } = joined.papers.clone();
    let late = ControlNode::start(node, &joined.issued, seeds, ONE).await;
    let request = Request::Enlist { node, view: late.view.clone() };
    let told = late.remote.ask::<()>(&request, PATIENCE).await.unwrap_err().to_string();
    assert!(told.contains("version 2 of the node protocol, control-2 speaks 1: upgrade it"), "{told}");
    assert_eq!(world.nodes[0].control.group().status().voters.len(), 1);
    world.join_control("control-3").await;
    until("both to know", async || (agreed(&world) == [TWO, TWO]).then_some(())).await;
}

#[tokio::test]
async fn while_one_control_node_knows_version_1_alone_nothing_newer_is_agreed_on_and_removal_says_so() {
    let mut world = World::found_at(ONE).await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    world.join("edge-1", Role::Edge).await;
    // Under a leader that knows version 2 and has heard them all.
    world.nodes[0].control.group().transfer(None).await.unwrap();
    let heard = until("all three", async || levels(&world).await.filter(|levels| levels.nodes.len() == 3)).await;
    assert_eq!(heard.nodes.iter().map(|(_, level)| *level).collect::<Vec<_>>(), [ONE, TWO, TWO]);
    assert_eq!(remove(&world, "edge-1").await, AdminReply::Done, "it is not cut off");
    assert_eq!(agreed(&world), [ONE, ONE, ONE]);
    world.kill(0).await;
    remove(&world, "control-1").await;
    until("version 2", async || (agreed(&world) == [TWO, TWO]).then_some(())).await;
}

#[tokio::test]
async fn a_removed_node_is_cut_off_and_one_that_joins_under_its_name_is_not() {
    let world = World::found().await;
    until("version 2", async || (agreed(&world) == [TWO]).then_some(())).await;
    let first = world.join("edge-1", Role::Edge).await;
    let _held = hold(first.remote.clone(), first.papers.node, first.view(), 5);
    let mut events = watching(&world, &pool(&first, ONE)).await;
    next(&mut events).await;
    assert_eq!(remove(&world, "edge-1").await, AdminReply::CutOff { unaware: vec![] });
    let cut = async { while within(PATIENCE, events.read_frame::<WatchEvent>(MAX_FRAME)).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, cut).await.expect("its connection ends");
    let control = &world.nodes[0].view;
    let watch_again = async || {
        let mut events =
            pool(&first, TWO).request(control.quic, &control.server_name, &Request::Watch { after: None }).await?;
        events.read_frame::<WatchEvent>(MAX_FRAME).await
    };
    let refused = watch_again().await.unwrap_err().to_string();
    assert!(refused.contains("removed from the platform; join it anew"), "{refused}");
    let second = world.join("edge-1", Role::Edge).await;
    let mut events = watching(&world, &pool(&second, TWO)).await;
    assert!(
        matches!(next(&mut events).await, WatchEvent::Snapshot(view) if view.nodes.contains_key(&second.papers.node))
    );
    assert!(watch_again().await.is_err(), "the first one's certificate is no better for that");
}

#[tokio::test]
async fn a_node_that_was_removed_under_version_1_is_cut_off_when_it_is_removed_once_more_after_the_upgrade() {
    let mut world = World::found_at(ONE).await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let edge = world.join("edge-1", Role::Edge).await;
    assert_eq!(remove(&world, "edge-1").await, AdminReply::Done, "it is not cut off");
    let again = ask(&world, AdminCommand::RemoveNode { name: "edge-1".to_owned() }).await;
    assert!(matches!(again, Err(Denied::Refused(Refused::NoSuch(_)))), "{again:?}");
    let control = world.nodes[1].view.clone();
    let watch = async || {
        let request = Request::Watch { after: None };
        pool(&edge, TWO).request(control.quic, &control.server_name, &request).await?.read_frame(MAX_FRAME).await
    };
    assert!(matches!(watch().await, Ok(WatchEvent::Snapshot(_))), "its certificate is good");
    world.kill(0).await;
    remove(&world, "control-1").await;
    until("version 2", async || (agreed(&world) == [TWO, TWO]).then_some(())).await;
    assert!(matches!(watch().await, Ok(WatchEvent::Snapshot(_))), "nobody remembers that it was removed");
    assert_eq!(remove(&world, "edge-1").await, AdminReply::Barred { unaware: vec![] });
    let refused = until("it to be refused", async || watch().await.err()).await.to_string();
    assert!(refused.contains("removed from the platform; join it anew"), "{refused}");
    let second = world.join("edge-1", Role::Edge).await;
    assert!(matches!(next(&mut watching(&world, &pool(&second, TWO)).await).await, WatchEvent::Snapshot(_)));
    let no_name = ask(&world, AdminCommand::RemoveNode { name: "no name".to_owned() }).await;
    assert!(matches!(no_name, Err(Denied::Refused(Refused::NoSuch(_)))), "{no_name:?}");
}

#[tokio::test]
async fn a_watcher_of_version_1_is_told_nothing_that_it_cannot_read() {
    let world = World::found().await;
    until("version 2", async || (agreed(&world) == [TWO]).then_some(())).await;
    let edge = world.join("edge-1", Role::Edge).await;
    world.join("edge-2", Role::Edge).await;
    let (old, new) = (pool(&edge, ONE), pool(&edge, TWO));
    let (mut old, mut new) = (watching(&world, &old).await, watching(&world, &new).await);
    assert!(matches!(next(&mut old).await, WatchEvent::Snapshot(_)));
    assert!(matches!(next(&mut new).await, WatchEvent::Snapshot(_)));
    assert!(matches!(next(&mut new).await, WatchEvent::Removed(removed) if removed.nodes.is_empty()));
    assert_eq!(remove(&world, "edge-2").await, AdminReply::CutOff { unaware: vec![] });
    ask(&world, AdminCommand::PutChannel { channel: world::ada(), policy: Policy::Newest }).await.unwrap();
    for changed in ["edge-2", "ada"] {
        let WatchEvent::Delta(delta) = next(&mut old).await else { panic!("{changed}") };
        assert_eq!((delta.nodes.len(), delta.channels.len()), if changed == "ada" { (0, 1) } else { (1, 0) });
    }
    let named = async {
        loop {
            if let WatchEvent::Removed(removed) = next(&mut new).await {
                break removed.nodes.keys().cloned().collect::<Vec<_>>();
            }
        }
    };
    assert_eq!(named.await, ["edge-2"]);
}

#[tokio::test]
async fn who_knows_that_a_node_was_removed_believes_it_until_a_control_node_that_can_tells_otherwise() {
    let known = |cluster| {
        let bar = Bar { since_ms: 1, until_ms: 2 };
        let removed = Removed { revision: 1 << 40, nodes: [("edge-9".to_owned(), bar)].into() };
        View { cluster, revision: 1, removed: Arc::new(removed), ..View::default() }
    };
    for (level, named) in [(ONE, 1), (TWO, 0)] {
        let world = World::found_at(level).await;
        until("the version", async || (agreed(&world) == [level]).then_some(())).await;
        let edge = world.join("edge-1", Role::Edge).await;
        let control = vec![world.nodes[0].view.clone()];
        // What it had was another registry's.
        let mut view = watch::follow_from(known(77), pool(&edge, TWO), control, Random::system());
        let told = |view: &Arc<View>| view.cluster != 77 && view.removed.nodes.len() == named;
        let view = tokio::time::timeout(PATIENCE, view.wait_for(told)).await.expect("it is told").unwrap().clone();
        assert_eq!(view.removed.nodes.contains_key("edge-9"), named == 1);
    }
}

#[tokio::test]
async fn an_operator_sees_who_speaks_what() {
    let world = World::found().await;
    until("version 2", async || (agreed(&world) == [TWO]).then_some(())).await;
    let edge = world.join("edge-1", Role::Edge).await;
    let old = freshet_control_plane::remote::Remote::new(
        pool(&edge, ONE),
        edge.papers.control.clone(),
        None,
        Random::system(),
    );
    let _held = hold(old, edge.papers.node, edge.view(), 5);
    let control = world.nodes[0].control.group().id();
    let expected = Levels { agreed: TWO, nodes: vec![(control, TWO), (edge.papers.node, ONE)] };
    until("both", async || levels(&world).await.filter(|levels| *levels == expected)).await;
    world.join("edge-2", Role::Edge).await;
    assert_eq!(remove(&world, "edge-2").await, AdminReply::CutOff { unaware: vec!["edge-1".to_owned()] });
}
