//! The hub's handle of one connection, and the queue between it and its shard.
//!
//! What concerns a connection alone goes through one bounded queue, in order: a `joined` that is sent before a
//! subscription is on the wire before the channel's first frame.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{AcqRel, Relaxed, Release},
        },
    },
    task::Wake,
};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{Cursor, Log, Mark, shard::Door};

/// How many frames and other orders may wait for one socket. One more, and the connection is ended.
pub const MAX_ORDERS: usize = 128;

/// How many bytes of frames may wait for one socket: a history of 100 long messages is about 100 KB.
pub const MAX_PRIVATE_BYTES: usize = 256 << 10;

/// How many logs one connection may read.
pub const MAX_LOGS: usize = 32;

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The hub closed it, or dropped its handle.
    Closed,
    /// The socket failed: the client is gone.
    Gone,
    /// More waited for it than [`MAX_ORDERS`] or [`MAX_PRIVATE_BYTES`]. The client's doing: it asks and does not read.
    Overflow,
    /// It took no byte for [`super::Config::stall`] while there were some.
    Stalled,
    /// The fan-out was dropped.
    Shutdown,
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The connection is over, or ends with this: see [`Connection::ended`].
    #[error("the connection is over")]
    Ended,
    /// It reads [`MAX_LOGS`] logs already; it goes on as before.
    #[error("a connection reads {MAX_LOGS} channels at most")]
    TooManyLogs,
}

/// What a shard does for one connection.
pub(super) enum Order {
    Send(Bytes),
    Subscribe(Log, Cursor, Option<Mark>),
    Unsubscribe(Log),
    /// The last: sends the frame, if there is one, and ends the stream.
    Close(Bytes),
}

/// What the handle and the shard share of a connection; also what wakes the shard when the socket can be written to.
pub(super) struct Member {
    door: Arc<Door>,
    queue: Mutex<Queue>,
    /// It stands in the shard's list of connections to look at.
    pub listed: AtomicBool,
    /// Where the shard keeps it; [`NOWHERE`] before and after.
    pub slot: AtomicUsize,
    pub gaps: AtomicU64,
    over: Notify,
    /// Somebody waits until nothing is queued.
    wants_room: AtomicBool,
}

/// A slot that is none.
pub(super) const NOWHERE: usize = usize::MAX;

#[derive(Default)]
struct Queue {
    orders: VecDeque<Order>,
    bytes: usize,
    /// The logs it reads, by their ids.
    logs: Vec<u64>,
    ended: Option<Ended>,
    closing: bool,
}

impl Member {
    pub(super) fn new(door: Arc<Door>) -> Self {
        Self {
            door,
            queue: Mutex::default(),
            listed: AtomicBool::new(false),
            slot: AtomicUsize::new(NOWHERE),
            gaps: AtomicU64::new(0),
            over: Notify::new(),
            wants_room: AtomicBool::new(false),
        }
    }

    /// Has the shard look at this connection.
    pub(super) fn list(self: &Arc<Self>) {
        if !self.listed.swap(true, AcqRel) {
            self.door.look_at(Arc::clone(self));
        }
    }

    /// The next order, if it is one that `wanted` takes.
    pub(super) fn next_if(&self, wanted: impl FnOnce(&Order) -> bool) -> Option<Order> {
        let mut queue = self.queue();
        if !queue.orders.front().is_some_and(wanted) {
            return None;
        }
        let order = queue.orders.pop_front();
        if let Some(Order::Send(frame) | Order::Close(frame)) = &order {
            queue.bytes -= frame.len();
        }
        if queue.orders.is_empty() {
            queue.orders = VecDeque::new(); // most are empty most of the time
            if self.wants_room.swap(false, AcqRel) {
                self.over.notify_waiters();
            }
        }
        order
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.queue().ended
    }

    /// Says why it is over, unless that was said before.
    pub(super) fn end(&self, why: Ended) -> Ended {
        let why = {
            let mut queue = self.queue();
            *queue = Queue { ended: Some(queue.ended.unwrap_or(why)), ..Queue::default() };
            queue.ended.unwrap_or(why)
        };
        self.slot.store(NOWHERE, Release);
        self.over.notify_waiters();
        why
    }

    fn order(self: &Arc<Self>, order: Order) -> Result<(), OrderError> {
        let overflows = {
            let mut queue = self.queue();
            if queue.ended.is_some() || queue.closing {
                return Err(OrderError::Ended);
            }
            match &order {
                Order::Subscribe(log, ..) if queue.logs.contains(&log.id()) => {}
                Order::Subscribe(..) if queue.logs.len() >= MAX_LOGS => return Err(OrderError::TooManyLogs),
                Order::Subscribe(log, ..) => queue.logs.push(log.id()),
                Order::Unsubscribe(log) => queue.logs.retain(|id| *id != log.id()),
                Order::Send(frame) => queue.bytes += frame.len(),
                Order::Close(frame) => {
                    queue.bytes += frame.len();
                    queue.closing = true;
                }
            }
            let full = queue.orders.len() >= MAX_ORDERS || queue.bytes > MAX_PRIVATE_BYTES;
            if full && !queue.closing {
                *queue = Queue { ended: Some(Ended::Overflow), ..Queue::default() };
                true
            } else {
                queue.orders.push_back(order);
                false
            }
        };
        self.list();
        if overflows {
            self.over.notify_waiters();
            return Err(OrderError::Ended);
        }
        Ok(())
    }

    /// The handle is gone: ends it now, unless a last frame is under way.
    fn abandon(self: &Arc<Self>) {
        let mut queue = self.queue();
        if !queue.closing && queue.ended.is_none() {
            *queue = Queue { ended: Some(Ended::Closed), ..Queue::default() };
            drop(queue);
            self.list();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Member {
    fn wake(self: Arc<Self>) {
        self.list();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.list();
    }
}

/// A connection's writing side. Dropping it ends the connection at once, or, after [`Connection::close`], once the last
/// frame has been sent.
///
/// No call waits: what can't be written at once stays in a queue of at most [`MAX_ORDERS`] and [`MAX_PRIVATE_BYTES`].
pub struct Connection(pub(super) Arc<Member>);

impl Connection {
    /// Sends frames to this connection alone, never within another frame. `frames` must be whole frames, one or several.
    ///
    /// # Errors
    /// Where the connection is over, or where this overflows its queue and so ends it.
    pub fn send(&self, frames: Bytes) -> Result<(), OrderError> {
        self.0.order(Order::Send(frames))
    }

    /// Sends what is in `log` from `from` on, and what is appended later, after all that was ordered before.
    ///
    /// Where `from` has fallen off by then, it begins with a gap. Who reads the log already is moved to `from`.
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn subscribe(&self, log: &Log, from: Cursor) -> Result<(), OrderError> {
        self.subscribe_as(log, from, None)
    }

    /// The same under a mark: it passes over the frames that were appended with that mark ([`Log::append_but`]).
    ///
    /// # Errors
    /// See [`OrderError`].
    pub fn subscribe_as(&self, log: &Log, from: Cursor, mark: Option<Mark>) -> Result<(), OrderError> {
        self.0.order(Order::Subscribe(log.clone(), from, mark))
    }

    /// Sends nothing of `log` any more, after what was ordered before.
    ///
    /// # Errors
    /// Where the connection is over.
    pub fn unsubscribe(&self, log: &Log) -> Result<(), OrderError> {
        self.0.order(Order::Unsubscribe(log.clone()))
    }

    /// Sends `frame` (a Close frame; empty for none) after all that was ordered, and ends the stream in our direction.
    ///
    /// # Errors
    /// Where the connection is over.
    pub fn close(&self, frame: Bytes) -> Result<(), OrderError> {
        self.0.order(Order::Close(frame))
    }

    /// Waits until nothing is written any more; says why.
    pub async fn ended(&self) -> Ended {
        loop {
            let over = self.0.over.notified();
            if let Some(why) = self.is_ended() {
                return why;
            }
            over.await;
        }
    }

    /// How many bytes of this connection's own frames wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.0.queue().bytes
    }

    /// Waits until none of this connection's own frames is queued, or nothing is written any more.
    pub async fn drained(&self) {
        loop {
            let changed = self.0.over.notified();
            self.0.wants_room.store(true, Release);
            {
                let queue = self.0.queue();
                if queue.orders.is_empty() || queue.ended.is_some() {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Why nothing is written any more, if so.
    pub fn is_ended(&self) -> Option<Ended> {
        self.0.ended()
    }

    /// How often it was told a gap: a reader that is too slow.
    pub fn gaps(&self) -> u64 {
        self.0.gaps.load(Relaxed)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
