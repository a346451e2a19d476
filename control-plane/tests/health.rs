//! How a stream does, from what its origin tells the leader to what the REST API of any control node answers, over real QUIC on
//! loopback.

#[path = "cluster/world.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use freshet_control_plane::{
    accounts::{Accounts, ChannelRole, Config, Cost, Database},
    api::{Api, OPERATOR},
    control::Control,
    remote::{hold, report},
};
use freshet_proto::{
    annex::{Loads, Place},
    api::ApiRequest,
    audience::Audience,
    clock::WallClock,
    health::{Advice, Health, Uplink, Video},
    id::ChannelName,
    message::{Denied, Report, Request},
    random::Random,
    registry::{Claimed, Command, Departure},
    view::Role,
};
use serde_json::{Value, json};
use world::{Node, PATIENCE, World, ada, until};

/// A control node that answers the API, whether it leads or not.
struct Desk {
    api: Api,
    accounts: Accounts,
    _dir: tempfile::TempDir,
}

/// Who asks.
type As = Vec<(String, String)>;

fn fields(of: &[(&str, &str)]) -> As {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn operator() -> As {
    fields(&[("x-client-roles", OPERATOR)])
}

impl Desk {
    async fn open(control: &Control) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("accounts.db"));
        let config = Config { cost: Cost { memory_kib: 8, passes: 1, lanes: 1 }, ..Config::default() };
        let pepper = until("the platform's secrets", async || control.pepper().ok()).await;
        let (clock, random) = (WallClock::system(), Random::system());
        let accounts = Accounts::open(&database, config, pepper, clock, random).await.unwrap();
        Self { api: Api::new(accounts.clone(), Arc::new(control.seat())), accounts, _dir: dir }
    }

    async fn ask(&self, who: &As, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let headers = who.iter().cloned().chain(fields(&[("content-type", "application/json")])).collect();
        let request = ApiRequest { method: method.to_owned(), target: target.to_owned(), headers, body };
        let (head, body) = self.api.answer(request).await;
        (head.status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    async fn health(&self, who: &As) -> (u16, Value) {
        self.ask(who, "GET", "/api/streams/ada/health", &Value::Null).await
    }

    /// Makes an account and its channel; who it is, as an edge says, and the stream key.
    async fn register(&self, name: &str) -> (As, String) {
        let new = json!({ "username": name, "password": "correct horse" });
        let (status, told) = self.ask(&As::new(), "POST", "/api/auth/register", &new).await;
        assert_eq!(status, 201, "{told}");
        let user = self.accounts.user_by_name(&name.parse().unwrap()).await.unwrap().expect("an account");
        let who = [("x-client-id", user.id.as_str()), ("x-client-username", name), ("x-client-login", "l")];
        (fields(&who), told["stream_key"].as_str().expect("a key").to_owned())
    }

    /// Waits until an operator is told of the stream what is wanted.
    async fn told(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let (status, told) = self.health(&operator()).await;
            (status == 200 && is_so(&told)).then_some(told)
        })
        .await
    }
}

/// How many watch ada, as each node tells.
const WATCH: u32 = 7;

/// An origin that tells of its sessions what it is told to tell.
struct Origin {
    node: Node,
    tells: Arc<Mutex<BTreeMap<ChannelName, Health>>>,
    _kept: (Box<dyn std::any::Any>, Box<dyn std::any::Any>),
}

impl Origin {
    async fn join(world: &World, name: &str) -> Self {
        let node = world.join(name, Role::Origin).await;
        let held = hold(node.remote.clone(), node.papers.node, node.view(), 9);
        let tells = Arc::<Mutex<BTreeMap<ChannelName, Health>>>::default();
        let telling = tells.clone();
        let reports = report(node.remote.clone(), move || Report {
            health: telling.lock().expect("unpoisoned").clone(),
            viewers: BTreeMap::from([(ada(), WATCH)]),
            ..Report::default()
        });
        Self { node, tells, _kept: (Box::new(held), Box::new(reports)) }
    }

    async fn publish(&self, key: &str) -> Claimed {
        let commands = self.node.commands();
        // As an origin does: what a busy control node did not answer in time is asked again.
        let claim = async || commands.claim(key.to_owned(), self.node.papers.node).await.ok();
        let claimed = until("a claim", claim).await;
        let live = Command::Live { channel: claimed.channel.clone(), epoch: claimed.epoch };
        until("it to be live", async || commands.tell(live.clone()).await.ok()).await;
        claimed
    }

    fn tell(&self, health: Health) {
        self.tells.lock().expect("unpoisoned").insert(ada(), health);
    }
}

/// What an origin says of a publish.
fn of(claimed: &Claimed, dropped_frames: u64) -> Health {
    let advice = "keyframes are 8.0 s apart: set a keyframe interval of 2 s in the encoder".to_owned();
    Health {
        session: claimed.session,
        epoch: claimed.epoch,
        since_ms: 1000,
        bitrate: 3_000_000,
        video: Some(Video {
            codec: "avc1.64001F".to_owned(),
            profile: "High".to_owned(),
            width: 1280,
            height: 720,
            bitrate: 2_900_000,
            frame_rate_milli: 29_970,
            keyframe_interval_ms: 8000,
        }),
        audio: None,
        uplink: Uplink {
            bitrate: 2,
            received_bytes: 3,
            stalls: 4,
            stalled_ms: 5,
            longest_stall_ms: 6,
            rtt_ms: Some(41),
            late_ms: 70,
        },
        skew_ms: -7,
        dropped_frames,
        repaired_frames: 9,
        gap_parts: 10,
        discontinuities: 11,
        alerts: vec![Advice { kind: "long_key_frame_interval".to_owned(), advice }],
    }
}

fn has_dropped(told: &Value, frames: u64) -> bool {
    told["health"]["dropped_frames"] == frames
}

#[tokio::test]
async fn any_control_node_tells_how_a_stream_does_and_who_watches_and_a_new_leader_knows_it_after_the_next_report() {
    let mut world = World::found().await;
    world.has_begun().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let first = world.leader().await;
    let leader = Desk::open(&world.nodes[first].control).await;
    let other = Desk::open(&world.nodes[(first + 1) % 3].control).await;
    let (_, key) = leader.register("ada").await;
    let origin = Origin::join(&world, "origin-1").await;
    let claimed = origin.publish(&key).await;
    origin.tell(of(&claimed, 8));
    let is_live = |told: &Value| told["state"] == "live" && !told["health"].is_null();
    let told = leader.told("the stream's health", is_live).await;
    let expected = json!({
        "id": "ada", "state": "live", "session": claimed.session.to_string(),
        "health": {
            "since_ms": 1000, "bitrate": 3_000_000,
            "video": {
                "codec": "avc1.64001F", "profile": "High", "width": 1280, "height": 720, "bitrate": 2_900_000,
                "frame_rate": 29.97, "keyframe_interval_ms": 8000
            },
            "audio": null,
            "uplink": { "bitrate": 2, "received_bytes": 3, "stalls": 4, "stalled_ms": 5, "longest_stall_ms": 6,
                        "rtt_ms": 41, "late_ms": 70 },
            "skew_ms": -7, "dropped_frames": 8, "repaired_frames": 9, "gap_parts": 10, "discontinuities": 11,
            "alerts": [{
                "kind": "long_key_frame_interval",
                "advice": "keyframes are 8.0 s apart: set a keyframe interval of 2 s in the encoder"
            }]
        },
        "audience": null
    });
    assert_eq!(told, expected);
    assert_eq!(other.told("it at a follower", is_live).await, expected);
    for desk in [&leader, &other] {
        until("the number of viewers", async || {
            let (_, told) = desk.ask(&Vec::new(), "GET", "/api/streams/ada/viewers", &Value::Null).await;
            let (_, live) = desk.ask(&Vec::new(), "GET", "/api/streams/live", &Value::Null).await;
            (told["viewers"] == WATCH && live["items"][0]["viewers"] == WATCH).then_some(())
        })
        .await;
    }

    // The last value wins, and a new leader hears it too.
    origin.tell(of(&claimed, 20));
    other.told("the next value", |told| has_dropped(told, 20)).await;
    world.nodes[first].control.group().transfer(None).await.unwrap();
    until("another leader", async || {
        let leader = world.nodes.iter().position(|node| node.control.group().leadership().borrow().mine)?;
        (leader != first).then_some(())
    })
    .await;
    for desk in [&leader, &other] {
        desk.told("it from the new leader", |told| has_dropped(told, 20)).await;
    }
}

#[tokio::test]
async fn only_the_present_publishs_origin_is_believed_and_only_while_it_tells() {
    let world = World::found().await;
    world.has_begun().await;
    let desk = Desk::open(&world.nodes[0].control).await;
    let (_, key) = desk.register("ada").await;
    let nothing = desk.health(&operator()).await;
    let expected = json!({ "id": "ada", "state": "offline", "session": null, "health": null, "audience": null });
    assert_eq!(nothing, (200, expected));
    let [first, second] = [Origin::join(&world, "origin-1").await, Origin::join(&world, "origin-2").await];
    let claimed = first.publish(&key).await;
    first.tell(of(&claimed, 1));
    second.tell(of(&claimed, 2));
    desk.told("the first origin's word", |told| has_dropped(told, 1)).await;

    // The encoder moves: what the first one says of its publish is not true any more.
    let moved = second.publish(&key).await;
    assert_eq!(moved.session, claimed.session);
    assert_eq!(desk.health(&operator()).await.1["health"], Value::Null, "the second one speaks of the publish before");
    second.tell(of(&moved, 3));
    desk.told("the second origin's word", |told| has_dropped(told, 3)).await;

    // It falls silent though it is there.
    second.tells.lock().expect("unpoisoned").clear();
    desk.told("nothing", |told| told["state"] == "live" && told["health"].is_null()).await;
    second.tell(of(&moved, 4));
    desk.told("its word again", |told| has_dropped(told, 4)).await;

    // The session is over, though it goes on telling.
    let over = Command::Release { channel: ada(), epoch: moved.epoch, how: Departure::EndSession };
    second.node.commands().tell(over).await.unwrap();
    let told = desk.health(&operator()).await.1;
    assert_eq!((&told["state"], &told["health"]), (&json!("ended"), &Value::Null));
}

#[tokio::test]
async fn the_leader_remembers_how_it_went_what_became_of_encoders_and_the_last_private_test() {
    let world = World::found().await;
    world.has_begun().await;
    let desk = Desk::open(&world.nodes[0].control).await;
    let (who, key) = desk.register("ada").await;
    let origin = Origin::join(&world, "origin-1").await;
    let commands = origin.node.commands();
    let history = async || {
        let (status, told) = desk.ask(&who, "GET", "/api/streams/ada/health/history", &Value::Null).await;
        assert_eq!(status, 200, "{told}");
        told
    };

    // A test is told of like a session, in epoch 0; the registry knows nothing of it.
    let test = commands.test(key.clone(), origin.node.papers.node).await.expect("a test may begin");
    assert_eq!((test.channel.as_str(), test.session.0, test.epoch.0), ("ada", 0, 0));
    origin.tell(of(&test, 3));
    let told = until("the test", async || Some(history().await).filter(|told| !told["test"].is_null())).await;
    assert_eq!(told["test"]["running"], true);
    assert_eq!(told["test"]["health"]["alerts"][0]["kind"], "long_key_frame_interval");
    assert_eq!((&told["points"], &told["events"]), (&json!([]), &json!([])));
    assert_eq!(desk.health(&operator()).await.1["state"], "offline");

    let claimed = origin.publish(&key).await;
    let refused = commands.test(key.clone(), origin.node.papers.node).await;
    assert_eq!(refused, Err(freshet_proto::registry::Refused::AlreadyLive));
    origin.tell(of(&claimed, 8));
    let told = until("a point", async || Some(history().await).filter(|told| told["points"][0].is_object())).await;
    let point = &told["points"][0];
    assert_eq!((&point["bitrate"], &point["frame_rate"]), (&json!(3_000_000), &json!(29.97)));
    assert_eq!((&point["dropped_frames"], &point["skew_ms"]), (&json!(8), &json!(-7)));
    let left = Command::Release { channel: ada(), epoch: claimed.epoch, how: Departure::Unpublished };
    commands.tell(left).await.unwrap();
    let (status, _) = desk.ask(&who, "POST", "/api/streams/ada/end", &Value::Null).await;
    assert_eq!(status, 204);
    let expected = [("came", "origin-1"), ("live", "origin-1"), ("left", "origin-1"), ("ended", "origin-1")];
    until("what happened", async || {
        let told = history().await;
        let events = told["events"].as_array().expect("a list").clone();
        let said = events.iter().map(|event| (event["what"].as_str().unwrap(), event["server"].as_str().unwrap()));
        said.eq(expected).then_some(())
    })
    .await;

    let (status, _) = desk.ask(&As::new(), "GET", "/api/streams/ada/health/history", &Value::Null).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn it_is_for_the_owner_moderators_and_administrators() {
    let world = World::found().await;
    world.has_begun().await;
    let desk = Desk::open(&world.nodes[0].control).await;
    let (ada, _) = desk.register("ada").await;
    let (eve, _) = desk.register("eve").await;
    let admin: As = eve.iter().cloned().chain(fields(&[("x-client-roles", "user,admin")])).collect();
    let status = async |who: &As| desk.health(who).await.0;
    assert_eq!((status(&ada).await, status(&admin).await, status(&operator()).await), (200, 200, 200));
    assert_eq!((status(&As::new()).await, status(&eve).await), (401, 403));
    let id = desk.accounts.user_by_name(&"eve".parse().unwrap()).await.unwrap().expect("an account").id;
    for (role, expected) in [(Some(ChannelRole::Vip), 403), (Some(ChannelRole::Moderator), 200), (None, 403)] {
        desk.accounts.set_channel_role(&world::ada(), &id, role).await.unwrap();
        assert_eq!(status(&eve).await, expected, "{role:?}");
    }
    let (missing, problem) = desk.ask(&operator(), "GET", "/api/streams/nobody/health", &Value::Null).await;
    assert_eq!((missing, problem["detail"].as_str()), (404, Some("there is no such channel")));
    let (_, document) = desk.ask(&As::new(), "GET", "/api/openapi.json", &Value::Null).await;
    let schema =
        &document["paths"]["/api/streams/{id}/health"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(schema["schema"]["$ref"], "#/components/schemas/StreamHealth");
    assert!(document["components"]["schemas"]["Uplink"]["properties"]["stalls"].is_object());
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_words() {
    let world = World::found().await;
    let [origin, edge] = [world.join("origin-1", Role::Origin).await, world.join("edge-1", Role::Edge).await];
    let tell = async |node: &Node, health: BTreeMap<ChannelName, Health>| {
        let body = postcard::to_stdvec(&Report { health, ..Report::default() }).unwrap();
        let request = Request::Report { length: body.len() as u32 };
        match node.remote.ask_with::<Loads>(&request, body.into(), PATIENCE).await {
            Err(Denied::Forbidden(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let one = |health: Health| BTreeMap::from([(ada(), health)]);
    assert_eq!(tell(&edge, one(Health::default())).await, "edge-1 is no origin and has no sessions");
    let alert = Advice { kind: "x".to_owned(), advice: "line\nline".to_owned() };
    let said = tell(&origin, one(Health { alerts: vec![alert.clone()], ..Health::default() })).await;
    assert!(said.starts_with("the health of ada by origin-1: a text has at most 256 bytes"), "{said}");
    let alerts = vec![Advice::default(); Health::MAX_ALERTS + 1];
    let said = tell(&origin, one(Health { alerts, ..Health::default() })).await;
    assert_eq!(said, "the health of ada by origin-1: there are at most 16 alerts");
    let many = (0..=Report::MAX_SESSIONS).map(|n| (format!("c{n}").parse().unwrap(), Health::default()));
    assert_eq!(tell(&origin, many.collect()).await, "origin-1 tells of more than 4000 sessions");
}

#[tokio::test]
async fn what_players_tell_edges_is_merged_by_region() {
    let mut world = World::found().await;
    world.has_begun().await;
    world.join_control("control-2").await;
    let desks = [Desk::open(&world.nodes[0].control).await, Desk::open(&world.nodes[1].control).await];
    desks[0].register("ada").await;
    let edges = [("edge-1", "fra", 1000), ("edge-2", "fra", 1000), ("edge-3", "iad", 3000)];
    let mut telling = Vec::new();
    for (name, region, latency_ms) in edges {
        let node = world.join(name, Role::Edge).await;
        let place = Place { region: region.to_owned(), ..Place::default() };
        let mut fare = Audience { players: 2, played_ms: 900, stalled_ms: 100, stalls: 1, ..Audience::default() };
        fare.latency.see(latency_ms);
        let audience = BTreeMap::from([(ada(), fare)]);
        let told = move || Report { place: place.clone(), audience: audience.clone(), ..Report::default() };
        telling.push((report(node.remote.clone(), told), node));
    }
    for desk in &desks {
        let is_whole =
            |told: &Value| told["audience"]["all"]["players"] == 6 && told["audience"]["regions"]["iad"].is_object();
        let told = desk.told("how all viewers fare", is_whole).await["audience"].clone();
        let of = |fare: &Value| {
            json!([fare["players"], fare["stalls"], fare["rebuffering_ratio"], fare["latency_ms"]["p95"]])
        };
        assert_eq!(of(&told["all"]), json!([6, 3, 0.1, 2944]));
        assert_eq!(of(&told["regions"]["fra"]), json!([4, 2, 0.1, 992]));
        assert_eq!(of(&told["regions"]["iad"]), json!([2, 1, 0.1, 2944]));
    }
}

#[tokio::test]
async fn only_an_edge_has_viewers() {
    let world = World::found().await;
    let origin = world.join("origin-1", Role::Origin).await;
    let edge = world.join("edge-1", Role::Edge).await;
    let tell = async |node: &Node, audience: BTreeMap<ChannelName, Audience>| {
        let body = postcard::to_stdvec(&Report { audience, ..Report::default() }).unwrap();
        let request = Request::Report { length: body.len() as u32 };
        match node.remote.ask_with::<Loads>(&request, body.into(), PATIENCE).await {
            Err(Denied::Forbidden(why)) => why,
            other => panic!("{other:?}"),
        }
    };
    let said = tell(&origin, [(ada(), Audience::default())].into()).await;
    assert_eq!(said, "origin-1 is no edge and has no viewers");
    let many = (0..=Report::MAX_AUDIENCES).map(|n| (format!("c{n}").parse().unwrap(), Audience::default()));
    assert_eq!(tell(&edge, many.collect()).await, "edge-1 tells of the viewers of more than 4000 channels");
}
