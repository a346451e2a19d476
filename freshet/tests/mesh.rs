//! Chat over three edges, each with a hub: one order everywhere, whichever of them dies, and without a control plane.

mod support;

use support::{
    chatter::{Chatter, register},
    platform::{Node, Platform},
};
use tokio::time::Instant;

/// Three edges, and each one's address.
async fn edges(platform: &Platform) -> (Vec<Node>, Vec<String>) {
    let mut edges = Vec::new();
    for name in ["edge-1", "edge-2", "edge-3"] {
        edges.push(platform.join("edge", name).await);
    }
    let hosts = edges.iter().map(|edge| edge.field("http")).collect();
    (edges, hosts)
}

/// Which edge is the home of a channel: the one that said so last.
fn home(edges: &[Node], channel: &str) -> usize {
    let newest = |edge: &Node| {
        let logs = edge.logs();
        let lines = logs.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let homes =
            lines.filter(|line| line["message"] == "this hub is the home of a channel" && line["channel"] == channel);
        homes.filter_map(|line| line["epoch"].as_u64()).max()
    };
    (0..edges.len()).max_by_key(|n| newest(&edges[*n])).expect("there are edges")
}

/// What was heard since the first of `texts`.
fn since<'a>(chatter: &'a Chatter, first: &str) -> Vec<&'a (String, String)> {
    chatter.heard.iter().skip_while(|(_, text)| text != first).collect()
}

#[tokio::test]
async fn hubs_have_one_order_whichever_dies_and_without_a_control_plane() {
    let mut platform = Platform::found(1).await;
    let (mut edges, hosts) = edges(&platform).await;
    let token = register(&hosts[0], "ada").await;
    let writer = register(&hosts[0], "bob").await;
    let mut readers = Vec::new();
    for host in &hosts {
        readers.push(Chatter::join(host, "ada", "").await);
    }
    let mut writers = Vec::new();
    for host in &hosts {
        writers.push(Chatter::join(host, "ada", &writer).await);
    }
    for (n, writer) in writers.iter_mut().enumerate() {
        writer.says(&format!("hello {n}")).await;
    }
    for reader in &mut readers {
        reader.hears("hello 2").await;
        assert_eq!(reader.heard.len(), 3, "{:?}", reader.heard);
    }
    for reader in &mut readers {
        reader.counts(6, 1).await;
    }
    let mut owner = Chatter::join(&hosts[1], "ada", &token).await;
    let answer = owner.say("/ban carol").await;
    assert_eq!(answer["done"], "ban", "{answer}");
    for reader in &mut readers {
        reader.finds("user").await;
    }

    // Without a control plane everything goes on but what must be stored.
    platform.control[0].kill().await;
    let gone = Instant::now();
    let mut said = 0;
    while gone.elapsed().as_secs() < 12 {
        for writer in &mut writers {
            said += 1;
            let answer = writer.say(&format!("alone {said}")).await;
            if answer["code"] != "msg_ratelimit" {
                assert_eq!(answer["type"], "ack", "after {:?}: {answer}", gone.elapsed());
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    platform.control[0].revive().await;
    platform.control[0].ready().await;

    // The home dies; its readers are gone with it, and the others go on.
    let home = home(&edges, "ada");
    let other = (home + 1) % 3;
    edges[home].kill().await;
    writers[other].says("after the home").await;
    for n in (0..3).filter(|n| *n != home) {
        readers[n].hears("after the home").await;
    }
    let heard: Vec<_> = (0..3).filter(|n| *n != home).map(|n| since(&readers[n], "hello 0")).collect();
    assert_eq!(heard[0], heard[1]);
    let (connections, users) = if home == 1 { (4, 1) } else { (5, 2) };
    for n in (0..3).filter(|n| *n != home) {
        readers[n].counts(connections, users).await;
    }

    // It comes back and serves what was said before.
    edges[home].revive().await;
    let mut late = Chatter::join(&edges[home].field("http"), "ada", "").await;
    writers[other].says("all there").await;
    late.hears("all there").await;
    let texts = |chatter: &Chatter| chatter.heard.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    readers[other].hears("all there").await;
    let all = texts(&readers[other]);
    assert_eq!(texts(&late), all[all.len() - late.heard.len()..]);
}
