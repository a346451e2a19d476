//! What a hub did, as sums and as what is now.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use freshet_proto::chat::Answer;

/// A sum.
#[derive(Debug, Default)]
pub struct Sum(AtomicU64);

impl Sum {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// As it is now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Level(AtomicUsize);

impl Level {
    pub(super) fn set(&self, n: usize) {
        self.0.store(n, Relaxed);
    }

    /// As it is now.
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Stats {
    /// Channels that are read here.
    pub channels: Level,
    /// Events that were shown, each once.
    pub events: Sum,
    /// Times that somebody came into a channel.
    pub joins: Sum,
    /// Gaps in what the hub itself got of a channel.
    pub gaps: Sum,
    /// Posts and commands that were taken.
    pub accepted: Sum,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    turned_away: Mutex<BTreeMap<&'static str, u64>>,
    ended: Mutex<BTreeMap<&'static str, u64>>,
}

impl Stats {
    pub(super) fn answered(&self, answer: &Answer) {
        match answer {
            Ok(_) => self.accepted.add(1),
            Err(refusal) => count(&self.refused, refusal.code.as_str()),
        }
    }

    pub(super) fn turned_away(&self, why: &'static str) {
        count(&self.turned_away, why);
    }

    pub(super) fn ended(&self, why: &'static str) {
        count(&self.ended, why);
    }

    /// Posts and commands that were refused, by [`freshet_proto::chat::Code::as_str`].
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        copy(&self.refused)
    }

    /// Connections that were not taken, by why.
    pub fn turned_away_by_why(&self) -> BTreeMap<&'static str, u64> {
        copy(&self.turned_away)
    }

    /// Connections that are over, by why.
    pub fn ended_by_why(&self) -> BTreeMap<&'static str, u64> {
        copy(&self.ended)
    }
}

fn count(of: &Mutex<BTreeMap<&'static str, u64>>, what: &'static str) {
    *of.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
}

fn copy(of: &Mutex<BTreeMap<&'static str, u64>>) -> BTreeMap<&'static str, u64> {
    of.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
