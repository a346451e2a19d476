//! Three `freshet control` processes, founded and joined as an operator does it, and the client that operators use.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use freshet_control_plane::{ca, remote::Remote};
use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    clock::WallClock,
    message::{Denied, MAX_FRAME, Request, WatchEvent},
    quic::{Doors, Endpoint, Identity, Pool, Reader, Tuning},
    random::Random,
    registry::Policy,
    view::{NodeView, Role},
};

use super::cluster::{self, ATTEMPT, Cluster, LIMIT, MEMBERS, Standing, channel, number};
use crate::bench::process::{SERVER_CORE, Server, free_address};

/// How long a watch may take to begin.
const WATCH: Duration = Duration::from_secs(10);

/// Three control nodes.
pub struct Freshet {
    binary: PathBuf,
    nodes: Vec<Node>,
    identity: Identity,
}

struct Node {
    name: String,
    config: String,
    quic: SocketAddr,
    log: PathBuf,
    /// `None` while it is dead.
    server: Option<Server>,
}

impl Freshet {
    /// Founds a platform in `dir` and lets two control nodes join it; returns once all three vote.
    ///
    /// # Errors
    /// When one does not start or is not taken in.
    pub fn start(binary: &Path, dir: &Path) -> anyhow::Result<Self> {
        let mut nodes = vec![Node::start(binary, dir, 1, &["--bootstrap"])?];
        for index in 2..=MEMBERS {
            let first = ["--config", &nodes[0].config];
            let token = said(binary, &[&["node", "token", "--role", "control"], &first[..]].concat(), None)?;
            let (name, data) = (name(index), data(dir, index).display().to_string());
            said(binary, &["node", "join", "--name", &name, "--data", &data], Some(token.trim()))?;
            nodes.push(Node::start(binary, dir, index, &[])?);
        }
        // What operators show: the certificate of the control node on whose host they are.
        let file = |file: &str| data(dir, 1).join(file);
        let identity = Identity::load(&file("node.pem"), &file("node.key"), &file(ca::CERTIFICATE))?;
        Ok(Self { binary: binary.to_owned(), nodes, identity })
    }
}

fn name(index: usize) -> String {
    format!("control-{index}")
}

fn data(dir: &Path, index: usize) -> PathBuf {
    dir.join(name(index))
}

impl Node {
    /// Configures it, starts it, and waits until it has its place in the consensus.
    fn start(binary: &Path, dir: &Path, index: usize, flags: &[&str]) -> anyhow::Result<Self> {
        let (quic, admin) = (UdpSocket::bind("127.0.0.1:0")?.local_addr()?, free_address()?);
        let (name, config) = (name(index), dir.join(format!("control-{index}.toml")));
        let text = format!(
            "[node]\nname = {name:?}\ndata = {:?}\n[listen]\nquic = \"{quic}\"\nadmin = \"{admin}\"\n",
            data(dir, index).display().to_string()
        );
        fs::write(&config, text)?;
        let (config, log) = (config.display().to_string(), dir.join(format!("control-{index}.log")));
        let mut node = Self { name, config, quic, log, server: None };
        node.run(binary, flags)?;
        let server = node.server.as_mut().context("it was started")?;
        server.wait_for(admin)?;
        server.wait_until_ready(admin)?;
        Ok(node)
    }

    fn run(&mut self, binary: &Path, flags: &[&str]) -> anyhow::Result<()> {
        let args = [&["control", "--config", &self.config], flags].concat();
        self.server = Some(Server::start(SERVER_CORE, binary, &args, &self.log)?);
        Ok(())
    }

    fn view(&self) -> NodeView {
        NodeView::new(Role::Control, self.quic, &self.name)
    }
}

/// What a command of `freshet` prints.
fn said(binary: &Path, args: &[&str], token: Option<&str>) -> anyhow::Result<String> {
    let mut command = Command::new(binary);
    command.args(args).stdin(Stdio::null());
    if let Some(token) = token {
        command.env("FRESHET_JOIN_TOKEN", token);
    }
    let output = command.output().with_context(|| binary.display().to_string())?;
    ensure!(output.status.success(), "freshet {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

impl Cluster for Freshet {
    type Client = Client;

    const NAME: &'static str = "freshet";

    fn clients(&self, count: usize, connections: usize, _leader: usize) -> anyhow::Result<Vec<Client>> {
        let members: Vec<NodeView> = self.nodes.iter().map(Node::view).collect();
        let mut pools = Vec::new();
        for _ in 0..connections {
            let doors = Doors { clock: WallClock::system(), random: Random::system() };
            let endpoint = Endpoint::bind("127.0.0.1:0".parse()?, &self.identity, doors, Tuning::default())?;
            pools.push((Pool::new(&endpoint), endpoint));
        }
        let client = |index: usize| {
            let (pool, endpoint) = pools[index % connections].clone();
            // Each looks for the leader by itself, once, as each node of a platform does.
            let remote = Remote::new(pool.clone(), members.clone(), None, Random::system());
            Client { remote, pool, members: members.clone(), _endpoint: endpoint }
        };
        Ok((0..count).map(client).collect())
    }

    fn kill(&mut self, member: usize) -> anyhow::Result<()> {
        self.nodes[member].server.take().context("it is dead already")?.kill()
    }

    fn revive(&mut self, member: usize) -> anyhow::Result<()> {
        self.nodes[member].run(&self.binary, &[])
    }
}

/// Asks the control nodes as `freshet channel put` does.
pub struct Client {
    remote: Remote,
    pool: Pool,
    members: Vec<NodeView>,
    _endpoint: Endpoint,
}

impl cluster::Client for Client {
    type Watch = Watch;

    async fn put(&self, number: usize) -> anyhow::Result<()> {
        let channel = channel(number).parse().context("a channel's name")?;
        let request = Request::Admin(AdminCommand::PutChannel { channel, policy: Policy::Newest });
        match self.remote.ask(&request, LIMIT).await? {
            AdminReply::Key(_) => Ok(()),
            other => bail!("a control node answered {other:?}"),
        }
    }

    async fn watch(&self, member: usize) -> anyhow::Result<Watch> {
        let NodeView { quic, server_name, .. } = &self.members[member];
        let mut events = self.pool.request(*quic, server_name, &Request::Watch { after: None }).await?;
        let first = tokio::time::timeout(WATCH, events.read_frame::<WatchEvent>(MAX_FRAME)).await??;
        ensure!(matches!(first, WatchEvent::Snapshot(_)), "a watch begins with {first:?}");
        Ok(Watch(events))
    }

    async fn standing(&self, member: usize) -> anyhow::Result<Standing> {
        let NodeView { quic, server_name, .. } = &self.members[member];
        let request = Request::Admin(AdminCommand::Cluster);
        let answer: Result<AdminReply, Denied> = self.pool.call(*quic, server_name, &request, ATTEMPT).await?;
        let AdminReply::Cluster(cluster) = answer? else { bail!("a control node answered something else") };
        let leader = cluster.leader.map(|leader| leader.0);
        Ok(Standing { me: cluster.answered_by.0, leader, applied: cluster.revision })
    }
}

/// A WATCH, a stream of its own.
pub struct Watch(Reader);

impl cluster::Watch for Watch {
    async fn next(&mut self) -> anyhow::Result<usize> {
        loop {
            let WatchEvent::Delta(delta) = self.0.read_frame(MAX_FRAME).await? else { continue };
            // One change of the registry is one channel here, or a node, which nobody waits for.
            if let Some(number) = delta.channels.first().and_then(|(name, _)| number(name.as_str())) {
                return Ok(number);
            }
        }
    }
}
