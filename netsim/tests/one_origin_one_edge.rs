//! A frame's whole life in simulation: a real encoder's bytes over RTMP, a real origin, a real edge, a viewer.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use freshet_control_plane::store::MemoryStore;
use freshet_netsim::{
    Run,
    encoder::{Clip, publish},
    nodes::{EDGE, HTTP, KEY, ORIGIN, RTMP, edge, origin},
    trace::Trace,
    viewer::{Seen, watch},
};
use freshet_origin::Origin;
use freshet_proto::object::ObjectName;
use turmoil::{Builder, Sim};

static CLIP: &[u8] = include_bytes!("../../media/tests/data/x264-aac.flv");

/// What is done to the network and the nodes, and at which second.
type Deeds = Vec<(u64, fn(&mut Sim<'_>))>;

/// What happens in a run. 2 % of what the nodes send each other is lost, always.
struct Scene {
    /// When each encoder comes, in seconds. It publishes until second 31 and comes back a second after it was cut off.
    encoders: &'static [u64],
    /// When each viewer comes, in seconds. They stay until the playlist ends; the story is that of the first.
    viewers: &'static [u64],
    deeds: Deeds,
}

/// What one run came to.
#[derive(Debug)]
struct Story {
    seen: Seen,
    /// How often the origin (in its last life) sent each object.
    transfers: BTreeMap<ObjectName, u64>,
    trace: Trace,
}

fn play(seed: u64, scene: Scene) -> Story {
    let Scene { encoders, viewers, mut deeds } = scene;
    let run = Run::new(seed);
    run.trace.keep_lines();
    let mut sim = Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(120))
        .min_message_latency(Duration::from_millis(10))
        .max_message_latency(Duration::from_millis(40))
        .repair_rate(0.5)
        .udp_capacity(4096)
        .tcp_capacity(4096)
        .build();
    let (disk, lives, edge_lives) = (MemoryStore::default(), AtomicU64::new(0), AtomicU64::new(0));
    let (at_origin, at_edge) = (run.clone(), run.clone());
    let last = Arc::new(Mutex::new(None));
    let handle = last.clone();
    sim.host(ORIGIN, move || {
        let (handle, life) = (handle.clone(), lives.fetch_add(1, Ordering::SeqCst));
        origin(at_origin.clone(), disk.clone(), life, move |origin| *handle.lock().unwrap() = Some(origin))
    });
    sim.host(EDGE, move || edge(at_edge.clone(), edge_lives.fetch_add(1, Ordering::SeqCst)));
    for &comes in encoders {
        sim.client(format!("encoder-{comes}"), encode(comes));
    }
    let seen = Arc::new(Mutex::new(Seen::default()));
    let told = viewers[0];
    for &comes in viewers {
        let (report, trace) = (seen.clone(), run.trace.clone());
        sim.client(format!("viewer-{comes}"), async move {
            tokio::time::sleep(Duration::from_secs(comes)).await;
            let addr = SocketAddr::new(turmoil::lookup(EDGE), HTTP);
            let first = comes == told;
            watch(addr, "v0", &trace, |seen| {
                if first {
                    *report.lock().unwrap() = seen.clone()
                }
            })
            .await;
            Ok(())
        });
    }
    sim.set_link_fail_rate(ORIGIN, EDGE, 0.02);
    while sim.elapsed() < Duration::from_secs(46) {
        if deeds.first().is_some_and(|(due, _)| Duration::from_secs(*due) <= sim.elapsed()) {
            deeds.remove(0).1(&mut sim);
        }
        sim.step().unwrap();
    }
    let transfers = last.lock().unwrap().take().map(|origin: Origin| origin.all_transfers()).unwrap();
    let seen = seen.lock().unwrap().clone();
    Story { seen, transfers, trace: run.trace }
}

async fn encode(comes: u64) -> turmoil::Result {
    tokio::time::sleep(Duration::from_secs(comes)).await;
    let clip = Clip::new(CLIP, 40)?;
    let left = || Duration::from_secs(31).saturating_sub(turmoil::sim_elapsed().unwrap());
    while !left().is_zero() {
        let addr = SocketAddr::new(turmoil::lookup(ORIGIN), RTMP);
        let _ = publish(addr, KEY, &clip, left()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

fn scene(viewers: &'static [u64], deeds: Deeds) -> Scene {
    Scene { encoders: &[0], viewers, deeds }
}

/// The link between the nodes parts for four seconds.
fn parted() -> Deeds {
    vec![(12, |sim| sim.partition(ORIGIN, EDGE)), (16, |sim| sim.repair(ORIGIN, EDGE))]
}

/// A node is killed and started anew three seconds later.
fn origin_killed() -> Deeds {
    vec![(12, |sim| sim.crash(ORIGIN)), (15, |sim| sim.bounce(ORIGIN))]
}

fn edge_killed() -> Deeds {
    vec![(12, |sim| sim.crash(EDGE)), (15, |sim| sim.bounce(EDGE))]
}

/// One viewer: several that wait for the same part are woken in an order that tokio draws, whichever serves them first.
#[test]
fn the_same_seed_gives_the_same_bytes_at_the_same_time_and_another_seed_others() {
    let (first, second) = (play(1, scene(&[1], parted())), play(1, scene(&[1], parted())));
    assert!(first.trace.events() > 1000 && first.seen.parts.len() > 20, "{first:?}");
    assert_eq!(first.trace.difference(&second.trace), None);
    assert_eq!(first.trace.digest(), second.trace.digest());
    assert_eq!(first.seen, second.seen);
    assert_ne!(first.trace.digest(), play(2, scene(&[1], parted())).trace.digest());
}

/// Seeds to play; `SIM_SEEDS=1000` plays more of them.
fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("SIM_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(3);
    1..1 + count
}

fn assert_gapless(seed: u64, seen: &Seen) {
    for pair in seen.parts.windows(2) {
        let ((msn, part), next) = (pair[0], pair[1]);
        assert!(next == (msn, part + 1) || next == (msn + 1, 0), "seed {seed}: {pair:?} in {seen:?}");
    }
}

#[test]
fn two_viewers_of_a_lossy_link_cost_one_transfer_of_each_part() {
    for seed in seeds() {
        let Story { seen, transfers, .. } = play(seed, scene(&[4, 7], vec![]));
        assert_gapless(seed, &seen);
        assert_eq!(seen.failures, Vec::<String>::new(), "seed {seed}");
        assert!(transfers.len() > 40 && transfers.values().all(|&times| times == 1), "seed {seed}: {transfers:?}");
    }
}

#[test]
fn a_viewer_misses_no_part_through_loss_and_a_parted_link() {
    for seed in seeds() {
        let seen = play(seed, scene(&[1, 7], parted())).seen;
        assert_gapless(seed, &seen);
        assert!(seen.parts.len() > 40, "seed {seed}: {seen:?}");
        assert!(seen.ended, "seed {seed}: {seen:?}");
    }
}

#[test]
fn a_viewer_goes_on_after_the_origin_was_killed_and_numbers_never_go_back() {
    for seed in seeds() {
        let seen = play(seed, scene(&[1, 7], origin_killed())).seen;
        assert!(seen.parts.is_sorted(), "seed {seed}: {seen:?}");
        assert!(seen.ended, "seed {seed}: {seen:?}");
        assert!(seen.parts.len() > 20, "seed {seed}: {seen:?}");
    }
}

#[test]
fn a_viewer_goes_on_after_the_edge_was_killed_and_misses_no_part() {
    for seed in seeds() {
        let seen = play(seed, scene(&[1, 7], edge_killed())).seen;
        assert_gapless(seed, &seen);
        assert!(seen.parts.len() > 40, "seed {seed}: {seen:?}");
        assert!(seen.ended, "seed {seed}: {seen:?}");
    }
}

/// The first encoder's cable is pulled for good at second 12: the origin hears nothing, not even a goodbye. Its
/// replacement, which knows the same key, comes two seconds later and needs not wait for the ten of silence.
#[test]
fn at_10_an_encoder_that_comes_back_while_its_old_connection_hangs_goes_on_at_once() {
    for seed in seeds() {
        let deeds: Deeds = vec![(12, |sim| sim.partition("encoder-0", ORIGIN))];
        let seen = play(seed, Scene { encoders: &[0, 14], viewers: &[1], deeds }).seen;
        assert_gapless(seed, &seen);
        let published = 31 - 2;
        assert!(seen.parts.len() > published * 3 / 2, "seed {seed}: {seen:?}");
        assert!(seen.ended, "seed {seed}: {seen:?}");
    }
}
