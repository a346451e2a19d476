//! gRPC over HTTP/2, as far as one asks: one message out, one or many messages back.
//!
//! ```text
//! POST /package.Service/Method · te: trailers · application/grpc
//! { compressed? (0), length (u32, big endian), message }*  then trailers: grpc-status, grpc-message
//! ```
//! Compression is never offered. A status other than 0 is an error that names the method, the status and its text.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// The longest message that is taken, in bytes; gRPC's own default.
const MAX_MESSAGE: usize = 4 << 20;

/// One byte for the compression and four for the length.
const PREFIX: usize = 5;

/// A connection to a server. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Channel {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Channel {
    /// Connects to `address` over TLS; `tls` offers `h2`.
    ///
    /// # Errors
    /// When the server can't be reached, shows another authority's certificate, or speaks no HTTP/2.
    pub async fn connect(address: SocketAddr, tls: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| address.to_string())?;
        socket.set_nodelay(true)?;
        let name = ServerName::from(address.ip());
        let stream =
            TlsConnector::from(tls.clone()).connect(name, socket).await.with_context(|| address.to_string())?;
        ensure!(stream.get_ref().1.alpn_protocol() == Some(b"h2"), "{address} speaks no HTTP/2");
        Self::over(stream, address.to_string()).await
    }

    /// Speaks over any stream.
    ///
    /// # Errors
    /// When HTTP/2 can't be begun on it.
    pub async fn over<S>(stream: S, authority: String) -> anyhow::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // It ends with the last clone of the sender. That it broke is told to whoever asks.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, authority })
    }

    /// Whether nothing can be asked over it any more.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Calls a method that answers with one message.
    ///
    /// # Errors
    /// A connection that broke, a status other than 0, more or less than one message.
    pub async fn unary(&self, method: &'static str, message: Bytes) -> anyhow::Result<Bytes> {
        let mut answer = self.call(method, message).await?;
        let message = answer.next().await?.with_context(|| format!("{method} answered nothing"))?;
        ensure!(answer.next().await?.is_none(), "{method} answered more than one message");
        Ok(message)
    }

    /// Calls a method that answers with a stream of messages.
    ///
    /// # Errors
    /// A connection that broke, a status other than 0 before the first message.
    pub async fn call(&self, method: &'static str, message: Bytes) -> anyhow::Result<Messages> {
        let request = Request::post(format!("https://{}{method}", self.authority))
            .header(CONTENT_TYPE, "application/grpc")
            .header("te", "trailers")
            .body(Full::new(prefixed(&message)))?;
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let answer = sender.send_request(request).await.with_context(|| method.to_owned())?;
        // A call that fails at once has its status in the head.
        succeeded(method, answer.headers())?;
        ensure!(answer.status() == 200, "{method}: HTTP status {}: this is no gRPC server", answer.status());
        Ok(Messages { method, body: answer.into_body(), buffer: BytesMut::new(), ended: false })
    }
}

/// The messages of an answer.
#[derive(Debug)]
pub struct Messages {
    method: &'static str,
    body: Incoming,
    /// At most a message and what came with its end.
    buffer: BytesMut,
    ended: bool,
}

impl Messages {
    /// The next message; `None` when the answer has ended with status 0.
    ///
    /// # Errors
    /// A connection that broke, a status other than 0, an answer that ends without one or in the middle of a message.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            if let Some(message) = unprefixed(&mut self.buffer).context(self.method)? {
                return Ok(Some(message));
            }
            if self.ended {
                ensure!(self.buffer.is_empty(), "{}: the answer ends within a message", self.method);
                return Ok(None);
            }
            let frame = self.body.frame().await.with_context(|| format!("{}: no status", self.method))?;
            match frame.context(self.method)?.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    ensure!(trailers.contains_key(STATUS), "{}: no status", self.method);
                    succeeded(self.method, &trailers)?;
                    self.ended = true;
                }
            }
        }
    }
}

fn prefixed(message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(PREFIX + message.len());
    bytes.put_u8(0);
    bytes.put_u32(message.len() as u32);
    bytes.put_slice(message);
    bytes.freeze()
}

/// Takes the first message off the buffer, if it is there whole.
fn unprefixed(buffer: &mut BytesMut) -> anyhow::Result<Option<Bytes>> {
    let Some(&[compressed, a, b, c, d]) = buffer.first_chunk::<PREFIX>() else { return Ok(None) };
    ensure!(compressed == 0, "the message is compressed, which was not offered");
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    ensure!(length <= MAX_MESSAGE, "a message of {length} bytes is too long");
    if buffer.len() < PREFIX + length {
        return Ok(None);
    }
    buffer.advance(PREFIX);
    Ok(Some(buffer.split_to(length).freeze()))
}

const STATUS: &str = "grpc-status";

/// gRPC's names for its statuses 1 to 16.
const STATUSES: [&str; 16] = [
    "cancelled",
    "unknown",
    "invalid argument",
    "deadline exceeded",
    "not found",
    "already exists",
    "permission denied",
    "resource exhausted",
    "failed precondition",
    "aborted",
    "out of range",
    "unimplemented",
    "internal",
    "unavailable",
    "data loss",
    "unauthenticated",
];

/// Fails where headers or trailers have a status other than 0.
fn succeeded(method: &str, headers: &HeaderMap) -> anyhow::Result<()> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text(STATUS) {
        None | Some("0") => Ok(()),
        Some(status) => {
            let index = status.parse::<usize>().unwrap_or(0);
            let name = STATUSES.get(index.wrapping_sub(1)).unwrap_or(&"of no known name");
            bail!("{method}: gRPC status {status} ({name}): {}", text("grpc-message").unwrap_or("no message"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        pin::Pin,
        task::{Context, Poll},
    };

    use http::{HeaderValue, Response};
    use hyper::{
        body::{Body, Frame},
        server::conn::http2::Builder,
        service::service_fn,
    };

    use super::*;

    /// A body of these frames.
    struct Frames(Vec<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
        }
    }

    fn status(status: &'static str, message: &'static str) -> HeaderMap {
        let pairs = [(STATUS, status), ("grpc-message", message)];
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    /// A server that knows a few methods, and answers any other as etcd does.
    fn answer(method: &str, asked: &[u8]) -> Response<Frames> {
        let (data, end): (Vec<Vec<u8>>, _) = match method {
            "/test/Echo" => (vec![asked.to_vec()], Some(status("0", ""))),
            "/test/Pieces" => (vec![vec![0, 0, 0], vec![0, 2, b'a'], vec![b'b', 0, 0, 0, 0, 0]], Some(status("0", ""))),
            "/test/Fails" => (vec![vec![0, 0, 0, 0, 1, b'a']], Some(status("14", "etcdserver: no leader"))),
            "/test/Short" => (vec![vec![0, 0, 0, 0, 9, b'a']], Some(status("0", ""))),
            "/test/Endless" => (vec![], None),
            "/test/Compressed" => (vec![vec![1, 0, 0, 0, 0]], Some(status("0", ""))),
            "/test/Long" => (vec![vec![0, 0xff, 0, 0, 0]], Some(status("0", ""))),
            _ => (vec![], None),
        };
        let data = data.into_iter().map(|bytes| Frame::data(bytes.into()));
        let mut response = Response::new(Frames(data.chain(end.map(Frame::trailers)).collect()));
        match method {
            "/page" => *response.status_mut() = http::StatusCode::NOT_FOUND,
            known if known.starts_with("/test/") => {}
            _ => *response.headers_mut() = status("12", "unknown service etcdserverpb.KW"),
        }
        response
    }

    async fn channel() -> Channel {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let service = service_fn(|request: Request<Incoming>| async move {
            let method = request.uri().path().to_owned();
            assert_eq!(request.headers()["te"], "trailers");
            let asked = request.into_body().collect().await?.to_bytes();
            Ok::<_, hyper::Error>(answer(&method, &asked))
        });
        tokio::spawn(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(far), service));
        Channel::over(near, "etcd.test".to_owned()).await.unwrap()
    }

    async fn fails(method: &'static str) -> String {
        format!("{:#}", channel().await.unary(method, Bytes::from_static(b"hi")).await.unwrap_err())
    }

    #[tokio::test]
    async fn a_message_goes_out_with_its_length_before_it_and_comes_back() {
        assert_eq!(prefixed(b"hi")[..], *b"\0\0\0\0\x02hi");
        let answered = channel().await.unary("/test/Echo", Bytes::from_static(b"hi")).await.unwrap();
        assert_eq!(answered[..], *b"hi");
    }

    #[tokio::test]
    async fn messages_are_put_together_however_they_were_cut() {
        let mut messages = channel().await.call("/test/Pieces", Bytes::new()).await.unwrap();
        assert_eq!(messages.next().await.unwrap().unwrap()[..], *b"ab");
        assert_eq!(messages.next().await.unwrap().unwrap()[..], *b"");
        assert!(messages.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_wrong_path_is_an_error_that_names_it_and_what_the_server_says() {
        assert_eq!(
            fails("/etcdserverpb.KW/Put").await,
            "/etcdserverpb.KW/Put: gRPC status 12 (unimplemented): unknown service etcdserverpb.KW"
        );
        assert_eq!(fails("/page").await, "/page: HTTP status 404 Not Found: this is no gRPC server");
    }

    #[tokio::test]
    async fn a_status_after_a_message_is_an_error() {
        assert_eq!(fails("/test/Fails").await, "/test/Fails: gRPC status 14 (unavailable): etcdserver: no leader");
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_an_error() {
        assert_eq!(fails("/test/Short").await, "/test/Short: the answer ends within a message");
        assert_eq!(fails("/test/Endless").await, "/test/Endless: no status");
        assert_eq!(
            fails("/test/Compressed").await,
            "/test/Compressed: the message is compressed, which was not offered"
        );
        assert_eq!(fails("/test/Long").await, "/test/Long: a message of 4278190080 bytes is too long");
        assert_eq!(fails("/test/Pieces").await, "/test/Pieces answered more than one message");
    }
}
