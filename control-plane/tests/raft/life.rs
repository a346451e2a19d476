//! One member alone, and three together: elections, writes, losses, restarts.

use std::{pin::Pin, sync::Arc, time::Duration};

use freshet_control_plane::{
    feed::Since,
    machine::Input,
    raft::{ChangeError, Config, Group, MAX_PROPOSAL, Pace, Proposal, ProposeError, Store, restore},
};
use freshet_proto::{
    id::{ChannelName, Epoch, NodeId},
    random::Random,
    view::Position,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    cluster::{BOUND, Cluster, config, member, open, open_store, put},
    disk::{Crash, Disk},
};

#[tokio::test(start_paused = true)]
async fn a_single_voter_begins_writes_and_goes_on_after_a_crash() {
    let mut cluster = Cluster::of(1, config()).await;
    let number = cluster.groups[&1].feed().view().borrow().cluster;
    assert_ne!(number, 0);
    let first = cluster.write().await.index;
    for _ in 0..20 {
        cluster.write().await;
    }
    cluster.kill(1, Crash::Clean);
    let before = Instant::now();
    cluster.start(1).await;
    assert!(!cluster.groups[&1].is_new());
    let after = cluster.write().await.index;
    assert!(before.elapsed() < Duration::from_millis(200), "nobody else has a word: it need not wait");
    assert!(after > first + 20);
    assert_eq!(cluster.groups[&1].feed().view().borrow().cluster, number, "it is the same registry");
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_registrys_time_goes_on_at_a_member_that_is_there_and_stands_still_while_it_is_not() {
    let mut cluster = Cluster::of(1, config()).await;
    let proposal = Proposal { now_ms: 1_000_000, ..put(1).1 };
    cluster.groups[&1].propose(proposal).await.unwrap().reply.unwrap();
    let passed_ms = |group: &Group| group.running_ms() - 1_000_000;
    sleep(Duration::from_secs(20)).await;
    assert!((20_000..21_000).contains(&passed_ms(&cluster.groups[&1])));
    cluster.kill(1, Crash::Clean);
    sleep(Duration::from_secs(300)).await;
    cluster.start(1).await;
    cluster.settle().await;
    assert!(passed_ms(&cluster.groups[&1]) < 5_000, "it did not see that pass: {}", passed_ms(&cluster.groups[&1]));
}

#[tokio::test(start_paused = true)]
async fn the_revision_and_a_claims_epoch_are_the_log_index() {
    let mut cluster = Cluster::of(1, config()).await;
    let made = cluster.write().await;
    let group = &cluster.groups[&1];
    assert_eq!(group.read(|registry| registry.revision()), made.index);
    let key = freshet_control_plane::key::Pepper([1; 32]).hash("sk_1");
    let claim = Proposal { now_ms: 1, input: Input::Claim { key, origin: NodeId(9), nonce: 0 } };
    let claimed = group.propose(claim).await.unwrap();
    assert_eq!(claimed.reply.unwrap().unwrap().epoch, Epoch(claimed.index));
    assert_eq!(claimed.index, made.index + 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_bootstrapped_once_and_a_proposal_has_a_limit() {
    let cluster = Cluster::of(1, config()).await;
    let group = &cluster.groups[&1];
    assert!(matches!(group.bootstrap(member(1)).await, Err(ChangeError::Refused(_))));
    let long = Input::PutNode {
        node: NodeId(5),
        view: freshet_proto::view::NodeView {
            state: freshet_proto::view::NodeState::Active,
            role: freshet_proto::view::Role::Edge,
            quic: member(5).addr,
            server_name: "x".repeat(MAX_PROPOSAL),
        },
    };
    assert!(matches!(group.propose(Proposal { now_ms: 1, input: long }).await, Err(ProposeError::TooLong(_))));
}

/// A disk that takes eight seconds for each sync.
#[derive(Debug)]
struct Slow;

impl Pace for Slow {
    fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(sleep(Duration::from_secs(8)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_begins_also_on_a_disk_that_takes_longer_than_a_proposal_may() {
    let cluster = Cluster::of(1, config()).await;
    let store = Store::paced(Disk::default(), Arc::new(Slow)).unwrap();
    let group = open_store(2, &cluster.mesh, store, config()).await.unwrap();
    group.bootstrap(member(2)).await.unwrap();
    assert_eq!(group.propose(put(1).1).await, Err(ProposeError::Unknown), "nobody waits for it as long as that");
    let mut view = group.feed().view();
    let done = timeout(BOUND, view.wait_for(|view| !view.channels.is_empty())).await;
    assert!(done.is_ok_and(|view| view.is_ok()), "and yet it comes to be");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_not_bootstrapped_refuses_and_says_so() {
    let cluster = Cluster::of(1, config()).await;
    let lone = open(2, &cluster.mesh, &Disk::default(), config()).await.unwrap();
    assert!(lone.is_new());
    assert_eq!(lone.propose(put(1).1).await, Err(ProposeError::NotLeader { leader: None }));
    assert_eq!(lone.confirm().await, Err(ProposeError::NotLeader { leader: None }));
}

#[tokio::test(start_paused = true)]
async fn three_members_elect_one_leader_and_hold_one_state() {
    let mut cluster = Cluster::of(3, config()).await;
    for _ in 0..10 {
        cluster.write().await;
    }
    cluster.settle().await;
    let leader = cluster.leader().await;
    for group in cluster.groups.values() {
        let leadership = group.leadership().borrow().clone();
        assert_eq!(leadership.leader, Some((leader.id(), member(leader.id().0))));
        assert_eq!(leadership.mine, group.id() == leader.id());
        if group.id() != leader.id() {
            let named = Err(ProposeError::NotLeader { leader: leadership.leader });
            assert_eq!(group.propose(put(99).1).await, named);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::of(3, config()).await;
    for round in 0..6 {
        for _ in 0..5 {
            cluster.write().await;
        }
        let leader = cluster.leader().await.id().0;
        let crash = if round % 2 == 0 { Crash::Clean } else { Crash::Torn };
        cluster.kill(leader, crash);
        let before = Instant::now();
        cluster.write().await;
        assert!(before.elapsed() < Duration::from_millis(1_500), "it took {:?}", before.elapsed());
        cluster.start(leader).await;
        cluster.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_crash_at_once_every_acknowledged_write_is_still_there() {
    let mut cluster = Cluster::of(3, config()).await;
    for _ in 0..5 {
        for _ in 0..10 {
            cluster.write().await;
        }
        for id in 1..=3 {
            cluster.kill(id, Crash::Torn);
        }
        for id in 1..=3 {
            cluster.start(id).await;
        }
        cluster.write().await;
        cluster.settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_without_a_quorum_refuses_and_another_one_leads() {
    let mut cluster = Cluster::of(3, config()).await;
    cluster.write().await;
    let old = cluster.leader().await;
    cluster.mesh.cut(old.id().0);
    let mut leadership = old.leadership();
    timeout(BOUND, leadership.wait_for(|known| !known.mine)).await.expect("it to notice").unwrap();
    assert!(matches!(old.propose(put(1000).1).await, Err(ProposeError::NotLeader { .. })));
    assert!(matches!(old.confirm().await, Err(ProposeError::NotLeader { .. })));
    let new = cluster.leader().await;
    assert_ne!(new.id(), old.id());
    cluster.write().await;
    cluster.mesh.heal();
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_cut_off_does_not_disturb_the_others_when_it_is_back() {
    let mut cluster = Cluster::of(3, config()).await;
    let leader = cluster.leader().await;
    let term = leader.status().term;
    let other = (1..=3).find(|id| *id != leader.id().0).unwrap();
    cluster.mesh.cut(other);
    sleep(Duration::from_secs(30)).await;
    cluster.write().await;
    cluster.mesh.heal();
    sleep(Duration::from_secs(5)).await;
    cluster.settle().await;
    assert_eq!(cluster.leader().await.status().term, term, "nobody was elected meanwhile");
}

#[tokio::test(start_paused = true)]
async fn a_proposal_that_no_quorum_can_answer_is_unknown() {
    let mut cluster = Cluster::of(3, config()).await;
    cluster.write().await;
    let leader = cluster.leader().await;
    (1..=3).filter(|id| *id != leader.id().0).for_each(|id| cluster.mesh.cut(id));
    assert_eq!(leader.propose(put(1000).1).await, Err(ProposeError::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_leader_hands_over_and_no_write_waits_for_an_election() {
    let mut cluster = Cluster::of(3, config()).await;
    for _ in 0..6 {
        cluster.write().await;
        let old = cluster.leader().await;
        let before = Instant::now();
        old.transfer(None).await.unwrap();
        cluster.write().await;
        assert!(before.elapsed() < Duration::from_millis(300), "it took {:?}", before.elapsed());
        assert_ne!(cluster.leader().await.id(), old.id());
    }
    let leader = cluster.leader().await;
    let chosen = NodeId((1..=3).find(|id| *id != leader.id().0).unwrap());
    leader.transfer(Some(chosen)).await.unwrap();
    assert_eq!(cluster.leader().await.id(), chosen);
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_far_behind_gets_a_snapshot_and_its_watchers_too() {
    let small = Config { snapshot_after: 50, keep_logs: 10, ..config() };
    let mut cluster = Cluster::of(3, small).await;
    cluster.write().await;
    cluster.settle().await;
    let leader = cluster.leader().await;
    let behind = (1..=3).find(|id| *id != leader.id().0).unwrap();
    let feed = cluster.groups[&behind].feed();
    let view = feed.view().borrow().clone();
    let seen = Position { cluster: view.cluster, revision: view.revision };
    cluster.mesh.cut(behind);
    for _ in 0..200 {
        cluster.write().await;
    }
    assert!(cluster.leader().await.status().purged > Some(100), "what it lacks is gone from the log");
    cluster.mesh.heal();
    cluster.settle().await;
    assert!(cluster.groups[&behind].status().snapshot > Some(100));
    let Since::Snapshot(whole) = feed.since(Some(seen)) else { panic!("the way from {seen:?} is not known") };
    assert_eq!(whole.channels.len(), 201);
    cluster.kill(behind, Crash::Torn);
    cluster.start(behind).await;
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_begins_a_new_group_with_the_same_state() {
    let mut cluster = Cluster::of(1, config()).await;
    for _ in 0..10 {
        cluster.write().await;
    }
    let old = cluster.groups[&1].clone();
    let backup = old.backup().await.unwrap();
    let disk = Disk::default();
    let store = freshet_control_plane::raft::Store::over(disk.clone()).unwrap();
    drop(restore(store, &backup, (NodeId(11), member(11)), 0, &Random::seeded(5)).unwrap());
    let group = open(11, &cluster.mesh, &disk, config()).await.unwrap();
    let (name, proposal) = put(500);
    let applied = until_applied(&group, proposal).await;
    assert!(applied > old.status().last_log.unwrap() + (1 << 31), "no epoch is given out twice");
    let (before, after) = (old.read(|registry| registry.view()), group.read(|registry| registry.view()));
    assert_ne!(before.cluster, after.cluster, "its watchers start over");
    let mut expected = before.channels;
    expected.insert(name, after.channels[&"c500".parse::<ChannelName>().unwrap()].clone());
    assert_eq!((after.channels, after.nodes), (expected, before.nodes));
    assert_eq!(group.status().voters, [NodeId(11)]);
}

#[tokio::test(start_paused = true)]
async fn one_backup_restored_twice_gives_no_number_out_twice() {
    let mut cluster = Cluster::of(1, config()).await;
    cluster.write().await;
    let backup = cluster.groups[&1].backup().await.unwrap();
    let anew = async |id, now_ms| {
        let disk = Disk::default();
        let store = freshet_control_plane::raft::Store::over(disk.clone()).unwrap();
        drop(restore(store, &backup, (NodeId(id), member(id)), now_ms, &Random::seeded(id)).unwrap());
        open(id, &cluster.mesh, &disk, config()).await.unwrap()
    };
    let day = 1_795_600_000_000;
    let first = anew(21, day).await;
    let mut reached = 0;
    for n in 100..150 {
        reached = until_applied(&first, put(n).1).await;
    }
    assert!(reached < 1 << 53, "{reached} is what JavaScript can count");
    let second = anew(22, day + 1000).await;
    let begun = until_applied(&second, put(100).1).await;
    assert!(begun > reached + 1_000_000, "{begun} is far above {reached}, a second later");
}

async fn until_applied(group: &freshet_control_plane::raft::Group, proposal: Proposal) -> u64 {
    let applied = async {
        loop {
            if let Ok(applied) = group.propose(proposal.clone()).await {
                return applied.index;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(BOUND, applied).await.expect("the proposal to be applied")
}

#[test]
fn a_damaged_backup_and_a_store_in_use_are_refused() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut cluster = Cluster::of(1, config()).await;
        cluster.write().await;
        let backup = cluster.groups[&1].backup().await.unwrap().to_vec();
        let restore_to = |disk: &Disk, bytes: &[u8]| {
            let store = freshet_control_plane::raft::Store::over(disk.clone()).unwrap();
            restore(store, bytes, (NodeId(2), member(2)), 0, &Random::seeded(1)).map(drop)
        };
        for bit in (0..backup.len() * 8).step_by(7) {
            let mut flipped = backup.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = restore_to(&Disk::default(), &flipped).unwrap_err();
            assert!(matches!(error, freshet_control_plane::raft::BackupError::Unreadable(_)), "bit {bit}: {error}");
        }
        cluster.kill(1, Crash::Clean);
        let error = restore_to(&cluster.disks[&1], &backup).unwrap_err();
        assert!(matches!(error, freshet_control_plane::raft::BackupError::NotEmpty), "{error}");
    });
}
