//! An origin: takes publishers over RTMP, packages what they send, offers it to other nodes over QUIC.
//!
//! ```text
//! encoder ──RTMP──▶ publish ──frames──▶ broadcast: media::pipeline ──▶ live::Window ──▶ serve (FETCH, FOLLOW) ──▶ edges
//!                      │                     ▲
//!                      │                  keeper: takeovers, ends, retention, those who are missing
//!                      │                     ▲
//!                      ├─ Claim, Live, Heard, Release ──▶ registry ── view
//!                      └─ takeover ◀─ a session's window ── another origin, or edges
//! ```
//! One task a publisher, one for each stream of another node, one keeper. A session's pipeline and window stand behind
//! one lock, held for the time of one frame and never across an await; whoever waits for something new holds a
//! `watch::Receiver` that changes when something was made.

mod absent;
mod broadcast;
mod config;
mod count;
mod follow;
mod health;
mod house;
mod keeper;
mod live;
mod meter;
mod publish;
mod readmit;
mod serve;
mod takeover;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use freshet_proto::{
    clock::WallClock,
    health::Health,
    id::{ChannelName, NodeId},
    object::ObjectName,
    ordered,
    quic::Pool,
    random::Random,
    registry::Commands,
    view::View,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{Semaphore, watch},
    task::AbortHandle,
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tracing::warn;

pub use config::{Config, InvalidConfig};

use crate::{
    broadcast::{Dismissal, Rules},
    count::Transfers,
    house::House,
    meter::Meters,
    publish::{Gate, Line, RoundTrips},
    readmit::Granted,
};

/// An origin. Cheap to clone; it ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Origin(Arc<Inner>);

struct Inner {
    config: Config,
    me: NodeId,
    commands: Commands,
    granted: Granted,
    /// Several held requests of one connection may wait for it, and must wake in order.
    view: ordered::Receiver<Arc<View>>,
    clock: WallClock,
    random: Random,
    house: House,
    transfers: Transfers,
    meters: Meters,
    gate: Arc<Gate>,
    /// Opened for the first encoder whose connection is the system's.
    round_trips: OnceLock<RoundTrips>,
    publishers: Arc<Semaphore>,
    /// Followers and held fetches.
    held: Arc<Semaphore>,
    draining: watch::Sender<bool>,
    /// Asks other nodes for the window of a session that began elsewhere.
    pool: OnceLock<Pool>,
    tasks: TaskTracker,
    keeper: OnceLock<AbortHandle>,
}

impl Origin {
    /// An origin named `me` that claims through `commands` and heeds `view`. Must be called in a tokio runtime: it
    /// starts the keeper's task. Install the recorder of metrics before.
    pub fn new(
        config: Config,
        me: NodeId,
        commands: Commands,
        view: watch::Receiver<Arc<View>>,
        clock: WallClock,
        random: Random,
    ) -> Self {
        let meters = Meters::new();
        let (packaging, max_bytes) = (config.packaging, config.max_session_bytes);
        let rules = Rules { packaging, max_bytes, meters: meters.clone() };
        let inner = Arc::new(Inner {
            house: House::new(me, rules, config.max_ended_sessions),
            transfers: Transfers::new(config.counted_objects),
            meters,
            gate: Gate::new(config.max_connections, config.max_connections_per_address),
            round_trips: OnceLock::new(),
            publishers: Arc::new(Semaphore::new(config.publisher_places())),
            held: Arc::new(Semaphore::new(config.held_places())),
            draining: watch::Sender::new(false),
            pool: OnceLock::new(),
            tasks: TaskTracker::new(),
            keeper: OnceLock::new(),
            config,
            me,
            commands,
            granted: Granted::default(),
            view: ordered::Receiver::of(view),
            clock,
            random,
        });
        let keeper = tokio::spawn(keeper::keep(Arc::downgrade(&inner), inner.view.clone()));
        let _ = inner.keeper.set(keeper.abort_handle());
        Self(inner)
    }

    /// Lets it ask other nodes through `pool`, so that it can take over the window of a session that began elsewhere.
    /// Without one such a session goes on with an empty window, at the registry's msn base. Only the first call counts.
    #[must_use]
    pub fn with_pool(self, pool: Pool) -> Self {
        let _ = self.0.pool.set(pool);
        self
    }

    /// Takes encoders from `listener`, over TLS where a configuration is given, until `shutdown` resolves. Publishers
    /// that are connected then go on until [`Origin::drain`].
    pub async fn serve_rtmp(
        &self,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        shutdown: impl Future<Output = ()>,
    ) {
        self.0.clone().listen(listener, tls, shutdown).await;
    }

    /// Takes one encoder whose connection somebody else has accepted, and serves it to its end. For simulations, whose
    /// sockets are not the system's.
    pub async fn serve_encoder<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, peer: SocketAddr) {
        if let Some(pass) = self.0.pass(peer) {
            self.0.clone().serve_connection(stream, Line { peer, ends: None }, Instant::now(), pass).await;
        }
    }

    /// Whether new publishers are welcome: not while draining.
    pub fn ready(&self) -> bool {
        !self.0.is_draining()
    }

    /// Takes no new publishers, lets those there are go on for [`Config::drain_timeout_ms`], then tells and closes
    /// them. Returns when the last has gone. What was published stays fetchable.
    pub async fn drain(&self) {
        let inner = &self.0;
        inner.draining.send_replace(true);
        inner.tasks.close();
        if timeout(inner.config.drain_timeout(), inner.no_publishers()).await.is_err() {
            inner.house.dismiss_all(Dismissal::Draining);
        }
        // Each may wait for an answer to what it said before, and for the one to its farewell.
        let farewells = (inner.config.farewell() + inner.config.claim_timeout()) * 2;
        let _ = timeout(farewells, inner.no_publishers()).await;
    }

    /// How often the bytes of `object` were sent to other nodes, fetched or followed. Only the last
    /// [`Config::counted_objects`] objects are remembered.
    pub fn transfers(&self, object: &ObjectName) -> u64 {
        self.0.transfers.of(object)
    }

    /// How often each remembered object was sent to other nodes.
    pub fn all_transfers(&self) -> BTreeMap<ObjectName, u64> {
        self.0.transfers.all()
    }

    /// How many publishers there are.
    pub fn publishers(&self) -> usize {
        self.0.publisher_count()
    }

    /// How each session that is open does, as the control plane is told; private tests, in epoch 0, where there is none.
    pub fn health(&self) -> BTreeMap<ChannelName, Health> {
        let (tests, all, now_ms) = (self.0.house.tests(), self.0.house.all(), self.0.clock.now_ms());
        let told = |broadcast: &broadcast::Shared| {
            let (epoch, report) = broadcast.health(now_ms)?;
            Some((broadcast.channel.clone(), health::told(broadcast.session, epoch, report)))
        };
        tests.iter().chain(&all).filter_map(told).collect()
    }

    /// How many bytes of parts and inits all live windows keep.
    pub fn window_bytes(&self) -> u64 {
        self.0.house.all().iter().map(|broadcast| broadcast.bytes()).sum()
    }
}

impl Inner {
    fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    fn publisher_count(&self) -> usize {
        // Each place taken holds the semaphore; what is available says less, for draining reserves places bit by bit.
        Arc::strong_count(&self.publishers) - 1
    }

    /// Resolves when nobody publishes any more.
    async fn no_publishers(&self) {
        let all = self.config.publisher_places() as u32;
        let _ = self.publishers.acquire_many(all).await;
    }

    /// The instant at which the wall clock will show `at_ms`.
    fn instant_of(&self, at_ms: u64, now: Instant) -> Instant {
        now + Duration::from_millis(at_ms.saturating_sub(self.clock.now_ms()))
    }

    fn view_changes(&self) -> ordered::Receiver<Arc<View>> {
        let mut changes = self.view.clone();
        changes.mark_unchanged();
        changes
    }

    /// Sets the gauges, and logs what the persons who stream should mend, once each.
    fn examine(&self) {
        let (sessions, now_ms) = (self.house.all(), self.clock.now_ms());
        for session in &sessions {
            for alert in session.examine(now_ms) {
                warn!(channel = %session.channel, session = %session.session, %alert, "a stream is not well");
            }
        }
        self.meters.sessions.set(sessions.len() as f64);
        self.meters.window_bytes.set(sessions.iter().map(|broadcast| broadcast.bytes()).sum::<u64>() as f64);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Origin {} with {} publishers", self.me, self.publisher_count())
    }
}
