//! The HTTP face: sockets in, replies out.
//!
//! ```text
//! accept ─▶ budget ─▶ TLS ─┬▶ h1 ─┐
//!                          └▶ h2 ─┴▶ route ─▶ live (playlists, objects) · api · site
//! ```
//! Every phase of a connection has its deadline: handshake, first byte, request head, body, idleness.

mod asked;
pub(crate) mod body;
pub(crate) mod date;
mod h1;
mod h2;
mod keeper;
mod objects;
pub(crate) mod playlists;
mod range;
mod raw;
pub(crate) mod reply;
mod route;
mod sessions;
mod wire;

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub(crate) use self::wire::Busy;
use crate::{
    Shared,
    budget::Guest,
    config::ms,
    stats::{Cut, Line},
};

/// What a viewer's bytes come over.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for S {}

/// The certificate that new connections are shown.
pub(crate) type Tls = watch::Receiver<Arc<rustls::ServerConfig>>;

/// A connection as its requests see it.
#[derive(Clone)]
pub(crate) struct Caller {
    pub edge: Arc<Shared>,
    pub guest: Arc<Guest>,
}

/// Accepts until `shutdown` or until the edge drains.
pub(crate) async fn accept(edge: Arc<Shared>, listener: TcpListener, tls: Option<Tls>, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            () = edge.draining.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => welcome(&edge, socket, peer, tls.as_ref()),
            Err(error) => {
                // Out of file descriptors, most likely: accepting again at once would only spin.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ms(50)).await;
            }
        }
    }
}

fn welcome(edge: &Arc<Shared>, socket: TcpStream, peer: SocketAddr, tls: Option<&Tls>) {
    // A small reply must not wait for the viewer's acknowledgement of the one before.
    let _ = socket.set_nodelay(true);
    let Some(caller) = admit(edge, peer) else { return };
    match tls.map(|tls| Arc::clone(&tls.borrow())) {
        Some(config) => drop(edge.connections.spawn(serve_tls(socket, caller, config))),
        None => drop(edge.connections.spawn(serve_plain(socket, caller))),
    }
}

/// Lets `peer` in if the budgets allow it.
pub(crate) fn admit(edge: &Arc<Shared>, peer: SocketAddr) -> Option<Caller> {
    match edge.budget.admit(peer) {
        Ok(guest) => Some(Caller { edge: Arc::clone(edge), guest }),
        Err(why) => {
            edge.stats.dropped(why);
            tracing::debug!(%peer, why = why.as_str(), "connection refused");
            None
        }
    }
}

/// HTTP/1.1 over `socket`.
pub(crate) async fn serve_plain<S: Socket>(socket: S, caller: Caller) {
    let edge = Arc::clone(&caller.edge);
    edge.stats.line(Line::Http1).up();
    let cut = h1::serve(socket, caller).await;
    edge.stats.line(Line::Http1).down();
    note(&edge, cut);
}

/// HTTP/2 or HTTP/1.1 over TLS, as the client wishes.
async fn serve_tls<S: Socket>(socket: S, caller: Caller, config: Arc<rustls::ServerConfig>) {
    let edge = Arc::clone(&caller.edge);
    let handshake = Box::pin(TlsAcceptor::from(config).accept(socket));
    let stream = match timeout(ms(edge.config.http.open_timeout_ms), handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(_)) => return note(&edge, Some(Cut::Tls)),
        Err(_) => return note(&edge, Some(Cut::Open)),
    };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let line = if http2 { Line::Https2 } else { Line::Https1 };
    edge.stats.line(line).up();
    let cut = match http2 {
        true => Box::pin(h2::serve(stream, caller)).await,
        false => h1::serve(stream, caller).await,
    };
    edge.stats.line(line).down();
    note(&edge, cut);
}

fn note(edge: &Shared, cut: Option<Cut>) {
    if let Some(why) = cut {
        edge.stats.dropped(why);
        tracing::debug!(why = why.as_str(), "connection ended");
    }
}
