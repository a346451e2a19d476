//! Signing in: with a password, or with a link.
//!
//! An attempt counts as a failure until it has succeeded, so that guesses made at once count all. Then the account is looked
//! up and a password is hashed whether or not there is one to compare it with. What is right by then may have changed
//! meanwhile: the session begins only if the same password is still there when the account's row is taken.

use std::net::IpAddr;

use freshet_proto::id::ChannelName;
use serde_json::json;
use sqlx::{FromRow, Row, any::AnyRow};

use super::{
    Accounts, Actor, Busy, Client, Email, Role, SignedIn, StoreError, TryLater, UserId,
    db::{at, corrupt},
    password::Verdict,
    secret, text,
};

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

/// What a login needs to know of an account.
pub(super) struct Known {
    pub id: UserId,
    pub username: ChannelName,
    pub role: Role,
    pub password: Option<String>,
    pub disabled: bool,
}

const KNOWN_BY_NAME: &str = "SELECT id, username, role, password, CASE WHEN disabled_ms IS NULL THEN 0 ELSE 1 END \
                             FROM users WHERE username = $1";
const KNOWN_BY_EMAIL: &str = "SELECT id, username, role, password, CASE WHEN disabled_ms IS NULL THEN 0 ELSE 1 END \
                              FROM users WHERE email = $1";
pub(super) const KNOWN_BY_ID: &str = "SELECT id, username, role, password, CASE WHEN disabled_ms IS NULL THEN 0 ELSE 1 END \
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
        self.settle(&result, &login, client.address);
        result
    }

    /// What a login that was counted as a failure has turned out to be.
    fn settle(&self, result: &Result<SignedIn, LoginError>, who: &str, from: IpAddr) {
        match result {
            Ok(_) | Err(LoginError::Disabled) => self.logins().succeeded(who, from),
            Err(LoginError::Busy(_) | LoginError::Store(_)) => self.logins().undecided(who, from),
            Err(LoginError::Refused | LoginError::TryLater(_)) => {}
        }
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
        let hash = secret::hash(link);
        self.logins().attempt(self.now_ms(), &hash, client.address).map_err(TryLater::from)?;
        let result = self.enter(client, &hash).await;
        self.settle(&result, &hash, client.address);
        result
    }

    async fn enter(&self, client: &Client, hash: &str) -> Result<SignedIn, LoginError> {
        const TAKE: &str = "DELETE FROM login_links WHERE hash = $1 AND expires_ms > $2 RETURNING user_id";
        let mut tx = self.db().begin().await?;
        let take = sqlx::query_scalar(TAKE).bind(hash).bind(at(self.now_ms()));
        let user: Option<String> = take.fetch_optional(&mut *tx).await?;
        let user = user.ok_or(LoginError::Refused)?;
        let known: Option<Known> = sqlx::query_as(KNOWN_BY_ID).bind(&user).fetch_optional(&mut *tx).await?;
        let known = known.filter(|known| !known.disabled).ok_or(LoginError::Disabled)?;
        let (actor, target) = (Actor::User(known.id.clone()), known.id.clone());
        let signed_in = self.begin_session(&mut tx, client, known).await?;
        self.audit_in(&mut tx, &actor, "session.link", target.as_str(), &json!({})).await?;
        tx.commit().await?;
        Ok(signed_in)
    }
}
