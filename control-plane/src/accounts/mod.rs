//! Accounts: who people are, how they sign in, whom they follow, and what their channels are like.
//!
//! ```text
//! REST API, command line ──▶ Accounts ──▶ SQL (SQLite, or PostgreSQL for several control nodes)
//!                               └──▶ outbox ──▶ whoever carries it to the registry
//! ```
//! What edges must be told or what needs fencing is in the registry; everything else is here. No transaction spans both: a
//! change of a channel or its keys is committed here together with a row of the [`outbox`], and the registry hears of it
//! until it has confirmed it. Nothing here speaks HTTP, and access tokens are minted elsewhere: from an [`Identity`].
//!
//! Rules that hold whatever happens at the same time, on both databases:
//! - a name, once taken, is nobody else's for ever; an e-mail address has one account;
//! - a refresh token works once; whoever presents it again ends its session, for both;
//! - there is an administrator as soon as there was one: the last can't be removed;
//! - a stream key is shown once and kept as the hash that the registry compares; of two resets, the later one's key works.
//!
//! Passwords are hashed off the async threads ([`password`]), guesses are throttled ([`throttle`]), and whether there is an
//! account of some address is told by neither the answer to a login nor its time.

mod admin;
mod audit;
mod avatar;
mod channels;
mod chat;
mod db;
mod follows;
mod ids;
mod keys;
mod logins;
pub mod outbox;
pub mod password;
mod passwords;
mod registration;
mod roles;
mod secret;
mod sessions;
pub mod text;
pub mod throttle;
mod users;

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use freshet_proto::{clock::WallClock, random::Random};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};

pub use admin::{AdminError, UserFilter};
pub use audit::{Actor, AuditEntry, AuditFilter};
pub use avatar::{AVATAR_SIDE, AvatarError, MAX_AVATAR_BYTES, MAX_AVATAR_SIDE};
pub use channels::{ChannelChange, ChannelError, ChannelSettings, GoLive, Visibility};
pub use chat::{ChatBan, ChatLogLine, ChatTerm, MAX_LOG, Standing, Stored, action_word, as_chat};
pub use db::{Database, OpenError, StoreError, UnknownDatabase};
pub use follows::{FollowError, Follower, MAX_FOLLOWS};
pub use ids::{KeyId, LoginId, UserId};
pub use keys::{KeyError, MAX_KEYS, StreamKey};
pub use logins::LoginError;
pub use password::{Busy, Cost};
pub use passwords::PasswordError;
pub use registration::{Invite, InviteTerms};
pub use roles::{ChannelRole, MAX_ROLES, Member};
pub use secret::Secret;
pub use sessions::{Client, Identity, MAX_SESSIONS, RefreshError, Session, SignedIn};
pub use text::{Email, Invalid, Password, username};
pub use users::{NewAccount, ProfileChange, ProfileError, RegisterError, Role, User};

use crate::key::Pepper;
use db::Db;
use password::Hasher;
use throttle::{PER_ACCOUNT, PER_ADDRESS, Throttle, Wait};

db::store_failures!(
    AdminError,
    AvatarError,
    ChannelError,
    FollowError,
    KeyError,
    LoginError,
    PasswordError,
    ProfileError,
    RefreshError,
    RegisterError,
);

/// How many entries a list answers with at most.
pub const PAGE: usize = 100;

/// Who may register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Everybody.
    #[default]
    Open,
    /// Whoever has an invitation.
    Invite,
    /// Nobody; an administrator makes accounts.
    Closed,
}

/// How accounts behave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who may register: `open` (default), `invite` or `closed`, until an administrator says otherwise.
    pub registration: Registration,
    /// A session ends when it was not refreshed for so many seconds. Default 30 days.
    pub session_idle_s: u64,
    /// A session ends after so many seconds, however much it is used. Default 365 days.
    pub session_max_s: u64,
    /// What a password's hash costs; no key of the configuration.
    #[serde(skip)]
    pub cost: Cost,
}

impl Default for Config {
    fn default() -> Self {
        const DAY: u64 = 86_400;
        Self {
            registration: Registration::Open,
            session_idle_s: 30 * DAY,
            session_max_s: 365 * DAY,
            cost: Cost::default(),
        }
    }
}

/// A part of a list, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most [`PAGE`].
    pub items: Vec<T>,
    /// To be given to the same list for what follows; `None` at its end. Opaque.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// From what was asked for with one more than `limit`.
    fn cut(mut items: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// How many a list may answer with, of so many asked for.
fn page(limit: usize) -> usize {
    limit.clamp(1, PAGE)
}

/// Too many attempts. The remedy: wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; try again in {} s", self.seconds())]
pub struct TryLater {
    /// For how long, in ms.
    pub wait_ms: u64,
}

impl TryLater {
    /// For `Retry-After`: whole seconds, rounded up (RFC 9110 §10.2.3).
    pub fn seconds(&self) -> u64 {
        self.wait_ms.div_ceil(1000)
    }
}

impl From<Wait> for TryLater {
    fn from(Wait(wait_ms): Wait) -> Self {
        Self { wait_ms }
    }
}

/// The accounts of a platform. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct Accounts(Arc<Inner>);

struct Inner {
    db: Db,
    config: Config,
    pepper: Pepper,
    clock: WallClock,
    random: Random,
    hasher: Hasher,
    logins: Mutex<Throttle>,
    registrations: Mutex<Throttle>,
    avatars: Arc<Semaphore>,
    outbox: Notify,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// Opens the accounts, making and migrating what is needed. Hashes one password, so it takes tens of milliseconds.
    ///
    /// `pepper` is the registry's: stream keys are kept as the registry compares them.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(
        database: &Database,
        config: Config,
        pepper: Pepper,
        clock: WallClock,
        random: Random,
    ) -> Result<Self, OpenError> {
        let hasher = Hasher::new(config.cost, random.clone()).ok_or(OpenError::Cost)?;
        let db = Db::open(database).await?;
        Ok(Self(Arc::new(Inner {
            db,
            config,
            pepper,
            clock,
            random,
            hasher,
            logins: Mutex::new(Throttle::new(PER_ACCOUNT, PER_ADDRESS)),
            registrations: Mutex::new(Throttle::new(PER_ACCOUNT, PER_ADDRESS)),
            avatars: Arc::new(Semaphore::new(avatar::AT_ONCE)),
            outbox: Notify::new(),
        })))
    }

    /// Closes the connections once they are idle. Whoever asks afterwards gets a [`StoreError`].
    pub async fn close(&self) {
        self.0.db.close().await;
    }

    /// How they behave.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    fn db(&self) -> &Db {
        &self.0.db
    }

    fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    fn random(&self) -> &Random {
        &self.0.random
    }

    fn logins(&self) -> MutexGuard<'_, Throttle> {
        self.0.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a registration from `address`.
    fn count_registration(&self, address: IpAddr) -> Result<(), TryLater> {
        let mut registrations = self.0.registrations.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(registrations.attempt_from(self.now_ms(), address)?)
    }
}
