//! Whole runs: clients and a nemesis, then peace, then the check.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use freshet_control_plane::{
    channel::{Policy, Times},
    raft::{Config, Proposal},
};
use freshet_proto::random::Random;
use tokio::time::{Instant, timeout};

use super::{
    checker::{Fault, check},
    client::{Bug, Client, MEMBERS, put},
    cluster::{BOUND, Cluster, Mesh},
    history::{Answer, Call, History, Recorder},
    nemesis::{Deeds, haunt},
};

/// Some channels let a newer encoder take over, some let none in.
const POLICIES: [Policy; 4] = [Policy::Newest, Policy::Reject, Policy::Newest, Policy::Reject];

const CLIENTS: u64 = 5;

/// For how long clients ask and things befall the members.
const TROUBLE: Duration = Duration::from_secs(15);

/// A run is a seed. Each has a runtime of its own, so that nothing of one is left in the next.
fn run(seed: u64, bug: Bug) -> (History, Deeds) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(live(seed, bug))
}

async fn live(seed: u64, bug: Bug) -> (History, Deeds) {
    // No grace ends during a run: the specification knows no time.
    let times = Times { end_grace_ms: 1 << 40, reconnect_grace_ms: 1 << 40, ended_ms: 1 << 40 };
    let mut config = Config { times, ..Config::default() };
    if seed % 2 == 1 {
        // Whoever was away for a while gets a snapshot.
        (config.snapshot_after, config.keep_logs) = (40, 8);
    }
    let mut cluster = Cluster::over(Mesh::seeded(seed), MEMBERS, config).await;
    let leader = cluster.leader().await;
    for (n, policy) in POLICIES.into_iter().enumerate() {
        leader.propose(Proposal { now_ms: 0, input: put(n, policy) }).await.unwrap().reply.unwrap();
    }
    drop(leader);
    let (recorder, random) = (Recorder::new(POLICIES.to_vec()), Random::seeded(seed));
    let client = |id: u64| {
        let random = Random::seeded(random.below(u64::MAX));
        Client::new(10 + id, cluster.mesh.clone(), recorder.clone(), random, bug)
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    let mut last = client(CLIENTS);
    let until = Instant::now() + TROUBLE;
    let clients: Vec<_> = clients.into_iter().map(|client| tokio::spawn(client.run(POLICIES.len(), until))).collect();
    let deeds = haunt(&mut cluster, &random, until).await;
    for client in clients {
        timeout(BOUND, client).await.expect("a client to end").unwrap();
    }
    // All is well again: whoever looks at a channel sees it.
    cluster.settle().await;
    for n in 0..POLICIES.len() {
        let answer = last.ask(n, Call::Read).await;
        assert!(matches!(answer, Some(Answer::Seen(_))), "seed {seed}: channel {n} can't be read: {answer:?}");
    }
    (recorder.history(), deeds)
}

/// Which runs there are. `FRESHET_LINEAR_SEEDS=100..1000` makes them others: more, or one that failed.
const SEEDS: Range<u64> = 0..30;

fn seeds() -> Range<u64> {
    let Ok(wanted) = std::env::var("FRESHET_LINEAR_SEEDS") else { return SEEDS };
    let ends = wanted.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.unwrap_or_else(|| panic!("FRESHET_LINEAR_SEEDS is {wanted:?}; it must be like 0..30"))
}

#[test]
fn claims_are_linearizable_under_partition_pause_and_crash() {
    let (mut deeds, mut changes, mut answers) = (Deeds::default(), 0, BTreeMap::new());
    for seed in seeds() {
        let (history, done) = run(seed, Bug::None);
        check(&history).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        deeds += done;
        changes += history.leader_changes();
        for (kind, times) in history.answers() {
            *answers.entry(kind).or_insert(0) += times;
        }
    }
    println!("seeds {:?}: {answers:?}, {changes} leader changes, {deeds:?}", seeds());
    if seeds() != SEEDS {
        return;
    }
    // A run in which nothing happens shows nothing.
    let runs = SEEDS.count();
    let Deeds { cuts, deaf, pauses, crashes, handovers, left_behind } = deeds;
    assert!([cuts, deaf, pauses, crashes, handovers].iter().all(|times| *times >= runs / 2), "{deeds:?}");
    assert!(left_behind >= runs / 6, "{left_behind} snapshots were needed");
    assert!(changes >= runs, "{changes} leader changes");
    assert!(Answer::KINDS.iter().all(|kind| answers.get(kind).is_some_and(|times| *times >= runs)), "{answers:?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in 0..3 {
        assert!(run(seed, Bug::None) == run(seed, Bug::None), "seed {seed} went another way the second time");
        assert!(run(seed, Bug::None).0 != run(seed + 1, Bug::None).0);
    }
}

/// Whether one of the first `seeds` histories does not pass.
fn found_within(seeds: u64, history: impl Fn(u64) -> History) -> bool {
    (0..seeds).any(|seed| match check(&history(seed)) {
        Ok(_) => false,
        Err(Fault::NotLinearizable { .. }) => true,
        Err(fault) => panic!("seed {seed}: {fault}"),
    })
}

/// Four runs of ten show it.
#[test]
fn reads_of_a_leader_that_was_deposed_are_found_within_twenty_seeds() {
    assert!(found_within(20, |seed| run(seed, Bug::UnconfirmedReads).0));
}

/// Every run shows it.
#[test]
fn a_zombie_that_is_not_fenced_off_is_found_within_three_seeds() {
    assert!(found_within(3, |seed| run(seed, Bug::NoFencing).0));
}

/// The first run or the second shows it.
#[test]
fn changes_without_an_answer_that_count_as_not_made_are_found_within_ten_seeds() {
    assert!(found_within(10, |seed| run(seed, Bug::None).0.without_unknown()));
}
