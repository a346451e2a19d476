//! The way to the chat hub, which stands beside the edge: connections that ask for `/chat/…` leave HTTP and become its own,
//! and the API's requests for a channel's chat are answered by it.

use std::{any::Any, net::IpAddr, sync::Arc};

use bytes::Bytes;
use freshet_proto::api::{ApiReply, ApiRequest};
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use hyper::{body::Incoming, ext::Protocol};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    Shared, Socket,
    budget::Guest,
    http::{Busy, Caller, body::Body, reply},
    stats::{Kind, Line},
    upstream::BoxFuture,
};

/// What lies below this is the hub's.
pub(crate) const CHAT: &str = "/chat/";

/// The chat hub beside an edge.
pub trait Hub: Send + Sync + 'static {
    /// Answers `request`, a `GET` under `/chat/` over HTTP/1.1, whatever it holds, and has the connection from then on.
    fn take(&self, request: Parts, line: Handed);

    /// Answers an extended CONNECT (RFC 8441 §4) under `/chat/`, whatever it holds. Where the answer is 200, the stream is the
    /// hub's from then on.
    fn open(&self, request: Parts, line: Opened) -> Response<Bytes>;

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

/// A stream of HTTP/2 that is handed over.
pub struct Opened {
    /// Its `:protocol`.
    pub protocol: String,
    /// The stream, once the answer has been sent; `None` where it could not be.
    pub stream: BoxFuture<'static, Option<Box<dyn Socket>>>,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// Keep this for as long as the stream lasts.
    pub stay: Stay,
}

/// A connection counts as the edge's, and a drain waits for it, until this is dropped.
pub struct Stay {
    edge: Arc<Shared>,
    _guest: Arc<Guest>,
    _token: TaskTrackerToken,
    /// Its connection is not idle.
    _busy: Option<Busy>,
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
    pub(crate) fn stay(&self, busy: Option<Busy>) -> Stay {
        self.edge.stats.line(Line::Chat).up();
        let (edge, guest) = (self.edge.clone(), self.guest.clone());
        Stay { _token: edge.connections.token(), edge, _guest: guest, _busy: busy }
    }

    /// Hands an extended CONNECT to the hub, where it asks for chat; `None` where it does not.
    pub(crate) fn open_chat(&self, request: &mut Request<Incoming>, busy: Busy) -> Option<Response<Body>> {
        let protocol = request.extensions().get::<Protocol>()?.as_str().to_owned();
        let hub = self.edge.chat.get().filter(|_| request.uri().path().starts_with(CHAT))?.clone();
        let upgraded = hyper::upgrade::on(&mut *request);
        let stream = Box::pin(async move {
            let upgraded = upgraded.await.ok()?;
            Some(Box::new(TokioIo::new(upgraded)) as Box<dyn Socket>)
        });
        let mut head = Request::new(());
        std::mem::swap(head.headers_mut(), request.headers_mut());
        (*head.method_mut(), *head.uri_mut()) = (request.method().clone(), request.uri().clone());
        *head.version_mut() = request.version();
        let line = Opened { protocol, stream, peer: self.guest.ip(), stay: self.stay(Some(busy)) };
        let (told, body) = hub.open(head.into_parts().0, line).into_parts();
        let mut response = reply::begin(told.status, &self.edge.dates);
        response.headers_mut().extend(told.headers);
        *response.body_mut() = Body::from(body);
        self.edge.stats.answered(Kind::Api, response.status(), response.body().len());
        Some(response)
    }

    /// Who answers the API at `path`, where that is a channel's chat.
    pub(crate) fn chat_at(&self, path: &str) -> Option<&Arc<dyn Hub>> {
        let name = path.strip_prefix("/api/streams/")?.strip_suffix("/chat")?;
        self.edge.chat.get().filter(|_| !name.contains('/'))
    }

    /// What is told to whoever asks for chat in another way (RFC 9110 §15.5.22).
    pub(crate) fn upgrade_required(&self) -> Response<Body> {
        let mut response = reply::bare(StatusCode::UPGRADE_REQUIRED, 0, &self.edge.dates);
        response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        response
    }
}
