//! A channel in one wire format: its ring, and which shards have readers of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Cursor, Gap, Mark,
    ring::{AppendError, Ring},
    shard::Door,
};

/// A byte log. Cheap to clone; clones are one log. It lives as long as somebody reads it or has a clone.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    id: u64,
    ring: Mutex<Ring>,
    gap: Box<dyn Fn(Gap) -> Bytes + Send + Sync>,
    /// One for each shard.
    outlets: Box<[Outlet]>,
}

/// What a log and a shard have to do with each other.
struct Outlet {
    door: Arc<Door>,
    /// How many connections of the shard read the log.
    readers: AtomicUsize,
    /// The shard has been told that there is something new.
    told: AtomicBool,
}

/// How soon a frame leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// With what comes within [`super::Config::tick`].
    Batched,
    /// At once, and whatever waits with it: moderation.
    Now,
}

impl Log {
    pub(super) fn new(id: u64, ring: Ring, gap: Box<dyn Fn(Gap) -> Bytes + Send + Sync>, doors: &[Arc<Door>]) -> Self {
        let outlet = |door: &Arc<Door>| Outlet {
            door: Arc::clone(door),
            readers: AtomicUsize::new(0),
            told: AtomicBool::new(false),
        };
        Self(Arc::new(Shared { id, ring: Mutex::new(ring), gap, outlets: doors.iter().map(outlet).collect() }))
    }

    /// Appends a frame, as it shall stand on the wire, and has it sent to all who read the log.
    ///
    /// It holds the events from `first_seq` up to, not including, `next_seq`: a batch has several, a frame that is no
    /// part of the channel's sequence (a count) none, so both are the number that comes next. Numbers may be left out,
    /// never repeated. An empty frame moves the numbers and sends nothing. Costs one copy of the frame; nobody is
    /// waited for. The oldest frames fall off where the log is full: whoever has not got them gets a gap.
    ///
    /// # Errors
    /// See [`AppendError`]; the log is then as it was.
    pub fn append(&self, frame: &[u8], first_seq: u64, next_seq: u64, haste: Haste) -> Result<Cursor, AppendError> {
        self.append_but(frame, (first_seq, next_seq), haste, None)
    }

    /// Appends a frame that readers under the mark `but` pass over: its events are none that they miss. For the rest as
    /// [`Log::append`].
    ///
    /// # Errors
    /// See [`AppendError`]; the log is then as it was.
    pub fn append_but(
        &self,
        frame: &[u8],
        (first_seq, next_seq): (u64, u64),
        haste: Haste,
        but: Option<Mark>,
    ) -> Result<Cursor, AppendError> {
        let head = self.ring().append(frame, (first_seq, next_seq), Instant::now(), but)?;
        for outlet in &self.0.outlets {
            // Who subscribes later reads the ring after that, and finds the frame there.
            let news = outlet.readers.load(SeqCst) > 0 && !outlet.told.swap(true, SeqCst);
            if news || haste == Haste::Now && outlet.readers.load(SeqCst) > 0 {
                outlet.door.news(news.then(|| self.clone()), haste == Haste::Now);
            }
        }
        Ok(head)
    }

    /// The end of the log: who subscribes here gets what comes from now on.
    pub fn head(&self) -> Cursor {
        self.ring().head()
    }

    /// Where a reader subscribes that wants event `seq` next. `None` where it has fallen off or is not due yet.
    ///
    /// Within a batch, its beginning: the reader gets some events again and knows them by their numbers.
    pub fn cursor_of(&self, seq: u64) -> Option<Cursor> {
        self.ring().cursor_of(seq)
    }

    /// Where a reader subscribes that wants the last `frames` frames, or as many as there are.
    pub fn last(&self, frames: usize) -> Cursor {
        self.ring().last(frames)
    }

    /// How many connections read it.
    pub fn readers(&self) -> usize {
        self.0.outlets.iter().map(|outlet| outlet.readers.load(SeqCst)).sum()
    }

    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    pub(super) fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self, gap: Gap) -> Bytes {
        (self.0.gap)(gap)
    }

    /// A connection of this shard begins to read. Before it reads the ring for the first time.
    pub(super) fn enter(&self, shard: usize) {
        self.0.outlets[shard].readers.fetch_add(1, SeqCst);
    }

    pub(super) fn leave(&self, shard: usize) {
        self.0.outlets[shard].readers.fetch_sub(1, SeqCst);
    }

    /// The shard is about to read the ring: what is appended from now on is news again.
    pub(super) fn heard(&self, shard: usize) {
        self.0.outlets[shard].told.store(false, SeqCst);
    }
}
