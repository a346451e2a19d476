//! What operators' networks and machines do to a platform, done to real processes: three control nodes, two origins and
//! three edges behind links that delay, lose and jumble; a real encoder, viewers that hold what they are shown against what
//! is promised, a real player, and an operator who writes all the while.
//!
//! ```text
//! seed ──▶ the order of the faults, and whom they hit ──▶ each fault ──▶ its promise ──▶ healed ──▶ the next one
//! ```
//! A fault lasts for as long as it must and until those whom it must not touch have been seen to go on. Another order:
//! `FRESHET_FAULTS_SEED=7`.

mod support;

use std::{collections::BTreeMap, time::Duration};

use freshet_control_plane::leases;
use freshet_netsim::link::{self, Counts, Link, Profile, Side};
use freshet_proto::random::Random;
use support::{
    get,
    platform::{Node, Platform},
    player::Player,
    publisher::Publisher,
    text_with, until,
    viewer::{Objects, Viewer},
    writer::Writer,
};
use tokio::time::{Instant, sleep, sleep_until};

/// Between any two nodes: 40 to 50 ms there and back, as in one region, and a bad day for it.
const LINK: Profile = Profile {
    delay_ms: 20,
    jitter_ms: 5,
    loss_permille: 10,
    reorder_permille: 5,
    rate_kbit: 0,
    queue: Profile::MAX_QUEUE,
};

/// How long a viewer waits for a part, at most, whom a fault must not touch. Parts come twice a second; the rest is for
/// machines that have much else to do. Less than any fault takes that is held against it.
const UNTOUCHED: Duration = Duration::from_secs(4);
/// The same for the death or pause of the origin that makes the parts: 10 s are promised.
const ORIGIN_LOST: Duration = Duration::from_secs(20);
/// The same for the death of the edge that one watches: 5 s are promised.
const EDGE_LOST: Duration = Duration::from_secs(10);
/// How long two nodes that are parted stay so, at least.
const PARTED: Duration = Duration::from_secs(5);
/// How long an edge is paused, at least.
const PAUSED: Duration = Duration::from_secs(3);
/// After how long an encoder that can't send gives its server up.
const ENCODER_PATIENCE: Duration = Duration::from_secs(3);
/// Two seconds of media.
const SOME_PARTS: u64 = 4;
/// So many writes are acknowledged to show that the registry goes on.
const SOME_WRITES: u64 = 3;

/// What is done to the platform.
#[derive(Debug, Clone, Copy)]
enum Fault {
    LeaderPaused,
    LeaderParted,
    EdgePaused,
    EdgeParted,
    EdgeKilled,
    OriginPaused,
    OriginKilled,
}

const FAULTS: [Fault; 7] = [
    Fault::LeaderPaused,
    Fault::LeaderParted,
    Fault::EdgePaused,
    Fault::EdgeParted,
    Fault::EdgeKilled,
    Fault::OriginPaused,
    Fault::OriginKilled,
];

/// How many of them take an origin away, and with it, at an edge that was behind, the end of its last segment.
const ORIGINS_LOST: usize = 2;

/// The edge of the real player and of one viewer. Nothing is done to it.
const QUIET: usize = 2;

/// Everything that takes part.
struct Stage {
    random: Random,
    platform: Platform,
    origins: Vec<Node>,
    edges: Vec<Node>,
    publisher: Publisher,
    viewers: Vec<Viewer>,
    objects: Objects,
    player: Player,
    writer: Writer,
    /// How often an origin took the window over from the one before it.
    taken_over: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_that_is_done_to_real_processes_keeps_its_promise() {
    let seed = std::env::var("FRESHET_FAULTS_SEED").map_or(1, |text| text.parse().expect("a number"));
    let mut stage = Stage::set(seed).await;
    let mut faults = FAULTS.to_vec();
    while !faults.is_empty() {
        let fault = faults.remove(stage.random.below(faults.len() as u64) as usize);
        let began = Instant::now();
        println!("{fault:?} …");
        stage.commit(fault).await;
        stage.is_well().await;
        println!("{fault:?} and healed: {:.1} s", began.elapsed().as_secs_f64());
    }
    stage.end().await;
}

impl Stage {
    async fn set(seed: u64) -> Self {
        let platform = Platform::found_behind_links(3, LINK, seed).await;
        let key = platform.operate(&["channel", "put", "ada"]).await;
        let (mut origins, mut edges) = (Vec::new(), Vec::new());
        for (role, name) in
            [("origin", "origin-1"), ("origin", "origin-2"), ("edge", "edge-1"), ("edge", "edge-2"), ("edge", "edge-3")]
        {
            let node = platform.join(role, name).await;
            if role == "origin" { origins.push(node) } else { edges.push(node) }
        }
        let rtmp = origins.iter().map(|origin| format!("rtmp://{}/live/{key}", origin.field("rtmp")));
        let publisher = Publisher::start(rtmp.collect());
        for edge in &edges {
            text_with(&format!("{}/v0.m3u8", live(edge)), "#EXTINF").await;
        }
        let objects = Objects::default();
        let viewers = (0..edges.len()).map(|n| viewer(&edges, n, &objects)).collect();
        let player = Player::play(&format!("{}/index.m3u8", live(&edges[QUIET])));
        // The first one knows no other control node but itself.
        let writer = Writer::start(platform.control[1..].iter().map(|node| node.config().to_owned()).collect());
        let random = Random::seeded(seed);
        let stage =
            Self { random, platform, origins, edges, publisher, viewers, objects, player, writer, taken_over: 0 };
        stage.is_well().await;
        stage
    }

    async fn commit(&mut self, fault: Fault) {
        self.viewers.iter().for_each(Viewer::forget_waits);
        match fault {
            Fault::LeaderPaused => self.leader_is_paused().await,
            Fault::LeaderParted => self.leader_is_parted().await,
            Fault::EdgePaused => self.edge_is_paused().await,
            Fault::EdgeParted => self.edge_is_parted().await,
            Fault::EdgeKilled => self.edge_is_killed().await,
            Fault::OriginPaused => self.origin_is_paused().await,
            Fault::OriginKilled => self.origin_is_killed().await,
        }
    }

    /// For longer than any lease. Another leads meanwhile, and what both were told is in what all agree on.
    async fn leader_is_paused(&self) {
        let (leader, term) = (self.platform.leader().await, self.platform.agreed().await.term);
        let paused = Instant::now();
        self.platform.control[leader].process.signal("STOP").await;
        self.platform.another_leads(leader).await;
        self.writes().await;
        sleep_until(paused + leases::TTL + Duration::from_secs(2)).await;
        self.writes().await;
        self.platform.control[leader].process.signal("CONT").await;
        let agreed = self.platform.agreed().await;
        assert!(agreed.term > term, "it has stepped down: term {} after {term}", agreed.term);
        self.untouched(&[0, 1, 2]);
    }

    /// From the other control nodes alone: origins and edges still reach it.
    async fn leader_is_parted(&self) {
        let (leader, term) = (self.platform.leader().await, self.platform.agreed().await.term);
        let parted = Instant::now();
        let others = || self.platform.others(leader);
        others().for_each(|other| link::part(link_of(&self.platform.control[leader]), link_of(other)));
        self.platform.another_leads(leader).await;
        self.writes().await;
        // It knows that it has lost touch and says so.
        let admin = format!("http://{}/readyz", self.platform.control[leader].field("admin"));
        until("not ready", async || get(&admin).await.ok().filter(|answer| answer.status == 503)).await;
        sleep_until(parted + PARTED).await;
        others().for_each(|other| link::heal(link_of(&self.platform.control[leader]), link_of(other)));
        assert!(self.platform.agreed().await.term > term, "it has stepped down");
        self.untouched(&[0, 1, 2]);
    }

    async fn edge_is_paused(&mut self) {
        let (edge, rest) = self.draw_edge();
        let paused = Instant::now();
        self.edges[edge].process.signal("STOP").await;
        self.shows(&rest).await;
        sleep_until(paused + PAUSED).await;
        self.edges[edge].process.signal("CONT").await;
        self.shows(&[edge]).await;
        self.untouched(&rest);
        assert_eq!(self.viewers[edge].turns(), 0, "its viewers stay with it");
    }

    async fn edge_is_parted(&mut self) {
        let (edge, rest) = self.draw_edge();
        let (origin, _) = self.owner();
        let parted = Instant::now();
        link::part(link_of(&self.edges[edge]), link_of(&self.origins[origin]));
        self.shows(&rest).await;
        sleep_until(parted + PARTED).await;
        link::heal(link_of(&self.edges[edge]), link_of(&self.origins[origin]));
        self.shows(&[edge]).await;
        self.untouched(&rest);
    }

    async fn edge_is_killed(&mut self) {
        let (edge, rest) = self.draw_edge();
        self.edges[edge].kill().await;
        self.shows(&[0, 1, 2]).await;
        self.untouched(&rest);
        let (longest, turns) = (self.viewers[edge].longest_wait(), self.viewers[edge].turns());
        assert!(longest < EDGE_LOST && turns > 0, "its viewer has turned {turns} times and waited {longest:?}");
        self.edges[edge].revive().await;
        self.viewers[edge] = viewer(&self.edges, edge, &self.objects);
    }

    /// For longer than its lease. Its encoder gives it up; when it wakes it still has an encoder and what that sent
    /// meanwhile, but nobody is shown any of it: viewers hold every epoch against the one before.
    async fn origin_is_paused(&mut self) {
        let (zombie, epoch) = self.owner();
        let before = self.discontinuities();
        self.origins[zombie].process.signal("STOP").await;
        sleep(ENCODER_PATIENCE).await;
        let mut abandoned = self.publisher.turn().await;
        self.goes_on_elsewhere(zombie, epoch, &before).await;
        let name = format!("origin-{}", zombie + 1);
        until("its lease to be over", async || {
            let nodes = self.platform.control[0].try_operate(&["node", "ls"]).await.ok()?;
            nodes.lines().any(|line| line.contains(&name) && line.contains("lost")).then_some(())
        })
        .await;
        self.origins[zombie].process.signal("CONT").await;
        abandoned.ended().await;
        self.origins[zombie].ready().await;
    }

    async fn origin_is_killed(&mut self) {
        let (dead, epoch) = self.owner();
        let before = self.discontinuities();
        self.origins[dead].kill().await;
        self.goes_on_elsewhere(dead, epoch, &before).await;
        self.origins[dead].revive().await;
        self.origins[dead].ready().await;
    }

    /// Waits until the session goes on at another origin than `from` in a newer epoch than `than`, and no viewer has waited
    /// too long for it: where the window was taken over in time, after a discontinuity that every viewer is shown.
    async fn goes_on_elsewhere(&mut self, from: usize, than: u64, before: &[u64]) {
        let now = until("the encoder at the other origin", async || {
            let (origin, epoch) = self.owner();
            (origin != from && epoch > than).then_some(origin)
        })
        .await;
        self.shows(&[0, 1, 2]).await;
        let longest = self.viewers.iter().map(Viewer::longest_wait).max();
        assert!(longest < Some(ORIGIN_LOST), "{longest:?}");
        let (prior, logs) = (format!("\"epoch\":\"{than}\""), self.origins[now].logs());
        let told = |words: &str| logs.lines().any(|line| line.contains(words) && line.contains(&prior));
        if told("a session's window is taken over") {
            self.taken_over += 1;
            let each_more = || before.iter().zip(self.discontinuities()).all(|(before, now)| *before < now);
            until("a discontinuity", async || each_more().then_some(())).await;
        } else {
            assert!(told("a session goes on without its window"), "{logs}");
        }
    }

    fn discontinuities(&self) -> Vec<u64> {
        self.viewers.iter().map(Viewer::discontinuities).collect()
    }

    /// Everybody gets on, and all control nodes agree.
    async fn is_well(&self) {
        self.shows(&[0, 1, 2]).await;
        self.platform.agreed().await;
        self.writes().await;
        let frames = self.player.frames();
        until("the real player to go on", async || (self.player.frames() > frames + 30).then_some(())).await;
        self.owner();
    }

    async fn end(self) {
        assert!(self.taken_over > 0, "no origin took a window over in time");
        let missed: Vec<usize> = self.viewers.iter().map(Viewer::missed).collect();
        assert!(
            missed.iter().all(|missed| *missed <= ORIGINS_LOST),
            "segments that viewers could not have: {missed:?}"
        );
        let made = self.writer.stop().await;
        self.platform.agreed().await;
        for node in &self.platform.control {
            let text = node.operate(&["channel", "ls", "--output", "json"]).await;
            let known: Vec<(String, String)> =
                serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
            let lost = made.iter().filter(|made| known.iter().all(|(name, _)| name != *made)).count();
            assert_eq!(lost, 0, "writes that were acknowledged, of {}", made.len());
        }
        let nodes = self.platform.control.iter().chain(&self.origins).chain(&self.edges);
        let counts: Vec<Counts> = nodes.flat_map(|node| Side::BOTH.map(|side| link_of(node).counts(side))).collect();
        let all = |of: fn(&Counts) -> u64| counts.iter().map(of).sum::<u64>();
        let (lost, cut, overtook) =
            (all(|counts| counts.lost), all(|counts| counts.cut), all(|counts| counts.overtook));
        assert!(lost > 0 && cut > 0 && overtook > 0, "the links did what they are for: {counts:?}");
        let frames = self.player.frames();
        let complaints = self.player.quit().await;
        for never in ["expired from playlists", "HTTP error 4", "Invalid data"] {
            assert!(!complaints.contains(never), "after {frames} frames: {complaints}");
        }
        let missed = complaints.matches("Failed to open segment").count();
        assert!(missed <= ORIGINS_LOST, "{missed} segments: {complaints}");
    }

    /// One of the edges to which something may be done, and the viewers of the others.
    fn draw_edge(&self) -> (usize, Vec<usize>) {
        let edge = self.random.below(QUIET as u64) as usize;
        (edge, (0..self.edges.len()).filter(|other| *other != edge).collect())
    }

    /// Waits until each of these viewers has been shown more.
    async fn shows(&self, viewers: &[usize]) {
        let goals: Vec<(usize, u64)> = viewers.iter().map(|n| (*n, self.viewers[*n].parts() + SOME_PARTS)).collect();
        until("more parts", async || {
            let parts = self.viewers.iter().map(Viewer::parts).collect::<Vec<u64>>();
            goals.iter().all(|(n, goal)| parts[*n] >= *goal).then_some(())
        })
        .await;
    }

    fn untouched(&self, viewers: &[usize]) {
        let waits: Vec<Duration> = viewers.iter().map(|n| self.viewers[*n].longest_wait()).collect();
        assert!(
            waits.iter().all(|wait| *wait < UNTOUCHED),
            "viewers who are not concerned waited {waits:?} for a part"
        );
    }

    async fn writes(&self) {
        let goal = self.writer.acknowledged() + SOME_WRITES;
        until("writes to be acknowledged", async || (self.writer.acknowledged() >= goal).then_some(())).await;
    }

    /// Which origin publishes, and in which epoch: the newest that any has begun. Each is one origin's, and all are of one
    /// session.
    fn owner(&self) -> (usize, u64) {
        let (mut owners, mut sessions) = (BTreeMap::new(), BTreeMap::new());
        for (n, origin) in self.origins.iter().enumerate() {
            for line in origin.logs().lines().filter(|line| line.contains("a publish began")) {
                let line: serde_json::Value = serde_json::from_str(line).expect("logs are JSON");
                let epoch: u64 = line["epoch"].as_str().and_then(|text| text.parse().ok()).expect("an epoch");
                let owner = *owners.entry(epoch).or_insert(n);
                assert_eq!(owner, n, "two origins own epoch {epoch}");
                sessions.insert(line["session"].to_string(), epoch);
            }
        }
        assert_eq!(sessions.len(), 1, "all is one session");
        owners.pop_last().map(|(epoch, origin)| (origin, epoch)).expect("somebody publishes")
    }
}

fn live(edge: &Node) -> String {
    format!("http://{}/live/ada", edge.field("http"))
}

/// A viewer of edge `n` who knows the others as well.
fn viewer(edges: &[Node], n: usize, objects: &Objects) -> Viewer {
    let mut all: Vec<String> = edges.iter().map(live).collect();
    all.rotate_left(n);
    Viewer::watch(&all, objects)
}

fn link_of(node: &Node) -> &Link {
    node.link.as_ref().expect("every node is behind a link")
}
