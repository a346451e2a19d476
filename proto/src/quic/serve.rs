//! The answering side: takes connections, reads requests and hands each to a handler in a task of its own.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use bytes::Bytes;
use quinn::{Connection, Incoming, RecvStream, SendStream, VarInt};
use tokio::{sync::watch, task::JoinSet, time::timeout};
use tracing::{debug, info, warn};

use super::{
    Endpoint, Peer, QuicError, Responder, StreamCode, Tuning,
    agree::{self, Agreed},
    datagram, error,
    frame::{next_frame, read_payload, within},
    gauge::{self, Gauge},
    passport::Passport,
};
use crate::{
    clock::WallClock,
    level::Level,
    message::{Datagram, Request},
    view::Removed,
};

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Whether those who show no certificate may ask what [`Request::is_for_strangers`]. The endpoint must let them in
    /// too: [`super::Identity::admitting_strangers`].
    const STRANGERS: bool = false;

    /// Answers `request`. Runs in a task of its own, which ends with the connection; a panic costs the stream alone.
    ///
    /// # Errors
    /// What is returned is counted and logged at debug level; the stream is reset unless it was finished.
    fn handle(&self, request: Request, reply: Responder) -> impl Future<Output = Result<(), QuicError>> + Send;

    /// Takes what a peer tells without wanting an answer; the rest of the datagram is `content`. Must not block. Those who
    /// show no certificate are not heard. By default nothing is taken.
    fn datagram(&self, peer: &Peer, header: Datagram, content: Bytes) {
        let _ = (peer, header, content);
    }
}

/// Takes connections until `shutdown` resolves, then lets the streams that are open end, for [`Tuning::drain`] at most,
/// and closes the connections that were made to us. Those that we made stay.
///
/// A peer that misbehaves costs its own connection and is logged once with the reason.
pub async fn serve<H: Handler>(endpoint: &Endpoint, handler: Arc<H>, shutdown: impl Future<Output = ()>) {
    let (draining, drain) = watch::channel(false);
    let pending = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            incoming = endpoint.quic.accept() => match incoming {
                Some(incoming) => {
                    if let Some(admitted) = Admitted::new(incoming, &pending, &endpoint.tuning) {
                        connections.spawn(take(admitted, handler.clone(), endpoint.clone(), drain.clone()));
                    }
                }
                None => break,
            }
        }
    }
    let _ = draining.send(true);
    while !connections.is_empty() {
        tokio::select! {
            biased;
            _ = connections.join_next() => {}
            Some(incoming) = endpoint.quic.accept() => incoming.refuse(),
        }
    }
    endpoint.quic.set_server_config(None);
}

/// A handshake that counts against [`Tuning::max_incoming`] while it lasts.
struct Admitted {
    incoming: Option<Incoming>,
    pending: Arc<AtomicUsize>,
}

impl Admitted {
    /// Sends whoever knocks away to prove its address first when many knock.
    fn new(incoming: Incoming, pending: &Arc<AtomicUsize>, tuning: &Tuning) -> Option<Self> {
        let many = pending.load(Ordering::Relaxed) >= tuning.max_incoming / 4;
        if many && !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            return None;
        }
        pending.fetch_add(1, Ordering::Relaxed);
        Some(Self { incoming: Some(incoming), pending: pending.clone() })
    }

    async fn handshake(mut self, endpoint: &Endpoint) -> Result<Connection, String> {
        let incoming = self.incoming.take().ok_or("taken twice")?;
        let limit = endpoint.tuning.connect;
        match timeout(limit, incoming).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(agree::why_not(&error, endpoint.newest)),
            Err(_) => Err(format!("no handshake within {limit:?}")),
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn take<H: Handler>(admitted: Admitted, handler: Arc<H>, endpoint: Endpoint, drain: watch::Receiver<bool>) {
    let addr = admitted.incoming.as_ref().map(Incoming::remote_address);
    let connection = match admitted.handshake(&endpoint).await {
        Ok(connection) => connection,
        Err(why) => {
            gauge::refused("answering");
            return warn!(peer = ?addr, why, "refused a node: it must show a certificate of this platform's CA");
        }
    };
    let passport = Passport::of(&connection);
    let name = passport.as_ref().map_or("", |passport| &passport.name).to_owned();
    let (level, removed) = match admit::<H>(&connection, passport.as_ref(), &endpoint) {
        Ok(admitted) => admitted,
        Err(why) => {
            gauge::refused("answering");
            return warn!(peer = ?addr, name, why, "refused a node");
        }
    };
    let peer = Arc::new(Peer { name, addr: connection.remote_address(), level });
    info!(peer = %peer.addr, name = peer.name, version = %level, "a node connected");
    let taken = Taken::new(connection, peer.clone(), handler, &endpoint);
    let why = taken.run(drain, passport, removed).await;
    info!(peer = %peer.addr, name = peer.name, why, "a node's connection ended");
}

type Gone = watch::Receiver<Arc<Removed>>;

/// Which version is spoken with a peer whose handshake is over, and who must go later; or why it is not let in, which it
/// is told.
fn admit<H: Handler>(
    connection: &Connection,
    passport: Option<&Passport>,
    endpoint: &Endpoint,
) -> Result<(Level, Gone), String> {
    let level = match Agreed::of(connection) {
        Agreed::On(level) => level,
        Agreed::Nothing(theirs) => {
            let why = agree::refusal(theirs, endpoint.newest);
            connection.close(StreamCode::NoVersion.code(), why.as_bytes());
            return Err(why);
        }
    };
    let stranger = H::STRANGERS && connection.peer_identity().is_none();
    if passport.is_none() && !stranger {
        let why = "its certificate carries no DNS name";
        connection.close(StreamCode::BadRequest.code(), why.as_bytes());
        return Err(why.to_owned());
    }
    let removed = endpoint.removed();
    let gone = passport.is_some_and(|passport| passport.cuts_off(connection, &removed.borrow()));
    if gone { Err("it was removed from the platform".to_owned()) } else { Ok((level, removed)) }
}

/// A connection that was made to us.
struct Taken<H> {
    connection: Connection,
    handler: Arc<H>,
    clock: WallClock,
    tuning: Arc<Tuning>,
    granted: u32,
    peer: Arc<Peer>,
    count: Arc<Count>,
    streams: JoinSet<()>,
}

#[derive(Default)]
struct Count {
    followers: AtomicU32,
    bad_requests: AtomicU32,
}

/// A peer whose requests can't be read may be a version ahead, or mad. This many are let pass.
const MAX_BAD_REQUESTS: u32 = 16;

impl<H: Handler> Taken<H> {
    fn new(connection: Connection, peer: Arc<Peer>, handler: Arc<H>, endpoint: &Endpoint) -> Self {
        let (tuning, clock) = (endpoint.tuning.clone(), endpoint.doors.clock.clone());
        let granted = tuning.streams_at_first();
        Self { connection, handler, clock, tuning, granted, peer, count: Arc::default(), streams: JoinSet::new() }
    }

    /// Serves until the connection ends or is drained; tells why it ended.
    async fn run(mut self, mut drain: watch::Receiver<bool>, passport: Option<Passport>, mut removed: Gone) -> String {
        let mut gauge = Gauge::new("answering", &self.peer.name);
        let mut tick = tokio::time::interval(gauge::PERIOD);
        loop {
            tokio::select! {
                biased;
                _ = drain.wait_for(|draining| *draining) => break,
                Ok(()) = removed.changed() => {
                    if passport.as_ref().is_some_and(|it| it.cuts_off(&self.connection, &removed.borrow_and_update())) {
                        return "it was removed from the platform".to_owned();
                    }
                }
                Some(_) = self.streams.join_next(), if !self.streams.is_empty() => {}
                stream = self.connection.accept_bi() => match stream {
                    Ok((send, receive)) => self.begin(send, receive),
                    Err(error) => return error::why_not(&error),
                },
                datagram = self.connection.read_datagram() => match datagram {
                    Ok(bytes) => datagram::hear(&*self.handler, &self.peer, &bytes),
                    Err(error) => return error::why_not(&error),
                },
                _ = tick.tick() => gauge.sample(&self.connection),
            }
        }
        let streams = &mut self.streams;
        let _ = timeout(self.tuning.drain, async { while streams.join_next().await.is_some() {} }).await;
        self.connection.close(StreamCode::ShuttingDown.code(), b"shutting down");
        "shutting down".to_owned()
    }

    fn begin(&mut self, send: SendStream, receive: RecvStream) {
        let reply = Responder::new(send, self.peer.clone());
        let asked = Asked {
            handler: self.handler.clone(),
            clock: self.clock.clone(),
            tuning: self.tuning.clone(),
            connection: self.connection.clone(),
            count: self.count.clone(),
        };
        self.streams.spawn(asked.answer(receive, reply));
        self.grant_more();
    }

    /// Every granted stream costs memory, so a peer is granted more only when it uses half of what it has.
    fn grant_more(&mut self) {
        if self.granted < self.tuning.streams && self.streams.len() as u32 >= self.granted / 2 {
            self.granted = self.granted.saturating_mul(2).min(self.tuning.streams);
            self.connection.set_max_concurrent_bi_streams(VarInt::from_u32(self.granted));
        }
    }
}

/// One request.
struct Asked<H> {
    handler: Arc<H>,
    clock: WallClock,
    tuning: Arc<Tuning>,
    connection: Connection,
    count: Arc<Count>,
}

impl<H: Handler> Asked<H> {
    async fn answer(self, mut receive: RecvStream, reply: Responder) {
        let stranger = reply.peer().is_stranger();
        let (request, body) = match within(self.tuning.request, read_request(&mut receive, stranger)).await {
            Ok(asked) => asked,
            Err(error) => return self.complain(reply, &error),
        };
        let reply = reply.with_body(body);
        let verb = request.verb();
        let Some(_place) = Place::take(&request, &self.count, &self.tuning) else {
            gauge::request("answering", verb, Err(&QuicError::Reset(StreamCode::Busy)));
            return reply.refuse(StreamCode::Busy);
        };
        let answered = match request {
            Request::Clock => tell_time(&self.clock, reply).await,
            request => self.handler.handle(request, reply).await,
        };
        gauge::request("answering", verb, answered.as_ref());
        if let Err(error) = answered {
            debug!(peer = %self.connection.remote_address(), verb, %error, "a request went unanswered");
        }
    }

    fn complain(&self, reply: Responder, error: &QuicError) {
        gauge::request("answering", "unreadable", Err(error));
        if matches!(error, QuicError::Lost(_) | QuicError::Reset(_)) {
            return;
        }
        let before = self.count.bad_requests.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            warn!(peer = %reply.peer().addr, name = reply.peer().name, %error, "a node sends unreadable requests");
        }
        reply.refuse(StreamCode::BadRequest);
        if before + 1 >= MAX_BAD_REQUESTS {
            self.connection.close(StreamCode::BadRequest.code(), b"too many unreadable requests");
        }
    }
}

async fn tell_time(clock: &WallClock, mut reply: Responder) -> Result<(), QuicError> {
    reply.write_frame(&clock.now_ms()).await?;
    reply.finish().await
}

/// A request is one frame, its body and the end of the asker's half. A stranger may ask only what is for strangers.
async fn read_request(receive: &mut RecvStream, stranger: bool) -> Result<(Request, Bytes), QuicError> {
    let request: Request = next_frame(receive, Request::MAX_FRAME).await?.ok_or(QuicError::Short { missing: 4 })?;
    if stranger && !request.is_for_strangers() {
        return Err(QuicError::Stranger);
    }
    let (length, limit) = (request.body_length(), Request::MAX_BODY);
    if length > limit {
        return Err(QuicError::TooLong { length: length.into(), limit: limit.into() });
    }
    let body = read_payload(receive, length.into()).await?;
    match receive.read_chunk(1, true).await? {
        None => Ok((request, body)),
        Some(_) => Err(QuicError::Trailing),
    }
}

/// A follower's place among a connection's streams; other requests need none.
struct Place<'a>(Option<&'a AtomicU32>);

impl<'a> Place<'a> {
    fn take(request: &Request, count: &'a Count, tuning: &Tuning) -> Option<Self> {
        if !matches!(request, Request::Follow { .. } | Request::Watch { .. }) {
            return Some(Self(None));
        }
        let place = Self(Some(&count.followers));
        let before = count.followers.fetch_add(1, Ordering::Relaxed);
        (before < tuning.follower_streams()).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(followers) = self.0 {
            followers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
