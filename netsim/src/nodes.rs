//! Nodes inside simulated hosts, put together as the binary puts them together.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use freshet_control_plane::{
    channel::{Policy, Times},
    feed::Feed,
    key::Pepper,
    local::{ChannelConfig, Config, spawn_over},
    store::MemoryStore,
    watch,
};
use freshet_edge::Edge;
use freshet_origin::Origin;
use freshet_proto::{
    id::NodeId,
    message::Request,
    quic::{Handler, Pool, QuicError, Responder, serve},
    view::{NodeView, Role, View},
};
use tokio::sync::watch::Receiver;
use turmoil::net::TcpListener;

use crate::Run;

/// Where nodes take requests of each other.
pub const QUIC: u16 = 4430;
/// Where an origin takes encoders.
pub const RTMP: u16 = 1935;
/// Where an edge takes viewers.
pub const HTTP: u16 = 8080;
/// The name of the origin's host.
pub const ORIGIN: &str = "origin";
/// The name of the edge's host.
pub const EDGE: &str = "edge";
/// The stream key of channel `ada`.
pub const KEY: &str = "sk_ada";

/// What a host ends with.
pub type Outcome = Result<(), Box<dyn Error>>;

/// An origin with the registry, until its host is crashed. `disk` outlives it; `life` counts its starts; `seen` gets a
/// handle to ask how often it sent what.
///
/// # Errors
/// When it can't start.
pub async fn origin(run: Run, disk: MemoryStore, life: u64, seen: impl FnOnce(Origin)) -> Outcome {
    let (clock, random) = (run.clock(ORIGIN), run.random("origin-node", life));
    let quic = SocketAddr::new(turmoil::lookup(ORIGIN), QUIC);
    let endpoint = run.endpoint(ORIGIN, QUIC, life).await?;
    let view = NodeView::new(Role::Origin, quic, ORIGIN);
    let channels = vec![ChannelConfig { name: "ada".parse()?, key: KEY.to_owned(), policy: Policy::Newest }];
    let config = Config { channels, node: NodeId(1), view, times: Times::default() };
    let local = spawn_over(disk, Pepper([1; 32]), config, clock.clone(), &random).await?;
    let views = local.feed.view();
    let origin =
        Origin::new(freshet_origin::Config::default(), NodeId(1), local.commands.clone(), views, clock, random);
    seen(origin.clone());
    let node = Arc::new(OriginNode { origin: origin.clone(), feed: local.feed });
    tokio::spawn(async move { serve(&endpoint, node, std::future::pending()).await });
    take_encoders(origin).await?;
    Ok(())
}

async fn take_encoders(origin: Origin) -> io::Result<()> {
    let listener = TcpListener::bind(("0.0.0.0", RTMP)).await?;
    loop {
        let (tcp, peer) = listener.accept().await?;
        let origin = origin.clone();
        tokio::spawn(async move { origin.serve_encoder(tcp, peer).await });
    }
}

/// Answers the three verbs.
struct OriginNode {
    origin: Origin,
    feed: Feed,
}

impl Handler for OriginNode {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Watch { after } => watch::serve(&self.feed, after, || None, reply, || true).await,
            other => self.origin.handle(other, reply).await,
        }
    }
}

/// What an edge begins with: a pool of connections and the origin's view.
///
/// # Errors
/// When it can't start.
pub async fn follower(run: &Run, life: u64) -> Result<(Pool, Receiver<Arc<View>>), QuicError> {
    let pool = Pool::new(&run.endpoint(EDGE, QUIC, life).await?);
    let registry = NodeView::new(Role::Origin, SocketAddr::new(turmoil::lookup(ORIGIN), QUIC), ORIGIN);
    let views = watch::follow(pool.clone(), vec![registry], None, run.random("edge-view", life));
    Ok((pool, views))
}

/// An edge, until its host is crashed.
///
/// # Errors
/// When it can't start.
pub async fn edge(run: Run, life: u64) -> Outcome {
    let (pool, views) = follower(&run, life).await?;
    let config = freshet_edge::Config::default();
    let edge = Edge::new(config, views, pool, run.clock(EDGE), run.random("edge-node", life));
    let listener = TcpListener::bind(("0.0.0.0", HTTP)).await?;
    loop {
        let (tcp, peer) = listener.accept().await?;
        let edge = edge.clone();
        tokio::spawn(async move { edge.serve_connection(tcp, peer).await });
    }
}
