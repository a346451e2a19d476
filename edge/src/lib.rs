//! Serves viewers: moves named objects and knows no codec, and parses no playlist.
//!
//! ```text
//! viewers ──HTTP──▶ http ──▶ live ──▶ cache ──fetch──▶ upstream (an origin, over QUIC; other edges where that is gone)
//!                             │  ▲                        ▲
//!                      parked │  │ versions, parts        │
//!                             ▼  └── follow ◀─────────────┘
//!                           reload
//! clients ──/api/…──▶ gateway ──▶ a control node
//! players ──/api/cmcd──▶ audience, told to the leader
//! clients ──/chat/…─▶ chat ──▶ the hub beside the edge, which has the connection from then on
//! other nodes ──FETCH──▶ answer ──▶ what is in live and cache already
//! clients ──HTTP──▶ near ──▶ which edges and origins suit them, from the view
//! ```
//! Who a viewer is is asked at the `door` and never enters a cache key; a viewer's going never stops a transfer; however many viewers ask for an
//! object, it is transferred once.

mod answer;
pub mod audience;
mod budget;
mod cache;
pub mod chat;
pub mod config;
mod door;
pub mod gateway;
mod http;
mod live;
pub mod near;
mod site;
pub mod stats;
pub mod tls;
pub mod upstream;
pub mod watching;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use freshet_proto::{audience::Audience, clock::WallClock, id::ChannelName, random::Random, view::View};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    audience::Hearing,
    budget::Budget,
    chat::Hub,
    door::Door,
    gateway::{ApiUpstream, Gateway},
    http::date::Dates,
    live::Live,
    near::{Near, Nearness},
    stats::{Line, Stats},
    upstream::Upstream,
    watching::Watching,
};
pub use crate::{config::Config, http::Socket, site::Site};

/// An edge. Cheap to clone; clones are one edge.
#[derive(Clone)]
pub struct Edge(Arc<Shared>);

/// What all of an edge's connections share.
pub(crate) struct Shared {
    config: Config,
    live: Arc<Live>,
    door: Door,
    watching: Watching,
    hearing: Hearing,
    dates: Dates,
    stats: Arc<Stats>,
    budget: Arc<Budget>,
    site: OnceLock<Arc<dyn Site>>,
    near: OnceLock<Nearness>,
    gateway: OnceLock<Arc<Gateway>>,
    chat: OnceLock<Arc<dyn Hub>>,
    random: Random,
    connections: TaskTracker,
    draining: CancellationToken,
}

impl Edge {
    /// An edge that knows of channels and nodes what `view` says, and asks them through `upstream` (a QUIC pool). Must
    /// be called inside a tokio runtime, after the metrics recorder is installed.
    pub fn new(
        config: Config,
        view: watch::Receiver<Arc<View>>,
        upstream: impl Upstream,
        clock: WallClock,
        random: Random,
    ) -> Self {
        let stats = Arc::new(Stats::new());
        let limits = budget::Limits {
            connections: config.http.connections,
            connections_per_address: config.http.connections_per_address,
            held: config.reload.held,
            held_per_connection: config.reload.held_per_connection,
            held_per_address: config.reload.held_per_address,
            misses_per_address: config.http.misses_per_address,
            reports_per_address: config.audience.reports_per_address,
        };
        Self(Arc::new(Shared {
            door: Door::new(random.clone()),
            watching: Watching::new(&random),
            hearing: Hearing::new(&config, &random),
            live: Live::new(config.clone(), view, Arc::new(upstream), random.clone(), Arc::clone(&stats)),
            config,
            dates: Dates::new(clock),
            budget: Budget::new(limits, Arc::clone(&stats)),
            stats,
            site: OnceLock::new(),
            near: OnceLock::new(),
            gateway: OnceLock::new(),
            chat: OnceLock::new(),
            random,
            connections: TaskTracker::new(),
            draining: CancellationToken::new(),
        }))
    }

    /// Lets `site` answer every path that is not `/live` or `/api`; without one they are 404. Only the first call
    /// counts.
    #[must_use]
    pub fn with_site(self, site: Arc<dyn Site>) -> Self {
        let _ = self.0.site.set(site);
        self
    }

    /// Tells the edge which name its own certificate carries, so that it doesn't ask itself for what other edges may have.
    /// Only the first call counts.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        self.0.live.cache.elsewhere.set_name(name);
        self
    }

    /// Tells the edge what it can't learn from the view of places: its own, clients', how busy nodes are. Only the first call
    /// counts, and only before the first request.
    #[must_use]
    pub fn with_near(self, near: Near) -> Self {
        let _ = self.0.near.set(Nearness::new(near));
        self
    }

    /// How many clients are connected.
    pub fn clients(&self) -> u64 {
        self.0.clients()
    }

    /// Passes requests to the REST API on to `upstream`; without one they are 404, but for those that the edge answers
    /// itself. Only the first call counts.
    #[must_use]
    pub fn with_api(self, upstream: Arc<dyn ApiUpstream>) -> Self {
        let Shared { config, live, random, .. } = &*self.0;
        let gateway = Gateway::new(config.api.clone(), upstream, live.view.clone(), random.clone());
        let _ = self.0.gateway.set(Arc::new(gateway));
        self
    }

    /// Hands connections that ask for `/chat/…` to `hub`; without one they are 404. Only the first call counts.
    #[must_use]
    pub fn with_chat(self, hub: Arc<dyn Hub>) -> Self {
        let _ = self.0.chat.set(hub);
        self
    }

    /// Accepts HTTP/1.1 connections until `shutdown` is cancelled or the edge drains. Connections live on.
    pub async fn serve_http(&self, listener: TcpListener, shutdown: CancellationToken) {
        http::accept(Arc::clone(&self.0), listener, None, shutdown).await;
    }

    /// Accepts TLS connections with HTTP/2 or HTTP/1.1 until `shutdown` is cancelled or the edge drains. Each new
    /// connection uses the configuration that `tls` then holds; see [`tls::server_config`].
    pub async fn serve_https(
        &self,
        listener: TcpListener,
        tls: watch::Receiver<Arc<rustls::ServerConfig>>,
        shutdown: CancellationToken,
    ) {
        http::accept(Arc::clone(&self.0), listener, Some(tls), shutdown).await;
    }

    /// Serves HTTP/1.1 on one connection that the caller has accepted, from a listener of another kind. Returns at once
    /// when `peer` has spent its budget.
    pub async fn serve_connection(&self, socket: impl Socket, peer: SocketAddr) {
        if let Some(caller) = http::admit(&self.0, peer) {
            self.0.connections.track_future(http::serve_plain(socket, caller)).await;
        }
    }

    /// Whether viewers should be sent here: the view has come and the edge does not drain.
    pub fn ready(&self) -> bool {
        !self.0.draining.is_cancelled() && self.0.live.view.borrow().revision > 0
    }

    /// Stops accepting, answers what has been asked, closes each connection after its answer, and returns when all are
    /// closed or `http.drain_timeout_ms` have passed.
    pub async fn drain(&self) {
        self.0.draining.cancel();
        self.0.connections.close();
        let patience = config::ms(self.0.config.http.drain_timeout_ms);
        let _ = timeout(patience, self.0.connections.wait()).await;
    }

    /// How many watch each channel here; channels without viewers are left out. See [`watching`].
    pub fn viewers(&self) -> BTreeMap<ChannelName, u32> {
        self.0.watching.viewers(self.0.dates.now_ms())
    }

    /// How the viewers of each channel fare here, as their players tell. See [`audience`].
    pub fn audience(&self) -> BTreeMap<ChannelName, Audience> {
        self.0.hearing.audiences(self.0.dates.now_ms())
    }

    /// What has been counted.
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }
}

impl Shared {
    /// Connections: what there is to count before anybody is taken for a viewer.
    fn clients(&self) -> u64 {
        [Line::Http1, Line::Https1, Line::Https2, Line::Chat].into_iter().map(|line| self.stats.lines(line)).sum()
    }

    fn nearness(&self) -> &Nearness {
        self.near.get_or_init(Nearness::default)
    }
}
