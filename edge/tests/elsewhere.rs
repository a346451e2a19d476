//! What an origin made that is gone comes from the edges that have it, and from nowhere else while the origin is there.

mod common;

use common::{BOUND, Object, Odd, Rig, node, part_bytes, view, with_edges};
use freshet_edge::Config;
use freshet_proto::view::{ChannelState, View};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

const PART: &str = "/live/ada/1/v0/5.0.m4s";
const NAME: &str = "ada/1/v0/5.0.m4s";

fn base() -> View {
    View::clone(&view(1, ChannelState::Grace, 1, &[(1, 1)]))
}

/// Edge 7 beside `edges`; `ada` was published at origin 1. The nodes `lost` have lost their leases.
fn rig(edges: impl IntoIterator<Item = u64>, lost: &[u64]) -> Rig {
    let rig = Rig::with(Config::default(), with_edges(&base(), [7].into_iter().chain(edges), lost));
    Rig { edge: rig.edge.named("edge-7"), ..rig }
}

#[tokio::test]
async fn what_a_dead_origin_made_is_brought_once_from_an_edge_that_has_it() {
    let rig = rig([8, 9, 10], &[]);
    rig.origin.lets("origin-1", Odd::Dead);
    rig.origin.edge_has("edge-9", NAME, Object::new("sound"));
    rig.origin.edge_has("edge-10", NAME, Object::new("sound"));
    assert_eq!(rig.viewer().get(PART).await.text(), "sound");
    assert_eq!(rig.viewer().get(PART).await.text(), "sound");
    let at = |node: &str| format!("{NAME} at {node}");
    assert_eq!(rig.origin.fetched(), [NAME.to_owned(), at("edge-8"), at("edge-9")]);
    let stats = rig.edge.stats();
    assert_eq!((stats.transfers.get(), stats.edges_asked.get(), stats.edges_had.get()), (1, 2, 1));
}

#[tokio::test]
async fn while_the_origin_answers_no_edge_is_asked_whatever_it_says() {
    let rig = rig([8, 9], &[]);
    rig.origin.edge_has("edge-8", NAME, Object::new("sound"));
    assert_eq!(rig.viewer().get(PART).await.status, 404);
    rig.origin.lets("origin-1", Odd::Unavailable);
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.1.m4s").await.status, 503);
    assert_eq!(rig.origin.fetched(), [NAME, "ada/1/v0/5.1.m4s"]);
    assert_eq!(rig.edge.stats().edges_asked.get(), 0);
}

#[tokio::test]
async fn where_the_lease_of_the_origin_has_run_out_the_edges_are_asked_first_and_it_is_asked_last() {
    let rig = rig([8], &[1]);
    rig.origin.edge_has("edge-8", NAME, Object::new("sound"));
    rig.origin.has("ada/1/v0/5.1.m4s", Object::new("it lives"));
    assert_eq!(rig.viewer().get(PART).await.text(), "sound");
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.1.m4s").await.text(), "it lives");
    let asked = [format!("{NAME} at edge-8"), "ada/1/v0/5.1.m4s at edge-8".to_owned(), "ada/1/v0/5.1.m4s".to_owned()];
    assert_eq!(rig.origin.fetched(), asked);
}

#[tokio::test]
async fn what_an_origin_made_that_the_view_has_forgotten_is_looked_for_at_edges_alone() {
    let mut view = base();
    view.nodes.remove(&node(1).0);
    let rig = Rig::with(Config::default(), with_edges(&view, [8], &[]));
    rig.origin.edge_has("edge-8", NAME, Object::new("sound"));
    assert_eq!(rig.viewer().get(PART).await.text(), "sound");
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.1.m4s").await.status, 404);
    assert_eq!(rig.viewer().get("/live/ada/4/v0/5.1.m4s").await.status, 404, "no such publish");
    assert_eq!(rig.origin.fetched(), [format!("{NAME} at edge-8"), "ada/1/v0/5.1.m4s at edge-8".to_owned()]);
}

#[tokio::test]
async fn however_many_ask_for_it_each_edge_is_asked_once() {
    let rig = rig([8, 9], &[]);
    rig.origin.lets("origin-1", Odd::Dead);
    let (object, gate) = Object::gated("0123456789");
    rig.origin.edge_has("edge-9", "ada/1/v0/5.m4s", object);
    let mut viewers = JoinSet::new();
    for _ in 0..1000 {
        let mut viewer = rig.viewer();
        viewers.spawn(async move { viewer.get("/live/ada/1/v0/5.m4s").await });
    }
    rig.until(|edge| edge.stats().misses.get() + edge.stats().coalesced.get() == 1000).await;
    gate.add_permits(2);
    while let Some(reply) = timeout(BOUND, viewers.join_next()).await.expect("in time") {
        assert_eq!(reply.expect("a viewer").text(), "0123456789");
    }
    assert_eq!(rig.origin.fetched().len(), 3, "{:?}", rig.origin.fetched());
}

#[tokio::test(start_paused = true)]
async fn only_so_many_edges_are_asked_and_that_nobody_has_it_is_remembered_for_a_moment() {
    let rig = rig(8..60, &[]);
    rig.origin.lets("origin-1", Odd::Dead);
    for _ in 0..5 {
        let reply = rig.viewer().get(PART).await;
        assert_eq!((reply.status, reply.field("retry-after")), (503, "1"));
    }
    assert_eq!(rig.origin.fetched().len(), 1 + 16);
    assert_eq!(rig.edge.stats().negative.get(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_says_nothing_is_passed_over_and_the_search_ends_in_time() {
    let rig = rig([8, 9], &[]);
    rig.origin.lets("origin-1", Odd::Dead);
    rig.origin.lets("edge-8", Odd::Silent);
    rig.origin.edge_has("edge-9", NAME, Object::new("sound"));
    let begun = Instant::now();
    assert_eq!(rig.viewer().get(PART).await.text(), "sound");
    assert_eq!(begun.elapsed().as_millis(), 700);

    let rig = self::rig(8..20, &[]);
    rig.origin.lets("origin-1", Odd::Dead);
    (8..20).for_each(|n| rig.origin.lets(&format!("edge-{n}"), Odd::Silent));
    let begun = Instant::now();
    assert_eq!(rig.viewer().get(PART).await.status, 503);
    assert_eq!(begun.elapsed().as_millis(), 2000);
}

#[tokio::test]
async fn a_playlist_is_never_asked_of_another_edge() {
    let rig = rig([8], &[]);
    rig.origin.lets("origin-1", Odd::Dead);
    let mut viewer = rig.viewer();
    viewer.ask("/live/ada/index.m3u8", "").await;
    rig.until(|edge| edge.stats().failed.get() > 0).await;
    assert!(rig.origin.fetched().iter().all(|asked| asked == "ada/index.m3u8"), "{:?}", rig.origin.fetched());
}

#[tokio::test]
async fn what_a_successor_lists_and_this_edge_never_got_is_asked_for_at_once() {
    let mut rig = rig([8], &[]);
    let first = rig.patient(5, 0).await;
    rig.origin.lets("origin-1", Odd::Dead);
    rig.view.send_replace(with_edges(&view(2, ChannelState::Live, 1, &[(1, 1), (2, 2)]), [7, 8], &[]));
    let second = rig.followed().await;
    assert_eq!(second.peer.server_name, "origin-2");
    first.closed().await;
    // Another edge has seen three parts of the segment, and so it ends with them.
    second.constants_with(1, common::HOUR_MS);
    second.playlist(1, 5, 2, Some((5, 3)));
    for part in 1..3 {
        rig.origin.edge_has("edge-8", &format!("ada/1/v0/5.{part}.m4s"), Object::new(part_bytes(1, 5, part)));
        let reply = rig.viewer().get("/live/ada/v0.m3u8?_HLS_msn=5").await;
        assert_eq!((reply.status, reply.text().contains("#1.5.2")), (200, true));
        let path = format!("/live/ada/1/v0/5.{part}.m4s");
        assert_eq!(rig.viewer().get(&path).await.text(), part_bytes(1, 5, part));
    }
    let whole = (0..3).map(|part| part_bytes(1, 5, part)).collect::<String>();
    assert_eq!(rig.viewer().get("/live/ada/1/v0/5.m4s").await.text(), whole);
    assert_eq!(rig.edge.stats().assembled.get(), 1);
}
