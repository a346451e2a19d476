//! Who may try another password: failures by account and by address, with a back-off that doubles.
//!
//! ```text
//! attempt ──▶ Ok, counted as a failure until `succeeded` takes it back (so that attempts made at once count all)
//!         └─▶ Err(how long to wait); refused attempts count for nothing
//! ```
//! A count is forgotten when nothing was counted for [`Limit::window_ms`]. Memory is bounded: of each kind, at most
//! [`MAX_TRACKED`]; then whoever would be forgotten first is forgotten. A pure machine: time is an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use sha2::{Digest, Sha256};

/// How many accounts are remembered, and how many addresses: about 10 MiB of each.
pub const MAX_TRACKED: usize = 65_536;

/// The first wait beyond a limit, in ms. It doubles with each further failure.
pub const FIRST_WAIT_MS: u64 = 30_000;

/// The longest wait, in ms.
pub const MAX_WAIT_MS: u64 = 900_000;

/// How many failures are free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// After so many, one has to wait.
    pub free: u32,
    /// For so long a failure counts after the latest one, in ms.
    pub window_ms: u64,
}

/// Per account: ten failures in a quarter of an hour.
pub const PER_ACCOUNT: Limit = Limit { free: 10, window_ms: 900_000 };

/// Per IPv4 address or IPv6 /64: fifty failures in a quarter of an hour.
pub const PER_ADDRESS: Limit = Limit { free: 50, window_ms: 900_000 };

/// Wait for so many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub u64);

type Key = [u8; 16];

/// Counts failures.
#[derive(Debug)]
pub struct Throttle {
    accounts: Table,
    addresses: Table,
}

impl Throttle {
    /// One that has seen nothing.
    pub fn new(per_account: Limit, per_address: Limit) -> Self {
        Self { accounts: Table::new(per_account), addresses: Table::new(per_address) }
    }

    /// Counts an attempt on `account` (any text that names it) from `address`.
    ///
    /// # Errors
    /// The longer of the two waits; then nothing was counted.
    pub fn attempt(&mut self, now_ms: u64, account: &str, address: IpAddr) -> Result<(), Wait> {
        let (account, address) = (account_key(account), address_key(address));
        let wait = self.accounts.wait(now_ms, &account).max(self.addresses.wait(now_ms, &address));
        if wait > 0 {
            return Err(Wait(wait));
        }
        self.accounts.count(now_ms, account);
        self.addresses.count(now_ms, address);
        Ok(())
    }

    /// Counts something done from `address` that concerns no account, such as a registration.
    ///
    /// # Errors
    /// How long to wait; then nothing was counted.
    pub fn attempt_from(&mut self, now_ms: u64, address: IpAddr) -> Result<(), Wait> {
        let address = address_key(address);
        match self.addresses.wait(now_ms, &address) {
            0 => self.addresses.count(now_ms, address),
            wait => return Err(Wait(wait)),
        }
        Ok(())
    }

    /// The attempt was none to count: the account starts anew, the address gets this one back.
    pub fn succeeded(&mut self, account: &str, address: IpAddr) {
        self.accounts.clear(&account_key(account));
        self.addresses.take_back(&address_key(address));
    }

    /// The attempt was never decided, by our own fault: both get it back.
    pub fn undecided(&mut self, account: &str, address: IpAddr) {
        self.accounts.take_back(&account_key(account));
        self.addresses.take_back(&address_key(address));
    }
}

fn account_key(account: &str) -> Key {
    let mut key = Key::default();
    key.iter_mut().zip(Sha256::digest(account.as_bytes())).for_each(|(to, from)| *to = from);
    key
}

/// An IPv4 address, or the /64 of an IPv6 address: one customer has that many addresses.
fn address_key(address: IpAddr) -> Key {
    const PREFIX: u128 = !(u64::MAX as u128);
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & PREFIX).octets(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    failures: u32,
    blocked_until_ms: u64,
    forget_ms: u64,
}

#[derive(Debug)]
struct Table {
    limit: Limit,
    entries: BTreeMap<Key, Entry>,
    /// The same, by when they are forgotten.
    due: BTreeSet<(u64, Key)>,
}

impl Table {
    fn new(limit: Limit) -> Self {
        Self { limit, entries: BTreeMap::new(), due: BTreeSet::new() }
    }

    fn wait(&mut self, now_ms: u64, key: &Key) -> u64 {
        self.forget(now_ms);
        self.entries.get(key).map_or(0, |entry| entry.blocked_until_ms.saturating_sub(now_ms))
    }

    fn count(&mut self, now_ms: u64, key: Key) {
        let before = self.remove(&key).map_or(0, |entry| entry.failures);
        let failures = before.saturating_add(1);
        let blocked_until_ms = now_ms.saturating_add(self.wait_after(failures));
        let forget_ms = blocked_until_ms.saturating_add(self.limit.window_ms);
        if self.entries.len() >= MAX_TRACKED {
            self.forget_first();
        }
        self.insert(key, Entry { failures, blocked_until_ms, forget_ms });
    }

    fn wait_after(&self, failures: u32) -> u64 {
        match failures.checked_sub(self.limit.free) {
            None => 0,
            Some(beyond) => FIRST_WAIT_MS.saturating_mul(1 << beyond.min(16)).min(MAX_WAIT_MS),
        }
    }

    /// One failure less. A wait that it began is over.
    fn take_back(&mut self, key: &Key) {
        if let Some(entry) = self.remove(key)
            && entry.failures > 1
        {
            self.insert(*key, Entry { failures: entry.failures - 1, blocked_until_ms: 0, ..entry });
        }
    }

    fn clear(&mut self, key: &Key) {
        self.remove(key);
    }

    fn forget(&mut self, now_ms: u64) {
        while self.due.first().is_some_and(|(at, _)| *at <= now_ms) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, key)) = self.due.pop_first() {
            self.entries.remove(&key);
        }
    }

    fn insert(&mut self, key: Key, entry: Entry) {
        self.due.insert((entry.forget_ms, key));
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.due.remove(&(entry.forget_ms, *key));
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";
    const MINUTE: u64 = 60_000;

    fn throttle() -> Throttle {
        Throttle::new(PER_ACCOUNT, PER_ADDRESS)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Fails as often as it may at one instant, from a new address each time.
    fn fail_until_refused(throttle: &mut Throttle, now_ms: u64) -> (u32, u64) {
        for n in 0.. {
            if let Err(Wait(ms)) = throttle.attempt(now_ms, "ada", ip(&format!("198.51.100.{n}"))) {
                return (n, ms);
            }
        }
        unreachable!()
    }

    #[test]
    fn the_eleventh_failure_on_an_account_waits_and_each_further_one_twice_as_long_up_to_a_quarter_of_an_hour() {
        let mut throttle = throttle();
        assert_eq!(fail_until_refused(&mut throttle, 0), (10, 30_000));
        assert_eq!(throttle.attempt(29_999, "ada", ip(HERE)), Err(Wait(1)));
        let (mut now, mut waits) = (30_000, Vec::new());
        for _ in 0..7 {
            let (tries, wait) = fail_until_refused(&mut throttle, now);
            waits.push((tries, wait / 1000));
            now += wait;
        }
        assert_eq!(waits, [(1, 60), (1, 120), (1, 240), (1, 480), (1, 900), (1, 900), (1, 900)]);
    }

    #[test]
    fn a_quarter_of_an_hour_without_failure_makes_all_forgotten() {
        let mut throttle = throttle();
        fail_until_refused(&mut throttle, 0);
        assert_eq!(fail_until_refused(&mut throttle, FIRST_WAIT_MS + 15 * MINUTE), (10, 30_000));
    }

    #[test]
    fn a_success_clears_the_account_but_gives_the_address_only_its_own_attempt_back() {
        let mut throttle = throttle();
        for n in 0..49 {
            assert_eq!(throttle.attempt(0, &format!("victim{n}"), ip(HERE)), Ok(()));
        }
        // Between guesses at others, the attacker signs in with an account of its own.
        for _ in 0..3 {
            assert_eq!(throttle.attempt(0, "mallory", ip(HERE)), Ok(()));
            throttle.succeeded("mallory", ip(HERE));
        }
        assert_eq!(throttle.attempt(0, "victim49", ip(HERE)), Ok(()));
        assert_eq!(throttle.attempt(0, "victim50", ip(HERE)), Err(Wait(30_000)));
    }

    #[test]
    fn attempts_made_at_once_all_count_before_any_is_decided() {
        let mut throttle = throttle();
        let admitted = (0..100).filter(|_| throttle.attempt(0, "ada", ip(HERE)).is_ok()).count();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn an_ipv6_customer_is_one_address_and_a_mapped_ipv4_address_is_itself() {
        assert_eq!(address_key(ip("2001:db8::1")), address_key(ip("2001:db8::ffff:0:0:1")));
        assert_ne!(address_key(ip("2001:db8::1")), address_key(ip("2001:db8:0:1::1")));
        assert_eq!(address_key(ip("::ffff:192.0.2.1")), address_key(ip("192.0.2.1")));
    }

    #[test]
    fn what_was_never_decided_is_given_back() {
        let mut throttle = throttle();
        for _ in 0..200 {
            assert_eq!(throttle.attempt(0, "ada", ip(HERE)), Ok(()));
            throttle.undecided("ada", ip(HERE));
        }
    }

    #[test]
    fn memory_is_bounded_and_whoever_waits_is_forgotten_last() {
        let mut throttle = throttle();
        fail_until_refused(&mut throttle, 0);
        for n in 0..MAX_TRACKED as u32 + 10 {
            let address = IpAddr::V4(n.into());
            assert_eq!(throttle.attempt(1, &format!("user{n}"), address), Ok(()));
        }
        assert_eq!((throttle.accounts.entries.len(), throttle.accounts.due.len()), (MAX_TRACKED, MAX_TRACKED));
        assert_eq!(throttle.addresses.entries.len(), MAX_TRACKED);
        assert_eq!(throttle.attempt(1, "ada", ip(HERE)), Err(Wait(29_999)));
    }
}
