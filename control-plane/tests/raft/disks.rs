//! Disks that lose, tear, rot and fail.

use std::time::Duration;

use freshet_control_plane::raft::{OpenError, ProposeError, Store};
use freshet_proto::{id::NodeId, random::Random};
use tokio::time::timeout;

use super::{
    cluster::{BOUND, Cluster, Mesh, config, member, open, put},
    disk::{Crash, Disk},
};

#[tokio::test(start_paused = true)]
async fn a_torn_tail_is_cut_and_whatever_was_acknowledged_is_there() {
    for seed in 0..40 {
        let mut cluster = Cluster::of(1, config()).await;
        cluster.random = Random::seeded(seed);
        for _ in 0..seed % 7 {
            cluster.write().await;
        }
        // One more is on its way when the machine dies, each time a little further.
        let group = cluster.groups[&1].clone();
        let (_, proposal) = cluster.proposal();
        let asked = tokio::spawn(async move { group.propose(proposal).await });
        for _ in 0..seed {
            tokio::task::yield_now().await;
        }
        cluster.kill(1, Crash::Torn);
        asked.abort();
        let _ = asked.await;
        cluster.start(1).await;
        cluster.write().await;
        cluster.settle().await;
    }
}

/// A disk after some writes and a clean end or a crash.
async fn used(crash: bool) -> Vec<u8> {
    let mut cluster = Cluster::of(1, config()).await;
    for _ in 0..30 {
        cluster.write().await;
    }
    if !crash {
        cluster.groups[&1].shutdown().await;
    }
    cluster.kill(1, Crash::Clean);
    cluster.disks[&1].bytes()
}

/// Opens a disk and tells what is in its registry; `None` when it is refused as damaged.
async fn contents(bytes: Vec<u8>) -> Option<usize> {
    match open(1, &Mesh::default(), &Disk::with(bytes), config()).await {
        Ok(group) => {
            timeout(BOUND, async {
                while group.confirm().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await
                }
            })
            .await
            .expect("it to lead");
            Some(group.read(|registry| registry.channels().count()))
        }
        Err(OpenError::Damaged(_) | OpenError::Version { .. } | OpenError::Disk(_)) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_is_refused_or_does_not_matter_but_never_loses_a_write() {
    for crash in [false, true] {
        let whole = used(crash).await;
        assert_eq!(contents(whole.clone()).await, Some(30));
        let used: Vec<_> = (0..whole.len()).filter(|&at| whole[at] != 0).collect();
        let (mut refused, mut unharmed) = (0, 0);
        for at in used.iter().step_by(used.len() / 300 + 1) {
            let mut flipped = whole.clone();
            flipped[*at] ^= 0x10;
            match contents(flipped).await {
                Some(channels) => {
                    assert_eq!(channels, 30, "byte {at} lost a write");
                    unharmed += 1;
                }
                None => refused += 1,
            }
        }
        // Most of the file is pages of earlier transactions, which nobody reads any more.
        assert!(refused > 5, "{refused} refused, {unharmed} unharmed: the test has to hit what matters");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_was_changed_is_refused_whichever_it_is() {
    for crash in [false, true] {
        let whole = used(crash).await;
        for n in 10..=30 {
            // A name as postcard writes it, wherever it is in the file: the record and its earlier copies.
            let name = format!("\x03c{n}").into_bytes();
            let places: Vec<_> = whole.windows(name.len()).enumerate().filter(|(_, bytes)| *bytes == name).collect();
            assert!(!places.is_empty());
            let mut changed = whole.clone();
            places.iter().for_each(|(at, _)| changed[at + 1] = b'd');
            assert_eq!(contents(changed).await, None, "channel {n}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_ends_too_early_is_refused() {
    let whole = used(false).await;
    for kept in [1, 512, 4096, whole.len() / 2, whole.len() - 4096] {
        assert_eq!(contents(whole[..kept].to_vec()).await, None, "{kept} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_disk_says_what_to_do() {
    let mut bytes = used(false).await;
    bytes[..64].fill(0xff);
    let error = Store::over(Disk::with(bytes)).unwrap_err().to_string();
    assert!(error.contains("freshet control restore") && error.contains("freshet node remove"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_sync_stops_the_member_and_nothing_is_acknowledged() {
    let mut cluster = Cluster::of(1, config()).await;
    cluster.write().await;
    let group = cluster.groups[&1].clone();
    cluster.disks[&1].break_syncs();
    assert_eq!(group.propose(put(100).1).await, Err(ProposeError::Unknown));
    timeout(BOUND, group.stopped()).await.expect("it to stop");
    assert_eq!(group.propose(put(101).1).await, Err(ProposeError::Stopped));
    assert!(group.status().stopped.is_some());
    assert!(
        !group.leadership().borrow().mine || timeout(BOUND, group.leadership().wait_for(|l| !l.mine)).await.is_ok()
    );
    drop(group);
    cluster.kill(1, Crash::Clean);
    cluster.start(1).await;
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_disk_fails_is_replaced_by_the_others() {
    let mut cluster = Cluster::of(3, config()).await;
    cluster.write().await;
    let broken = cluster.leader().await.id().0;
    cluster.disks[&broken].break_syncs();
    for _ in 0..10 {
        cluster.write().await;
    }
    assert!(cluster.groups[&broken].status().stopped.is_some());
    assert_ne!(cluster.leader().await.id(), NodeId(broken));
    cluster.kill(broken, Crash::Clean);
    cluster.start(broken).await;
    cluster.settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_calls_leave_the_same_bytes() {
    let run = async || {
        let mut cluster = Cluster::of(1, config()).await;
        for _ in 0..50 {
            cluster.write().await;
        }
        cluster.disks[&1].trace()
    };
    assert_eq!(run().await, run().await);
}

#[tokio::test(start_paused = true)]
async fn many_proposals_share_a_sync() {
    let cluster = Cluster::of(1, config()).await;
    let before = cluster.disks[&1].syncs();
    let proposals = (0..200).map(|n| {
        let group = cluster.groups[&1].clone();
        tokio::spawn(async move { group.propose(put(n).1).await })
    });
    for proposal in proposals.collect::<Vec<_>>() {
        proposal.await.unwrap().unwrap();
    }
    let syncs = cluster.disks[&1].syncs() - before;
    assert!(syncs <= 40, "{syncs} syncs for 200 proposals");
    assert_eq!(cluster.groups[&1].status().members[&NodeId(1)], member(1));
}
