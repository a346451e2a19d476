//! Registering, and what a person says of themselves.

use std::net::IpAddr;

use freshet_proto::id::ChannelName;
use serde_json::json;
use sqlx::{FromRow, Row, any::AnyRow};

use super::{
    Accounts, Actor, Busy, Email, Invalid, Password, Registration, StoreError, TryLater, UserId,
    db::{Tx, at, corrupt, unsigned},
    ids::words,
    text,
};

words! {
    /// What somebody may do to the platform as a whole.
    Role {
        /// Use it.
        User = "user",
        /// Run it.
        Admin = "admin",
    }
}

/// An account. Everything but the username, the display name, the bio and the avatar is for its owner and administrators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its name, and that of its channel. Never changes.
    pub username: ChannelName,
    /// Its address, if it has told one.
    pub email: Option<Email>,
    /// What it is called.
    pub display_name: String,
    /// What it says of itself; may have several lines.
    pub bio: String,
    /// The colour of its name in chat, `#rrggbb`, where it has chosen one.
    pub color: Option<String>,
    /// The hash of its picture; see [`Accounts::avatar`].
    pub avatar: Option<String>,
    /// What it may do to the platform.
    pub role: Role,
    /// Since when it is there, in ms since 1970.
    pub created_ms: u64,
    /// Since when it may not sign in, in ms since 1970.
    pub disabled_ms: Option<u64>,
    /// Whether it can sign in with a password; otherwise by a link alone.
    pub has_password: bool,
}

/// `SELECT` for [`User`], and what follows.
macro_rules! select_user {
    ($tail:literal) => {
        concat!(
            "SELECT u.id, u.username, u.email, u.display_name, u.bio, u.avatar, u.role, u.created_ms, u.disabled_ms, \
             CASE WHEN u.password IS NULL THEN 0 ELSE 1 END, u.color FROM users u ",
            $tail
        )
    };
}
pub(super) use select_user;

impl FromRow<'_, AnyRow> for User {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let lost = |what| corrupt(what).into_inner();
        let (username, email, role): (String, Option<String>, String) =
            (row.try_get(1)?, row.try_get(2)?, row.try_get(6)?);
        Ok(Self {
            id: row.try_get::<String, _>(0)?.into(),
            username: username.parse().map_err(|_| lost("a username"))?,
            email: email.map(|email| Email::parse(&email)).transpose().map_err(|_| lost("an e-mail address"))?,
            display_name: row.try_get(3)?,
            bio: row.try_get(4)?,
            avatar: row.try_get(5)?,
            role: Role::from_word(&role).ok_or_else(|| lost("a role"))?,
            created_ms: unsigned(row.try_get(7)?),
            disabled_ms: row.try_get::<Option<i64>, _>(8)?.map(unsigned),
            has_password: row.try_get::<i64, _>(9)? != 0,
            color: row.try_get(10)?,
        })
    }
}

/// What makes an account.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name that it wants, in any case. Also its first display name.
    pub username: String,
    /// Its address, if it tells one.
    pub email: Option<String>,
    /// Its password.
    pub password: String,
    /// Its invitation, where one is needed.
    pub invite: Option<String>,
}

/// Why no account was made. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The person's: something is not written as it must be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The person's: the name is or was somebody's. That is public anyhow: channels are.
    #[error("that username is taken; choose another one")]
    NameTaken,
    /// The person's: there is an account of that address. Whether to say so is the caller's choice; each attempt counts
    /// against the address that it came from.
    #[error("there is an account with that e-mail address; sign in, or use another address")]
    EmailTaken,
    /// The person's: the platform takes nobody without an invitation that is good.
    #[error("registering needs an invitation that is neither used up nor out of date; ask an administrator for one")]
    NeedsInvite,
    /// The platform's choice.
    #[error("registration is closed; ask an administrator for an account")]
    Closed,
    /// Too many registrations from there.
    #[error(transparent)]
    TryLater(#[from] TryLater),
    /// Ours.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to change of a profile; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileChange {
    /// What it is called.
    pub display_name: Option<String>,
    /// What it says of itself.
    pub bio: Option<String>,
    /// Its address; `Some(None)` takes it away.
    pub email: Option<Option<String>>,
    /// The colour of its name in chat; `Some(None)` takes it away.
    pub color: Option<Option<String>>,
}

/// Why a profile was not changed; then nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The person's: something is not written as it must be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The person's: there is another account of that address.
    #[error("there is an account with that e-mail address; use another one")]
    EmailTaken,
    /// The caller's: there is no such account, or no more.
    #[error("there is no such account")]
    NoSuchUser,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account about to be made, checked and with its password hashed.
pub(super) struct Checked {
    pub username: ChannelName,
    pub display_name: String,
    pub email: Option<Email>,
    pub password: Option<String>,
    pub role: Role,
}

impl Accounts {
    /// Makes an account and its channel, for somebody at `from`.
    ///
    /// # Errors
    /// See [`RegisterError`]. Of two who want the same name or address at once, one gets it.
    pub async fn register(&self, from: IpAddr, new: NewAccount) -> Result<User, RegisterError> {
        let registration = self.registration().await?;
        if registration == Registration::Closed {
            return Err(RegisterError::Closed);
        }
        let username = text::username(&new.username)?;
        let email = new.email.as_deref().map(Email::parse).transpose()?;
        let password = Password::new(new.password)?;
        self.count_registration(from)?;
        let display_name = text::display_name(&new.username)?;
        let password = Some(self.0.hasher.hash(&password).await?);
        let mut tx = self.db().begin().await?;
        if registration == Registration::Invite {
            self.use_invite(&mut tx, new.invite.as_deref().unwrap_or_default()).await?;
        }
        let id = self.insert(&mut tx, Checked { username, display_name, email, password, role: Role::User }).await?;
        self.commit_and_tell(tx).await?;
        self.user(&id).await?.ok_or(RegisterError::NameTaken)
    }

    /// Inserts a user with its channel. The name is claimed first, so that whoever comes second learns it from that.
    pub(super) async fn insert(&self, tx: &mut Tx, new: Checked) -> Result<UserId, RegisterError> {
        const NAME: &str = "INSERT INTO names (name, taken_ms) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        const USER: &str = "INSERT INTO users (id, username, email, password, display_name, role, created_ms) \
                            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        const CHANNEL: &str = "INSERT INTO channels (name, owner_id, created_ms, seq) VALUES ($1, $2, $3, 0)";
        let (id, now, name) = (UserId::generate(self.random()), at(self.now_ms()), new.username.as_str());
        if sqlx::query(NAME).bind(name).bind(now).execute(&mut **tx).await?.rows_affected() == 0 {
            return Err(RegisterError::NameTaken);
        }
        let user = sqlx::query(USER).bind(id.as_str()).bind(name).bind(new.email.map(String::from)).bind(new.password);
        let user = user.bind(new.display_name).bind(new.role.as_str()).bind(now);
        if user.execute(&mut **tx).await?.rows_affected() == 0 {
            return Err(RegisterError::EmailTaken);
        }
        sqlx::query(CHANNEL).bind(name).bind(id.as_str()).bind(now).execute(&mut **tx).await?;
        self.announce(tx, &new.username).await?;
        Ok(id)
    }

    /// An account by its id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user(&self, id: &UserId) -> Result<Option<User>, StoreError> {
        let query = sqlx::query_as(select_user!("WHERE u.id = $1")).bind(id.as_str());
        Ok(query.fetch_optional(self.db().read()).await?)
    }

    /// An account by its name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_by_name(&self, name: &ChannelName) -> Result<Option<User>, StoreError> {
        let query = sqlx::query_as(select_user!("WHERE u.username = $1")).bind(name.as_str());
        Ok(query.fetch_optional(self.db().read()).await?)
    }

    /// The colour that an account has chosen for its name in chat, 0xRRGGBB.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn name_color(&self, id: &UserId) -> Result<Option<u32>, StoreError> {
        const SELECT: &str = "SELECT color FROM users WHERE id = $1";
        let query = sqlx::query_scalar(SELECT).bind(id.as_str());
        let color: Option<Option<String>> = query.fetch_optional(self.db().read()).await?;
        Ok(color.flatten().and_then(|color| u32::from_str_radix(color.strip_prefix('#')?, 16).ok()))
    }

    /// Changes a profile, all of it or nothing.
    ///
    /// # Errors
    /// See [`ProfileError`].
    pub async fn update_profile(&self, id: &UserId, change: ProfileChange) -> Result<User, ProfileError> {
        const SET: &str = "UPDATE users SET display_name = coalesce($2, display_name), bio = coalesce($3, bio), \
                           color = CASE WHEN $4 = 1 THEN $5 ELSE color END WHERE id = $1";
        let display_name = change.display_name.as_deref().map(text::display_name).transpose()?;
        let bio = change.bio.as_deref().map(text::bio).transpose()?;
        let email = change.email.map(|email| email.as_deref().map(Email::parse).transpose()).transpose()?;
        let color = change.color.map(|color| color.as_deref().map(text::color).transpose()).transpose()?;
        let mut tx = self.db().begin().await?;
        let set = sqlx::query(SET).bind(id.as_str()).bind(display_name).bind(bio);
        let set = set.bind(i64::from(color.is_some())).bind(color.flatten());
        if set.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(ProfileError::NoSuchUser);
        }
        if let Some(email) = email {
            set_email(&mut tx, id, email).await?;
        }
        tx.commit().await?;
        self.user(id).await?.ok_or(ProfileError::NoSuchUser)
    }

    /// Deletes an account and everything personal: profile, picture, sessions, follows, roles, its
    /// channel with its chat, and keys. Its
    /// name stays taken; the registry is told to remove the channel. Whoever asks has been asked for their password.
    ///
    /// # Errors
    /// See [`AdminError`](super::AdminError): the last administrator can't be deleted.
    pub async fn delete_account(&self, actor: &Actor, id: &UserId) -> Result<(), super::AdminError> {
        const DELETE: &str = "DELETE FROM users WHERE id = $1 RETURNING username";
        let mut tx = self.db().begin().await?;
        self.keep_an_admin(&mut tx, id).await?;
        self.withdraw(&mut tx, id).await?;
        let name: Option<String> = sqlx::query_scalar(DELETE).bind(id.as_str()).fetch_optional(&mut *tx).await?;
        let name = name.ok_or(super::AdminError::NoSuchUser)?;
        super::chat::forget(&mut tx, &name).await?;
        self.audit_in(&mut tx, actor, "user.delete", id.as_str(), &json!({})).await?;
        Ok(self.commit_and_tell(tx).await?)
    }
}

async fn set_email(tx: &mut Tx, id: &UserId, email: Option<Email>) -> Result<(), ProfileError> {
    const SET: &str = "UPDATE users SET email = $2 WHERE id = $1";
    let set = sqlx::query(SET).bind(id.as_str()).bind(email.map(String::from)).execute(&mut **tx).await;
    set.map(drop).map_err(|error| match error.as_database_error() {
        Some(database) if database.is_unique_violation() => ProfileError::EmailTaken,
        _ => error.into(),
    })
}
