//! Committed writes a second: three members in one process over an in-process carrier, each on a file of its own with
//! real syncs, asked by closed-loop clients at the leader. `cargo bench -p freshet-control-plane --bench writes`.
//!
//! Each client changes one channel of its own to and fro, so that the registry stays small and the log is what is measured.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use freshet_control_plane::{
    channel::Policy,
    key::Pepper,
    machine::Input,
    raft::{Carried, Carrier, CarrierError, Config, Group, Member, Proposal, Store},
};
use freshet_proto::{id::NodeId, random::Random};
use tokio::time::{Instant, sleep};

/// How long each number of clients is measured.
const RUN: Duration = Duration::from_secs(3);

#[derive(Clone, Default)]
struct Mesh(Arc<Mutex<BTreeMap<SocketAddr, Group>>>);

impl Carrier for Mesh {
    fn call(&self, to: Member, body: Bytes, _limit: Duration) -> Carried {
        let group = self.0.lock().ok().and_then(|groups| groups.get(&to.addr).cloned());
        Box::pin(async move {
            let group = group.ok_or_else(|| CarrierError::Unreachable("not started".to_owned()))?;
            group.answer(body).await.ok_or_else(|| CarrierError::Failed("no answer".to_owned()))
        })
    }
}

fn member(id: u64) -> Member {
    Member { addr: SocketAddr::from(([127, 0, 0, 1], id as u16)), server_name: format!("control-{id}") }
}

async fn start(id: u64, mesh: &Mesh, dir: &std::path::Path) -> Group {
    let store = Store::file(&dir.join(id.to_string())).expect("a store");
    let carrier = Arc::new(mesh.clone());
    let group = Group::open(NodeId(id), store, carrier, Config::default(), Random::system()).await.expect("a member");
    mesh.0.lock().expect("the mesh").insert(member(id).addr, group.clone());
    group
}

async fn write(group: &Group, client: u64, turn: u64) -> bool {
    let policy = if turn.is_multiple_of(2) { Policy::Newest } else { Policy::Reject };
    let channel = format!("c{client}").parse().expect("a name");
    let input = Input::PutChannel { channel, key: Pepper([1; 32]).hash(&format!("sk_{client}")), policy };
    group.propose(Proposal { now_ms: turn, input }).await.is_ok()
}

async fn measure(leader: &Group, clients: u64) -> (u64, f64) {
    let (done, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks = (0..clients).map(|client| {
        let (leader, done) = (leader.clone(), done.clone());
        tokio::spawn(async move {
            let mut turn = 0;
            while began.elapsed() < RUN {
                if write(&leader, client, turn).await {
                    done.fetch_add(1, Ordering::Relaxed);
                }
                turn += 1;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        let _ = task.await;
    }
    (done.load(Ordering::Relaxed), began.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() {
    let (dir, mesh) = (tempfile::tempdir().expect("a directory"), Mesh::default());
    let leader = start(1, &mesh, dir.path()).await;
    leader.bootstrap(member(1)).await.expect("a group");
    for id in 2..=3 {
        start(id, &mesh, dir.path()).await;
        leader.add_learner(NodeId(id), member(id)).await.expect("a learner");
        leader.promote(NodeId(id)).await.expect("a voter");
    }
    while leader.confirm().await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    for clients in [1, 16, 128] {
        let (writes, seconds) = measure(&leader, clients).await;
        let latency = seconds * 1e3 * clients as f64 / writes.max(1) as f64;
        println!("{clients:4} clients: {:8.0} writes/s, {latency:6.2} ms each", writes as f64 / seconds);
    }
}
