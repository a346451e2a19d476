//! One process's viewers: an epoll loop over at most [`SOCKETS`] sockets, one shared buffer.
//!
//! ```text
//! stdin: Job, one JSON line      stdout: Report, a JSON line a second, the last one marked `done`
//! ```

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    io::{self, BufRead, Write},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use rustix::event::{
    Timespec,
    epoll::{self, EventData, EventFlags},
};
use rustls::{ClientConfig, pki_types::ServerName};
use sha2::{Digest, Sha256};

use super::{
    head::{self, Head},
    job::{Job, Report},
    listing::Memo,
    origin::hex,
    socket::{Received, Socket},
    stats::{Parcel, Stats},
    tls,
    truth::Truth,
    viewer::{Answer, Body, Next, Viewer},
};

/// The most sockets of one process: the descriptor limit is 20,000 on common machines.
pub const SOCKETS: usize = 17_000;

/// How long an answer may take: longer than any held reload, microseconds.
const ANSWER_DEADLINE_US: u64 = 20_000_000;

/// Runs the job that stands on standard input.
///
/// # Errors
/// When the job can't be read, or the kernel refuses an epoll instance.
pub fn run() -> anyhow::Result<()> {
    crate::limits::raise_descriptors();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line).context("the job on standard input")?;
    Loop::new(job)?.run()
}

struct Loop {
    job: Job,
    epoll: rustix::fd::OwnedFd,
    seats: Vec<Seat>,
    timers: BinaryHeap<Reverse<(u64, usize)>>,
    truth: Truth,
    /// When which viewer leaves.
    leaves: BinaryHeap<Reverse<(u64, usize)>>,
    memo: Memo,
    stats: Stats,
    hashes: Vec<(String, String)>,
    buffer: Vec<u8>,
    tls: Option<Arc<ClientConfig>>,
    names: Vec<Option<ServerName<'static>>>,
    start: Instant,
    start_us: u64,
}

/// A viewer and its connection.
struct Seat {
    viewer: Viewer,
    target: usize,
    socket: Option<Socket>,
    pending: VecDeque<Pending>,
    /// What has come of the response so far: its head, or a body that is kept.
    inbox: Vec<u8>,
}

/// A request that waits for its answer.
struct Pending {
    body: Body,
    path: Option<String>,
    head: Option<Head>,
    redirect: Option<String>,
    left: u64,
    deadline_us: u64,
}

impl Loop {
    fn new(job: Job) -> anyhow::Result<Self> {
        let tls = job.targets.iter().any(|target| target.tls).then(tls::trusting_config).transpose()?;
        let names = job
            .targets
            .iter()
            .map(|target| target.tls.then(|| ServerName::try_from(target.host.clone())).transpose())
            .collect::<Result<_, _>>()?;
        let start_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            seats: Vec::new(),
            timers: BinaryHeap::new(),
            truth: Truth::default(),
            leaves: BinaryHeap::new(),
            memo: Memo::default(),
            stats: Stats { warm_at_us: start_us + job.warm_up_ms * 1000, ..Stats::default() },
            hashes: Vec::new(),
            buffer: vec![0; 256 * 1024],
            tls,
            names,
            start: Instant::now(),
            start_us,
            job,
        })
    }

    fn now_us(&self) -> u64 {
        self.start_us + self.start.elapsed().as_micros() as u64
    }

    fn run(mut self) -> anyhow::Result<()> {
        let end_us = self.start_us + self.job.duration_ms * 1000;
        let mut next_report_us = self.start_us + 1_000_000;
        let mut events = Vec::with_capacity(1024);
        while self.now_us() < end_us {
            self.seat_due();
            self.leave_due();
            self.fire_timers();
            events.clear();
            let timeout = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.serve(event.data.u64() as usize);
            }
            if self.now_us() >= next_report_us {
                self.sweep();
                self.report(None)?;
                next_report_us += 1_000_000;
            }
        }
        let parcel = self.stats.parcel();
        self.report(Some(parcel))
    }

    /// Lets those join whose turn it is.
    fn seat_due(&mut self) {
        let elapsed_us = self.start.elapsed().as_micros() as u64;
        let ramp_us = (self.job.ramp_ms * 1000).max(1);
        let due = (u64::from(self.job.sockets) * elapsed_us / ramp_us).min(self.job.sockets.into()) as usize;
        while self.seats.len() < due {
            let index = self.seats.len();
            let seat = self.seat(index);
            self.seats.push(seat);
            self.connect(index);
            let tracks = self.job.tracks.len();
            if index.is_multiple_of(tracks) {
                self.plan_leave(index / tracks);
            }
        }
    }

    /// A new viewer's seat of this number.
    fn seat(&self, index: usize) -> Seat {
        // All sockets of one viewer go to one edge.
        let (job, tracks) = (&self.job, self.job.tracks.len());
        let target = index / tracks % job.targets.len();
        let path = Rc::from(job.targets[target].path.as_str());
        let track = job.tracks[index % tracks];
        let viewer = Viewer::new(path, track, job.behaviour, job.hash_every, index as u32, self.now_us());
        Seat { viewer, target, socket: None, pending: VecDeque::new(), inbox: Vec::new() }
    }

    /// Each stays for half to one and a half of the time, so that they do not leave as they came.
    fn plan_leave(&mut self, viewer: usize) {
        let stay_us = self.job.stay_ms * 1000;
        if stay_us > 0 {
            let spread_us = (viewer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % stay_us;
            self.leaves.push(Reverse((self.now_us() + stay_us / 2 + spread_us, viewer)));
        }
    }

    /// Lets those leave whose turn it is, and others come in their places.
    fn leave_due(&mut self) {
        let (now_us, tracks) = (self.now_us(), self.job.tracks.len());
        while let Some(&Reverse((_, viewer))) = self.leaves.peek().filter(|leave| leave.0.0 <= now_us) {
            self.leaves.pop();
            self.truth.leaves(viewer);
            let seats = viewer * tracks..((viewer + 1) * tracks).min(self.seats.len());
            for index in seats.clone() {
                self.seats[index] = self.seat(index);
            }
            seats.for_each(|index| self.connect(index));
            self.plan_leave(viewer);
        }
    }

    fn connect(&mut self, index: usize) {
        let target = self.seats[index].target;
        let sources = &self.job.sources;
        let from = (!sources.is_empty()).then(|| sources[index % sources.len()]);
        let tls = self.tls.as_ref().zip(self.names[target].as_ref());
        let opened = Socket::connect(self.job.targets[target].address, from, tls).and_then(|socket| {
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
            epoll::add(&self.epoll, socket.fd(), EventData::new_u64(index as u64), flags)?;
            Ok(socket)
        });
        match opened {
            Ok(socket) => {
                self.seats[index].socket = Some(socket);
                self.ask(index);
            }
            Err(error) => self.lost(index, &format!("connect_{:?}", error.kind())),
        }
    }

    fn ask(&mut self, index: usize) {
        let deadline_us = self.now_us() + ANSWER_DEADLINE_US;
        let seat = &mut self.seats[index];
        let Some(ask) = seat.viewer.ask() else { return };
        if seat.viewer.asks_for_media() {
            self.truth.asks(index / self.job.tracks.len(), deadline_us - ANSWER_DEADLINE_US);
        }
        let host = &self.job.targets[seat.target].host;
        let request = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: freshet-loadtest\r\n\r\n", ask.path);
        let path = (ask.body == Body::Hash).then_some(ask.path);
        seat.pending.push_back(Pending { body: ask.body, path, head: None, redirect: None, left: 0, deadline_us });
        let sent = seat.socket.as_mut().map(|socket| socket.send(request.as_bytes()));
        if let Some(Err(error)) = sent {
            self.lost(index, &format!("send_{:?}", error.kind()));
        }
    }

    /// Takes whatever has come for one seat.
    fn serve(&mut self, index: usize) {
        loop {
            let seat = &mut self.seats[index];
            let Some(socket) = &mut seat.socket else { return };
            if let Err(error) = socket.flush() {
                return self.lost(index, &format!("send_{:?}", error.kind()));
            }
            let (limit, discard) = seat.pending.front().map_or((4096, false), Pending::appetite);
            match socket.receive(&mut self.buffer, limit, discard) {
                Ok(Received::Nothing) => return,
                Ok(Received::Closed) => return self.lost(index, "closed_by_server"),
                Ok(Received::Discarded(count)) => self.take_body(index, count, None),
                Ok(Received::Bytes(count)) => self.take(index, count),
                Err(error) => return self.lost(index, &format!("receive_{:?}", error.kind())),
            }
        }
    }

    /// `count` bytes stand in the buffer: of a head, of a body, or of both.
    fn take(&mut self, index: usize, count: usize) {
        let seat = &mut self.seats[index];
        let Some(pending) = seat.pending.front_mut() else { return self.lost(index, "unasked_bytes") };
        if pending.head.is_some() {
            return self.take_body(index, count, Some(0));
        }
        seat.inbox.extend_from_slice(&self.buffer[..count]);
        match head::parse(&seat.inbox) {
            Ok(None) => {}
            Ok(Some(head)) => {
                pending.head = Some(head);
                pending.left = head.length;
                pending.redirect = head::redirect(&head, &seat.inbox);
                let body = seat.inbox.split_off(head.size);
                seat.inbox.clear();
                self.buffer[..body.len()].copy_from_slice(&body);
                self.take_body(index, body.len(), Some(0));
            }
            Err(problem) => self.lost(index, problem),
        }
    }

    /// `count` bytes of the body came; `at` says where they stand in the buffer, unless they were discarded.
    fn take_body(&mut self, index: usize, count: usize, at: Option<usize>) {
        let seat = &mut self.seats[index];
        let Some(pending) = seat.pending.front_mut() else { return };
        if count as u64 > pending.left {
            return self.lost(index, "body_longer_than_announced");
        }
        pending.left -= count as u64;
        if let Some(at) = at.filter(|_| pending.body != Body::Discard) {
            seat.inbox.extend_from_slice(&self.buffer[at..at + count]);
        }
        if pending.left == 0 {
            self.complete(index);
        }
    }

    fn complete(&mut self, index: usize) {
        let now_us = self.now_us();
        let sibling = self.place_of_sibling(index);
        let seat = &mut self.seats[index];
        let Some((pending, head)) = seat.pending.pop_front().and_then(|p| p.head.map(|head| (p, head))) else { return };
        let body = std::mem::take(&mut seat.inbox);
        self.stats.requests += 1;
        self.stats.bytes += head.length;
        if let Some(path) = pending.path.filter(|_| head.status == 200) {
            self.hashes.push((whoevers(&path).to_owned(), hex(&Sha256::digest(&body))));
        }
        let redirect = pending.redirect.as_deref().map(|own| sibling.as_deref().unwrap_or(own));
        let answer = Answer { status: head.status, body: &body, length: head.length, now_us, redirect };
        let next = seat.viewer.answered(&answer, &mut self.memo, &mut self.stats);
        if head.close {
            return self.lost(index, "closed_by_server");
        }
        match next {
            Next::Ask => self.ask(index),
            Next::Wait(us) => self.timers.push(Reverse((now_us + us, index))),
            Next::Idle => {}
        }
    }

    /// Where another socket of the same viewer was sent on to: all of them are one session.
    fn place_of_sibling(&self, index: usize) -> Option<Rc<str>> {
        let tracks = self.job.tracks.len();
        let first = index / tracks * tracks;
        let siblings = self.seats[first..].iter().take(tracks);
        siblings.filter_map(|seat| seat.viewer.place()).next().cloned()
    }

    /// The connection is of no use any more; another is opened a little later.
    fn lost(&mut self, index: usize, why: &str) {
        self.stats.error(why.to_owned());
        let seat = &mut self.seats[index];
        seat.socket = None;
        seat.pending.clear();
        seat.inbox.clear();
        let now_us = self.now_us();
        if let Next::Wait(us) = self.seats[index].viewer.disconnected() {
            self.timers.push(Reverse((now_us + us, index)));
        }
    }

    fn fire_timers(&mut self) {
        let now_us = self.now_us();
        while let Some(&Reverse((at, index))) = self.timers.peek().filter(|timer| timer.0.0 <= now_us) {
            debug_assert!(at <= now_us);
            self.timers.pop();
            let seat = &self.seats[index];
            match (&seat.socket, seat.pending.is_empty()) {
                (None, _) => self.connect(index),
                (Some(_), true) => self.ask(index),
                // It was set for somebody who has left.
                (Some(_), false) => {}
            }
        }
    }

    /// Gives up answers that are overdue.
    fn sweep(&mut self) {
        let now_us = self.now_us();
        for index in 0..self.seats.len() {
            if self.seats[index].pending.front().is_some_and(|pending| pending.deadline_us < now_us) {
                self.lost(index, "no_answer_in_20_s");
            }
        }
    }

    fn report(&mut self, done: Option<Parcel>) -> anyhow::Result<()> {
        let report = Report {
            open: self.seats.iter().filter(|seat| seat.socket.is_some()).count() as u64,
            requests: self.stats.requests,
            parts: self.stats.parts,
            joined: self.stats.joined,
            errors: self.stats.errors.values().sum(),
            watching: self.truth.watching(self.now_us()),
            hashes: std::mem::take(&mut self.hashes),
            done,
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &report)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }
}

/// A path without the token of whoever asks: what stands there is the same for all.
fn whoevers(path: &str) -> &str {
    path.find("/live/").map_or(path, |at| &path[at..])
}

impl Pending {
    /// How much to read, and whether it may be thrown away.
    ///
    /// A head is read in small bites, so that little of a body that nobody needs is copied with it.
    fn appetite(&self) -> (usize, bool) {
        match (&self.head, self.body) {
            (None, Body::Discard) => (1024, false),
            (None, _) => (usize::MAX, false),
            (Some(_), Body::Discard) => (self.left.min(usize::MAX as u64) as usize, true),
            (Some(_), _) => (self.left.min(usize::MAX as u64) as usize, false),
        }
    }
}

/// How long a process may take to end after its time: for the last report.
pub const GRACE: Duration = Duration::from_secs(10);
