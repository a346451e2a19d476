//! Whether a grace lasts as long as it should, whoever leads and whatever the clocks say. A machine.
//!
//! ```text
//! after every step: is there a leader? ──▶ settled ─┐
//! what the registry says of the channel ────────────┴─▶ Grace since … ──▶ over, and too soon?
//! ```
//! A grace counts from when it was proposed, and is seen once it is on most disks. One that begins while nobody leads, or
//! just after, may have been proposed long before, and is not measured.

use freshet_proto::{
    id::SessionId,
    view::{ChannelState, ChannelView},
};

use crate::{hosts::TIMES, invariants::Rule, ledger::Broken};

/// How long after it was proposed a grace may be seen, where somebody leads all that time.
const LATE_MS: u64 = 3_000;

/// The grace that runs, if one does.
#[derive(Debug, Default)]
pub struct Graces {
    /// When nobody led last.
    unled_ms: u64,
    /// Whose grace runs, and since when; `None` where that is not known well enough.
    running: Option<(SessionId, Option<u64>)>,
}

impl Graces {
    /// Whether somebody leads who keeps graces.
    pub fn led(&mut self, now_ms: u64, led: bool) {
        if !led {
            self.unled_ms = now_ms;
        }
    }

    /// The registry says something new of the channel.
    ///
    /// # Errors
    /// When a session is over long before its grace was.
    pub fn look(&mut self, now_ms: u64, channel: &ChannelView) -> Result<(), Broken> {
        let goes_on = channel.session.filter(|_| channel.state != ChannelState::Ended);
        let ended = self.running.filter(|(session, _)| goes_on != Some(*session));
        if channel.state != ChannelState::Grace || ended.is_some() {
            self.running = None;
        }
        if let (ChannelState::Grace, Some(session), None) = (channel.state, channel.session, self.running) {
            let settled = now_ms > self.unled_ms + LATE_MS;
            self.running = Some((session, settled.then_some(now_ms)));
        }
        let Some((session, Some(since))) = ended else { return Ok(()) };
        let lasted_ms = now_ms - since;
        if lasted_ms + LATE_MS >= TIMES.reconnect_grace_ms {
            return Ok(());
        }
        let what = format!(
            "the grace of session {session} was over after {lasted_ms} ms; {} are promised",
            TIMES.reconnect_grace_ms
        );
        Err((Rule::Grace, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(state: ChannelState, session: u64) -> ChannelView {
        ChannelView { state, session: Some(SessionId(session)), ..ChannelView::default() }
    }

    /// Whether all is well with what the registry says at these seconds, when nobody leads up to `unled_s`.
    fn well(unled_s: u64, said: &[(u64, ChannelState, u64)]) -> bool {
        let mut graces = Graces::default();
        graces.led(unled_s * 1_000, false);
        said.iter().all(|(at_s, state, session)| graces.look(at_s * 1_000, &channel(*state, *session)).is_ok())
    }

    #[test]
    fn a_grace_that_is_over_too_soon_is_found() {
        use ChannelState::{Ended, Grace, Live, Starting};
        assert!(well(0, &[(5, Live, 1), (10, Grace, 1), (18, Ended, 1)]));
        assert!(!well(0, &[(5, Live, 1), (10, Grace, 1), (12, Ended, 1)]));
        assert!(!well(0, &[(10, Grace, 1), (12, Starting, 2)]), "the next session begins");
        assert!(!well(0, &[(10, Grace, 1), (12, Grace, 2)]), "and is lost");
        assert!(well(0, &[(10, Grace, 1), (12, Live, 1), (13, Ended, 1)]), "the origin ends it");
        assert!(well(8, &[(10, Grace, 1), (11, Grace, 1), (14, Ended, 1)]), "it may have been proposed long before");
    }
}
