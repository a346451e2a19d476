//! A platform of processes, as an operator builds it: founded, joined by token, each node in a directory of its own.

use std::{fs, path::Path};

use freshet_netsim::link::{Link, Profile, Side};

use super::{Freshet, arg, get, own_address, run, until};

/// What a node may listen for.
const PORTS: [&str; 5] = ["http", "https", "rtmp", "quic", "admin"];

/// What a node is run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
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
pub struct Node {
    /// Its process, as it runs now.
    pub process: Freshet,
    /// The relay through which others reach it, where the platform has such.
    pub link: Option<Link>,
    /// What it is run by when it is started the next time.
    pub version: Version,
    /// What the process before this one logged, and those before it.
    past: String,
    role: &'static str,
    config: String,
    at: serde_json::Value,
}

impl Node {
    /// Starts a node whose papers are in `dir/name`, or that founds the platform.
    async fn start(platform: &Platform, role: &'static str, name: &str, link: Option<Link>, flags: &[&str]) -> Self {
        let dir = platform.dir.path();
        let config = dir.join(format!("{name}.toml"));
        if !config.exists() {
            fs::write(&config, configuration(&dir.join(name), name, link.as_ref())).unwrap();
        }
        Self { link, ..Self::run_as(platform.version, role, arg(&config), flags).await }
    }

    /// Starts a node with a configuration that is there.
    pub async fn run(role: &'static str, config: String, flags: &[&str]) -> Self {
        Self::run_as(Version::This, role, config, flags).await
    }

    async fn run_as(version: Version, role: &'static str, config: String, flags: &[&str]) -> Self {
        let mut process = version.start(&[&[role, "--config", &config], flags].concat());
        let at = process.listens().await;
        Self { process, link: None, version, past: String::new(), role, config, at }
    }

    /// What it told of itself when it started: `http`, `rtmp`, `quic`, `admin`.
    pub fn field(&self, name: &str) -> String {
        let text = self.at[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.at));
        text.trim_start_matches("Some(").trim_end_matches(')').to_owned()
    }

    /// Kills it as `kill -9` does.
    pub async fn kill(&mut self) {
        self.process.signal("KILL").await;
        self.process.ended().await;
    }

    /// Starts it again as it was.
    pub async fn revive(&mut self) {
        let (link, past) = (self.link.take(), self.logs());
        *self = Self { link, past, ..Self::run_as(self.version, self.role, self.config.clone(), &[]).await };
    }

    /// Starts it again, and from now on it logs all there is.
    pub async fn log_all(&mut self) {
        let text = fs::read_to_string(&self.config).unwrap();
        fs::write(&self.config, format!("{text}[log]\nfilter = \"trace\"\n")).unwrap();
        self.kill().await;
        self.revive().await;
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        let url = format!("http://{}/readyz", self.field("admin"));
        until("ready", async || get(&url).await.ok().filter(|answer| answer.status == 200)).await;
    }

    /// All that it logged in all its lives.
    pub fn logs(&self) -> String {
        format!("{}\n{}", self.past, self.process.log())
    }

    /// Asks as an operator on this node's host; returns what was printed.
    pub async fn operate(&self, words: &[&str]) -> String {
        self.try_operate(words).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The same; what was written to standard error where it did not succeed.
    pub async fn try_operate(&self, words: &[&str]) -> Result<String, String> {
        let set = format!("listen.quic={}", self.field("quic"));
        let (code, out, error) = run(&[words, &["--config", &self.config, "--set", &set]].concat(), &[]).await;
        if code == 0 { Ok(out.trim().to_owned()) } else { Err(error) }
    }

    /// Its configuration file, for `--config` on its host.
    pub fn config(&self) -> &str {
        &self.config
    }
}

/// With a link, the node's own address is known before it starts, and others are told that of the link.
fn configuration(data: &Path, name: &str, link: Option<&Link>) -> String {
    let ports = PORTS.map(|port| match link {
        Some(link) if port == "quic" => format!("quic = \"{}\"\n", link.node()),
        _ => format!("{port} = {:?}\n", own_address()),
    });
    let behind = link.map_or(String::new(), |link| {
        // As the example configuration advises for nodes that are far apart.
        let slow = "[control.raft]\nheartbeat_ms = 250\nelection_min_ms = 1000\nelection_max_ms = 2000\n";
        format!("[quic]\nadvertise = \"{}\"\n{slow}", link.addr())
    });
    format!(
        "[node]\nname = {name:?}\ndata = {:?}\n[listen]\n{}{behind}\
         [origin]\ndrain_timeout_ms = 500\n[edge.http]\ndrain_timeout_ms = 500\n",
        arg(data),
        ports.concat()
    )
}

/// A platform.
pub struct Platform {
    /// Where its nodes keep what they have.
    pub dir: tempfile::TempDir,
    /// Its control nodes, `control-1` first.
    pub control: Vec<Node>,
    version: Version,
    links: Option<(Profile, u64)>,
}

impl Platform {
    /// Founds a platform of so many control nodes.
    pub async fn found(voters: usize) -> Self {
        Self::found_with(Version::This, voters, None).await
    }

    /// The same, whose nodes all begin as this version.
    pub async fn found_as(version: Version, voters: usize) -> Self {
        Self::found_with(version, voters, None).await
    }

    /// The same, with each node, now and later, behind a link of its own that is so both ways and draws from `seed`.
    pub async fn found_behind_links(voters: usize, profile: Profile, seed: u64) -> Self {
        Self::found_with(Version::This, voters, Some((profile, seed))).await
    }

    async fn found_with(version: Version, voters: usize, links: Option<(Profile, u64)>) -> Self {
        let dir = super::tempdir();
        let mut platform = Self { dir, control: Vec::new(), version, links };
        let link = platform.link("control-1").await;
        let first = Node::start(&platform, "control", "control-1", link, &["--bootstrap"]).await;
        platform.control.push(first);
        for n in 2..=voters {
            let node = platform.join("control", &format!("control-{n}")).await;
            platform.control.push(node);
        }
        platform
    }

    /// Lets a new node join and starts it. An origin takes encoders from then on: sooner it would send them away.
    pub async fn join(&self, role: &'static str, name: &str) -> Node {
        self.enrol(role, name).await;
        let node = Node::start(self, role, name, self.link(name).await, &[]).await;
        if role == "origin" {
            node.ready().await;
        }
        node
    }

    /// Lets a new node join and does not start it.
    pub async fn enrol(&self, role: &'static str, name: &str) {
        let token = self.operate(&["node", "token", "--role", role]).await;
        let data = arg(&self.dir.path().join(name));
        let (code, _, error) =
            run(&["node", "join", "--name", name, "--data", &data], &[("FRESHET_JOIN_TOKEN", &token)]).await;
        assert_eq!(code, 0, "{error}");
    }

    /// Two origins and two edges.
    pub async fn join_others(&self) -> Vec<Node> {
        let mut others = Vec::new();
        for (role, name) in [("origin", "origin-1"), ("origin", "origin-2"), ("edge", "edge-1"), ("edge", "edge-2")] {
            others.push(self.join(role, name).await);
        }
        others
    }

    /// Asks on the first control node's host.
    pub async fn operate(&self, words: &[&str]) -> String {
        self.control[0].operate(words).await
    }

    /// The version of the node protocol that the control nodes have agreed on, as the leader tells.
    pub async fn protocol(&self) -> u64 {
        let last = self.control.last().expect("a platform has control nodes");
        until("a version", async || {
            let text = last.try_operate(&["node", "ls", "--output", "json"]).await.ok()?;
            serde_json::from_str::<serde_json::Value>(&text).ok()?["protocol"].as_u64()
        })
        .await
    }

    /// Which control node leads, by its place in [`Platform::control`].
    pub async fn leader(&self) -> usize {
        let last = self.control.last().expect("a platform has control nodes");
        until("a leader", async || leader_as_seen_on(last).await).await
    }

    /// The control nodes but for one.
    pub fn others(&self, than: usize) -> impl Iterator<Item = &Node> {
        self.control.iter().enumerate().filter(move |(n, _)| *n != than).map(|(_, node)| node)
    }

    /// Waits until another control node than this one leads.
    pub async fn another_leads(&self, than: usize) {
        let node = self.others(than).last().expect("there are others");
        until("another leader", async || leader_as_seen_on(node).await.filter(|leader| *leader != than)).await;
    }

    /// Waits until all control nodes are ready and say the same of the consensus.
    pub async fn agreed(&self) -> Consensus {
        until("agreement", async || {
            let mut said = Vec::new();
            for node in &self.control {
                said.push(Consensus::of(node).await?);
            }
            said.iter().all(|consensus| *consensus == said[0]).then(|| said.swap_remove(0))
        })
        .await
    }

    async fn link(&self, name: &str) -> Option<Link> {
        let (profile, seed) = self.links?;
        let node = own_address().parse().expect("an address");
        let salt = name.bytes().fold(seed, |salt, byte| salt.wrapping_mul(31).wrapping_add(byte.into()));
        let link = Link::open("127.0.0.1:0".parse().expect("an address"), node, salt).await.expect("a relay");
        link.set(&Side::BOTH, profile);
        Some(link)
    }
}

/// What a control node says of the consensus.
#[derive(Debug, PartialEq)]
pub struct Consensus {
    /// The term.
    pub term: u64,
    /// Who leads, the term, how many vote, what is applied.
    said: String,
}

impl Consensus {
    /// As a node tells it that is ready.
    async fn of(node: &Node) -> Option<Self> {
        let answer = get(&format!("http://{}/readyz", node.field("admin"))).await.ok()?;
        let ready: serde_json::Value = serde_json::from_str(&answer.text()).ok().filter(|_| answer.status == 200)?;
        let checks = ready["checks"].as_array()?;
        let said = checks.iter().find(|check| check["name"] == "consensus")?["detail"].as_str()?.to_owned();
        Some(Self { term: said.split(" term ").nth(1)?.split(',').next()?.parse().ok()?, said })
    }
}

/// Which control node leads, by its place among them, as can be learned on this node's host.
async fn leader_as_seen_on(node: &Node) -> Option<usize> {
    let text = node.try_operate(&["node", "ls", "--output", "json"]).await.ok()?;
    let cluster: serde_json::Value = serde_json::from_str(&text).ok()?;
    let leader = cluster["leader"].as_u64()?;
    let nodes = cluster["nodes"].as_array()?;
    let name = nodes.iter().find(|node| node["id"] == leader)?["view"]["server_name"].as_str()?.to_owned();
    Some(name.strip_prefix("control-")?.parse::<usize>().ok()? - 1)
}
