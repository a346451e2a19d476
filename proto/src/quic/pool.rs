//! The asking side: one connection per peer, made when first needed and made again when lost.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use quinn::{Connection, ConnectionError};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tracing::{info, warn};

use super::{
    Endpoint, QuicError, Reader, StreamCode,
    agree::{self, Agreed},
    datagram, error,
    frame::{frame, within},
    gauge::{self, Gauge},
    passport::Passport,
    silence::Silence,
};
use crate::{
    level::Level,
    message::{Datagram, MAX_FRAME, Request},
};

/// Asks other nodes. Cheap to clone; clones share their connections.
///
/// A connection is made by a task of the pool's own: whoever asked first may leave without hurting those who wait for
/// the same peer. After a failure the peer is left alone for a while ([`super::Tuning::backoff_min`]) and whoever asks
/// meanwhile is told at once, so that a dead peer costs no request more than one attempt's time and is not hammered.
/// A connection that lived less than [`Pool::STABLE`] counts as a failure, for a peer that refuses our certificate says
/// so only after the handshake (RFC 8446 §4.4.2.4 under RFC 9001 §4.4).
#[derive(Clone, Debug)]
pub struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    lines: Mutex<BTreeMap<Key, Arc<AsyncMutex<Line>>>>,
}

type Key = (SocketAddr, String);

/// What is known of the way to one peer.
#[derive(Debug, Default)]
struct Line {
    connection: Option<(Spoken, Instant)>,
    failures: u32,
    failed: Option<Failure>,
}

/// A connection and the version of the protocol that is spoken on it.
#[derive(Debug, Clone)]
struct Spoken {
    connection: Connection,
    level: Level,
}

#[derive(Debug)]
struct Failure {
    retry_at: Instant,
    why: String,
}

impl Pool {
    /// How many peers a pool knows. Beyond it, those without a connection are forgotten.
    pub const MAX_PEERS: usize = 4096;

    /// A connection that lived this long was a good one.
    pub const STABLE: Duration = Duration::from_secs(5);

    /// A pool that connects from `endpoint`.
    pub fn new(endpoint: &Endpoint) -> Self {
        Self(Arc::new(Shared { endpoint: endpoint.clone(), lines: Mutex::default() }))
    }

    /// Sends a request to the node `server_name` at `addr` and returns its answer's stream.
    ///
    /// Takes at most [`super::Tuning::request`]. A connection that turns out to be dead is made again once; the answer
    /// itself is never asked for twice.
    ///
    /// # Errors
    /// See [`QuicError`]. That the peer refuses is often seen only when the answer is read.
    pub async fn request(&self, addr: SocketAddr, server_name: &str, request: &Request) -> Result<Reader, QuicError> {
        self.request_with(addr, server_name, request, Bytes::new()).await
    }

    /// As [`Pool::request`], with the body whose length the request tells.
    ///
    /// # Errors
    /// As [`Pool::request`].
    pub async fn request_with(
        &self,
        addr: SocketAddr,
        server_name: &str,
        request: &Request,
        body: Bytes,
    ) -> Result<Reader, QuicError> {
        let asking = self.ask((addr, server_name.to_owned()), request, body);
        let asked = within(self.0.endpoint.tuning.request, asking).await;
        gauge::request("asking", request.verb(), asked.as_ref().map(|_| &()));
        asked
    }

    /// Asks for what is answered by one frame, and reads it within `limit`.
    ///
    /// # Errors
    /// As [`Pool::request`], [`QuicError::Timeout`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        addr: SocketAddr,
        server_name: &str,
        request: &Request,
        limit: Duration,
    ) -> Result<T, QuicError> {
        within(limit, async {
            let mut reader = self.request(addr, server_name, request).await?;
            let answer = reader.read_frame(MAX_FRAME).await?;
            reader.expect_end().await?;
            Ok(answer)
        })
        .await
    }

    /// Tells a node something that needs no answer and may be lost; whether it was sent. It is not where there is no
    /// connection to the node at this moment, where the node speaks a version that doesn't know it, and where it is longer
    /// than [`Datagram::MAX`]. Waits for nothing and makes no connection.
    pub fn tell<T: Serialize + ?Sized>(
        &self,
        addr: SocketAddr,
        server_name: &str,
        header: &Datagram,
        content: &T,
    ) -> bool {
        let key = (addr, server_name.to_owned());
        let line = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let spoken = line.and_then(|line| line.try_lock().ok()?.alive());
        let Some(spoken) = spoken.filter(|spoken| spoken.level >= header.since()) else { return false };
        datagram::datagram(header, content).is_some_and(|bytes| datagram::send(&spoken.connection, bytes))
    }

    async fn ask(&self, key: Key, request: &Request, body: Bytes) -> Result<Reader, QuicError> {
        let line = self.line(&key)?;
        let connection = self.connection(&line, &key).await?;
        match open(connection, request, body.clone()).await {
            Err(QuicError::Lost(_)) => open(self.connection(&line, &key).await?, request, body).await,
            opened => opened,
        }
    }

    fn line(&self, key: &Key) -> Result<Arc<AsyncMutex<Line>>, QuicError> {
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(key) {
            return Ok(line.clone());
        }
        if lines.len() >= Self::MAX_PEERS {
            lines.retain(|_, line| line.try_lock().map_or(true, |line| line.alive().is_some()));
        }
        if lines.len() >= Self::MAX_PEERS {
            return Err(QuicError::TooManyPeers(lines.len()));
        }
        Ok(lines.entry(key.clone()).or_default().clone())
    }

    async fn connection(&self, line: &Arc<AsyncMutex<Line>>, key: &Key) -> Result<Spoken, QuicError> {
        let line = line.clone().lock_owned().await;
        if let Some(connection) = line.alive() {
            return Ok(connection);
        }
        let work = connect(self.0.endpoint.clone(), line, key.clone());
        tokio::spawn(work).await.unwrap_or(Err(QuicError::ShuttingDown))
    }
}

impl Line {
    fn alive(&self) -> Option<Spoken> {
        let (spoken, _) = self.connection.as_ref()?;
        spoken.connection.close_reason().is_none().then(|| spoken.clone())
    }

    /// Takes note of a connection that has died.
    fn bury(&mut self, endpoint: &Endpoint) {
        let Some((spoken, since)) = self.connection.take() else { return };
        match spoken.connection.close_reason() {
            Some(reason) if since.elapsed() < Pool::STABLE => self.fail(endpoint, error::why_not(&reason)),
            _ => self.failures = 0,
        }
    }

    fn fail(&mut self, endpoint: &Endpoint, why: String) {
        let tuning = &endpoint.tuning;
        let whole = tuning.backoff_min.saturating_mul(1 << self.failures.min(16)).min(tuning.backoff_max);
        let half = whole / 2;
        let drawn = endpoint.random.below(half.as_micros() as u64 + 1);
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(Failure { retry_at: Instant::now() + half + Duration::from_micros(drawn), why });
    }

    fn unreachable(&self, key: &Key) -> Option<QuicError> {
        let failure = self.failed.as_ref()?;
        let retry_in = failure.retry_at.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())?;
        let (peer, server_name) = key.clone();
        Some(QuicError::Unreachable { peer, server_name, why: failure.why.clone(), retry_in })
    }
}

/// Makes the connection, unless the peer is to be left alone. Holds the line meanwhile, so that others wait for it.
async fn connect(endpoint: Endpoint, mut line: OwnedMutexGuard<Line>, key: Key) -> Result<Spoken, QuicError> {
    line.bury(&endpoint);
    if let Some(error) = line.unreachable(&key) {
        return Err(error);
    }
    match handshake(&endpoint, &key).await {
        Ok(spoken) => {
            line.failed = None;
            line.connection = Some((spoken.clone(), Instant::now()));
            tokio::spawn(attend(spoken.clone(), key.1, endpoint));
            Ok(spoken)
        }
        Err(why) => {
            gauge::refused("asking");
            warn!(peer = %key.0, name = key.1, why, "cannot reach a node");
            line.fail(&endpoint, why.clone());
            Err(line.unreachable(&key).unwrap_or(QuicError::Unreachable {
                peer: key.0,
                server_name: key.1,
                why,
                retry_in: Duration::ZERO,
            }))
        }
    }
}

async fn handshake(endpoint: &Endpoint, (addr, name): &Key) -> Result<Spoken, String> {
    let connecting =
        endpoint.quic.connect_with(endpoint.client(), *addr, name).map_err(|error| error::why_not_tried(&error))?;
    let limit = endpoint.tuning.connect;
    let connection = match timeout(limit, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return Err(agree::why_not(&error, endpoint.newest)),
        Err(_) => return Err(format!("no answer within {limit:?}")),
    };
    if Passport::of(&connection).is_some_and(|passport| passport.cuts_off(&connection, &endpoint.removed().borrow())) {
        return Err("it was removed from the platform".to_owned());
    }
    match Agreed::of(&connection) {
        Agreed::On(level) => Ok(Spoken { connection, level }),
        // It is about to say why.
        Agreed::Nothing(_) => match timeout(limit, connection.closed()).await {
            Ok(reason) => Err(error::why_not(&reason)),
            Err(_) => Err("it shares no version of the node protocol with this node".to_owned()),
        },
    }
}

/// Counts the connection until it ends, and logs its end once. Ends it when the peer is removed from the platform, or dead.
async fn attend(Spoken { connection, level }: Spoken, name: String, endpoint: Endpoint) {
    info!(peer = %connection.remote_address(), name, version = %level, "connected to a node");
    let (passport, mut removed) = (Passport::of(&connection), endpoint.removed());
    let (mut silence, mut look) = (Silence::default(), interval(Silence::period(endpoint.tuning.idle)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    drop(endpoint);
    removed.mark_changed();
    let mut gauge = Gauge::new("asking", &name);
    let mut tick = interval(gauge::PERIOD);
    let reason = loop {
        tokio::select! {
            biased;
            reason = connection.closed() => break reason,
            Ok(()) = removed.changed() => {
                passport.as_ref().map(|passport| passport.cuts_off(&connection, &removed.borrow_and_update()));
            }
            _ = tick.tick() => gauge.sample(&connection),
            _ = look.tick() => if silence.is_death(connection.stats().udp_rx.datagrams) {
                connection.close(StreamCode::Unwanted.code(), b"no answer");
                break ConnectionError::TimedOut;
            },
        }
    };
    info!(peer = %connection.remote_address(), name, why = error::why_not(&reason), "the connection to a node ended");
}

async fn open(spoken: Spoken, request: &Request, body: Bytes) -> Result<Reader, QuicError> {
    let Spoken { connection, level } = spoken;
    if level < request.since() {
        return Err(QuicError::Older { spoken: level, needed: request.since() });
    }
    let (mut send, receive) = connection.open_bi().await?;
    send.write_chunk(frame(request)?).await?;
    if !body.is_empty() {
        send.write_chunk(body).await?;
    }
    send.finish().map_err(|_| QuicError::Reset(StreamCode::Unwanted))?;
    Ok(Reader::new(receive, connection))
}
