//! The keys as the registry has them: which changes are legal. A machine.
//!
//! ```text
//! put ──▶ pending ──activate──▶ active ──the next is activated──▶ retiring ──retire──▶ retired
//!            └──────────────────────┴──────────revoke─────────────────┴──────────────▶ revoked
//! ```
//! From the first key on exactly one is active: it stops being so only when another one begins. The first is active at once,
//! and so is the next one when the active one is revoked. When a change is due is [`super::rotation`]'s to say.

use std::fmt;

use freshet_proto::{
    admin::KeyStage,
    annex::{Algorithm, KeyState, Keyring, PathSecret, SigningKey},
    registry::{NoSuch, Refused},
};
use serde::{Deserialize, Serialize};

use super::wrap::Wrapped;

/// How many keys are remembered that are good for nothing any more, so that none of them ever comes back while somebody may
/// still show what it signed.
pub const PAST: usize = 16;

/// The longest identifier, JWK and wrapped private half, in bytes: more than RSA of 4096 bits takes.
const MAX_BYTES: usize = 8192;

/// All keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// The oldest first. At most [`Keyring::MAX`] that are good, and [`PAST`] that are not.
    keys: Vec<Key>,
    /// The oldest first. At most [`Keyring::MAX`].
    path: Vec<PathSecret>,
}

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What it is.
    pub made: NewKey,
    /// Where it stands in its life.
    pub stage: KeyStage,
    /// Since when, by the registry's time, in ms.
    pub since_ms: u64,
}

/// A signing key that was just made. Its private half is gone once it is good for nothing any more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// The public half's RFC 7638 thumbprint.
    pub kid: String,
    /// What it is used with.
    pub algorithm: Algorithm,
    /// The public half, a JWK.
    pub jwk: String,
    /// The private half.
    pub private: Option<Wrapped>,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({} {})", self.algorithm, self.kid)
    }
}

impl Ring {
    /// Every signing key that is remembered, the oldest first.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The secrets of path tokens, the oldest first.
    pub fn path(&self) -> &[PathSecret] {
        &self.path
    }

    /// The key that signs.
    pub fn active(&self) -> Option<&Key> {
        self.at(KeyStage::Active)
    }

    /// The key that will sign next.
    pub fn pending(&self) -> Option<&Key> {
        self.at(KeyStage::Pending)
    }

    fn at(&self, stage: KeyStage) -> Option<&Key> {
        self.keys.iter().find(|key| key.stage == stage)
    }

    /// Those whose signatures are, or will be, good.
    pub fn good(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(|key| state(key.stage).is_some())
    }

    /// What nodes may know of it.
    pub fn keyring(&self, revision: u64) -> Keyring {
        let public = |key: &Key| {
            let NewKey { kid, algorithm, jwk, .. } = key.made.clone();
            Some(SigningKey { kid, algorithm, jwk, state: state(key.stage)? })
        };
        Keyring { revision, signing: self.keys.iter().filter_map(public).collect(), path: self.path.clone() }
    }

    /// A key is made: the first signs at once, another one is pending.
    ///
    /// # Errors
    /// [`Refused::WrongStage`] when one is pending already or this one was there before; [`Refused::TooMany`].
    pub fn put(&mut self, now_ms: u64, made: NewKey) -> Result<(), Refused> {
        let stage = if self.active().is_some() { KeyStage::Pending } else { KeyStage::Active };
        if self.pending().is_some() || self.keys.iter().any(|key| key.made.kid == made.kid) {
            return Err(Refused::WrongStage);
        }
        let sealed = made.private.as_ref().map_or(0, |private| private.sealed.len());
        if self.good().count() >= Keyring::MAX || made.kid.len() + made.jwk.len() + sealed > MAX_BYTES {
            return Err(Refused::TooMany(NoSuch::Key));
        }
        self.keys.push(Key { made, stage, since_ms: now_ms });
        Ok(())
    }

    /// The pending key signs from now on; the one before retires.
    ///
    /// # Errors
    /// [`Refused::NoSuch`], [`Refused::WrongStage`].
    pub fn activate(&mut self, now_ms: u64, kid: &str) -> Result<(), Refused> {
        self.expect(kid, &[KeyStage::Pending])?;
        for key in &mut self.keys {
            if key.stage == KeyStage::Active {
                key.become_at(KeyStage::Retiring, now_ms);
            }
            if key.made.kid == kid {
                key.become_at(KeyStage::Active, now_ms);
            }
        }
        Ok(())
    }

    /// What a retiring key has signed is good no more: it has run out.
    ///
    /// # Errors
    /// [`Refused::NoSuch`], [`Refused::WrongStage`].
    pub fn retire(&mut self, now_ms: u64, kid: &str) -> Result<(), Refused> {
        let at = self.expect(kid, &[KeyStage::Retiring])?;
        self.end(at, KeyStage::Retired, now_ms);
        Ok(())
    }

    /// What this key has signed is good no more, as of now. When it is the active one, the pending one signs in its place,
    /// else `successor` does.
    ///
    /// # Errors
    /// [`Refused::NoSuch`]; [`Refused::WrongStage`] when it is past already, or nothing could sign in its place.
    pub fn revoke(&mut self, now_ms: u64, kid: &str, successor: Option<NewKey>) -> Result<(), Refused> {
        let at = self.expect(kid, &[KeyStage::Pending, KeyStage::Active, KeyStage::Retiring])?;
        let mut next = self.clone();
        let signed = self.keys[at].stage == KeyStage::Active;
        next.end(at, KeyStage::Revoked, now_ms);
        match next.pending().map(|pending| pending.made.kid.clone()) {
            Some(pending) if signed => next.activate(now_ms, &pending)?,
            None if signed => next.put(now_ms, successor.ok_or(Refused::WrongStage)?)?,
            _ => {}
        }
        *self = next;
        Ok(())
    }

    /// A secret of path tokens is made. The older ones' tokens are good until `older_until_ms` at most: where that is now, they
    /// are dropped.
    ///
    /// # Errors
    /// [`Refused::WrongStage`] unless it is numbered higher and begins later than those that stay; [`Refused::TooMany`].
    pub fn put_path(&mut self, now_ms: u64, secret: PathSecret, older_until_ms: u64) -> Result<(), Refused> {
        let newest = self.path.last().map_or((0, 0), |newest| (newest.id, newest.since_ms));
        let stays = older_until_ms > now_ms;
        if secret.id <= newest.0 || (stays && secret.since_ms < newest.1) {
            return Err(Refused::WrongStage);
        }
        if stays && self.path.len() >= Keyring::MAX {
            return Err(Refused::TooMany(NoSuch::Key));
        }
        self.path.iter_mut().for_each(|older| older.until_ms = older.until_ms.min(older_until_ms));
        self.path.push(PathSecret { until_ms: u64::MAX, ..secret });
        self.expire(now_ms);
        Ok(())
    }

    /// When the first secret of path tokens runs out, in ms.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.path.iter().map(|secret| secret.until_ms).min().filter(|at| *at != u64::MAX)
    }

    /// Forgets the secrets of path tokens that have run out; tells whether there were any.
    pub fn expire(&mut self, now_ms: u64) -> bool {
        let before = self.path.len();
        self.path.retain(|secret| now_ms < secret.until_ms);
        self.path.len() < before
    }

    /// Where the key is, if it stands at one of these.
    fn expect(&self, kid: &str, stages: &[KeyStage]) -> Result<usize, Refused> {
        let at = self.keys.iter().position(|key| key.made.kid == kid).ok_or(Refused::NoSuch(NoSuch::Key))?;
        if stages.contains(&self.keys[at].stage) { Ok(at) } else { Err(Refused::WrongStage) }
    }

    fn end(&mut self, at: usize, stage: KeyStage, now_ms: u64) {
        self.keys[at].become_at(stage, now_ms);
        self.keys[at].made.private = None;
        let past = self.keys.iter().filter(|key| state(key.stage).is_none());
        if past.clone().count() > PAST {
            let oldest = past.min_by_key(|key| key.since_ms).map(|key| key.made.kid.clone());
            self.keys.retain(|key| Some(&key.made.kid) != oldest.as_ref());
        }
    }
}

impl Key {
    fn become_at(&mut self, stage: KeyStage, now_ms: u64) {
        (self.stage, self.since_ms) = (stage, now_ms);
    }
}

/// As others see it, who know nothing of keys that are past.
fn state(stage: KeyStage) -> Option<KeyState> {
    match stage {
        KeyStage::Pending => Some(KeyState::Pending),
        KeyStage::Active => Some(KeyState::Active),
        KeyStage::Retiring => Some(KeyState::Retiring),
        KeyStage::Retired | KeyStage::Revoked => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key of that name that nobody can sign with.
    pub(crate) fn key(kid: &str) -> NewKey {
        let (algorithm, jwk) = (Algorithm::EdDsa, format!("{{\"kid\":{kid:?}}}"));
        NewKey { kid: kid.to_owned(), algorithm, jwk, private: Some(Wrapped { kek: [1; 8], sealed: vec![2; 9] }) }
    }

    fn secret(id: u32, since_ms: u64) -> PathSecret {
        PathSecret { id, secret: [7; 32], since_ms, until_ms: 0 }
    }

    /// Each key and where it stands.
    fn picture(ring: &Ring) -> String {
        let keys = ring.keys().iter().map(|key| format!("{}:{}@{}", key.made.kid, key.stage, key.since_ms));
        keys.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_key_signs_at_once_and_the_next_one_when_it_is_told_to() {
        let mut ring = Ring::default();
        ring.put(1, key("a")).unwrap();
        ring.put(2, key("b")).unwrap();
        assert_eq!(picture(&ring), "a:active@1 b:pending@2");
        assert_eq!(ring.put(3, key("c")), Err(Refused::WrongStage), "one is enough");
        ring.activate(4, "b").unwrap();
        assert_eq!(picture(&ring), "a:retiring@4 b:active@4");
        assert_eq!(ring.put(5, key("a")), Err(Refused::WrongStage), "it has been");
        ring.retire(6, "a").unwrap();
        assert_eq!(picture(&ring), "a:retired@6 b:active@4");
        assert_eq!(ring.keys()[0].made.private, None);
        let seen: Vec<_> = ring.keyring(9).signing.into_iter().map(|key| (key.kid, key.state)).collect();
        assert_eq!(seen, [("b".to_owned(), KeyState::Active)]);
    }

    #[test]
    fn no_key_skips_a_stage_or_goes_back() {
        let mut ring = Ring::default();
        ring.put(1, key("a")).unwrap();
        ring.put(2, key("b")).unwrap();
        let before = ring.clone();
        assert_eq!(ring.activate(3, "a"), Err(Refused::WrongStage));
        assert_eq!((ring.retire(3, "a"), ring.retire(3, "b")), (Err(Refused::WrongStage), Err(Refused::WrongStage)));
        assert_eq!(ring.activate(3, "x"), Err(Refused::NoSuch(NoSuch::Key)));
        assert_eq!(ring, before);
        ring.revoke(3, "b", None).unwrap();
        assert_eq!(ring.revoke(4, "b", None), Err(Refused::WrongStage));
        assert_eq!(ring.activate(4, "b"), Err(Refused::WrongStage));
    }

    #[test]
    fn when_the_key_that_signs_is_revoked_another_one_signs_at_once() {
        let mut ring = Ring::default();
        ring.put(1, key("a")).unwrap();
        assert_eq!(ring.revoke(2, "a", None), Err(Refused::WrongStage), "nothing could sign");
        assert_eq!(picture(&ring), "a:active@1");
        ring.revoke(3, "a", Some(key("b"))).unwrap();
        assert_eq!(picture(&ring), "a:revoked@3 b:active@3");
        ring.put(4, key("c")).unwrap();
        ring.revoke(5, "b", Some(key("d"))).unwrap();
        assert_eq!(picture(&ring), "a:revoked@3 b:revoked@5 c:active@5", "everybody knows c already");
    }

    #[test]
    fn there_is_a_limit_to_keys_that_are_good_and_to_those_that_are_remembered() {
        let mut ring = Ring::default();
        for n in 0..Keyring::MAX {
            ring.put(1, key(&format!("k{n}"))).unwrap();
            let _ = ring.activate(1, &format!("k{n}"));
        }
        assert_eq!(ring.put(2, key("more")), Err(Refused::TooMany(NoSuch::Key)));
        for n in 0..60 {
            let active = ring.active().unwrap().made.kid.clone();
            let _ = ring.retire(3, &format!("k{n}"));
            ring.revoke(4 + n, &active, Some(key(&format!("r{n}")))).unwrap();
        }
        let past = ring.keys().iter().filter(|key| state(key.stage).is_none()).count();
        assert_eq!((past, ring.good().count()), (PAST, 1));
        let mut long = key("long");
        long.jwk = "x".repeat(MAX_BYTES);
        assert_eq!(ring.put(99, long), Err(Refused::TooMany(NoSuch::Key)));
    }

    #[test]
    fn a_secret_of_path_tokens_is_good_until_its_successors_tokens_have_long_taken_over() {
        let mut ring = Ring::default();
        ring.put_path(10, secret(1, 10), 50).unwrap();
        assert_eq!(ring.deadline_ms(), None, "it has no successor");
        ring.put_path(20, secret(2, 30), 60).unwrap();
        assert_eq!(ring.put_path(21, secret(2, 40), 60), Err(Refused::WrongStage));
        assert_eq!(ring.put_path(21, secret(3, 29), 60), Err(Refused::WrongStage), "the newest begins last");
        assert_eq!(format!("{:?}", ring.path()[0]), "PathSecret(1 from 10 to 60)");
        assert_eq!(ring.deadline_ms(), Some(60));
        assert!(!ring.expire(59) && ring.expire(60));
        ring.put_path(70, secret(3, 70), 70).unwrap();
        assert_eq!(ring.path().iter().map(|secret| secret.id).collect::<Vec<_>>(), [3], "the others are dropped");
    }

    #[test]
    fn no_private_half_is_printed() {
        assert!(!format!("{:?}", key("a")).contains("2, 2"));
    }
}
