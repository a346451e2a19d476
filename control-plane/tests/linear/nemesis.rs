//! What befalls the members while the clients ask, until it all heals.

use std::time::Duration;

use freshet_proto::random::Random;
use tokio::time::{Instant, sleep};

use super::{
    client::MEMBERS,
    cluster::{Cluster, member},
    disk::Crash,
};

/// How often each thing happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Deeds {
    /// A member heard nobody and was not heard.
    pub cuts: usize,
    /// A member was heard by another one and did not hear it.
    pub deaf: usize,
    /// A member's messages waited and came late.
    pub pauses: usize,
    /// A member died with what it had not synced.
    pub crashes: usize,
    /// A leader was told to hand over.
    pub handovers: usize,
    /// A member came back and what it lacked was gone from the log, so that it needed a snapshot.
    pub left_behind: usize,
}

impl std::ops::AddAssign for Deeds {
    fn add_assign(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.deaf += other.deaf;
        self.pauses += other.pauses;
        self.crashes += other.crashes;
        self.handovers += other.handovers;
        self.left_behind += other.left_behind;
    }
}

/// Lets one thing befall the members, or two at once, then mends it, again and again.
pub async fn haunt(cluster: &mut Cluster, random: &Random, until: Instant) -> Deeds {
    let mut deeds = Deeds::default();
    while Instant::now() < until {
        sleep(Duration::from_millis(200 + random.below(1_300))).await;
        for _ in 0..1 + random.below(2) {
            befall(cluster, random, &mut deeds);
        }
        sleep(Duration::from_millis(500 + random.below(3_000))).await;
        mend(cluster).await;
        deeds.left_behind += left_behind(cluster);
    }
    deeds
}

fn befall(cluster: &mut Cluster, random: &Random, deeds: &mut Deeds) {
    let victim = victim(cluster, random);
    match random.below(5) {
        0 => {
            cluster.mesh.cut(victim);
            deeds.cuts += 1;
        }
        1 => {
            cluster.mesh.deafen(1 + (victim + random.below(MEMBERS - 1)) % MEMBERS, victim);
            deeds.deaf += 1;
        }
        2 => {
            cluster.mesh.pause(victim);
            deeds.pauses += 1;
        }
        3 => {
            let (mesh, addr) = (cluster.mesh.clone(), member(victim).addr);
            deeds.handovers += usize::from(leading(cluster) == Some(victim));
            tokio::spawn(async move { mesh.at(addr, async |group| group.transfer(None).await).await });
        }
        _ if cluster.groups.contains_key(&victim) => {
            cluster.kill(victim, if random.below(2) == 0 { Crash::Clean } else { Crash::Torn });
            deeds.crashes += 1;
        }
        _ => {}
    }
}

/// Mostly whoever leads.
fn victim(cluster: &Cluster, random: &Random) -> u64 {
    let any = 1 + random.below(MEMBERS);
    if random.below(3) > 0 { leading(cluster).unwrap_or(any) } else { any }
}

fn leading(cluster: &Cluster) -> Option<u64> {
    cluster.groups.iter().find(|(_, group)| group.leadership().borrow().mine).map(|(id, _)| *id)
}

async fn mend(cluster: &mut Cluster) {
    cluster.mesh.heal();
    for id in (1..=MEMBERS).filter(|id| !cluster.groups.contains_key(id)).collect::<Vec<_>>() {
        cluster.start(id).await;
    }
}

fn left_behind(cluster: &Cluster) -> usize {
    let states: Vec<_> = cluster.groups.values().map(|group| group.status()).collect();
    let purged = states.iter().filter_map(|state| state.purged).max();
    states.iter().filter(|state| state.last_log < purged).count()
}
