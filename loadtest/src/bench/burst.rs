//! Many connections that ask the same thing at once, or wait for the same thing together.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::event::{
    Timespec,
    epoll::{self, EventData, EventFlags},
};
use rustls::pki_types::ServerName;

use crate::{
    report::Distribution,
    view::{
        head::{self, Head},
        socket::{Received, Socket},
        tls,
    },
};

/// How long everybody may take to connect, and then to be answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connections that have asked or are about to.
pub struct Burst {
    epoll: rustix::fd::OwnedFd,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    done: usize,
    start: Instant,
    delays: Distribution,
}

struct Client {
    socket: Socket,
    inbox: Vec<u8>,
    head: Option<Head>,
    received: u64,
    done: bool,
}

impl Burst {
    /// Opens `count` connections and has each ask for `warm` and receive it, so that it is open and at rest.
    ///
    /// # Errors
    /// When one can't be opened or is answered with an error.
    pub fn open(address: SocketAddr, tls: bool, count: usize, warm: &str) -> anyhow::Result<Self> {
        let config = tls.then(tls::trusting_config).transpose()?;
        let name = ServerName::try_from("localhost")?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut burst = Self {
            epoll,
            clients: Vec::with_capacity(count),
            buffer: vec![0; 256 * 1024],
            done: 0,
            start: Instant::now(),
            delays: Distribution::default(),
        };
        // In batches, so that the accept queue (4,096 here) never overflows.
        while burst.clients.len() < count {
            let batch = (count - burst.clients.len()).min(500);
            for _ in 0..batch {
                let socket = Socket::connect(address, None, config.as_ref().map(|config| (config, &name)))?;
                let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
                epoll::add(&burst.epoll, socket.fd(), EventData::new_u64(burst.clients.len() as u64), flags)?;
                burst.clients.push(Client { socket, inbox: Vec::new(), head: None, received: 0, done: false });
            }
            let first = burst.clients.len() - batch;
            burst.ask_from(first, warm)?;
            burst.wait(first + batch)?;
        }
        Ok(burst)
    }

    /// Has every connection ask for `path`, without waiting for answers.
    ///
    /// # Errors
    /// When a connection was lost.
    pub fn ask(&mut self, path: &str) -> anyhow::Result<()> {
        self.done = 0;
        self.delays = Distribution::default();
        self.ask_from(0, path)
    }

    fn ask_from(&mut self, first: usize, path: &str) -> anyhow::Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.start = Instant::now();
        for client in &mut self.clients[first..] {
            client.done = false;
            client.head = None;
            client.received = 0;
            client.socket.send(request.as_bytes())?;
        }
        Ok(())
    }

    /// From now on delays count.
    pub fn restart_clock(&mut self) {
        self.start = Instant::now();
    }

    /// Waits until every connection has its answer; returns the delays.
    ///
    /// # Errors
    /// When one is answered with anything but 200, is closed, or gets no answer within 30 s.
    pub fn finish(mut self) -> anyhow::Result<Distribution> {
        let count = self.clients.len();
        self.wait(count)?;
        Ok(self.delays)
    }

    fn wait(&mut self, count: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut events = Vec::with_capacity(1024);
        while self.done < count {
            ensure!(begun.elapsed() < PATIENCE, "{} of {count} have no answer", count - self.done);
            events.clear();
            let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
            for event in &events {
                self.serve(event.data.u64() as usize)?;
            }
        }
        Ok(())
    }

    fn serve(&mut self, index: usize) -> anyhow::Result<()> {
        let client = &mut self.clients[index];
        client.socket.flush()?;
        loop {
            match client.socket.receive(&mut self.buffer, usize::MAX, false)? {
                Received::Nothing | Received::Discarded(_) => return Ok(()),
                Received::Closed => bail!("connection {index} was closed"),
                Received::Bytes(count) if client.take(&self.buffer[..count])? => {
                    self.done += 1;
                    self.delays.record_us(self.start.elapsed().as_micros() as u64);
                }
                Received::Bytes(_) => {}
            }
        }
    }
}

impl Client {
    /// Whether the answer is whole now.
    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        let mut body = bytes.len() as u64;
        if self.head.is_none() {
            self.inbox.extend_from_slice(bytes);
            let Some(head) = head::parse(&self.inbox).map_err(anyhow::Error::msg)? else { return Ok(false) };
            ensure!(head.status == 200, "answered {}", head.status);
            body = (self.inbox.len() - head.size) as u64;
            self.inbox = Vec::new();
            self.head = Some(head);
        }
        self.received += body;
        let length = self.head.map_or(u64::MAX, |head| head.length);
        ensure!(self.received <= length && !self.done, "more bytes than announced");
        self.done = self.received == length;
        Ok(self.done)
    }
}

/// Asks the stub's control face.
///
/// # Errors
/// When it does not answer.
pub fn control(stub: SocketAddr, method: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(stub)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: stub\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer from the stub")?;
    Ok(body.to_owned())
}
