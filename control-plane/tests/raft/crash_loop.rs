//! A real process on a real disk, killed a hundred times while it writes.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use freshet_control_plane::raft::{Carried, Carrier, CarrierError, Config, Group, Member, Store};
use freshet_proto::{id::NodeId, random::Random};

use super::cluster::{member, put};

const DIR: &str = "FRESHET_CRASH_LOOP_DIR";

/// A group of one calls nobody.
struct Nobody;

impl Carrier for Nobody {
    fn call(&self, _to: Member, _body: bytes::Bytes, _limit: Duration) -> Carried {
        Box::pin(async { Err(CarrierError::Unreachable("there is nobody".to_owned())) })
    }
}

async fn start(dir: &std::path::Path) -> Group {
    let store = Store::file(dir).unwrap();
    let group = Group::open(NodeId(1), store, Arc::new(Nobody), Config::default(), Random::system()).await.unwrap();
    if group.is_new() {
        group.bootstrap(member(1)).await.unwrap();
    }
    while group.confirm().await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    group
}

/// Not a test of its own: the process that is killed. It writes channels without end, 4 at a time, and says which are
/// acknowledged.
#[tokio::test]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let group = start(dir.as_ref()).await;
    let mut n = group.read(|registry| registry.channels().count() as u64) * 1000;
    loop {
        let proposals = (n..n + 4).map(|n| {
            let group = group.clone();
            tokio::spawn(async move { group.propose(put(n).1).await.map(|_| n) })
        });
        for proposal in proposals.collect::<Vec<_>>() {
            // One of which nobody knows what became is none.
            if let Ok(n) = proposal.await.unwrap() {
                println!("acknowledged {n}");
            }
        }
        n += 4;
    }
}

#[test]
fn a_process_killed_a_hundred_times_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..100 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash_loop::child", "--exact", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 1 + round % 20;
        let mut heard = 0;
        // What it says between the last line that is waited for and its death counts too.
        for line in lines {
            let Ok(line) = line else { break };
            let Some((_, n)) = line.split_once("acknowledged ") else { continue };
            acknowledged.insert(n.parse::<u64>().unwrap());
            heard += 1;
            if heard == wanted {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= wanted, "round {round}: it stopped by itself after {heard} writes");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let group = start(dir.path()).await;
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|n| {
                let (name, _) = put(**n);
                !group.read(|registry| registry.channels().any(|known| *known == name))
            })
            .collect();
        assert!(lost.is_empty(), "{} of {} writes are lost: {lost:?}", lost.len(), acknowledged.len());
        assert!(acknowledged.len() > 500);
        group.shutdown().await;
    });
}
