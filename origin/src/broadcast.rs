//! One session on this origin: its pipeline, its window, and who publishes into it.
//!
//! ```text
//! begin ─▶ open(epoch) ◀─resume── grace ─────▶ ended ─▶ gone
//!              └────────leave───────▶┘           ▲
//!              └──────end / moved────────────────┘
//! ```
//! Fencing: every call of a publisher names its epoch. What an older publish says after a newer one has begun is
//! dropped, and it learns that it was displaced.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use freshet_media::{
    frame::Media,
    health,
    output::Output,
    pipeline::{PackagingConfig, Pipeline, Start},
    playlist::inherit::Inherited,
};
use freshet_proto::{
    id::{ChannelName, Epoch, Msn, SessionId},
    ordered,
    registry::{Claimed, Departure},
};
use tokio::sync::watch;

use crate::{health::arrival, live::Window, meter::Meters};

/// What all sessions of an origin have in common.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) packaging: PackagingConfig,
    /// Most bytes that one window keeps.
    pub(crate) max_bytes: u64,
    pub(crate) meters: Meters,
}

/// How a session begins at an origin.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// With nothing, and this number.
    At(Msn),
    /// As [`Beginning::At`], in a session that another origin began and of which nothing is left.
    Bereft(Msn),
    /// With the window that another origin left.
    With(Inherited),
}

/// Why a publisher must go. Told to its encoder in these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Dismissal {
    /// A newer publish of the channel has begun.
    #[error("another encoder has taken this channel over with the same stream key")]
    TakenOver,
    /// The registry ended the session: the key was reset, or an operator ended it.
    #[error("the session was ended; check the stream key and publish again")]
    Ended,
    /// This origin is going down.
    #[error("this server is going down for maintenance; connect again")]
    Draining,
}

/// Where a publisher hears that it must go.
pub(crate) type DismissalSender = watch::Sender<Option<Dismissal>>;

/// One session. Shared by its publisher, the keeper and everyone who reads it.
#[derive(Debug)]
pub(crate) struct Broadcast {
    pub(crate) channel: ChannelName,
    pub(crate) session: SessionId,
    state: Mutex<State>,
    /// Changes whenever the window or the phase did.
    made: ordered::Sender<()>,
}

struct State {
    window: Window,
    /// `None` once the session has ended here.
    pipeline: Option<Pipeline>,
    epoch: Epoch,
    publisher: Option<DismissalSender>,
    /// How the latest publisher went, once it has.
    departure: Option<Departure>,
    phase: Phase,
    out: Vec<Output>,
    meters: Meters,
    /// What has been counted already.
    examined: health::Report,
}

/// How far a session has come at this origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its playlist may still grow.
    Open,
    /// It is over; its objects stay until then, in milliseconds of the wall clock.
    Ended { until_ms: u64 },
    /// Another origin goes on with it; the objects made here stay until then.
    Moved { until_ms: u64 },
    /// Nothing of it is left.
    Gone,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It was taken. Whether viewers can begin with this publish.
    Taken { live: bool },
    /// It can't continue the session: end it, begin another, and push it again there.
    NewSession(&'static str),
    /// The publish is not the current one any more.
    Displaced,
}

impl Broadcast {
    /// Begins the session of `claimed`, published by whoever listens to `publisher`.
    pub(crate) fn begin(
        claimed: &Claimed,
        rules: &Rules,
        beginning: Beginning,
        publisher: DismissalSender,
        now_ms: u64,
    ) -> Self {
        let start = |first: u64| Start { epoch: claimed.epoch.0, msn_base: first, now_ms };
        let mut left = Vec::new();
        let pipeline = match beginning {
            Beginning::At(first) => Pipeline::new(rules.packaging, start(first.0)),
            Beginning::Bereft(first) => Pipeline::bereft(rules.packaging, start(first.0)),
            Beginning::With(inherited) => {
                Pipeline::inherit(rules.packaging, start(inherited.next_msn()), inherited, &mut left)
            }
        };
        let mut state = State {
            window: Window::new(claimed.session, rules.max_bytes),
            pipeline: Some(pipeline),
            epoch: claimed.epoch,
            publisher: Some(publisher),
            departure: None,
            phase: Phase::Open,
            out: Vec::new(),
            meters: rules.meters.clone(),
            examined: health::Report::default(),
        };
        state.run(now_ms, |_, out| out.append(&mut left));
        Self {
            channel: claimed.channel.clone(),
            session: claimed.session,
            state: Mutex::new(state),
            made: ordered::Sender::new(()),
        }
    }

    /// Goes on with the session in a newer publish; whoever published before is dismissed. In the same one only when nobody
    /// publishes. False where that can't be, or the session is over here.
    pub(crate) fn resume(&self, epoch: Epoch, publisher: DismissalSender, now_ms: u64) -> bool {
        let mut state = self.lock();
        let readmitted = epoch == state.epoch && state.publisher.is_none();
        if state.phase != Phase::Open || !(readmitted || epoch > state.epoch) {
            return false;
        }
        state.dismiss(Dismissal::TakenOver, now_ms);
        state.epoch = epoch;
        (state.publisher, state.departure) = (Some(publisher), None);
        state.run(now_ms, |pipeline, _| pipeline.resume(now_ms, epoch.0));
        drop(state);
        self.made.send_replace(());
        true
    }

    /// Takes what the publisher of `epoch` sent.
    pub(crate) fn push(&self, epoch: Epoch, now_ms: u64, media: Media) -> Pushed {
        let mut state = self.lock();
        if state.epoch != epoch || state.publisher.is_none() || state.phase != Phase::Open {
            return Pushed::Displaced;
        }
        let ran = state.run(now_ms, |pipeline, out| pipeline.push(now_ms, media, out));
        let live = ran.changed && state.window.is_live(epoch);
        drop(state);
        self.announce(ran.changed);
        ran.new_session.map_or(Pushed::Taken { live }, Pushed::NewSession)
    }

    /// There and back between the encoder that publishes as `epoch` and here.
    pub(crate) fn measure(&self, epoch: Epoch, rtt: Option<Duration>) {
        let mut state = self.lock();
        if state.epoch == epoch
            && let Some(pipeline) = &mut state.pipeline
        {
            pipeline.measure(rtt);
        }
    }

    /// Lets the pipeline do what is due.
    pub(crate) fn tick(&self, now_ms: u64) {
        let mut state = self.lock();
        let due = state.pipeline.as_ref().and_then(Pipeline::deadline_ms).is_some_and(|at| at <= now_ms);
        let changed = due && state.run(now_ms, |pipeline, out| pipeline.tick(now_ms, out)).changed;
        drop(state);
        self.announce(changed);
    }

    /// The publisher of `epoch` has gone; the session stays open.
    pub(crate) fn leave(&self, epoch: Epoch, how: Option<Departure>, now_ms: u64) {
        let mut state = self.lock();
        if state.epoch == epoch && state.publisher.take().is_some() {
            state.departure = how;
            state.run(now_ms, |pipeline, out| pipeline.interrupt(now_ms, out));
            drop(state);
            self.announce(true);
        }
    }

    /// The session is over: its playlists get their end, and all that is left stays as long as it must.
    pub(crate) fn end(&self, now_ms: u64) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.dismiss(Dismissal::Ended, now_ms);
            state.run(now_ms, |pipeline, out| pipeline.end(now_ms, out));
            state.close(|until_ms| Phase::Ended { until_ms }, now_ms);
            drop(state);
            self.announce(true);
        }
    }

    /// Another origin goes on with the session from a newer publish.
    pub(crate) fn hand_over(&self, now_ms: u64) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.dismiss(Dismissal::TakenOver, now_ms);
            state.close(|until_ms| Phase::Moved { until_ms }, now_ms);
            drop(state);
            self.announce(true);
        }
    }

    /// Tells the publisher to go, for `why`. It goes by itself, and leaves.
    pub(crate) fn dismiss(&self, why: Dismissal) {
        if let Some(publisher) = &self.lock().publisher {
            publisher.send_replace(Some(why));
        }
    }

    /// Forgets everything. Followers are told.
    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.phase = Phase::Gone;
        state.pipeline = None;
        state.window = Window::new(self.session, 0);
        drop(state);
        self.announce(true);
    }

    /// Reads the window, its phase and the epoch whose next part may come.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Window, Phase, Option<Epoch>) -> T) -> T {
        let state = self.lock();
        let open = state.publisher.as_ref().map(|_| state.epoch);
        look(&state.window, state.phase, open)
    }

    /// Changes whenever something was made or the phase changed.
    pub(crate) fn subscribe(&self) -> ordered::Receiver<()> {
        self.made.subscribe()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// The newest publish.
    pub(crate) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// Whether somebody publishes.
    pub(crate) fn has_publisher(&self) -> bool {
        self.lock().publisher.is_some()
    }

    /// How the newest publish ended, where it did and its publisher did not have to go.
    pub(crate) fn departure(&self) -> Option<Departure> {
        self.lock().departure
    }

    /// When the pipeline or the keeper has something to do, in milliseconds of the wall clock.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        let state = self.lock();
        match state.phase {
            Phase::Open => state.pipeline.as_ref().and_then(Pipeline::deadline_ms),
            Phase::Ended { until_ms } | Phase::Moved { until_ms } => Some(until_ms),
            Phase::Gone => None,
        }
    }

    /// The newest publish and how the stream does; `None` once it is over.
    pub(crate) fn health(&self, now_ms: u64) -> Option<(Epoch, health::Report)> {
        let state = self.lock();
        state.pipeline.as_ref().map(|pipeline| (state.epoch, pipeline.health(now_ms)))
    }

    /// Counts what has gone wrong since the last time; returns the alerts that are new.
    pub(crate) fn examine(&self, now_ms: u64) -> Vec<health::Alert> {
        self.lock().examine(now_ms)
    }

    /// Bytes that the window keeps.
    pub(crate) fn bytes(&self) -> u64 {
        self.lock().window.bytes()
    }

    fn announce(&self, changed: bool) {
        if changed {
            self.made.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one run of the pipeline did.
#[derive(Default)]
struct Ran {
    changed: bool,
    new_session: Option<&'static str>,
}

impl State {
    /// Lets the pipeline work and puts what it makes into the window.
    fn run(&mut self, now_ms: u64, work: impl FnOnce(&mut Pipeline, &mut Vec<Output>)) -> Ran {
        let Some(pipeline) = &mut self.pipeline else { return Ran::default() };
        work(pipeline, &mut self.out);
        let mut ran = Ran { changed: !self.out.is_empty(), new_session: None };
        self.window.note(pipeline.arrival().map(arrival));
        for made in self.out.drain(..) {
            match made {
                Output::NewSession(why) => ran.new_session = Some(why),
                made => {
                    self.meters.made(&made);
                    self.window.put(now_ms, made);
                }
            }
        }
        ran
    }

    fn dismiss(&mut self, why: Dismissal, now_ms: u64) {
        if let Some(publisher) = self.publisher.take() {
            publisher.send_replace(Some(why));
            self.run(now_ms, |pipeline, out| pipeline.interrupt(now_ms, out));
        }
    }

    fn examine(&mut self, now_ms: u64) -> Vec<health::Alert> {
        let Some(report) = self.pipeline.as_ref().map(|pipeline| pipeline.health(now_ms)) else { return Vec::new() };
        self.meters.went_wrong(&self.examined, &report);
        let known = std::mem::replace(&mut self.examined, report);
        let kind = std::mem::discriminant::<health::Alert>;
        let is_new = |alert: &&health::Alert| known.alerts.iter().all(|before| kind(before) != kind(alert));
        self.examined.alerts.iter().filter(is_new).cloned().collect()
    }

    fn close(&mut self, phase: impl FnOnce(u64) -> Phase, now_ms: u64) {
        self.examine(now_ms);
        self.phase = phase(now_ms + self.window.afterlife_ms());
        self.pipeline = None;
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {} {:?}, {} bytes", self.epoch, self.phase, self.window.bytes())
    }
}

/// A session that several tasks share.
pub(crate) type Shared = Arc<Broadcast>;
