//! Is what each connection gets what it must get? A machine.
//!
//! ```text
//! line ──▶ Checker::take ──the next by number, the same as elsewhere?──▶ Counts: lost, doubled, reordered, gaps
//! ```
//! - A number that is left out without a stated gap is lost, until it comes late: then it is out of order.
//! - A number that was there already is doubled, but for those right after a join that the protocol allows.
//! - Another event than elsewhere under the same number of the same epoch is out of order.
//! - An event of an older epoch after one of a newer is out of order.
//! - A newer epoch may begin with a number that was there already, and takes back what stood there and after it.

use std::ops::Range;

use super::{
    job::{Counts, Seen},
    line::{Line, Nonce, digest},
    reference::{Match, Reference},
    wire::Dialect,
};
use crate::report::Distribution;

/// How many separate holes of one connection are told apart. What is missing beyond that stays lost.
const MAX_HOLES: usize = 64;

/// Where one connection is.
#[derive(Debug, Default)]
pub struct Cursor {
    epoch: u64,
    /// The number that comes next; 0 before the first join.
    next: u64,
    /// Up to this number events may come again after a join.
    repeats_to: u64,
    /// So many events from before a stated gap's end follow, whatever their numbers.
    loose: u64,
    /// What was left out.
    holes: Vec<Range<u64>>,
}

/// What a line was.
#[derive(Debug)]
pub enum Taken {
    /// An event that is new to this connection: which post of this run it came of, and how many connections have it.
    Event(Option<Nonce>, u32),
    /// An event that is not.
    Again,
    /// Something else.
    Other(Box<Line>),
    /// No object.
    Unreadable,
}

/// See the module.
#[derive(Debug)]
pub struct Checker {
    dialect: Dialect,
    run: u64,
    /// The order.
    pub reference: Reference,
    /// What has happened.
    pub counts: Counts,
    /// How long posts took, of those that were due after `measured_from_us`.
    pub delay: Distribution,
    /// See `delay`.
    pub measured_from_us: u64,
}

impl Cursor {
    /// Of a connection whose events have no numbers: they are counted from 1.
    pub fn counting() -> Self {
        Self { next: 1, ..Self::default() }
    }

    /// Where it would resume: the newest event that it has; `None` before the first join.
    pub fn resume(&self) -> Option<(u64, u64)> {
        self.next.checked_sub(1).map(|seq| (self.epoch, seq))
    }

    /// Whether it has come beyond `last_seq`.
    pub fn has(&self, last_seq: u64) -> bool {
        self.next > last_seq
    }

    /// Closes the hole at `seq`, if there is one.
    fn fill(&mut self, seq: u64) -> bool {
        let holes = &mut self.holes;
        let Some(n) = holes.iter().position(|hole| hole.contains(&seq)) else { return false };
        let hole = holes.swap_remove(n);
        holes.extend([hole.start..seq, seq + 1..hole.end].into_iter().filter(|part| !part.is_empty()));
        true
    }

    /// Forgets holes from `seq` on; how many numbers they had.
    fn forget_from(&mut self, seq: u64) -> u64 {
        let mut forgotten = 0;
        self.holes.retain_mut(|hole| {
            let kept = hole.end.min(seq);
            forgotten += hole.end - kept.max(hole.start).min(hole.end);
            hole.end = kept;
            hole.start < hole.end
        });
        forgotten
    }
}

impl Checker {
    /// Nothing was seen yet. Nonces of `run` are this run's.
    pub fn new(dialect: Dialect, run: u64) -> Self {
        Self {
            dialect,
            run,
            reference: Reference::default(),
            counts: Counts::default(),
            delay: Distribution::default(),
            measured_from_us: u64::MAX,
        }
    }

    /// Takes the first of `lines`, which came on the connection of `cursor` at `now_us`; and how long it is.
    pub fn take(&mut self, cursor: &mut Cursor, lines: &[u8], now_us: u64) -> (Taken, usize) {
        if cursor.loose == 0
            && let Some((entry, len)) = self.reference.same(cursor.next, lines)
            && let Some(seen) = entry.seen
            && seen.epoch >= cursor.epoch
        {
            entry.count += 1;
            let (nonce, count) = (entry.nonce, entry.count);
            (cursor.epoch, cursor.next) = (seen.epoch, seen.seq + 1);
            self.delivered(nonce, len, now_us);
            return (Taken::Event(nonce, count), len);
        }
        let len = lines.iter().position(|byte| *byte == b'\n').unwrap_or(lines.len());
        (self.read(cursor, &lines[..len], now_us), len)
    }

    /// A line that is not what others have seen already.
    fn read(&mut self, cursor: &mut Cursor, raw: &[u8], now_us: u64) -> Taken {
        let Some(line) = Line::read(raw) else { return Taken::Unreadable };
        let nonce = Nonce::read(&line.nonce).filter(|nonce| nonce.run == self.run);
        if self.dialect != Dialect::Chat {
            let seen = Seen { epoch: 0, seq: cursor.next, digest: digest(raw) };
            return self.event(cursor, seen, nonce, raw, now_us);
        }
        match line.position() {
            Some((epoch, seq)) if line.is_event() => self.event(cursor, line.seen(epoch, seq, raw), nonce, raw, now_us),
            Some(position) => {
                match line.kind.as_str() {
                    "joined" | "ok" => self.joined(cursor, position, &line),
                    "gap" => self.gap(cursor, position, line.missed),
                    _ => {}
                }
                Taken::Other(Box::new(line))
            }
            None => Taken::Other(Box::new(line)),
        }
    }

    fn joined(&mut self, cursor: &mut Cursor, (epoch, seq): (u64, u64), line: &Line) {
        cursor.repeats_to = seq.max(cursor.next.saturating_sub(1));
        if let Some(gap) = line.gap.as_ref().filter(|_| cursor.next > 0) {
            self.counts.gaps += 1;
            self.counts.missed += gap.missed.unwrap_or_default();
        }
        if cursor.next == 0 || line.gap.is_some() {
            (cursor.epoch, cursor.next, cursor.loose) = (epoch, seq + 1, line.follow);
        }
    }

    fn gap(&mut self, cursor: &mut Cursor, (epoch, seq): (u64, u64), missed: Option<u64>) {
        self.counts.gaps += 1;
        self.counts.missed += missed.unwrap_or_default();
        (cursor.epoch, cursor.next) = (epoch.max(cursor.epoch), cursor.next.max(seq + 1));
    }

    fn event(&mut self, cursor: &mut Cursor, seen: Seen, nonce: Option<Nonce>, raw: &[u8], now_us: u64) -> Taken {
        let Seen { epoch, seq, .. } = seen;
        if cursor.loose > 0 {
            cursor.loose -= 1;
            if seq <= cursor.repeats_to {
                return self.compared(seen, nonce, raw, now_us);
            }
            cursor.loose = 0;
        }
        if epoch < cursor.epoch {
            self.counts.reordered += 1;
            return Taken::Again;
        }
        if epoch > cursor.epoch && seq < cursor.next {
            self.counts.taken_back += cursor.next - seq;
            self.counts.lost -= cursor.forget_from(seq);
            cursor.next = seq;
        }
        if seq < cursor.next {
            return self.again(cursor, seq);
        }
        if seq > cursor.next {
            self.counts.lost += seq - cursor.next;
            let hole = cursor.next..seq;
            if cursor.holes.len() < MAX_HOLES {
                cursor.holes.push(hole);
            }
        }
        (cursor.epoch, cursor.next) = (epoch, seq + 1);
        self.compared(seen, nonce, raw, now_us)
    }

    /// A number that is lower than the one that was due.
    fn again(&mut self, cursor: &mut Cursor, seq: u64) -> Taken {
        if cursor.fill(seq) {
            self.counts.lost -= 1;
            self.counts.reordered += 1;
        } else if cursor.next <= cursor.repeats_to + 1 && seq <= cursor.repeats_to {
            self.counts.repeated += 1;
        } else {
            self.counts.doubled += 1;
        }
        Taken::Again
    }

    fn compared(&mut self, seen: Seen, nonce: Option<Nonce>, raw: &[u8], now_us: u64) -> Taken {
        if self.reference.compare(seen, nonce, raw) == Match::Differs {
            self.counts.reordered += 1;
        }
        self.delivered(nonce, raw.len(), now_us);
        Taken::Event(nonce, self.reference.get(seen.seq).map_or(0, |entry| entry.count))
    }

    fn delivered(&mut self, nonce: Option<Nonce>, len: usize, now_us: u64) {
        self.counts.deliveries += 1;
        self.counts.bytes += len as u64;
        if let Some(nonce) = nonce.filter(|nonce| nonce.due_us >= self.measured_from_us) {
            self.delay.record_us(now_us.saturating_sub(nonce.due_us));
        }
    }

    /// Everything up to `last_seq` should be there by now: what is not, is lost.
    pub fn end(&mut self, cursor: &Cursor, last_seq: u64) {
        self.counts.lost += (last_seq + 1).saturating_sub(cursor.next);
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
