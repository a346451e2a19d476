//! Posts of the last minute, so that one that comes again is not said again.

use std::collections::{BTreeMap, VecDeque};

use freshet_proto::chat::{Accepted, Origin};
use serde::{Deserialize, Serialize};

/// What became of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was said or done.
    Done(Accepted),
    /// It waits for a moderator.
    Held,
    /// A moderator denied it, or none came.
    Denied,
}

/// Outcomes by who posted and what they called it. Refused posts are not kept: they may be tried again.
#[derive(Debug, Clone, Default)]
pub struct Recent {
    outcomes: BTreeMap<Origin, (Outcome, u64)>,
    order: VecDeque<(u64, Origin)>,
}

impl Recent {
    /// How long a post is known, in ms.
    pub const KEEP_MS: u64 = 60_000;

    /// How many are known: a minute at the channel's limit, and a third more for moderators. When all of them are younger,
    /// nothing is accepted until one is old: a post is never forgotten too early.
    pub const MAX: usize = 16_384;

    /// Whether one more would be remembered.
    pub fn has_room(&mut self, now_ms: u64) -> bool {
        self.forget(now_ms);
        self.order.len() < Self::MAX
    }

    /// What became of a post, if it is known.
    pub fn get(&mut self, origin: &Origin, now_ms: u64) -> Option<&Outcome> {
        self.forget(now_ms);
        self.outcomes.get(origin).map(|(outcome, _)| outcome)
    }

    /// Remembers a post, or what has become of it since.
    pub fn insert(&mut self, origin: Origin, outcome: Outcome, now_ms: u64) {
        let before = self.outcomes.insert(origin.clone(), (outcome, now_ms));
        if before.is_none_or(|(_, at)| at != now_ms) {
            self.order.push_back((now_ms, origin));
        }
        while self.order.len() > 2 * Self::MAX {
            self.drop_oldest();
        }
    }

    /// Everything that is known, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&Origin, &Outcome)> {
        let live = |(at, origin): &&(u64, Origin)| self.outcomes.get(origin).is_some_and(|(_, latest)| latest == at);
        self.order.iter().filter(live).filter_map(|(_, origin)| Some((origin, &self.outcomes.get(origin)?.0)))
    }

    /// Forgets those that are old.
    pub fn forget(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(at, _)| at.saturating_add(Self::KEEP_MS) <= now_ms) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((at, origin)) = self.order.pop_front() else { return };
        if self.outcomes.get(&origin).is_some_and(|(_, latest)| *latest == at) {
            self.outcomes.remove(&origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(n: usize) -> Origin {
        Origin { login: "ada".parse().unwrap(), nonce: n.to_string().try_into().unwrap() }
    }

    #[test]
    fn a_post_is_known_for_a_minute() {
        let mut recent = Recent::default();
        recent.insert(origin(1), Outcome::Held, 1_000);
        assert_eq!(recent.get(&origin(1), 60_999), Some(&Outcome::Held));
        recent.insert(origin(1), Outcome::Denied, 50_000);
        assert_eq!(recent.get(&origin(1), 61_000), Some(&Outcome::Denied));
        assert_eq!(recent.get(&origin(1), 110_000), None);
        assert_eq!(recent.iter().count(), 0);
    }

    #[test]
    fn when_all_are_young_there_is_no_room() {
        let mut recent = Recent::default();
        for n in 0..Recent::MAX {
            assert!(recent.has_room(n as u64));
            recent.insert(origin(n), Outcome::Held, n as u64);
        }
        assert!(!recent.has_room(Recent::KEEP_MS - 1));
        assert!(recent.has_room(Recent::KEEP_MS));
    }
}
