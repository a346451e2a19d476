//! The view travels from an origin to an edge over a link that loses and parts, and through the origin's death.

use std::{
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
    nodes::{EDGE, KEY, ORIGIN, QUIC, RTMP, follower, origin},
};
use freshet_proto::message::{MAX_FRAME, Request, WatchEvent};
use turmoil::{Builder, Sim};

static CLIP: &[u8] = include_bytes!("../../media/tests/data/x264-aac.flv");

/// Something that happens to the simulated network.
type Deed = fn(&mut Sim<'_>);

/// What one run came to.
#[derive(Debug, PartialEq)]
struct Story {
    /// The channel's state and epoch as the edge saw them change.
    seen: Vec<String>,
    events: u64,
    digest: String,
}

/// 2 % of the datagrams are lost, and bursts of them. The link parts from second 5 to second 9; the origin is killed at
/// second 15 and started anew two seconds later. The encoder comes back six seconds after it was cut off.
fn play(seed: u64) -> Story {
    let run = Run::new(seed);
    let mut sim = Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(60))
        .min_message_latency(Duration::from_millis(10))
        .max_message_latency(Duration::from_millis(40))
        .repair_rate(0.5)
        .udp_capacity(1024)
        .tcp_capacity(1024)
        .build();
    let disk = MemoryStore::default();
    let lives = Arc::new(AtomicU64::new(0));
    let host = run.clone();
    sim.host(ORIGIN, move || origin(host.clone(), disk.clone(), lives.fetch_add(1, Ordering::SeqCst), drop));
    let seen = Arc::new(Mutex::new(Vec::new()));
    watcher(&mut sim, run.clone(), seen.clone());
    sim.client("encoder", async {
        let clip = Clip::new(CLIP, 40)?;
        while turmoil::sim_elapsed().unwrap() < Duration::from_secs(24) {
            let addr = SocketAddr::new(turmoil::lookup(ORIGIN), RTMP);
            let _ = publish(addr, KEY, &clip, Duration::from_secs(60)).await;
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        Ok(())
    });
    sim.set_link_fail_rate(ORIGIN, EDGE, 0.02);
    drive(&mut sim);
    let seen = seen.lock().unwrap().clone();
    Story { seen, events: run.trace.events(), digest: run.trace.digest() }
}

fn watcher(sim: &mut Sim<'_>, run: Run, seen: Arc<Mutex<Vec<String>>>) {
    sim.host(EDGE, move || {
        let (run, seen) = (run.clone(), seen.clone());
        async move {
            let (_pool, mut views) = follower(&run, 0).await?;
            loop {
                views.changed().await?;
                let view = views.borrow_and_update().clone();
                let Some(channel) = view.channels.get(&"ada".parse()?) else { continue };
                let epoch = channel.current().map_or(0, |current| current.epoch.0);
                let line = format!("{:?} {epoch}", channel.state);
                let mut seen = seen.lock().unwrap();
                if seen.last() != Some(&line) {
                    seen.push(line);
                }
            }
        }
    });
}

fn drive(sim: &mut Sim<'_>) {
    let at = Duration::from_secs;
    let mut deeds: Vec<(Duration, Deed)> = vec![
        (at(5), |sim| sim.partition(ORIGIN, EDGE)),
        (at(9), |sim| sim.repair(ORIGIN, EDGE)),
        (at(15), |sim| sim.crash(ORIGIN)),
        (at(17), |sim| sim.bounce(ORIGIN)),
    ];
    while sim.elapsed() < at(30) {
        if deeds.first().is_some_and(|(due, _)| *due <= sim.elapsed()) {
            deeds.remove(0).1(sim);
        }
        sim.step().unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte_and_another_seed_another() {
    let first = play(1);
    assert!(first.events > 200, "{first:?}");
    assert_eq!(first, play(1));
    assert_ne!(first.digest, play(2).digest);
}

#[test]
fn an_edge_learns_of_every_publish_through_loss_a_parted_link_and_the_origins_death() {
    for seed in 1..6 {
        let seen = play(seed).seen;
        assert!(seen.iter().any(|line| line.starts_with("Starting")), "seed {seed}: {seen:?}");
        assert!(seen.iter().any(|line| line.starts_with("Grace")), "seed {seed}: {seen:?}");
        let epochs: Vec<u64> = seen.iter().map(|line| line.split(' ').nth(1).unwrap().parse().unwrap()).collect();
        assert!(epochs.is_sorted(), "seed {seed}: {seen:?}");
        assert!(epochs.last() > epochs.iter().find(|epoch| **epoch > 0), "seed {seed}: {seen:?}");
    }
}

/// Silence is noticed by the keep-alives that go unanswered: a second between them, then a little less than
/// two until it is certain.
#[test]
fn an_edge_notices_within_three_seconds_that_the_origin_is_dead() {
    let run = Run::new(3);
    let mut sim = Builder::new().rng_seed(3).simulation_duration(Duration::from_secs(60)).udp_capacity(1024).build();
    let (host, disk) = (run.clone(), MemoryStore::default());
    sim.host(ORIGIN, move || origin(host.clone(), disk.clone(), 0, drop));
    let noticed = Arc::new(Mutex::new(None));
    let notice = noticed.clone();
    sim.client(EDGE, async move {
        let (pool, _views) = follower(&run, 0).await?;
        let addr = SocketAddr::new(turmoil::lookup(ORIGIN), QUIC);
        let mut events = pool.request(addr, ORIGIN, &Request::Watch { after: None }).await?;
        while events.read_frame::<WatchEvent>(MAX_FRAME).await.is_ok() {}
        *notice.lock().unwrap() = turmoil::sim_elapsed();
        Ok(())
    });
    while sim.elapsed() < Duration::from_secs(20) {
        sim.step().unwrap();
    }
    sim.crash(ORIGIN);
    sim.run().unwrap();
    let after = noticed.lock().unwrap().unwrap() - Duration::from_secs(20);
    assert!(after > Duration::from_millis(500) && after <= Duration::from_secs(3), "after {after:?}");
}
