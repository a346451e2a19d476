//! IRC connections that have come and have not been heard yet: how many there may be, in all and of one address.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::{door::household, lobby::NoPlace};

/// How many connections may be between accept and their first line or request, over all listeners.
pub const MAX_ARRIVING: usize = 1024;
/// How many of them may be of one address, or of one IPv6 /64.
pub const MAX_ARRIVING_PER_ADDRESS: usize = 256;
/// How many of those who are too many are told so at a time; others are closed without a word.
pub(super) const MAX_REFUSING: usize = 64;

/// Counts those who arrive.
#[derive(Debug, Default)]
pub(super) struct Arrivals(Mutex<Counts>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place among those who arrive, until it is dropped.
#[derive(Debug)]
pub struct Arriving {
    arrivals: Arc<Arrivals>,
    address: IpAddr,
}

impl Arrivals {
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<Arriving, NoPlace> {
        let address = household(peer);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= MAX_ARRIVING {
            return Err(NoPlace::Full);
        }
        let there = counts.by_address.get(&address).copied().unwrap_or(0);
        if there >= MAX_ARRIVING_PER_ADDRESS {
            return Err(NoPlace::Address);
        }
        counts.by_address.insert(address, there + 1);
        counts.all += 1;
        Ok(Arriving { arrivals: Arc::clone(self), address })
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let mut counts = self.arrivals.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(there) = counts.by_address.get_mut(&self.address) {
            *there -= 1;
            if *there == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_every_place_and_leaves_no_trace() {
        let arrivals = Arc::new(Arrivals::default());
        let come = |address: &str| arrivals.enter(address.parse().unwrap());
        let mut held: Vec<_> =
            (0..MAX_ARRIVING_PER_ADDRESS).map(|n| come(&format!("2001:db8::{n:x}")).unwrap()).collect();
        assert_eq!(come("2001:db8::ffff").unwrap_err(), NoPlace::Address);
        held.extend(
            (0..MAX_ARRIVING - MAX_ARRIVING_PER_ADDRESS)
                .map(|n| come(&format!("10.0.{}.{}", n / 256, n % 256)).unwrap()),
        );
        assert_eq!(come("192.0.2.1").unwrap_err(), NoPlace::Full);
        held.clear();
        assert_eq!(*arrivals.0.lock().unwrap(), Counts::default());
    }
}
