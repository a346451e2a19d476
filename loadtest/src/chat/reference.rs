//! The one order that all connections of a process must see: what each number was when it was first seen.
//!
//! A delivery is compared byte by byte with what another connection has seen already; only the first of each event is
//! read as JSON. So the check of a delivery costs the comparison of its bytes, and nothing else.

use std::collections::VecDeque;

use super::{job::Seen, line::Nonce};

/// Of how many events the bytes are kept. A connection that is further behind has its events read as JSON.
const KEEP: usize = 8192;

/// An event.
#[derive(Debug, Default)]
pub struct Entry {
    /// `None` while only later ones have been seen.
    pub seen: Option<Seen>,
    /// What it came of, where it was a post of this run.
    pub nonce: Option<Nonce>,
    /// How many connections have it.
    pub count: u32,
    bytes: Box<[u8]>,
}

/// What came of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The same as elsewhere, or the first.
    Same,
    /// Another than elsewhere.
    Differs,
    /// Nothing to compare with: it is older than all that is known, or of an epoch that has ended.
    Unknown,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Reference {
    entries: VecDeque<Entry>,
    /// The number of the first.
    base: u64,
    news: Vec<Seen>,
}

impl Reference {
    /// The event of this number, and how long it is, if the first line of `lines` is what was seen elsewhere.
    pub fn same(&mut self, seq: u64, lines: &[u8]) -> Option<(&mut Entry, usize)> {
        let entry = self.get(seq)?;
        let len = entry.bytes.len();
        let same = len > 0 && lines.starts_with(&entry.bytes) && matches!(lines.get(len), None | Some(b'\n'));
        same.then_some((entry, len))
    }

    /// The event of this number.
    pub fn get(&mut self, seq: u64) -> Option<&mut Entry> {
        let index = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        self.entries.get_mut(index)
    }

    /// Compares what a connection got with what others got.
    pub fn compare(&mut self, seen: Seen, nonce: Option<Nonce>, raw: &[u8]) -> Match {
        if self.entries.is_empty() {
            self.base = seen.seq;
        }
        let Some(index) = seen.seq.checked_sub(self.base).and_then(|index| usize::try_from(index).ok()) else {
            return Match::Unknown;
        };
        while self.entries.len() <= index {
            self.entries.push_back(Entry::default());
        }
        match self.entries[index].seen {
            Some(known) if known.epoch == seen.epoch && known.digest != seen.digest => return Match::Differs,
            Some(known) if known.epoch > seen.epoch => return Match::Unknown,
            Some(known) if known.epoch == seen.epoch => self.entries[index].count += 1,
            _ => self.learn(index, seen, nonce, raw),
        }
        Match::Same
    }

    /// What is new, or what a newer epoch has put in the place of something.
    fn learn(&mut self, index: usize, seen: Seen, nonce: Option<Nonce>, raw: &[u8]) {
        self.entries[index] = Entry { seen: Some(seen), nonce, count: 1, bytes: raw.into() };
        let is_old = |entry: &Entry| entry.seen.is_none_or(|later| later.epoch < seen.epoch);
        while self.entries.len() > index + 1 && self.entries.back().is_some_and(is_old) {
            self.entries.pop_back();
        }
        if let Some(old) = index.checked_sub(KEEP) {
            self.entries[old].bytes = Box::default();
        }
        self.news.push(seen);
    }

    /// What was learnt since this was last asked.
    pub fn news(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.news)
    }

    /// The greatest number seen; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        (self.base + self.entries.len() as u64).saturating_sub(1)
    }
}
