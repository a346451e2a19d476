//! How many connections and held requests there may be: in all, per connection and per client address; and how often an
//! address may ask for what does not exist.
//!
//! ```text
//! accept ──admit(address)──▶ Guest ──hold()──▶ Hold          both give back what they took when they are dropped
//! ```
//! The map of addresses holds only those with an open connection, so it is bounded by the budget of connections.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::time::{Duration, Instant};

use crate::stats::{Cut, Stats};

/// The limits, from the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub held: usize,
    pub held_per_connection: usize,
    pub held_per_address: usize,
    /// A second; see [`MISS_BURST`].
    pub misses_per_address: u32,
    /// A second; see [`MISS_BURST`].
    pub reports_per_address: u32,
}

/// How many seconds' worth of misses, and of players' reports, an address may have at once.
const MISS_BURST: Duration = Duration::from_secs(10);

pub(crate) struct Budget {
    limits: Limits,
    stats: Arc<Stats>,
    connections: AtomicUsize,
    held: AtomicUsize,
    addresses: Mutex<BTreeMap<IpAddr, Arc<Address>>>,
}

#[derive(Default)]
struct Address {
    connections: AtomicUsize,
    held: AtomicUsize,
    /// When all misses so far are paid for, at the rate that is allowed.
    paid: Mutex<Option<Instant>>,
    /// The same of players' reports.
    reports_paid: Mutex<Option<Instant>>,
}

impl Budget {
    pub(crate) fn new(limits: Limits, stats: Arc<Stats>) -> Arc<Self> {
        let (connections, held) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { limits, stats, connections, held, addresses: Mutex::default() })
    }

    /// Lets a connection in, or says which budget is spent.
    pub(crate) fn admit(self: &Arc<Self>, peer: SocketAddr) -> Result<Arc<Guest>, Cut> {
        take(&self.connections, self.limits.connections).ok_or(Cut::Full)?;
        let key = prefix(peer.ip());
        let address = {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            let address = addresses.entry(key).or_default();
            if take(&address.connections, self.limits.connections_per_address).is_none() {
                self.connections.fetch_sub(1, Relaxed);
                return Err(Cut::Address);
            }
            Arc::clone(address)
        };
        Ok(Arc::new(Guest { budget: Arc::clone(self), ip: peer.ip(), key, address, held: AtomicUsize::new(0) }))
    }

    fn leave(&self, key: IpAddr, address: &Address) {
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if address.connections.fetch_sub(1, Relaxed) == 1 {
            addresses.remove(&key);
        }
        self.connections.fetch_sub(1, Relaxed);
    }
}

/// A connection that was let in.
pub(crate) struct Guest {
    budget: Arc<Budget>,
    ip: IpAddr,
    key: IpAddr,
    address: Arc<Address>,
    held: AtomicUsize,
}

impl Guest {
    /// Where it comes from; of an IPv6 address, its /64.
    pub(crate) fn address(&self) -> IpAddr {
        self.key
    }

    /// Where the connection comes from.
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// A place for one held request; `None` when a budget is spent.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<Hold> {
        let limits = &self.budget.limits;
        let taken = take_all([
            (&self.held, limits.held_per_connection),
            (&self.address.held, limits.held_per_address),
            (&self.budget.held, limits.held),
        ]);
        if !taken {
            self.budget.stats.shed.add(1);
            return None;
        }
        self.budget.stats.held.up();
        self.budget.stats.held_total.add(1);
        Some(Hold(Arc::clone(self)))
    }
}

impl Guest {
    /// Whose connection it is: an IPv4 address, or an IPv6 /64.
    pub(crate) fn household(&self) -> IpAddr {
        self.key
    }

    /// Whether this address may ask once more for what does not exist, or trade a playback token. An answer costs little,
    /// but a flood of them is no viewer's.
    pub(crate) fn may_miss(&self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / self.budget.limits.misses_per_address.max(1);
        let mut paid = self.address.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let at = paid.map_or(now, |paid| paid.max(now));
        let may = at.duration_since(now) < MISS_BURST;
        if may {
            *paid = Some(at + each);
        } else {
            self.budget.stats.throttled.add(1);
        }
        may
    }
}

impl Guest {
    /// Whether players at this address may report once more: that costs little, but a flood of it is no player's.
    pub(crate) fn may_report(&self, now: Instant) -> bool {
        let paid = self.address.reports_paid.lock().unwrap_or_else(PoisonError::into_inner);
        let may = paid.is_none_or(|paid| paid.saturating_duration_since(now) < MISS_BURST);
        drop(paid);
        if may {
            self.reported(now, 1);
        }
        may
    }

    /// They have reported so many times more at once.
    pub(crate) fn reported(&self, now: Instant, times: usize) {
        let each = Duration::from_secs(1) / self.budget.limits.reports_per_address.max(1);
        let mut paid = self.address.reports_paid.lock().unwrap_or_else(PoisonError::into_inner);
        let at = paid.map_or(now, |paid| paid.max(now));
        *paid = Some(at + each * u32::try_from(times).unwrap_or(u32::MAX));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.budget.leave(self.key, &self.address);
    }
}

/// A place for one held request, given back when it is dropped.
pub(crate) struct Hold(Arc<Guest>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Relaxed);
        self.0.address.held.fetch_sub(1, Relaxed);
        self.0.budget.held.fetch_sub(1, Relaxed);
        self.0.budget.stats.held.down();
    }
}

fn take(used: &AtomicUsize, limit: usize) -> Option<usize> {
    used.fetch_update(Relaxed, Relaxed, |used| (used < limit).then_some(used + 1)).ok()
}

fn take_all<const N: usize>(places: [(&AtomicUsize, usize); N]) -> bool {
    for (at, (used, limit)) in places.iter().enumerate() {
        if take(used, *limit).is_none() {
            for (used, _) in &places[..at] {
                used.fetch_sub(1, Relaxed);
            }
            return false;
        }
    }
    true
}

/// One household: an IPv4 address, or an IPv6 /64.
pub(crate) fn prefix(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        connections: 3,
        connections_per_address: 2,
        held: 3,
        held_per_connection: 2,
        held_per_address: 2,
        misses_per_address: 2,
        reports_per_address: 2,
    };

    fn at(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().expect("an address"), 1)
    }

    fn admitted(budget: &Arc<Budget>, address: &str) -> Arc<Guest> {
        budget.admit(at(address)).unwrap_or_else(|cut| panic!("no place: {cut:?}"))
    }

    #[test]
    fn connections_are_limited_per_address_and_in_all() {
        let budget = Budget::new(LIMITS, Arc::new(Stats::new()));
        let first = admitted(&budget, "10.0.0.1");
        let _second = admitted(&budget, "::ffff:10.0.0.1");
        assert_eq!(budget.admit(at("10.0.0.1")).err(), Some(Cut::Address));
        let _third = admitted(&budget, "10.0.0.2");
        assert_eq!(budget.admit(at("10.0.0.3")).err(), Some(Cut::Full));
        drop(first);
        assert!(budget.admit(at("10.0.0.1")).is_ok());
    }

    #[test]
    fn neighbours_in_a_64_share_a_budget_and_nothing_is_left_of_who_left() {
        let budget = Budget::new(LIMITS, Arc::new(Stats::new()));
        let guests = [budget.admit(at("2001:db8::1")), budget.admit(at("2001:db8::2"))];
        assert_eq!(budget.admit(at("2001:db8::3")).err(), Some(Cut::Address));
        drop(guests);
        assert!(budget.addresses.lock().expect("unpoisoned").is_empty());
    }

    #[tokio::test]
    async fn at_33_an_address_may_miss_as_often_a_second_as_it_says_and_ten_seconds_worth_at_once() {
        let stats = Arc::new(Stats::new());
        let budget = Budget::new(LIMITS, Arc::clone(&stats));
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|ip| admitted(&budget, ip));
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!((0..30).filter(|_| a.may_miss(began)).count(), 20);
        assert_eq!((0..30).filter(|_| a.may_miss(began + second)).count(), 2);
        assert_eq!((0..30).filter(|_| b.may_miss(began)).count(), 20, "another address has its own");
        assert_eq!((0..30).filter(|_| a.may_miss(began + 60 * second)).count(), 20);
        assert_eq!(stats.throttled.get(), 10 + 28 + 10 + 10);
    }

    #[tokio::test]
    async fn an_address_may_report_so_often_a_second_and_ten_seconds_worth_at_once() {
        let budget = Budget::new(LIMITS, Arc::new(Stats::new()));
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|ip| admitted(&budget, ip));
        let (began, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!((0..30).filter(|_| a.may_report(began)).count(), 20);
        assert_eq!((0..30).filter(|_| a.may_report(began + second)).count(), 2);
        assert!(b.may_report(began), "another address has its own");
        b.reported(began, 20);
        assert!(!b.may_report(began), "a body of many counts for all of them");
    }

    #[test]
    fn held_requests_are_limited_per_connection_per_address_and_in_all() {
        let stats = Arc::new(Stats::new());
        let budget = Budget::new(LIMITS, Arc::clone(&stats));
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.1"].map(|ip| admitted(&budget, ip));
        let holds = [a.hold().expect("a place"), a.hold().expect("a place")];
        assert!(a.hold().is_none(), "per connection");
        assert!(c.hold().is_none(), "per address");
        let other = b.hold().expect("a place");
        assert!(b.hold().is_none(), "in all");
        assert_eq!((stats.held.get(), stats.shed.get()), (3, 3));
        drop((holds, other));
        assert_eq!((stats.held.get(), budget.held.load(Relaxed)), (0, 0));
        assert!(c.hold().is_some());
    }
}
