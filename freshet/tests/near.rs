//! Two regions on one machine: clients are told of the nodes of their own first, and of no node that has gone.

mod support;

use std::{fs, net::SocketAddr, path::Path};

use maxminddb_writer::{Database, paths::IpAddrWithMask};
use serde_json::{Value, json};
use support::{
    Answer, arg, ask,
    platform::{Node, Platform},
    until,
};
use tokio::net::TcpSocket;

/// Latitude and longitude of a region.
fn position(region: &str) -> (f64, f64) {
    if region == "fra" { (50.1109, 8.6821) } else { (39.0438, -77.4874) }
}

/// Clients come from an address of their region.
fn address(region: &str) -> &'static str {
    if region == "fra" { "127.0.0.1" } else { "127.0.0.2" }
}

/// A database that knows where the two addresses are.
fn write_database(file: &Path) {
    let mut database = Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.database_type = "Test".to_owned();
    for region in ["fra", "iad"] {
        let (latitude, longitude) = position(region);
        let entry = json!({ "location": { "latitude": latitude, "longitude": longitude } });
        let data = database.insert_value(entry).unwrap();
        let network = format!("{}/32", address(region));
        database.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
    }
    database.write_to(fs::File::create(file).unwrap()).unwrap();
}

/// A port that is free on the addresses of both regions. It is none of those that the system gives to whoever wants any,
/// so that it stays free until both edges have it.
fn free_port() -> u16 {
    let is_free = |host, port| std::net::TcpListener::bind((host, port)).is_ok();
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).expect("a small number");
    let mut ports = first..32_768;
    ports.find(|port| is_free("127.0.0.1", *port) && is_free("127.0.0.2", *port)).expect("a free port")
}

/// A node of a region. All edges have one port, so that players can take one for another.
async fn join(platform: &Platform, role: &'static str, name: &str, region: &str, port: u16) -> Node {
    platform.enrol(role, name).await;
    let dir = platform.dir.path();
    let ((latitude, longitude), host) = (position(region), address(region));
    let text = format!(
        r#"
[node]
data = "{data}"
[listen]
http = "{host}:{port}"
rtmp = "127.0.0.1:0"
quic = "127.0.0.1:0"
admin = "127.0.0.1:0"
[edge.http]
drain_timeout_ms = 500
[origin]
drain_timeout_ms = 500
[place]
region = "{region}"
latitude = {latitude}
longitude = {longitude}
public_url = "http://{host}:{port}"
rtmp_url = "rtmp://{region}.example"
database = "{dir}/places.mmdb"
"#,
        data = arg(&dir.join(name)),
        dir = arg(dir)
    );
    let file = dir.join(format!("{name}.toml"));
    fs::write(&file, text).unwrap();
    Node::run(role, arg(&file), &[]).await
}

/// Asks an edge from an address of a region.
async fn ask_from(region: &str, edge: &Node, path: &str) -> Option<Answer> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(SocketAddr::new(address(region).parse().ok()?, 0)).ok()?;
    let at = edge.field("http");
    let mut socket = socket.connect(at.parse().ok()?).await.ok()?;
    ask(&mut socket, &at, path).await.ok()
}

async fn json_from(region: &str, edge: &Node, path: &str) -> Option<Value> {
    let answer = ask_from(region, edge, path).await.filter(|answer| answer.status == 200)?;
    serde_json::from_slice(&answer.body).ok()
}

/// Regions of the edges that a client is told of, in order.
async fn edges_from(region: &str, edge: &Node) -> Option<String> {
    let told = json_from(region, edge, "/api/watch/ada").await?;
    let regions = told["edges"].as_array()?.iter().map(|edge| edge["region"].as_str().unwrap_or_default());
    Some(regions.collect::<Vec<_>>().join(" "))
}

async fn told(what: &str, region: &str, edge: &Node, expected: &str) {
    let what = format!("{what}: {expected:?}");
    until(&what, async || edges_from(region, edge).await.filter(|told| told == expected)).await;
}

#[tokio::test]
async fn clients_get_their_own_region_first_and_nodes_that_go_leave_the_answers() {
    let mut platform = Platform::found(1).await;
    write_database(&platform.dir.path().join("places.mmdb"));
    platform.operate(&["channel", "put", "ada"]).await;
    let port = free_port();
    let mut fra = join(&platform, "edge", "edge-fra", "fra", port).await;
    let iad = join(&platform, "edge", "edge-iad", "iad", port).await;
    let _origins = [
        join(&platform, "origin", "origin-fra", "fra", 0).await,
        join(&platform, "origin", "origin-iad", "iad", 0).await,
    ];
    for edge in [&fra, &iad] {
        told("of Frankfurt", "fra", edge, "fra iad").await;
        told("of Ashburn", "iad", edge, "iad fra").await;
        for region in ["fra", "iad"] {
            let own = format!("rtmp://{region}.example/live/{{stream_key}}");
            let ingests = async || {
                let told = json_from(region, edge, "/api/ingests").await?;
                (told["ingests"].as_array()?.len() == 2).then_some(told)
            };
            let told = until("both origins", ingests).await;
            assert_eq!(told["ingests"][0]["url_template"], own.as_str(), "from {region}: {told}");
        }
    }
    let sent = ask_from("iad", &fra, "/go/ada").await.expect("an answer");
    let location = format!("location: http://127.0.0.2:{port}/live/ada/index.m3u8");
    assert!(sent.status == 307 && sent.head.contains(&location), "{}", sent.head);

    // A player that began in Frankfurt may go on in Ashburn.
    let steer = json_from("fra", &fra, "/live/ada/steer.json?_HLS_pathway=here").await.expect("an answer");
    assert_eq!(steer["PATHWAY-CLONES"][0]["URI-REPLACEMENT"]["HOST"], "127.0.0.2", "{steer}");
    assert_eq!(steer["PATHWAY-PRIORITY"][0], "here", "{steer}");

    platform.operate(&["node", "drain", "edge-fra"]).await;
    told("while it drains", "fra", &iad, "iad").await;
    until("the draining edge to name itself last", async || {
        let steer = json_from("fra", &fra, "/live/ada/steer.json?_HLS_pathway=here").await?;
        (steer["PATHWAY-PRIORITY"][1] == "here" && steer["RELOAD-URI"].is_string()).then_some(())
    })
    .await;
    platform.operate(&["node", "drain", "--undo", "edge-fra"]).await;
    told("when it works again", "fra", &iad, "fra iad").await;

    fra.kill().await;
    told("when it is dead", "fra", &iad, "iad").await;
    // With nobody left to ask, the edge that is left still answers from what it knows.
    platform.control[0].kill().await;
    assert_eq!(edges_from("iad", &iad).await.as_deref(), Some("iad"));
    let steer = json_from("fra", &iad, "/live/ada/steer.json").await.expect("an answer");
    assert_eq!(steer["PATHWAY-PRIORITY"], json!(["here"]));
}

#[tokio::test]
async fn hangup_reads_the_database_again_and_a_bad_one_never_replaces_a_good_one() {
    let platform = Platform::found(1).await;
    let file = platform.dir.path().join("places.mmdb");
    write_database(&file);
    let mut edge = join(&platform, "edge", "edge-fra", "fra", 0).await;
    fs::write(&file, "no database").unwrap();
    edge.process.signal("HUP").await;
    edge.process.logged(&["the new database of places is no good"]).await;
    write_database(&file);
    edge.process.signal("HUP").await;
    edge.process.logged(&["the database of places is read again"]).await;
}
