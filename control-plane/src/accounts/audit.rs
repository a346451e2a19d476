//! Who did what to whom, when: written together with what it tells of, never changed, read by administrators.

use serde_json::Value;

use super::{
    Accounts, Page, StoreError, UserId,
    db::{Tx, at, unsigned},
    page,
};

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody with an account.
    User(UserId),
    /// Whoever has the machine: the command line.
    Operator,
    /// Freshet by itself.
    System,
}

impl Actor {
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Operator => "operator".to_owned(),
            Self::System => "system".to_owned(),
        }
    }

    pub(super) fn from_text(text: &str) -> Self {
        match text.split_once(':') {
            Some((_, id)) => Self::User(id.into()),
            None if text == "operator" => Self::Operator,
            None => Self::System,
        }
    }
}

/// One entry of the audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// Who.
    pub actor: Actor,
    /// What whoever it was is called, as long as they have an account.
    pub actor_name: Option<String>,
    /// What, as `noun.verb`: `user.role`, `session.reuse`, …
    pub action: String,
    /// To whom or what: an id or a name.
    pub target: String,
    /// What the account is called that the target is the id of, as long as there is one.
    pub target_name: Option<String>,
    /// The rest. No secrets, and nothing personal that outlives its account.
    pub details: Value,
}

/// Which entries to list; what is left out is not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those of this one: an account by its name or id, `operator` or `system`.
    pub actor: Option<String>,
    /// Those of this action (`user.role`), or of all that begin with this noun (`user`).
    pub action: Option<String>,
    /// Those about this: an account by its name or id, or whatever else an action names.
    pub target: Option<String>,
}

impl Accounts {
    /// Writes an entry by itself; what is done here writes its own.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit(&self, actor: &Actor, action: &str, target: &str, details: &Value) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        self.audit_in(&mut tx, actor, action, target, details).await?;
        Ok(tx.commit().await?)
    }

    pub(super) async fn audit_in(
        &self,
        tx: &mut Tx,
        actor: &Actor,
        action: &str,
        target: &str,
        details: &Value,
    ) -> Result<(), StoreError> {
        const INSERT: &str =
            "INSERT INTO audit (id, at_ms, actor, action, target, details) VALUES ($1, $2, $3, $4, $5, $6)";
        let query = sqlx::query(INSERT).bind(self.random().token()).bind(at(self.now_ms())).bind(actor.to_text());
        query.bind(action).bind(target).bind(details.to_string()).execute(&mut **tx).await?;
        Ok(())
    }

    /// The entries, newest first; those of one moment in any order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<AuditEntry>, StoreError> {
        const SELECT: &str = "SELECT a.at_ms, a.id, a.actor, a.action, a.target, a.details, u.username, t.username FROM audit a \
                              LEFT JOIN users u ON u.id = substr(a.actor, 6) LEFT JOIN users t ON t.id = a.target \
                              WHERE (a.at_ms < $1 OR (a.at_ms = $1 AND a.id < $2)) \
                              AND ($4 = '' OR a.actor = $4 OR a.actor = 'user:' || $4 OR u.username = $4) \
                              AND ($5 = '' OR a.action = $5 OR substr(a.action, 1, length($5) + 1) = $5 || '.') \
                              AND ($6 = '' OR a.target = $6 OR t.username = $6) \
                              ORDER BY a.at_ms DESC, a.id DESC LIMIT $3";
        type Row = (i64, String, String, String, String, String, Option<String>, Option<String>);
        let cursor = after.and_then(|after| after.split_once('.'));
        let (before_ms, before_id) = cursor.map_or((i64::MAX, ""), |(ms, id)| (ms.parse().unwrap_or(0), id));
        let before_id = UserId::from(before_id);
        let limit = page(limit);
        let wanted = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().replace('\0', "");
        let query = sqlx::query_as(SELECT).bind(before_ms).bind(before_id.as_str()).bind(limit as i64 + 1);
        let query = query.bind(wanted(&filter.actor)).bind(wanted(&filter.action)).bind(wanted(&filter.target));
        let rows: Vec<Row> = query.fetch_all(self.db().read()).await?;
        let rows = Page::cut(rows, limit, |(at_ms, id, ..)| format!("{at_ms}.{id}"));
        let entry = |(at_ms, _, actor, action, target, details, actor_name, target_name): Row| AuditEntry {
            at_ms: unsigned(at_ms),
            actor: Actor::from_text(&actor),
            actor_name,
            action,
            target,
            target_name,
            details: serde_json::from_str(&details).unwrap_or(Value::Null),
        };
        Ok(Page { items: rows.items.into_iter().map(entry).collect(), next: rows.next })
    }
}
