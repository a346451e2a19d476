//! A platform on loopback, each node with an endpoint, papers and a disk of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use freshet_control_plane::{
    ca::{self, Ca, Issued},
    control::{Control, Plan},
    join::JoinToken,
    key::Pepper,
    keys,
    raft::{Config, Store},
    remote::{Remote, carry, hold},
    secrets::Secrets,
};
use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    clock::WallClock,
    id::{ChannelName, NodeId},
    level::Level,
    message::{Denied, Join, Joined, Request},
    quic::{Doors, Endpoint, Pool, Tuning, serve},
    random::Random,
    registry::{Commands, Policy},
    view::{NodeView, Role},
};
use tokio::{task::JoinHandle, time::timeout};

/// How long anything may take on a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The channel of all tests.
pub fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

/// Waits until `look` finds what it wants.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

fn doors() -> Doors {
    Doors { clock: WallClock::system(), random: Random::system() }
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A running control node.
pub struct ControlNode {
    pub control: Control,
    pub remote: Remote,
    pub view: NodeView,
    endpoint: Endpoint,
    serving: JoinHandle<()>,
    _disk: tempfile::TempDir,
}

/// A platform.
pub struct World {
    pub nodes: Vec<ControlNode>,
}

impl World {
    /// One control node that has founded a platform.
    pub async fn found() -> Self {
        Self::found_at(Level::NEWEST).await
    }

    /// The same, held at a version.
    pub async fn found_at(level: Level) -> Self {
        Self::found_with(level, None).await
    }

    /// The same, where the control node keeps keys like this.
    pub async fn found_with(level: Level, keys: Option<keys::Plan>) -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let ca = Ca::create(dir.path(), &clock).unwrap();
        let issued = ca.issue("control-1", &[], 1, &clock).unwrap();
        let authority_key = std::fs::read_to_string(dir.path().join(ca::KEY)).unwrap();
        let pepper = Pepper::generate(&Random::system());
        let secrets = Secrets { pepper, authority: ca.pem().to_owned(), authority_key };
        let node = ControlNode::start_with(NodeId(1), &issued, vec![], level, keys).await;
        node.control.found(secrets).await.unwrap();
        hold_for_ever(&node.remote, NodeId(1), &node.view);
        Self { nodes: vec![node] }
    }

    /// A token for nodes of this role.
    pub async fn token(&self, role: Role, uses: u32) -> String {
        let command = AdminCommand::MakeToken { role, seconds: 600, uses };
        match self.nodes[0].remote.ask(&Request::Admin(command), PATIENCE).await.unwrap() {
            AdminReply::Token(token) => token,
            other => panic!("{other:?}"),
        }
    }

    /// Adds a control node.
    pub async fn join_control(&mut self, name: &str) {
        self.join_control_at(name, Level::NEWEST).await;
    }

    /// The same, held at a version.
    pub async fn join_control_at(&mut self, name: &str, level: Level) {
        self.join_control_with(name, level, None).await;
    }

    /// The same, where it keeps keys like this.
    pub async fn join_control_with(&mut self, name: &str, level: Level, keys: Option<keys::Plan>) {
        let joined = Node::join(&self.token(Role::Control, 1).await, name).await.unwrap();
        let Joined { node: id, control: seeds, .. } = joined.papers.clone();
        let node = ControlNode::start_with(id, &joined.issued, seeds, level, keys).await;
        node.control.enlist().await.unwrap();
        hold_for_ever(&node.remote, id, &node.view);
        self.nodes.push(node);
    }

    /// A node that has joined.
    pub async fn join(&self, name: &str, role: Role) -> Node {
        Node::join(&self.token(role, 1).await, name).await.unwrap()
    }

    /// An edge that has joined and shows itself.
    pub async fn show(&self, name: &str) {
        let edge = match Node::join(&self.token(Role::Edge, 1).await, name).await {
            Ok(edge) => edge,
            Err(denied) => panic!("{denied}"),
        };
        hold_for_ever(&edge.remote, edge.papers.node, &edge.view());
        let mut view = self.nodes[0].control.feed().view();
        let node = edge.papers.node;
        let heard = view.wait_for(|view| view.nodes.get(&node).is_some_and(|n| n.state.to_string() == "active"));
        timeout(PATIENCE, heard).await.expect("it is heard").expect("the feed is open");
        std::mem::forget(edge);
    }

    /// Makes the channel `ada`; returns its key.
    pub async fn make_channel(&self) -> String {
        let command = AdminCommand::PutChannel { channel: ada(), policy: Policy::Newest };
        match self.nodes[0].remote.ask(&Request::Admin(command), PATIENCE).await.unwrap() {
            AdminReply::Key(key) => key,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the leader has written all that it writes by itself at the beginning: the version, and the first keys.
    pub async fn has_begun(&self) {
        let mut view = self.nodes[0].control.feed().view();
        let begun = view.wait_for(|view| !view.annex.keys.signing.is_empty() && !view.annex.keys.path.is_empty());
        timeout(PATIENCE, begun).await.expect("there are keys").expect("the feed is open");
    }

    /// Which of the nodes leads.
    pub async fn leader(&self) -> usize {
        until("a leader", async || self.nodes.iter().position(|n| n.control.group().leadership().borrow().mine)).await
    }

    /// Ends a node without a word.
    pub async fn kill(&mut self, index: usize) {
        let node = self.nodes.remove(index);
        node.fall_silent();
        node.control.close().await;
        node.endpoint.close().await;
    }
}

fn hold_for_ever(remote: &Remote, id: NodeId, view: &NodeView) {
    std::mem::forget(hold(remote.clone(), id, view.clone(), 9));
}

impl ControlNode {
    /// Answers nobody any more and tells nobody so, as a process that was killed on a host that was lost.
    pub fn fall_silent(&self) {
        self.serving.abort();
        let control = self.control.clone();
        tokio::spawn(async move { control.close().await });
    }

    /// What this very node answers.
    pub async fn asked_itself<T: serde::de::DeserializeOwned>(&self, request: &Request) -> Result<T, Denied> {
        let pool = Pool::new(&self.endpoint);
        pool.call(self.view.quic, &self.view.server_name, request, PATIENCE).await.expect("it answers")
    }

    /// Starts one that has not been taken in yet.
    pub async fn start(id: NodeId, issued: &Issued, seeds: Vec<NodeView>, level: Level) -> Self {
        Self::start_with(id, issued, seeds, level, None).await
    }

    /// The same, which keeps keys like this.
    pub async fn start_with(
        id: NodeId,
        issued: &Issued,
        seeds: Vec<NodeView>,
        level: Level,
        keys: Option<keys::Plan>,
    ) -> Self {
        let identity = issued.identity().unwrap().admitting_strangers().at_most(level);
        let endpoint = Endpoint::bind(loopback(), &identity, doors(), Tuning::default()).unwrap();
        let view = NodeView::new(Role::Control, endpoint.local_addr().unwrap(), identity.name());
        let disk = tempfile::tempdir().unwrap();
        let (store, pool) = (Store::file(disk.path()).unwrap(), Pool::new(&endpoint));
        let raft = Config { level, ..Config::default() };
        let own = || keys::Source::Own(disk.path().join("kek"));
        let keys = keys.unwrap_or_else(|| keys::Plan { settings: keys::Settings::default(), source: own() });
        let plan = Plan { id, view: view.clone(), raft, seeds: seeds.clone(), certified_for: ca::JOINED, keys };
        let (clock, random) = (WallClock::system(), Random::system());
        let control = Control::start(plan, store, pool.clone(), clock, random.clone()).await.unwrap();
        let (handler, answering) = (Arc::new(control.clone()), endpoint.clone());
        shut_out_the_removed(&endpoint, &control);
        let serving = tokio::spawn(async move { serve(&answering, handler, std::future::pending()).await });
        let seeds = if seeds.is_empty() { vec![view.clone()] } else { seeds };
        let remote = Remote::new(pool, seeds, Some(control.feed().view()), random);
        Self { control, remote, view, endpoint, serving, _disk: disk }
    }
}

/// As a process does.
fn shut_out_the_removed(endpoint: &Endpoint, control: &Control) {
    let (endpoint, mut view) = (endpoint.clone(), control.feed().view());
    tokio::spawn(async move {
        while view.changed().await.is_ok() {
            endpoint.shut_out(view.borrow_and_update().removed.clone());
        }
    });
}

/// Any other node that has joined.
pub struct Node {
    pub papers: Joined,
    pub issued: Issued,
    pub remote: Remote,
    endpoint: Endpoint,
}

impl Node {
    /// Presents a token.
    pub async fn join(token: &str, name: &str) -> Result<Self, Denied> {
        let token = JoinToken::decode(token).unwrap();
        let seeds: Vec<_> = token.control.iter().map(|(n, addr)| NodeView::new(Role::Control, *addr, n)).collect();
        let stranger = Endpoint::bind_stranger(loopback(), token.authority, doors(), Tuning::default()).unwrap();
        let asked = ca::request().unwrap();
        let request = Request::Join(Join { token: token.secret, name: name.to_owned(), request: asked.request });
        let papers: Joined =
            Remote::new(Pool::new(&stranger), seeds, None, Random::system()).ask(&request, PATIENCE).await?;
        let (certificate, authority) = (papers.certified.certificate.clone(), papers.certified.authority.clone());
        let issued = Issued { certificate, key: asked.key, authority };
        let endpoint = Endpoint::bind(loopback(), &issued.identity().unwrap(), doors(), Tuning::default()).unwrap();
        let remote = Remote::new(Pool::new(&endpoint), papers.control.clone(), None, Random::system());
        Ok(Self { papers, issued, remote, endpoint })
    }

    /// From where it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How others reach it.
    pub fn view(&self) -> NodeView {
        let name = self.issued.identity().unwrap().name().to_owned();
        NodeView::new(self.papers.role, self.endpoint.local_addr().unwrap(), &name)
    }

    /// What its services ask with. Its lease is not looked at.
    pub fn commands(&self) -> Commands {
        let (commands, asks) = Commands::channel();
        let good = freshet_control_plane::remote::Held {
            until: Some(tokio::time::Instant::now() + Duration::from_secs(3600)),
            draining: false,
        };
        let held = tokio::sync::watch::Sender::new(good);
        let receiver = held.subscribe();
        tokio::spawn(carry(self.remote.clone(), Random::system(), receiver, asks));
        std::mem::forget(held);
        commands
    }
}
