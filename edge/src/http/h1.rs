//! The life of an HTTP/1.1 connection.
//!
//! ```text
//!            bytes                         a request must wait
//! dormant ──────────▶ working (hyper) ─────────────────────────▶ held ──▶ its answer is written
//!    ▲                   │ nothing for `buffers_ms`                                │
//!    └───────────────────┴─────────────────────────────────────────────────────────┘
//! ```
//! hyper keeps about 20 KB for a connection, also while nothing happens on it, and most viewers wait most of the time.
//! So hyper is given the socket only while requests arrive and replies leave; a dormant or held connection is a socket
//! and a task. The socket is taken back only when everything hyper was given has been written and nothing it has read
//! is lost: what it read ahead stands in front of the socket again. A connection that asks for `/chat/…` leaves for the
//! hub in the same manner, and does not come back.

use std::{
    convert::Infallible,
    future::{Future, Ready, poll_fn, ready},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering::Relaxed},
    task::Poll,
};

use http::{HeaderMap, Method, Request, Response, Version, header, request::Parts};
use http_body::Body as _;
use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncWriteExt,
    time::{Duration, Instant, sleep, timeout},
};

use super::{
    Caller, Socket,
    body::Body,
    keeper::{Keeper, Verdict},
    raw,
    reply::{Answer, Later, Reply},
    wire::{Busy, MOST_AHEAD, Pulse, Wire},
};
use crate::{
    chat::{Handed, Hub, Raw},
    config::ms,
    stats::Cut,
};

/// Serves `socket` until it ends; says why the edge ended it, if it did.
pub(crate) async fn serve<S: Socket>(socket: S, caller: Caller) -> Option<Cut> {
    let mut wire = Wire::new(socket);
    let mut patience = ms(caller.edge.config.http.open_timeout_ms);
    loop {
        if wire.ahead() == 0 {
            match dormant(&mut wire, &caller, patience).await {
                Woken::Bytes => {}
                Woken::Gone => return None,
                Woken::Never if patience == ms(caller.edge.config.http.open_timeout_ms) => return Some(Cut::Open),
                Woken::Never => return None,
            }
        }
        patience = ms(caller.edge.config.http.idle_timeout_ms);
        let (back, held) = match Box::pin(work(wire, &caller)).await {
            Worked::Dormant(wire) => (wire, None),
            Worked::Held(wire, held) => (wire, Some(held)),
            Worked::Left(wire, hub, request) => {
                let (socket, ahead) = wire.into_parts();
                hub.take(
                    *request,
                    Handed { socket: Raw::of(socket), ahead, peer: caller.guest.ip(), stay: caller.stay(None) },
                );
                return None;
            }
            Worked::Ended(cut) => return cut,
        };
        wire = back;
        if let Some(held) = held
            && let Err(cut) = wait(&mut wire, held, &caller).await
        {
            return cut;
        }
    }
}

enum Woken {
    Bytes,
    Gone,
    Never,
}

/// Waits for bytes with no engine and no buffer.
async fn dormant<S: Socket>(wire: &mut Wire<S>, caller: &Caller, patience: Duration) -> Woken {
    tokio::select! {
        biased;
        read = timeout(patience, wire.sip()) => match read {
            Ok(Ok(true)) => Woken::Bytes,
            Ok(_) => Woken::Gone,
            Err(_) => Woken::Never,
        },
        () = caller.edge.draining.cancelled() => Woken::Gone,
    }
}

enum Worked<S> {
    Dormant(Wire<S>),
    Held(Wire<S>, Held),
    Left(Wire<S>, Arc<dyn Hub>, Box<Parts>),
    Ended(Option<Cut>),
}

/// A request that is taken out of the engine's hands.
enum Taken {
    Held(Held),
    Chat(Arc<dyn Hub>, Box<Parts>),
}

/// A request that waits, without its engine.
struct Held {
    answer: Later,
    method: Method,
    /// Until the engine is gone: a held request is no idle time.
    busy: Busy,
}

/// Lets hyper serve requests until one must wait, nothing comes any more, or the connection ends.
async fn work<S: Socket>(wire: Wire<S>, caller: &Caller) -> Worked<S> {
    let pulse = Arc::clone(wire.pulse());
    let slot = Arc::new(Mutex::new(None));
    let clerk = Clerk { caller: caller.clone(), pulse: Arc::clone(&pulse), slot: Arc::clone(&slot) };
    let mut engine = engine(caller).serve_connection(TokioIo::new(wire), clerk);
    let mut keeper = Keeper::new(&caller.edge.config.http, &pulse);
    let mut tick = Box::pin(sleep(keeper.period()));
    let end = poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut engine).poll(cx) {
            return Poll::Ready(End::Engine(result.err().map(|_| Cut::Protocol)));
        }
        if pulse.flushed.load(Relaxed)
            && let Some(taken) = slot.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Poll::Ready(End::Taken(taken));
        }
        while tick.as_mut().poll(cx).is_ready() {
            if caller.edge.draining.is_cancelled() {
                Pin::new(&mut engine).graceful_shutdown();
            }
            match keeper.look(&pulse) {
                Verdict::Fine => tick.as_mut().reset(Instant::now() + keeper.period()),
                Verdict::Idle => return Poll::Ready(End::Dormant),
                Verdict::Cut(why) => return Poll::Ready(End::Engine(Some(why))),
            }
        }
        Poll::Pending
    })
    .await;
    match end {
        End::Engine(cut) => Worked::Ended(cut),
        End::Dormant => Worked::Dormant(take_back(engine)),
        End::Taken(Taken::Held(held)) => Worked::Held(take_back(engine), held),
        End::Taken(Taken::Chat(hub, request)) => Worked::Left(take_back(engine), hub, request),
    }
}

enum End {
    Engine(Option<Cut>),
    Dormant,
    Taken(Taken),
}

fn engine(caller: &Caller) -> http1::Builder {
    let config = &caller.edge.config.http;
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None) // the keeper sees to it, without a timer per request
        .max_headers(config.head_fields)
        .max_header_size(config.head_bytes.max(8192))
        .max_buf_size(64 << 10)
        .auto_date_header(false);
    builder
}

fn take_back<S: Socket>(engine: http1::Connection<TokioIo<Wire<S>>, Clerk>) -> Wire<S> {
    let parts = engine.into_parts();
    let mut wire = parts.io.into_inner();
    wire.unread(parts.read_buf);
    wire
}

/// Waits for a held request's answer and writes it. A viewer that goes away ends the wait at once.
async fn wait<S: Socket>(wire: &mut Wire<S>, held: Held, caller: &Caller) -> Result<(), Option<Cut>> {
    let Held { mut answer, method, busy: _busy } = held;
    let answer = loop {
        tokio::select! {
            biased;
            answer = &mut answer => break answer,
            read = wire.sip(), if wire.ahead() < MOST_AHEAD => match read {
                Ok(true) => {}
                Ok(false) | Err(_) => return Err(None),
            },
        }
    };
    write(wire, answer, &method, caller).await
}

/// Writes an answer as hyper would have. Each write must get through at the least rate.
async fn write<S: Socket>(
    wire: &mut Wire<S>,
    answer: Answer,
    method: &Method,
    caller: &Caller,
) -> Result<(), Option<Cut>> {
    let close = caller.edge.draining.is_cancelled();
    if let Some(whole) = (!close).then(|| answer.whole_http1(&caller.edge)).flatten() {
        return put(wire, &whole, caller).await;
    }
    let (head, mut body) = answer.into_response(&caller.edge).into_parts();
    put(wire, &raw::head(&head, body.len(), close), caller).await?;
    while method != Method::HEAD && !body.is_end_stream() {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(Ok(Ok(piece))) = frame.map(|frame| frame.map(http_body::Frame::into_data)) else {
            return Err(None);
        };
        put(wire, &piece, caller).await?;
    }
    if close { Err(None) } else { Ok(()) }
}

/// Writes `bytes` within the time that the least rate gives them.
async fn put<S: Socket>(wire: &mut Wire<S>, bytes: &[u8], caller: &Caller) -> Result<(), Option<Cut>> {
    let written = async {
        wire.write_all(bytes).await?;
        wire.flush().await
    };
    match timeout(Keeper::allowance(&caller.edge.config.http, bytes.len()), written).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some(Cut::Slow)),
    }
}

/// hyper's side of the counter.
struct Clerk {
    caller: Caller,
    pulse: Arc<Pulse>,
    slot: Arc<Mutex<Option<Taken>>>,
}

/// A reply for hyper: there already, to be waited for, or taken out of its hands.
#[allow(clippy::large_enum_variant)] // a box would cost most requests an allocation
pub(crate) enum Pickup {
    Now(Ready<Result<Response<Body>, Infallible>>),
    Later(Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>),
    Never,
}

impl Future for Pickup {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(reply) => Pin::new(reply).poll(cx),
            Self::Later(reply) => reply.as_mut().poll(cx),
            Self::Never => Poll::Pending,
        }
    }
}

impl Clerk {
    fn take(&self, taken: Taken) -> Pickup {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
        Pickup::Never
    }
}

impl Service<Request<Incoming>> for Clerk {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pickup;

    fn call(&self, request: Request<Incoming>) -> Pickup {
        let busy = self.pulse.begin();
        let removable =
            request.version() == Version::HTTP_11 && request.body().is_end_stream() && !wants_close(request.headers());
        let speaks_chat = request.version() == Version::HTTP_11 && request.body().is_end_stream();
        let (parts, body) = request.into_parts();
        if speaks_chat && let Some(hub) = self.caller.hub(&parts) {
            return self.take(Taken::Chat(hub, Box::new(parts)));
        }
        let method = parts.method.clone();
        match self.caller.receive(parts, body) {
            Reply::Now(response) => Pickup::Now(ready(Ok(response.map(|body| body.with(busy))))),
            Reply::Later(answer) if removable => self.take(Taken::Held(Held { answer, method, busy })),
            Reply::Later(answer) => {
                let caller = self.caller.clone();
                let reply = async move { Ok(answer.await.into_response(&caller.edge).map(|body| body.with(busy))) };
                Pickup::Later(Box::pin(reply))
            }
        }
    }
}

fn wants_close(headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"keep-alive"))
}
