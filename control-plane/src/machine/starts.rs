//! When sessions went live, and whether and until when a publisher is waited for: what is told beside a channel's state.
//! Since version 2.

use freshet_proto::{id::ChannelName, level::Level, view::ChannelState};

use super::{At, Registry};

/// How a channel's session stands in time, in ms since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// When the session that goes on went live; `None` where none does, it is not live yet, or nobody wrote it down.
    pub started_ms: Option<u64>,
    /// Until when its publisher, who has gone, may come back; `None` where nobody is waited for. A leader that begins may
    /// put it off.
    pub reconnect_until_ms: Option<u64>,
    /// Whether it was started by hand, and no session goes on: the next publish begins one.
    pub awaits_encoder: bool,
}

impl Registry {
    /// How a channel's session stands in time.
    pub fn timing(&self, name: &ChannelName) -> Timing {
        let Some(channel) = self.channels.get(name).filter(|channel| channel.continues()) else {
            return Timing { awaits_encoder: self.was_started(name), ..Timing::default() };
        };
        let started = self.later.started.get(name).filter(|(session, _)| channel.session() == Some(*session));
        let waits = channel.state() == ChannelState::Grace;
        Timing {
            started_ms: started.map(|(_, at_ms)| *at_ms),
            reconnect_until_ms: channel.deadline_ms().filter(|_| waits),
            awaits_encoder: false,
        }
    }

    /// A channel has changed: where its session has gone live just now, that is written down.
    pub(super) fn note_start(&mut self, at: At, name: &ChannelName) {
        if self.level() < Level::TELLS_STARTS {
            return;
        }
        let started = &mut self.later.started;
        match self.channels.get(name).map(|channel| (channel.state(), channel.session())) {
            Some((ChannelState::Live, Some(session))) => {
                if started.get(name).is_none_or(|(known, _)| *known != session) {
                    started.insert(name.clone(), (session, at.now_ms));
                }
            }
            Some((ChannelState::Starting | ChannelState::Grace, _)) => {}
            _ => drop(started.remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        id::{Epoch, NodeId},
        registry::Departure,
    };

    use super::*;
    use crate::{
        channel::{Policy, Times},
        key::Pepper,
        machine::{Input, testing::take},
    };

    const TIMES: Times = Times { end_grace_ms: 5, reconnect_grace_ms: 30, ended_ms: 300 };

    fn ada() -> ChannelName {
        "ada".parse().unwrap()
    }

    fn registry(level: Level) -> Registry {
        let mut registry = Registry::new(1, TIMES);
        let put = Input::PutChannel { channel: ada(), key: Pepper([7; 32]).hash("sk"), policy: Policy::Newest };
        for input in [put, Input::Rise { level }] {
            take(&mut registry, 0, input).unwrap();
        }
        registry
    }

    fn claim(registry: &mut Registry, now_ms: u64) -> Epoch {
        let claim = Input::Claim { key: Pepper([7; 32]).hash("sk"), origin: NodeId(7), nonce: 0 };
        take(registry, now_ms, claim).unwrap().unwrap().epoch
    }

    fn live(registry: &mut Registry, now_ms: u64, epoch: Epoch) {
        take(registry, now_ms, Input::Live { channel: ada(), epoch }).unwrap();
    }

    fn lose(registry: &mut Registry, now_ms: u64, epoch: Epoch) {
        take(registry, now_ms, Input::Release { channel: ada(), epoch, how: Departure::Lost }).unwrap();
    }

    fn told(registry: &Registry) -> (Option<u64>, Option<u64>) {
        let Timing { started_ms, reconnect_until_ms, .. } = registry.timing(&ada());
        (started_ms, reconnect_until_ms)
    }

    #[test]
    fn a_session_started_when_it_first_went_live_whoever_comes_back_to_it() {
        let mut registry = registry(Level::NEWEST);
        let first = claim(&mut registry, 10);
        assert_eq!(told(&registry), (None, None), "nothing is seen of it yet");
        live(&mut registry, 12, first);
        lose(&mut registry, 50, first);
        assert_eq!(told(&registry), (Some(12), Some(80)));
        let second = claim(&mut registry, 60);
        live(&mut registry, 61, second);
        assert_eq!(told(&registry), (Some(12), None));
        lose(&mut registry, 100, second);
        take(&mut registry, 130, Input::Timeout).unwrap();
        assert_eq!((told(&registry), registry.later.started.len()), ((None, None), 0), "it is over");
    }

    #[test]
    fn a_session_that_follows_a_grace_that_has_run_out_starts_anew() {
        let mut registry = registry(Level::NEWEST);
        let first = claim(&mut registry, 10);
        live(&mut registry, 12, first);
        lose(&mut registry, 50, first);
        let second = claim(&mut registry, 80);
        assert_eq!(told(&registry), (None, None));
        live(&mut registry, 81, second);
        assert_eq!(told(&registry), (Some(81), None));
    }

    #[test]
    fn nothing_is_written_down_before_version_2_is_agreed_on() {
        let mut registry = registry(Level::FIRST);
        let first = claim(&mut registry, 10);
        live(&mut registry, 12, first);
        lose(&mut registry, 50, first);
        assert_eq!(told(&registry), (None, Some(80)));
    }
}
