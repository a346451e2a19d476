//! What becomes of a datagram between nodes: lost, late, or overtaken.
//!
//! ```text
//! Weather (per link) · the link's own source of chance ──fate──▶ lost │ after how long it arrives
//! ```
//! Each direction of each link draws from a source of its own. So what happens on one link never hangs on the order in
//! which two tasks woke that wrote to different links, which nothing seeds.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use freshet_proto::random::Random;

/// How a link is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Of a thousand datagrams, how many are lost.
    pub loss_permille: u16,
    /// How much later than usual each arrives, in milliseconds.
    pub delay_ms: u16,
    /// How much later than that it may be, in milliseconds, drawn for each: what was sent later may come first.
    pub jitter_ms: u16,
}

/// The links of one run. Cheap to clone; clones are one sky.
#[derive(Debug, Clone)]
pub struct Weather(Arc<Mutex<Sky>>);

#[derive(Debug)]
struct Sky {
    seed: u64,
    usual: Link,
    /// By where from and where to. At most one for each pair of hosts.
    ways: BTreeMap<(IpAddr, IpAddr), Way>,
}

#[derive(Debug)]
struct Way {
    link: Option<Link>,
    random: Random,
}

impl Weather {
    /// All links are as `usual` says.
    pub fn new(seed: u64, usual: Link) -> Self {
        Self(Arc::new(Mutex::new(Sky { seed, usual, ways: BTreeMap::new() })))
    }

    /// Changes what is usual.
    pub fn usually(&self, usual: Link) {
        self.sky().usual = usual;
    }

    /// Changes the link between `a` and `b`, both ways; `None` makes it as usual again.
    pub fn set(&self, a: IpAddr, b: IpAddr, link: Option<Link>) {
        let mut sky = self.sky();
        sky.way(a, b).link = link;
        sky.way(b, a).link = link;
    }

    /// Makes every link as usual.
    pub fn clear(&self) {
        self.sky().ways.values_mut().for_each(|way| way.link = None);
    }

    /// After how long a datagram that has come this far arrives; `None` when it is lost.
    pub fn fate(&self, from: IpAddr, to: IpAddr) -> Option<Duration> {
        let mut sky = self.sky();
        let usual = sky.usual;
        let way = sky.way(from, to);
        let link = way.link.unwrap_or(usual);
        let lost = link.loss_permille > 0 && way.random.below(1000) < u64::from(link.loss_permille);
        let jitter = if link.jitter_ms > 0 { way.random.below(u64::from(link.jitter_ms) + 1) } else { 0 };
        (!lost).then(|| Duration::from_millis(u64::from(link.delay_ms) + jitter))
    }

    fn sky(&self) -> std::sync::MutexGuard<'_, Sky> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sky {
    fn way(&mut self, from: IpAddr, to: IpAddr) -> &mut Way {
        let seed = self.seed;
        self.ways.entry((from, to)).or_insert_with(|| {
            let mut mixed = seed;
            format!("{from} {to}").bytes().for_each(|b| mixed = (mixed ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
            Way { link: None, random: Random::seeded(mixed) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(weather: &Weather, from: [u8; 4], to: [u8; 4]) -> Vec<Option<Duration>> {
        (0..20).map(|_| weather.fate(from.into(), to.into())).collect()
    }

    #[test]
    fn what_happens_on_one_link_does_not_hang_on_another() {
        let stormy = Link { loss_permille: 300, delay_ms: 5, jitter_ms: 20 };
        let (one, other) = (Weather::new(7, stormy), Weather::new(7, stormy));
        let alone = fates(&one, [1; 4], [2; 4]);
        let _ = fates(&other, [3; 4], [2; 4]);
        assert_eq!(alone, fates(&other, [1; 4], [2; 4]));
        assert!(alone.contains(&None) && alone.iter().flatten().any(|late| late.as_millis() > 5));
        assert_ne!(alone, fates(&Weather::new(8, stormy), [1; 4], [2; 4]));
    }

    #[test]
    fn a_link_can_be_made_worse_and_better_again() {
        let weather = Weather::new(1, Link::default());
        weather.set([1; 4].into(), [2; 4].into(), Some(Link { loss_permille: 1000, ..Link::default() }));
        assert_eq!(weather.fate([2; 4].into(), [1; 4].into()), None);
        assert_eq!(weather.fate([2; 4].into(), [3; 4].into()), Some(Duration::ZERO));
        weather.clear();
        assert_eq!(weather.fate([2; 4].into(), [1; 4].into()), Some(Duration::ZERO));
    }
}
