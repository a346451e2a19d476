//! What nodes tell of themselves: their places are agreed on, their loads come back, their viewers are added up.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod world;

use std::sync::Arc;

use freshet_control_plane::remote::report;
use freshet_proto::{
    annex::{Load, Loads, Place},
    level::Level,
    message::{Denied, Report, Request},
    registry::{NoSuch, Refused},
    view::Role,
};
use tokio::{sync::watch, time::timeout};
use world::{Node, PATIENCE, World, ada, until};

fn told(region: &str, clients: u32, viewers: u32) -> Report {
    let place = Place { region: region.to_owned(), https: "https://tv.example".to_owned(), ..Place::default() };
    let viewers = [(ada(), viewers)].into();
    Report { place, load: Load { clients, permille: 10 }, viewers, ..Report::default() }
}

/// Waits until a node was told so of the loads: how many clients each node has.
async fn knows(loads: &mut watch::Receiver<Arc<Loads>>, expected: &[(&Node, u32)]) {
    let of = |loads: &Loads| loads.nodes.iter().map(|(node, load)| (*node, load.clients)).collect::<Vec<_>>();
    let expected: Vec<_> = expected.iter().map(|(node, clients)| (node.papers.node, *clients)).collect();
    let seen = timeout(PATIENCE, loads.wait_for(|loads| of(loads) == expected)).await;
    assert!(seen.is_ok_and(|seen| seen.is_ok()), "{:?} instead of {expected:?}", of(&loads.borrow()));
}

#[tokio::test]
async fn places_are_agreed_on_loads_come_back_and_viewers_are_added_up() {
    let world = World::found().await;
    let [fra, iad] = [world.join("edge-1", Role::Edge).await, world.join("edge-2", Role::Edge).await];
    let control = &world.nodes[0].control;
    let mut of_fra = report(fra.remote.clone(), || told("fra", 5, 3));
    let mut of_iad = report(iad.remote.clone(), || told("iad", 7, 4));
    knows(&mut of_fra, &[(&fra, 5), (&iad, 7)]).await;
    knows(&mut of_iad, &[(&fra, 5), (&iad, 7)]).await;
    let mut view = control.feed().view();
    let seen = timeout(PATIENCE, view.wait_for(|view| view.annex.places.nodes.len() == 2)).await;
    let places = seen.expect("both places").expect("an open feed").annex.places.clone();
    let regions: Vec<_> = places.nodes.iter().map(|(node, place)| (*node, place.region.as_str())).collect();
    assert_eq!(regions, [(fra.papers.node, "fra"), (iad.papers.node, "iad")]);
    assert_eq!((control.viewers(&ada()), control.viewers(&"eve".parse().unwrap())), (7, 0));

    // What changes is told again, and one that falls silent is forgotten; its place is not.
    drop(of_iad);
    let mut moved = report(fra.remote.clone(), || told("ber", 6, 2));
    drop(of_fra);
    knows(&mut moved, &[(&fra, 6)]).await;
    let seen = timeout(PATIENCE, view.wait_for(|view| view.annex.places.nodes[&fra.papers.node].region == "ber")).await;
    assert!(seen.is_ok_and(|seen| seen.is_ok()));
    until("the silent one to be forgotten", async || (control.viewers(&ada()) == 2).then_some(())).await;
    assert_eq!(view.borrow().annex.places.nodes.len(), 2);
}

#[tokio::test]
async fn a_report_that_makes_no_sense_is_refused_and_nothing_of_it_is_kept() {
    let world = World::found().await;
    let edge = world.join("edge-1", Role::Edge).await;
    let tell = async |body: Vec<u8>| {
        let request = Request::Report { length: body.len() as u32 };
        match edge.remote.ask_with::<Loads>(&request, body.into(), PATIENCE).await {
            Err(Denied::Forbidden(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(tell(vec![0xff; 10]).await, "edge-1 sends a report that can't be read");
    let wild = postcard::to_stdvec(&told("No Region", 1, 1)).unwrap();
    assert!(tell(wild).await.starts_with("the place of edge-1: a region is at most 32"));
    let long = postcard::to_stdvec(&told("fra", 1, 1)).unwrap();
    assert!(tell([long, vec![0; Report::MAX]].concat()).await.contains("can't be read"));
    assert_eq!(world.nodes[0].control.viewers(&ada()), 0);
    assert!(world.nodes[0].control.feed().view().borrow().annex.places.nodes.is_empty());
}

#[tokio::test]
async fn who_is_no_node_any_more_tells_nothing() {
    let world = World::found().await;
    let edge = world.join("edge-1", Role::Edge).await;
    let other = world.join("edge-2", Role::Edge).await;
    let remove = Request::Admin(freshet_proto::admin::AdminCommand::RemoveNode { name: "edge-1".to_owned() });
    world.nodes[0].remote.ask::<freshet_proto::admin::AdminReply>(&remove, PATIENCE).await.unwrap();
    let body = postcard::to_stdvec(&told("fra", 1, 1)).unwrap();
    let request = Request::Report { length: body.len() as u32 };
    let limit = std::time::Duration::from_secs(3);
    let answer = edge.remote.ask_with::<Loads>(&request, body.into(), limit).await;
    let refused = [Refused::Unavailable, Refused::NoSuch(NoSuch::Node)].map(Denied::Refused);
    assert!(answer.as_ref().is_err_and(|why| refused.contains(why)), "{answer:?}");
    let mut loads = report(other.remote.clone(), || told("iad", 7, 4));
    knows(&mut loads, &[(&other, 7)]).await;
}

#[tokio::test]
async fn a_platform_of_the_first_version_is_asked_for_nothing() {
    let world = World::found_at(Level::FIRST).await;
    let edge = world.join("edge-1", Role::Edge).await;
    let body = postcard::to_stdvec(&told("fra", 1, 1)).unwrap();
    let request = Request::Report { length: body.len() as u32 };
    let answer = edge.remote.ask_with::<Loads>(&request, body.into(), PATIENCE).await;
    assert!(matches!(&answer, Err(Denied::Forbidden(why)) if why.contains("version")), "{answer:?}");
    assert!(world.nodes[0].control.feed().view().borrow().annex.places.nodes.is_empty());
}
