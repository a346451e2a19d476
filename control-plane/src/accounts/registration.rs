//! Who may register, and the invitations with which they may.
//!
//! What the configuration says holds until an administrator says otherwise; that is kept in the database, for all control nodes.

use serde_json::json;

use super::{
    Accounts, Actor, Page, RegisterError, Registration, Secret, StoreError,
    db::{Tx, at, unsigned},
    page,
    secret::{self, Kind},
};

/// The setting's name.
const SETTING: &str = "registration";

/// What an invitation is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InviteTerms {
    /// How many may use it.
    pub uses: u32,
    /// For how many seconds.
    pub seconds: u64,
}

/// An invitation that is still good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The hash of its secret, by which it is revoked.
    pub id: String,
    /// When it was made, in ms since 1970; 0 where that was not written down.
    pub created_ms: u64,
    /// Who made it, where that was written down.
    pub by: Option<Actor>,
    /// What whoever made it is called, as long as they have an account.
    pub by_name: Option<String>,
    /// Until when it is good, in ms since 1970.
    pub expires_ms: u64,
    /// How many it was for.
    pub uses: u64,
    /// How many more may use it.
    pub uses_left: u64,
}

impl Registration {
    /// The word for it, in the database and in the REST API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Open, Self::Invite, Self::Closed].into_iter().find(|registration| registration.as_str() == word)
    }
}

impl Accounts {
    /// Who may register: what an administrator has said, else what the configuration says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn registration(&self) -> Result<Registration, StoreError> {
        const SELECT: &str = "SELECT value FROM settings WHERE name = $1";
        let query = sqlx::query_scalar(SELECT).bind(SETTING);
        let said: Option<String> = query.fetch_optional(self.db().read()).await?;
        Ok(said.as_deref().and_then(Registration::from_word).unwrap_or(self.config().registration))
    }

    /// Says who may register, on all control nodes, from now on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_registration(&self, actor: &Actor, registration: Registration) -> Result<(), StoreError> {
        const UPSERT: &str = "INSERT INTO settings (name, value) VALUES ($1, $2) \
                              ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let mut tx = self.db().begin().await?;
        sqlx::query(UPSERT).bind(SETTING).bind(registration.as_str()).execute(&mut *tx).await?;
        self.audit_in(&mut tx, actor, "registration.set", registration.as_str(), &json!({})).await?;
        Ok(tx.commit().await?)
    }

    /// Makes an invitation; the secret is told this once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invite(&self, actor: &Actor, terms: InviteTerms) -> Result<Secret, StoreError> {
        const INSERT: &str = "INSERT INTO invites (hash, expires_ms, uses_left, uses, created_ms, created_by) \
                              VALUES ($1, $2, $3, $3, $4, $5)";
        let (invite, now_ms) = (Secret::generate(Kind::Invite, self.random()), self.now_ms());
        let expires_ms = now_ms.saturating_add(terms.seconds.saturating_mul(1000));
        let mut tx = self.db().begin().await?;
        let insert = sqlx::query(INSERT).bind(invite.hash()).bind(at(expires_ms)).bind(i64::from(terms.uses));
        insert.bind(at(now_ms)).bind(actor.to_text()).execute(&mut *tx).await?;
        let details = json!({ "uses": terms.uses, "seconds": terms.seconds });
        self.audit_in(&mut tx, actor, "invite.add", &invite.hash(), &details).await?;
        tx.commit().await?;
        Ok(invite)
    }

    /// The invitations that are still good, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn invites(&self, after: Option<&str>, limit: usize) -> Result<Page<Invite>, StoreError> {
        const SELECT: &str = "SELECT i.created_ms, i.hash, i.expires_ms, i.uses, i.uses_left, i.created_by, u.username \
                              FROM invites i LEFT JOIN users u ON u.id = substr(i.created_by, 6) \
                              WHERE i.expires_ms > $1 AND i.uses_left > 0 \
                              AND (i.created_ms < $2 OR (i.created_ms = $2 AND i.hash < $3)) \
                              ORDER BY i.created_ms DESC, i.hash DESC LIMIT $4";
        type Row = (i64, String, i64, i64, i64, Option<String>, Option<String>);
        let cursor = after.and_then(|after| after.split_once('.'));
        let (before_ms, before) = cursor.map_or((i64::MAX, ""), |(ms, hash)| (ms.parse().unwrap_or(0), hash));
        let limit = page(limit);
        let query = sqlx::query_as(SELECT).bind(at(self.now_ms())).bind(before_ms);
        let query = query.bind(before.replace('\0', "")).bind(limit as i64 + 1);
        let rows: Vec<Row> = query.fetch_all(self.db().read()).await?;
        let rows = Page::cut(rows, limit, |(created_ms, hash, ..)| format!("{created_ms}.{hash}"));
        let invite = |(created_ms, id, expires_ms, uses, uses_left, by, by_name): Row| Invite {
            id,
            created_ms: unsigned(created_ms),
            by: by.as_deref().map(Actor::from_text),
            by_name,
            expires_ms: unsigned(expires_ms),
            uses: unsigned(uses),
            uses_left: unsigned(uses_left),
        };
        Ok(Page { items: rows.items.into_iter().map(invite).collect(), next: rows.next })
    }

    /// Takes an invitation back. Tells whether there was one that was good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_invite(&self, actor: &Actor, id: &str) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM invites WHERE hash = $1 AND expires_ms > $2 AND uses_left > 0";
        let id = id.replace('\0', "");
        let mut tx = self.db().begin().await?;
        let delete = sqlx::query(DELETE).bind(&id).bind(at(self.now_ms()));
        let there = delete.execute(&mut *tx).await?.rows_affected() > 0;
        if there {
            self.audit_in(&mut tx, actor, "invite.revoke", &id, &json!({})).await?;
        }
        tx.commit().await?;
        Ok(there)
    }

    pub(super) async fn use_invite(&self, tx: &mut Tx, invite: &str) -> Result<(), RegisterError> {
        const USE: &str =
            "UPDATE invites SET uses_left = uses_left - 1 WHERE hash = $1 AND expires_ms > $2 AND uses_left > 0";
        let query = sqlx::query(USE).bind(secret::hash(invite)).bind(at(self.now_ms()));
        match query.execute(&mut **tx).await?.rows_affected() {
            0 => Err(RegisterError::NeedsInvite),
            _ => Ok(()),
        }
    }
}
