//! The life of an HTTP/2 connection. Requests that wait are streams that wait; a reset stream drops its wait.

use std::{
    convert::Infallible,
    future::{Future, poll_fn, ready},
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
};

use http::{Method, Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::Service};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::{Instant, sleep};

use super::{
    Caller, Socket,
    body::Body,
    h1::Pickup,
    keeper::{Keeper, Verdict},
    reply::Reply,
    wire::{Pulse, Wire},
};
use crate::{
    config::{HttpConfig, ms},
    stats::Cut,
};

/// What of a body is handed to HTTP/2 at once: what makes, with the 9 bytes of its frame's head (RFC 9113 §4.1), one full
/// TLS record. The largest frame would make two, the second of 9 bytes, and cost the encryption of both.
const PIECE: usize = (16 << 10) - 9;

/// Serves `socket` until it ends; says why the edge ended it, if it did.
pub(crate) async fn serve<S: Socket>(socket: S, caller: Caller) -> Option<Cut> {
    let config = caller.edge.config.http.clone();
    let wire = Wire::new(socket);
    let pulse = Arc::clone(wire.pulse());
    let clerk = Clerk { caller: caller.clone(), pulse: Arc::clone(&pulse) };
    let mut builder = engine(&config);
    if caller.edge.chat.get().is_some() {
        builder.enable_connect_protocol();
    }
    let mut engine = Box::pin(builder.serve_connection(TokioIo::new(wire), clerk));
    let mut keeper = Keeper::new(&config, &pulse);
    let mut tick = Box::pin(sleep(keeper.period()));
    let mut last = (0, Instant::now());
    let mut closing: Option<Instant> = None;
    poll_fn(|cx| {
        if let Poll::Ready(result) = engine.as_mut().poll(cx) {
            return Poll::Ready(result.err().map(|_| Cut::Protocol));
        }
        while tick.as_mut().poll(cx).is_ready() {
            if let Verdict::Cut(why @ Cut::Slow) = keeper.look(&pulse) {
                return Poll::Ready(Some(why));
            }
            let now = Instant::now();
            let requests = pulse.requests.load(Relaxed);
            if requests != last.0 || pulse.busy.load(Relaxed) > 0 {
                last = (requests, now);
            }
            let quiet = now.duration_since(last.1);
            if requests == 0 && quiet >= ms(config.open_timeout_ms) {
                return Poll::Ready(Some(Cut::Open));
            }
            if closing.is_none() && (quiet >= ms(config.idle_timeout_ms) || caller.edge.draining.is_cancelled()) {
                closing = Some(now);
                engine.as_mut().graceful_shutdown();
            }
            // Streams whose windows stay shut would keep the connection for ever.
            if closing.is_some_and(|since| now.duration_since(since) >= ms(config.drain_timeout_ms)) {
                return Poll::Ready(Some(Cut::Slow));
            }
            tick.as_mut().reset(now + keeper.period());
        }
        Poll::Pending
    })
    .await
}

/// Every limit is said: the defaults are not made for strangers.
fn engine(config: &HttpConfig) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.h2_streams)
        .max_header_list_size(config.h2_header_list_bytes)
        .max_pending_accept_reset_streams(config.h2_pending_resets)
        .max_local_error_reset_streams(1024)
        .header_table_size(4096)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(256 << 10)
        .max_frame_size(16 << 10)
        .max_send_buf_size(256 << 10)
        .keep_alive_interval(ms(config.h2_ping_ms))
        .keep_alive_timeout(ms(config.h2_ping_ms))
        .auto_date_header(false);
    builder
}

struct Clerk {
    caller: Caller,
    pulse: Arc<Pulse>,
}

impl Service<Request<Incoming>> for Clerk {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pickup;

    fn call(&self, mut request: Request<Incoming>) -> Pickup {
        if request.method() == Method::CONNECT
            && let Some(response) = self.caller.open_chat(&mut request, self.pulse.begin())
        {
            return Pickup::Now(ready(Ok(response)));
        }
        let busy = self.pulse.begin();
        let (parts, body) = request.into_parts();
        match self.caller.receive(parts, body) {
            Reply::Now(response) => Pickup::Now(ready(Ok(response.map(|body| body.in_pieces_of(PIECE).with(busy))))),
            Reply::Later(answer) => {
                let caller = self.caller.clone();
                let reply: Pin<Box<dyn Future<Output = Result<_, Infallible>> + Send>> = Box::pin(async move {
                    Ok(answer.await.into_response(&caller.edge).map(|body| body.in_pieces_of(PIECE).with(busy)))
                });
                Pickup::Later(reply)
            }
        }
    }
}
