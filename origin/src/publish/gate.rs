//! How many connections there may be, in all and of one address. Whoever comes when it is full is closed unread.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// Counts connections; its map has at most `max` entries.
#[derive(Debug)]
pub(crate) struct Gate {
    max: usize,
    max_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place among the connections, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    address: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Full {
    #[error("too many connections: raise origin.max_connections or add an origin")]
    Connections,
    #[error("too many connections of one address: raise origin.max_connections_per_address if they are legitimate")]
    Address,
}

impl Gate {
    pub(crate) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_address, counts: Mutex::default() })
    }

    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Pass, Full> {
        let address = address.to_canonical();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.max {
            return Err(Full::Connections);
        }
        let of_address = counts.by_address.entry(address).or_default();
        if *of_address >= self.max_per_address {
            return Err(Full::Address);
        }
        *of_address += 1;
        counts.all += 1;
        Ok(Pass { gate: self.clone(), address })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(of_address) = counts.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
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
        let (ada, bob) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let gate = Gate::new(3, 2);
        let places: Vec<_> = [ada, ada].map(|address| gate.enter(address).unwrap()).into();
        assert_eq!(gate.enter(ada).unwrap_err(), Full::Address);
        let third = gate.enter(bob).unwrap();
        assert_eq!(gate.enter(bob).unwrap_err(), Full::Connections);
        drop((places, third));
        assert!(gate.counts.lock().unwrap().by_address.is_empty());
        assert_eq!(gate.counts.lock().unwrap().all, 0);
    }

    #[test]
    fn an_ipv4_address_is_the_same_when_it_comes_over_ipv6() {
        let gate = Gate::new(9, 1);
        let _place = gate.enter("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(gate.enter("::ffff:10.0.0.1".parse().unwrap()).unwrap_err(), Full::Address);
    }
}
