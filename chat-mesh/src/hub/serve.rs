//! From a request to a connection: the handshake, and who is turned away before it.

use std::{net::IpAddr, sync::Arc};

use bytes::{Bytes, BytesMut};
use freshet_proto::id::ChannelName;
use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, split},
    net::TcpStream,
    time::{Duration, Instant, timeout},
};

use super::{
    Hub,
    carrier::Carrier,
    connection::{self, Dialect, Life},
    door::{Access, Holder},
    doors::Doing,
    inbox::Inbox,
    lobby::{NoPlace, Place},
    reply,
};
use crate::{
    fanout::{Sink, tune},
    protocol::Session,
    ws::{Limits, Peer, handshake::Asked},
};

/// What the native protocol is called as a subprotocol.
pub const SUBPROTOCOL: &str = "freshet.chat.v1";

/// What lies below this is a channel's chat.
const CHAT: &str = "/chat/";

/// How long an answer to a handshake may take to be written.
const ANSWER: Duration = Duration::from_secs(10);

/// For how many seconds somebody who was turned away should stay away.
const AWAY_S: u16 = 5;

/// Both directions of a connection.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Duplex for S {}

/// A socket, as it came.
pub enum Socket {
    /// Without TLS.
    Tcp(TcpStream),
    /// Any other.
    Other(Box<dyn Duplex>),
}

/// Who asks for chat over HTTP/1.1.
pub struct Caller {
    /// The request.
    pub request: Parts,
    /// What it came over.
    pub socket: Socket,
    /// What came after the request already.
    pub ahead: Bytes,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// Kept for as long as the connection lasts.
    pub stay: Box<dyn Send>,
}

/// Who asks for chat over HTTP/2, by an extended CONNECT (RFC 8441).
pub struct Opener {
    /// The request.
    pub request: Parts,
    /// Its `:protocol`.
    pub protocol: String,
    /// The stream, once the answer has been sent; `None` where it could not be.
    pub stream: Doing<Option<Box<dyn Duplex>>>,
    /// Who is at the other end.
    pub peer: IpAddr,
    /// Kept for as long as the connection lasts.
    pub stay: Box<dyn Send>,
}

/// Somebody who is let in.
struct Welcome {
    response: Response<()>,
    deflate: bool,
    inbox: Arc<Inbox>,
    session: Session,
    place: Place,
}

/// What a connection speaks and in what it travels.
pub(super) struct Spoken<D> {
    pub dialect: D,
    pub carrier: Carrier,
    pub deflate: bool,
    pub inbox: Arc<Inbox>,
    pub place: Place,
    /// Kept for as long as the connection lasts.
    pub stay: Box<dyn Send>,
}

impl Welcome {
    fn spoken(self, stay: Box<dyn Send>) -> Spoken<Session> {
        let Self { deflate, inbox, session, place, .. } = self;
        let carrier = Carrier::WebSocket(Peer::new(Limits::default(), deflate));
        Spoken { dialect: session, carrier, deflate, inbox, place, stay }
    }
}

/// Somebody who is not.
pub(super) struct Turned {
    pub response: Response<()>,
    /// For the statistics.
    pub why: &'static str,
    /// For them.
    pub text: String,
}

impl Hub {
    /// Answers a request for a WebSocket, and serves the connection until it ends.
    pub async fn serve(self, caller: Caller) {
        let Caller { request, socket, ahead, peer, stay } = caller;
        let welcome = match self.admit(&request, None, peer) {
            Ok(welcome) => welcome,
            Err(turned) => {
                self.shared.stats.turned_away(turned.why);
                tracing::debug!(%peer, why = turned.why, "a chat connection was turned away");
                return Box::pin(refuse(socket, reply::written(&turned.response, Some(&turned.text)))).await;
            }
        };
        drop(request);
        let answer = reply::written(&welcome.response, None);
        self.talk(socket, &answer, &ahead, welcome.spoken(stay)).await;
    }

    /// Sends `answer`, if there is one, and serves the connection until it ends.
    pub(super) async fn talk<D: Dialect>(self, socket: Socket, answer: &[u8], ahead: &Bytes, spoken: Spoken<D>) {
        match socket {
            Socket::Tcp(mut socket) => {
                let _ = tune(&socket);
                if !Box::pin(answered(&mut socket, answer)).await {
                    return;
                }
                let (reader, writer) = socket.into_split();
                self.live(spoken, reader, Sink::tcp(writer), ahead).await;
            }
            Socket::Other(mut socket) => {
                if !Box::pin(answered(&mut socket, answer)).await {
                    return;
                }
                let (reader, writer) = split(socket);
                self.live(spoken, reader, Sink::other(writer), ahead).await;
            }
        }
    }

    /// The answer to a request for a WebSocket over HTTP/2. Where it is 200, serves the stream until it ends.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(self, opener: Opener) -> Response<Bytes> {
        let Opener { request, protocol, stream, peer, stay } = opener;
        let mut welcome = match self.admit(&request, Some(&protocol), peer) {
            Ok(welcome) => welcome,
            Err(turned) => {
                self.shared.stats.turned_away(turned.why);
                return reply::problem(turned.response, &turned.text);
            }
        };
        let response = std::mem::take(&mut welcome.response).map(|()| Bytes::new());
        tokio::spawn(async move {
            let Ok(Some(stream)) = timeout(ANSWER, stream).await else { return };
            let (reader, writer) = split(stream);
            self.live(welcome.spoken(stay), reader, Sink::other(writer), &Bytes::new()).await;
        });
        response
    }

    /// The rest of a connection's life.
    fn live<R: AsyncRead + Unpin + Send + 'static, D: Dialect>(
        self,
        spoken: Spoken<D>,
        reader: R,
        sink: Sink,
        ahead: &Bytes,
    ) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        let Spoken { dialect, carrier, deflate, inbox, place, stay } = spoken;
        let Ok(connection) = self.shared.fanout.connect(sink) else { return Box::pin(async {}) };
        let life = Life {
            hub: self,
            reader,
            input: BytesMut::from(&ahead[..]),
            connection,
            inbox,
            carrier,
            dialect,
            deflate,
            seats: Vec::new(),
            joins: Vec::new(),
            join: 0,
            place,
            stay,
        };
        Box::pin(connection::run(life))
    }

    /// Whether somebody may come in, and how.
    fn admit(&self, request: &Parts, protocol: Option<&str>, peer: IpAddr) -> Result<Welcome, Box<Turned>> {
        let asked = Asked::read(request, protocol).map_err(|refused| {
            Box::new(Turned { response: refused.response(), why: "handshake", text: refused.to_string() })
        })?;
        if !self.is_open() {
            return Err(turned(StatusCode::SERVICE_UNAVAILABLE, "closed", "this hub goes away: try another"));
        }
        if !self.shared.door.admits(&request.headers, &request.uri) {
            let text = "pages of this origin may not connect: name it in chat.origins";
            return Err(turned(StatusCode::FORBIDDEN, "origin", text));
        }
        let channel = request.uri.path().strip_prefix(CHAT).and_then(|name| name.parse::<ChannelName>().ok());
        if channel.is_none_or(|channel| self.shared.door.channel(&channel) == Access::Unknown) {
            return Err(turned(StatusCode::NOT_FOUND, "channel", "there is no such channel"));
        }
        let token = query_token(request.uri.query().unwrap_or("")).or(asked.bearer());
        let holder = match token {
            Some(token) => Some(self.shared.door.identify(token).ok_or_else(|| {
                turned(StatusCode::UNAUTHORIZED, "token", "the token is not good, or not any more: get another")
            })?),
            None => None,
        };
        self.seat_of(asked, holder, peer)
    }

    fn seat_of(&self, asked: Asked, holder: Option<Box<Holder>>, peer: IpAddr) -> Result<Welcome, Box<Turned>> {
        let identity = holder.as_ref().and_then(|holder| holder.identity.clone());
        let (inbox, place) = self.enter_lobby(holder, peer)?;
        let (response, agreed) = asked.accept(&[SUBPROTOCOL], self.shared.config.deflate_level > 0);
        Ok(Welcome {
            response,
            deflate: agreed.deflate,
            inbox,
            session: Session::new(identity).numbered(self.shared.random.below(u64::MAX)),
            place,
        })
    }

    /// A place among all connections, where there is one.
    pub(super) fn enter_lobby(
        &self,
        holder: Option<Box<Holder>>,
        peer: IpAddr,
    ) -> Result<(Arc<Inbox>, Place), Box<Turned>> {
        let config = &self.shared.config;
        let inbox = Inbox::new(Instant::now(), holder);
        let place = self
            .shared
            .lobby
            .enter(peer, Arc::clone(&inbox), config.connections, config.connections_per_address)
            .map_err(crowded)?;
        Ok((inbox, place))
    }
}

/// How somebody is turned away for whom there is no place.
pub(super) fn crowded(no: NoPlace) -> Box<Turned> {
    match no {
        NoPlace::Full => turned(StatusCode::SERVICE_UNAVAILABLE, "full", "this hub is full: try another"),
        NoPlace::Address => {
            turned(StatusCode::TOO_MANY_REQUESTS, "address", "there are too many connections from your address")
        }
    }
}

pub(super) fn turned(status: StatusCode, why: &'static str, text: &str) -> Box<Turned> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(header::RETRY_AFTER, AWAY_S.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Box::new(Turned { response, why, text: text.to_owned() })
}

/// The value of the first `token` of a query. A JWT has nothing that would be escaped in one (RFC 7515 §3.1).
fn query_token(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token=")).filter(|token| !token.is_empty())
}

async fn answered(socket: &mut (impl AsyncWrite + Unpin), answer: &[u8]) -> bool {
    let written = async {
        socket.write_all(answer).await?;
        socket.flush().await
    };
    matches!(timeout(ANSWER, written).await, Ok(Ok(())))
}

pub(super) async fn refuse(socket: Socket, answer: Vec<u8>) {
    let mut socket: Box<dyn Duplex> = match socket {
        Socket::Tcp(socket) => Box::new(socket),
        Socket::Other(socket) => socket,
    };
    let said = async {
        socket.write_all(&answer).await?;
        socket.shutdown().await
    };
    let _ = timeout(ANSWER, said).await;
}
