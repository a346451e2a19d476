//! A connection as its shard has it: the sink, what of a frame is still owed to it, and since when it lags.
//!
//! Between two calls a reader stands between two frames of a log: when a socket takes half a frame, the other half is
//! copied (`rest`) and goes first. So a private frame or a gap is never within another frame, and a frame may fall off
//! the ring while a reader is in the middle of it.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::time::{Duration, Instant};

use super::{
    Cursor, Ended, Gap, Log, Mark, Sink,
    connection::{Member, Order},
    ring::Batch,
};

/// How many bytes of private frames are gathered into one write.
const GATHER_BYTES: usize = 16 << 10;

/// How much of a log a reader that lags is sent in one go.
const CATCH_UP_BYTES: usize = 64 << 10;

/// Which of the shard's logs it reads, and where among that log's readers it stands.
pub(super) struct Seat {
    pub group: usize,
    pub at: usize,
}

/// See the module.
pub(super) struct Conn {
    pub member: Arc<Member>,
    waker: Waker,
    sink: Sink,
    /// What must go before anything else.
    rest: Vec<u8>,
    pub seats: Vec<Seat>,
    /// The socket took not everything; its waker says when it takes more.
    pub blocked: bool,
    /// Since when it has taken nothing at all.
    pub stuck: Option<Instant>,
    /// It stands in the shard's list of sockets that are full.
    pub watched: bool,
    /// Since when it has not been at the head of all that it reads.
    behind: Option<Instant>,
    closing: bool,
}

/// A connection can't go on.
#[derive(Debug)]
pub(super) struct Over(pub Ended);

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self(Ended::Gone)
    }
}

/// What was sent of a log in one go.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sent {
    pub bytes: usize,
    pub frames: usize,
    pub gaps: usize,
}

impl std::ops::AddAssign for Sent {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.frames += more.frames;
        self.gaps += more.gaps;
    }
}

/// What came of an attempt to bring a reader to the head of a log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Caught {
    Up,
    /// The socket is full, or there is more than one go may send.
    NotYet,
}

impl Conn {
    pub(super) fn new(member: Arc<Member>, sink: Sink) -> Self {
        let waker = Waker::from(Arc::clone(&member));
        Self {
            member,
            waker,
            sink,
            rest: Vec::new(),
            seats: Vec::new(),
            blocked: false,
            stuck: None,
            watched: false,
            behind: None,
            closing: false,
        }
    }

    /// Sends what is owed and the private frames that wait; hands out the first order that is no frame.
    pub(super) fn private(&mut self, now: Instant, scratch: &mut Vec<u8>) -> Result<Option<Order>, Over> {
        self.blocked = false;
        loop {
            let rest = std::mem::take(&mut self.rest);
            let taken = self.write(now, &rest)?;
            if self.blocked {
                self.rest = rest;
                self.rest.drain(..taken);
                return Ok(None);
            }
            if self.closing {
                return self.finish(now);
            }
            scratch.clear();
            let fits = |order: &Order, held: usize| matches!(order, Order::Send(frames) if held == 0 || held + frames.len() <= GATHER_BYTES);
            while let Some(Order::Send(frames)) = self.member.next_if(|order| fits(order, scratch.len())) {
                scratch.extend_from_slice(&frames);
            }
            if scratch.is_empty() {
                return Ok(self.member.next_if(|_| true));
            }
            self.owe(now, scratch)?;
        }
    }

    /// Nothing is read any more; `frame` is the last that is sent.
    pub(super) fn close(&mut self, frame: &[u8]) {
        self.closing = true;
        self.rest.extend_from_slice(frame);
    }

    fn finish(&mut self, now: Instant) -> Result<Option<Order>, Over> {
        match self.sink.finish(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(_) => Err(Over(Ended::Closed)),
            Poll::Pending => {
                self.block(now);
                Ok(None)
            }
        }
    }

    /// Sends what it lacks of `batch`, from `cursor` on, and moves `cursor`; but for what is not for its mark.
    pub(super) fn send(
        &mut self,
        now: Instant,
        cursor: &mut Cursor,
        mark: Option<&Mark>,
        batch: &Batch,
    ) -> Result<Sent, Over> {
        let mut sent = Sent::default();
        for skip in batch.skips(mark, cursor.at) {
            if cursor.at < skip.at {
                sent += self.send_up_to(now, cursor, skip.at, batch)?;
            }
            if cursor.at != skip.at || self.blocked {
                return Ok(sent);
            }
            *cursor = skip.end;
        }
        sent += self.send_up_to(now, cursor, batch.end().at, batch)?;
        Ok(sent)
    }

    /// Sends from `cursor` to `end`, where a frame ends, and moves `cursor`.
    fn send_up_to(&mut self, now: Instant, cursor: &mut Cursor, end: u64, batch: &Batch) -> Result<Sent, Over> {
        let bytes = batch.between(cursor.at, end);
        let taken = if bytes.is_empty() { 0 } else { self.write(now, bytes)? };
        let (whole, rest, frames) = batch.taken(cursor.at, taken);
        if taken < bytes.len() {
            self.rest.extend_from_slice(rest);
        }
        *cursor = whole;
        Ok(Sent { bytes: taken, frames, gaps: 0 })
    }

    /// Brings a reader of `log` from `cursor` nearer to the head, or, where it is too far behind, to the head with a gap.
    pub(super) fn catch_up(
        &mut self,
        now: Instant,
        (log, cursor, mark): (&Log, &mut Cursor, Option<&Mark>),
        patience: Duration,
        batch: &mut Batch,
    ) -> Result<(Caught, Sent), Over> {
        let (head, gap) = {
            let ring = log.ring();
            let head = ring.head();
            let late = self.behind.is_some_and(|since| now.saturating_duration_since(since) > patience)
                && ring.when(cursor.at).is_some_and(|when| now.saturating_duration_since(when) > patience);
            let gap = (cursor.at < ring.oldest() || late).then_some(Gap { first: cursor.seq, next: head.seq });
            if gap.is_none() {
                ring.read(*cursor, CATCH_UP_BYTES, batch);
            }
            (head, gap)
        };
        if let Some(gap) = gap {
            *cursor = head;
            self.member.gaps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let frame = log.state(gap);
            self.owe(now, &frame)?;
            return Ok((self.caught(), Sent { gaps: 1, ..Sent::default() }));
        }
        let sent = self.send(now, cursor, mark, batch)?;
        let caught = if cursor.at == head.at { self.caught() } else { Caught::NotYet };
        Ok((caught, sent))
    }

    /// It is at the head of all that it reads.
    pub(super) fn arrived(&mut self) {
        self.behind = None;
    }

    fn caught(&self) -> Caught {
        if self.blocked { Caught::NotYet } else { Caught::Up }
    }

    /// Sends `bytes` whole: what is not taken now is owed.
    fn owe(&mut self, now: Instant, bytes: &[u8]) -> Result<(), Over> {
        let taken = self.write(now, bytes)?;
        self.rest.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Writes and flushes; how much was taken. Blocked if it was not everything, or if it has not left.
    fn write(&mut self, now: Instant, bytes: &[u8]) -> Result<usize, Over> {
        let cx = &mut Context::from_waker(&self.waker);
        let (taken, done) = self.sink.write(cx, bytes)?;
        // Also where not all was taken: what a layer in between holds shall leave as soon as it can.
        let flushed = match self.sink.flush(cx) {
            Poll::Ready(result) => Poll::Ready(result?),
            Poll::Pending => Poll::Pending,
        };
        if taken > 0 || flushed.is_ready() && done.is_ready() {
            self.stuck = None;
        }
        if done.is_pending() || flushed.is_pending() {
            self.block(now);
        }
        Ok(taken)
    }

    fn block(&mut self, now: Instant) {
        self.blocked = true;
        self.stuck.get_or_insert(now);
        self.lag(now);
    }

    /// It is not at the head of all that it reads, and no flush brings it there.
    pub(super) fn lag(&mut self, now: Instant) {
        self.behind.get_or_insert(now);
    }

    /// Whether it can be brought nearer to the head now.
    pub(super) fn lags(&self) -> bool {
        self.behind.is_some() && !self.blocked
    }

    /// Whether it must be put into the shard's list of sockets that are full.
    pub(super) fn watch(&mut self) -> bool {
        !std::mem::replace(&mut self.watched, true)
    }
}
