//! One member alone, and three together: elections, writes, losses, restarts.

use std::time::Duration;

use freshet_control_plane::{
    feed::Since,
    machine::Input,
    raft::{ChangeError, Config, MAX_PROPOSAL, Proposal, ProposeError, restore},
};
use freshet_proto::{
    id::{ChannelName, Epoch, NodeId},
    random::Random,
    view::Position,
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    cluster::{BOUND, Cluster, config, member, open, put},
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
