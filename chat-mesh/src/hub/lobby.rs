//! Every connection of the hub: how many there are from where, who is silent, whose token was revoked.
//!
//! One task looks at all of them, a piece at a time, so that none needs a timer of its own.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use slab::Slab;
use tokio::{task::yield_now, time::Instant};

use super::{
    door::household,
    inbox::{Inbox, Letter},
};

/// How many connections are looked at before others get their turn.
const PIECE: usize = 256;

/// See the module.
#[derive(Default)]
pub(super) struct Lobby(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    connections: Slab<Arc<Inbox>>,
    addresses: BTreeMap<IpAddr, usize>,
}

/// A connection's place; dropping it gives it back.
pub(super) struct Place {
    lobby: Arc<Lobby>,
    key: usize,
    address: IpAddr,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// There are as many as may be.
    Full,
    /// There are as many of its address as may be.
    Address,
}

impl Lobby {
    /// Lets a connection in.
    pub(super) fn enter(
        self: &Arc<Self>,
        peer: IpAddr,
        inbox: Arc<Inbox>,
        most: usize,
        most_per_address: usize,
    ) -> Result<Place, NoPlace> {
        let address = household(peer);
        let mut inside = self.inside();
        if inside.connections.len() >= most {
            return Err(NoPlace::Full);
        }
        let there = inside.addresses.get(&address).copied().unwrap_or(0);
        if there >= most_per_address {
            return Err(NoPlace::Address);
        }
        inside.addresses.insert(address, there + 1);
        let key = inside.connections.insert(inbox);
        Ok(Place { lobby: Arc::clone(self), key, address })
    }

    /// How many connections there are.
    pub(super) fn len(&self) -> usize {
        self.inside().connections.len()
    }

    /// Looks at every connection. Those that come meanwhile may be left out.
    pub(super) async fn each(&self, mut look: impl FnMut(&Inbox)) {
        let mut from = 0;
        loop {
            let piece: Vec<Arc<Inbox>> = {
                let inside = self.inside();
                let end = inside.connections.capacity();
                if from >= end {
                    return;
                }
                let to = (from + PIECE).min(end);
                (from..to).filter_map(|key| inside.connections.get(key).cloned()).collect()
            };
            from += PIECE;
            piece.iter().for_each(|inbox| look(inbox));
            yield_now().await;
        }
    }

    /// Leaves everybody a letter.
    pub(super) async fn tell(&self, mut letter: impl FnMut() -> Letter) {
        self.each(|inbox| inbox.put(letter())).await;
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.lobby.inside();
        inside.connections.remove(self.key);
        if let Some(there) = inside.addresses.get_mut(&self.address) {
            *there -= 1;
            if *there == 0 {
                inside.addresses.remove(&self.address);
            }
        }
    }
}

/// Pings who is silent, and ends who is gone or in no channel, until the hub goes.
pub(super) async fn sweep(shared: std::sync::Weak<super::Shared>) {
    loop {
        let Some(period) = shared.upgrade().map(|shared| shared.sweep_period()) else { return };
        tokio::time::sleep(period).await;
        let Some(shared) = shared.upgrade() else { return };
        let (patience, idle) = (shared.config.patience(), shared.idle_limit());
        let now = Instant::now();
        shared.lobby.each(|inbox| inbox.look(now, &patience, idle)).await;
    }
}

/// Ends connections whose tokens are revoked, and has channels looked at that became private or are gone, until the hub
/// goes.
pub(super) async fn watch(shared: std::sync::Weak<super::Shared>) {
    let Some(mut view) = shared.upgrade().map(|shared| shared.door.changes()) else { return };
    let mut seen = (0, (0, 0));
    loop {
        {
            let now = {
                let view = view.borrow_and_update();
                (view.annex.revoked.revision, (view.annex.marks.revision, view.channels.len()))
            };
            let Some(shared) = shared.upgrade() else { return };
            if now.0 != seen.0 {
                let end = |inbox: &Inbox| {
                    let good = inbox.with_holder(|holder| holder.is_none_or(|holder| shared.door.is_good(holder)));
                    if !good {
                        inbox.put(Letter::End(super::End::Revoked));
                    }
                };
                shared.lobby.each(end).await;
            }
            if now.1 != seen.1 {
                shared.recheck().await;
            }
            seen = now;
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}
