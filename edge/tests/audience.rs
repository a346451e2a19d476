//! What players report, over real sockets: what is heard, what is refused, and what the edge tells of it.

mod common;

use std::sync::Arc;

use bytes::Bytes;
use common::{Reply, Rig, Viewer};
use freshet_edge::{
    Config,
    gateway::{ApiUnavailable, ApiUpstream},
    upstream::BoxFuture,
};
use freshet_proto::api::{ApiReply, ApiRequest};
use tokio::net::TcpStream;

const CMCD: &str = "content-type: application/cmcd\r\n";

fn line(sid: &str, ts: u64, keys: &str) -> String {
    format!("e=t,{keys},cid=\"ada\",sid=\"{sid}\",ts={ts},v=2\n")
}

async fn post(client: &mut Viewer<TcpStream>, fields: &str, body: &str) -> Reply {
    let length = body.len();
    let head = format!("POST /api/cmcd HTTP/1.1\r\nhost: edge\r\n{fields}content-length: {length}\r\n\r\n");
    client.send(&format!("{head}{body}")).await;
    client.reply().await
}

/// The API's servers, which must not be asked.
struct Nobody;

impl ApiUpstream for Nobody {
    fn ask(&self, request: ApiRequest) -> BoxFuture<'static, Result<(ApiReply, Bytes), ApiUnavailable>> {
        panic!("the edge answers that itself: {request:?}");
    }
}

async fn live() -> (Rig, Viewer<TcpStream>) {
    let mut rig = Rig::live();
    rig.edge = rig.edge.with_api(Arc::new(Nobody));
    let client = Viewer::connect(rig.listen().await).await;
    (rig, client)
}

#[tokio::test]
async fn an_edge_hears_players_and_tells_how_they_fare() {
    let (rig, mut client) = live().await;
    let body = [
        line("one", 1000, "sta=s"),
        line("one", 1800, "sta=p,msd=800,br=(3000)"),
        line("one", 11_800, "sta=r"),
        line("one", 12_800, "sta=p,com.freshet-g2g=2100,ltc=1500"),
        line("two", 5, "sta=p,ltc=1000,br=(1000)"),
        line("nobody", 5, "sta=p").replace("ada", "eve"),
    ]
    .concat();
    for content_type in ["application/cmcd", "text/plain;charset=UTF-8"] {
        let reply = post(&mut client, &format!("content-type: {content_type}\r\norigin: https://x\r\n"), &body).await;
        assert_eq!((reply.status, reply.field("access-control-allow-origin")), (204, "*"), "{}", reply.text());
    }
    let told = rig.edge.audience();
    assert_eq!(told.len(), 1, "of a channel that there is not nothing is kept: {told:?}");
    let ada = &told[&"ada".parse().expect("a name")];
    assert_eq!((ada.players, ada.bitrate, ada.startup.count(), ada.latency.count()), (2, 4_000_000, 1, 2));
    assert_eq!((ada.played_ms, ada.stalled_ms), (10_000, 1000));
    assert!(ada.latency.quantile(1000).is_some_and(|ms| ms.abs_diff(2100) <= 131), "{:?}", ada.latency);
}

#[tokio::test]
async fn what_is_no_report_is_refused_in_words_and_whole() {
    let (rig, mut client) = live().await;
    let bad = format!("{}e=t,cid=\"ada\",ts=5,v=2", line("one", 5, "sta=p"));
    let reply = post(&mut client, CMCD, &bad).await;
    assert_eq!((reply.status, reply.field("content-type")), (400, "application/problem+json"));
    assert!(reply.text().contains("line 2: `sid` is missing"), "{}", reply.text());
    assert_eq!(post(&mut client, CMCD, "\u{fc}").await.status, 400);
    assert_eq!(post(&mut client, "content-type: application/json\r\n", "[]").await.status, 415);
    assert_eq!(post(&mut client, "", &line("one", 5, "sta=p")).await.status, 415);
    assert_eq!(client.get("/api/cmcd").await.status, 405);
    assert!(rig.edge.audience().is_empty());
    client.send(&format!("POST /api/cmcd HTTP/1.1\r\nhost: edge\r\n{CMCD}content-length: 65537\r\n\r\n")).await;
    assert_eq!(client.reply().await.status, 413);
}

#[tokio::test]
async fn a_page_of_any_site_may_report() {
    let (_rig, mut client) = live().await;
    client.send("OPTIONS /api/cmcd HTTP/1.1\r\nhost: edge\r\norigin: https://x\r\n\r\n").await;
    let reply = client.reply().await;
    let fields = ["access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers"];
    assert_eq!((reply.status, fields.map(|name| reply.field(name))), (204, ["*", "POST, OPTIONS", "content-type"]));
}

#[tokio::test]
async fn an_address_may_report_only_so_much() {
    let mut config = Config::default();
    config.audience.reports_per_address = 1;
    let rig = Rig::with(config, Rig::live().view.borrow().clone());
    let mut client = Viewer::connect(rig.listen().await).await;
    let many: String = (0..100).map(|n| line("one", n, "sta=p")).collect();
    assert_eq!(post(&mut client, CMCD, &many).await.status, 204, "a body is taken whole, and counts for all its lines");
    let reply = post(&mut client, CMCD, &line("one", 20, "sta=p")).await;
    assert_eq!((reply.status, reply.field("retry-after")), (429, "1"));
}
