//! What administrators do, each with its entry in the audit log; and how the first of them comes in.

use serde_json::json;

use super::{
    Accounts, Actor, Busy, Email, Invalid, LoginId, Page, Password, RegisterError, Role, Secret, StoreError, User,
    UserId,
    db::{Tx, at, containing, unsigned},
    follows::{cursor, hold_user},
    page,
    secret::Kind,
    sessions::{end_session, end_sessions},
    text,
    users::{Checked, select_user},
};

/// For how long a login link is good, in ms.
pub const LINK_LASTS_MS: u64 = 24 * 3_600_000;

/// The name of the first administrator, unless it is taken.
pub const FIRST_ADMIN: &str = "admin";

/// Why something was not administered; then nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Something is not written as it must be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The name is or was somebody's.
    #[error("that username is or was somebody's; choose another one")]
    NameTaken,
    /// There is an account of that address.
    #[error("there is an account with that e-mail address")]
    EmailTaken,
    /// There is no such account, or no more.
    #[error("there is no such account")]
    NoSuchUser,
    /// Then nobody could administer anything.
    #[error("that is the last administrator; make another one first")]
    LastAdmin,
    /// Ours.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RegisterError> for AdminError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Invalid(error) => Self::Invalid(error),
            RegisterError::EmailTaken => Self::EmailTaken,
            RegisterError::Busy(error) => Self::Busy(error),
            RegisterError::Store(error) => Self::Store(error),
            // The others are reasons to refuse whoever comes by themselves.
            _ => Self::NameTaken,
        }
    }
}

/// Which users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Those whose name, display name or address has this in it.
    pub search: Option<String>,
    /// Those of this role.
    pub role: Option<Role>,
}

impl Accounts {
    /// Makes an account, whoever may register. Without a password it is entered by a [login link](Accounts::login_link).
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn add_user(
        &self,
        actor: &Actor,
        username: &str,
        email: Option<&str>,
        password: Option<&Password>,
        role: Role,
    ) -> Result<User, AdminError> {
        let checked = Checked {
            username: text::username(username)?,
            display_name: text::display_name(username)?,
            email: email.map(Email::parse).transpose()?,
            password: match password {
                Some(password) => Some(self.0.hasher.hash(password).await?),
                None => None,
            },
            role,
        };
        let mut tx = self.db().begin().await?;
        let id = self.add(&mut tx, actor, checked).await?;
        self.commit_and_tell(tx).await?;
        self.user(&id).await?.ok_or(AdminError::NoSuchUser)
    }

    async fn add(&self, tx: &mut Tx, actor: &Actor, checked: Checked) -> Result<UserId, AdminError> {
        let role = checked.role;
        let id = self.insert(tx, checked).await?;
        self.audit_in(tx, actor, "user.add", id.as_str(), &json!({ "role": role })).await?;
        Ok(id)
    }

    /// Sets a password and ends all sessions of the account.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn set_password(&self, actor: &Actor, id: &UserId, password: &Password) -> Result<(), AdminError> {
        const SET: &str = "UPDATE users SET password = $2 WHERE id = $1";
        let phc = self.0.hasher.hash(password).await?;
        let mut tx = self.db().begin().await?;
        if sqlx::query(SET).bind(id.as_str()).bind(phc).execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(AdminError::NoSuchUser);
        }
        end_sessions(&mut tx, id, None).await?;
        self.audit_in(&mut tx, actor, "user.password", id.as_str(), &json!({})).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives an account another role. Access tokens that are out say the old one until they run out.
    ///
    /// # Errors
    /// See [`AdminError`]: the last administrator stays one.
    pub async fn set_role(&self, actor: &Actor, id: &UserId, role: Role) -> Result<(), AdminError> {
        const SET: &str = "UPDATE users SET role = $2 WHERE id = $1";
        let mut tx = self.db().begin().await?;
        if role != Role::Admin {
            self.keep_an_admin(&mut tx, id).await?;
        }
        if sqlx::query(SET).bind(id.as_str()).bind(role.as_str()).execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(AdminError::NoSuchUser);
        }
        self.audit_in(&mut tx, actor, "user.role", id.as_str(), &json!({ "role": role })).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Shuts an account out, or lets it in again. While it is out its sessions are ended and its stream keys are withdrawn
    /// from the registry.
    ///
    /// # Errors
    /// See [`AdminError`]: the last administrator can't be shut out.
    pub async fn set_disabled(&self, actor: &Actor, id: &UserId, disabled: bool) -> Result<(), AdminError> {
        const SET: &str = "UPDATE users SET disabled_ms = $2 WHERE id = $1";
        let mut tx = self.db().begin().await?;
        if disabled {
            self.keep_an_admin(&mut tx, id).await?;
        }
        let since = disabled.then(|| at(self.now_ms()));
        if sqlx::query(SET).bind(id.as_str()).bind(since).execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(AdminError::NoSuchUser);
        }
        self.withdraw(&mut tx, id).await?;
        end_sessions(&mut tx, id, None).await?;
        let action = if disabled { "user.disable" } else { "user.enable" };
        self.audit_in(&mut tx, actor, action, id.as_str(), &json!({})).await?;
        Ok(self.commit_and_tell(tx).await?)
    }

    /// Takes the row of a user who is to be an administrator no more, and sees that another one remains. Whoever else does
    /// the same waits.
    pub(super) async fn keep_an_admin(&self, tx: &mut Tx, id: &UserId) -> Result<(), AdminError> {
        const ALONE: &str = "UPDATE locks SET taken = taken + 1 WHERE name = 'admins'";
        const IS_ONE: &str = "SELECT id FROM users WHERE id = $1 AND role = 'admin' AND disabled_ms IS NULL";
        const OTHER: &str = "SELECT id FROM users WHERE id <> $1 AND role = 'admin' AND disabled_ms IS NULL LIMIT 1";
        sqlx::query(ALONE).execute(&mut **tx).await?;
        hold_user(tx, id).await?;
        let is_one: Option<String> = sqlx::query_scalar(IS_ONE).bind(id.as_str()).fetch_optional(&mut **tx).await?;
        let other: Option<String> = sqlx::query_scalar(OTHER).bind(id.as_str()).fetch_optional(&mut **tx).await?;
        if is_one.is_some() && other.is_none() { Err(AdminError::LastAdmin) } else { Ok(()) }
    }

    /// Ends all sessions of an account. Tells how many there were.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn end_all_sessions(&self, actor: &Actor, id: &UserId) -> Result<u64, AdminError> {
        let mut tx = self.db().begin().await?;
        if !hold_user(&mut tx, id).await? {
            return Err(AdminError::NoSuchUser);
        }
        let ended = end_sessions(&mut tx, id, None).await?.len() as u64;
        self.audit_in(&mut tx, actor, "user.logout", id.as_str(), &json!({ "sessions": ended })).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends one session of an account. Tells whether there was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, actor: &Actor, id: &UserId, session: &LoginId) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        if !end_session(&mut tx, id, session).await? {
            return Ok(false);
        }
        let details = json!({ "session": session });
        self.audit_in(&mut tx, actor, "user.end_session", id.as_str(), &details).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The users, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(
        &self,
        filter: &UserFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<User>, StoreError> {
        const SELECT: &str = select_user!(
            "WHERE u.username > $1 AND (u.username LIKE $2 ESCAPE '\\' OR lower(u.display_name) LIKE $2 ESCAPE '\\' \
             OR coalesce(u.email, '') LIKE $2 ESCAPE '\\') AND u.role LIKE $3 ORDER BY u.username LIMIT $4"
        );
        let limit = page(limit);
        let query = sqlx::query_as(SELECT).bind(cursor(after)).bind(pattern(filter));
        let query = query.bind(filter.role.map_or("%", Role::as_str)).bind(limit as i64 + 1);
        Ok(Page::cut(query.fetch_all(self.db().read()).await?, limit, |last: &User| last.username.to_string()))
    }

    /// How many users there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_count(&self, filter: &UserFilter) -> Result<u64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM users u WHERE (u.username LIKE $1 ESCAPE '\\' \
                             OR lower(u.display_name) LIKE $1 ESCAPE '\\' OR coalesce(u.email, '') LIKE $1 ESCAPE '\\') \
                             AND u.role LIKE $2";
        let query = sqlx::query_scalar(COUNT).bind(pattern(filter)).bind(filter.role.map_or("%", Role::as_str));
        Ok(unsigned(query.fetch_one(self.db().read()).await?))
    }

    /// A secret with which somebody signs in once, within 24 hours; see [`Accounts::login_by_link`]. One made before is
    /// good no more. Told this once.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn login_link(&self, actor: &Actor, id: &UserId) -> Result<Secret, AdminError> {
        let mut tx = self.db().begin().await?;
        if !hold_user(&mut tx, id).await? {
            return Err(AdminError::NoSuchUser);
        }
        let link = self.make_link(&mut tx, actor, id).await?;
        tx.commit().await?;
        Ok(link)
    }

    async fn make_link(&self, tx: &mut Tx, actor: &Actor, id: &UserId) -> Result<Secret, AdminError> {
        const UPSERT: &str = "INSERT INTO login_links (hash, user_id, expires_ms) VALUES ($1, $2, $3) \
                              ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, expires_ms = excluded.expires_ms";
        let link = Secret::generate(Kind::Link, self.random());
        let expires_ms = at(self.now_ms().saturating_add(LINK_LASTS_MS));
        sqlx::query(UPSERT).bind(link.hash()).bind(id.as_str()).bind(expires_ms).execute(&mut **tx).await?;
        self.audit_in(tx, actor, "user.link", id.as_str(), &json!({})).await?;
        Ok(link)
    }

    /// At the start: the secret of a link for an administrator to come in, unless one has a password. Makes the account if
    /// need be. There is no default password; until one is set, each start gives another link, and only the latest is good.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn first_admin(&self) -> Result<Option<(User, Secret)>, AdminError> {
        const ALONE: &str = "UPDATE locks SET taken = taken + 1 WHERE name = 'admins'";
        const ADMIN: &str = select_user!(
            "WHERE u.role = 'admin' AND u.disabled_ms IS NULL ORDER BY CASE WHEN u.password IS NULL THEN 1 ELSE 0 END, \
             u.created_ms, u.id LIMIT 1"
        );
        let mut tx = self.db().begin().await?;
        sqlx::query(ALONE).execute(&mut *tx).await?;
        let admin: Option<User> = sqlx::query_as(ADMIN).fetch_optional(&mut *tx).await?;
        let id = match admin {
            Some(admin) if admin.has_password => return Ok(None),
            Some(admin) => admin.id,
            None => self.add_first_admin(&mut tx).await?,
        };
        let link = self.make_link(&mut tx, &Actor::System, &id).await?;
        self.commit_and_tell(tx).await?;
        let admin = self.user(&id).await?.ok_or(AdminError::NoSuchUser)?;
        Ok(Some((admin, link)))
    }

    async fn add_first_admin(&self, tx: &mut Tx) -> Result<UserId, AdminError> {
        const TAKEN: &str = "SELECT name FROM names WHERE name = $1";
        let taken: Option<String> = sqlx::query_scalar(TAKEN).bind(FIRST_ADMIN).fetch_optional(&mut **tx).await?;
        let name = match taken {
            Some(taken) => format!("{taken}-{:06}", self.random().below(1_000_000)),
            None => FIRST_ADMIN.to_owned(),
        };
        let checked = Checked {
            username: text::username(&name)?,
            display_name: name,
            email: None,
            password: None,
            role: Role::Admin,
        };
        self.add(tx, &Actor::System, checked).await
    }
}

fn pattern(filter: &UserFilter) -> String {
    let search = filter.search.as_deref().unwrap_or_default();
    containing(&search.trim().to_lowercase().replace('\0', ""))
}
