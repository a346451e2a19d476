//! How sessions did a while ago and what became of their encoders: the leader's memory. A machine; nothing of it is logged,
//! and a new leader begins with nothing and says so (`since_ms`).
//!
//! ```text
//! REPORT of an origin ──hear, try_out──▶ Histories ──of──▶ the REST API
//! changes of the view ────changed─────▶     ▲
//! what was proposed   ────because───────────┘ why they came about
//! ```

use std::collections::{BTreeMap, VecDeque};

use freshet_proto::{
    health::Health,
    history::{Event, Happened, History, Point, Trial},
    id::{ChannelName, SessionId},
    view::{ChannelState, ChannelView, Delta, EpochView, View},
};

use crate::machine::Input;

/// Ms between two points of a session, at least: every second report makes one.
const EVERY_MS: u64 = 3_500;

/// How many points are kept over all channels, about 80 bytes each. Beyond it a channel's new point costs it its oldest one.
pub const MAX_POINTS: usize = 1 << 20;

/// For how long points are kept, in ms.
const POINTS_FOR_MS: u64 = 30 * 60_000;

/// For how long a channel is remembered to which nothing happens, in ms.
const REMEMBERED_MS: u64 = 24 * 3_600_000;

/// How often what is too old is looked for, in ms.
const SWEPT_MS: u64 = 60_000;

/// For how long a test goes on that is not told of, in ms: three reports.
const TRIAL_FOR_MS: u64 = 6_000;

/// How many causes wait for the change that they explain. Where there are more the oldest is forgotten, and what it explains
/// is told without it.
const MAX_CAUSES: usize = 64;

/// What is remembered of all channels: at most as many as the registry may have, for others are not told of.
#[derive(Debug, Default)]
pub struct Histories {
    since_ms: u64,
    swept_ms: u64,
    points: usize,
    pasts: BTreeMap<ChannelName, Past>,
    /// Channels where somebody publishes, or did a moment ago.
    known: BTreeMap<ChannelName, Standing>,
    causes: VecDeque<(u64, Cause)>,
}

#[derive(Debug, Default)]
struct Past {
    touched_ms: u64,
    points: VecDeque<Point>,
    /// Each with the revision that brought it.
    events: VecDeque<(u64, Event)>,
    test: Option<Test>,
}

#[derive(Debug)]
struct Test {
    health: Health,
    points: VecDeque<Point>,
}

/// What a channel was like before a change.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    state: ChannelState,
    session: Option<SessionId>,
    current: Option<EpochView>,
}

/// Why a session was interrupted or ended, where the view does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The encoder stopped publishing.
    Left,
    /// Its origin died, or began anew.
    ServerLost,
    /// Somebody ended it.
    Ended,
    /// The key or the channel changed.
    KeyChanged,
    /// What came could not continue it.
    Changed,
}

impl Histories {
    /// A leader begins, and `view` is what it knows.
    pub fn begin(&mut self, now_ms: u64, view: &View) {
        *self = Self { since_ms: now_ms, swept_ms: now_ms, ..Self::default() };
        let goes_on = view.channels.iter().filter(|(_, channel)| goes_on(channel.state));
        self.known = goes_on.map(|(name, channel)| (name.clone(), Standing::of(channel))).collect();
    }

    /// The view has moved on.
    pub fn changed(&mut self, now_ms: u64, delta: &Delta) {
        for (name, after) in &delta.channels {
            let before = self.known.remove(name).unwrap_or_default();
            let after = after.as_ref().map(Standing::of).unwrap_or_default();
            if goes_on(after.state) {
                self.known.insert(name.clone(), after);
            }
            let what = what_happened(&before, &after);
            let of = if goes_on(after.state) { after } else { before };
            if let (Some(what), Some(session), Some(current)) = (what, of.session, of.current) {
                let cause = self.causes.iter().find(|(index, _)| *index == delta.revision);
                let what = cause.map_or(what, |(_, cause)| cause.explain(what));
                let event = Event { at_ms: now_ms, session, origin: current.origin, what };
                self.past(now_ms, name).note(delta.revision, event);
            }
        }
        self.sweep(now_ms);
    }

    /// What the change of log index `index` came of, before or after it is heard of itself.
    pub fn because(&mut self, index: u64, cause: Cause) {
        for (revision, event) in self.pasts.values_mut().filter_map(|past| past.events.back_mut()) {
            if *revision == index {
                event.what = cause.explain(event.what);
            }
        }
        if self.causes.len() == MAX_CAUSES {
            self.causes.pop_front();
        }
        self.causes.push_back((index, cause));
    }

    /// How the session that is published now does.
    pub fn hear(&mut self, now_ms: u64, channel: &ChannelName, health: &Health) {
        let (all, past) = (self.points, self.past(now_ms, channel));
        if past.points.back().is_some_and(|last| now_ms < last.at_ms + EVERY_MS) {
            return;
        }
        let before = past.points.len();
        if before == History::MAX_POINTS || all >= MAX_POINTS {
            past.points.pop_front();
        }
        if all < MAX_POINTS || before > 0 {
            past.points.push_back(Point::of(now_ms, health));
        }
        self.points = all + past.points.len() - before;
    }

    /// How a private test does. One that begins anew replaces the one before.
    pub fn try_out(&mut self, now_ms: u64, channel: &ChannelName, health: &Health) {
        let test = &mut self.past(now_ms, channel).test;
        let same = test.take().filter(|held| held.health.since_ms == health.since_ms);
        let mut held = same.unwrap_or_else(|| Test { health: Health::default(), points: VecDeque::new() });
        let earlier = std::mem::replace(&mut held.health, health.clone()).alerts;
        let gone = earlier.into_iter().filter(|gone| health.alerts.iter().all(|alert| alert.kind != gone.kind));
        held.health.alerts.extend(gone);
        held.health.alerts.truncate(Health::MAX_ALERTS);
        if held.points.len() == Trial::MAX_POINTS {
            held.points.pop_front();
        }
        held.points.push_back(Point::of(now_ms, health));
        *test = Some(held);
    }

    /// What is remembered of `channel`.
    pub fn of(&self, now_ms: u64, channel: &ChannelName) -> History {
        let Some(past) = self.pasts.get(channel) else {
            return History { since_ms: self.since_ms, ..History::default() };
        };
        let test = past.test.as_ref().map(|test| {
            let told_ms = test.points.back().map_or(0, |last| last.at_ms);
            Box::new(Trial {
                goes_on: now_ms < told_ms + TRIAL_FOR_MS,
                health: test.health.clone(),
                points: test.points.iter().copied().collect(),
            })
        });
        History {
            since_ms: self.since_ms,
            points: past.points.iter().copied().collect(),
            events: past.events.iter().map(|(_, event)| *event).collect(),
            test,
        }
    }

    fn past(&mut self, now_ms: u64, channel: &ChannelName) -> &mut Past {
        let past = self.pasts.entry(channel.clone()).or_default();
        past.touched_ms = now_ms;
        past
    }

    fn sweep(&mut self, now_ms: u64) {
        if now_ms < self.swept_ms + SWEPT_MS {
            return;
        }
        self.swept_ms = now_ms;
        self.pasts.retain(|_, past| now_ms < past.touched_ms + REMEMBERED_MS);
        for past in self.pasts.values_mut() {
            past.points.retain(|point| now_ms < point.at_ms + POINTS_FOR_MS);
        }
        self.points = self.pasts.values().map(|past| past.points.len()).sum();
    }
}

impl Past {
    fn note(&mut self, revision: u64, event: Event) {
        if self.events.len() == History::MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((revision, event));
    }
}

impl Standing {
    fn of(channel: &ChannelView) -> Self {
        Self { state: channel.state, session: channel.session, current: channel.current() }
    }
}

impl Cause {
    /// Why `input` changes sessions, where that says more than the view.
    pub fn of(input: &Input) -> Option<Self> {
        use freshet_proto::registry::Departure::{EndSession, Unpublished};
        match input {
            Input::Release { how: Unpublished, .. } => Some(Self::Left),
            Input::Release { how: EndSession, .. } => Some(Self::Changed),
            Input::OriginLost { .. } | Input::NodeLost { .. } | Input::Renewed { .. } => Some(Self::ServerLost),
            Input::RemoveNode { .. } | Input::CutOff { .. } => Some(Self::ServerLost),
            Input::End { .. } => Some(Self::Ended),
            Input::Charter { .. } | Input::PutChannel { .. } | Input::RemoveChannel { .. } => Some(Self::KeyChanged),
            _ => None,
        }
    }

    fn explain(self, what: Happened) -> Happened {
        use Happened::{Changed, Ended, KeyChanged, Left, Lost, ServerLost, TimedOut};
        match (self, what) {
            (Self::Left, Lost) => Left,
            (Self::ServerLost, Lost) => ServerLost,
            (Self::Ended, TimedOut) => Ended,
            (Self::KeyChanged, Ended | TimedOut) => KeyChanged,
            (Self::Changed, Ended | TimedOut) => Changed,
            _ => what,
        }
    }
}

fn goes_on(state: ChannelState) -> bool {
    matches!(state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace)
}

fn what_happened(before: &Standing, after: &Standing) -> Option<Happened> {
    use ChannelState::{Grace, Live, Starting};
    if !goes_on(after.state) {
        let over = if before.state == Grace { Happened::TimedOut } else { Happened::Ended };
        return goes_on(before.state).then_some(over);
    }
    if before.current.map(|of| of.epoch) != after.current.map(|of| of.epoch) {
        let same = goes_on(before.state) && before.session == after.session;
        let moved = before.current.map(|of| of.origin) != after.current.map(|of| of.origin);
        return Some(match before.state {
            _ if !same => Happened::Came,
            Grace if moved => Happened::Moved,
            Grace => Happened::CameBack,
            _ => Happened::TookOver,
        });
    }
    match (before.state, after.state) {
        (Starting | Grace, Live) => Some(Happened::Live),
        (Starting | Live, Grace) => Some(Happened::Lost),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
