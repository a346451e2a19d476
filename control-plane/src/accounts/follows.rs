//! Who follows which channel.

use freshet_proto::id::ChannelName;

use super::{
    Accounts, Page, StoreError, UserId,
    db::{Tx, at, corrupt, unsigned, was_orphaned},
    page,
};

/// How many channels somebody follows at most.
pub const MAX_FOLLOWS: u64 = 5_000;

/// Somebody who follows a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follower {
    /// Its account.
    pub user: UserId,
    /// Its name.
    pub username: ChannelName,
    /// What it is called.
    pub display_name: String,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
}

/// Why somebody does not follow a channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The caller's: there is no such channel, or no more.
    #[error("there is no such channel")]
    NoSuchChannel,
    /// The caller's: there is no such account, or no more.
    #[error("there is no such account")]
    NoSuchUser,
    /// The person's: it is their own.
    #[error("nobody follows their own channel")]
    Own,
    /// The person's: they follow as many as they may.
    #[error("you follow {MAX_FOLLOWS} channels, as many as there may be; leave some first")]
    TooMany,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    /// Makes somebody follow a channel. Tells whether they did not before.
    ///
    /// # Errors
    /// See [`FollowError`].
    pub async fn follow(&self, user: &UserId, channel: &ChannelName) -> Result<bool, FollowError> {
        const OWNER: &str = "SELECT owner_id FROM channels WHERE name = $1";
        const COUNT: &str = "SELECT count(*) FROM follows WHERE user_id = $1";
        // The channel may have gone since, in which case nothing is inserted.
        const INSERT: &str = "INSERT INTO follows (user_id, channel, created_ms) \
                              SELECT $1, name, $3 FROM channels WHERE name = $2 ON CONFLICT DO NOTHING";
        let mut tx = self.db().begin().await?;
        if !hold_user(&mut tx, user).await? {
            return Err(FollowError::NoSuchUser);
        }
        let owner: Option<String> = sqlx::query_scalar(OWNER).bind(channel.as_str()).fetch_optional(&mut *tx).await?;
        if owner.ok_or(FollowError::NoSuchChannel)? == user.as_str() {
            return Err(FollowError::Own);
        }
        let insert = sqlx::query(INSERT).bind(user.as_str()).bind(channel.as_str()).bind(at(self.now_ms()));
        let inserted = insert.execute(&mut *tx).await;
        let new = match inserted {
            Err(error) if was_orphaned(&error) => return Err(FollowError::NoSuchChannel),
            inserted => inserted?.rows_affected() > 0,
        };
        let count: i64 = sqlx::query_scalar(COUNT).bind(user.as_str()).fetch_one(&mut *tx).await?;
        if new && unsigned(count) > MAX_FOLLOWS {
            return Err(FollowError::TooMany);
        }
        tx.commit().await?;
        Ok(new)
    }

    /// Makes somebody follow a channel no more. Tells whether they did.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unfollow(&self, user: &UserId, channel: &ChannelName) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM follows WHERE user_id = $1 AND channel = $2";
        let mut tx = self.db().begin().await?;
        let delete = sqlx::query(DELETE).bind(user.as_str()).bind(channel.as_str());
        let did = delete.execute(&mut *tx).await?.rows_affected() > 0;
        tx.commit().await?;
        Ok(did)
    }

    /// Whether somebody follows a channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_following(&self, user: &UserId, channel: &ChannelName) -> Result<bool, StoreError> {
        const SELECT: &str = "SELECT created_ms FROM follows WHERE user_id = $1 AND channel = $2";
        let query = sqlx::query_scalar(SELECT).bind(user.as_str()).bind(channel.as_str());
        let since: Option<i64> = query.fetch_optional(self.db().read()).await?;
        Ok(since.is_some())
    }

    /// How many follow a channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn follower_count(&self, channel: &ChannelName) -> Result<u64, StoreError> {
        const COUNT: &str = "SELECT count(*) FROM follows WHERE channel = $1";
        let count: i64 = sqlx::query_scalar(COUNT).bind(channel.as_str()).fetch_one(self.db().read()).await?;
        Ok(unsigned(count))
    }

    /// The channels that somebody follows, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn following(
        &self,
        user: &UserId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChannelName>, StoreError> {
        const SELECT: &str =
            "SELECT channel FROM follows WHERE user_id = $1 AND channel > $2 ORDER BY channel LIMIT $3";
        let (after, limit) = (cursor(after), page(limit));
        let query = sqlx::query_scalar(SELECT).bind(user.as_str()).bind(after).bind(limit as i64 + 1);
        let names: Vec<String> = query.fetch_all(self.db().read()).await?;
        let names = names.into_iter().map(|name| name.parse().map_err(|_| corrupt("a channel")));
        Ok(Page::cut(names.collect::<Result<_, _>>()?, limit, ChannelName::to_string))
    }

    /// Who follows a channel, by id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn followers(
        &self,
        channel: &ChannelName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Follower>, StoreError> {
        const SELECT: &str = "SELECT u.id, u.username, u.display_name, f.created_ms FROM follows f \
                              JOIN users u ON u.id = f.user_id WHERE f.channel = $1 AND f.user_id > $2 \
                              ORDER BY f.user_id LIMIT $3";
        let (after, limit) = (UserId::from(after.unwrap_or_default()), page(limit));
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(after.as_str()).bind(limit as i64 + 1);
        let rows: Vec<(String, String, String, i64)> = query.fetch_all(self.db().read()).await?;
        let follower = |(id, username, display_name, since_ms): (String, String, _, _)| {
            let username = username.parse().map_err(|_| corrupt("a username"))?;
            Ok(Follower { user: id.into(), username, display_name, since_ms: unsigned(since_ms) })
        };
        let rows = rows.into_iter().map(follower).collect::<Result<_, StoreError>>()?;
        Ok(Page::cut(rows, limit, |last: &Follower| last.user.to_string()))
    }
}

/// A name to begin after; what is no name begins at the beginning.
pub(super) fn cursor(after: Option<&str>) -> String {
    after.and_then(|after| after.parse::<ChannelName>().ok()).map(String::from).unwrap_or_default()
}

/// Takes a user's row. Tells whether there is such a user.
pub(super) async fn hold_user(tx: &mut Tx, user: &UserId) -> Result<bool, StoreError> {
    const HOLD: &str = "UPDATE users SET bio = bio WHERE id = $1";
    Ok(sqlx::query(HOLD).bind(user.as_str()).execute(&mut **tx).await?.rows_affected() > 0)
}
