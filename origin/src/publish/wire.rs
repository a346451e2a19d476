//! One encoder's socket: reads into one small buffer, writes what is due meanwhile, so that neither direction waits for
//! the other.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, timeout_at},
};

/// A socket with what waits to be written: at most `limit` bytes.
pub(crate) struct Wire<S> {
    stream: S,
    input: Box<[u8]>,
    output: BytesMut,
    limit: usize,
    unflushed: bool,
}

/// Why writing is given up.
#[derive(Debug, thiserror::Error)]
#[error("it does not read what it is sent")]
pub(crate) struct NotReading;

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S, read_buffer: usize, limit: usize) -> Self {
        let input = vec![0; read_buffer.max(1)].into_boxed_slice();
        Self { stream, input, output: BytesMut::new(), limit, unflushed: false }
    }

    /// Queues `bytes`; they are written while [`Wire::read`] waits.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), NotReading> {
        if self.output.len() + bytes.len() > self.limit {
            return Err(NotReading);
        }
        self.output.extend_from_slice(bytes);
        Ok(())
    }

    /// Waits for bytes, writing meanwhile; 0 is the end. They stand in [`Wire::received`]. Cancelling loses nothing.
    pub(crate) async fn read(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// The first `count` bytes of what was read last.
    pub(crate) fn received(&self, count: usize) -> &[u8] {
        &self.input[..count]
    }

    /// Writes what is due, then gives the peer `wait` to leave by itself, reading and ignoring what it sends; then
    /// ends our half, and gives it `wait` again to end its own: librtmp still says goodbye then, and dies of SIGPIPE
    /// where nobody listens. Errors mean that it is gone already.
    pub(crate) async fn farewell(mut self, wait: Duration) {
        if self.ignore_for(wait).await {
            return;
        }
        let close = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx));
        if let Ok(Ok(())) = timeout_at(Instant::now() + wait, close).await {
            self.ignore_for(wait).await;
        }
    }

    /// Reads and ignores; whether the peer has ended the connection.
    async fn ignore_for(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            match timeout_at(until, self.read()).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return true,
                Err(_) => return false,
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Err(error)) = self.poll_write(cx) {
            return Poll::Ready(Err(error));
        }
        let mut buffer = ReadBuf::new(&mut self.input);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.unflushed = false;
            self.output = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_never_reads_does_not_stop_us_from_reading() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut wire = Wire::new(ours, 16, 10);
        wire.send(b"123456789").unwrap();
        theirs.write_all(b"ab").await.unwrap();
        let count = wire.read().await.unwrap();
        assert_eq!(wire.received(count), b"ab");
        assert!(wire.send(b"123456").is_err());
    }

    #[tokio::test]
    async fn a_farewell_delivers_everything_before_the_end() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut wire = Wire::new(ours, 16, 100);
        wire.send(b"NetStream.Publish.BadName").unwrap();
        let farewell = tokio::spawn(wire.farewell(Duration::from_millis(500)));
        let mut told = String::new();
        theirs.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "NetStream.Publish.BadName");
        farewell.await.unwrap();
    }
}
