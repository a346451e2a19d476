//! How many sessions of playback there are, as the viewers themselves know: each that has asked for a playlist or for media
//! within the last half minute, whether it is still there or not. A machine.

use std::collections::VecDeque;

/// After how many microseconds without a request a session is over: what `freshet_edge::watching` counts by.
pub const QUIET_US: u64 = 30_000_000;

/// The sessions of one process.
#[derive(Debug, Default)]
pub struct Truth {
    /// When each viewer asked last, microseconds since 1970; 0 before its first request for media.
    last_us: Vec<u64>,
    /// The same of those who have left, within the last half minute.
    gone_us: VecDeque<u64>,
}

impl Truth {
    /// Viewer number `viewer` asks for a playlist or for media.
    pub fn asks(&mut self, viewer: usize, now_us: u64) {
        if self.last_us.len() <= viewer {
            self.last_us.resize(viewer + 1, 0);
        }
        self.last_us[viewer] = now_us;
    }

    /// Viewer number `viewer` has left; whoever takes its place is another session.
    pub fn leaves(&mut self, viewer: usize) {
        let last_us = self.last_us.get_mut(viewer).map(std::mem::take);
        self.gone_us.extend(last_us.filter(|last_us| *last_us > 0));
    }

    /// How many sessions there are.
    pub fn watching(&mut self, now_us: u64) -> u64 {
        let is_on = |last_us: &u64| now_us < last_us + QUIET_US;
        self.gone_us.retain(is_on);
        (self.last_us.iter().filter(|last_us| is_on(last_us)).count() + self.gone_us.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    #[test]
    fn a_session_counts_from_its_first_request_for_media_until_half_a_minute_after_its_last() {
        let mut truth = Truth::default();
        assert_eq!(truth.watching(100 * S), 0);
        truth.asks(3, 100 * S);
        truth.asks(3, 110 * S);
        truth.asks(0, 112 * S);
        assert_eq!((truth.watching(112 * S), truth.watching(140 * S - 1)), (2, 2));
        assert_eq!((truth.watching(140 * S), truth.watching(142 * S)), (1, 0));
    }

    #[test]
    fn one_that_has_left_counts_as_long_and_its_successor_beside_it() {
        let mut truth = Truth::default();
        truth.asks(0, 100 * S);
        truth.leaves(0);
        truth.leaves(0);
        assert_eq!(truth.watching(110 * S), 1);
        truth.asks(0, 110 * S);
        assert_eq!((truth.watching(120 * S), truth.watching(130 * S)), (2, 1));
        truth.leaves(7);
        assert_eq!(truth.watching(130 * S), 1, "who never came has not left");
    }
}
