//! A control plane of three nodes over QUIC on loopback, each on a file of its own with real syncs: how long writes stand
//! still when the leader is killed, and how long a change takes to reach a thousand watchers.
//! `cargo bench -p freshet-control-plane --bench cluster`.

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/cluster/world.rs"]
mod world;

use std::{sync::Arc, time::Duration};

use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    message::{MAX_FRAME, Request, WatchEvent},
    quic::Pool,
    registry::Policy,
    view::Role,
};
use tokio::{
    sync::{Mutex, mpsc},
    time::{Instant, interval},
};
use world::{Node, World};

/// How often the leader is killed.
const KILLS: usize = 20;
/// Watch streams, over as many connections as there are askers.
const WATCHERS: usize = 1000;
const ASKERS: usize = 20;
/// Changes a second, and for how many seconds.
const RATE: u64 = 50;
const SECONDS: u64 = 6;

#[tokio::main]
async fn main() {
    let mut standstills = failover().await;
    println!("leader killed {KILLS} times: next committed write after {}", spread(&mut standstills));
    let mut delays = fan_out().await;
    let read = delays.len();
    println!("{WATCHERS} watchers, {RATE} changes/s: {read} deltas read after {}", spread(&mut delays));
}

fn spread(all: &mut [Duration]) -> String {
    all.sort();
    let at = |permille: usize| all[(all.len() * permille / 1000).min(all.len() - 1)].as_secs_f64() * 1000.0;
    format!("median {:.1} ms, p99 {:.1} ms, most {:.1} ms", at(500), at(990), at(1000))
}

async fn put(node: &Node, channel: &str) {
    let channel = channel.parse().expect("a name");
    let command = Request::Admin(AdminCommand::PutChannel { channel, policy: Policy::Newest });
    node.remote.ask::<AdminReply>(&command, Duration::from_secs(10)).await.expect("a key");
}

/// An operator's desk that no kill touches: a control node that joined and never took part.
async fn desk(world: &World, name: &str) -> Node {
    world.join(name, Role::Control).await
}

async fn failover() -> Vec<Duration> {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let mut standstills = Vec::new();
    for round in 0..KILLS {
        let desk = desk(&world, &format!("desk-{round}")).await;
        put(&desk, "ada").await;
        let leader = world.leader().await;
        let name = world.nodes[leader].view.server_name.clone();
        let killed = Instant::now();
        let dead = world.nodes.remove(leader);
        dead.fall_silent();
        put(&desk, "ada").await;
        standstills.push(killed.elapsed());
        let remove = Request::Admin(AdminCommand::RemoveNode { name });
        desk.remote.ask::<AdminReply>(&remove, Duration::from_secs(45)).await.expect("the dead one is removed");
        world.join_control(&format!("control-{}", round + 4)).await;
    }
    standstills
}

/// The delay from the moment a change is asked for until each watcher has read it: the write itself included.
async fn fan_out() -> Vec<Duration> {
    let mut world = World::found().await;
    world.join_control("control-2").await;
    world.join_control("control-3").await;
    let desk = desk(&world, "desk").await;
    put(&desk, "ada").await;
    let asked = Arc::new(Mutex::new(Vec::<(u64, Instant)>::new()));
    let (sender, mut heard) = mpsc::channel::<(u64, Instant)>(WATCHERS * 64);
    for asker in 0..ASKERS {
        let edge = world.join(&format!("edge-{asker}"), Role::Edge).await;
        let pool = Pool::new(edge.endpoint());
        for watcher in 0..WATCHERS / ASKERS {
            let at = world.nodes[(asker + watcher) % 3].view.clone();
            let mut events =
                pool.request(at.quic, &at.server_name, &Request::Watch { after: None }).await.expect("watched");
            let sender = sender.clone();
            tokio::spawn(async move {
                while let Ok(event) = events.read_frame::<WatchEvent>(MAX_FRAME).await {
                    if let WatchEvent::Delta(delta) = event
                        && sender.send((delta.revision, Instant::now())).await.is_err()
                    {
                        return;
                    }
                }
            });
        }
        std::mem::forget(edge);
    }
    drop(sender);
    let writing = tokio::spawn({
        let asked = asked.clone();
        let feed = world.nodes[0].control.feed();
        async move {
            let mut tick = interval(Duration::from_millis(1000 / RATE));
            for turn in 0..RATE * SECONDS {
                tick.tick().await;
                let began = Instant::now();
                put(&desk, &format!("c{}", turn % 100)).await;
                asked.lock().await.push((feed.view().borrow().revision, began));
            }
        }
    });
    let mut read = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(3), heard.recv()).await {
        read.push(event);
    }
    writing.await.expect("it writes");
    let asked = asked.lock().await.clone();
    let began = |revision: u64| asked.iter().find(|(known, _)| *known >= revision).map(|(_, began)| *began);
    read.iter().filter_map(|(revision, at)| Some(at.saturating_duration_since(began(*revision)?))).collect()
}
