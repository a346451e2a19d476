//! What the registry has published of keys and revocations, and when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use freshet_proto::annex::{Annex, KeyState, Keyring, Revocations, Revoked};

use super::Key;
use crate::sometimes::Situation;

/// All of it, newest last. Times are ms of the simulation.
#[derive(Debug, Default)]
pub(super) struct History {
    /// What is in force.
    pub(super) keys: Arc<Keyring>,
    /// What is in force.
    pub(super) revoked: Arc<Revocations>,
    /// When each revision of keys was published.
    keys_at: BTreeMap<u64, u64>,
    /// When each revision of revocations was published.
    revoked_at: BTreeMap<u64, u64>,
    /// Keys that began at once, because there was no other: nobody could know them before.
    pub(super) urgent: BTreeSet<Key>,
    /// When what was revoked was published, last.
    pub(super) barred_at: BTreeMap<Revoked, u64>,
    /// The secrets of path tokens that went all at once.
    pub(super) dropped: BTreeSet<u32>,
}

impl History {
    /// The registry says this; tells what came up.
    pub(super) fn publish(&mut self, now_ms: u64, annex: &Annex) -> Vec<Situation> {
        let mut came_up = Vec::new();
        if annex.keys.revision > self.keys.revision {
            self.keys_at.insert(annex.keys.revision, now_ms);
            came_up.extend(self.turn(&annex.keys));
            self.keys = annex.keys.clone();
        }
        if annex.revoked.revision > self.revoked.revision {
            self.revoked_at.insert(annex.revoked.revision, now_ms);
            let new = annex.revoked.bars.iter().filter(|(what, bar)| self.revoked.bars.get(what) != Some(bar));
            self.barred_at.extend(new.map(|(what, _)| (what.clone(), now_ms)));
            self.revoked = annex.revoked.clone();
        }
        came_up
    }

    fn turn(&mut self, next: &Keyring) -> Option<Situation> {
        let known = |id: u32| self.keys.path.iter().any(|secret| secret.id == id);
        if let [only] = &next.path[..]
            && !known(only.id)
        {
            self.dropped.extend(self.keys.path.iter().map(|secret| secret.id));
            self.urgent.insert(Key::Path(only.id));
        }
        let (before, signs) = (active(&self.keys), active(next)?);
        let retired = before.is_some_and(|before| next.signing_key(before).is_some());
        if before == Some(signs) || retired {
            return None;
        }
        self.urgent.insert(Key::Signing(signs.to_owned()));
        before.map(|_| Situation::KeyInAHurry)
    }

    /// For how long there has been something newer than this of the keys, in ms.
    pub(super) fn keys_lag_ms(&self, now_ms: u64, annex: &Annex) -> u64 {
        lag_ms(&self.keys_at, annex.keys.revision, now_ms)
    }

    /// For how long there has been something newer than this of the revocations, in ms.
    pub(super) fn revoked_lag_ms(&self, now_ms: u64, annex: &Annex) -> u64 {
        lag_ms(&self.revoked_at, annex.revoked.revision, now_ms)
    }

    /// The longer of both.
    pub(super) fn lag_ms(&self, now_ms: u64, annex: &Annex) -> u64 {
        self.keys_lag_ms(now_ms, annex).max(self.revoked_lag_ms(now_ms, annex))
    }
}

fn active(keys: &Keyring) -> Option<&str> {
    keys.signing.iter().find(|key| key.state == KeyState::Active).map(|key| key.kid.as_str())
}

fn lag_ms(published: &BTreeMap<u64, u64>, revision: u64, now_ms: u64) -> u64 {
    published.range(revision + 1..).next().map_or(0, |(_, at_ms)| now_ms.saturating_sub(*at_ms))
}
