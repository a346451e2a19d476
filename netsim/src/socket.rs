//! turmoil's UDP as quinn wants it: one datagram a call, always writable, every datagram noted in the trace.

use std::{
    fmt,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use turmoil::net::UdpSocket;

use crate::trace::Trace;

/// A UDP socket of a simulated host.
pub struct SimSocket {
    udp: Arc<UdpSocket>,
    readable: Mutex<Option<Readable>>,
    trace: Trace,
}

type Readable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl SimSocket {
    /// Binds it. Must be called inside a simulated host.
    ///
    /// # Errors
    /// As the system's `bind`.
    pub async fn bind(addr: SocketAddr, trace: Trace) -> io::Result<Self> {
        let udp = Arc::new(UdpSocket::bind(addr).await?);
        Ok(Self { udp, readable: Mutex::new(None), trace })
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.readable.lock().unwrap_or_else(PoisonError::into_inner);
        let udp = self.udp.clone();
        let readable = waiting.get_or_insert_with(|| Box::pin(async move { udp.readable().await }));
        let polled = readable.as_mut().poll(cx);
        if polled.is_ready() {
            *waiting = None;
        }
        polled
    }
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimSocket({:?})", self.udp.local_addr())
    }
}

impl AsyncUdpSocket for SimSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.trace.note("udp>", self.udp.local_addr()?, transmit.destination, transmit.contents);
        // A datagram that can't be sent is a lost one.
        let _ = self.udp.try_send_to(transmit.contents, transmit.destination);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buf), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
        loop {
            match self.udp.try_recv_from(buf) {
                Ok((len, addr)) => {
                    self.trace.note("udp<", addr, self.udp.local_addr()?, &buf[..len]);
                    *meta = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
                    return Poll::Ready(Ok(1));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            match self.poll_readable(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
