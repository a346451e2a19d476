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
//!   thread.
//!
//! TCP here neither loses nor resends, so loss is for the link between nodes.

pub mod certs;
pub mod crypto;
pub mod encoder;
pub mod nodes;
pub mod runtime;
pub mod socket;
pub mod trace;
pub mod viewer;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use freshet_proto::{
    clock::WallClock,
    quic::{Doors, Endpoint, QuicError, Tuning},
    random::Random,
};

use crate::{certs::Authority, runtime::SimRuntime, socket::SimSocket, trace::Trace};

/// When every simulation begins: 2026-01-01T00:00:00Z.
pub const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// What the nodes of one run share. Cheap to clone.
#[derive(Clone)]
pub struct Run {
    /// The seed that everything else follows from.
    pub seed: u64,
    /// What crossed the network.
    pub trace: Trace,
    authority: Arc<Authority>,
}

impl Run {
    /// A run that has not begun.
    pub fn new(seed: u64) -> Self {
        Self { seed, trace: Trace::default(), authority: Arc::new(Authority::seeded(seed)) }
    }

    /// What the node `name` draws from, its own in each of its lives.
    pub fn random(&self, name: &str, life: u64) -> Random {
        let mut seed = self.seed ^ life.rotate_left(32);
        name.bytes().for_each(|byte| seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Random::seeded(seed)
    }

    /// The wall clock of a simulated host. Must be called inside it.
    pub fn clock(&self) -> WallClock {
        WallClock::anchored(BEGIN + turmoil::sim_elapsed().unwrap_or_default())
    }

    /// Opens the node protocol on UDP port `port` of the host that calls. `life` counts the host's starts.
    ///
    /// # Errors
    /// [`QuicError::Bind`], [`QuicError::Identity`].
    pub async fn endpoint(&self, name: &str, port: u16, life: u64) -> Result<Endpoint, QuicError> {
        let addr = SocketAddr::from(([0, 0, 0, 0], port));
        let socket = SimSocket::bind(addr, self.trace.clone())
            .await
            .map_err(|source| QuicError::Bind { addr, source: Arc::new(source) })?;
        let random = self.random(name, life);
        let identity = self.authority.issue(name)?.with_provider(crypto::provider(&random));
        let doors = Doors { clock: self.clock(), random };
        let tuning = Tuning { mtu_discovery: false, ..Tuning::default() };
        Endpoint::over(Arc::new(socket), Arc::new(SimRuntime), &identity, doors, tuning)
    }
}
