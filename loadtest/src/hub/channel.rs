//! The channel: its home, and its log.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use freshet_chat_mesh::{
    fanout::{Connection, Fanout, Haste, Log},
    home::{Home, Input, Limits, Now, Output, Record, Resume, Settings, State},
    moderation::Durable,
    protocol::{Joined, encode},
    ws,
};
use freshet_proto::{
    chat::{Answer, Code, Event, Position, Role, Submit},
    clock::WallClock,
    id::ChannelName,
};

use super::fault::{Fault, Kind};

/// The mesh epoch of a hub that never loses its home.
const EPOCH: u64 = 1;

/// See the module.
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    home: Mutex<Home>,
    log: Log,
    start: Instant,
    clock: WallClock,
    fault: Option<Fault>,
    /// What waits for its successor, by [`Kind::Swap`].
    held: Mutex<Option<Bytes>>,
}

impl Channel {
    /// A channel where nobody has said anything.
    ///
    /// # Errors
    /// When its name is none.
    pub fn new(name: &str, fanout: &Fanout, fault: Option<Fault>) -> anyhow::Result<Self> {
        let name: ChannelName = name.parse()?;
        let clock = WallClock::system();
        let now = Now { mono_ms: 0, wall_ms: clock.now_ms() };
        // Who moderates is not held back by the channel's rate; the owner is somebody who never comes.
        let settings = Settings { rate: u32::MAX, ..Settings::new(name.clone(), "nobody".parse()?, 1) };
        let state = State::new(Limits::default(), Durable::default());
        let home = Home::take_over(settings, EPOCH, state, Vec::new(), now)?;
        let of = name.clone();
        let log = fanout.log(1, move |gap| {
            ws::encode::text(&encode::gap(&of, Some(gap.missed()), Position::new(EPOCH, gap.next - 1)))
        });
        Ok(Self { name, home: Mutex::new(home), log, start: Instant::now(), clock, fault, held: Mutex::default() })
    }

    /// What time it is.
    pub fn now(&self) -> Now {
        Now { mono_ms: self.start.elapsed().as_millis() as u64, wall_ms: self.clock.now_ms() }
    }

    /// Takes a post and sends what comes of it; the answer is there at once, for there is no standby to wait for.
    pub fn submit(&self, submit: Box<Submit>) -> Answer {
        let mut out = Vec::new();
        let mut answered = Err(Code::Paused.into());
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        home.handle(self.now(), Input::Submit { ticket: 0, submit }, &mut out);
        for output in out {
            match output {
                Output::Record(Record::Event(event)) => self.show(&event),
                Output::Answer { answer, .. } => answered = answer,
                _ => {}
            }
        }
        answered
    }

    fn show(&self, event: &Event) {
        let frame = ws::encode::text(&encode::event(&self.name, event));
        let seq = event.position.seq;
        let append = |frame: &[u8], first: u64, next: u64| {
            // A frame is far smaller than the log, and the home numbers without gaps.
            let _ = self.log.append(frame, first, next, Haste::Batched);
        };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match self.fault.and_then(|fault| fault.with(seq)) {
            Some(Kind::Drop) => append(b"", seq, seq + 1),
            Some(Kind::Double) => append(&[&frame[..], &frame[..]].concat(), seq, seq + 1),
            Some(Kind::Swap) => *held = Some(frame),
            None => match held.take() {
                Some(before) => append(&[&frame[..], &before[..]].concat(), seq - 1, seq + 1),
                None => append(&frame, seq, seq + 1),
            },
        }
    }

    /// What somebody gets who comes in. Nothing is said between this and [`Channel::follow`] on one thread.
    pub fn joined(&self, resume: Option<Position>, history: u32, role: Role) -> Joined {
        let home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        let state = home.state();
        let (events, gap) = match resume.map(|position| state.history().resume(position)) {
            None => (state.history().last_shown(history as usize), None),
            Some(Resume::Replay(events)) => (events, None),
            Some(Resume::Gap { missed, tail }) => (tail, Some(missed)),
        };
        Joined {
            channel: self.name.clone(),
            head: state.head(),
            role,
            follows_since_ms: None,
            modes: state.durable().modes.clone(),
            pin: None,
            events,
            gap,
        }
    }

    /// Sends `connection` what comes after `head`.
    pub fn follow(&self, connection: &Connection, head: Position) {
        let cursor = self.log.cursor_of(head.seq + 1).unwrap_or_else(|| self.log.head());
        // A connection that is over is found to be so by whoever reads it.
        let _ = connection.subscribe(&self.log, cursor);
    }

    /// Sends `connection` no more.
    pub fn leave(&self, connection: &Connection) {
        let _ = connection.unsubscribe(&self.log);
    }
}
