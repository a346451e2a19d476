//! What one player tells, made into what happened since it told last.
//!
//! What happened is the difference between two of its reports, by the player's own clock: the time between them counts as played
//! or stalled by what the player did at the first. A stall that is told twice, as a state (`sta=r`) and as starvation (`bs`, `bsd`),
//! counts once, and so does one that is told in pieces.

use freshet_proto::{audience::Audience, id::ChannelName};

use super::report::{Report, State};

/// After how many milliseconds without a report a player does not count any more.
pub const QUIET_MS: u64 = 30_000;

/// The longest time between two reports that counts as played or stalled, in milliseconds. Beyond it the player slept.
const MOST_BETWEEN_MS: u64 = 90_000;

/// What a report says that happened since the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Happened {
    /// The player began, after so many milliseconds.
    pub startup_ms: Option<u64>,
    /// So many milliseconds of it were shown.
    pub played_ms: u64,
    /// For so many it stood for lack of data.
    pub stalled_ms: u64,
    /// So often.
    pub stalls: u64,
    /// Errors.
    pub errors: u64,
    /// Frames that were not shown.
    pub dropped_frames: u64,
}

/// A player, and what it told last.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) channel: ChannelName,
    /// When it told last, by the edge's clock.
    pub(super) heard_ms: u64,
    /// The player's time at its last report.
    ts: u64,
    state: Option<State>,
    /// The player's time when it was told to play.
    started: Option<u64>,
    /// Whether how long it took to begin is known.
    startup_told: bool,
    /// Whether it has ever shown anything.
    began: bool,
    /// Whether it has told an error since it played last.
    erred: bool,
    /// Whether its last report told of starvation.
    starved: bool,
    /// How long and how often it stood, by its states, since it told of starvation last.
    stood_ms: u64,
    stood: u64,
    latency_ms: Option<u64>,
    bitrate: Option<u64>,
    dropped_frames: Option<u64>,
}

impl Happened {
    /// Counts it.
    pub(super) fn add_to(self, audience: &mut Audience) {
        if let Some(ms) = self.startup_ms {
            audience.startup.see(ms);
        }
        audience.played_ms = audience.played_ms.saturating_add(self.played_ms);
        audience.stalled_ms = audience.stalled_ms.saturating_add(self.stalled_ms);
        audience.stalls = audience.stalls.saturating_add(self.stalls);
        audience.errors = audience.errors.saturating_add(self.errors);
        audience.dropped_frames = audience.dropped_frames.saturating_add(self.dropped_frames);
    }
}

impl Session {
    /// Nothing is known but whose it is, and when its player says that it is.
    pub(super) fn new(report: &Report<'_>) -> Self {
        Self {
            channel: report.channel.clone(),
            heard_ms: 0,
            ts: report.ts,
            state: None,
            started: None,
            startup_told: false,
            began: false,
            erred: false,
            starved: false,
            stood_ms: 0,
            stood: 0,
            latency_ms: None,
            bitrate: None,
            dropped_frames: None,
        }
    }

    /// Whether it counts as one that watches.
    pub(super) fn is_here(&self, now_ms: u64) -> bool {
        now_ms < self.heard_ms + QUIET_MS && self.state != Some(State::Over)
    }

    /// Counts it, and what it told last, among those that are here.
    pub(super) fn add_to(&self, audience: &mut Audience) {
        audience.players = audience.players.saturating_add(1);
        if let Some(ms) = self.latency_ms {
            audience.latency.see(ms);
        }
        if let Some(bitrate) = self.bitrate {
            audience.bitrate = audience.bitrate.saturating_add(bitrate);
            audience.bitrates = audience.bitrates.saturating_add(1);
        }
    }

    /// Hears its next report, and tells what happened.
    pub(super) fn hear(&mut self, report: &Report<'_>) -> Happened {
        let mut happened = Happened::default();
        let starved = report.starved || report.starved_ms.is_some();
        let passed = self.pass(report.ts, &mut happened);
        // It stood all the time, and before already.
        let goes_on = self.starved && passed > 0 && report.starved_ms.is_some_and(|ms| ms >= passed);
        if let Some(state) = report.state {
            self.turn(state, report, &mut happened);
        }
        if let Some(ms) = report.startup_ms.filter(|_| !self.startup_told) {
            happened.startup_ms = Some(ms);
            self.startup_told = true;
        }
        if starved {
            self.starve(report.starved_ms.unwrap_or(0), &mut happened);
        }
        if goes_on {
            happened.stalls = 0;
        }
        self.starved = starved;
        if report.is_error {
            happened.errors += 1;
            self.erred = true;
        }
        if let Some(count) = report.dropped_frames {
            // What a session dropped before it came here was counted where it was.
            let before = self.dropped_frames.replace(count).unwrap_or(count);
            happened.dropped_frames = count.checked_sub(before).unwrap_or(count);
        }
        self.latency_ms = report.latency_ms.or(self.latency_ms);
        self.bitrate = report.bitrate.or(self.bitrate);
        happened
    }

    /// Time has passed for the player, in the state that it was in. Gives how much.
    fn pass(&mut self, ts: u64, happened: &mut Happened) -> u64 {
        let passed = ts.checked_sub(self.ts).filter(|passed| *passed <= MOST_BETWEEN_MS).unwrap_or(0);
        match self.state {
            Some(State::Playing) => happened.played_ms = passed,
            Some(State::Rebuffering) => {
                happened.stalled_ms = passed;
                self.stood_ms += passed;
            }
            _ => {}
        }
        // A report that was overtaken changes nothing; a clock that was set back does.
        let set_back = self.ts.saturating_sub(ts) > MOST_BETWEEN_MS;
        self.ts = if set_back { ts } else { self.ts.max(ts) };
        passed
    }

    fn turn(&mut self, state: State, report: &Report<'_>, happened: &mut Happened) {
        let before = self.state.replace(state);
        match state {
            State::Starting => self.started = self.started.or(Some(report.ts)),
            State::Playing => {
                if let (false, None, Some(started)) = (self.startup_told, report.startup_ms, self.started) {
                    happened.startup_ms = report.ts.checked_sub(started).filter(|ms| *ms <= MOST_BETWEEN_MS);
                    self.startup_told = true;
                }
                (self.began, self.erred) = (true, false);
            }
            // Who comes from another edge may do so while it stands.
            State::Rebuffering if before != Some(State::Rebuffering) && (self.began || before.is_none()) => {
                happened.stalls += 1;
                self.stood += 1;
                self.began = true;
            }
            State::Failed if before != Some(State::Failed) && !report.is_error && !self.erred => happened.errors += 1,
            State::Rebuffering | State::Paused | State::Over | State::Failed => {}
        }
    }

    /// The player tells that it starved, for so long since it told so last.
    fn starve(&mut self, told_ms: u64, happened: &mut Happened) {
        let (stood_ms, stood) = (std::mem::take(&mut self.stood_ms), std::mem::take(&mut self.stood));
        if !self.began {
            return;
        }
        let unseen = told_ms.saturating_sub(stood_ms);
        happened.stalled_ms = happened.stalled_ms.saturating_add(unseen);
        happened.played_ms = happened.played_ms.saturating_sub(unseen);
        if stood == 0 && stood_ms == 0 {
            happened.stalls += 1;
        }
    }
}
