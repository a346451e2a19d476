//! What is left of a group on disks, made a backup of and begun anew from.

use std::{fs, path::Path};

use freshet_control_plane::{
    key::Pepper,
    machine::Input,
    raft::{Config, Proposal, SalvageError, Salvaged, Store, backed_up, restore, salvage},
    secrets::Secrets,
};
use freshet_proto::{id::NodeId, random::Random};
use tempfile::TempDir;

use super::{
    cluster::{Cluster, Mesh, config, member},
    disk::{Crash, Disk},
};

/// A founded platform of so many control nodes.
async fn founded(size: u64, config: Config) -> Cluster {
    let cluster = Cluster::of(size, config).await;
    let secrets = Secrets { pepper: Pepper([1; 32]), authority: "its".to_owned(), authority_key: "key".to_owned() };
    let found = Proposal { now_ms: 0, input: Input::Found(secrets) };
    cluster.leader().await.propose(found).await.unwrap();
    cluster
}

/// A directory with what a disk holds.
fn on_disk(bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("raft.redb"), bytes).unwrap();
    dir
}

fn salvaged(cluster: &Cluster, id: u64) -> Salvaged {
    let bytes = cluster.disks[&id].bytes();
    let dir = on_disk(&bytes);
    let salvaged = salvage(dir.path()).unwrap();
    assert!(fs::read(dir.path().join("raft.redb")).unwrap() == bytes, "the file stays as it was");
    assert_eq!(salvaged.node, Some(NodeId(id)));
    salvaged
}

/// A new group from a backup has every channel that was acknowledged, and goes on.
async fn has_all(cluster: &Cluster, backup: &[u8]) {
    let disk = Disk::default();
    let store = Store::over(disk.clone()).unwrap();
    drop(restore(store, backup, (NodeId(99), member(99)), 0, &Random::seeded(5)).unwrap());
    let mut anew = Cluster::empty(Mesh::default(), cluster.config.clone());
    anew.acknowledged.clone_from(&cluster.acknowledged);
    anew.disks.insert(99, disk);
    anew.start(99).await;
    anew.settle().await;
}

#[tokio::test(start_paused = true)]
async fn of_most_members_the_one_that_is_furthest_has_all_that_was_acknowledged() {
    for seed in 0..12 {
        let random = Random::seeded(seed);
        let few = Config { snapshot_after: 12, keep_logs: 4, ..config() };
        let mut cluster = founded(3, few).await;
        cluster.random = Random::seeded(seed);
        for _ in 0..random.below(20) {
            cluster.write().await;
        }
        cluster.mesh.cut(1 + random.below(3));
        for _ in 0..1 + random.below(20) {
            cluster.write().await;
        }
        let crash = if seed % 2 == 0 { Crash::Clean } else { Crash::Torn };
        [1, 2, 3].into_iter().for_each(|id| cluster.kill(id, crash));
        for pair in [[1, 2], [1, 3], [2, 3]] {
            let both = pair.map(|id| salvaged(&cluster, id));
            let best = both.iter().max_by_key(|salvaged| (salvaged.term, salvaged.index)).unwrap();
            has_all(&cluster, &best.backup).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_was_cut_off_tells_by_its_index_that_it_lacks_something_and_gives_what_it_has() {
    let mut cluster = founded(3, config()).await;
    let leader = cluster.leader().await.id().0;
    let behind = (1..=3).find(|id| *id != leader).unwrap();
    cluster.write().await;
    cluster.settle().await;
    let known = cluster.acknowledged.clone();
    cluster.mesh.cut(behind);
    for _ in 0..5 {
        cluster.write().await;
    }
    [1, 2, 3].into_iter().for_each(|id| cluster.kill(id, Crash::Clean));
    let (behind, leader) = (salvaged(&cluster, behind), salvaged(&cluster, leader));
    assert!((behind.term, behind.index) < (leader.term, leader.index), "{behind:?} {leader:?}");
    assert!(leader.committed <= leader.index && leader.revision <= leader.index);
    let registry = backed_up(&behind.backup).unwrap();
    assert!(registry.channels().eq(&known));
    has_all(&cluster, &leader.backup).await;
}

/// How many channels are salvaged from a file; `None` when it is refused in words.
fn channels(bytes: &[u8]) -> Option<usize> {
    match salvage(on_disk(bytes).path()) {
        Ok(salvaged) => Some(backed_up(&salvaged.backup).unwrap().channels().count()),
        Err(SalvageError::Damaged(why)) => {
            assert!(!why.is_empty());
            None
        }
        Err(SalvageError::Open(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn from_a_damaged_file_all_is_salvaged_or_nothing() {
    let mut cluster = founded(1, config()).await;
    for _ in 0..30 {
        cluster.write().await;
    }
    cluster.kill(1, Crash::Clean);
    let whole = cluster.disks[&1].bytes();
    assert_eq!(channels(&whole), Some(30));
    let used: Vec<_> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
    let mut refused = 0;
    for at in used.iter().step_by(used.len() / 200 + 1) {
        let mut flipped = whole.clone();
        flipped[*at] ^= 0x10;
        match channels(&flipped) {
            Some(left) => assert_eq!(left, 30, "byte {at} lost a write"),
            None => refused += 1,
        }
    }
    assert!(refused > 5, "{refused} refused: the test has to hit what matters");
    for kept in [0, 1, 4096, whole.len() / 2] {
        assert_eq!(channels(&whole[..kept]), None, "{kept} bytes");
    }
}

#[test]
fn what_is_no_stopped_control_nodes_directory_is_refused_with_the_remedy() {
    let words = |dir: &Path| salvage(dir).unwrap_err().to_string();
    let dir = tempfile::tempdir().unwrap();
    let nothing = words(dir.path());
    assert!(nothing.contains("node.data") && nothing.contains("no control node's log"), "{nothing}");
    let store = Store::file(dir.path()).unwrap();
    let running = words(dir.path());
    assert!(running.contains("stop that control node first"), "{running}");
    drop(store);
    assert!(words(dir.path()).contains("never heard of a platform"));
}

#[tokio::test(start_paused = true)]
async fn a_member_goes_on_after_it_was_salvaged() {
    let mut cluster = founded(1, config()).await;
    cluster.write().await;
    cluster.kill(1, Crash::Clean);
    let (first, second) = (salvaged(&cluster, 1), salvaged(&cluster, 1));
    assert!(first.backup == second.backup, "it says the same twice");
    cluster.start(1).await;
    cluster.write().await;
    cluster.settle().await;
}
