//! Two origins and two edges on loopback, and a registry of one channel whose view the test can withhold.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use freshet_control_plane::{
    ca::Ca,
    channel::{Channel, Policy, Times},
};
use freshet_edge::Edge;
use freshet_origin::{Config, Origin};
use freshet_proto::{
    clock::WallClock,
    id::{Epoch, NodeId},
    quic::{self, Doors, Endpoint, Handler, Pool, Tuning},
    random::Random,
    registry::{Ask, Claimed, Command, Commands, Refused, Reply},
    view::{ChannelState, NodeView, Role, View},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{interval, timeout},
};

use super::common::{BOUND, KEY, ada, loopback};

pub const A: NodeId = NodeId(1);
pub const B: NodeId = NodeId(2);
pub const EDGE: NodeId = NodeId(3);
pub const OTHER_EDGE: NodeId = NodeId(4);

/// One channel, the nodes, and what each node is shown.
struct Registry {
    clock: WallClock,
    times: Times,
    channel: Channel,
    sessions: BTreeSet<u64>,
    nodes: BTreeMap<NodeId, NodeView>,
    revision: u64,
    views: BTreeMap<NodeId, watch::Sender<Arc<View>>>,
}

impl Registry {
    fn answer(&mut self, command: Command) -> Reply {
        self.revision += 1;
        let (now, times) = (self.clock.now_ms(), self.times);
        let reply = match command {
            Command::Claim { key, .. } if key != KEY => Err(Refused::UnknownKey),
            Command::Claim { origin, .. } => {
                let epoch = Epoch(self.revision);
                self.channel.claim(now, epoch, origin, 0, &times).map(|granted| {
                    self.sessions.insert(granted.session.0);
                    let prior = granted.prior.map(|prior| (prior.epoch, prior.origin));
                    let (session, msn_base) = (granted.session, granted.msn_base);
                    Some(Claimed { channel: ada(), session, epoch, msn_base, prior })
                })
            }
            Command::Live { epoch, .. } => self.channel.live(epoch).map(|()| None),
            Command::Heard { epoch, heard, .. } => self.channel.heard(epoch, heard).map(|()| None),
            Command::Release { epoch, how, .. } => self.channel.release(now, epoch, how, &times).map(|()| None),
            _ => Err(Refused::Unavailable),
        };
        self.show();
        reply
    }

    fn show(&self) {
        let channels = [(ada(), self.channel.view())].into();
        let (revision, nodes) = (self.revision, self.nodes.clone());
        let view = Arc::new(View { cluster: 1, revision, channels, nodes, ..View::default() });
        self.views.values().for_each(|shown| drop(shown.send_replace(view.clone())));
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        self.revision += 1;
        change(self);
        self.show();
    }
}

/// Answers what one node asks, and ends what is due.
async fn keep(registry: Arc<Mutex<Registry>>, mut asks: mpsc::Receiver<Ask>) {
    let mut tick = interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            ask = asks.recv() => match ask {
                Some(Ask { command, reply }) => drop(reply.send(registry.lock().unwrap().answer(command))),
                None => return,
            },
            _ = tick.tick() => {
                let mut registry = registry.lock().unwrap();
                let (now, times) = (registry.clock.now_ms(), registry.times);
                if registry.channel.expire(now, &times) {
                    registry.change(|_| ());
                }
            }
        }
    }
}

struct Node {
    endpoint: Endpoint,
    tasks: JoinSet<()>,
    rtmp: Option<SocketAddr>,
    _origin: Option<Origin>,
}

pub struct Platform {
    registry: Arc<Mutex<Registry>>,
    nodes: BTreeMap<NodeId, Node>,
    edges: BTreeMap<NodeId, Edge>,
    _dir: tempfile::TempDir,
}

impl Platform {
    /// Nothing is published yet.
    pub async fn start(times: Times) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = WallClock::system();
        let ca = Ca::load_or_create(dir.path(), &clock).unwrap();
        let mut registry = Registry {
            clock: clock.clone(),
            times,
            channel: Channel::new(None, Policy::Newest),
            sessions: BTreeSet::new(),
            nodes: BTreeMap::new(),
            revision: 1,
            views: [A, B, EDGE, OTHER_EDGE].map(|id| (id, watch::Sender::new(Arc::default()))).into(),
        };
        let mut endpoints = BTreeMap::new();
        for (id, name, role) in [
            (A, "origin-1", Role::Origin),
            (B, "origin-2", Role::Origin),
            (EDGE, "edge-3", Role::Edge),
            (OTHER_EDGE, "edge-4", Role::Edge),
        ] {
            let identity = ca.issue(name, &[], 1, &clock).unwrap().identity().unwrap();
            let doors = Doors { clock: clock.clone(), random: Random::system() };
            let endpoint = Endpoint::bind(loopback(), &identity, doors, Tuning::default()).unwrap();
            let quic = endpoint.local_addr().unwrap();
            registry.nodes.insert(id, NodeView::new(role, quic, name));
            endpoints.insert(id, endpoint);
        }
        registry.show();
        let views: BTreeMap<_, _> = registry.views.iter().map(|(id, view)| (*id, view.subscribe())).collect();
        let registry = Arc::new(Mutex::new(registry));
        let mut nodes = BTreeMap::new();
        for id in [A, B] {
            let (commands, asks) = Commands::channel();
            let mut node = origin(id, endpoints.remove(&id).unwrap(), commands, views[&id].clone(), &clock).await;
            // Ends with the node: what goes on of it can't say that its publish does.
            node.tasks.spawn(keep(registry.clone(), asks));
            nodes.insert(id, node);
        }
        let mut edges = BTreeMap::new();
        for (id, endpoint) in endpoints {
            let (config, view, pool) = (freshet_edge::Config::default(), views[&id].clone(), Pool::new(&endpoint));
            let edge = Edge::new(config, view, pool, clock.clone(), Random::system());
            let edge = edge.named(if id == EDGE { "edge-3" } else { "edge-4" });
            nodes.insert(id, node(endpoint, edge.clone()));
            edges.insert(id, edge);
        }
        Self { registry, nodes, edges, _dir: dir }
    }

    pub fn rtmp(&self, id: NodeId) -> SocketAddr {
        self.nodes[&id].rtmp.unwrap()
    }

    pub fn viewer(&self) -> Viewer {
        self.viewer_at(EDGE)
    }

    pub fn viewer_at(&self, edge: NodeId) -> Viewer {
        Viewer { edge: self.edges[&edge].clone() }
    }

    pub fn edge(&self, id: NodeId) -> &Edge {
        &self.edges[&id]
    }

    /// Ends a node as the end of its process does: nobody can reach it any more.
    pub async fn kill(&mut self, id: NodeId) {
        let Node { endpoint, mut tasks, .. } = self.nodes.remove(&id).unwrap();
        endpoint.close().await;
        tasks.shutdown().await;
    }

    /// The registry says that an origin is dead.
    pub fn lose(&self, id: NodeId) {
        let mut registry = self.registry.lock().unwrap();
        let (now, times) = (registry.clock.now_ms(), registry.times);
        registry.change(|registry| assert!(registry.channel.lose(now, id, &times)));
    }

    /// The registry knows nothing of a node any more.
    pub fn forget(&self, id: NodeId) {
        self.registry.lock().unwrap().change(|registry| drop(registry.nodes.remove(&id)));
    }

    /// A node hears nothing of the registry any more.
    pub fn deafen(&self, id: NodeId) {
        let mut registry = self.registry.lock().unwrap();
        let deaf = registry.views.remove(&id);
        // It keeps its last view.
        std::mem::forget(deaf);
    }

    /// The newest publish.
    pub fn epoch(&self) -> u64 {
        self.registry.lock().unwrap().channel.view().current().unwrap().epoch.0
    }

    pub fn session_count(&self) -> usize {
        self.registry.lock().unwrap().sessions.len()
    }

    pub async fn until_live(&self) {
        let mut view = self.registry.lock().unwrap().views[&EDGE].subscribe();
        let live = view.wait_for(|view| view.channels[&ada()].state == ChannelState::Live);
        timeout(BOUND, live).await.expect("it goes live").unwrap();
    }
}

async fn origin(
    id: NodeId,
    endpoint: Endpoint,
    commands: Commands,
    view: watch::Receiver<Arc<View>>,
    clock: &WallClock,
) -> Node {
    let mut config = Config::default();
    // An encoder that has sent everything at once says nothing for a while, and a busy machine takes its time.
    (config.lost_after_ms, config.packaging.limits.stall_ms) = (60_000, 60_000);
    let origin = Origin::new(config, id, commands, view, clock.clone(), Random::system());
    let origin = origin.with_pool(Pool::new(&endpoint));
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let rtmp = Some(listener.local_addr().unwrap());
    let mut node = node(endpoint, origin.clone());
    let encoders = origin.clone();
    node.tasks.spawn(async move { encoders.serve_rtmp(listener, None, std::future::pending()).await });
    Node { rtmp, _origin: Some(origin), ..node }
}

fn node(endpoint: Endpoint, handler: impl Handler) -> Node {
    let mut tasks = JoinSet::new();
    let (serving, handler) = (endpoint.clone(), Arc::new(handler));
    tasks.spawn(async move { quic::serve(&serving, handler, std::future::pending()).await });
    Node { endpoint, tasks, rtmp: None, _origin: None }
}

/// One who watches `ada` at the edge.
#[derive(Clone)]
pub struct Viewer {
    edge: Edge,
}

impl Viewer {
    async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let (mut near, far) = duplex(1 << 20);
        let edge = self.edge.clone();
        let serving = tokio::spawn(async move { edge.serve_connection(far, ([10, 0, 0, 1], 1).into()).await });
        let request = format!("GET /live/ada/{path} HTTP/1.1\r\nhost: edge\r\n\r\n");
        near.write_all(request.as_bytes()).await.unwrap();
        let read = timeout(BOUND, read_reply(&mut near)).await;
        serving.abort();
        read.unwrap_or_else(|_| panic!("{path} was not answered"))
    }

    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        body
    }

    pub async fn text(&self, path: &str) -> String {
        String::from_utf8(self.bytes(path).await).unwrap()
    }

    pub async fn playlist(&self, track: &str) -> String {
        self.text(&format!("{track}.m3u8")).await
    }

    /// The playlist once it lists so many whole segments and parts of the next.
    pub async fn playlist_at(&self, track: &str, segments: usize, parts: u32) -> String {
        let found = async {
            loop {
                let playlist = self.playlist(track).await;
                if shape(&playlist).len() == segments
                    && open_segment(&playlist).is_some()
                    && next_part(&playlist).1 == parts
                {
                    return playlist;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(BOUND, found)
            .await
            .unwrap_or_else(|_| panic!("{track} never has {segments} segments and {parts} parts"))
    }

    /// Waits until nothing is in progress in the playlist: the other origin shows how its predecessor left it.
    pub async fn until_closed(&self, track: &str) -> String {
        let found = async {
            loop {
                let playlist = self.playlist(track).await;
                if open_segment(&playlist).is_none() && !playlist.contains("#EXT-X-PRELOAD-HINT") {
                    return playlist;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(BOUND, found).await.unwrap_or_else(|_| panic!("{track} is not closed"))
    }

    /// The playlist once a whole segment of `epoch` is listed.
    pub async fn playlist_of(&self, track: &str, epoch: u64) -> String {
        let found = async {
            loop {
                let playlist = self.playlist(track).await;
                if shape(&playlist).iter().any(|(of, _)| *of == epoch) {
                    return playlist;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(BOUND, found).await.unwrap_or_else(|_| panic!("{track} never shows epoch {epoch}"))
    }

    /// Asks for what comes next until `is_it` comes, as a player does; returns once the first request is held.
    pub async fn park(&self, track: &'static str, is_it: impl Fn(&str) -> bool + Send + 'static) -> JoinHandle<String> {
        let viewer = self.clone();
        let parked = tokio::spawn(async move {
            loop {
                let (msn, part) = next_part(&viewer.playlist(track).await);
                let released = viewer.text(&format!("{track}.m3u8?_HLS_msn={msn}&_HLS_part={part}")).await;
                if is_it(&released) {
                    return released;
                }
            }
        });
        let held = async {
            while self.edge.stats().held.get() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(BOUND, held).await.expect("the edge holds the request");
        parked
    }

    pub async fn bytes_of_parts(&self, playlist: &str, (epoch, msn): (u64, u64)) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in 0..playlist.matches(&format!("URI=\"{epoch}/v0/{msn}.")).count() - 1 {
            bytes.extend(self.bytes(&format!("{epoch}/v0/{msn}.{part}.m4s")).await);
        }
        bytes
    }

    /// Everything that `playlist` lists is there.
    pub async fn fetch_all_of(&self, playlist: &str) {
        for line in playlist.lines().filter(|line| !line.starts_with("#EXT-X-PRELOAD") && !line.contains("REPORT")) {
            let quoted = line.split_once("URI=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(uri, _)| uri);
            let plain = Some(line).filter(|line| !line.starts_with('#'));
            if let Some(path) = quoted.or(plain) {
                self.bytes(path).await;
            }
        }
    }
}

/// Status and body.
async fn read_reply(near: &mut DuplexStream) -> (u16, Vec<u8>) {
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\n") {
        reply.push(near.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(reply).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    near.read_exact(&mut body).await.expect("a body");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// Epoch and number of every whole segment.
pub fn shape(playlist: &str) -> Vec<(u64, u64)> {
    let lines = playlist.lines().filter(|line| !line.starts_with('#'));
    let named = lines.filter_map(|line| {
        let mut steps = line.trim_end_matches(".m4s").split('/');
        Some((steps.next()?.parse().ok()?, steps.nth(1)?.parse().ok()?))
    });
    named.collect()
}

/// Epoch and number of the segment in progress, where parts of it are listed.
pub fn open_segment(playlist: &str) -> Option<(u64, u64)> {
    let last = playlist.lines().rfind(|line| line.starts_with("#EXT-X-PART:"))?;
    let mut steps = last.split_once("URI=\"")?.1.split('/');
    let epoch = steps.next()?.parse().ok()?;
    let msn = steps.nth(1)?.split('.').next()?.parse().ok()?;
    (!shape(playlist).contains(&(epoch, msn))).then_some((epoch, msn))
}

/// The part after the last that is listed, or the first of the next segment.
fn next_part(playlist: &str) -> (u64, u32) {
    let (_, last) = *shape(playlist).last().unwrap();
    let Some((_, msn)) = open_segment(playlist) else { return (last + 1, 0) };
    let is_its = |line: &&str| line.starts_with("#EXT-X-PART:") && line.contains(&format!("/{msn}."));
    (msn, playlist.lines().filter(is_its).count() as u32)
}
