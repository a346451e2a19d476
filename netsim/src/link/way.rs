//! One direction of a link: what becomes of each datagram, and when. A machine: its time is what has passed since the link
//! was opened.
//!
//! ```text
//! send ──▶ lost? ──▶ queue full? ──▶ rate ──▶ delay + jitter, or overtakes ──▶ by when it arrives ──due──▶
//! ```

use std::{collections::BTreeMap, fmt, time::Duration};

use freshet_proto::random::Random;

use super::Profile;

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at this time.
    Arrives(Duration),
    /// It was drawn to be lost.
    Lost,
    /// The queue was full.
    Dropped,
}

/// What became of the datagrams of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// They arrived.
    pub passed: u64,
    /// They were drawn to be lost.
    pub lost: u64,
    /// The queue was full.
    pub dropped: u64,
    /// The link was cut.
    pub cut: u64,
    /// They overtook others, or would have; they are among those that passed.
    pub overtook: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, lost, dropped, cut, overtook } = self;
        write!(f, "passed={passed} lost={lost} dropped={dropped} cut={cut} overtook={overtook}")
    }
}

/// One direction of a link, with what is on its way: at most [`Profile::queue`].
#[derive(Debug)]
pub struct Way<T> {
    profile: Profile,
    random: Random,
    /// By when they arrive, then by when they were sent.
    late: BTreeMap<(Duration, u64), T>,
    sent: u64,
    /// How long the line takes for what was sent, as of `owed_at`: what the bucket lacks, as a time.
    owed: Duration,
    owed_at: Duration,
    /// When the last one that kept the order arrives.
    last: Duration,
    counts: Counts,
}

impl<T> Way<T> {
    /// A direction on which nothing is on its way.
    pub fn new(profile: Profile, seed: u64) -> Self {
        Self {
            profile,
            random: Random::seeded(seed),
            late: BTreeMap::new(),
            sent: 0,
            owed: Duration::ZERO,
            owed_at: Duration::ZERO,
            last: Duration::ZERO,
            counts: Counts::default(),
        }
    }

    /// Is so from now on, for what is yet to be sent.
    pub fn set(&mut self, profile: Profile) {
        self.profile = profile;
    }

    /// Takes a datagram of `bytes` bytes that is sent now.
    pub fn send(&mut self, now: Duration, bytes: usize, datagram: T) -> Fate {
        if self.draws(self.profile.loss_permille) {
            self.counts.lost += 1;
            return Fate::Lost;
        }
        if self.late.len() >= self.profile.queue.min(Profile::MAX_QUEUE) {
            self.counts.dropped += 1;
            return Fate::Dropped;
        }
        let at = self.arrival(now, bytes);
        self.sent += 1;
        self.late.insert((at, self.sent), datagram);
        Fate::Arrives(at)
    }

    /// A datagram was sent while nothing passes.
    pub fn refuse(&mut self) {
        self.counts.cut += 1;
    }

    /// The next datagram whose time has come, in the order in which they arrive.
    pub fn due(&mut self, now: Duration) -> Option<T> {
        let first = self.late.first_entry().filter(|first| first.key().0 <= now)?;
        self.counts.passed += 1;
        Some(first.remove())
    }

    /// When [`Way::due`] has something to give.
    pub fn deadline(&self) -> Option<Duration> {
        self.late.keys().next().map(|(at, _)| *at)
    }

    /// What became of everything so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn arrival(&mut self, now: Duration, bytes: usize) -> Duration {
        let leaves = self.leaves(now, bytes as u64);
        if self.draws(self.profile.reorder_permille) {
            self.counts.overtook += 1;
            return leaves;
        }
        let jitter_us = self.random.below(u64::from(self.profile.jitter_ms) * 1000 + 1);
        let delay = Duration::from_millis(self.profile.delay_ms.into()) + Duration::from_micros(jitter_us);
        self.last = self.last.max(leaves + delay);
        self.last
    }

    /// When the line has sent it: at once where the bucket has tokens enough.
    fn leaves(&mut self, now: Duration, bytes: u64) -> Duration {
        let rate_kbit = u64::from(self.profile.rate_kbit);
        if rate_kbit == 0 {
            return now;
        }
        let takes = |bytes: u64| Duration::from_micros(bytes * 8_000 / rate_kbit);
        let paid = now.saturating_sub(self.owed_at);
        (self.owed, self.owed_at) = (self.owed.saturating_sub(paid) + takes(bytes), now);
        now + self.owed.saturating_sub(takes(Profile::BURST))
    }

    fn draws(&self, permille: u16) -> bool {
        permille > 0 && self.random.below(1000) < u64::from(permille)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a datagram of 1,000 bytes at each of these milliseconds; tells which one arrives when, in ms.
    fn play(profile: &str, sent_ms: &[u64]) -> String {
        let mut way = Way::new(profile.parse().unwrap(), 7);
        let mut story = Vec::new();
        for (n, at) in sent_ms.iter().enumerate() {
            let now = Duration::from_millis(*at);
            arrive(&mut way, now, &mut story);
            way.send(now, 1000, n);
        }
        arrive(&mut way, Duration::MAX, &mut story);
        story.join(" ")
    }

    fn arrive(way: &mut Way<usize>, until: Duration, story: &mut Vec<String>) {
        while let Some(at) = way.deadline().filter(|at| *at <= until) {
            let n = way.due(at).unwrap();
            story.push(format!("{n}@{}", at.as_secs_f64() * 1000.0));
        }
    }

    #[test]
    fn without_impairment_everything_arrives_at_once_and_in_order() {
        assert_eq!(play("", &[0, 0, 3]), "0@0 1@0 2@3");
    }

    #[test]
    fn a_delay_is_the_same_for_all() {
        assert_eq!(play("delay_ms=20", &[0, 1, 30]), "0@20 1@21 2@50");
    }

    #[test]
    fn a_rate_lets_a_burst_pass_and_then_so_many_bits_a_second() {
        // 800 kbit/s: 1,000 bytes take 10 ms; 15 of them pass at once.
        let sent = vec![0; 18];
        let story = play("rate_kbit=800", &sent);
        assert!(story.ends_with("14@0 15@10 16@20 17@30"), "{story}");
    }

    #[test]
    fn a_full_queue_drops_what_comes_last() {
        assert_eq!(play("delay_ms=20 queue=2", &[0, 1, 2, 30]), "0@20 1@21 3@50");
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let mut way = Way::new("delay_ms=20 jitter_ms=10".parse().unwrap(), 7);
        let mut late = false;
        for n in 0..200 {
            let now = Duration::from_millis(n);
            let Fate::Arrives(at) = way.send(now, 1000, n) else { panic!("nothing is lost") };
            let after = at - now;
            assert!(after >= Duration::from_millis(20) && after <= Duration::from_millis(30), "{after:?}");
            late |= after > Duration::from_millis(25);
        }
        let arrived: Vec<u64> = std::iter::from_fn(|| way.due(Duration::from_secs(1))).collect();
        assert_eq!((arrived, late), ((0..200).collect(), true));
    }

    #[test]
    fn who_overtakes_skips_the_delay() {
        assert_eq!(play("delay_ms=20 reorder_permille=1000", &[0, 5]), "0@0 1@5");
        let mut way = Way::new("delay_ms=20 reorder_permille=100".parse().unwrap(), 7);
        for n in 0..100 {
            way.send(Duration::from_millis(n), 1000, n);
        }
        let arrived: Vec<u64> = std::iter::from_fn(|| way.due(Duration::from_secs(1))).collect();
        assert!(!arrived.is_sorted() && arrived.len() == 100, "{arrived:?}");
        assert!(way.counts().overtook > 0);
    }

    #[test]
    fn losses_follow_from_the_seed_and_are_as_many_as_asked_for() {
        let fates = |seed| {
            let mut way = Way::new("loss_permille=100".parse().unwrap(), seed);
            (0..10_000).map(|n| way.send(Duration::ZERO, 1000, n) == Fate::Lost).collect::<Vec<bool>>()
        };
        let lost = fates(7).iter().filter(|lost| **lost).count();
        assert!((800..1200).contains(&lost), "{lost} of 10000");
        assert!(fates(7) == fates(7) && fates(7) != fates(8));
        assert_eq!(play("loss_permille=1000", &[0, 1]), "");
    }

    #[test]
    fn what_is_set_holds_for_what_is_yet_to_be_sent() {
        let mut way = Way::new("delay_ms=50".parse().unwrap(), 7);
        way.send(Duration::ZERO, 1000, "slow");
        way.set("".parse().unwrap());
        way.send(Duration::from_millis(60), 1000, "quick");
        assert_eq!(way.due(Duration::from_millis(49)), None);
        assert_eq!(way.due(Duration::from_millis(50)), Some("slow"));
        assert_eq!(way.deadline(), Some(Duration::from_millis(60)));
        way.refuse();
        assert_eq!(way.counts(), Counts { passed: 1, cut: 1, ..Counts::default() });
    }
}
