//! A viewer's socket as the HTTP engines see it, and its pulse as its keeper sees it.
//!
//! The engines (hyper) own the socket while requests are under way; the keeper of the connection looks at the
//! [`Pulse`] a few times a second to see whether a request head trickles in, whether the viewer takes its bytes, or
//! whether nothing happens at all. So no request arms a timer of its own.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is read at once while no engine is at work: a request of a player is 200 to 1,000 bytes.
const SIP: usize = 2048;

/// From how many bytes on a client that sends requests ahead is not read any more while one is held.
pub(crate) const MOST_AHEAD: usize = 16 << 10;

/// What happens on a connection. Written and read by the connection's tasks; never waited for.
#[derive(Default)]
pub(crate) struct Pulse {
    /// Bytes the viewer has taken.
    pub written: AtomicU64,
    /// Whether the last write found the socket full.
    pub blocked: AtomicBool,
    /// Whether everything handed to the engine has been written.
    pub flushed: AtomicBool,
    /// Reads that brought bytes.
    pub reads: AtomicUsize,
    /// Requests begun.
    pub requests: AtomicUsize,
    /// Requests that have begun and whose bodies have not all been handed over.
    pub busy: AtomicUsize,
    /// Bodies that have been begun and not all handed over.
    pub owed: AtomicUsize,
}

/// A request under way, until this is dropped.
pub(crate) struct Busy {
    pulse: Arc<Pulse>,
    owes: bool,
}

impl Pulse {
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Relaxed);
        self.busy.fetch_add(1, Relaxed);
        Busy { pulse: Arc::clone(self), owes: false }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Relaxed) == 0 && self.flushed.load(Relaxed)
    }
}

impl Busy {
    /// A body is to be handed over.
    pub(crate) fn owe(&mut self) {
        if !std::mem::replace(&mut self.owes, true) {
            self.pulse.owed.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.owes {
            self.pulse.owed.fetch_sub(1, Relaxed);
        }
        self.pulse.busy.fetch_sub(1, Relaxed);
    }
}

/// The socket, with bytes that were read ahead in front of it.
pub(crate) struct Wire<S> {
    socket: S,
    ahead: Bytes,
    pulse: Arc<Pulse>,
}

impl<S> Wire<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, ahead: Bytes::new(), pulse: Arc::default() }
    }

    pub(crate) fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Puts `bytes` that a reader had taken in front of everything.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        let after = std::mem::replace(&mut self.ahead, bytes);
        self.read_ahead(after);
    }

    /// Puts `bytes` behind what was read ahead already.
    fn read_ahead(&mut self, bytes: Bytes) {
        if self.ahead.is_empty() {
            self.ahead = bytes;
        } else if !bytes.is_empty() {
            let mut both = BytesMut::with_capacity(self.ahead.len() + bytes.len());
            both.extend_from_slice(&self.ahead);
            both.extend_from_slice(&bytes);
            self.ahead = both.freeze();
        }
    }

    /// The socket, and what was read ahead, without the engine's buffer that it was in: the socket may stay for hours.
    pub(crate) fn into_parts(self) -> (S, Bytes) {
        (self.socket, Bytes::copy_from_slice(&self.ahead))
    }

    /// How many bytes were read ahead.
    pub(crate) fn ahead(&self) -> usize {
        self.ahead.len()
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Waits for bytes without holding a buffer meanwhile, and keeps them for the next reader. `false` at the end.
    pub(crate) async fn sip(&mut self) -> io::Result<bool> {
        let socket = &mut self.socket;
        let bytes = std::future::poll_fn(|cx| {
            let mut space = [0; SIP];
            let mut buffer = ReadBuf::new(&mut space);
            Pin::new(&mut *socket).poll_read(cx, &mut buffer).map_ok(|()| Bytes::copy_from_slice(buffer.filled()))
        })
        .await?;
        let any = !bytes.is_empty();
        self.read_ahead(bytes);
        Ok(any)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.ahead.is_empty() {
            std::task::ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        } else {
            let n = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..n]);
            self.ahead.advance(n);
        }
        if buffer.filled().len() > before {
            self.pulse.reads.fetch_add(1, Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Wire<S> {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.blocked.store(result.is_pending(), Relaxed);
        self.pulse.flushed.store(false, Relaxed);
        if let Poll::Ready(Ok(n)) = &result {
            self.pulse.written.fetch_add(*n as u64, Relaxed);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.socket).poll_flush(cx);
        self.pulse.blocked.store(result.is_pending(), Relaxed);
        if result.is_ready() {
            self.pulse.flushed.store(true, Relaxed);
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
