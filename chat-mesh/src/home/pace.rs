//! How fast people and channels may speak. Time is the home's monotonic clock, in ms.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use freshet_proto::chat::{Login, Modes};

use crate::moderation::fold;

/// When each person last spoke.
#[derive(Debug, Clone, Default)]
pub struct LastSpoke {
    at: BTreeMap<Login, u64>,
    order: VecDeque<(u64, Login)>,
}

impl LastSpoke {
    /// How many people are remembered. When that many have spoken within the time between two messages, others wait:
    /// slow mode is exact for everybody.
    pub const MAX: usize = 65_536;

    /// For how many ms somebody must still wait where `gap_ms` must lie between two messages; 0 for not at all.
    pub fn wait_ms(&mut self, login: &Login, gap_ms: u64, now_ms: u64) -> u64 {
        let left = |at: u64| (at + gap_ms).saturating_sub(now_ms);
        match (self.at.get(login), self.order.front()) {
            (Some(at), _) => left(*at),
            (None, Some((oldest, _))) if self.at.len() >= Self::MAX => left(*oldest),
            _ => 0,
        }
    }

    /// Somebody speaks.
    pub fn speak(&mut self, login: &Login, now_ms: u64) {
        self.at.insert(login.clone(), now_ms);
        self.order.push_back((now_ms, login.clone()));
        if self.order.len() > 2 * self.at.len() + 64 {
            self.order.retain(|(at, login)| self.at.get(login) == Some(at));
        }
        while let Some((at, oldest)) = self.order.front() {
            let is_current = self.at.get(oldest) == Some(at);
            if is_current && self.at.len() <= Self::MAX {
                return;
            }
            if is_current {
                self.at.remove(oldest);
            }
            self.order.pop_front();
        }
    }

    /// Forgets who spoke before the longest time that may lie between two messages.
    pub fn forget(&mut self, now_ms: u64) {
        let since_ms = now_ms.saturating_sub(u64::from(Modes::MAX_SLOW_S) * 1_000);
        self.at.retain(|_, at| *at >= since_ms);
        self.order.retain(|(at, login)| self.at.get(login) == Some(at));
    }

    /// Who spoke and how many ms ago, oldest first.
    pub fn ages(&self, now_ms: u64) -> Vec<(Login, u64)> {
        let current = self.order.iter().filter(|(at, login)| self.at.get(login) == Some(at));
        current.map(|(at, login)| (login.clone(), now_ms.saturating_sub(*at))).collect()
    }
}

/// What was said in the last ten minutes, as hashes of the folded texts: two texts that share one are taken for the same.
#[derive(Debug, Clone, Default)]
pub struct Said {
    hashes: BTreeSet<u64>,
    order: VecDeque<(u64, u64)>,
}

impl Said {
    /// How long a text is remembered, in ms.
    pub const KEEP_MS: u64 = 600_000;

    /// How many are remembered; with more, the oldest may be said again.
    pub const MAX: usize = 16_384;

    /// Whether it has been said.
    pub fn has(&mut self, text: &str, now_ms: u64) -> bool {
        self.forget(now_ms);
        self.hashes.contains(&hash(text))
    }

    /// Forgets what was said longer ago.
    pub fn forget(&mut self, now_ms: u64) {
        while self.order.front().is_some_and(|(at, _)| at + Self::KEEP_MS <= now_ms) {
            self.drop_oldest();
        }
    }

    /// It is said.
    pub fn say(&mut self, text: &str, now_ms: u64) {
        let hash = hash(text);
        if self.hashes.insert(hash) {
            self.order.push_back((now_ms, hash));
        }
        if self.order.len() > Self::MAX {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, hash)) = self.order.pop_front() {
            self.hashes.remove(&hash);
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    fold(text).trim().hash(&mut hasher);
    hasher.finish()
}

/// A token bucket: so many in a period, all at once if one likes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    size: u64,
    period_ms: u64,
    /// Tokens times `period_ms`, so that nothing is lost to rounding.
    level: u64,
    at_ms: u64,
}

impl Bucket {
    /// A full one with `size` tokens, which fills up within `period_ms`.
    pub fn new(size: u32, period_ms: u32) -> Self {
        let (size, period_ms) = (u64::from(size), u64::from(period_ms.max(1)));
        Self { size, period_ms, level: size * period_ms, at_ms: 0 }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// There is none: for how many ms one must wait.
    pub fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        let passed = now_ms.saturating_sub(self.at_ms).min(self.period_ms);
        self.at_ms = self.at_ms.max(now_ms);
        self.level = (self.level + passed * self.size).min(self.size * self.period_ms);
        match self.level.checked_sub(self.period_ms) {
            Some(level) => {
                self.level = level;
                Ok(())
            }
            None => Err((self.period_ms - self.level).div_ceil(self.size.max(1))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_so_many_in_a_period_and_says_when_the_next_comes() {
        let mut bucket = Bucket::new(20, 30_000);
        assert_eq!((0..25).filter(|_| bucket.take(5).is_ok()).count(), 20);
        assert_eq!(bucket.take(5), Err(1_500));
        assert_eq!((bucket.take(1_504), bucket.take(1_505)), (Err(1), Ok(())));
        assert_eq!((0..25).filter(|_| bucket.take(100_000).is_ok()).count(), 20);
        assert_eq!(bucket.take(0), Err(1_500), "time that goes back fills nothing");
    }

    #[test]
    fn people_wait_from_when_they_last_spoke() {
        let mut spoke = LastSpoke::default();
        let [ada, bob]: [Login; 2] = ["ada", "bob"].map(|name| name.parse().unwrap());
        spoke.speak(&ada, 1_000);
        assert_eq!((spoke.wait_ms(&ada, 5_000, 5_999), spoke.wait_ms(&ada, 5_000, 6_000)), (1, 0));
        assert_eq!(spoke.wait_ms(&bob, 5_000, 1_000), 0);
        spoke.speak(&ada, 6_000);
        assert_eq!(spoke.ages(6_500), [(ada, 500)]);
    }

    #[test]
    fn who_speaks_often_is_remembered_once() {
        let mut spoke = LastSpoke::default();
        let [ada, bob]: [Login; 2] = ["ada", "bob"].map(|name| name.parse().unwrap());
        spoke.speak(&ada, 0);
        (1..10_000).for_each(|ms| spoke.speak(&bob, ms));
        assert!(spoke.order.len() <= 70, "{}", spoke.order.len());
        assert_eq!(spoke.ages(10_000), [(ada, 10_000), (bob, 1)]);
    }

    #[test]
    fn with_too_many_people_the_rest_wait_for_the_oldest() {
        let mut spoke = LastSpoke::default();
        let name = |n: usize| -> Login { format!("u{n}").parse().unwrap() };
        for n in 0..LastSpoke::MAX {
            spoke.speak(&name(n), n as u64);
        }
        assert_eq!(spoke.wait_ms(&name(LastSpoke::MAX), 100_000, 70_000), 30_000);
        assert_eq!(spoke.wait_ms(&name(LastSpoke::MAX), 1_000, 70_000), 0);
        spoke.speak(&name(LastSpoke::MAX), 70_000);
        assert_eq!(spoke.ages(70_000).len(), LastSpoke::MAX);
    }

    #[test]
    fn what_was_said_may_be_said_again_after_ten_minutes() {
        let mut said = Said::default();
        said.say("Hello  World", 0);
        assert!(said.has("ｈello world ", 599_999) && !said.has("hello worlds", 0));
        assert!(!said.has("hello world", 600_000));
    }
}
