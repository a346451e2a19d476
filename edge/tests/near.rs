//! Nearness over HTTP: which paths answer what to whom, and when viewers are sent on.

mod common;

use std::sync::Arc;

use common::{Object, Rig, view};
use freshet_edge::{Config, near::Near};
use freshet_proto::{
    annex::{Load, Loads, Place, Places},
    id::NodeId,
    view::{ChannelState, NodeState, NodeView, Role, View},
};
use serde_json::Value;
use tokio::sync::watch;

/// `ada` is live; edge 11, this one, is in Frankfurt, 21 in Ashburn, and so are clients whose place nobody knows.
fn world(ours: NodeState, theirs: NodeState) -> Arc<View> {
    let mut view = View::clone(&view(1, ChannelState::Live, 1, &[(1, 1)]));
    let mut places = Places::default();
    for (n, region, position, state) in [(11, "fra", (501_109, 86_821), ours), (21, "iad", (390_438, -774_874), theirs)]
    {
        let node = NodeView::new(Role::Edge, ([127, 0, 0, 1], n).into(), &format!("edge-{n}"));
        view.nodes.insert(NodeId(n.into()), NodeView { state, ..node });
        let https = format!("https://{region}.example.org");
        let place = Place { region: region.to_owned(), position: Some(position), https, ..Place::default() };
        places.nodes.insert(NodeId(n.into()), place);
    }
    places.nodes.insert(NodeId(1), Place { rtmp: "rtmp://origin.example.org".to_owned(), ..Place::default() });
    view.annex.places = Arc::new(places);
    Arc::new(view)
}

fn rig(max_viewers: u64) -> (Rig, watch::Sender<Arc<Loads>>) {
    let mut config = Config::default();
    config.near.max_viewers = max_viewers;
    let mut rig = Rig::with(config, world(NodeState::Active, NodeState::Active));
    let (told, loads) = watch::channel(Arc::default());
    let place = Place { position: Some((501_109, 86_821)), ..Place::default() };
    let near = Near { me: Some(NodeId(11)), place, loads, ..Near::default() };
    rig.edge = rig.edge.clone().with_near(near);
    rig.origin.has("ada/index.m3u8", Object::new("#EXTM3U\n"));
    (rig, told)
}

fn json(reply: &common::Reply) -> Value {
    assert_eq!((reply.status, reply.field("content-type")), (200, "application/json"), "{}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn clients_of_any_page_are_told_and_nobody_keeps_it() {
    let (rig, _told) = rig(0);
    for (path, key) in [
        ("/api/ingests", "ingests"),
        ("/api/watch/ada", "edges"),
        ("/live/ada/steer.json?_HLS_pathway=here&_HLS_throughput=1", "PATHWAY-PRIORITY"),
    ] {
        let reply = rig.viewer().get(path).await;
        assert!(json(&reply)[key].is_array(), "{path}: {}", reply.text());
        assert_eq!(reply.field("cache-control"), "no-store", "{path}");
        assert_eq!(reply.field("access-control-allow-origin"), "*", "{path}");
        let head = rig.viewer().head(path).await;
        assert_eq!((head.status, head.field("content-length")), (200, &*reply.body.len().to_string()), "{path}");
        let mut viewer = rig.viewer();
        viewer.send(&format!("OPTIONS {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(viewer.reply().await.status, 204, "{path}");
        viewer.send(&format!("DELETE {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert_eq!(viewer.reply().await.status, 405, "{path}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_not_found_and_nothing_is_fetched() {
    let (rig, _told) = rig(0);
    for path in [
        "/api/watch/eve",
        "/api/watch/",
        "/api/watch/ada/x",
        "/api/watch/ADA",
        "/go/eve",
        "/live/eve/steer.json",
        "/live//steer.json",
        "/live/ada/1/steer.json",
        "/api/ingests/x",
    ] {
        assert_eq!(rig.viewer().get(path).await.status, 404, "{path}");
    }
    assert!(rig.origin.fetched().is_empty());
}

#[tokio::test]
async fn measured_round_trips_change_the_order() {
    let (rig, _told) = rig(0);
    let first = async |query: &str| {
        let told = json(&rig.viewer().get(&format!("/api/watch/ada{query}")).await);
        (told["edges"][0]["region"].as_str().unwrap().to_owned(), told["edges"][0]["est_ms"].as_u64().unwrap())
    };
    assert_eq!(first("").await, ("fra".to_owned(), 4));
    assert_eq!(first("?rtt=fra:150,iad:12").await, ("iad".to_owned(), 12));
    assert_eq!(first("?rtt=iad%3A3").await, ("iad".to_owned(), 3));
    assert_eq!(first("?rtt=nonsense").await, ("fra".to_owned(), 4));
}

#[tokio::test]
async fn a_plain_player_is_led_to_the_nearest_edge() {
    let (rig, _told) = rig(0);
    let here = rig.viewer().get("/go/ada").await;
    assert_eq!((here.status, here.field("location")), (307, "/live/ada/index.m3u8"));
    let there = rig.viewer().get("/go/ada?rtt=iad:1&token=abc").await;
    let expected = "https://iad.example.org/live/ada/index.m3u8?rtt=iad:1&token=abc";
    assert_eq!((there.status, there.field("location"), there.field("cache-control")), (307, expected, "no-store"));
}

#[tokio::test]
async fn the_host_that_a_player_came_by_decides_which_edges_are_clones() {
    let (rig, _told) = rig(0);
    let clones = async |host: &str| {
        let mut viewer = rig.viewer();
        viewer.send(&format!("GET /live/ada/steer.json HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        json(&viewer.reply().await)["PATHWAY-CLONES"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((clones("fra.example.org").await, clones("fra.example.org:8443").await), (1, 0));
}

#[tokio::test]
async fn an_edge_that_is_full_sends_new_viewers_on_once_and_keeps_those_it_has() {
    let (rig, told) = rig(1);
    let mut first = rig.viewer();
    assert_eq!(first.get("/live/ada/index.m3u8").await.status, 200, "there is room for one");
    let mut second = rig.viewer();
    let sent = second.get("/live/ada/index.m3u8?token=abc").await;
    let expected = "https://iad.example.org/live/ada/index.m3u8?token=abc&moved";
    assert_eq!((sent.status, sent.field("location")), (307, expected));
    assert_eq!(sent.field("access-control-allow-origin"), "*");
    assert_eq!(second.get("/live/ada/index.m3u8?moved").await.status, 200, "who was sent here stays");
    rig.origin.has("ada/1/v0/5.0.m4s", Object::new("0123456789"));
    assert_eq!(second.get("/live/ada/1/v0/5.0.m4s").await.status, 200, "who plays goes on");
    let full = Load { clients: 9, permille: 1000 };
    told.send_replace(Arc::new(Loads { nodes: [(NodeId(21), full)].into() }));
    assert_eq!(second.get("/live/ada/index.m3u8").await.status, 200, "nobody else has room");
    drop(first);
    told.send_replace(Arc::default());
    rig.until(|edge| edge.clients() == 1).await;
    assert_eq!(second.get("/live/ada/index.m3u8").await.status, 200, "there is room again");
    assert_eq!(rig.viewer().get("/live/eve/index.m3u8").await.status, 404, "nobody is sent after what does not exist");
}

#[tokio::test]
async fn an_edge_that_an_operator_drains_or_that_is_lost_leaves_the_answers_at_once() {
    let (rig, _told) = rig(0);
    let told = async |path: &str| {
        let mut viewer = rig.viewer();
        viewer.send(&format!("GET {path} HTTP/1.1\r\nhost: fra.example.org\r\n\r\n")).await;
        json(&viewer.reply().await)
    };
    let priority = async || told("/live/ada/steer.json?_HLS_pathway=here").await["PATHWAY-PRIORITY"].to_string();
    let regions = async || {
        let told = told("/api/watch/ada").await;
        told["edges"].as_array().unwrap().iter().map(|edge| edge["region"].to_string()).collect::<String>()
    };
    assert_eq!((priority().await, regions().await), (r#"["here","iad-21"]"#.into(), r#""fra""iad""#.into()));
    rig.view.send_replace(world(NodeState::Draining, NodeState::Active));
    assert_eq!((priority().await, regions().await), (r#"["iad-21","here"]"#.into(), r#""iad""#.into()));
    rig.view.send_replace(world(NodeState::Active, NodeState::Lost));
    assert_eq!((priority().await, regions().await), (r#"["here"]"#.into(), r#""fra""#.into()));
}

#[tokio::test]
async fn an_edge_that_knows_nothing_of_places_names_itself() {
    let rig = Rig::live();
    let told = json(&rig.viewer().get("/api/watch/ada").await);
    assert_eq!(told["edges"][0]["url"], "/live/ada/index.m3u8");
    assert_eq!(json(&rig.viewer().get("/api/ingests").await)["ingests"].as_array().map(Vec::len), Some(0));
    assert_eq!(json(&rig.viewer().get("/live/ada/steer.json").await)["PATHWAY-PRIORITY"].to_string(), r#"["here"]"#);
}
