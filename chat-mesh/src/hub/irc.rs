//! Connections that speak Twitch's dialect of IRC: bare lines over TCP or TLS, or frames of WebSocket at `/`.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::StatusCode;
use tokio::net::TcpStream;

use super::{
    Arriving, Caller, Hub, NoPlace, Socket,
    carrier::{Carriage, Carrier},
    connection::Dialect,
    format::Format,
    reply,
    serve::{Spoken, Turned, crowded, refuse, turned},
};
use crate::{
    fanout::Mark,
    irc::{LineReader, Session, encode},
    protocol::{Input, Output},
    ws::{Limits, Peer, handshake::Asked},
};

/// What IRC is called as a subprotocol, by tmi.js.
const SUBPROTOCOL: &str = "irc";

/// An IRC client, and in what its lines travel.
struct Irc {
    session: Session,
    carriage: Carriage,
}

impl Dialect for Irc {
    fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Vec<Output>) {
        self.session.handle(now_ms, input, out);
    }

    fn format(&self, _: bool) -> Format {
        Format::Irc(self.session.format(), self.carriage)
    }

    fn mark(&self) -> Option<Mark> {
        self.session.mark()
    }

    fn per_frame(&self) -> usize {
        1
    }

    fn bye(&self, _: u64, _: &[String]) -> String {
        encode::reconnect(self.session.format())
    }

    fn revoked(&self) -> String {
        encode::farewell("Login authentication failed: the token is not good any more.")
    }
}

impl Hub {
    /// A place for an IRC connection that has just come; to be given back once its first line or request is there.
    ///
    /// # Errors
    /// [`NoPlace`]: it is to be refused ([`Hub::refuse_irc`]).
    pub fn arrives(&self, peer: IpAddr) -> Result<Arriving, NoPlace> {
        self.shared.arrivals.enter(peer)
    }

    /// Tells an IRC connection that has just come that there is no place for it, in what it will speak; over TLS, where
    /// nothing can be told before a handshake, it is closed.
    pub async fn refuse_irc(&self, socket: Option<TcpStream>, peer: IpAddr, is_websocket: bool, no: NoPlace) {
        let why = crowded(no);
        let Some((socket, _place)) = socket.zip(Arc::clone(&self.shared.refusing).try_acquire_owned().ok()) else {
            return self.shared.stats.turned_away(why.why);
        };
        let answer = match is_websocket {
            true => reply::written(&why.response, Some(&why.text)),
            false => encode::farewell(&why.text).into_bytes(),
        };
        self.turn_away(Socket::Tcp(socket), peer, &why, answer).await;
    }

    /// Serves an IRC client over TCP or TLS until it ends.
    pub async fn serve_irc(self, socket: Socket, peer: IpAddr) {
        match self.admit_irc(peer, Carrier::Bare(LineReader::default()), Box::new(())) {
            Ok(spoken) => self.talk(socket, b"", &Bytes::new(), spoken).await,
            Err(why) => self.turn_away(socket, peer, &why, encode::farewell(&why.text).into_bytes()).await,
        }
    }

    /// Answers a request for a WebSocket at `/`, and serves an IRC client over it until it ends.
    pub async fn serve_irc_websocket(self, caller: Caller) {
        let Caller { request, socket, ahead, peer, stay } = caller;
        let admitted = Asked::read(&request, None)
            .map_err(|refused| {
                Box::new(Turned { response: refused.response(), why: "handshake", text: refused.to_string() })
            })
            .and_then(|asked| {
                if request.uri.path() != "/" {
                    return Err(turned(StatusCode::NOT_FOUND, "path", "IRC is spoken at /"));
                }
                if !self.shared.door.admits(&request.headers, &request.uri) {
                    let text = "pages of this origin may not connect: name it in chat.origins";
                    return Err(turned(StatusCode::FORBIDDEN, "origin", text));
                }
                let spoken = self.admit_irc(peer, Carrier::WebSocket(Peer::new(Limits::default(), false)), stay)?;
                Ok((asked.accept(&[SUBPROTOCOL], false).0, spoken))
            });
        drop(request);
        match admitted {
            Ok((response, spoken)) => self.talk(socket, &reply::written(&response, None), &ahead, spoken).await,
            Err(why) => {
                let answer = reply::written(&why.response, Some(&why.text));
                self.turn_away(socket, peer, &why, answer).await;
            }
        }
    }

    fn admit_irc(&self, peer: IpAddr, carrier: Carrier, stay: Box<dyn Send>) -> Result<Spoken<Irc>, Box<Turned>> {
        if !self.is_open() {
            return Err(turned(StatusCode::SERVICE_UNAVAILABLE, "closed", "this hub goes away: try another"));
        }
        let (inbox, place) = self.enter_lobby(None, peer)?;
        let session = Session::new(self.shared.random.below(u64::MAX));
        let dialect = Irc { session, carriage: carrier.carriage() };
        Ok(Spoken { dialect, carrier, deflate: false, inbox, place, stay })
    }

    async fn turn_away(&self, socket: Socket, peer: IpAddr, turned: &Turned, answer: Vec<u8>) {
        self.shared.stats.turned_away(turned.why);
        tracing::debug!(%peer, why = turned.why, "an IRC connection was turned away");
        Box::pin(refuse(socket, answer)).await;
    }
}
