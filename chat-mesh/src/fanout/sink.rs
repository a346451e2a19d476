//! Where frames go: a socket's writing half, plain or not. And the reading half, without a buffer while nothing comes.

use std::{
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, tcp::OwnedWriteHalf},
};

/// How much the kernel may hold of what a slow reader has not taken. What is beyond stays a cursor, which costs nothing.
pub const UNSENT_BYTES: u32 = 64 << 10;

/// How much is read at once.
const READ_BYTES: usize = 4 << 10;

/// The writing half of a connection.
pub struct Sink(Kind);

enum Kind {
    Tcp(OwnedWriteHalf),
    Other(Box<dyn AsyncWrite + Send + Unpin>),
}

impl Sink {
    /// A plain socket: one system call a batch, nothing in between.
    pub fn tcp(half: OwnedWriteHalf) -> Self {
        Self(Kind::Tcp(half))
    }

    /// TLS, a stream of HTTP/2, or anything else that must be flushed after a batch: `tokio::io::split` gives the halves.
    pub fn other(half: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Kind::Other(Box::new(half)))
    }

    /// Writes until all is taken or the socket takes no more; how much, and whether all of it was.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<(usize, Poll<()>)> {
        let mut taken = self.send_at_once(bytes);
        while taken < bytes.len() {
            match Pin::new(self.half()).poll_write(cx, &bytes[taken..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => taken += n,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok((taken, Poll::Pending)),
            }
        }
        Ok((taken, Poll::Ready(())))
    }

    /// How much a plain socket takes without being asked whether it can: mostly everything, and what tokio keeps of each
    /// socket need not be looked at. What fails, or is not taken, is tried again in tokio's way.
    fn send_at_once(&self, bytes: &[u8]) -> usize {
        match &self.0 {
            Kind::Tcp(half) if !bytes.is_empty() => SockRef::from(half.as_ref()).send(bytes).unwrap_or(0),
            _ => 0,
        }
    }

    /// Sends what a layer in between has gathered.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Tcp(_) => Poll::Ready(Ok(())),
            Kind::Other(half) => Pin::new(half).poll_flush(cx),
        }
    }

    /// Says that nothing follows.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.half()).poll_shutdown(cx)
    }

    fn half(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match &mut self.0 {
            Kind::Tcp(half) => half,
            Kind::Other(half) => half.as_mut(),
        }
    }
}

/// Prepares a socket before it is wrapped or split: frames leave at once, and [`UNSENT_BYTES`] is all the kernel holds.
///
/// # Errors
/// The system's; the socket works all the same.
pub fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES)?;
    Ok(())
}

/// Reads what is there, at most 4 KiB, onto the end of `into`; 0 at the end of the stream.
///
/// While it waits it owns no buffer, and `into` owns none either if it is empty: most readers of a chat never write.
///
/// # Errors
/// The socket's.
pub async fn read(reader: &mut (impl AsyncRead + Unpin), into: &mut BytesMut) -> io::Result<usize> {
    if into.is_empty() {
        *into = BytesMut::new();
    }
    poll_fn(|cx| {
        let mut stack = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        let mut piece = ReadBuf::uninit(&mut stack);
        match Pin::new(&mut *reader).poll_read(cx, &mut piece) {
            Poll::Ready(Ok(())) => {
                into.extend_from_slice(piece.filled());
                Poll::Ready(Ok(piece.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
