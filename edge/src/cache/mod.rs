//! What the edge has of what origins made.
//!
//! ```text
//! look(key) ─▶ Hit(entry)
//!           ├▶ Fill ◀─ one task per object under way, owned by the cache ──fetch──▶ upstream: its origin, or else
//!           └▶ Failed: what went wrong a moment ago                                 edges that have it
//! ```
//! However many ask for an object, it is transferred once; a caller that leaves hurts nobody, for no caller owns the
//! transfer. What ends short is an error for all who wait and is never kept.

mod elsewhere;
mod entry;
mod fill;
mod negative;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use freshet_proto::random::Random;
use moka::{policy::EvictionPolicy, sync::Cache as Store};
use tokio::{sync::Semaphore, time::Instant};

pub(crate) use self::{
    elsewhere::Elsewhere,
    entry::{Entry, Key, gzip},
    fill::{Failure, Fill, Plan},
};
use self::{fill::Finisher, negative::Negatives};
use crate::{
    config::{CacheConfig, ms},
    stats::Stats,
    upstream::{Peer, Upstream},
};

pub(crate) struct Cache {
    config: CacheConfig,
    store: Store<Key, Arc<Entry>>,
    desk: Mutex<Desk>,
    gates: Mutex<BTreeMap<Peer, Arc<Semaphore>>>,
    upstream: Arc<dyn Upstream>,
    pub(crate) elsewhere: Elsewhere,
    random: Random,
    stats: Arc<Stats>,
}

/// What is under way and what has just failed.
#[derive(Default)]
struct Desk {
    fills: BTreeMap<Key, Arc<Fill>>,
    negatives: Negatives,
}

/// What the cache knows of a key.
pub(crate) enum Lookup {
    Hit(Arc<Entry>),
    /// Its transfer is under way; `started` by this look, or before.
    Fill {
        fill: Arc<Fill>,
        started: bool,
    },
    Failed(Failure),
}

impl Cache {
    pub(crate) fn new(
        config: CacheConfig,
        upstream: Arc<dyn Upstream>,
        elsewhere: Elsewhere,
        random: Random,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        // LRU, for moka's own policy refuses newcomers when it is full, and every live part is a newcomer.
        let store = Store::builder()
            .max_capacity(config.bytes)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(|_: &Key, entry: &Arc<Entry>| u32::try_from(entry.weight()).unwrap_or(u32::MAX))
            .build();
        let (desk, gates) = (Mutex::default(), Mutex::default());
        Arc::new(Self { config, store, desk, gates, upstream, elsewhere, random, stats })
    }

    /// What is here and fresh.
    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.store.get(key).filter(|entry| entry.is_fresh(Instant::now()))
    }

    /// What is here, fresh or not.
    pub(crate) fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        self.store.get(key)
    }

    /// Whether it is here, without marking it as used.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.store.contains_key(key)
    }

    /// Drops what `gone` says. Looks at everything that is kept.
    pub(crate) fn drop_where(&self, gone: impl Fn(&Key) -> bool) {
        for (key, _) in &self.store {
            if gone(&key) {
                self.store.invalidate(&*key);
            }
        }
    }

    /// Keeps an object that came unasked.
    pub(crate) fn put(&self, key: Key, entry: Arc<Entry>) {
        self.store.insert(key, entry);
    }

    /// What is here, or under way, or put under way as `plan` says.
    pub(crate) fn look(self: &Arc<Self>, key: &Key, plan: Plan) -> Lookup {
        if let Some(entry) = self.get(key) {
            return Lookup::Hit(entry);
        }
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(fill) = desk.fills.get(key) {
            return Lookup::Fill { fill: Arc::clone(fill), started: false };
        }
        // A fill stores its object before it leaves the desk, so one that has just left is seen here.
        if let Some(entry) = self.get(key) {
            return Lookup::Hit(entry);
        }
        if let Some(failure) = desk.negatives.get(key, Instant::now()) {
            return Lookup::Failed(failure);
        }
        if desk.fills.len() >= self.config.fills {
            return Lookup::Failed(Failure::Busy);
        }
        let fill = Arc::new(Fill::new());
        desk.fills.insert(key.clone(), Arc::clone(&fill));
        self.stats.fills.up();
        let finisher = Finisher::new(Arc::clone(self), key.clone(), Arc::clone(&fill));
        tokio::spawn(finisher.run(plan));
        Lookup::Fill { fill, started: true }
    }

    /// Looks and waits until the object is whole.
    pub(crate) async fn whole(self: &Arc<Self>, key: &Key, plan: Plan) -> Result<Arc<Entry>, Failure> {
        match self.look(key, plan) {
            Lookup::Hit(entry) => Ok(entry),
            Lookup::Fill { fill, .. } => fill.whole().await,
            Lookup::Failed(failure) => Err(failure),
        }
    }

    fn finish(&self, key: &Key, fill: &Fill, result: Result<Arc<Entry>, Failure>) {
        if let Ok(entry) = &result {
            self.store.insert(key.clone(), Arc::clone(entry));
        }
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        desk.fills.remove(key);
        if let Err(failure) = &result {
            let jitter = self.random.below(self.config.negative_ms / 2 + 1);
            let until = Instant::now() + ms(self.config.negative_ms / 2 + jitter);
            desk.negatives.put(key.clone(), *failure, until, self.config.negatives);
            self.stats.failed.add(1);
        }
        drop(desk);
        self.stats.fills.down();
        fill.finish(result);
    }

    /// The places for fetches from one node.
    fn gate(&self, peer: &Peer) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // Gates that nobody stands at are forgotten before a new one is made.
        if !gates.contains_key(peer) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let new = || Arc::new(Semaphore::new(self.config.fills_per_origin.max(1)));
        Arc::clone(gates.entry(peer.clone()).or_insert_with(new))
    }
}
