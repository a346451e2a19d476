//! What must outlive every hub of a channel's chat: who is banned, which terms, which modes, what moderators did.
//!
//! ```text
//! home ──Open──▶ open_chat ──▶ Durable       owner, moderators ──REST──▶ chat_bans, chat_terms, chat_log (lists)
//!      ──Store─▶ store::store_chat           hub ──Standing──▶ standing
//! ```
//! Moderators and VIPs are those of [`super::roles`], followers those of [`super::follows`]: there is no second list of
//! either. Whether there is such a channel is for whoever asks to know: one that an operator made is in no table here.

mod lists;
mod store;

use freshet_proto::{
    chat::{self, Ban, Durable, Login, MAX_BANS, MAX_TERMS, Modes, Pattern, Reason, Term, TermAction},
    id::ChannelName,
};

pub(super) use lists::forget;
pub use lists::{ChatBan, ChatLogLine, ChatTerm, MAX_LOG};
pub use store::Stored;

use super::{
    Accounts, ChannelRole, Role, StoreError,
    db::{at, corrupt, unsigned},
};

/// How many bytes the reasons of bans have at most where a chat is opened; further ones are left out. A hub needs none of them.
const MAX_REASONS: usize = 4 << 20;

/// Who, until when, since when, by whom and why.
type BanRow = (String, Option<i64>, i64, Option<String>, String);

/// What somebody is in a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when they follow it, in ms since 1970.
    pub follows_since_ms: Option<u64>,
    /// Owner, moderator or VIP.
    pub role: Option<ChannelRole>,
    /// Whether they run the platform.
    pub admin: bool,
}

impl Accounts {
    /// What is stored of a channel's chat; nothing is of one that was never stored. Timeouts that have run out are left out.
    ///
    /// It is at least of the version that it says: what is stored meanwhile may be in it, and to do a change twice is to do
    /// it once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_chat(&self, channel: &ChannelName) -> Result<Durable, StoreError> {
        const HEAD: &str = "SELECT version, modes, before_shield, preset FROM chats WHERE channel = $1";
        let head = sqlx::query_as(HEAD).bind(channel.as_str()).fetch_optional(self.db().read()).await?;
        let mut durable = Durable::default();
        if let Some((version, modes, before_shield, preset)) = head {
            put_modes(&mut durable, modes, before_shield, preset)?;
            durable.version = unsigned(version);
        }
        self.read_roles(channel, &mut durable).await?;
        self.read_bans(channel, &mut durable).await?;
        self.read_terms(channel, &mut durable).await?;
        Ok(durable)
    }

    async fn read_roles(&self, channel: &ChannelName, durable: &mut Durable) -> Result<(), StoreError> {
        const SELECT: &str = "SELECT u.username, r.role FROM channel_roles r JOIN users u ON u.id = r.user_id \
                              WHERE r.channel = $1";
        let rows: Vec<(String, String)> =
            sqlx::query_as(SELECT).bind(channel.as_str()).fetch_all(self.db().read()).await?;
        for (login, role) in rows {
            let role = ChannelRole::from_word(&role).ok_or_else(|| corrupt("a channel's role"))?;
            durable.roles.insert(login.parse().map_err(|_| corrupt("a username"))?, as_chat(role));
        }
        Ok(())
    }

    async fn read_bans(&self, channel: &ChannelName, durable: &mut Durable) -> Result<(), StoreError> {
        const SELECT: &str = "SELECT login, until_ms, at_ms, banned_by, reason FROM chat_bans \
                              WHERE channel = $1 AND (until_ms IS NULL OR until_ms > $2) ORDER BY login LIMIT $3";
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(at(self.now_ms())).bind(MAX_BANS as i64);
        let rows: Vec<BanRow> = query.fetch_all(self.db().read()).await?;
        let mut room = MAX_REASONS;
        for (login, until_ms, at_ms, by, reason) in rows {
            room = room.saturating_sub(reason.len());
            let reason = if room > 0 { Reason::cut(&reason) } else { Reason::cut("") };
            // Where whoever did it has left, it is the channel's doing.
            let by = login_or(by, channel)?;
            let ban = Ban { until_ms: until_ms.map(unsigned), at_ms: unsigned(at_ms), by, reason };
            durable.bans.insert(login.parse().map_err(|_| corrupt("a banned name"))?, ban);
        }
        Ok(())
    }

    async fn read_terms(&self, channel: &ChannelName, durable: &mut Durable) -> Result<(), StoreError> {
        const SELECT: &str = "SELECT pattern, action FROM chat_terms WHERE channel = $1 ORDER BY place LIMIT $2";
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(MAX_TERMS as i64);
        let rows: Vec<(String, String)> = query.fetch_all(self.db().read()).await?;
        for (pattern, action) in rows {
            let action = action_of(&action).ok_or_else(|| corrupt("what a term does"))?;
            durable.terms.push(Term { pattern: Pattern::cut(&pattern), action });
        }
        Ok(())
    }

    /// What somebody is in a channel; nothing where there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(&self, channel: &ChannelName, login: &Login) -> Result<Standing, StoreError> {
        const FOLLOWS: &str = "SELECT created_ms FROM follows WHERE user_id = $1 AND channel = $2";
        let Some(user) = self.user_by_name(login).await? else { return Ok(Standing::default()) };
        let follows = sqlx::query_scalar(FOLLOWS).bind(user.id.as_str()).bind(channel.as_str());
        let follows: Option<i64> = follows.fetch_optional(self.db().read()).await?;
        Ok(Standing {
            follows_since_ms: follows.map(unsigned),
            role: self.channel_role(channel, &user.id).await?,
            admin: user.role == Role::Admin,
        })
    }
}

/// As chat calls it.
pub fn as_chat(role: ChannelRole) -> chat::Role {
    match role {
        ChannelRole::Vip => chat::Role::Vip,
        ChannelRole::Moderator => chat::Role::Moderator,
        ChannelRole::Owner => chat::Role::Owner,
    }
}

fn put_modes(
    durable: &mut Durable,
    modes: String,
    before_shield: Option<String>,
    preset: String,
) -> Result<(), StoreError> {
    let read = |text: &str| serde_json::from_str::<Modes>(text).map_err(|_| corrupt("a chat's modes"));
    durable.modes = read(&modes)?;
    durable.before_shield = before_shield.as_deref().map(read).transpose()?;
    durable.preset = read(&preset)?;
    Ok(())
}

fn login_or(name: Option<String>, other: &ChannelName) -> Result<Login, StoreError> {
    name.map_or_else(|| Ok(other.clone()), |name| name.parse().map_err(|_| corrupt("a name")))
}

/// What a term does, as it is stored and as the API shows it.
pub fn action_word(action: TermAction) -> &'static str {
    match action {
        TermAction::Hold => "hold",
        TermAction::Block => "block",
    }
}

fn action_of(word: &str) -> Option<TermAction> {
    [TermAction::Hold, TermAction::Block].into_iter().find(|action| action_word(*action) == word)
}
