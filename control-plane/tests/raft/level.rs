//! Members of different versions: what may be written, and what a member does that can't read it.

use freshet_control_plane::{
    machine::Input,
    raft::{OpenError, Proposal, ProposeError},
};
use freshet_proto::{id::NodeId, level::Level, view::Bar};

use super::{
    cluster::{BOUND, Cluster, config, open},
    disk::Crash,
};

fn at(input: Input) -> Proposal {
    Proposal { now_ms: 1, input }
}

fn cut_off() -> Proposal {
    at(Input::CutOff { node: NodeId(9), bar: Bar { since_ms: 1, until_ms: 2 } })
}

fn rise(level: u8) -> Proposal {
    at(Input::Rise { level: Level(level) })
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_newer_version_is_logged_before_it_is_agreed_on() {
    let mut cluster = Cluster::of(1, config()).await;
    cluster.write().await;
    let group = cluster.groups[&1].clone();
    let before = group.status().last_log;
    let too_new = |needed, agreed| Err(ProposeError::TooNew { needed: Level(needed), agreed: Level(agreed) });
    assert_eq!(group.propose(cut_off()).await, too_new(2, 1));
    assert_eq!(group.propose(rise(3)).await, too_new(2, 1), "one version after the other");
    assert_eq!(group.status().last_log, before);
    group.propose(rise(2)).await.unwrap();
    assert_eq!(group.agreed(), Level(2));
    group.propose(cut_off()).await.unwrap().reply.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_agreed_on_stays_so_in_the_log_and_in_a_snapshot() {
    let mut small = config();
    (small.snapshot_after, small.keep_logs) = (50, 10);
    let mut cluster = Cluster::of(3, small).await;
    cluster.leader().await.propose(rise(2)).await.unwrap();
    for _ in 0..300 {
        cluster.write().await;
    }
    for id in 1..=3 {
        cluster.kill(id, Crash::Clean);
        cluster.start(id).await;
        cluster.settle().await;
        assert_eq!(cluster.groups[&id].agreed(), Level(2));
        assert!(cluster.groups[&id].status().purged > Some(50), "the entry itself is gone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_held_does_not_start_with_what_it_may_not_read() {
    let mut cluster = Cluster::of(1, config()).await;
    cluster.groups[&1].propose(rise(2)).await.unwrap();
    cluster.kill(1, Crash::Clean);
    let mut held = config();
    held.level = Level(1);
    let error = open(1, &cluster.mesh, &cluster.disks[&1].clone(), held).await.unwrap_err();
    assert!(matches!(error, OpenError::Held { found: Level(2), held: Level(1) }), "{error}");
    assert!(error.to_string().contains("set protocol.at_most = 2"), "{error}");
    cluster.start(1).await;
    cluster.settle().await;
    assert_eq!(cluster.groups[&1].agreed(), Level(2));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_held_takes_nothing_that_it_may_not_read_and_catches_up_once_it_may() {
    let mut cluster = Cluster::of(2, config()).await;
    cluster.config.level = Level(1);
    cluster.join(3).await;
    cluster.settle().await;
    let leader = cluster.leader().await;
    assert_ne!(leader.id(), NodeId(3));
    // What the gate is there to prevent.
    leader.propose(rise(2)).await.unwrap();
    cluster.write().await;
    let behind = cluster.groups[&3].status().last_log;
    tokio::time::sleep(BOUND / 2).await;
    assert_eq!((cluster.groups[&3].agreed(), cluster.groups[&3].status().last_log), (Level(1), behind));
    cluster.kill(3, Crash::Clean);
    cluster.config.level = Level(2);
    cluster.start(3).await;
    cluster.settle().await;
    assert_eq!(cluster.groups[&3].agreed(), Level(2));
}
