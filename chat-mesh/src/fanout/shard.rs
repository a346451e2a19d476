//! One task that writes to a share of the connections.
//!
//! ```text
//! Log::append ──▶ news ─┐
//! Connection  ──▶ look ─┼─▶ Door ──▶ serve (orders, sockets that can be written to again) ──▶ flush (each log with news)
//! a new one   ──▶ come ─┘
//! ```
//! On news it first gives way once, so that a whole burst is there, and then sends every reader all that it lacks in
//! one write, what has come during the round included: a busy channel's messages reach each reader once a round, all
//! together, and none waits for the round after. It never waits for a socket: a full one is left until its waker says so, and is then brought up to the
//! head alone. Between [`TURN`] writes it gives way to the tasks that read.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::Ordering::{Acquire, Release},
    },
};

use slab::Slab;
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Duration, Instant, sleep_until},
};

use super::{
    Config, Cursor, Ended, Log, Mark, Sink,
    conn::{Caught, Conn, Over, Seat},
    connection::{Member, NOWHERE, Order},
    ring::Batch,
    stats::Counters,
};

/// How many readers are written to before other tasks of the thread get their turn: about half a millisecond.
const TURN: usize = 128;

/// How long what is sent in one round may become by what comes while it is sent.
const EXTEND_BYTES: usize = 64 << 10;

/// How many bytes of scratch a shard keeps between flushes.
const SCRATCH_BYTES: usize = 64 << 10;

/// How often sockets that are full are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What others leave for a shard. Bounded by what there is: each log and each connection stands in it once at most.
#[derive(Default)]
pub(super) struct Door {
    left: Mutex<Left>,
    bell: Notify,
}

#[derive(Default)]
struct Left {
    arrivals: Vec<(Arc<Member>, Sink)>,
    listed: Vec<Arc<Member>>,
    news: Vec<Log>,
    haste: bool,
    stop: bool,
}

impl Door {
    pub(super) fn arrive(&self, member: Arc<Member>, sink: Sink) {
        self.left().arrivals.push((member, sink));
        self.bell.notify_one();
    }

    pub(super) fn look_at(&self, member: Arc<Member>) {
        self.left().listed.push(member);
        self.bell.notify_one();
    }

    pub(super) fn news(&self, log: Option<Log>, haste: bool) {
        {
            let mut left = self.left();
            left.news.extend(log);
            left.haste |= haste;
        }
        self.bell.notify_one();
    }

    pub(super) fn stop(&self) {
        self.left().stop = true;
        self.bell.notify_one();
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A log with readers in this shard.
struct Group {
    log: Log,
    /// Up to where all readers that keep up have been served.
    flushed: Cursor,
    readers: Vec<Reader>,
}

struct Reader {
    slot: usize,
    cursor: Cursor,
    mark: Option<Mark>,
}

/// See the module.
pub(super) struct Shard {
    number: usize,
    door: Arc<Door>,
    config: Config,
    counters: Arc<Counters>,
    conns: Slab<Conn>,
    groups: Slab<Group>,
    by_log: BTreeMap<u64, usize>,
    /// Those whose sockets were full when they were last written to.
    full: Vec<usize>,
    batch: Batch,
    catch_up: Batch,
    scratch: Vec<u8>,
}

impl Shard {
    pub(super) fn new(number: usize, door: Arc<Door>, config: Config, counters: Arc<Counters>) -> Self {
        Self {
            number,
            door,
            config,
            counters,
            conns: Slab::new(),
            groups: Slab::new(),
            by_log: BTreeMap::new(),
            full: Vec::new(),
            batch: Batch::default(),
            catch_up: Batch::default(),
            scratch: Vec::new(),
        }
    }

    /// Runs until the fan-out is dropped.
    pub(super) async fn run(mut self) {
        let mut flushed: Option<Instant> = None;
        let mut look = Instant::now() + LOOK;
        let mut news: Vec<Log> = Vec::new();
        loop {
            let due = flushed.map(|at| at + self.config.tick).filter(|_| !news.is_empty());
            let look_due = (!self.full.is_empty()).then_some(look);
            let next = due.into_iter().chain(look_due).min();
            tokio::select! {
                () = self.door.bell.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            yield_now().await; // the rest of a burst is on its way
            let left = std::mem::take(&mut *self.door.left());
            if left.stop {
                return self.stop(left);
            }
            self.admit(left.arrivals);
            for (n, member) in left.listed.into_iter().enumerate() {
                member.listed.store(false, Release);
                self.serve(member.slot.load(Acquire));
                if n % TURN == TURN - 1 {
                    yield_now().await;
                }
            }
            news.extend(left.news);
            let now = Instant::now();
            if left.haste || flushed.is_none_or(|at| now >= at + self.config.tick) {
                for log in news.drain(..) {
                    self.flush(&log).await;
                    flushed = Some(now);
                }
            }
            if now >= look {
                self.end_stalled(now);
                look = now + LOOK;
            }
        }
    }

    fn admit(&mut self, arrivals: Vec<(Arc<Member>, Sink)>) {
        for (member, sink) in arrivals {
            let slot = self.conns.insert(Conn::new(Arc::clone(&member), sink));
            member.slot.store(slot, Release);
        }
    }

    /// Sends all readers of `log` that keep up what is new in it.
    async fn flush(&mut self, log: &Log) {
        log.heard(self.number);
        let Some(&key) = self.by_log.get(&log.id()) else { return };
        let mut batch = std::mem::take(&mut self.batch);
        {
            let ring = log.ring();
            let from = self.groups[key].flushed;
            // Where the ring has turned over since, its oldest frame is what most lack.
            let from = if from.at < ring.oldest() { ring.last(usize::MAX) } else { from };
            ring.read(from, usize::MAX, &mut batch);
        }
        self.groups[key].flushed = batch.end();
        let (mut over, mut late) = (Vec::new(), Vec::new());
        let mut now = Instant::now();
        for at in 0..self.groups[key].readers.len() {
            if at % TURN == TURN - 1 {
                yield_now().await;
                now = Instant::now();
                // What has come meanwhile goes to the others in the same write. It is news still: the first lack it.
                if batch.len() < EXTEND_BYTES {
                    log.ring().extend(&mut batch, EXTEND_BYTES);
                }
            }
            let reader = &mut self.groups[key].readers[at];
            let conn = &mut self.conns[reader.slot];
            if conn.blocked || batch.end().at <= reader.cursor.at {
                continue;
            }
            if reader.cursor.at < batch.start().at {
                conn.lag(now);
                late.push(reader.slot);
                continue;
            }
            match conn.send(now, &mut reader.cursor, reader.mark.as_ref(), &batch) {
                Ok(sent) => {
                    self.counters.sent(sent);
                    if conn.blocked && conn.watch() {
                        self.full.push(reader.slot);
                    }
                }
                Err(Over(why)) => over.push((reader.slot, why)),
            }
        }
        batch.shrink(SCRATCH_BYTES);
        self.batch = batch;
        for (slot, why) in over {
            self.end(slot, why);
        }
        for slot in late {
            self.serve(slot);
        }
    }

    /// Does all that can be done for one connection now.
    fn serve(&mut self, slot: usize) {
        if slot == NOWHERE || !self.conns.contains(slot) {
            return;
        }
        if let Err(Over(why)) = self.try_serve(slot) {
            self.end(slot, why);
        } else if self.conns[slot].blocked && self.conns[slot].watch() {
            self.full.push(slot);
        }
    }

    fn try_serve(&mut self, slot: usize) -> Result<(), Over> {
        if let Some(why) = self.conns[slot].member.ended() {
            return Err(Over(why));
        }
        let now = Instant::now();
        while let Some(order) = self.conns[slot].private(now, &mut self.scratch)? {
            match order {
                Order::Subscribe(log, from, mark) => {
                    self.seat(slot, log, from, mark);
                    // What is in the log already comes before the next order.
                    if self.read_on(slot, now)? == Caught::NotYet {
                        break;
                    }
                }
                Order::Unsubscribe(log) => self.unseat(slot, &log),
                Order::Close(frame) => {
                    self.unseat_all(slot);
                    self.conns[slot].close(&frame);
                }
                Order::Send(_) => {}
            }
        }
        // Who keeps up waits for the flush: one's own frames do not end a tick.
        if self.conns[slot].lags() {
            self.read_on(slot, now)?;
        }
        Ok(())
    }

    /// Brings a connection up to the head of all that it reads, as far as its socket lets it and a go allows.
    fn read_on(&mut self, slot: usize, now: Instant) -> Result<Caught, Over> {
        let conn = &mut self.conns[slot];
        for n in 0..conn.seats.len() {
            let Seat { group, at } = conn.seats[n];
            let group = &mut self.groups[group];
            let Reader { cursor, mark, .. } = &mut group.readers[at];
            let place = (&group.log, cursor, mark.as_ref());
            let (caught, sent) = conn.catch_up(now, place, self.config.patience, &mut self.catch_up)?;
            self.counters.sent(sent);
            if caught == Caught::NotYet {
                if !conn.blocked {
                    conn.lag(now);
                    conn.member.list(); // others first
                }
                return Ok(Caught::NotYet);
            }
        }
        conn.arrived();
        Ok(Caught::Up)
    }

    fn seat(&mut self, slot: usize, log: Log, from: Cursor, mark: Option<Mark>) {
        self.unseat(slot, &log);
        let key = match self.by_log.get(&log.id()) {
            Some(key) => *key,
            None => {
                let group = Group { log: log.clone(), flushed: log.head(), readers: Vec::new() };
                let key = self.groups.insert(group);
                self.by_log.insert(log.id(), key);
                key
            }
        };
        log.enter(self.number);
        let from = log.ring().standing(from);
        let group = &mut self.groups[key];
        self.conns[slot].seats.push(Seat { group: key, at: group.readers.len() });
        group.readers.push(Reader { slot, cursor: from, mark });
    }

    fn unseat(&mut self, slot: usize, log: &Log) {
        let Some(&key) = self.by_log.get(&log.id()) else { return };
        let seats = &mut self.conns[slot].seats;
        let Some(n) = seats.iter().position(|seat| seat.group == key) else { return };
        let Seat { at, .. } = seats.swap_remove(n);
        let group = &mut self.groups[key];
        group.log.leave(self.number);
        group.readers.swap_remove(at);
        if let Some(moved) = group.readers.get(at)
            && let Some(seat) = self.conns[moved.slot].seats.iter_mut().find(|seat| seat.group == key)
        {
            seat.at = at;
        }
        if group.readers.is_empty() {
            self.groups.remove(key);
            self.by_log.remove(&log.id());
        }
    }

    fn unseat_all(&mut self, slot: usize) {
        while let Some(seat) = self.conns[slot].seats.last() {
            let log = self.groups[seat.group].log.clone();
            self.unseat(slot, &log);
        }
    }

    /// Drops a connection's socket and says why.
    fn end(&mut self, slot: usize, why: Ended) {
        self.unseat_all(slot);
        let conn = self.conns.remove(slot);
        let member = Arc::clone(&conn.member);
        drop(conn);
        let why = member.end(why);
        self.counters.ended(why);
    }

    fn end_stalled(&mut self, now: Instant) {
        let full = std::mem::take(&mut self.full);
        for slot in full {
            let Some(conn) = self.conns.get_mut(slot) else { continue };
            conn.watched = false;
            if conn.stuck.is_some_and(|since| now.saturating_duration_since(since) >= self.config.stall) {
                self.end(slot, Ended::Stalled);
            } else if conn.blocked && conn.watch() {
                self.full.push(slot);
            }
        }
    }

    fn stop(mut self, left: Left) {
        self.admit(left.arrivals);
        let slots: Vec<usize> = self.conns.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.end(slot, Ended::Shutdown);
        }
    }
}
