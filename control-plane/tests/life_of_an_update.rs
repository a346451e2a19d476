//! A claim at an origin becomes known at an edge, over QUIC on loopback, through deaths of either.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use freshet_control_plane::{
    ca::{Ca, Issued},
    channel::{Policy, Times},
    feed::Feed,
    key::Pepper,
    local::{ChannelConfig, Config, Local, spawn_over},
    store::MemoryStore,
    watch,
};
use freshet_proto::{
    clock::WallClock,
    id::NodeId,
    message::Request,
    quic::{Doors, Endpoint, Handler, Pool, QuicError, Responder, Tuning, serve},
    random::Random,
    view::{ChannelState, NodeView, Role, View},
};
use tokio::sync::watch::Receiver;

struct Registry(Feed);

impl Handler for Registry {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        let Request::Watch { after } = request else { return Ok(()) };
        watch::serve(&self.0, after, || None, reply, || true).await
    }
}

/// A platform's certificates.
struct Platform {
    _dir: tempfile::TempDir,
    ca: Ca,
    origin: Issued,
}

impl Platform {
    fn new() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), WallClock::system());
        let ca = Ca::create(dir.path(), &clock).unwrap();
        let origin = ca.issue("origin", &[], 1, &clock).unwrap();
        Self { _dir: dir, ca, origin }
    }

    fn edge(&self) -> Pool {
        let clock = WallClock::system();
        let identity = self.ca.issue("edge-1", &[], 1, &clock).unwrap().identity().unwrap();
        let doors = Doors { clock, random: Random::system() };
        let addr = "127.0.0.1:0".parse().unwrap();
        Pool::new(&Endpoint::bind(addr, &identity, doors, Tuning::default()).unwrap())
    }

    /// Starts an origin on a runtime of its own, so that it can be killed whole.
    fn origin(&self, addr: SocketAddr, disk: MemoryStore) -> Origin {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let identity = self.origin.identity().unwrap();
        let guard = runtime.enter();
        let doors = Doors { clock: WallClock::system(), random: Random::system() };
        let endpoint = Endpoint::bind(addr, &identity, doors, Tuning::default()).unwrap();
        drop(guard);
        let addr = endpoint.local_addr().unwrap();
        let starting = runtime.spawn(async move {
            let local =
                spawn_over(disk, Pepper([1; 32]), config(addr), WallClock::system(), &Random::system()).await.unwrap();
            let handler = Arc::new(Registry(local.feed.clone()));
            tokio::spawn(async move { serve(&endpoint, handler, std::future::pending()).await });
            local
        });
        Origin { runtime, addr, starting: Some(starting), local: None }
    }
}

struct Origin {
    runtime: tokio::runtime::Runtime,
    addr: SocketAddr,
    starting: Option<tokio::task::JoinHandle<Local>>,
    local: Option<Local>,
}

impl Origin {
    async fn claim(&mut self) -> u64 {
        if let Some(starting) = self.starting.take() {
            self.local = Some(starting.await.unwrap());
        }
        let commands = &self.local.as_ref().unwrap().commands;
        commands.claim("sk_ada".to_owned(), NodeId(1)).await.unwrap().epoch.0
    }

    async fn kill(self) -> SocketAddr {
        self.runtime.shutdown_background();
        let free = async {
            while std::net::UdpSocket::bind(self.addr).is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), free).await.expect("the socket to close");
        self.addr
    }
}

fn config(addr: SocketAddr) -> Config {
    Config {
        channels: vec![ChannelConfig {
            name: "ada".parse().unwrap(),
            key: "sk_ada".to_owned(),
            policy: Policy::Newest,
        }],
        node: NodeId(1),
        view: NodeView::new(Role::Origin, addr, "origin"),
        times: Times::default(),
    }
}

/// An address of this process alone: no other test takes a port of it while nobody listens there.
fn anywhere() -> SocketAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    ([127, 64 | (b % 64), c, d], 0).into()
}

fn follow(pool: Pool, addr: SocketAddr, dir: Option<&Path>) -> Receiver<Arc<View>> {
    watch::follow(pool, vec![NodeView::new(Role::Origin, addr, "origin")], dir, Random::system())
}

async fn until(views: &mut Receiver<Arc<View>>, what: &str, wanted: impl Fn(&View) -> bool) -> Arc<View> {
    let reached = tokio::time::timeout(Duration::from_secs(30), views.wait_for(|view| wanted(view))).await;
    reached.expect(what).unwrap().clone()
}

fn epoch(view: &View) -> Option<u64> {
    Some(view.channels.get(&"ada".parse().unwrap())?.current()?.epoch.0)
}

fn state(view: &View) -> Option<ChannelState> {
    Some(view.channels.get(&"ada".parse().unwrap())?.state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_reaches_an_edge_that_follows() {
    let platform = Platform::new();
    let mut origin = platform.origin(anywhere(), MemoryStore::default());
    let mut views = follow(platform.edge(), origin.addr, None);
    let view = until(&mut views, "a snapshot", |view| view.cluster != 0).await;
    assert_eq!((state(&view), epoch(&view)), (Some(ChannelState::Idle), None));
    assert_eq!(view.nodes[&NodeId(1)].quic, origin.addr);
    let claimed = origin.claim().await;
    let view = until(&mut views, "the claim", |view| epoch(view) == Some(claimed)).await;
    assert_eq!(state(&view), Some(ChannelState::Starting));
    origin.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_keeps_its_view_while_the_origin_is_dead_and_goes_on_when_it_is_back() {
    let platform = Platform::new();
    let disk = MemoryStore::default();
    let mut origin = platform.origin(anywhere(), disk.clone());
    let mut views = follow(platform.edge(), origin.addr, None);
    let first = origin.claim().await;
    let before = until(&mut views, "the claim", |view| epoch(view) == Some(first)).await;
    let addr = origin.kill().await;
    assert_eq!(*views.borrow(), before);

    let mut origin = platform.origin(addr, disk);
    let grace = until(&mut views, "grace", |view| state(view) == Some(ChannelState::Grace)).await;
    assert_eq!((grace.cluster, epoch(&grace)), (before.cluster, Some(first)));
    let second = origin.claim().await;
    assert!(second > first);
    until(&mut views, "the second claim", |view| epoch(view) == Some(second)).await;
    origin.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_began_anew_replaces_the_view_although_its_revisions_are_lower() {
    let platform = Platform::new();
    let mut origin = platform.origin(anywhere(), MemoryStore::default());
    let mut views = follow(platform.edge(), origin.addr, None);
    for _ in 0..4 {
        origin.claim().await;
    }
    let before = until(&mut views, "the claims", |view| view.revision >= 5).await;
    let addr = origin.kill().await;
    let origin = platform.origin(addr, MemoryStore::default());
    let after = until(&mut views, "the new registry", |view| view.cluster != before.cluster).await;
    assert!(after.revision < before.revision);
    assert_eq!(state(&after), Some(ChannelState::Idle));
    origin.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_starts_while_the_origin_is_dead_has_its_last_view() {
    let platform = Platform::new();
    let dir = tempfile::tempdir().unwrap();
    let mut origin = platform.origin(anywhere(), MemoryStore::default());
    let claimed = origin.claim().await;
    let mut views = follow(platform.edge(), origin.addr, Some(dir.path()));
    until(&mut views, "the claim", |view| epoch(view) == Some(claimed)).await;
    let kept = async {
        while !dir.path().join("view").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), kept).await.expect("the view to be kept");
    let addr = origin.kill().await;
    drop(views);
    let views = follow(platform.edge(), addr, Some(dir.path()));
    assert_eq!(epoch(&views.borrow()), Some(claimed));

    std::fs::write(dir.path().join("view"), b"nonsense").unwrap();
    let views = follow(platform.edge(), addr, Some(dir.path()));
    assert_eq!(**views.borrow(), View::default());
}
