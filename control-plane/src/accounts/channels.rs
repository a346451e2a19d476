//! What a channel is like: its title and the like, who may watch, and how it goes live.

use freshet_proto::{id::ChannelName, registry::Policy};
use sqlx::{AssertSqlSafe, FromRow, Row, any::AnyRow};

use super::{
    Accounts, Invalid, PAGE, StoreError, UserId,
    db::{corrupt, unsigned},
    ids::words,
    text,
};

words! {
    /// Who may watch a channel.
    Visibility {
        /// Everybody; it is listed.
        Public = "public",
        /// Whoever knows its address.
        Unlisted = "unlisted",
        /// Whoever has a playback token.
        Private = "private",
    }
}

words! {
    /// How a session begins.
    GoLive {
        /// By publishing.
        Auto = "auto",
        /// By the owner saying so.
        Manual = "manual",
    }
}

/// A channel, apart from whether it is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSettings {
    /// Its name, its owner's username.
    pub name: ChannelName,
    /// Whose it is.
    pub owner: UserId,
    /// What its owner is called.
    pub display_name: String,
    /// The hash of its owner's picture.
    pub avatar: Option<String>,
    /// What is on.
    pub title: String,
    /// What kind of thing.
    pub category: String,
    /// What else it is found by.
    pub tags: Vec<String>,
    /// Who may watch.
    pub visibility: Visibility,
    /// What becomes of a second encoder.
    pub takeover: Policy,
    /// Whether publishing starts a session by itself.
    pub go_live: GoLive,
    /// Since when it is there, in ms since 1970.
    pub created_ms: u64,
}

const COLUMNS: &str = "SELECT c.name, c.owner_id, u.display_name, u.avatar, c.title, c.category, c.tags, c.visibility, \
                       c.takeover, c.go_live, c.created_ms FROM channels c JOIN users u ON u.id = c.owner_id";

impl FromRow<'_, AnyRow> for ChannelSettings {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let lost = |what| corrupt(what).into_inner();
        let text = |at: usize| row.try_get::<String, _>(at);
        Ok(Self {
            name: text(0)?.parse().map_err(|_| lost("a channel"))?,
            owner: text(1)?.into(),
            display_name: text(2)?,
            avatar: row.try_get(3)?,
            title: text(4)?,
            category: text(5)?,
            tags: serde_json::from_str(&text(6)?).map_err(|_| lost("a list of tags"))?,
            visibility: Visibility::from_word(&text(7)?).ok_or_else(|| lost("a visibility"))?,
            takeover: parse_policy(&text(8)?).ok_or_else(|| lost("a policy"))?,
            go_live: GoLive::from_word(&text(9)?).ok_or_else(|| lost("a way to go live"))?,
            created_ms: unsigned(row.try_get(10)?),
        })
    }
}

/// What to change of a channel; `None` leaves it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelChange {
    /// What is on.
    pub title: Option<String>,
    /// What kind of thing.
    pub category: Option<String>,
    /// What else it is found by; replaces all.
    pub tags: Option<Vec<String>>,
    /// Who may watch.
    pub visibility: Option<Visibility>,
    /// What becomes of a second encoder.
    pub takeover: Option<Policy>,
    /// Whether publishing starts a session by itself.
    pub go_live: Option<GoLive>,
}

/// Why a channel was not changed; then nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The person's: something is not written as it must be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller's: there is no such channel, or no more.
    #[error("there is no such channel")]
    NoSuchChannel,
    /// The caller's: there is no such account, or no more.
    #[error("there is no such account")]
    NoSuchUser,
    /// The person's: the owner can't be given another role.
    #[error("the channel's owner needs no other role")]
    IsOwner,
    /// The person's: there are as many moderators and VIPs as there may be.
    #[error("a channel has at most {} moderators and VIPs; remove some first", super::MAX_ROLES)]
    TooManyRoles,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// A channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn channel(&self, name: &ChannelName) -> Result<Option<ChannelSettings>, StoreError> {
        Ok(self.channels(std::slice::from_ref(name)).await?.pop())
    }

    /// Several channels at once, by name, of the first [`PAGE`] names; those that aren't there are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn channels(&self, names: &[ChannelName]) -> Result<Vec<ChannelSettings>, StoreError> {
        let names = names.get(..PAGE).unwrap_or(names);
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=names.len()).map(|n| format!("${n}")).collect();
        let select = format!("{COLUMNS} WHERE c.name IN ({}) ORDER BY c.name", places.join(", "));
        // Nothing but numbers has gone into it.
        let mut query = sqlx::query_as(AssertSqlSafe(select));
        for name in names {
            query = query.bind(name.as_str());
        }
        Ok(query.fetch_all(self.db().read()).await?)
    }

    /// Changes a channel, all of it or nothing. The registry hears by the outbox of what concerns it.
    ///
    /// # Errors
    /// See [`ChannelError`].
    pub async fn update_channel(
        &self,
        name: &ChannelName,
        change: ChannelChange,
    ) -> Result<ChannelSettings, ChannelError> {
        const SET: &str = "UPDATE channels SET title = coalesce($2, title), category = coalesce($3, category), \
                           tags = coalesce($4, tags), visibility = coalesce($5, visibility), \
                           takeover = coalesce($6, takeover), go_live = coalesce($7, go_live) WHERE name = $1";
        let title = change.title.as_deref().map(text::title).transpose()?;
        let category = change.category.as_deref().map(text::category).transpose()?;
        let tags = change.tags.as_deref().map(text::tags).transpose()?;
        let concerns_registry = change.visibility.is_some() || change.takeover.is_some() || change.go_live.is_some();
        let mut tx = self.db().begin().await?;
        if concerns_registry {
            self.announce(&mut tx, name).await?;
        }
        let set = sqlx::query(SET).bind(name.as_str()).bind(title).bind(category);
        let set = set.bind(tags.map(|tags| serde_json::json!(tags).to_string()));
        let set = set.bind(change.visibility.map(Visibility::as_str)).bind(change.takeover.map(policy_word));
        let set = set.bind(change.go_live.map(GoLive::as_str));
        if set.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(ChannelError::NoSuchChannel);
        }
        self.commit_and_tell(tx).await?;
        self.channel(name).await?.ok_or(ChannelError::NoSuchChannel)
    }
}

pub(super) fn policy_word(policy: Policy) -> &'static str {
    match policy {
        Policy::Newest => "newest",
        Policy::Silent => "silent",
        Policy::Reject => "reject",
    }
}

pub(super) fn parse_policy(word: &str) -> Option<Policy> {
    [Policy::Newest, Policy::Silent, Policy::Reject].into_iter().find(|&policy| policy_word(policy) == word)
}
