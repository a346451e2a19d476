//! What an operator does when something is lost, with real processes: control nodes whose disks are gone or damaged, most
//! of them at once, and certificates that run out under a stream.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use freshet_control_plane::ca::validity_of;
use freshet_proto::clock::WallClock;
use support::{Encoder, Freshet, arg, get, newest_segment, own_address, run, text_with, until};

/// Nodes of one platform, their directories and where they listen.
struct Site {
    dir: tempfile::TempDir,
    /// What stands in every node's configuration besides where it listens.
    settings: &'static str,
}

/// A node that runs.
struct Node {
    process: Freshet,
    at: serde_json::Value,
}

impl Node {
    fn field(&self, name: &str) -> &str {
        self.at[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.at))
    }

    fn ready(&self) -> String {
        format!("http://{}/readyz", self.field("admin"))
    }

    /// How far a control node has applied the log.
    async fn applied(&self) -> Option<u64> {
        let text = get(&self.ready()).await.ok()?.text();
        let digits: String = text.split("applied ").nth(1)?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    }

    async fn kill(mut self) {
        self.process.signal("KILL").await;
        self.process.ended().await;
    }
}

impl Site {
    fn new(settings: &'static str) -> Self {
        Self { dir: support::tempdir(), settings }
    }

    fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(format!("{name}.toml"));
        if !path.exists() {
            let ports =
                ["http", "https", "rtmp", "quic", "admin"].map(|port| format!("{port} = {:?}\n", own_address()));
            let (data, ports, settings) = (arg(&self.data(name)), ports.concat(), self.settings);
            let text = format!("[node]\nname = {name:?}\ndata = {data:?}\n[listen]\n{ports}{settings}");
            fs::write(&path, text).unwrap();
        }
        path
    }

    /// Starts a node.
    async fn start(&self, role: &str, name: &str, flags: &[&str]) -> Node {
        let path = self.config(name);
        let mut process = Freshet::start(&[&[role, "--config", &arg(&path)], flags].concat());
        Node { at: process.listens().await, process }
    }

    /// Control nodes `control-1` and so on.
    async fn found(&self, voters: usize) -> Vec<Node> {
        let mut control = vec![self.start("control", "control-1", &["--bootstrap"]).await];
        for n in 2..=voters {
            control.push(self.join("control-1", "control", &format!("control-{n}")).await);
        }
        control
    }

    /// Until when a node's certificate is valid, in ms.
    fn expiry(&self, name: &str) -> u64 {
        let pem = fs::read_to_string(self.data(name).join("node.pem")).unwrap();
        validity_of(&pem).expect("a certificate").1
    }

    /// Asks as an operator on the host of the control node `at`: exit code, what was printed, what went wrong.
    async fn ask(&self, at: &str, words: &[&str]) -> (i32, String, String) {
        run(&[words, &["--config", &arg(&self.config(at))]].concat(), &[]).await
    }

    /// The same, where it must succeed.
    async fn operate(&self, at: &str, words: &[&str]) -> String {
        let (code, out, error) = self.ask(at, words).await;
        assert_eq!(code, 0, "{words:?}: {error}");
        out.trim().to_owned()
    }

    async fn join(&self, at: &str, role: &str, name: &str) -> Node {
        let token = self.operate(at, &["node", "token", "--role", role]).await;
        let data = arg(&self.data(name));
        let join = ["node", "join", "--name", name, "--data", &data];
        let (code, _, error) = run(&join, &[("FRESHET_JOIN_TOKEN", &token)]).await;
        assert_eq!(code, 0, "{error}");
        let node = self.start(role, name, &[]).await;
        if role == "origin" {
            // Sooner it would send encoders away.
            text_with(&node.ready(), "heard by the control plane").await;
        }
        node
    }

    /// Waits until as many control nodes vote, as `at` sees it; returns the list of nodes.
    async fn voters(&self, at: &str, count: usize) -> String {
        let vote = async || {
            let (code, nodes, _) = self.ask(at, &["node", "ls"]).await;
            let votes: Vec<_> = nodes.lines().filter_map(|line| line.split_whitespace().nth(4)).collect();
            let (leads, others) = (votes.contains(&"leads"), votes.iter().filter(|vote| **vote == "votes").count());
            (code == 0 && leads && others + 1 == count).then_some(nodes)
        };
        until(&format!("{count} voters"), vote).await
    }
}

/// Waits until all of them have applied the same.
async fn agree(control: &[Node]) {
    until("all to have applied the same", async || {
        let first = control[0].applied().await?;
        for node in &control[1..] {
            (node.applied().await? == first).then_some(())?;
        }
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_platform_that_lost_most_control_nodes_goes_on_from_the_disk_of_the_last_one() {
    let site = Site::new("");
    let control = site.found(3).await;
    let origin = site.join("control-1", "origin", "origin-1").await;
    site.operate("control-1", &["channel", "put", "ada"]).await;
    agree(&control).await;

    // While it runs nothing is salvaged: the others may have more.
    let (backup, left) = (arg(&site.data("salvaged.backup")), arg(&site.data("control-3")));
    let salvage = ["control", "backup", "--from", &left, &backup];
    let (code, _, error) = run(&salvage, &[]).await;
    assert!(code != 0 && error.contains("stop that control node first"), "{error}");
    assert!(!Path::new(&backup).exists());

    for node in control {
        node.kill().await;
    }
    for lost in ["control-1", "control-2"] {
        fs::remove_dir_all(site.data(lost)).unwrap();
    }
    let (code, out, error) = run(&salvage, &[]).await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains("control-3") && out.contains("term ") && out.contains("index "), "{out}");

    fs::rename(&left, site.data("control-3.lost")).unwrap();
    site.operate("control-3", &["control", "restore", &backup]).await;
    let restored = site.start("control", "control-3", &[]).await;
    assert!(site.operate("control-3", &["channel", "ls"]).await.contains("ada"));
    let alone = site.voters("control-3", 1).await;
    assert!(!alone.contains("control-1") && !alone.contains("control-2"), "{alone}");
    text_with(&origin.ready(), "heard by the control plane").await;

    let others =
        [site.join("control-3", "control", "control-1").await, site.join("control-3", "control", "control-2").await];
    site.voters("control-1", 3).await;
    agree(&others).await;
    restored.kill().await;
    site.voters("control-1", 3).await;
    assert!(site.operate("control-2", &["channel", "ls"]).await.contains("ada"));
    site.operate("control-1", &["channel", "put", "bob"]).await;
    text_with(&origin.ready(), "heard by the control plane").await;
}

#[tokio::test]
async fn a_control_node_whose_disk_is_damaged_or_gone_is_removed_and_joins_anew() {
    let site = Site::new("");
    let mut control = site.found(3).await;
    site.voters("control-1", 3).await;
    site.operate("control-1", &["channel", "put", "ada"]).await;
    agree(&control).await;

    control.remove(1).kill().await;
    let log = site.data("control-2").join("consensus/raft.redb");
    let mut bytes = fs::read(&log).unwrap();
    bytes[..64].fill(0xff);
    fs::write(&log, bytes).unwrap();
    let (code, _, error) = site.ask("control-2", &["control"]).await;
    assert!(code != 0 && error.contains("is damaged") && error.contains("freshet node remove"), "{error}");
    let damaged = ["control", "backup", "--from", &arg(&site.data("control-2")), &arg(&site.data("no.backup"))];
    let (code, _, error) = run(&damaged, &[]).await;
    assert!(code != 0 && error.contains("is damaged"), "{error}");

    // Under the same name, at the same address.
    site.operate("control-1", &["node", "remove", "control-2"]).await;
    fs::remove_dir_all(site.data("control-2")).unwrap();
    control.push(site.join("control-1", "control", "control-2").await);
    let nodes = site.voters("control-2", 3).await;
    assert_eq!(nodes.matches("control-2").count(), 1, "{nodes}");

    // Under another name.
    control.remove(1).kill().await;
    fs::remove_dir_all(site.data("control-3")).unwrap();
    site.operate("control-2", &["node", "remove", "control-3"]).await;
    control.push(site.join("control-2", "control", "control-4").await);
    let nodes = site.voters("control-4", 3).await;
    assert!(!nodes.contains("control-3"), "{nodes}");

    // The two that came anew have all of it and are most of the three.
    agree(&control).await;
    control.remove(0).kill().await;
    let both = async || {
        let (code, channels, _) = site.ask("control-4", &["channel", "ls"]).await;
        (code == 0 && channels.contains("ada")).then_some(())
    };
    until("the channel, as the new ones tell it", both).await;
    site.operate("control-2", &["channel", "put", "bob"]).await;
}

/// Waits until an edge lists so many more segments; fails at the first answer that is 5xx.
async fn grows(live: &str, segments: u64) {
    let newest = async || {
        let answer = get(&format!("{live}/v0.m3u8")).await.expect("the edge answers");
        assert!(answer.status < 500, "{}", answer.text());
        Some(answer).filter(|answer| answer.status == 200).and_then(|answer| newest_segment(&answer.text()))
    };
    let (begun, _) = until("a segment", newest).await;
    until("more segments", async || newest().await.filter(|(msn, _)| *msn >= begun + segments)).await;
}

#[tokio::test]
async fn certificates_are_renewed_and_used_before_they_run_out_and_a_viewer_notices_nothing() {
    let site = Site::new("[control]\ncertificate_minutes = 1\n[origin]\ndrain_timeout_ms = 500\n");
    let mut control = site.found(3).await;
    let key = site.operate("control-1", &["channel", "put", "ada"]).await;
    let origin = site.join("control-1", "origin", "origin-1").await;
    let edge = site.join("control-1", "edge", "edge-1").await;
    let live = format!("http://{}/live/ada", edge.field("http"));
    let _encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    text_with(&format!("{live}/v0.m3u8"), "#EXTINF").await;

    let names = ["control-1", "control-2", "control-3", "origin-1", "edge-1"];
    let first = names.map(|name| site.expiry(name));
    let all_over = first.iter().max().unwrap() + 1000;
    let clock = WallClock::system();
    while clock.now_ms() < all_over {
        grows(&live, 1).await;
    }
    for (name, before) in names.iter().zip(first) {
        let after = site.expiry(name);
        assert!(after > before && after > clock.now_ms(), "{name} has renewed its certificate");
    }

    // A node that comes now is shown the new certificates: the old ones would be refused as expired.
    let late = site.join("control-2", "edge", "edge-2").await;
    grows(&format!("http://{}/live/ada", late.field("http")), 2).await;
    // And one that starts anew is asked by those that were there all the time, who show it theirs.
    control.remove(0).kill().await;
    control.push(site.start("control", "control-1", &[]).await);
    agree(&control).await;
    text_with(&control[2].ready(), "leads").await;
    assert!(!control[2].process.log().contains("refused a node"), "{}", control[2].process.log());
    grows(&live, 1).await;
}

#[tokio::test]
async fn a_platform_that_was_off_for_longer_than_its_certificates_last_begins_again_and_lets_its_nodes_join_anew() {
    let site = Site::new("[control]\ncertificate_minutes = 1\n");
    let mut nodes = site.found(3).await;
    site.operate("control-1", &["channel", "put", "ada"]).await;
    nodes.push(site.join("control-1", "edge", "edge-1").await);
    agree(&nodes[..3]).await;
    for node in nodes {
        node.kill().await;
    }
    let names = ["control-1", "control-2", "control-3", "edge-1"];
    let over = names.map(|name| site.expiry(name)).into_iter().max().unwrap();
    while WallClock::system().now_ms() <= over {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // Control nodes have the authority's key and renew their own certificates; others can't be let in any more.
    let mut control = Vec::new();
    for name in &names[..3] {
        control.push(site.start("control", name, &[]).await);
    }
    site.voters("control-1", 3).await;
    assert!(site.operate("control-1", &["channel", "ls"]).await.contains("ada"));
    let mut edge = site.start("edge", "edge-1", &[]).await;
    edge.process.logged(&["certificate has run out", "freshet node remove"]).await;
    edge.kill().await;
    site.operate("control-1", &["node", "remove", "edge-1"]).await;
    fs::remove_dir_all(site.data("edge-1")).unwrap();
    let edge = site.join("control-1", "edge", "edge-1").await;
    // The first administrator has one too.
    text_with(&edge.ready(), "2 channels").await;
}
