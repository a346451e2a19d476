//! One socket, from its handshake to its end.

use std::{convert::Infallible, sync::Arc};

use bytes::{Bytes, BytesMut};
use freshet_chat_mesh::{
    fanout::{Connection, Fanout, Sink, read, tune},
    protocol::{Identity, Input, Output, Session},
    ws::{
        CloseCode, Event, Limits, Peer, encode,
        handshake::{Asked, Refused},
    },
};
use freshet_proto::chat::{Code, DisplayName, Role, User, UserId};
use http_body_util::Empty;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::channel::Channel;

/// What all sockets share.
pub struct Hub {
    /// Writes to them.
    pub fanout: Fanout,
    /// What they read.
    pub channel: Channel,
}

/// Serves one socket, over TLS where there is an acceptor.
pub async fn serve(hub: Arc<Hub>, stream: TcpStream, tls: Option<TlsAcceptor>) {
    // A socket that can't be tuned works all the same.
    drop(tune(&stream));
    match tls {
        None => upgrade(hub, stream).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                upgrade(hub, stream).await;
            }
        }
    }
}

async fn upgrade(hub: Arc<Hub>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let service = service_fn(move |request| {
        let hub = hub.clone();
        async move { Ok::<_, Infallible>(shake_hands(hub, request)) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).max_buf_size(8192);
    // A client that goes away during its handshake is no concern of ours.
    drop(http.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
}

fn shake_hands(hub: Arc<Hub>, mut request: Request<Incoming>) -> Response<Empty<Bytes>> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let wanted = parts.uri.path().strip_prefix("/chat/") == Some(hub.channel.name.as_str());
    let asked = if wanted { Asked::read(&parts, None) } else { Err(Refused::NotAsked) };
    let response = match asked {
        Err(refused) => refused.response(),
        Ok(asked) => {
            tokio::spawn(async move {
                if let Ok(upgraded) = upgrade.await {
                    take(&hub, upgraded).await;
                }
            });
            asked.accept(&[], false).0
        }
    };
    response.map(|()| Empty::new())
}

/// Gives the writing half to the fan-out and listens to the other.
async fn take(hub: &Arc<Hub>, upgraded: Upgraded) {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let (reader, writer) = parts.io.into_inner().into_split();
            spawn(hub, reader, Sink::tcp(writer), parts.read_buf);
        }
        Err(upgraded) => {
            if let Ok(parts) = upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>() {
                let (reader, writer) = tokio::io::split(parts.io.into_inner());
                spawn(hub, reader, Sink::other(writer), parts.read_buf);
            }
        }
    }
}

/// A task of its own: the one of the handshake is larger.
fn spawn(hub: &Arc<Hub>, mut reader: impl AsyncRead + Unpin + Send + 'static, sink: Sink, first: Bytes) {
    let Ok(connection) = hub.fanout.connect(sink) else { return };
    let peer = Peer::new(Limits::default(), false);
    let mut socket = Box::new(Socket { hub: hub.clone(), connection, peer, session: Session::new(None) });
    // A copy, mostly of nothing: what hyper has read into is 8 KiB, and would live as long as the task.
    let mut input = BytesMut::from(&first[..]);
    drop(first);
    tokio::spawn(async move {
        loop {
            if !socket.hear(&mut input) {
                break;
            }
            let read = tokio::select! {
                biased;
                _ = socket.connection.ended() => break,
                read = read(&mut reader, &mut input) => read,
            };
            if !matches!(read, Ok(1..)) {
                break;
            }
        }
    });
}

struct Socket {
    hub: Arc<Hub>,
    connection: Connection,
    peer: Peer,
    session: Session,
}

impl Socket {
    /// Takes what has come; whether more may come.
    fn hear(&mut self, input: &mut BytesMut) -> bool {
        while let Some(event) = self.peer.receive(input) {
            let goes_on = match event {
                Event::Text(text) => self.handle(Input::Frame(&text)),
                Event::Reply(frame) => self.connection.send(frame).is_ok(),
                Event::Binary(_) | Event::Pong(_) => true,
                Event::Closed(closed) => {
                    let _ = self.connection.close(closed.reply.unwrap_or_default());
                    false
                }
            };
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn handle(&mut self, input: Input<'_>) -> bool {
        let mut out = Vec::new();
        self.session.handle(self.hub.channel.now().mono_ms, input, &mut out);
        out.into_iter().all(|output| self.perform(output))
    }

    fn perform(&mut self, output: Output) -> bool {
        let channel = &self.hub.channel;
        match output {
            Output::Send(object) => self.connection.send(encode::text(&object)).is_ok(),
            Output::Verify(token) => self.handle(Input::Verified(identity(&token))),
            Output::Join { channel: asked, .. } if asked != channel.name => {
                self.handle(Input::NotJoined(asked, Code::NoSuchChannel.into()))
            }
            Output::Join { resume, history, .. } => {
                let joined = channel.joined(resume, history, Role::Moderator);
                let head = joined.head;
                let goes_on = self.handle(Input::Joined(Box::new(joined)));
                self.hub.channel.follow(&self.connection, head);
                goes_on
            }
            Output::Part(_) => {
                channel.leave(&self.connection);
                true
            }
            Output::Submit { ticket, submit } => {
                let answer = channel.submit(submit);
                self.handle(Input::Answer { ticket, answer })
            }
            Output::Close(_) => {
                let _ = self.connection.close(self.peer.close(CloseCode::POLICY, "").unwrap_or_default());
                false
            }
        }
    }
}

/// Whoever says a name is that person.
fn identity(token: &str) -> Option<Identity> {
    let id = UserId::try_from(token.to_owned()).ok()?;
    let user = User { id, login: token.parse().ok()?, name: DisplayName::cut(token), color: None };
    Some(Identity { user, admin: false })
}
