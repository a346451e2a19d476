//! How many API requests may be under way: in all, and from one client address.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::problem::Problem;
use crate::budget::prefix;

/// The counts. The map holds only addresses with a request under way, so it is bounded by the limit in all.
pub(crate) struct Places {
    limit: usize,
    per_address: usize,
    taken: Mutex<(usize, BTreeMap<IpAddr, usize>)>,
}

/// A place, given back when it is dropped.
pub(crate) struct Place(Arc<Places>, IpAddr);

impl Places {
    pub(crate) fn new(limit: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { limit, per_address, taken: Mutex::default() })
    }

    /// A place for a request from `ip` (IPv6: its /64).
    ///
    /// # Errors
    /// 503 where all are taken, 429 where this address has as many as it may.
    pub(crate) fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Place, Problem> {
        let key = prefix(ip);
        let mut guard = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, addresses) = &mut *guard;
        if *all >= self.limit {
            return Err(Problem::FULL);
        }
        let mine = addresses.entry(key).or_default();
        if *mine >= self.per_address {
            return Err(Problem::TOO_MANY);
        }
        (*all, *mine) = (*all + 1, *mine + 1);
        Ok(Place(self.clone(), key))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut guard = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, addresses) = &mut *guard;
        *all -= 1;
        if let Some(mine) = addresses.get_mut(&self.1) {
            *mine -= 1;
            if *mine == 0 {
                addresses.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_are_limited_per_address_and_in_all_and_give_their_place_back() {
        let places = Places::new(3, 2);
        let take = |ip: &str| places.take(ip.parse().expect("an address")).map_err(|full| full.status.as_u16());
        let (first, second) = (take("10.0.0.1"), take("10.0.0.1"));
        assert_eq!(take("10.0.0.1").err(), Some(429));
        let third = take("2001:db8::1");
        assert_eq!(take("10.0.0.3").err(), Some(503));
        drop((first, third));
        assert!(take("2001:db8::2").is_ok());
        drop(second);
        assert_eq!(*places.taken.lock().expect("unpoisoned"), (0, BTreeMap::new()));
    }
}
