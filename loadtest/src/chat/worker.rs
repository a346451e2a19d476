//! One process's connections: an epoll loop over at most [`SOCKETS`] of them, one shared buffer.
//!
//! ```text
//! stdin: Job, then Orders, a JSON line each      stdout: Reports, a JSON line each, the last one `Done`
//! sockets ──▶ Dialect::next ──▶ Checker ──▶ acks and nacks ──▶ Posts ──▶ sockets
//! ```
//! Here are the stages and the reports; what a connection says and hears is in `seat`.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    io::{self, BufRead, Write},
    sync::{
        Arc,
        mpsc::{self, Receiver, TryRecvError},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use rustix::event::{Timespec, epoll};
use rustls::{ClientConfig, pki_types::ServerName};

use super::{
    checker::Checker,
    job::{Job, Order, Parcel, Report, Stage},
    posts::Posts,
    seat::Seat,
    wire::Dialect,
};
use crate::{report::Distribution, view::tls};

/// The most connections of one process: the descriptor limit is 20,000 on common machines.
pub const SOCKETS: usize = 17_000;

/// How long what is owed at the end may take, in microseconds.
const SETTLE_US: u64 = 15_000_000;

/// How long epoll waits at most.
const WAIT_US: u64 = 5_000;

/// Posts of a process have numbers of their own: the process's number stands above these bits.
pub(super) const NUMBER_BITS: u32 = 40;

/// Runs the job that stands on standard input.
///
/// # Errors
/// When the job can't be read, the kernel refuses an epoll instance, or the parent goes away.
pub fn run() -> anyhow::Result<()> {
    crate::limits::raise_descriptors();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line).context("the job on standard input")?;
    let (sender, orders) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if serde_json::from_str(&line).is_ok_and(|order| sender.send(order).is_err()) {
                return;
            }
        }
    });
    Loop::new(job, orders)?.run()
}

/// See the module.
pub(super) struct Loop {
    pub(super) job: Job,
    orders: Receiver<Order>,
    pub(super) epoll: rustix::fd::OwnedFd,
    pub(super) seats: Vec<Seat>,
    pub(super) coming: usize,
    pub(super) joined: usize,
    pub(super) checker: Checker,
    pub(super) posts: Posts,
    /// When which connection is tried again.
    pub(super) timers: BinaryHeap<Reverse<(u64, usize)>>,
    pub(super) heartbeat: (usize, u64),
    pub(super) stage: Stage,
    /// When the stage ends by itself.
    pub(super) until_us: u64,
    pub(super) finish: Option<u64>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) away: Distribution,
    pub(super) reads: u64,
    pub(super) disconnects: u64,
    pub(super) acked_seq: u64,
    pub(super) buffer: Vec<u8>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) names: Vec<Option<ServerName<'static>>>,
    pub(super) start: Instant,
    pub(super) start_us: u64,
}

impl Loop {
    fn new(job: Job, orders: Receiver<Order>) -> anyhow::Result<Self> {
        let tls = job.targets.iter().any(|target| target.tls).then(tls::trusting_config).transpose()?;
        let name = |host: &str| ServerName::try_from(host.to_owned());
        let names = job.targets.iter().map(|target| target.tls.then(|| name(&target.host)).transpose());
        let channel = job.targets.first().context("a hub")?.channel.clone();
        let posts = Posts::new(
            job.dialect,
            job.run,
            u64::from(job.number) << NUMBER_BITS,
            job.pace,
            &channel,
            job.text_chars,
            job.senders.len(),
        );
        Ok(Self {
            orders,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            seats: Vec::with_capacity(job.subscribers as usize),
            coming: 0,
            joined: 0,
            checker: Checker::new(job.dialect, job.run),
            posts,
            timers: BinaryHeap::new(),
            heartbeat: (0, 0),
            stage: Stage::Joining,
            until_us: u64::MAX,
            finish: None,
            errors: BTreeMap::new(),
            away: Distribution::default(),
            reads: 0,
            disconnects: 0,
            acked_seq: 0,
            buffer: vec![0; 256 << 10],
            names: names.collect::<Result<_, _>>()?,
            tls,
            start: Instant::now(),
            start_us: SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
            job,
        })
    }

    pub(super) fn now_us(&self) -> u64 {
        self.start_us + self.start.elapsed().as_micros() as u64
    }

    fn run(mut self) -> anyhow::Result<()> {
        let mut report_us = self.start_us + 1_000_000;
        let mut events = Vec::with_capacity(1024);
        loop {
            self.obey()?;
            self.come_in();
            self.post();
            events.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: (self.wait_us() * 1000) as i64 };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                self.serve(event.data.u64() as usize, event.flags);
            }
            let now_us = self.now_us();
            if self.advance(now_us) || now_us >= report_us {
                self.posts.sweep(now_us);
                self.report(None)?;
                report_us = now_us + 1_000_000;
            }
            if self.stage == Stage::Done {
                let parcel = self.parcel();
                return self.report(Some(parcel));
            }
        }
    }

    fn obey(&mut self) -> anyhow::Result<()> {
        match self.orders.try_recv() {
            Ok(Order::Go) => {
                let now_us = self.now_us();
                self.posts.start(now_us);
                (self.stage, self.until_us) = (Stage::WarmingUp, now_us + self.job.warm_up_ms * 1000);
            }
            Ok(Order::Finish(seq)) => {
                self.finish = Some(seq);
                self.until_us = self.now_us() + SETTLE_US;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => bail!("the parent process has gone"),
        }
        Ok(())
    }

    fn wait_us(&self) -> u64 {
        let now_us = self.now_us();
        self.posts.deadline_us().map_or(WAIT_US, |due_us| due_us.saturating_sub(now_us).clamp(50, WAIT_US))
    }

    /// Goes on to the next stage when its time has come; whether it did.
    fn advance(&mut self, now_us: u64) -> bool {
        let is_over = now_us >= self.until_us;
        let next = match self.stage {
            Stage::Joining if self.joined == self.job.subscribers as usize => Stage::Joined,
            Stage::WarmingUp if is_over => {
                self.checker.measured_from_us = now_us;
                self.until_us = now_us + self.job.duration_ms * 1000;
                Stage::Measuring
            }
            Stage::Measuring if is_over => {
                self.posts.stop(now_us);
                self.until_us = now_us + SETTLE_US;
                Stage::Measured
            }
            Stage::Measured if is_over || self.posts.is_answered() => Stage::Settled,
            Stage::Settled if self.finish.is_some_and(|seq| is_over || self.all_have(seq)) => Stage::Done,
            _ => return false,
        };
        self.stage = next;
        true
    }

    /// Whether nobody has more to wait for.
    fn all_have(&self, seq: u64) -> bool {
        self.seats.iter().all(|seat| seat.is_done(seq, self.job.reconnect))
    }

    fn post(&mut self) {
        if self.stage < Stage::WarmingUp {
            return;
        }
        let now_us = self.now_us();
        while let Some((sender, text)) = self.posts.due(now_us) {
            let bytes = self.job.dialect.text(&text);
            self.send(sender, &bytes);
        }
    }

    fn parcel(&mut self) -> Parcel {
        let last_seq = self.finish.unwrap_or_default();
        for seat in &self.seats {
            self.checker.end(&seat.cursor, last_seq);
        }
        let unanswered = self.posts.unanswered();
        if unanswered > 0 && self.job.dialect == Dialect::Chat {
            self.posts.refused.insert("unanswered".to_owned(), unanswered);
        }
        Parcel {
            counts: self.checker.counts,
            delay: self.checker.delay.buckets(),
            ack: self.posts.ack.buckets(),
            away: self.away.buckets(),
            posted: self.posts.posted,
            refused: std::mem::take(&mut self.posts.refused),
            errors: std::mem::take(&mut self.errors),
            pause_us: self.posts.pause_us,
        }
    }

    fn report(&mut self, done: Option<Parcel>) -> anyhow::Result<()> {
        let report = Report {
            stage: if done.is_some() { Stage::Done } else { self.stage.min(Stage::Settled) },
            joined: self.joined as u64,
            deliveries: self.checker.counts.deliveries,
            reads: self.reads,
            acknowledged: self.posts.acknowledged,
            last_seq: self.checker.reference.last_seq().max(self.acked_seq),
            disconnects: self.disconnects,
            seen: self.checker.reference.news(),
            acked: std::mem::take(&mut self.posts.acked),
            done,
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &report)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }
}
