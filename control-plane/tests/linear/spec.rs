//! What one channel promises, as if there were one copy of it and one thing happened at a time.
//!
//! This is a specification: it shares no code with the registry. It says what an answer allows, not what time it is:
//! graces last longer than any history here, and a fourth displacement may be refused, or not, because that is the
//! clock's affair.
//!
//! A claim whose answer is unknown has an epoch that nobody was told. Such a number is known to be above another one
//! ([`Number::Above`]) until somebody sees it.

use freshet_proto::registry::{Departure, Policy};

use super::history::{Answer, Call, Grant, Phase, Refusal, Seen};

/// So many displacements must have been before one is refused.
const FIGHT: u8 = 3;

/// A number, or what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Number {
    Exactly(u64),
    Above(u64),
}

impl Number {
    /// Somebody saw that it is `seen`. Tells whether that can be.
    fn turns_out(&mut self, seen: u64) -> bool {
        let can_be = match *self {
            Self::Exactly(number) => number == seen,
            Self::Above(low) => seen > low,
        };
        if can_be {
            *self = Self::Exactly(seen);
        }
        can_be
    }

    /// The least that it can be.
    fn least(self) -> u64 {
        match self {
            Self::Exactly(number) => number,
            Self::Above(low) => low + 1,
        }
    }
}

/// The latest publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Publish {
    epoch: Number,
    origin: u64,
    nonce: u64,
    /// The session that it continues; `None` for its own.
    continues: Option<Number>,
    prior: Option<(Number, u64)>,
}

impl Publish {
    fn session(&self) -> Number {
        self.continues.unwrap_or(self.epoch)
    }

    fn session_turns_out(&mut self, seen: u64) -> bool {
        self.continues.as_mut().unwrap_or(&mut self.epoch).turns_out(seen)
    }

    fn is(&mut self, (epoch, origin): (u64, u64)) -> bool {
        self.origin == origin && self.epoch.turns_out(epoch)
    }

    fn prior_is(&mut self, seen: Option<(u64, u64)>) -> bool {
        match (&mut self.prior, seen) {
            (None, None) => true,
            (Some((epoch, origin)), Some((seen, at))) => *origin == at && epoch.turns_out(seen),
            _ => false,
        }
    }
}

/// A channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Channel {
    phase: Phase,
    last: Option<Publish>,
    displaced: u8,
}

impl Channel {
    /// One where nobody has published yet.
    pub const NEW: Self = Self { phase: Phase::Idle, last: None, displaced: 0 };

    /// The channel after `call` happened to it and was answered so; `None` where it could not be. An unknown answer is
    /// one that nobody got: the channel after the call, or `None` where the call would change nothing.
    pub fn after(self, policy: Policy, call: Call, answer: Answer) -> Option<Self> {
        match (call, answer) {
            (Call::Claim { origin, nonce }, Answer::Granted(grant)) => self.granted(policy, origin, nonce, grant),
            (Call::Claim { origin, nonce }, Answer::Refused(refusal)) => {
                let (fight, live) = (self.displaced >= FIGHT, self.occupied() && !self.repeats(origin, nonce));
                let may = match refusal {
                    Refusal::Fighting => policy == Policy::Newest && live && fight,
                    Refusal::AlreadyLive => policy == Policy::Reject && live,
                    Refusal::Superseded => false,
                };
                may.then_some(self)
            }
            (Call::Claim { origin, nonce }, Answer::Unknown) if !self.repeats(origin, nonce) => {
                self.claimed(policy, origin, nonce)
            }
            (Call::Live { epoch }, Answer::Done | Answer::Unknown) => self.current(epoch)?.into(Phase::Live),
            (Call::Release { epoch, how }, Answer::Done | Answer::Unknown) => {
                let channel = self.current(epoch)?;
                channel.into(if how == Departure::EndSession { Phase::Ended } else { Phase::Grace })
            }
            (Call::Live { epoch } | Call::Release { epoch, .. }, Answer::Refused(Refusal::Superseded)) => {
                let is_current = self.continues() && self.last.is_some_and(|last| last.epoch == Number::Exactly(epoch));
                (!is_current).then_some(self)
            }
            (Call::Read, Answer::Seen(seen)) => self.seen(seen),
            _ => None,
        }
    }

    fn into(self, phase: Phase) -> Option<Self> {
        Some(Self { phase, ..self })
    }

    fn occupied(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Live)
    }

    fn continues(&self) -> bool {
        self.occupied() || self.phase == Phase::Grace
    }

    /// Whether a claim is the latest one, made again.
    fn repeats(&self, origin: u64, nonce: u64) -> bool {
        nonce != 0 && self.continues() && self.last.is_some_and(|last| (last.origin, last.nonce) == (origin, nonce))
    }

    /// With `epoch` as the current publish.
    fn current(mut self, epoch: u64) -> Option<Self> {
        let is_it = self.continues() && self.last.as_mut()?.epoch.turns_out(epoch);
        is_it.then_some(self)
    }

    /// After a new claim, whose epoch nobody was told.
    fn claimed(self, policy: Policy, origin: u64, nonce: u64) -> Option<Self> {
        if self.occupied() && policy == Policy::Reject {
            return None;
        }
        let before = self.last.filter(|_| self.continues());
        let last = Publish {
            epoch: Number::Above(self.last.map_or(0, |last| last.epoch.least())),
            origin,
            nonce,
            continues: before.map(|before| before.session()),
            prior: before.map(|before| (before.epoch, before.origin)),
        };
        let displaced = self.displaced.saturating_add(u8::from(self.occupied())).min(FIGHT);
        Some(Self { phase: Phase::Starting, last: Some(last), displaced })
    }

    fn granted(mut self, policy: Policy, origin: u64, nonce: u64, grant: Grant) -> Option<Self> {
        let repeats = self.repeats(origin, nonce);
        if let (false, true, Some(last), Some(prior)) = (repeats, self.continues(), &mut self.last, grant.prior) {
            // This may be the first that is heard of it.
            if !last.is(prior) {
                return None;
            }
        }
        let mut after = if repeats { self } else { self.claimed(policy, origin, nonce)? };
        let last = after.last.as_mut()?;
        let told = last.prior_is(grant.prior) && last.epoch.turns_out(grant.epoch);
        let rises = grant.prior.is_none_or(|(prior, _)| prior < grant.epoch);
        (told && rises && last.session_turns_out(grant.session)).then_some(after)
    }

    fn seen(mut self, seen: Seen) -> Option<Self> {
        let same = self.phase == seen.phase
            && match (&mut self.last, seen.publish, seen.session) {
                (None, None, None) => true,
                (Some(last), Some(publish), Some(session)) => last.is(publish) && last.session_turns_out(session),
                _ => false,
            };
        same.then_some(self)
    }
}
