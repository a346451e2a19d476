//! What clients are told, as JSON.

use std::sync::Arc;

use freshet_proto::{
    annex::{Load, Loads, Places},
    view::{NodeState, NodeView, Role, View},
};

use super::*;
use crate::near::rank::{Atlas, Whereabouts};

const FRANKFURT: (i32, i32) = (501_109, 86_821);
const ASHBURN: (i32, i32) = (390_438, -774_874);

/// Two origins and three edges: 11 and 12 in Frankfurt, 21 in Ashburn. This edge is 11; the client is in Frankfurt.
struct World {
    view: View,
    loads: Loads,
    near: Near,
    client: Client,
    stopping: bool,
}

impl World {
    fn new() -> Self {
        let (mut view, mut places) = (View::default(), Places::default());
        for (n, role, region, position) in [
            (1, Role::Origin, "fra", FRANKFURT),
            (2, Role::Origin, "iad", ASHBURN),
            (11, Role::Edge, "fra", FRANKFURT),
            (12, Role::Edge, "fra", FRANKFURT),
            (21, Role::Edge, "iad", ASHBURN),
        ] {
            let host = format!("{region}-{n}.example.org");
            let place = match role {
                Role::Edge => Place { https: format!("https://{host}"), ..Place::default() },
                _ => Place { rtmp: format!("rtmp://{host}"), rtmps: format!("rtmps://{host}"), ..Place::default() },
            };
            let place = Place { region: region.to_owned(), position: Some(position), ..place };
            view.nodes.insert(NodeId(n), NodeView::new(role, ([127, 0, 0, 1], 1).into(), &format!("{role}-{n}")));
            places.nodes.insert(NodeId(n), place);
        }
        view.annex.places = Arc::new(places);
        let client = Client { whereabouts: Whereabouts::At(FRANKFURT.0, FRANKFURT.1), ..Client::default() };
        let near = Near { me: Some(NodeId(11)), ..Near::default() };
        Self { view, loads: Loads::default(), near, client, stopping: false }
    }

    fn at(mut self, node: u64) -> Self {
        self.near.me = Some(NodeId(node));
        self
    }

    fn state(mut self, node: u64, state: NodeState) -> Self {
        self.view.nodes.get_mut(&NodeId(node)).unwrap().state = state;
        self
    }

    fn load(mut self, node: u64, permille: u16) -> Self {
        self.loads.nodes.insert(NodeId(node), Load { clients: 0, permille });
        self
    }

    fn place(mut self, node: u64, change: impl FnOnce(&mut Place)) -> Self {
        change(Arc::make_mut(&mut self.view.annex.places).nodes.get_mut(&NodeId(node)).unwrap());
        self
    }

    fn client_in(mut self, (lat, lon): (i32, i32)) -> Self {
        self.client.whereabouts = Whereabouts::At(lat, lon);
        self
    }

    fn ask<T>(&self, say: impl FnOnce(&Answers<'_>) -> T) -> T {
        let atlas = |role| Arc::new(Atlas::of(&self.view, &self.loads, role));
        let (view, loads) = (Arc::new(self.view.clone()), Arc::new(self.loads.clone()));
        let made = Made { view, loads, edges: atlas(Role::Edge), origins: atlas(Role::Origin) };
        say(&Answers { near: &self.near, made: &made, client: &self.client, stopping: self.stopping })
    }

    fn steer_asked(&self, query: &str, authority: &str) -> Value {
        self.ask(|answers| answers.steer(&ada(), &Asked::of(Some(query)), Some(authority)))
    }

    /// The order of pathways for a player that asks so.
    fn steer(&self, query: &str) -> String {
        let manifest = self.steer_asked(query, "fra-11.example.org");
        let ids = manifest["PATHWAY-PRIORITY"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
        ids.collect::<Vec<_>>().join(" ")
    }
}

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

#[test]
fn an_encoder_is_told_of_origins_in_the_shape_that_twitch_has() {
    let told = World::new().load(1, 250).ask(|answers| answers.ingests());
    assert_eq!(
        told,
        json!({ "ingests": [
            {
                "_id": 1,
                "name": "fra: origin-1",
                "availability": 0.75,
                "default": true,
                "priority": 1,
                "url_template": "rtmp://fra-1.example.org/live/{stream_key}",
                "url_template_secure": "rtmps://fra-1.example.org/live/{stream_key}",
                "est_ms": 4,
                "region": "fra",
                "ping_url": "/api/time",
            },
            {
                "_id": 2,
                "name": "iad: origin-2",
                "availability": 1.0,
                "default": false,
                "priority": 2,
                "url_template": "rtmp://iad-2.example.org/live/{stream_key}",
                "url_template_secure": "rtmps://iad-2.example.org/live/{stream_key}",
                "est_ms": 102,
                "region": "iad",
                "ping_url": "https://iad-21.example.org/api/time",
            },
        ] })
    );
    let secure = World::new().place(1, |place| place.rtmp.clear()).ask(|answers| answers.ingests());
    assert_eq!(secure["ingests"][0]["url_template"], "rtmps://fra-1.example.org/live/{stream_key}");
    let plain = World::new().place(1, |place| place.rtmps.clear()).ask(|answers| answers.ingests());
    assert!(plain["ingests"][0]["url_template_secure"].is_null());
    let alone = World::new().place(21, |place| place.https.clear()).ask(|answers| answers.ingests());
    assert!(alone["ingests"][1]["ping_url"].is_null(), "no edge is there to measure by");
}

#[test]
fn a_viewer_is_told_of_edges_and_where_to_go_first() {
    let world = World::new().client_in(ASHBURN);
    let told = world.ask(|answers| answers.watch(&ada()));
    let expected =
        json!({ "id": 21, "region": "iad", "url": "https://iad-21.example.org/live/ada/index.m3u8", "est_ms": 4 });
    assert_eq!((&told["channel"], &told["edges"][0]), (&json!("ada"), &expected));
    assert_eq!(told["edges"].as_array().unwrap().len(), 3);
    let best = |world: &World| world.ask(|answers| answers.best(&ada()));
    assert_eq!(best(&world), "https://iad-21.example.org/live/ada/index.m3u8");
    assert_eq!(best(&world.at(21)), "/live/ada/index.m3u8", "this edge is the best");
}

#[test]
fn where_no_edge_has_told_its_address_the_one_that_is_asked_names_itself() {
    let world =
        [11, 12, 21].into_iter().fold(World::new(), |world, node| world.place(node, |place| place.https.clear()));
    let told = world.ask(|answers| answers.watch(&ada()));
    assert_eq!(told["edges"], json!([{ "id": 11, "region": "", "url": "/live/ada/index.m3u8", "est_ms": 0 }]));
    let mut alone = World { view: View::default(), ..World::new() };
    alone.near.place.https = "https://tv.example".to_owned();
    let told = alone.ask(|answers| answers.watch(&ada()));
    assert_eq!(told["edges"][0]["url"], "https://tv.example/live/ada/index.m3u8", "without control nodes");
    assert_eq!(world.ask(|answers| answers.best(&ada())), "/live/ada/index.m3u8");
    assert_eq!(world.ask(|answers| answers.elsewhere(&ada())), None);
    assert_eq!(world.steer("_HLS_pathway=here"), "here");
}

#[test]
fn a_full_edge_sends_new_viewers_where_there_is_room() {
    let elsewhere = |world: World| world.ask(|answers| answers.elsewhere(&ada()));
    let at = |host: &str| Some(format!("https://{host}.example.org/live/ada/index.m3u8"));
    assert_eq!(elsewhere(World::new().load(11, 1000)), at("fra-12"));
    assert_eq!(elsewhere(World::new().load(11, 1000).load(12, 1000)), at("iad-21"));
    assert_eq!(elsewhere(World::new().load(11, 1000).load(12, 1000).load(21, 1200)), None);
}

#[test]
fn the_other_edges_are_clones_that_replace_the_host() {
    assert_eq!(
        World::new().steer_asked("_HLS_pathway=here&_HLS_throughput=5000000", "fra-11.example.org"),
        json!({
            "VERSION": 1,
            "TTL": 10,
            "PATHWAY-PRIORITY": ["here", "fra-12", "iad-21"],
            "PATHWAY-CLONES": [
                { "BASE-ID": "here", "ID": "fra-12", "URI-REPLACEMENT": { "HOST": "fra-12.example.org" } },
                { "BASE-ID": "here", "ID": "iad-21", "URI-REPLACEMENT": { "HOST": "iad-21.example.org" } },
            ],
        })
    );
}

#[test]
fn a_player_stays_where_it_is_in_its_region_and_is_moved_to_a_nearer_one() {
    let world = World::new();
    for (query, expected) in [
        ("_HLS_pathway=here", "here fra-12 iad-21"),
        ("_HLS_pathway=fra-12", "fra-12 here iad-21"),
        ("_HLS_pathway=%22fra-12%22", "fra-12 here iad-21"),
        ("", "here fra-12 iad-21"),
    ] {
        assert_eq!(world.steer(query), expected, "{query}");
    }
    // Those in Frankfurt in the order of their weights for this channel: 98 ms are worth a move.
    let usual = World::new().client_in(ASHBURN).steer("_HLS_pathway=here");
    assert!(usual.starts_with("iad-21 ") && usual.ends_with(" here"), "{usual}");
    let unknown = world.steer("_HLS_pathway=nonsense&_HLS_throughput=x");
    assert_eq!(unknown.split(' ').count(), 3, "{unknown}");
    assert!(World::new().load(11, 1300).steer("_HLS_pathway=here").starts_with("here "), "a full edge keeps its own");
    assert_eq!(World::new().load(12, 1300).steer("_HLS_pathway=here"), "here iad-21", "and is sent nobody");
}

#[test]
fn a_draining_edge_names_itself_last_and_says_who_knows_more_when_it_has_gone() {
    let drained = World::new().state(11, NodeState::Draining);
    let stopping = World { stopping: true, ..World::new() };
    for world in [drained, stopping] {
        assert_eq!(world.steer("_HLS_pathway=here"), "fra-12 iad-21 here");
        let manifest = world.steer_asked("_HLS_pathway=here", "fra-11.example.org");
        assert_eq!(manifest["RELOAD-URI"], "https://fra-12.example.org/live/ada/steer.json?here=11");
    }
    // There the player still calls its first edge "here".
    let there = |world: World| world.at(12).steer("here=11&_HLS_pathway=fra-12");
    assert_eq!(there(World::new().state(11, NodeState::Draining)), "fra-12 iad-21 here");
    assert_eq!(there(World::new().state(11, NodeState::Lost)), "fra-12 iad-21");
    assert_eq!(there(World::new()), "fra-12 here iad-21");
}

#[test]
fn whoever_is_lost_or_drains_is_left_out() {
    for state in [NodeState::Lost, NodeState::Draining, NodeState::Joined] {
        let world = World::new().state(12, state);
        assert_eq!(world.steer("_HLS_pathway=here"), "here iad-21", "{state}");
        assert_eq!(world.steer("_HLS_pathway=fra-12"), "here iad-21", "{state}");
        let told = world.ask(|answers| answers.watch(&ada()));
        let regions: Vec<_> = told["edges"].as_array().unwrap().iter().map(|edge| edge["region"].clone()).collect();
        assert_eq!(regions, ["fra", "iad"], "{state}");
    }
    let alone = [11, 12, 21].into_iter().fold(World::new(), |world, node| world.state(node, NodeState::Lost));
    assert_eq!(alone.steer("_HLS_pathway=here"), "here", "the one that answers is there");
}

#[test]
fn edges_with_another_port_than_the_player_came_by_are_no_clones() {
    let world = World::new().place(12, |place| place.https = "https://fra-12.example.org:8443".to_owned());
    let clones = |authority: &str, query: &str| {
        let manifest = world.steer_asked(query, authority);
        let clones = manifest["PATHWAY-CLONES"].as_array().cloned().unwrap_or_default();
        clones.iter().map(|clone| clone["ID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(clones("fra-11.example.org", ""), ["iad-21"]);
    assert_eq!(clones("fra-11.example.org:8443", ""), ["fra-12"]);
    assert_eq!(clones("192.0.2.1:8080", ""), [""; 0]);
    assert_eq!(clones("no authority:x", ""), [""; 0]);
    assert_eq!(clones("fra-11.example.org:8443", "here=21"), ["fra-11"], "where it began counts, not where it asks");
}

#[test]
fn a_pathway_has_a_name_also_where_its_region_has_none() {
    let world = World::new().place(12, |place| place.region.clear());
    assert_eq!(world.steer("_HLS_pathway=edge-12"), "edge-12 here iad-21");
}
