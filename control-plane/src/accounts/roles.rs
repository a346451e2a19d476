//! Who helps a channel's owner. Followers are a matter of [`super::follows`].

use freshet_proto::id::ChannelName;

use super::{
    Accounts, ChannelError, Page, StoreError, UserId,
    db::{Tx, at, corrupt, unsigned, was_orphaned},
    follows::cursor,
    ids::words,
    page,
};

/// How many moderators and VIPs a channel has at most.
pub const MAX_ROLES: u64 = 500;

words! {
    /// What somebody is in a channel. In order: each may what those before may.
    ChannelRole {
        /// Somebody to be treated well.
        Vip = "vip",
        /// Somebody who keeps order in the chat.
        Moderator = "moderator",
        /// Whose channel it is.
        Owner = "owner",
    }
}

/// Somebody who is something in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its account.
    pub user: UserId,
    /// Its name.
    pub username: ChannelName,
    /// What it is called.
    pub display_name: String,
    /// What it is there: moderator or VIP.
    pub role: ChannelRole,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
}

impl Accounts {
    /// What somebody is in a channel.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn channel_role(&self, channel: &ChannelName, user: &UserId) -> Result<Option<ChannelRole>, StoreError> {
        const SELECT: &str = "SELECT 'owner' FROM channels WHERE name = $1 AND owner_id = $2 \
                              UNION ALL SELECT role FROM channel_roles WHERE channel = $1 AND user_id = $2";
        let query = sqlx::query_scalar(SELECT).bind(channel.as_str()).bind(user.as_str());
        let word: Option<String> = query.fetch_optional(self.db().read()).await?;
        word.map(|word| ChannelRole::from_word(&word).ok_or_else(|| corrupt("a channel's role"))).transpose()
    }

    /// Makes somebody a moderator or a VIP, or neither (`None`).
    ///
    /// # Errors
    /// See [`ChannelError`]: the owner is neither, and nobody else is made owner.
    pub async fn set_channel_role(
        &self,
        channel: &ChannelName,
        user: &UserId,
        role: Option<ChannelRole>,
    ) -> Result<(), ChannelError> {
        const HOLD: &str = "UPDATE channels SET seq = seq WHERE name = $1 RETURNING owner_id";
        let mut tx = self.db().begin().await?;
        let hold = sqlx::query_scalar(HOLD).bind(channel.as_str());
        let owner: Option<String> = hold.fetch_optional(&mut *tx).await?;
        let owner = owner.ok_or(ChannelError::NoSuchChannel)?;
        if owner == user.as_str() || role == Some(ChannelRole::Owner) {
            return Err(ChannelError::IsOwner);
        }
        match role {
            Some(role) => self.grant(&mut tx, channel, user, role).await?,
            None => revoke(&mut tx, channel, user).await?,
        }
        tx.commit().await?;
        Ok(())
    }

    async fn grant(
        &self,
        tx: &mut Tx,
        channel: &ChannelName,
        user: &UserId,
        role: ChannelRole,
    ) -> Result<(), ChannelError> {
        const UPSERT: &str = "INSERT INTO channel_roles (channel, user_id, role, created_ms) \
                              SELECT $1, id, $3, $4 FROM users WHERE id = $2 \
                              ON CONFLICT (channel, user_id) DO UPDATE SET role = excluded.role";
        const COUNT: &str = "SELECT count(*) FROM channel_roles WHERE channel = $1";
        let upsert = sqlx::query(UPSERT).bind(channel.as_str()).bind(user.as_str()).bind(role.as_str());
        match upsert.bind(at(self.now_ms())).execute(&mut **tx).await {
            Err(error) if was_orphaned(&error) => return Err(ChannelError::NoSuchUser),
            Err(error) => return Err(error.into()),
            Ok(upserted) if upserted.rows_affected() == 0 => return Err(ChannelError::NoSuchUser),
            Ok(_) => {}
        }
        let count: i64 = sqlx::query_scalar(COUNT).bind(channel.as_str()).fetch_one(&mut **tx).await?;
        if unsigned(count) > MAX_ROLES { Err(ChannelError::TooManyRoles) } else { Ok(()) }
    }

    /// Who is something in a channel besides its owner, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn channel_members(
        &self,
        channel: &ChannelName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<Member>, StoreError> {
        const SELECT: &str = "SELECT u.id, u.username, u.display_name, r.role, r.created_ms FROM channel_roles r \
                              JOIN users u ON u.id = r.user_id WHERE r.channel = $1 AND u.username > $2 \
                              ORDER BY u.username LIMIT $3";
        let (after, limit) = (cursor(after), page(limit));
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(after).bind(limit as i64 + 1);
        let rows: Vec<(String, String, String, String, i64)> = query.fetch_all(self.db().read()).await?;
        let member = |(id, username, display_name, role, since_ms): (String, String, _, String, _)| {
            let username = username.parse().map_err(|_| corrupt("a username"))?;
            let role = ChannelRole::from_word(&role).ok_or_else(|| corrupt("a channel's role"))?;
            Ok(Member { user: id.into(), username, display_name, role, since_ms: unsigned(since_ms) })
        };
        let rows = rows.into_iter().map(member).collect::<Result<_, StoreError>>()?;
        Ok(Page::cut(rows, limit, |last: &Member| last.username.to_string()))
    }
}

async fn revoke(tx: &mut Tx, channel: &ChannelName, user: &UserId) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM channel_roles WHERE channel = $1 AND user_id = $2";
    sqlx::query(DELETE).bind(channel.as_str()).bind(user.as_str()).execute(&mut **tx).await?;
    Ok(())
}
