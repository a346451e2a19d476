//! Staying signed in, and signing out.
//!
//! ```text
//! login ──▶ session (one row) ──▶ refresh token 1 ──refresh──▶ 2 ──refresh──▶ 3 …
//!                                        └── presented again: the session is deleted, and all its tokens with it
//! ```
//! A refresh token works once. Presented twice, one of the two presenters is a thief, and nobody can tell which: the session
//! ends for both (RFC 9700 §4.14.2). There is no grace: a client whose answer was lost signs in again. So of two refreshes at
//! once one is answered, and what it was given ends with the other.
//! An access token minted from an [`Identity`] outlives its session by its own lifetime, unless it is revoked at the edges, or
//! [`Accounts::identity`] is asked.

use std::net::IpAddr;

use sqlx::Row;

use super::{
    Accounts, Actor, LoginId, Role, Secret, StoreError, UserId,
    db::{Tx, at, unsigned},
    follows::hold_user,
    logins::{KNOWN_BY_ID, Known},
    secret::{self, Kind},
    text,
};
use freshet_proto::id::ChannelName;
use serde_json::json;

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
    /// The token was used before: somebody else has it. The session has ended for both; what was minted in it is to be revoked.
    #[error("this refresh token was used before; the session has been ended, sign in again")]
    Reused(LoginId),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    pub(super) async fn begin_session(
        &self,
        tx: &mut Tx,
        client: &Client,
        known: Known,
    ) -> Result<SignedIn, StoreError> {
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
        const FIND: &str = "SELECT s.user_id, t.session_id, t.generation FROM refresh_tokens t \
                            JOIN sessions s ON s.id = t.session_id WHERE t.hash = $1";
        const USE: &str = "UPDATE refresh_tokens SET rotated_ms = $2 WHERE hash = $1 AND rotated_ms IS NULL";
        let (hash, now_ms) = (secret::hash(token), self.now_ms());
        // Nonsense is refused without waiting for a turn to write.
        let find = sqlx::query_as(FIND).bind(&hash);
        let found: Option<(String, String, i64)> = find.fetch_optional(self.db().read()).await?;
        let (user, session, generation) = found.ok_or(RefreshError::Unknown)?;
        let mut tx = self.db().begin().await?;
        let Held { identity, created_ms, expires_ms } = self.hold(&mut tx, &user.into(), session.into()).await?;
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

    /// Takes a session's row, so that whoever else refreshes it waits; and before that its user's, which PostgreSQL would
    /// take a share of anyhow when the session's row is updated again: in the wrong order, if the user is being deleted.
    async fn hold(&self, tx: &mut Tx, user: &UserId, session: LoginId) -> Result<Held, RefreshError> {
        const HOLD: &str = "UPDATE sessions SET seen_ms = seen_ms WHERE id = $1 RETURNING created_ms, expires_ms";
        hold_user(tx, user).await?;
        let known: Option<Known> = sqlx::query_as(KNOWN_BY_ID).bind(user.as_str()).fetch_optional(&mut **tx).await?;
        let known = known.filter(|known| !known.disabled).ok_or(RefreshError::Unknown)?;
        let hold = sqlx::query_as(HOLD).bind(session.as_str());
        let held: Option<(i64, i64)> = hold.fetch_optional(&mut **tx).await?;
        let (created_ms, expires_ms) = held.ok_or(RefreshError::Unknown)?;
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
        Ok(if reused { RefreshError::Reused(identity.session.clone()) } else { RefreshError::Expired })
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
        let mut tx = self.db().begin().await?;
        let ended = end_session(&mut tx, user, session).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends all sessions of a user, but for the one to keep. Returns how many there were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn logout_everywhere(&self, user: &UserId, keep: Option<&LoginId>) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        let ended = end_sessions(&mut tx, user, keep).await?;
        tx.commit().await?;
        Ok(ended.len() as u64)
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

/// Ends one session of a user. Tells whether there was one.
pub(super) async fn end_session(tx: &mut Tx, user: &UserId, session: &LoginId) -> Result<bool, StoreError> {
    const DELETE: &str = "DELETE FROM sessions WHERE id = $1 AND user_id = $2";
    let delete = sqlx::query(DELETE).bind(session.as_str()).bind(user.as_str());
    Ok(delete.execute(&mut **tx).await?.rows_affected() > 0)
}

/// Ends the sessions of a user whose row this transaction has, or whose sessions it means to end one by one. Says which.
pub(super) async fn end_sessions(
    tx: &mut Tx,
    user: &UserId,
    keep: Option<&LoginId>,
) -> Result<Vec<LoginId>, StoreError> {
    const DELETE: &str = "DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id";
    let delete = sqlx::query(DELETE).bind(user.as_str()).bind(keep.map_or("", LoginId::as_str));
    let rows = delete.fetch_all(&mut **tx).await?;
    Ok(rows.iter().map(|row| Ok(row.try_get::<String, _>(0)?.into())).collect::<Result<_, sqlx::Error>>()?)
}
