//! One viewer's connection: a non-blocking TCP socket, with TLS where the URL asks for it.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt},
};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// The connection. Requests are short: what a socket can't take at once is kept.
pub struct Socket {
    fd: OwnedFd,
    tls: Option<Box<ClientConnection>>,
    unsent: Vec<u8>,
}

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes stand in the buffer.
    Bytes(usize),
    /// So many bytes came and were thrown away.
    Discarded(usize),
    /// Nothing now.
    Nothing,
    /// The peer has closed.
    Closed,
}

impl Socket {
    /// Begins to connect to `to`, from `from` if given.
    pub fn connect(
        to: SocketAddr,
        from: Option<IpAddr>,
        tls: Option<(&Arc<ClientConfig>, &ServerName<'static>)>,
    ) -> io::Result<Self> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&fd, true)?;
        if let Some(from) = from {
            // The port is chosen here, before the peer is known: 28,000 connections a source address at most.
            rustix::net::bind(&fd, &SocketAddr::new(from, 0))?;
        }
        match rustix::net::connect(&fd, &to) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let tls = tls
            .map(|(config, name)| ClientConnection::new(config.clone(), name.clone()))
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self { fd, tls: tls.map(Box::new), unsent: Vec::new() })
    }

    /// The descriptor, to wait on.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Queues `bytes` and sends what the socket takes.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.writer().write_all(bytes)?,
            None => self.unsent.extend_from_slice(bytes),
        }
        self.flush()
    }

    /// Sends what is still queued.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut self.unsent)?;
            }
        }
        while !self.unsent.is_empty() {
            match rustix::net::send(&self.fd, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::NOTCONN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        if self.unsent.is_empty() {
            self.unsent = Vec::new();
        }
        Ok(())
    }

    /// Reads at most `limit` bytes into `buffer`, or throws them away where `discard` and the kernel can.
    ///
    /// A plain socket discards with `MSG_TRUNC`: the kernel frees the bytes without copying them, which halves what a
    /// byte costs the client.
    pub fn receive(&mut self, buffer: &mut [u8], limit: usize, discard: bool) -> io::Result<Received> {
        let limit = limit.min(buffer.len());
        if let Some(tls) = &mut self.tls {
            return receive_tls(&self.fd, tls, &mut self.unsent, &mut buffer[..limit]);
        }
        let flags = if discard { RecvFlags::TRUNC } else { RecvFlags::empty() };
        match rustix::net::recv(&self.fd, &mut buffer[..limit], flags) {
            Ok((_, 0)) => Ok(Received::Closed),
            Ok((_, count)) if discard => Ok(Received::Discarded(count)),
            Ok((_, count)) => Ok(Received::Bytes(count)),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR | rustix::io::Errno::NOTCONN) => {
                Ok(Received::Nothing)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn receive_tls(
    fd: &OwnedFd,
    tls: &mut ClientConnection,
    unsent: &mut Vec<u8>,
    buffer: &mut [u8],
) -> io::Result<Received> {
    loop {
        match tls.reader().read(buffer) {
            Ok(0) => return Ok(Received::Closed),
            Ok(count) => return Ok(Received::Bytes(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        match tls.read_tls(&mut Wire(fd)) {
            Ok(0) => return Ok(Received::Closed),
            Ok(_) => {
                tls.process_new_packets().map_err(io::Error::other)?;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                return Ok(Received::Nothing);
            }
            Err(error) => return Err(error),
        }
        while tls.wants_write() {
            tls.write_tls(unsent)?;
        }
        if !unsent.is_empty()
            && let Ok(sent) = rustix::net::send(fd, unsent, SendFlags::NOSIGNAL)
        {
            unsent.drain(..sent);
        }
    }
}

struct Wire<'a>(&'a OwnedFd);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(self.0, buffer, RecvFlags::empty())?.1)
    }
}
