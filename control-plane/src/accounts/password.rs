//! Passwords as argon2id hashes (RFC 9106), off the async threads and a few at a time.
//!
//! One hash takes 19 MiB and tens of milliseconds, so whoever may ask for many may exhaust the machine: [`AT_ONCE`] run,
//! [`WAITING`] wait, more are refused. A client that leaves does not free its place before its hash is done.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString,
};
use freshet_proto::random::Random;
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::Password;

/// How many passwords are hashed at once.
pub const AT_ONCE: usize = 4;

/// How many hashes may run or wait; whoever comes then is told to come again.
pub const WAITING: usize = 64;

/// What one hash costs. The default is OWASP's first choice for argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB. Default 19,456.
    pub memory_kib: u32,
    /// Passes over it. Default 2.
    pub passes: u32,
    /// Lanes. Default 1.
    pub lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl Cost {
    /// `None` where RFC 9106 §3.1 knows no such parameters.
    fn params(self) -> Option<Params> {
        Params::new(self.memory_kib, self.passes, self.lanes, None).ok()
    }
}

/// Ours: more passwords are to be checked than may wait. The remedy: try again in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at present; try again in a second")]
pub struct Busy;

/// What a password was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Wrong,
    Right {
        /// A new hash to replace the old one, which was made at another cost.
        rehashed: Option<String>,
    },
}

/// Hashes and verifies. Cheap to clone; clones share the limits.
#[derive(Clone)]
pub(super) struct Hasher {
    argon2: Argon2<'static>,
    waiting: Arc<Semaphore>,
    running: Arc<Semaphore>,
    random: Random,
    /// Verified against where there is no account, so that it takes as long as where there is one.
    dummy: Arc<str>,
}

impl Hasher {
    /// Hashes once, so it blocks. `None` where the cost is none that argon2id has.
    pub fn new(cost: Cost, random: Random) -> Option<Self> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
        let dummy = hash(&argon2, &random.token(), &salt(&random)?)?.into();
        Some(Self {
            argon2,
            waiting: Arc::new(Semaphore::new(WAITING)),
            running: Arc::new(Semaphore::new(AT_ONCE)),
            random,
            dummy,
        })
    }

    /// The hash of a new password, in the PHC string format.
    pub async fn hash(&self, password: &Password) -> Result<String, Busy> {
        let (argon2, password, salt) = (self.argon2.clone(), password.clone(), salt(&self.random).ok_or(Busy)?);
        self.run(move || hash(&argon2, password.reveal(), &salt)).await?.ok_or(Busy)
    }

    /// Verifies a password; `None` stands for an account that isn't there or has no password, and takes as long.
    pub async fn verify(&self, password: &str, known: Option<String>) -> Result<Verdict, Busy> {
        if password.chars().count() > super::text::MAX_PASSWORD {
            return Ok(Verdict::Wrong);
        }
        let (argon2, password, salt) = (self.argon2.clone(), password.to_owned(), salt(&self.random).ok_or(Busy)?);
        let (is_there, phc) = (known.is_some(), known.unwrap_or_else(|| self.dummy.as_ref().to_owned()));
        self.run(move || {
            let Ok(parsed) = PasswordHash::new(&phc) else { return Verdict::Wrong };
            let right = argon2.verify_password(password.as_bytes(), &parsed).is_ok();
            if !right || !is_there {
                return Verdict::Wrong;
            }
            let stale = Params::try_from(&parsed).map(|params| !same(&params, argon2.params())).unwrap_or(true);
            Verdict::Right { rehashed: stale.then(|| hash(&argon2, &password, &salt)).flatten() }
        })
        .await
    }

    /// The permits go with the work, so that they come back when it is done, not when the asker has gone.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let place = self.waiting.clone().try_acquire_owned().map_err(|_| Busy)?;
        let turn = self.running.clone().acquire_owned().await.map_err(|_| Busy)?;
        let worked = spawn_blocking(move || {
            let _held = (place, turn);
            work()
        });
        worked.await.map_err(|_| Busy)
    }
}

fn same(one: &Params, other: &Params) -> bool {
    let of = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    of(one) == of(other)
}

fn salt(random: &Random) -> Option<SaltString> {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    SaltString::encode_b64(&bytes).ok()
}

fn hash(argon2: &Argon2<'_>, password: &str, salt: &SaltString) -> Option<String> {
    argon2.hash_password(password.as_bytes(), salt).map(|hash| hash.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(passes: u32) -> Hasher {
        Hasher::new(Cost { memory_kib: 64, passes, lanes: 1 }, Random::seeded(1)).expect("a cost that argon2id has")
    }

    fn password(text: &str) -> Password {
        Password::new(text).expect("long enough")
    }

    #[tokio::test]
    async fn the_default_cost_is_written_into_the_hash() {
        let hasher = Hasher::new(Cost::default(), Random::seeded(1)).expect("a cost that argon2id has");
        let phc = hasher.hash(&password("correct horse")).await.expect("not busy");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_account_that_is_there_is_right() {
        let hasher = hasher(1);
        let phc = hasher.hash(&password("correct horse")).await.expect("not busy");
        let right = Verdict::Right { rehashed: None };
        assert_eq!(hasher.verify("correct horse", Some(phc.clone())).await, Ok(right));
        assert_eq!(hasher.verify("battery staple", Some(phc.clone())).await, Ok(Verdict::Wrong));
        assert_eq!(hasher.verify("correct horse", None).await, Ok(Verdict::Wrong));
        assert_eq!(hasher.verify(&"x".repeat(1025), Some(phc)).await, Ok(Verdict::Wrong));
        assert_eq!(hasher.verify("correct horse", Some("no hash".to_owned())).await, Ok(Verdict::Wrong));
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_replaced_when_its_password_is_known() {
        let old = hasher(1).hash(&password("correct horse")).await.expect("not busy");
        let verdict = hasher(2).verify("correct horse", Some(old)).await;
        let Ok(Verdict::Right { rehashed: Some(new) }) = verdict else { panic!("{verdict:?}") };
        assert!(new.contains("t=2"), "{new}");
    }

    #[tokio::test]
    async fn whoever_comes_when_the_queue_is_full_is_told_to_come_again() {
        let hasher = hasher(1);
        let all = hasher.waiting.clone().acquire_many_owned(WAITING as u32).await.expect("open");
        assert_eq!(hasher.verify("correct horse", None).await, Err(Busy));
        drop(all);
        assert_eq!(hasher.verify("correct horse", None).await, Ok(Verdict::Wrong));
    }
}
