//! Members come and go while the group runs.

use freshet_control_plane::raft::{ChangeError, OpenError, Store};
use freshet_proto::{id::NodeId, random::Random};

use super::{
    cluster::{Cluster, Mesh, config, member, open, until_done},
    disk::{Crash, Disk},
};

#[tokio::test(start_paused = true)]
async fn a_member_is_added_promoted_and_removed_while_writes_go_on() {
    let mut cluster = Cluster::of(3, config()).await;
    cluster.write().await;
    cluster.start(4).await;
    let leader = cluster.leader().await;
    leader.add_learner(NodeId(4), member(4)).await.unwrap();
    assert_eq!(leader.status().voters, [1, 2, 3].map(NodeId));
    cluster.write().await;
    leader.promote(NodeId(4)).await.unwrap();
    assert_eq!(leader.status().voters, [1, 2, 3, 4].map(NodeId));
    cluster.write().await;
    cluster.settle().await;
    let gone = (1..=4).find(|id| *id != leader.id().0).unwrap();
    leader.remove(NodeId(gone)).await.unwrap();
    assert!(!leader.status().members.contains_key(&NodeId(gone)));
    cluster.kill(gone, Crash::Clean);
    for _ in 0..5 {
        cluster.write().await;
    }
    cluster.settle().await;
    assert_eq!(leader.status().voters.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_removed_hands_over() {
    let mut cluster = Cluster::of(3, config()).await;
    cluster.write().await;
    let old = cluster.leader().await;
    old.remove(old.id()).await.unwrap();
    let id = old.id();
    let mut leadership = old.leadership();
    let gone = leadership.wait_for(|known| !known.mine);
    tokio::time::timeout(super::cluster::BOUND, gone).await.expect("it to step down").unwrap();
    drop(old);
    cluster.kill(id.0, Crash::Clean);
    cluster.write().await;
    cluster.settle().await;
    assert_eq!(cluster.leader().await.status().voters.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dead_member_is_removed_and_a_new_one_takes_its_place() {
    let mut cluster = Cluster::of(3, config()).await;
    cluster.write().await;
    let leader = cluster.leader().await;
    let dead = (1..=3).find(|id| *id != leader.id().0).unwrap();
    cluster.kill(dead, Crash::Clean);
    leader.remove(NodeId(dead)).await.unwrap();
    cluster.join(9).await;
    cluster.write().await;
    cluster.settle().await;
    assert_eq!(leader.status().voters.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_member_moves_to_another_address() {
    let mut cluster = Cluster::of(3, config()).await;
    let leader = cluster.leader().await;
    let moved = (1..=3).find(|id| *id != leader.id().0).unwrap();
    let wrong = member(77);
    leader.relocate(NodeId(moved), wrong.clone()).await.unwrap();
    assert_eq!(leader.status().members[&NodeId(moved)], wrong);
    leader.relocate(NodeId(moved), member(moved)).await.unwrap();
    cluster.write().await;
    cluster.settle().await;
    assert!(matches!(leader.relocate(NodeId(55), member(55)).await, Err(ChangeError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let cluster = Cluster::of(1, config()).await;
    let group = &cluster.groups[&1];
    assert!(matches!(group.promote(NodeId(8)).await, Err(ChangeError::Refused(_))));
    assert!(matches!(group.remove(NodeId(1)).await, Err(ChangeError::Refused(_))));
    assert!(matches!(group.transfer(None).await, Err(ChangeError::Refused(_))));
    assert!(matches!(group.add_learner(NodeId(1), member(2)).await, Err(ChangeError::Refused(_))));
    group.remove(NodeId(8)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_member_of_another_group_is_not_let_in_and_does_no_harm() {
    let mut cluster = Cluster::of(1, config()).await;
    cluster.write().await;
    let mut other = Cluster::of(1, config()).await;
    other.write().await;
    other.groups[&1].shutdown().await;
    // The first group is told that node 2 is where a member of another group in truth is.
    let disk = other.disks[&1].clone();
    let error = open(2, &Mesh::default(), &disk, config()).await.unwrap_err();
    assert!(matches!(error, OpenError::OtherNode { found: NodeId(1), wanted: NodeId(2) }), "{error}");
    let mut third = Cluster::of(1, config()).await;
    let disk = Disk::default();
    let stranger = open(2, &Mesh::default(), &disk, config()).await.unwrap();
    stranger.bootstrap(member(2)).await.unwrap();
    stranger.shutdown().await;
    drop(stranger);
    third.disks.insert(2, disk.crash(Crash::Clean, &Random::seeded(1)));
    third.start(2).await;
    let leader = third.groups[&1].clone();
    assert!(matches!(leader.add_learner(NodeId(2), member(2)).await, Err(ChangeError::Late(_))));
    leader.remove(NodeId(2)).await.unwrap();
    until_done(|| async { leader.confirm().await.map_err(ChangeError::from) }).await;
    assert_ne!(third.groups[&2].feed().view().borrow().cluster, leader.feed().view().borrow().cluster);
}

#[test]
fn a_directory_serves_one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::file(dir.path()).unwrap();
    assert!(matches!(Store::file(dir.path()), Err(OpenError::InUse(_))));
    drop(first);
    Store::file(dir.path()).unwrap();
}
