//! One channel's session: who publishes, in which epoch, and when it is over.
//!
//! ```text
//! Idle ──claim──▶ Starting ──live──▶ Live ──release──▶ Grace ──deadline──▶ Ended ──deadline──▶ Idle
//!                    ▲                 │ claim (newest wins)  │ claim
//!                    └─────────────────┴──────────────────────┘ same session, next epoch
//! ```
//! | event | then |
//! |---|---|
//! | encoder unpublishes cleanly | Grace of `end_grace`, then Ended |
//! | connection lost, silent, origin dead | Grace of `reconnect_grace`, then Ended |
//! | claim in Grace, at any origin | same session, next epoch |
//! | claim while another is live | as the [`Policy`] says; two encoders that fight are stopped |
//! | the origin ends the session | Ended at once |
//!
//! Numbers only rise: epochs because they are log indices, media sequence numbers because each claim's base is the one
//! before plus the seconds since plus [`MSN_MARGIN`], and no segment is shorter than a second on average.

use freshet_proto::{
    id::{Epoch, Msn, NodeId, SessionId},
    registry::{Departure, Refused},
    view::{ChannelState, ChannelView, EpochView},
};
use serde::{Deserialize, Serialize};

pub use freshet_proto::registry::Policy;

use crate::key::KeyHash;

/// How long things last, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// Grace after a clean unpublish. Default 5 s.
    pub end_grace_ms: u64,
    /// Grace after a lost connection. Default 30 s.
    pub reconnect_grace_ms: u64,
    /// How long an ended channel is known as ended, so that its ended playlist is found. Default 5 min.
    pub ended_ms: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { end_grace_ms: 5_000, reconnect_grace_ms: 30_000, ended_ms: 300_000 }
    }
}

/// Numbers left free between what a publish may have used and the next one's base.
pub const MSN_MARGIN: u64 = 16;

/// How often a publisher that was heard may be displaced within [`TAKEOVER_WINDOW_MS`]; the next attempt is refused.
pub const MAX_TAKEOVERS: usize = 3;

/// Milliseconds for which a displacement counts.
pub const TAKEOVER_WINDOW_MS: u64 = 30_000;

/// A channel. Knows no names: [`crate::machine`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its key; `None` where nobody may publish.
    pub key: Option<KeyHash>,
    /// What becomes of a second encoder.
    pub policy: Policy,
    /// Whether it is there. A channel that was removed is remembered for its numbers.
    pub listed: bool,
    state: ChannelState,
    session: Option<SessionId>,
    epochs: Vec<EpochView>,
    heard: bool,
    deadline_ms: Option<u64>,
    base: Option<Base>,
    takeovers_ms: Vec<u64>,
    /// The nonce of the latest claim, and what it was granted.
    latest: Option<(u64, Granted)>,
}

/// The base of the latest claim and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Base {
    msn: u64,
    at_ms: u64,
}

/// A claim that was granted; [`freshet_proto::registry::Claimed`] without the channel's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The session it continues or begins.
    pub session: SessionId,
    /// Where its numbers begin.
    pub msn_base: Msn,
    /// The publish of the same session before it.
    pub prior: Option<EpochView>,
}

impl Channel {
    /// A channel where nobody has published yet.
    pub fn new(key: Option<KeyHash>, policy: Policy) -> Self {
        Self {
            key,
            policy,
            listed: true,
            state: ChannelState::Idle,
            session: None,
            epochs: Vec::new(),
            heard: false,
            deadline_ms: None,
            base: None,
            takeovers_ms: Vec::new(),
            latest: None,
        }
    }

    /// What others may know of it.
    pub fn view(&self) -> ChannelView {
        ChannelView { state: self.state, session: self.session, epochs: self.epochs.clone() }
    }

    /// Whether it is live.
    pub fn state(&self) -> ChannelState {
        self.state
    }

    /// The session that goes on, or went on last.
    pub fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// When [`Channel::expire`] has something to do, in ms.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// When it was claimed last; 0 where it never was.
    pub fn claimed_at_ms(&self) -> u64 {
        self.base.map_or(0, |base| base.at_ms)
    }

    /// What the latest claim was granted, if it was this one: made at `origin` with this nonce, and not over.
    pub fn granted_before(&self, origin: NodeId, nonce: u64) -> Option<(Epoch, Granted)> {
        let (_, granted) = self.latest.filter(|(latest, _)| *latest == nonce && nonce != 0)?;
        let current = self.epochs.last().filter(|current| current.origin == origin && self.continues())?;
        Some((current.epoch, granted))
    }

    /// Claims it for a publish at `origin`; `epoch` is greater than any before. `nonce` names the claim; see
    /// [`Channel::granted_before`].
    ///
    /// # Errors
    /// [`Refused::Fighting`], [`Refused::AlreadyLive`]; then nothing has changed.
    pub fn claim(
        &mut self,
        now_ms: u64,
        epoch: Epoch,
        origin: NodeId,
        nonce: u64,
        times: &Times,
    ) -> Result<Granted, Refused> {
        self.admit(now_ms)?;
        // A grace that is over but was not ended yet, because two things happened in one millisecond.
        self.expire(now_ms, times);
        let prior = self.continues().then(|| self.epochs.last().copied()).flatten();
        let session = match (prior, self.session) {
            (Some(_), Some(session)) => session,
            _ => SessionId(epoch.0),
        };
        let msn_base = self.next_base(now_ms);
        self.session = Some(session);
        self.state = ChannelState::Starting;
        self.heard = true;
        self.deadline_ms = None;
        if self.epochs.len() == ChannelView::MAX_EPOCHS {
            self.epochs.remove(0);
        }
        self.epochs.push(EpochView { epoch, origin });
        let granted = Granted { session, msn_base, prior };
        self.latest = Some((nonce, granted));
        Ok(granted)
    }

    /// Whether a claim continues the session.
    pub(crate) fn continues(&self) -> bool {
        matches!(self.state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace)
    }

    fn occupied(&self) -> bool {
        matches!(self.state, ChannelState::Starting | ChannelState::Live)
    }

    fn admit(&mut self, now_ms: u64) -> Result<(), Refused> {
        if !self.occupied() {
            return Ok(());
        }
        match self.policy {
            Policy::Reject => Err(Refused::AlreadyLive),
            Policy::Silent if self.heard => Err(Refused::AlreadyLive),
            Policy::Newest if self.heard => self.displace(now_ms),
            Policy::Silent | Policy::Newest => Ok(()),
        }
    }

    fn displace(&mut self, now_ms: u64) -> Result<(), Refused> {
        let recent = |at: &&u64| now_ms.saturating_sub(**at) < TAKEOVER_WINDOW_MS;
        let takeovers = self.takeovers_ms.iter().filter(recent).count();
        if takeovers >= MAX_TAKEOVERS {
            return Err(Refused::Fighting { takeovers: takeovers as u32 });
        }
        self.takeovers_ms.retain(|at| recent(&at));
        self.takeovers_ms.push(now_ms);
        Ok(())
    }

    fn next_base(&mut self, now_ms: u64) -> Msn {
        let msn = self.base.map_or(0, |base| {
            let seconds = now_ms.saturating_sub(base.at_ms).div_ceil(1000);
            base.msn.saturating_add(seconds).saturating_add(MSN_MARGIN)
        });
        self.base = Some(Base { msn, at_ms: now_ms });
        Msn(msn)
    }

    /// The publish's media flows. In grace that means that it was not lost after all.
    ///
    /// # Errors
    /// [`Refused::Superseded`] unless `epoch` is the current publish.
    pub fn live(&mut self, epoch: Epoch) -> Result<(), Refused> {
        self.current(epoch)?;
        self.state = ChannelState::Live;
        self.deadline_ms = None;
        Ok(())
    }

    /// The publisher fell silent for 2 s, or spoke again.
    ///
    /// # Errors
    /// [`Refused::Superseded`] unless `epoch` is the current publish.
    pub fn heard(&mut self, epoch: Epoch, heard: bool) -> Result<(), Refused> {
        self.current(epoch)?;
        self.heard = heard;
        Ok(())
    }

    /// The publisher has gone. Where that is known already, only an end of the session says something new.
    ///
    /// # Errors
    /// [`Refused::Superseded`] unless `epoch` is the current publish.
    pub fn release(&mut self, now_ms: u64, epoch: Epoch, how: Departure, times: &Times) -> Result<(), Refused> {
        self.current(epoch)?;
        match how {
            Departure::EndSession => self.end(now_ms, times),
            Departure::Unpublished if self.occupied() => self.wait(now_ms, times.end_grace_ms),
            Departure::Lost if self.occupied() => self.wait(now_ms, times.reconnect_grace_ms),
            Departure::Unpublished | Departure::Lost => {}
        }
        Ok(())
    }

    /// The origin died: whoever publishes there is lost. Tells whether that changed anything.
    pub fn lose(&mut self, now_ms: u64, origin: NodeId, times: &Times) -> bool {
        let lost = self.occupied() && self.epochs.last().is_some_and(|last| last.origin == origin);
        if lost {
            self.wait(now_ms, times.reconnect_grace_ms);
        }
        lost
    }

    /// Ends what is due. Tells whether that changed anything.
    pub fn expire(&mut self, now_ms: u64, times: &Times) -> bool {
        let due = self.deadline_ms.is_some_and(|at| at <= now_ms);
        match self.state {
            ChannelState::Grace if due => self.end(now_ms, times),
            ChannelState::Ended if due => self.forget(),
            _ => return false,
        }
        true
    }

    /// What waits for a time waits `by_ms` longer. Tells whether anything does.
    pub fn put_off(&mut self, by_ms: u64) -> bool {
        self.deadline_ms = self.deadline_ms.map(|at| at.saturating_add(by_ms));
        self.deadline_ms.is_some()
    }

    /// Ends the session, if there is one that goes on. Tells whether there was.
    pub fn end_session(&mut self, now_ms: u64, times: &Times) -> bool {
        let goes_on = self.continues();
        if goes_on {
            self.end(now_ms, times);
        }
        goes_on
    }

    /// Ends the session, if there is one, and takes the key away. The numbers stay.
    pub fn remove(&mut self, now_ms: u64, times: &Times) {
        self.end_session(now_ms, times);
        (self.key, self.listed) = (None, false);
    }

    fn current(&self, epoch: Epoch) -> Result<(), Refused> {
        let current = self.epochs.last().is_some_and(|last| last.epoch == epoch);
        if current && self.continues() { Ok(()) } else { Err(Refused::Superseded) }
    }

    fn wait(&mut self, now_ms: u64, grace_ms: u64) {
        self.state = ChannelState::Grace;
        self.heard = false;
        self.deadline_ms = Some(now_ms.saturating_add(grace_ms));
    }

    fn end(&mut self, now_ms: u64, times: &Times) {
        self.state = ChannelState::Ended;
        self.heard = false;
        self.deadline_ms = Some(now_ms.saturating_add(times.ended_ms));
    }

    fn forget(&mut self) {
        self.state = ChannelState::Idle;
        self.deadline_ms = None;
        self.epochs.clear();
    }
}
