//! The way to the chat hub, which stands beside the edge: connections that ask for `/chat/…` leave HTTP and become its own,
//! and the API's requests for a channel's chat are answered by it.

use std::{any::Any, net::IpAddr, sync::Arc};

use bytes::Bytes;
use freshet_proto::api::{ApiReply, ApiRequest};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use tokio::net::TcpStream;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    Shared, Socket,
    budget::Guest,
    http::{Caller, body::Body, reply},
    stats::Line,
    upstream::BoxFuture,
};

/// What lies below this is the hub's.
pub(crate) const CHAT: &str = "/chat/";

/// The chat hub beside an edge.
pub trait Hub: Send + Sync + 'static {
    /// Answers `request`, a `GET` under `/chat/` over HTTP/1.1, whatever it holds, and has the connection from then on.
    fn take(&self, request: Parts, line: Handed);

    /// Answers a request for `/api/streams/{id}/chat`; who asks is in `x-client-*`, as for a control node.
    fn ask(&self, request: ApiRequest) -> BoxFuture<'static, (ApiReply, Bytes)>;
}

/// A connection that is handed over.
pub struct Handed {
    /// The socket.
    pub socket: Raw,
    /// What was read from it and not looked at: it comes before what the socket says next.
    pub ahead: Bytes,
    /// Who is at its other end.
    pub peer: IpAddr,
    /// Keep this for as long as the connection lasts.
    pub stay: Stay,
}

/// A connection counts as the edge's, and a drain waits for it, until this is dropped.
pub struct Stay {
    edge: Arc<Shared>,
    _guest: Arc<Guest>,
    _token: TaskTrackerToken,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.edge.stats.line(Line::Chat).down();
    }
}

/// A socket, as it came.
pub enum Raw {
    /// Without TLS.
    Plain(TcpStream),
    /// Any other.
    Other(Box<dyn Socket>),
}

impl Raw {
    /// Finds out what `socket` is.
    pub(crate) fn of<S: Socket>(socket: S) -> Self {
        let mut slot = Some(socket);
        if let Some(plain) = (&mut slot as &mut dyn Any).downcast_mut::<Option<TcpStream>>().and_then(Option::take) {
            return Self::Plain(plain);
        }
        match slot {
            Some(socket) => Self::Other(Box::new(socket)),
            None => unreachable!("only a plain socket is taken"),
        }
    }
}

impl Caller {
    /// Who takes the connection over, where it asks for chat.
    pub(crate) fn hub(&self, request: &Parts) -> Option<Arc<dyn Hub>> {
        let hub = self.edge.chat.get().filter(|_| request.uri.path().starts_with(CHAT));
        hub.filter(|_| request.method == Method::GET).cloned()
    }

    /// Its place, beyond its life as an HTTP connection.
    pub(crate) fn stay(&self) -> Stay {
        self.edge.stats.line(Line::Chat).up();
        Stay { edge: self.edge.clone(), _guest: self.guest.clone(), _token: self.edge.connections.token() }
    }

    /// Who answers the API at `path`, where that is a channel's chat.
    pub(crate) fn chat_at(&self, path: &str) -> Option<&Arc<dyn Hub>> {
        let name = path.strip_prefix("/api/streams/")?.strip_suffix("/chat")?;
        self.edge.chat.get().filter(|_| !name.contains('/'))
    }

    /// What is told to whoever asks for chat in another way than HTTP/1.1's (RFC 9110 §15.5.22).
    pub(crate) fn upgrade_required(&self) -> Response<Body> {
        let mut response = reply::bare(StatusCode::UPGRADE_REQUIRED, 0, &self.edge.dates);
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response
    }
}
