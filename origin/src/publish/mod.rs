//! Takes encoders in: RTMP and RTMPS listeners, and what becomes of each connection.
//!
//! ```text
//! TcpListener ──gate──▶ (TLS) ──▶ Connection: Wire ⇄ rtmp::Session ──▶ Publication ──frames──▶ Broadcast
//!                                                                         └──▶ Told ──▶ registry
//! ```
//! One task a connection. A hostile peer costs its own connection only, and is logged once with the reason.

mod close;
mod connection;
mod gate;
mod publication;
mod rtt;
mod told;
mod wire;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use self::{close::Close, connection::Connection};
pub(crate) use self::{
    gate::{Gate, Pass},
    rtt::{Ends, RoundTrips},
};
use crate::{Inner, meter, serve::Count};

/// How long to wait when the system can't accept: it lacks file descriptors or memory, and others must end first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whose connection it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) peer: SocketAddr,
    /// Of the system's connection; `None` where it has none.
    pub(crate) ends: Option<Ends>,
}

impl Inner {
    /// Takes connections until `shutdown` resolves. Those that are open then go on.
    pub(crate) async fn listen(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        shutdown: impl Future<Output = ()>,
    ) {
        let tls = tls.map(TlsAcceptor::from);
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer, tls.clone()),
                Err(error) => self.pause(&error).await,
            }
        }
    }

    async fn pause(&self, error: &io::Error) {
        meter::closed("accept");
        warn!(%error, "an encoder's connection could not be accepted");
        sleep(ACCEPT_PAUSE).await;
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>) {
        let Some(pass) = self.pass(peer) else { return };
        let inner = self.clone();
        let line = Line { peer, ends: stream.local_addr().ok().map(|local| Ends { local, peer }) };
        self.tasks.spawn(async move {
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%peer, %error, "no TCP_NODELAY");
            }
            match tls {
                None => inner.serve_connection(stream, line, Instant::now(), pass).await,
                Some(tls) => inner.serve_tls(stream, line, &tls, pass).await,
            }
        });
    }

    /// A place for `peer`, or `None` after the reason was logged.
    pub(crate) fn pass(&self, peer: SocketAddr) -> Option<Pass> {
        self.gate
            .enter(peer.ip())
            .inspect_err(|why| {
                meter::closed("full");
                warn!(%peer, %why, "an encoder's connection was closed unread");
            })
            .ok()
    }

    async fn serve_tls(self: Arc<Self>, stream: TcpStream, line: Line, tls: &TlsAcceptor, pass: Pass) {
        let since = Instant::now();
        let limit = self.config.handshake_timeout();
        let close = match timeout_at(since + limit, tls.accept(stream)).await {
            Ok(Ok(stream)) => return self.serve_connection(stream, line, since, pass).await,
            Ok(Err(error)) => Close::Tls(error),
            Err(_) => Close::TooSlow { awaited: "TLS handshake", limit },
        };
        meter::closed(close.label());
        warn!(peer = %line.peer, why = %close, "an encoder's connection was ended");
    }

    pub(crate) async fn serve_connection<S>(self: Arc<Self>, stream: S, line: Line, since: Instant, _pass: Pass)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let _count = Count::up(&self.meters.connections);
        Connection::new(self, stream, line, since).run().await;
    }
}
