//! Where IRC clients come: lines over TCP or TLS, and WebSocket at the root, with TLS or without.
//!
//! ```text
//! listen.irc, listen.ircs ────────────────────────────▶ Hub::serve_irc
//! listen.irc_ws, listen.irc_wss ──a request's head────▶ Hub::serve_irc_websocket
//! ```
//! Who comes when too many are between accept and their first line or request is told so and closed ([`Hub::arrives`]). All of
//! it runs on chat's threads.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use freshet_chat_mesh::hub::{Arriving, Caller, Hub, Socket};
use http::{Request, request::Parts};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    ports::{Port, PortError},
    tls::Certificate,
};

/// How long TLS and a request's head may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long accepting rests after it failed.
const REST: Duration = Duration::from_millis(100);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// How many fields it may have.
const MAX_FIELDS: usize = 64;

/// Where IRC clients shall come; nowhere, unless told.
#[derive(Clone, Default)]
pub struct IrcPlan {
    /// Over TCP.
    pub irc: Option<Port>,
    /// Over TLS.
    pub ircs: Option<(Port, Certificate)>,
    /// Over WebSocket.
    pub ws: Option<Port>,
    /// Over WebSocket with TLS.
    pub wss: Option<(Port, Certificate)>,
}

/// Where they come.
#[derive(Debug, Clone, Copy, Default)]
pub struct IrcAddresses {
    /// Over TCP.
    pub irc: Option<SocketAddr>,
    /// Over TLS.
    pub ircs: Option<SocketAddr>,
    /// Over WebSocket.
    pub ws: Option<SocketAddr>,
    /// Over WebSocket with TLS.
    pub wss: Option<SocketAddr>,
}

/// Listeners that are bound and do not accept yet.
pub struct Bound {
    /// Where.
    pub addresses: IrcAddresses,
    doors: Vec<(TcpListener, Way)>,
}

/// What comes before the first line.
#[derive(Clone)]
struct Way {
    tls: Option<Arc<ServerConfig>>,
    is_websocket: bool,
}

impl IrcPlan {
    /// Binds all that are wanted.
    ///
    /// # Errors
    /// See [`PortError`].
    pub async fn bind(&self) -> Result<Bound, PortError> {
        let tls = |port: &Option<(Port, Certificate)>| {
            port.as_ref().map(|(port, certificate)| (port.clone(), Some(certificate.rtmps())))
        };
        let plain = |port: &Option<Port>| port.clone().map(|port| (port, None));
        let ways =
            [(plain(&self.irc), false), (tls(&self.ircs), false), (plain(&self.ws), true), (tls(&self.wss), true)];
        let (mut doors, mut at) = (Vec::new(), [None; 4]);
        for ((port, is_websocket), at) in ways.into_iter().zip(&mut at) {
            let Some((port, tls)) = port else { continue };
            let listener = port.listen().await?;
            *at = listener.local_addr().ok();
            doors.push((listener, Way { tls, is_websocket }));
        }
        let [irc, ircs, ws, wss] = at;
        Ok(Bound { addresses: IrcAddresses { irc, ircs, ws, wss }, doors })
    }
}

impl Bound {
    /// Accepts, on the threads of `at`, until `no_more`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn serve(self, hub: &Hub, at: &Handle, no_more: &CancellationToken) -> io::Result<()> {
        for (listener, way) in self.doors {
            let listener = listener.into_std()?;
            let (hub, no_more) = (hub.clone(), no_more.clone());
            let within = at.enter();
            let listener = TcpListener::from_std(listener)?;
            drop(within);
            at.spawn(async move { no_more.run_until_cancelled(accept(listener, way, hub)).await });
        }
        Ok(())
    }
}

async fn accept(listener: TcpListener, way: Way, hub: Hub) {
    loop {
        let Ok((socket, peer)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        let (peer, hub) = (peer.ip(), hub.clone());
        match hub.arrives(peer) {
            Ok(place) => drop(tokio::spawn(arrive(socket, peer, way.clone(), hub, place))),
            Err(no) => {
                let (socket, is_websocket) = (Some(socket).filter(|_| way.tls.is_none()), way.is_websocket);
                tokio::spawn(async move { hub.refuse_irc(socket, peer, is_websocket, no).await });
            }
        }
    }
}

async fn arrive(socket: TcpStream, peer: IpAddr, way: Way, hub: Hub, place: Arriving) {
    let shaken = async {
        let mut socket = match way.tls {
            Some(tls) => Socket::Other(Box::new(TlsAcceptor::from(tls).accept(socket).await?)),
            None => Socket::Tcp(socket),
        };
        let head = if way.is_websocket { Some(head(&mut socket).await?) } else { None };
        Ok::<_, io::Error>((socket, head))
    };
    let shaken = timeout(PATIENCE, shaken).await;
    drop(place);
    match shaken {
        Ok(Ok((socket, Some((request, ahead))))) => {
            hub.serve_irc_websocket(Caller { request, socket, ahead, peer, stay: Box::new(()) }).await;
        }
        Ok(Ok((socket, None))) => hub.serve_irc(socket, peer).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "an IRC connection did not begin"),
        Err(_) => tracing::debug!(%peer, "an IRC connection did not begin in time"),
    }
}

/// The head of a request, and what came after it.
async fn head(socket: &mut Socket) -> io::Result<(Parts, Bytes)> {
    let mut input = BytesMut::new();
    loop {
        let read = match socket {
            Socket::Tcp(socket) => read(socket, &mut input).await?,
            Socket::Other(socket) => read(socket, &mut input).await?,
        };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((request, length)) = parse(&input)? {
            return Ok((request, input.split_off(length).freeze()));
        }
        if input.len() >= MAX_HEAD {
            return Err(wrong("the head of a request is too long"));
        }
    }
}

async fn read(socket: &mut (impl AsyncRead + Unpin + ?Sized), input: &mut BytesMut) -> io::Result<usize> {
    socket.read_buf(input).await
}

/// A request whose head is whole, and how long that is (RFC 9112 §3).
fn parse(input: &[u8]) -> io::Result<Option<(Parts, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(input).map_err(wrong)? else { return Ok(None) };
    let mut request = Request::builder().method(head.method.unwrap_or_default()).uri(head.path.unwrap_or_default());
    if head.version == Some(0) {
        request = request.version(http::Version::HTTP_10);
    }
    for field in head.headers {
        request = request.header(field.name, field.value);
    }
    Ok(Some((request.body(()).map_err(wrong)?.into_parts().0, length)))
}

fn wrong(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let bytes = b"GET /?x=1 HTTP/1.1\r\nHost: irc.example\r\nUpgrade: websocket\r\n\r\nahead";
        assert!(parse(&bytes[..40]).unwrap().is_none());
        let (request, length) = parse(bytes).unwrap().unwrap();
        assert_eq!((request.method.as_str(), request.uri.path(), &bytes[length..]), ("GET", "/", &b"ahead"[..]));
        assert_eq!(request.headers["upgrade"], "websocket");
        assert_eq!(parse(b"GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().0.version, http::Version::HTTP_10);
        assert!(parse(b"NICK ada\r\nUSER ada\r\n\r\n").is_err());
        assert!(parse(&[b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(65), b"\r\n".to_vec()].concat()).is_err());
    }
}
