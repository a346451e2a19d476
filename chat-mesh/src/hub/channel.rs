//! A channel at this hub: who reads it, and the logs that they read.
//!
//! ```text
//! event ──▶ Line ──┬─ one a frame ──────────────────────────────▶ log (JSON), log (deflated)
//!                  └─ gathered: 16, or 20 ms, or one that is urgent ▶ log (lines), log (lines, deflated)
//! ```
//! A log is made when the first reader wants its format, and begins with the event that comes next.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use freshet_proto::{
    chat::{Event, Login, Modes, Position},
    id::ChannelName,
};
use slab::Slab;
use tokio::time::{Duration, Instant};

use super::{
    format::{Encoder, Format, Line},
    inbox::Inbox,
    presence::Presence,
    seat::Join,
};
use crate::{
    fanout::{AppendError, Cursor, Fanout, Haste, Log},
    irc,
    protocol::Identity,
};

/// A reader.
pub(super) struct Reader {
    pub inbox: Arc<Inbox>,
    pub format: Format,
    pub identity: Option<Identity>,
    /// Since when it follows the channel, in ms since 1970.
    pub follows_since_ms: Option<u64>,
    /// Whether it may read a private channel whoever it is.
    pub watches: bool,
}

/// Who waits until the channel can be read.
pub(super) struct Waiting {
    pub join: Join,
    pub until: Instant,
}

/// See the module.
pub(super) struct Channel {
    pub name: ChannelName,
    pub waiting: Vec<Waiting>,
    pub readers: Slab<Reader>,
    pub by_login: BTreeMap<Login, Vec<usize>>,
    /// Those of them who run the platform, and how many connections they have.
    admins: BTreeMap<Login, usize>,
    logs: [Option<Log>; Format::COUNT],
    /// How many read each.
    reading: [usize; Format::COUNT],
    /// The epoch of the newest event: what a gap's position says.
    epoch: Arc<AtomicU64>,
    pub presence: Presence,
    /// Events that not every log has yet.
    lines: Vec<Line>,
    /// How many of them the logs have that take one a frame.
    single: usize,
    /// When the others must have them.
    due: Option<Instant>,
    /// What makes lines of IRC of events, where somebody reads those.
    irc: Option<irc::Encoder>,
}

impl Channel {
    pub(super) fn new(name: ChannelName) -> Self {
        Self {
            name,
            waiting: Vec::new(),
            readers: Slab::new(),
            by_login: BTreeMap::new(),
            admins: BTreeMap::new(),
            logs: [const { None }; Format::COUNT],
            reading: [0; Format::COUNT],
            epoch: Arc::default(),
            presence: Presence::default(),
            lines: Vec::new(),
            single: 0,
            due: None,
            irc: None,
        }
    }

    /// Takes an event that is to be shown.
    pub(super) fn show(&mut self, event: Arc<Event>, now: Instant, gather: Duration) {
        if self.logs.iter().all(Option::is_none) {
            return;
        }
        let urgent = event.what.message().is_none();
        let due = if urgent { now } else { now + gather };
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
        let irc = self.irc.as_mut().map(|encoder| encoder.event(&event)).unwrap_or_default();
        self.lines.push(Line::new(event, irc));
    }

    /// When [`Channel::flush`] is wanted again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Appends what there is to the logs: to those that gather, only what is due or fills a frame. Whether all logs took it:
    /// where not, numbers have begun anew ([`Channel::restart`]).
    pub(super) fn flush(&mut self, now: Instant, encoder: &mut Encoder) -> bool {
        let full = Format::Lines.most_events();
        let ripe = self.due.is_some_and(|due| due <= now) || self.lines.len() >= full;
        let mut took = true;
        for format in Format::ALL {
            let Some(log) = &self.logs[format.index()] else { continue };
            let (from, most) = match format.most_events() {
                1 => (self.single, 1),
                _ if !ripe => continue,
                most => (0, most),
            };
            for lines in self.lines[from..].chunks_mut(most) {
                took &= append(log, format, &self.name, lines, &self.epoch, encoder);
            }
        }
        self.single = self.lines.len();
        if ripe || !self.gathers() {
            self.lines.clear();
            (self.single, self.due) = (0, None);
        }
        took
    }

    /// Whether a log gathers events.
    fn gathers(&self) -> bool {
        Format::ALL.iter().any(|format| format.most_events() > 1 && self.logs[format.index()].is_some())
    }

    /// Appends what there is to every log now.
    pub(super) fn flush_all(&mut self, now: Instant, encoder: &mut Encoder) -> bool {
        self.due = self.due.map(|due| due.min(now));
        self.flush(now, encoder)
    }

    /// States in every log that events are missing up to `position`, after which the modes are these.
    pub(super) fn gap(&mut self, missed: Option<u64>, position: Position, modes: &Modes) {
        self.epoch.store(position.epoch, Relaxed);
        let changed = self.irc.as_mut().map(|encoder| encoder.modes(modes)).unwrap_or_default();
        for format in Format::ALL {
            let Some(log) = &self.logs[format.index()] else { continue };
            let frame = format.gap(&self.name, missed, position, &changed);
            let next = position.seq + 1;
            if let Err(error) = log.append(&frame, next, next, Haste::Batched) {
                tracing::warn!(channel = %self.name, %error, "a gap was not told");
            }
        }
    }

    /// Tells in every log how many there are. It is no part of the sequence, so it comes before what a log waits for.
    pub(super) fn count(&mut self, connections: u64, users: u64) {
        for format in Format::ALL.into_iter().filter(|format| !format.is_irc()) {
            let Some(log) = &self.logs[format.index()] else { continue };
            let frame = format.count(&self.name, connections, users);
            let next = log.head().next_seq();
            if let Err(error) = log.append(&frame, next, next, Haste::Batched) {
                tracing::warn!(channel = %self.name, %error, "a count was not told");
            }
        }
    }

    /// The log of `format` and its end, which is just after `head`, where the modes are these; what waits must have been
    /// flushed.
    pub(super) fn log(&mut self, format: Format, head: Position, modes: &Modes, fanout: &Fanout) -> (Log, Cursor) {
        if format.is_irc() && self.irc.is_none() {
            self.irc = Some(irc::Encoder::new(self.name.clone(), modes.clone()));
        }
        let log = self.logs[format.index()].get_or_insert_with(|| {
            self.epoch.fetch_max(head.epoch, Relaxed);
            let (name, epoch) = (self.name.clone(), Arc::clone(&self.epoch));
            fanout.log(head.seq + 1, move |gap| {
                let position = Position::new(epoch.load(Relaxed), gap.next.saturating_sub(1));
                format.gap(&name, Some(gap.missed()), position, &irc::Encoded::default())
            })
        });
        (log.clone(), log.head())
    }

    /// Numbers begin anew, so what is read from now on is other logs; the modes are these. What of them has changed.
    pub(super) fn restart(&mut self, modes: &Modes) -> irc::Encoded {
        self.forget_logs();
        self.irc.as_mut().map(|encoder| encoder.modes(modes)).unwrap_or_default()
    }

    /// Forgets the logs.
    pub(super) fn forget_logs(&mut self) {
        self.logs = [const { None }; Format::COUNT];
        self.lines.clear();
        (self.single, self.due) = (0, None);
    }

    /// Lets a reader in; what its place is called.
    pub(super) fn enter(&mut self, reader: Reader) -> usize {
        let entry = self.readers.vacant_entry();
        let key = entry.key();
        if let Some(Identity { user, admin }) = &reader.identity {
            self.by_login.entry(user.login.clone()).or_default().push(key);
            if *admin {
                *self.admins.entry(user.login.clone()).or_default() += 1;
            }
        }
        self.reading[reader.format.index()] += 1;
        entry.insert(reader);
        key
    }

    /// Lets a reader go. A log that nobody reads is forgotten.
    pub(super) fn leave(&mut self, key: usize) -> Option<Reader> {
        let reader = self.readers.try_remove(key)?;
        if let Some(Identity { user, admin }) = &reader.identity {
            forget(&mut self.by_login, &user.login, |keys| {
                keys.retain(|known| *known != key);
                keys.is_empty()
            });
            if *admin {
                forget(&mut self.admins, &user.login, |connections| {
                    *connections -= 1;
                    *connections == 0
                });
            }
        }
        let format = reader.format.index();
        self.reading[format] -= 1;
        if self.reading[format] == 0 {
            self.logs[format] = None;
            if !Format::ALL.iter().any(|format| format.is_irc() && self.logs[format.index()].is_some()) {
                self.irc = None;
            }
        }
        Some(reader)
    }

    /// Whether somebody reads it or waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        !self.readers.is_empty() || !self.waiting.is_empty()
    }

    /// The readers who run the platform.
    pub(super) fn admins(&self) -> impl Iterator<Item = Login> {
        self.admins.keys().cloned()
    }

    /// The readers whose user is `login`.
    pub(super) fn readers_of<'a>(&'a self, login: &Login) -> impl Iterator<Item = &'a Reader> {
        let keys = self.by_login.get(login).map(Vec::as_slice).unwrap_or_default();
        keys.iter().filter_map(|key| self.readers.get(*key))
    }
}

/// Takes something away from what is known of `login`, and forgets it where nothing is left.
fn forget<T>(of: &mut BTreeMap<Login, T>, login: &Login, is_over: impl FnOnce(&mut T) -> bool) {
    if of.get_mut(login).is_some_and(is_over) {
        of.remove(login);
    }
}

/// Appends one frame. False where its events are not the next: numbers went back.
fn append(
    log: &Log,
    format: Format,
    channel: &ChannelName,
    lines: &mut [Line],
    epoch: &AtomicU64,
    encoder: &mut Encoder,
) -> bool {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { return true };
    let (first, last) = (first.event.position, last.event.position);
    let urgent = lines.iter().any(|line| line.event.what.message().is_none());
    let haste = if urgent { Haste::Now } else { Haste::Batched };
    epoch.store(last.epoch, Relaxed);
    let frame = encoder.frame(format, channel, lines);
    let but = if format.is_irc() { irc::author(&lines[0].event) } else { None };
    match log.append_but(frame, (first.seq, last.seq + 1), haste, but) {
        Ok(_) => true,
        Err(AppendError::OutOfOrder { .. }) => false,
        Err(error @ AppendError::TooLarge { .. }) => {
            // The log is smaller than one frame: its readers see that a number is missing.
            tracing::error!(%channel, %error, "an event was not shown; raise chat.log_bytes");
            true
        }
    }
}

#[cfg(test)]
mod tests;
