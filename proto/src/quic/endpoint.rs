//! A socket that speaks the node protocol.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{hkdf, hmac};
use quinn::{
    AsyncUdpSocket, ConnectionId, ConnectionIdGenerator, EndpointConfig, Runtime, TimeSource,
    crypto::rustls::QuicClientConfig,
};
use socket2::SockRef;
use tokio::sync::watch;

use super::{Identity, QuicError, Tuning, stranger};
use crate::{clock::WallClock, level::Level, random::Random, view::Removed};

/// Where an endpoint gets its time and its randomness from.
#[derive(Debug, Clone)]
pub struct Doors {
    /// Checks certificates and tokens against it.
    pub clock: WallClock,
    /// Draws connection ids, seeds and token keys from it. The TLS handshake draws from the identity's provider.
    pub random: Random,
}

/// A UDP socket that both makes and takes connections. Cheap to clone; dropping the last clone closes it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(super) quic: quinn::Endpoint,
    client: Arc<RwLock<quinn::ClientConfig>>,
    pub(super) tuning: Arc<Tuning>,
    pub(super) random: Random,
    pub(super) newest: Level,
    removed: Arc<watch::Sender<Arc<Removed>>>,
    pub(super) doors: Doors,
}

impl Endpoint {
    /// Binds a UDP socket of the system to `addr`. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// [`QuicError::Bind`], [`QuicError::Identity`].
    pub fn bind(addr: SocketAddr, identity: &Identity, doors: Doors, tuning: Tuning) -> Result<Self, QuicError> {
        let refused = |source| QuicError::Bind { addr, source: Arc::new(source) };
        let runtime: Arc<dyn Runtime> = Arc::new(quinn::TokioRuntime);
        let socket = runtime.wrap_udp_socket(udp(addr, &tuning).map_err(refused)?).map_err(refused)?;
        Self::over(socket, runtime, identity, doors, tuning)
    }

    /// Binds a UDP socket from which one asks without a certificate: to join. The node asked must be certified by the
    /// authority whose certificate has this SHA-256, and show that certificate. Takes no connections.
    ///
    /// # Errors
    /// [`QuicError::Bind`], [`QuicError::Identity`].
    pub fn bind_stranger(
        addr: SocketAddr,
        authority: [u8; 32],
        doors: Doors,
        tuning: Tuning,
    ) -> Result<Self, QuicError> {
        let refused = |source| QuicError::Bind { addr, source: Arc::new(source) };
        let runtime: Arc<dyn Runtime> = Arc::new(quinn::TokioRuntime);
        let socket = runtime.wrap_udp_socket(udp(addr, &tuning).map_err(refused)?).map_err(refused)?;
        let client = client_config(stranger::client_crypto(authority, &doors.clock)?, &doors, &tuning);
        let config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &draw(&doors.random))));
        let quic = quinn::Endpoint::new_with_abstract_socket(config, None, socket, runtime).map_err(refused)?;
        Ok(Self::new(quic, client, Level::NEWEST, doors, tuning))
    }

    /// Speaks over any socket, with any runtime: the door through which a simulation comes in.
    ///
    /// # Errors
    /// [`QuicError::Bind`], [`QuicError::Identity`].
    pub fn over(
        socket: Arc<dyn AsyncUdpSocket>,
        runtime: Arc<dyn Runtime>,
        identity: &Identity,
        doors: Doors,
        tuning: Tuning,
    ) -> Result<Self, QuicError> {
        let addr = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let server = server_config(identity, &doors, &tuning)?;
        let client = client_config(identity.client_crypto(&doors.clock)?, &doors, &tuning);
        let config = endpoint_config(identity, &doors.random);
        let quic = quinn::Endpoint::new_with_abstract_socket(config, Some(server), socket, runtime)
            .map_err(|source| QuicError::Bind { addr, source: Arc::new(source) })?;
        Ok(Self::new(quic, client, identity.newest, doors, tuning))
    }

    fn new(quic: quinn::Endpoint, client: quinn::ClientConfig, newest: Level, doors: Doors, tuning: Tuning) -> Self {
        let (client, removed) = (Arc::new(RwLock::new(client)), Arc::default());
        Self { quic, client, tuning: Arc::new(tuning), random: doors.random.clone(), newest, removed, doors }
    }

    /// Talks to none of these nodes from now on: connections with them, made and taken, end at once, and new ones are
    /// refused. Replaces whatever was said before.
    pub fn shut_out(&self, removed: Arc<Removed>) {
        self.removed.send_if_modified(|known| {
            let changed = **known != *removed;
            *known = removed;
            changed
        });
    }

    /// Whom not to talk to, now and whenever that changes.
    pub(super) fn removed(&self) -> watch::Receiver<Arc<Removed>> {
        self.removed.subscribe()
    }

    /// Shows another certificate from now on. Connections that are there go on; so does the version that was spoken.
    ///
    /// # Errors
    /// [`QuicError::Identity`]; the former certificate then stays.
    pub fn renew(&self, identity: &Identity) -> Result<(), QuicError> {
        let server = server_config(identity, &self.doors, &self.tuning)?;
        let client = client_config(identity.client_crypto(&self.doors.clock)?, &self.doors, &self.tuning);
        self.quic.set_server_config(Some(server));
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    pub(super) fn client(&self) -> quinn::ClientConfig {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it listens.
    ///
    /// # Errors
    /// [`QuicError::ShuttingDown`] when the socket has gone.
    pub fn local_addr(&self) -> Result<SocketAddr, QuicError> {
        self.quic.local_addr().map_err(|_| QuicError::ShuttingDown)
    }

    /// Ends every connection, made and taken, and waits up to [`Tuning::drain`] until the peers know.
    pub async fn close(&self) {
        self.quic.close(super::StreamCode::ShuttingDown.code(), b"shutting down");
        let _ = tokio::time::timeout(self.tuning.drain, self.quic.wait_idle()).await;
    }
}

fn endpoint_config(identity: &Identity, random: &Random) -> EndpointConfig {
    // The reset key outlives the process: a peer that still talks to our former self is told at once that it has gone
    // (RFC 9000 §10.3).
    let reset = hmac::Key::new(hmac::HMAC_SHA256, &identity.derive("freshet stateless reset"));
    let mut config = EndpointConfig::new(Arc::new(reset));
    let ids = random.clone();
    config.rng_seed(Some(draw(random))).cid_generator(move || Box::new(DrawnIds(ids.clone())));
    config
}

fn server_config(identity: &Identity, doors: &Doors, tuning: &Tuning) -> Result<quinn::ServerConfig, QuicError> {
    let token_key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&draw(&doors.random));
    let mut config = quinn::ServerConfig::new(identity.server_crypto(&doors.clock)?, Arc::new(token_key));
    config
        .transport_config(tuning.answering())
        .max_incoming(tuning.max_incoming)
        .incoming_buffer_size(tuning.incoming_buffer)
        .incoming_buffer_size_total(tuning.incoming_buffers)
        .time_source(Arc::new(Wall(doors.clock.clone())));
    Ok(config)
}

fn client_config(crypto: Arc<QuicClientConfig>, doors: &Doors, tuning: &Tuning) -> quinn::ClientConfig {
    let mut config = quinn::ClientConfig::new(crypto);
    let ids = doors.random.clone();
    config
        .transport_config(tuning.asking())
        .initial_dst_cid_provider(Arc::new(move || drawn_id(&ids, INITIAL_ID_LEN)))
        .token_store(Arc::new(quinn::NoneTokenStore));
    config
}

fn udp(addr: SocketAddr, tuning: &Tuning) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr)?;
    let buffers = SockRef::from(&socket);
    // As much as the system allows.
    let _ = buffers.set_recv_buffer_size(tuning.socket_buffer);
    let _ = buffers.set_send_buffer_size(tuning.socket_buffer);
    Ok(socket)
}

/// What quinn itself uses; at least 8 for the first packet (RFC 9000 §7.2).
const ID_LEN: usize = 8;
const INITIAL_ID_LEN: usize = 20;

struct DrawnIds(Random);

impl ConnectionIdGenerator for DrawnIds {
    fn generate_cid(&mut self) -> ConnectionId {
        drawn_id(&self.0, ID_LEN)
    }

    fn cid_len(&self) -> usize {
        ID_LEN
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

fn drawn_id(random: &Random, length: usize) -> ConnectionId {
    let mut bytes = [0; INITIAL_ID_LEN];
    let bytes = &mut bytes[..length.min(INITIAL_ID_LEN)];
    random.fill(bytes);
    ConnectionId::new(bytes)
}

fn draw(random: &Random) -> [u8; 32] {
    let mut bytes = [0; 32];
    random.fill(&mut bytes);
    bytes
}

struct Wall(WallClock);

impl TimeSource for Wall {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.now_ms())
    }
}
