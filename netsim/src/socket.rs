//! turmoil's UDP as quinn wants it: one datagram a call, always writable, every datagram noted in the trace.
//!
//! A datagram that turmoil delivers waits here for as long as the [`Weather`] says, or is lost.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, IoSliceMut},
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::time::{Instant, Sleep, sleep_until};
use turmoil::net::UdpSocket;

use crate::{trace::Trace, weather::Weather};

/// A UDP socket of a simulated host.
pub struct SimSocket {
    udp: Arc<UdpSocket>,
    waiting: Mutex<Waiting>,
    ip: IpAddr,
    trace: Trace,
    weather: Weather,
}

/// What has not arrived yet, and what there is to wait for.
#[derive(Default)]
struct Waiting {
    readable: Option<Readable>,
    timer: Option<Pin<Box<Sleep>>>,
    /// By when they arrive, then by when they were sent. At most [`SimSocket::MAX_LATE`].
    late: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    count: u64,
}

type Readable = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

impl SimSocket {
    /// How many datagrams may be on their way to one socket; further ones are lost.
    pub const MAX_LATE: usize = 16_384;

    /// Binds it on the host whose address is `ip`. Must be called inside that host.
    ///
    /// # Errors
    /// As the system's `bind`.
    pub async fn bind(ip: IpAddr, port: u16, trace: Trace, weather: Weather) -> io::Result<Self> {
        let udp = Arc::new(UdpSocket::bind(("0.0.0.0", port)).await?);
        Ok(Self { udp, waiting: Mutex::default(), ip, trace, weather })
    }

    fn me(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::new(self.ip, self.udp.local_addr()?.port()))
    }

    /// Takes whatever turmoil has delivered; `buf` is where it is put meanwhile.
    fn collect(&self, waiting: &mut Waiting, buf: &mut [u8]) -> io::Result<()> {
        loop {
            match self.udp.try_recv_from(buf) {
                Ok((length, from)) => self.keep(waiting, from, &buf[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn keep(&self, waiting: &mut Waiting, from: SocketAddr, bytes: &[u8]) {
        let Some(after) = self.weather.fate(from.ip(), self.ip).filter(|_| waiting.late.len() < Self::MAX_LATE) else {
            return;
        };
        waiting.count += 1;
        waiting.late.insert((Instant::now() + after, waiting.count), (from, bytes.to_vec()));
    }
}

impl Waiting {
    /// The next datagram whose time has come.
    fn arrived(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        let first = self.late.first_entry().filter(|first| first.key().0 <= Instant::now())?;
        Some(first.remove())
    }

    /// Ready when there may be something new.
    fn poll(&mut self, udp: &Arc<UdpSocket>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let readable = self.readable.get_or_insert_with(|| {
            let udp = udp.clone();
            Box::pin(async move { udp.readable().await })
        });
        if let Poll::Ready(ready) = readable.as_mut().poll(cx) {
            self.readable = None;
            return Poll::Ready(ready);
        }
        let Some((due, _)) = self.late.keys().next().copied() else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        timer.as_mut().reset(due);
        timer.as_mut().poll(cx).map(Ok)
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
        self.trace.note("udp>", self.me()?, transmit.destination, transmit.contents);
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
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.collect(&mut waiting, buf)?;
            if let Some((addr, bytes)) = waiting.arrived() {
                let len = bytes.len();
                buf[..len].copy_from_slice(&bytes);
                self.trace.note("udp<", addr, self.me()?, &bytes);
                *meta = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
                return Poll::Ready(Ok(1));
            }
            match waiting.poll(&self.udp, cx) {
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
