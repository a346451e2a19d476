//! A platform as an operator builds it: processes, tokens, a real encoder, and nodes that are killed under it.

mod support;

use std::{fs, path::Path, time::Duration};

use support::{Encoder, Freshet, arg, get, newest_segment, run, text_with, until};

/// What a node is run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// This program.
    This,
    /// The one before: the program that `FRESHET_PREVIOUS` names, or this one held at the previous version.
    Previous,
}

impl Version {
    fn start(self, args: &[&str]) -> Freshet {
        match (self, std::env::var_os("FRESHET_PREVIOUS")) {
            (Self::This, _) => Freshet::start(args),
            (Self::Previous, Some(program)) => Freshet::start_program(Path::new(&program), args),
            (Self::Previous, None) => Freshet::start(&[args, &["--set", "protocol.at_most=1"]].concat()),
        }
    }
}

/// A node: its process, its directory and where it listens.
struct Node {
    process: Freshet,
    version: Version,
    role: &'static str,
    config: String,
    at: serde_json::Value,
}

impl Node {
    /// Starts a node whose papers are in `dir/name`, or that founds the platform.
    async fn start(dir: &Path, version: Version, role: &'static str, name: &str, flags: &[&str]) -> Self {
        let data = dir.join(name);
        let config = dir.join(format!("{name}.toml"));
        if !config.exists() {
            let text = format!(
                "[node]\nname = {name:?}\ndata = {:?}\n[listen]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n\
                 rtmp = \"127.0.0.1:0\"\nquic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
                 [origin]\ndrain_timeout_ms = 500\n[edge.http]\ndrain_timeout_ms = 500\n",
                arg(&data)
            );
            fs::write(&config, text).unwrap();
        }
        Self::run(version, role, arg(&config), flags).await
    }

    async fn run(version: Version, role: &'static str, config: String, flags: &[&str]) -> Self {
        let mut process = version.start(&[&[role, "--config", &config], flags].concat());
        let at = process.listens().await;
        Self { process, version, role, config, at }
    }

    /// From now on it listens where it listens now, also after a restart.
    fn pin(&self, keys: &[&str]) {
        let mut text = fs::read_to_string(&self.config).unwrap();
        for key in keys.iter().filter(|key| self.at[**key].is_string()) {
            let old = format!("{key} = \"127.0.0.1:0\"");
            text = text.replace(&old, &format!("{key} = \"{}\"", self.field(key)));
        }
        fs::write(&self.config, text).unwrap();
    }

    fn field(&self, name: &str) -> String {
        let text = self.at[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.at));
        text.trim_start_matches("Some(").trim_end_matches(')').to_owned()
    }

    async fn kill(&mut self) {
        self.process.signal("KILL").await;
        self.process.ended().await;
    }

    /// Starts it again as it was.
    async fn revive(&mut self) {
        *self = Self::run(self.version, self.role, self.config.clone(), &[]).await;
    }

    /// Ends it as an operator does, starts it again, and waits until it is ready and each edge has gone on.
    async fn restart(&mut self, live: &[String]) {
        self.process.signal("TERM").await;
        self.process.ended().await;
        self.revive().await;
        let ready = format!("http://{}/readyz", self.field("admin"));
        until("ready again", async || get(&ready).await.ok().filter(|answer| answer.status == 200)).await;
        grows(live, 1).await;
    }

    /// The same, as this program.
    async fn upgrade(&mut self, live: &[String]) {
        self.version = Version::This;
        self.restart(live).await;
    }

    /// Asks as an operator on this node's host; returns what was printed.
    async fn operate(&self, words: &[&str]) -> String {
        let set = format!("listen.quic={}", self.field("quic"));
        let (code, out, error) = run(&[words, &["--config", &self.config, "--set", &set]].concat(), &[]).await;
        assert_eq!(code, 0, "{words:?}: {error}");
        out.trim().to_owned()
    }
}

/// A platform.
struct Platform {
    dir: tempfile::TempDir,
    version: Version,
    control: Vec<Node>,
}

impl Platform {
    async fn found(voters: usize) -> Self {
        Self::found_as(Version::This, voters).await
    }

    /// All its nodes begin as this version.
    async fn found_as(version: Version, voters: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let first = Node::start(dir.path(), version, "control", "control-1", &["--bootstrap"]).await;
        first.pin(&["quic"]);
        let mut platform = Self { dir, version, control: vec![first] };
        for n in 2..=voters {
            let node = platform.join("control", &format!("control-{n}")).await;
            node.pin(&["quic"]);
            platform.control.push(node);
        }
        platform
    }

    async fn join(&self, role: &'static str, name: &str) -> Node {
        self.enrol(role, name).await;
        Node::start(self.dir.path(), self.version, role, name, &[]).await
    }

    /// Joins and does not start.
    async fn enrol(&self, role: &'static str, name: &str) {
        let token = self.operate(&["node", "token", "--role", role]).await;
        let data = arg(&self.dir.path().join(name));
        let (code, _, error) =
            run(&["node", "join", "--name", name, "--data", &data], &[("FRESHET_JOIN_TOKEN", &token)]).await;
        assert_eq!(code, 0, "{error}");
    }

    /// Two origins and two edges that listen where they listen.
    async fn join_others(&self) -> Vec<Node> {
        let mut others = Vec::new();
        for (role, name) in [("origin", "origin-1"), ("origin", "origin-2"), ("edge", "edge-1"), ("edge", "edge-2")] {
            let node = self.join(role, name).await;
            node.pin(&["quic", "rtmp", "http"]);
            others.push(node);
        }
        others
    }

    /// Asks any control node that still answers.
    async fn operate(&self, words: &[&str]) -> String {
        self.control[0].operate(words).await
    }

    async fn cluster(&self) -> Option<serde_json::Value> {
        let text = self.control.last()?.operate(&["node", "ls", "--output", "json"]).await;
        serde_json::from_str(&text).ok()
    }

    /// The version of the node protocol that the control nodes have agreed on, as the leader tells.
    async fn agreed(&self) -> u64 {
        until("a version", async || self.cluster().await?["protocol"].as_u64()).await
    }

    async fn leader(&self) -> usize {
        let index = until("a leader", async || {
            let cluster = self.cluster().await?;
            let leader = cluster["leader"].as_u64()?;
            let nodes = cluster["nodes"].as_array()?;
            let name = nodes.iter().find(|node| node["id"] == leader)?["view"]["server_name"].as_str()?.to_owned();
            name.strip_prefix("control-")?.parse::<usize>().ok()
        });
        index.await - 1
    }
}

/// Waits until each edge lists so many more segments; fails at the first answer that is 5xx.
async fn grows(live: &[String], segments: u64) {
    for live in live {
        let newest = async || {
            let answer = get(&format!("{live}/v0.m3u8")).await.expect("the edge answers");
            assert!(answer.status < 500, "{}", answer.text());
            newest_segment(&answer.text()).filter(|_| answer.status == 200).map_or(0, |(msn, _)| msn)
        };
        let begun = until("a segment", async || Some(newest().await).filter(|msn| *msn > 0)).await;
        until("more segments", async || (newest().await >= begun + segments).then_some(())).await;
    }
}

#[tokio::test]
async fn viewers_and_the_publisher_notice_nothing_while_control_nodes_die_and_even_all_of_them() {
    let mut platform = Platform::found(3).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let (origin, edge) = (platform.join("origin", "origin-1").await, platform.join("edge", "edge-1").await);
    let live = format!("http://{}/live/ada", edge.field("http"));
    let rtmp = format!("rtmp://{}/live/{key}", origin.field("rtmp"));
    let mut encoder = Encoder::publish(&rtmp);
    text_with(&format!("{live}/v0.m3u8"), "#EXTINF").await;

    let leader = platform.leader().await;
    platform.control[leader].kill().await;
    grows(std::slice::from_ref(&live), 2).await;
    platform.control[leader].revive().await;
    text_with(&format!("http://{}/readyz", platform.control[leader].field("admin")), "leads").await;

    for node in &mut platform.control {
        node.kill().await;
    }
    grows(std::slice::from_ref(&live), 3).await;
    assert!(encoder.0.try_wait().unwrap().is_none(), "the publisher goes on");

    // It comes back at the origin that knows its key, in the same epoch, though nobody can be asked.
    encoder.0.start_kill().unwrap();
    encoder.ended().await;
    let before = get(&format!("{live}/v0.m3u8")).await.unwrap().text();
    let _encoder = Encoder::publish(&rtmp);
    let after = text_with(&format!("{live}/v0.m3u8"), "#EXT-X-DISCONTINUITY\n").await;
    let epoch = |text: &str| newest_segment(text).map(|(_, uri)| uri.split('/').next().map(str::to_owned));
    assert_eq!(epoch(&before), epoch(&after), "the same epoch");
    grows(std::slice::from_ref(&live), 2).await;

    for node in &mut platform.control {
        node.revive().await;
    }
    let listed = until("live, as the control nodes see it", async || {
        let text = platform.operate(&["channel", "ls"]).await;
        text.contains("live").then_some(text)
    });
    listed.await;
    // It must stay so after segments enough for the farewell of the former connection to have come.
    grows(std::slice::from_ref(&live), 3).await;
    assert!(platform.operate(&["channel", "ls"]).await.contains("live"));
}

/// Publishes for as long as it lives, at one origin after the other, as an encoder with several servers does.
fn publish_on(rtmp: Vec<String>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for url in rtmp.iter().cycle() {
            Encoder::publish(url).0.wait().await.expect("it is ours");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
}

/// What a viewer has seen who turns to the next edge when one can't be reached.
#[derive(Default)]
struct Seen {
    newest: u64,
    segments: usize,
    epochs: std::collections::BTreeSet<String>,
    longest: Duration,
}

/// Watches until told to stop. Fails when an edge answers 5xx or a number goes back.
async fn watch(edges: Vec<String>, mut stop: tokio::sync::oneshot::Receiver<()>) -> Seen {
    let (mut seen, mut edge, mut since) = (Seen::default(), 0, tokio::time::Instant::now());
    while stop.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let Ok(answer) = get(&format!("{}/v0.m3u8", edges[edge % edges.len()])).await else {
            edge += 1;
            continue;
        };
        assert!(answer.status < 500, "{} of {}: {}", answer.status, edges[edge % edges.len()], answer.text());
        let Some((msn, uri)) = newest_segment(&answer.text()).filter(|_| answer.status == 200) else { continue };
        assert!(msn >= seen.newest, "{msn} after {}", seen.newest);
        if msn > seen.newest {
            seen.epochs.extend(uri.split('/').next().map(str::to_owned));
            seen.longest = seen.longest.max(since.elapsed());
            (seen.newest, seen.segments, since) = (msn, seen.segments + 1, tokio::time::Instant::now());
        }
    }
    seen
}

/// The grace for an encoder that comes back, and the segment that is then made.
const GRACE: Duration = Duration::from_secs(35);

/// A publisher and a viewer of the channel `ada`, at all origins and edges of these.
struct Watched {
    live: Vec<String>,
    publisher: tokio::task::JoinHandle<()>,
    viewer: tokio::task::JoinHandle<Seen>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl Watched {
    async fn begin(key: &str, origins: &[Node], edges: &[Node]) -> Self {
        let rtmp = origins.iter().map(|origin| format!("rtmp://{}/live/{key}", origin.field("rtmp"))).collect();
        let live: Vec<String> = edges.iter().map(|edge| format!("http://{}/live/ada", edge.field("http"))).collect();
        let publisher = publish_on(rtmp);
        text_with(&format!("{}/v0.m3u8", live[0]), "#EXTINF").await;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let viewer = tokio::spawn(watch(live.clone(), stopped));
        Self { live, publisher, viewer, stop }
    }

    /// The viewer saw no 5xx and no number go back, and never waited for longer than an encoder may be away.
    async fn leave(self) -> tokio::task::JoinHandle<()> {
        self.stop.send(()).unwrap();
        let seen = self.viewer.await.expect("the viewer saw nothing that fails");
        assert!(seen.segments > 7 && seen.longest < GRACE, "{} segments, {:?} at most", seen.segments, seen.longest);
        assert!(seen.epochs.len() > 1, "the encoder had to move: {:?}", seen.epochs);
        self.publisher
    }
}

#[tokio::test]
async fn a_rolling_restart_of_every_node_is_survived_by_a_viewer_and_a_publisher() {
    let mut platform = Platform::found(3).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let mut others = platform.join_others().await;
    let watched = Watched::begin(&key, &others[..2], &others[2..]).await;
    for node in platform.control.iter_mut().chain(&mut others) {
        node.restart(&watched.live).await;
    }
    watched.leave().await.abort();
}

/// With `FRESHET_PREVIOUS=/path/to/an/older/freshet` the platform really begins as that version.
#[tokio::test]
async fn a_platform_is_upgraded_under_a_viewer_and_a_publisher_and_the_last_control_node_decides_what_may_be_agreed_on()
{
    let mut platform = Platform::found_as(Version::Previous, 3).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    platform.enrol("edge", "edge-0").await;
    let told = platform.operate(&["node", "remove", "edge-0"]).await;
    assert!(told.contains("its certificate stays valid until it expires"), "{told}");
    let mut others = platform.join_others().await;
    let watched = Watched::begin(&key, &others[..2], &others[2..]).await;

    // One node of each role stays behind.
    for node in [0, 1] {
        platform.control[node].upgrade(&watched.live).await;
    }
    for node in [0, 2] {
        others[node].upgrade(&watched.live).await;
    }
    for node in others.iter_mut().filter(|node| node.version == Version::Previous) {
        node.restart(&watched.live).await;
    }
    platform.control[2].restart(&watched.live).await;
    assert_eq!(platform.agreed().await, 1, "one control node can't read more");
    platform.control[2].upgrade(&watched.live).await;
    until("version 2", async || (platform.agreed().await == 2).then_some(())).await;
    others[1].upgrade(&watched.live).await;
    let live = watched.live.clone();
    let publisher = watched.leave().await;

    // An edge that stayed behind is cut off like any other.
    grows(&live, 1).await;
    let told = platform.operate(&["node", "remove", "edge-2"]).await;
    assert!(told.contains("edge-2 is removed and cut off"), "{told}");
    let cut = |origin: &Node| {
        let log = origin.process.log();
        log.lines().any(|line| line.contains("edge-2") && line.contains("removed from the platform"))
    };
    until("the origin to cut it off", async || others[..2].iter().any(cut).then_some(())).await;
    others[3].process.logged(&["removed from the platform"]).await;
    others[3].process.signal("TERM").await;
    others[3].process.ended().await;
    others[3].revive().await;
    others[3].process.logged(&["removed from the platform"]).await;
    grows(&live[..1], 1).await;
    publisher.abort();
}

#[tokio::test]
async fn a_wrong_key_is_refused_through_the_platform_and_a_drained_origin_sends_encoders_away() {
    let platform = Platform::found(1).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let origin = platform.join("origin", "origin-1").await;
    let rtmp = format!("rtmp://{}/live", origin.field("rtmp"));
    assert!(!Encoder::publish(&format!("{rtmp}/sk_00000000_wrong")).ended().await.success());
    platform.operate(&["node", "drain", "origin-1"]).await;
    let readyz = format!("http://{}/readyz", origin.field("admin"));
    until("readyz to turn 503", async || get(&readyz).await.ok().filter(|answer| answer.status == 503)).await;
    assert!(!Encoder::publish(&format!("{rtmp}/{key}")).ended().await.success());
    platform.operate(&["node", "drain", "origin-1", "--undo"]).await;
    text_with(&readyz, "heard by the control plane").await;
    let _encoder = Encoder::publish(&format!("{rtmp}/{key}"));
    text_with(&readyz, "1 publishing").await;
}

#[tokio::test]
async fn a_platform_is_restored_from_a_backup_by_one_new_control_node() {
    let mut platform = Platform::found(1).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let (origin, edge) = (platform.join("origin", "origin-1").await, platform.join("edge", "edge-1").await);
    let live = format!("http://{}/live/ada", edge.field("http"));
    let encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    let playlist = text_with(&format!("{live}/v0.m3u8"), "#EXTINF").await;
    let backup = arg(&platform.dir.path().join("backup"));
    platform.operate(&["control", "backup", &backup]).await;
    platform.control[0].kill().await;
    drop(encoder);

    // A new machine with the name and the address of the lost one.
    let at = platform.control[0].field("quic");
    let config = platform.dir.path().join("restored.toml");
    let data = arg(&platform.dir.path().join("restored"));
    let text =
        format!("[node]\nname = \"control-1\"\ndata = {data:?}\n[listen]\nquic = {at:?}\nadmin = \"127.0.0.1:0\"\n");
    fs::write(&config, text).unwrap();
    let restore = ["control", "restore", &backup, "--config", &arg(&config)];
    let (code, out, error) = run(&restore, &[]).await;
    assert_eq!(code, 0, "{out}{error}");
    let (code, _, error) = run(&restore, &[]).await;
    assert!(code != 0 && error.contains("empty directory"), "{error}");
    let restored = Node::run(Version::This, "control", arg(&config), &[]).await;
    let nodes = restored.operate(&["node", "ls"]).await;
    assert_eq!(nodes.matches("control-1").count(), 1, "{nodes}");
    text_with(&format!("http://{}/readyz", origin.field("admin")), "heard by the control plane").await;

    let _encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    let (before, _) = newest_segment(&playlist).unwrap();
    let after = until("a publish after it", async || {
        let text = get(&format!("{live}/v0.m3u8")).await.ok()?.text();
        let (msn, uri) = newest_segment(&text)?;
        let epoch = uri.split('/').next()?.parse::<u64>().ok()?;
        (epoch > 1_000_000).then_some(msn)
    });
    assert!(after.await > before, "numbers never go back");
}
