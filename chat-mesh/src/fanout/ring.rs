//! What was said in a channel of late, ready to be sent: a ring of framed bytes, and where in it the frames begin.
//!
//! ```text
//!            oldest                      head
//! position ────┼── frame ── frame ── frame ─┼──▶       bytes[position % bytes.len()]
//! ```
//! Positions count every byte that was ever appended and never repeat. The ring starts small and doubles until it
//! reaches its limit; from then on, and when there are too many frames, the oldest fall off.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::{Cursor, Mark};

/// What a ring begins with; most channels are quiet.
const FIRST_BYTES: usize = 4 << 10;

/// Where a frame begins.
#[derive(Debug, Clone)]
struct Entry {
    at: u64,
    /// The number of its first event.
    first: u64,
    when: Instant,
    /// Whom it is not for.
    but: Option<Mark>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ring {
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    head: Cursor,
    most_bytes: usize,
    most_frames: usize,
}

/// Why a frame was not appended. The caller's doing; the log is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The frame alone is larger than the log may be.
    #[error("a frame of {bytes} bytes does not fit into a log of {most_bytes}")]
    TooLarge {
        /// The frame's size.
        bytes: usize,
        /// [`super::Config::log_bytes`].
        most_bytes: usize,
    },
    /// Its events were not the next: numbers never go back, and a frame's end is not before its beginning.
    #[error("events {first} to {next} were appended where {wanted} was due")]
    OutOfOrder {
        /// The number of the first event.
        first: u64,
        /// The number after its last event.
        next: u64,
        /// The least number that may come.
        wanted: u64,
    },
}

impl Ring {
    pub(super) fn new(first_seq: u64, most_bytes: usize, most_frames: usize) -> Self {
        let head = Cursor { at: 0, seq: first_seq };
        Self { bytes: Vec::new(), entries: VecDeque::new(), head, most_bytes, most_frames: most_frames.max(1) }
    }

    /// Appends a frame with the events `first` up to, not including, `next`. An empty one only moves the numbers. Readers
    /// under the mark `but` pass over it.
    pub(super) fn append(
        &mut self,
        frame: &[u8],
        (first, next): (u64, u64),
        when: Instant,
        but: Option<Mark>,
    ) -> Result<Cursor, AppendError> {
        if frame.len() > self.most_bytes {
            return Err(AppendError::TooLarge { bytes: frame.len(), most_bytes: self.most_bytes });
        }
        if first < self.head.seq || next < first {
            return Err(AppendError::OutOfOrder { first, next, wanted: self.head.seq });
        }
        if frame.is_empty() {
            self.head.seq = next;
            return Ok(self.head);
        }
        while self.held() + frame.len() > self.most_bytes || self.entries.len() >= self.most_frames {
            self.entries.pop_front();
        }
        self.make_room(frame.len());
        self.entries.push_back(Entry { at: self.head.at, first, when, but });
        self.store(self.head.at, frame);
        self.head = Cursor { at: self.head.at + frame.len() as u64, seq: next };
        Ok(self.head)
    }

    /// The end: what is appended next comes here.
    pub(super) fn head(&self) -> Cursor {
        self.head
    }

    /// The first position that is still there.
    pub(super) fn oldest(&self) -> u64 {
        self.entries.front().map_or(self.head.at, |entry| entry.at)
    }

    /// Where a reader stands that wants event `seq` next; `None` where it fell off already, or is not due yet.
    pub(super) fn cursor_of(&self, seq: u64) -> Option<Cursor> {
        if seq == self.head.seq {
            return Some(self.head);
        }
        let n = self.entries.partition_point(|entry| entry.first < seq);
        match self.entries.get(n) {
            Some(entry) if entry.first == seq => Some(self.cursor(n)),
            // Within the frame before, which has several events, or in a hole that was left.
            _ if n > 0 && seq < self.head.seq => Some(self.cursor(n - 1)),
            _ => None,
        }
    }

    /// Where the last `frames` frames begin, or as many as there are.
    pub(super) fn last(&self, frames: usize) -> Cursor {
        self.cursor(self.entries.len().saturating_sub(frames))
    }

    /// Where a reader that comes with `cursor` stands. One that fits nowhere, say another log's, is taken as the head.
    pub(super) fn standing(&self, cursor: Cursor) -> Cursor {
        let fits = cursor.at < self.oldest() || cursor.at == self.head.at || self.when(cursor.at).is_some();
        if fits { cursor } else { self.head }
    }

    /// When the frame at `at` was appended; `None` at the head and where no frame begins.
    pub(super) fn when(&self, at: u64) -> Option<Instant> {
        let n = self.entries.binary_search_by_key(&at, |entry| entry.at).ok()?;
        Some(self.entries[n].when)
    }

    /// Copies whole frames from `from`, where one must begin, into `batch`: at most `most_bytes`, but at least one frame.
    pub(super) fn read(&self, from: Cursor, most_bytes: usize, batch: &mut Batch) {
        batch.begin(from);
        self.append_to(batch, most_bytes);
    }

    /// Adds to `batch` what came after it, unless something between has fallen off: at most `most_bytes`, but a frame.
    pub(super) fn extend(&self, batch: &mut Batch, most_bytes: usize) {
        if batch.end().at >= self.oldest() {
            self.append_to(batch, most_bytes);
        }
    }

    fn append_to(&self, batch: &mut Batch, most_bytes: usize) {
        let from = batch.end();
        let first = self.entries.partition_point(|entry| entry.at < from.at);
        for n in first..self.entries.len() {
            let end = self.cursor(n + 1);
            if n > first && (end.at - from.at) as usize > most_bytes {
                break;
            }
            batch.ends.push(end);
            let Entry { at, but, .. } = &self.entries[n];
            batch.skips.extend(but.as_ref().map(|but| Skip { but: but.clone(), at: *at, end }));
        }
        let len = (batch.end().at - from.at) as usize;
        if len > 0 {
            let start = self.index(from.at);
            let before_seam = len.min(self.bytes.len() - start);
            batch.bytes.extend_from_slice(&self.bytes[start..start + before_seam]);
            batch.bytes.extend_from_slice(&self.bytes[..len - before_seam]);
        }
    }

    fn cursor(&self, n: usize) -> Cursor {
        self.entries.get(n).map_or(self.head, |entry| Cursor { at: entry.at, seq: entry.first })
    }

    fn held(&self) -> usize {
        (self.head.at - self.oldest()) as usize
    }

    fn index(&self, at: u64) -> usize {
        (at % self.bytes.len().max(1) as u64) as usize
    }

    fn make_room(&mut self, len: usize) {
        let wanted = self.held() + len;
        if wanted <= self.bytes.len() && !self.bytes.is_empty() {
            return;
        }
        let size = wanted.next_power_of_two().max(FIRST_BYTES).min(self.most_bytes.max(1));
        let mut batch = Batch::default();
        self.read(Cursor { at: self.oldest(), seq: 0 }, usize::MAX, &mut batch);
        self.bytes = vec![0; size];
        self.store(batch.start.at, &batch.bytes);
    }

    /// Puts `bytes` at position `at`, across the seam if need be.
    fn store(&mut self, at: u64, bytes: &[u8]) {
        let start = self.index(at);
        let (before_seam, after_seam) = bytes.split_at(bytes.len().min(self.bytes.len() - start));
        self.bytes[start..start + before_seam.len()].copy_from_slice(before_seam);
        self.bytes[..after_seam.len()].copy_from_slice(after_seam);
    }
}

/// Whole frames out of a ring, in one piece.
#[derive(Debug, Default)]
pub(super) struct Batch {
    start: Cursor,
    bytes: Vec<u8>,
    /// Where its frames end, in order.
    ends: Vec<Cursor>,
    /// Those that are not for everybody, in order.
    skips: Vec<Skip>,
}

/// A frame that is not for everybody.
#[derive(Debug)]
pub(super) struct Skip {
    but: Mark,
    pub at: u64,
    pub end: Cursor,
}

impl Batch {
    fn begin(&mut self, start: Cursor) {
        self.start = start;
        self.bytes.clear();
        self.ends.clear();
        self.skips.clear();
    }

    /// Gives back what one large batch made it own.
    pub(super) fn shrink(&mut self, most_bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(most_bytes);
        self.ends.clear();
        self.ends.shrink_to(most_bytes / 64);
        self.skips = Vec::new();
    }

    pub(super) fn start(&self) -> Cursor {
        self.start
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn end(&self) -> Cursor {
        self.ends.last().copied().unwrap_or(self.start)
    }

    /// What a reader under this mark passes over, from `at` on.
    pub(super) fn skips<'a>(&'a self, mark: Option<&'a Mark>, at: u64) -> impl Iterator<Item = &'a Skip> {
        let of_it = move |skip: &&Skip| mark == Some(&skip.but) && skip.at >= at;
        self.skips.iter().filter(of_it)
    }

    /// What a reader at `at` has not got: all from there on.
    pub(super) fn from(&self, at: u64) -> &[u8] {
        let skipped = usize::try_from(at.saturating_sub(self.start.at)).unwrap_or(usize::MAX);
        self.bytes.get(skipped..).unwrap_or_default()
    }

    /// What is between two positions.
    pub(super) fn between(&self, at: u64, end: u64) -> &[u8] {
        let length = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let bytes = self.from(at);
        &bytes[..length.min(bytes.len())]
    }

    /// Of a reader who was at `at` and took `taken` bytes: where it stands now, between two frames; the rest of the
    /// frame that was cut, which must be sent before anything else; and how many frames that makes.
    pub(super) fn taken(&self, at: u64, taken: usize) -> (Cursor, &[u8], usize) {
        let pos = at + taken as u64;
        let before = self.ends.partition_point(|end| end.at <= at);
        let n = self.ends.partition_point(|end| end.at <= pos);
        let whole = if n == 0 { self.start } else { self.ends[n - 1] };
        if whole.at == pos {
            return (whole, &[], n - before);
        }
        let cut = self.ends.get(n).copied().unwrap_or(whole);
        let rest = &self.from(pos)[..(cut.at - pos) as usize];
        (cut, rest, n + 1 - before)
    }
}

#[cfg(test)]
mod tests;
