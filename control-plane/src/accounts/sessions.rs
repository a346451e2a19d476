//! Signing in, staying signed in, and signing out.
//!
//! ```text
//! login ──▶ session (one row) ──▶ refresh token 1 ──refresh──▶ 2 ──refresh──▶ 3 …
//!                                        └── presented again: the session is deleted, and all its tokens with it
//! ```
//! A refresh token works once. Presented twice, one of the two presenters is a thief, and nobody can tell which: the session
//! ends for both (RFC 9700 §4.14.2). There is no grace: a client whose answer was lost signs in again. So of two refreshes at
//! once one is answered, and what it was given ends with the other.
//! An access token minted from an [`Identity`] outlives its session by its own lifetime, unless [`Accounts::identity`] is
//! asked.

use std::net::IpAddr;

use freshet_proto::id::ChannelName;
use serde_json::json;
use sqlx::{FromRow, Row, any::AnyRow};

use super::{
    Accounts, Actor, Busy, Email, Invalid, LoginId, Password, Role, Secret, StoreError, TryLater, UserId,
    db::{Tx, at, corrupt, unsigned},
    password::Verdict,
    secret::{self, Kind},
    text,
};

/// How many sessions an account has at most; the one that was seen longest ago gives way.
pub const MAX_SESSIONS: usize = 50;

/// Of how many used refresh tokens a session is aware; an older one is as unknown as if it had never been.
pub const USED_TOKENS: i64 = 1_000;

/// Who signs in: shown in the list of sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Whence.
    pub address: IpAddr,
    /// With what (`User-Agent`).
    pub agent: String,
}

/// Who somebody is: what an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub user: UserId,
    /// Its name.
    pub username: ChannelName,
    /// What it may do to the platform.
    pub role: Role,
    /// In which session.
    pub session: LoginId,
}

/// Somebody has signed in, or still is.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub identity: Identity,
    /// How to stay: works once.
    pub refresh: Secret,
    /// Until when, in ms since 1970.
    pub refresh_expires_ms: u64,
}

/// A session as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: LoginId,
    /// When it began, in ms since 1970.
    pub created_ms: u64,
    /// When it was refreshed last, in ms since 1970.
    pub seen_ms: u64,
    /// When it ends unless refreshed, in ms since 1970.
    pub expires_ms: u64,
    /// Whence it was refreshed last.
    pub address: String,
    /// With what.
    pub agent: String,
}

/// Why somebody was not signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The person's: no account of that name or address has that password; or the link is not good any more. Which of
    /// these it is, is told neither by the words nor by the time it takes.
    #[error(
        "wrong name or password, or a link that was used or has run out; try again, or ask an administrator for a link"
    )]
    Refused,
    /// The person's: the password is right, the account is disabled.
    #[error("this account is disabled; ask an administrator")]
    Disabled,
    /// Too many failures for that account or from there.
    #[error(transparent)]
    TryLater(#[from] TryLater),
    /// Ours.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for LoginError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why a session was not continued. The remedy in each case but the last: sign in again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// No such token, or its session has ended.
    #[error("this session is over; sign in again")]
    Unknown,
    /// It was not refreshed for too long.
    #[error("this session has run out; sign in again")]
    Expired,
    /// The token was used before: somebody else has it. The session has ended for both.
    #[error("this refresh token was used before; the session has been ended, sign in again")]
    Reused,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RefreshError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Why a password was not changed or confirmed; then the old one holds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The person's: too short or too long.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The person's: that is not the present password.
    #[error("that is not the present password; try again")]
    Wrong,
    /// Too many failures for that account or from there.
    #[error(transparent)]
    TryLater(#[from] TryLater),
    /// Ours.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PasswordError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What a login needs to know of an account.
struct Known {
    id: UserId,
    username: ChannelName,
    role: Role,
    password: Option<String>,
    disabled: bool,
}

const KNOWN_BY_NAME: &str = "SELECT id, username, role, password, CASE WHEN disabled_ms IS NULL THEN 0 ELSE 1 END \
                             FROM users WHERE username = $1";
const KNOWN_BY_EMAIL: &str = "SELECT id, username, role, password, CASE WHEN disabled_ms IS NULL THEN 0 ELSE 1 END \
                              FROM users WHERE email = $1";
const KNOWN_BY_ID: &str = "SELECT id, username, role, password, CASE WHEN disabled_ms IS NULL THEN 0 ELSE 1 END \
                           FROM users WHERE id = $1";

impl FromRow<'_, AnyRow> for Known {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let (id, username, role): (String, String, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(Self {
            id: id.into(),
            username: username.parse().map_err(|_| corrupt("a username").into_inner())?,
            role: Role::from_word(&role).ok_or_else(|| corrupt("a role").into_inner())?,
            password: row.try_get(3)?,
            disabled: row.try_get::<i64, _>(4)? != 0,
        })
    }
}

impl Accounts {
    /// Signs in with a username or an e-mail address, and a password. Takes as long whether there is such an account or not.
    ///
    /// # Errors
    /// See [`LoginError`].
    pub async fn login(&self, client: &Client, login: &str, password: &str) -> Result<SignedIn, LoginError> {
        let login = login.trim().to_lowercase();
        self.logins().attempt(self.now_ms(), &login, client.address).map_err(TryLater::from)?;
        let result = self.login_counted(client, &login, password).await;
        match &result {
            Ok(_) | Err(LoginError::Disabled) => self.logins().succeeded(&login, client.address),
            Err(LoginError::Busy(_) | LoginError::Store(_)) => self.logins().undecided(&login, client.address),
            Err(LoginError::Refused | LoginError::TryLater(_)) => {}
        }
        result
    }

    async fn login_counted(&self, client: &Client, login: &str, password: &str) -> Result<SignedIn, LoginError> {
        let known = self.known(login).await?;
        let phc = known.as_ref().and_then(|known| known.password.clone());
        let verdict = self.0.hasher.verify(password, phc).await?;
        let (Some(known), Verdict::Right { rehashed }) = (known, verdict) else { return Err(LoginError::Refused) };
        if known.disabled {
            return Err(LoginError::Disabled);
        }
        let mut tx = self.db().begin().await?;
        // The password may have been changed, or the account disabled, since it was read.
        const HOLD: &str = "UPDATE users SET password = coalesce($3, password) \
                            WHERE id = $1 AND password = $2 AND disabled_ms IS NULL";
        let hold = sqlx::query(HOLD).bind(known.id.as_str()).bind(known.password.as_deref()).bind(rehashed);
        if hold.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(LoginError::Refused);
        }
        let signed_in = self.begin_session(&mut tx, client, known).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    async fn known(&self, login: &str) -> Result<Option<Known>, StoreError> {
        // What can be neither is looked up all the same, so that it takes as long.
        let (select, text) = match (Email::parse(login), text::username(login)) {
            (Ok(email), _) => (KNOWN_BY_EMAIL, String::from(email)),
            (_, Ok(name)) => (KNOWN_BY_NAME, String::from(name)),
            _ => (KNOWN_BY_NAME, String::new()),
        };
        Ok(sqlx::query_as(select).bind(text).fetch_optional(self.db().read()).await?)
    }

    /// Signs in with a link's secret, which works once; see [`Accounts::login_link`].
    ///
    /// # Errors
    /// See [`LoginError`]. Failures count against the address.
    pub async fn login_by_link(&self, client: &Client, link: &str) -> Result<SignedIn, LoginError> {
        const TAKE: &str = "DELETE FROM login_links WHERE hash = $1 AND expires_ms > $2 RETURNING user_id";
        let hash = secret::hash(link);
        self.logins().attempt(self.now_ms(), &hash, client.address).map_err(TryLater::from)?;
        let mut tx = self.db().begin().await?;
        let take = sqlx::query_scalar(TAKE).bind(&hash).bind(at(self.now_ms()));
        let user: Option<String> = take.fetch_optional(&mut *tx).await?;
        let user = user.ok_or(LoginError::Refused)?;
        let known: Option<Known> = sqlx::query_as(KNOWN_BY_ID).bind(&user).fetch_optional(&mut *tx).await?;
        let known = known.filter(|known| !known.disabled).ok_or(LoginError::Disabled)?;
        let (actor, target) = (Actor::User(known.id.clone()), known.id.clone());
        let signed_in = self.begin_session(&mut tx, client, known).await?;
        self.audit_in(&mut tx, &actor, "session.link", target.as_str(), &json!({})).await?;
        tx.commit().await?;
        self.logins().succeeded(&hash, client.address);
        Ok(signed_in)
    }

    async fn begin_session(&self, tx: &mut Tx, client: &Client, known: Known) -> Result<SignedIn, StoreError> {
        const INSERT: &str = "INSERT INTO sessions (id, user_id, created_ms, seen_ms, expires_ms, address, agent) \
                              VALUES ($1, $2, $3, $3, $4, $5, $6)";
        const MAKE_ROOM: &str = "DELETE FROM sessions WHERE user_id = $1 AND (expires_ms <= $2 OR id NOT IN \
                                 (SELECT id FROM sessions WHERE user_id = $1 ORDER BY seen_ms DESC, id LIMIT $3))";
        let (session, now_ms) = (LoginId::generate(self.random()), self.now_ms());
        let expires_ms = self.expiry(now_ms, now_ms);
        let room = sqlx::query(MAKE_ROOM).bind(known.id.as_str()).bind(at(now_ms)).bind(MAX_SESSIONS as i64 - 1);
        room.execute(&mut **tx).await?;
        let insert = sqlx::query(INSERT).bind(session.as_str()).bind(known.id.as_str()).bind(at(now_ms));
        let insert = insert.bind(at(expires_ms)).bind(client.address.to_string()).bind(text::agent(&client.agent));
        insert.execute(&mut **tx).await?;
        let refresh = self.issue(tx, &session, 0).await?;
        let identity = Identity { user: known.id, username: known.username, role: known.role, session };
        Ok(SignedIn { identity, refresh, refresh_expires_ms: expires_ms })
    }

    fn expiry(&self, created_ms: u64, now_ms: u64) -> u64 {
        let config = self.config();
        let idle = now_ms.saturating_add(config.session_idle_s.saturating_mul(1000));
        idle.min(created_ms.saturating_add(config.session_max_s.saturating_mul(1000)))
    }

    async fn issue(&self, tx: &mut Tx, session: &LoginId, generation: i64) -> Result<Secret, StoreError> {
        const INSERT: &str = "INSERT INTO refresh_tokens (hash, session_id, generation) VALUES ($1, $2, $3)";
        const FORGET: &str = "DELETE FROM refresh_tokens WHERE session_id = $1 AND generation < $2";
        let token = Secret::generate(Kind::Refresh, self.random());
        let insert = sqlx::query(INSERT).bind(token.hash()).bind(session.as_str()).bind(generation);
        insert.execute(&mut **tx).await?;
        let forget = sqlx::query(FORGET).bind(session.as_str()).bind(generation - USED_TOKENS);
        forget.execute(&mut **tx).await?;
        Ok(token)
    }

    /// Trades a refresh token for the next one.
    ///
    /// # Errors
    /// See [`RefreshError`]: a token that was used before ends its session.
    pub async fn refresh(&self, client: &Client, token: &str) -> Result<SignedIn, RefreshError> {
        const FIND: &str = "SELECT session_id, generation FROM refresh_tokens WHERE hash = $1";
        const USE: &str = "UPDATE refresh_tokens SET rotated_ms = $2 WHERE hash = $1 AND rotated_ms IS NULL";
        let (hash, now_ms) = (secret::hash(token), self.now_ms());
        let mut tx = self.db().begin().await?;
        let found: Option<(String, i64)> = sqlx::query_as(FIND).bind(&hash).fetch_optional(&mut *tx).await?;
        let (session, generation) = found.ok_or(RefreshError::Unknown)?;
        let session = LoginId::from(session);
        let Held { identity, created_ms, expires_ms } = self.hold(&mut tx, session).await?;
        let used = sqlx::query(USE).bind(&hash).bind(at(now_ms)).execute(&mut *tx).await?.rows_affected() == 0;
        if used || expires_ms <= now_ms {
            return Err(self.end(tx, &identity, used).await?);
        }
        let refresh_expires_ms = self.expiry(created_ms, now_ms);
        self.prolong(&mut tx, client, &identity.session, refresh_expires_ms).await?;
        let refresh = self.issue(&mut tx, &identity.session, generation.saturating_add(1)).await?;
        tx.commit().await?;
        Ok(SignedIn { identity, refresh, refresh_expires_ms })
    }

    /// Takes a session's row, so that whoever else refreshes it waits.
    async fn hold(&self, tx: &mut Tx, session: LoginId) -> Result<Held, RefreshError> {
        const HOLD: &str =
            "UPDATE sessions SET seen_ms = seen_ms WHERE id = $1 RETURNING user_id, created_ms, expires_ms";
        let hold = sqlx::query_as(HOLD).bind(session.as_str());
        let held: Option<(String, i64, i64)> = hold.fetch_optional(&mut **tx).await?;
        let (user, created_ms, expires_ms) = held.ok_or(RefreshError::Unknown)?;
        let known: Option<Known> = sqlx::query_as(KNOWN_BY_ID).bind(user).fetch_optional(&mut **tx).await?;
        let known = known.filter(|known| !known.disabled).ok_or(RefreshError::Unknown)?;
        let identity = Identity { user: known.id, username: known.username, role: known.role, session };
        Ok(Held { identity, created_ms: unsigned(created_ms), expires_ms: unsigned(expires_ms) })
    }

    async fn end(&self, mut tx: Tx, identity: &Identity, reused: bool) -> Result<RefreshError, StoreError> {
        const DELETE: &str = "DELETE FROM sessions WHERE id = $1";
        sqlx::query(DELETE).bind(identity.session.as_str()).execute(&mut *tx).await?;
        if reused {
            let target = identity.session.as_str();
            let details = json!({ "user": identity.user });
            self.audit_in(&mut tx, &Actor::System, "session.reuse", target, &details).await?;
        }
        tx.commit().await?;
        Ok(if reused { RefreshError::Reused } else { RefreshError::Expired })
    }

    async fn prolong(&self, tx: &mut Tx, client: &Client, id: &LoginId, expires_ms: u64) -> Result<(), StoreError> {
        const UPDATE: &str =
            "UPDATE sessions SET seen_ms = $2, expires_ms = $3, address = $4, agent = $5 WHERE id = $1";
        let update = sqlx::query(UPDATE).bind(id.as_str()).bind(at(self.now_ms())).bind(at(expires_ms));
        let update = update.bind(client.address.to_string()).bind(text::agent(&client.agent));
        update.execute(&mut **tx).await?;
        Ok(())
    }

    /// Ends one session of a user. Tells whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn logout(&self, user: &UserId, session: &LoginId) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM sessions WHERE id = $1 AND user_id = $2";
        let mut tx = self.db().begin().await?;
        let delete = sqlx::query(DELETE).bind(session.as_str()).bind(user.as_str());
        let ended = delete.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        Ok(ended > 0)
    }

    /// Ends all sessions of a user, but for the one to keep. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn logout_everywhere(&self, user: &UserId, keep: Option<&LoginId>) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        let ended = end_sessions(&mut tx, user, keep).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// The sessions of a user, the one seen latest first; at most [`MAX_SESSIONS`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        const SELECT: &str = "SELECT id, created_ms, seen_ms, expires_ms, address, agent FROM sessions \
                              WHERE user_id = $1 AND expires_ms > $2 ORDER BY seen_ms DESC, id LIMIT $3";
        let query = sqlx::query_as(SELECT).bind(user.as_str()).bind(at(self.now_ms())).bind(MAX_SESSIONS as i64);
        let rows: Vec<(String, i64, i64, i64, String, String)> = query.fetch_all(self.db().read()).await?;
        let session = |(id, created_ms, seen_ms, expires_ms, address, agent): (String, _, _, _, _, _)| Session {
            id: id.into(),
            created_ms: unsigned(created_ms),
            seen_ms: unsigned(seen_ms),
            expires_ms: unsigned(expires_ms),
            address,
            agent,
        };
        Ok(rows.into_iter().map(session).collect())
    }

    /// Who a session belongs to, as things now are; `None` when it has ended. For what an access token's lifetime is too
    /// long to wait for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn identity(&self, session: &LoginId) -> Result<Option<Identity>, StoreError> {
        const SELECT: &str = "SELECT u.id, u.username, u.role, u.password, 0 FROM users u JOIN sessions s ON s.user_id = u.id \
                              WHERE s.id = $1 AND s.expires_ms > $2 AND u.disabled_ms IS NULL";
        let query = sqlx::query_as(SELECT).bind(session.as_str()).bind(at(self.now_ms()));
        let known: Option<Known> = query.fetch_optional(self.db().read()).await?;
        let session = session.clone();
        Ok(known.map(|Known { id, username, role, .. }| Identity { user: id, username, role, session }))
    }

    /// Whether that is the user's password: to be asked before what can't be undone. Throttled like a login.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn confirm_password(&self, user: &UserId, from: IpAddr, password: &str) -> Result<(), PasswordError> {
        self.current_password(user, from, password).await.map(drop)
    }

    /// The present hash, if that is the password.
    async fn current_password(&self, user: &UserId, from: IpAddr, password: &str) -> Result<String, PasswordError> {
        const SELECT: &str = "SELECT password FROM users WHERE id = $1 AND password IS NOT NULL";
        self.logins().attempt(self.now_ms(), user.as_str(), from).map_err(TryLater::from)?;
        let select = sqlx::query_scalar(SELECT).bind(user.as_str());
        let phc: Option<String> = select.fetch_optional(self.db().read()).await?;
        match self.0.hasher.verify(password, phc.clone()).await {
            Ok(Verdict::Wrong) => Err(PasswordError::Wrong),
            Ok(Verdict::Right { .. }) => {
                self.logins().succeeded(user.as_str(), from);
                phc.ok_or(PasswordError::Wrong)
            }
            Err(busy) => {
                self.logins().undecided(user.as_str(), from);
                Err(busy.into())
            }
        }
    }

    /// Changes the password of whoever is signed in, and ends all their other sessions. `old` may be left out only where
    /// there is no password yet.
    ///
    /// # Errors
    /// See [`PasswordError`].
    pub async fn change_password(
        &self,
        who: &Identity,
        from: IpAddr,
        old: Option<&str>,
        new: &Password,
    ) -> Result<(), PasswordError> {
        const REPLACE: &str = "UPDATE users SET password = $2 WHERE id = $1 AND password = $3";
        const SET: &str = "UPDATE users SET password = $2 WHERE id = $1 AND password IS NULL";
        let old = match old {
            Some(old) => Some(self.current_password(&who.user, from, old).await?),
            None => None,
        };
        let new = self.0.hasher.hash(new).await?;
        let mut tx = self.db().begin().await?;
        let set = sqlx::query(if old.is_some() { REPLACE } else { SET }).bind(who.user.as_str()).bind(new);
        let set = if old.is_some() { set.bind(old) } else { set };
        if set.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(PasswordError::Wrong);
        }
        end_sessions(&mut tx, &who.user, Some(&who.session)).await?;
        let actor = Actor::User(who.user.clone());
        self.audit_in(&mut tx, &actor, "user.password", who.user.as_str(), &json!({})).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Deletes what has run out: sessions, links, invitations. To be called now and then, such as every hour. Returns how
    /// many sessions there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        let (mut tx, now) = (self.db().begin().await?, at(self.now_ms()));
        let sessions = sqlx::query("DELETE FROM sessions WHERE expires_ms <= $1").bind(now).execute(&mut *tx).await?;
        sqlx::query("DELETE FROM login_links WHERE expires_ms <= $1").bind(now).execute(&mut *tx).await?;
        let spent = sqlx::query("DELETE FROM invites WHERE expires_ms <= $1 OR uses_left <= 0").bind(now);
        spent.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(sessions.rows_affected())
    }
}

struct Held {
    identity: Identity,
    created_ms: u64,
    expires_ms: u64,
}

/// Ends the sessions of a user whose row this transaction has, or whose sessions it means to end one by one.
pub(super) async fn end_sessions(tx: &mut Tx, user: &UserId, keep: Option<&LoginId>) -> Result<u64, StoreError> {
    const DELETE: &str = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2";
    let delete = sqlx::query(DELETE).bind(user.as_str()).bind(keep.map_or("", LoginId::as_str));
    Ok(delete.execute(&mut **tx).await?.rows_affected())
}
