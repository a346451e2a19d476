//! Runs the code of real nodes over a simulated clock, network and source of randomness: the same seed gives the same
//! run, byte for byte.
//!
//! ```text
//! turmoil (time, UDP, TCP, loss, partitions) ──▶ socket, runtime ──▶ quic::Endpoint ──▶ origin, edge, registry
//! seed ──▶ crypto (TLS), certs, Random ──────────────────────────────┘        └──▶ Trace: what crossed the network when
//! ```
//! Nodes are built by the constructors that the binary calls; nothing in them knows that it is simulated. What keeps a
//! run the same, each of them a source of chance otherwise:
//! - time: turmoil pauses tokio's clock and moves it; quinn's runtime tells that time ([`runtime`]);
//! - QUIC: seed, connection ids, reset and token keys come from `Random` and the node's key (`proto::quic`);
//! - TLS: randoms and key shares come from the seed, signatures are Ed25519, which have no chance in them ([`crypto`]);
//! - certificates are derived from the seed too, so that other processes see the same bytes ([`certs`]);
//! - order: every `select!` in the nodes is `biased`, and nothing that goes over the network hangs on the order in which
//!   a `tokio::sync::watch` wakes several waiters. tokio draws both from a source that can't be seeded without
//!   `--cfg tokio_unstable`, which would build everything a second time. Nothing else in tokio draws while there is one
//!   thread. Where the order would show (openraft's tasks, held requests of one connection), readers wait on
//!   `proto::ordered`. In a campaign several edges follow one origin, and several viewers one edge: whichever wakes first, each
//!   writes to a link of its own, which has a source of chance of its own ([`weather`]) and a hash of its own ([`trace`]).
//!   For the same reason viewers there watch one track: two follows on one connection would share its packets.
//!
//! TCP here neither loses nor resends, so loss is for the link between nodes.
//!
//! # A campaign
//! ```text
//! seed ──▶ schedule (faults) ──▶ world: hosts, crowd ──▶ stage: ledger, shown ──▶ invariants ──▶ campaign ──▶ main
//!                                  └ bugs, disk, platform        └ sometimes, controls, consensus, tokens
//! ```
//! What a run's hash covers: everything that crossed the network, and everything that was written to disks and when it was
//! synced.
//!
//! # Real processes
//! Beside the simulation, [`link`] does to the datagrams of real processes what a bad network does; `freshet/tests/faults.rs`
//! is where it is used.

// The seams.
pub mod certs;
pub mod crypto;
pub mod disk;
pub mod runtime;
pub mod socket;
pub mod trace;
pub mod weather;

// A small world, for tests that tell one story.
pub mod encoder;
pub mod nodes;
pub mod viewer;

// A campaign.
pub mod bugs;
pub mod campaign;
pub mod chat;
pub mod consensus;
pub mod controls;
pub mod crowd;
pub mod graces;
pub mod guests;
pub mod hosts;
pub mod invariants;
pub mod ledger;
pub mod observed;
pub mod operators;
pub mod platform;
pub mod schedule;
pub mod shown;
pub mod sometimes;
pub mod stage;
pub mod tokens;
pub mod world;

// For real processes.
pub mod link;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use freshet_proto::{
    clock::WallClock,
    quic::{Doors, Endpoint, Identity, QuicError, Tuning},
    random::Random,
};

use crate::{certs::Authority, runtime::SimRuntime, socket::SimSocket, trace::Trace, weather::Weather};

/// When every simulation begins: 2026-01-01T00:00:00Z.
pub const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// What the nodes of one run share. Cheap to clone.
#[derive(Clone)]
pub struct Run {
    /// The seed that everything else follows from.
    pub seed: u64,
    /// What crossed the network.
    pub trace: Trace,
    /// What becomes of datagrams between nodes.
    pub weather: Weather,
    authority: Arc<Authority>,
    clocks: Arc<Mutex<Clocks>>,
}

/// By how many milliseconds hosts' wall clocks are wrong. At most one of each for each host.
#[derive(Debug, Default)]
struct Clocks {
    /// As they are.
    set: BTreeMap<String, i64>,
    /// As they were when the host's process last read its clock.
    read: BTreeMap<String, i64>,
}

impl Run {
    /// A run that has not begun.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            trace: Trace::default(),
            weather: Weather::new(seed, weather::Link::default()),
            authority: Arc::new(Authority::seeded(seed)),
            clocks: Arc::default(),
        }
    }

    /// What the node `name` draws from, its own in each of its lives.
    pub fn random(&self, name: &str, life: u64) -> Random {
        let mut seed = self.seed ^ life.rotate_left(32);
        name.bytes().for_each(|byte| seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Random::seeded(seed)
    }

    /// The wall clock of the simulated host `name`. Must be called inside it.
    pub fn clock(&self, name: &str) -> WallClock {
        let right = BEGIN + turmoil::sim_elapsed().unwrap_or_default();
        let offset_ms = self.offset_ms(name);
        self.clocks().read.insert(name.to_owned(), offset_ms);
        let wrong = Duration::from_millis(offset_ms.unsigned_abs());
        WallClock::anchored(if offset_ms < 0 { right.saturating_sub(wrong) } else { right + wrong })
    }

    /// Sets the wall clock of the host `name` wrong. A process reads its clock once, when it starts: one that runs does not
    /// see that it jumps.
    pub fn set_clock(&self, name: &str, offset_ms: i64) {
        self.clocks().set.insert(name.to_owned(), offset_ms);
    }

    /// By how much the host's clock is wrong, in ms.
    pub fn offset_ms(&self, name: &str) -> i64 {
        self.clocks().set.get(name).copied().unwrap_or_default()
    }

    /// By how much the clock is wrong that the host's process goes by, in ms: what it read when it started.
    pub fn offset_read_ms(&self, name: &str) -> i64 {
        self.clocks().read.get(name).copied().unwrap_or_default()
    }

    fn clocks(&self) -> std::sync::MutexGuard<'_, Clocks> {
        self.clocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the node protocol on UDP port `port` of the host that calls. `life` counts the host's starts.
    ///
    /// # Errors
    /// [`QuicError::Bind`], [`QuicError::Identity`].
    pub async fn endpoint(&self, name: &str, port: u16, life: u64) -> Result<Endpoint, QuicError> {
        self.endpoint_as(name, port, life, |identity| identity).await
    }

    /// The same, with an identity that `dress` has changed.
    ///
    /// # Errors
    /// As [`Run::endpoint`].
    pub async fn endpoint_as(
        &self,
        name: &str,
        port: u16,
        life: u64,
        dress: impl FnOnce(Identity) -> Identity,
    ) -> Result<Endpoint, QuicError> {
        let ip = turmoil::lookup(name);
        let socket = SimSocket::bind(ip, port, self.trace.clone(), self.weather.clone());
        let bind = |source| QuicError::Bind { addr: SocketAddr::new(ip, port), source: Arc::new(source) };
        let socket = socket.await.map_err(bind)?;
        let random = self.random(name, life);
        let identity = dress(self.authority.issue(name)?.with_provider(crypto::provider(&random)));
        let doors = Doors { clock: self.clock(name), random };
        let tuning = Tuning { mtu_discovery: false, ..Tuning::default() };
        Endpoint::over(Arc::new(socket), Arc::new(SimRuntime), &identity, doors, tuning)
    }
}
