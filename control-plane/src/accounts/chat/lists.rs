//! What moderators read: who is banned, which terms are looked for, and what was done.

use freshet_proto::{
    chat::{MessageId, TermAction, Verb},
    id::ChannelName,
};

use super::{BanRow, action_of};
use crate::accounts::{
    Accounts, Page, StoreError,
    db::{Tx, at, corrupt, unsigned},
    page,
};

/// How many lines of a channel's moderation log are kept; the newest.
pub const MAX_LOG: u64 = 10_000;

/// Somebody who is silenced in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatBan {
    /// Who.
    pub login: String,
    /// Until when, in ms since 1970; `None` for good.
    pub until_ms: Option<u64>,
    /// Since when, in ms since 1970.
    pub at_ms: u64,
    /// By whom; `None` where the account has been deleted.
    pub by: Option<String>,
    /// Why.
    pub reason: String,
}

/// A term that a channel does not want to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatTerm {
    /// As it was written.
    pub pattern: String,
    /// What becomes of a message with it.
    pub action: TermAction,
}

/// One line of a channel's moderation log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatLogLine {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// Who did it; `None` where the account has been deleted.
    pub actor: Option<String>,
    /// What.
    pub verb: Verb,
    /// To whom.
    pub target: Option<String>,
    /// About which message.
    pub message: Option<MessageId>,
    /// Until when it lasts, in ms since 1970, where it ends by itself.
    pub until_ms: Option<u64>,
    /// Why; for terms and modes, what.
    pub reason: String,
}

impl Accounts {
    /// Who is silenced in a channel now, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chat_bans(
        &self,
        channel: &ChannelName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChatBan>, StoreError> {
        const SELECT: &str = "SELECT login, until_ms, at_ms, banned_by, reason FROM chat_bans WHERE channel = $1 \
                              AND login > $2 AND (until_ms IS NULL OR until_ms > $3) ORDER BY login LIMIT $4";
        let (after, limit) = (crate::accounts::follows::cursor(after), page(limit));
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(after).bind(at(self.now_ms()));
        let rows: Vec<BanRow> = query.bind(limit as i64 + 1).fetch_all(self.db().read()).await?;
        let ban = |(login, until_ms, at_ms, by, reason): BanRow| ChatBan {
            login,
            until_ms: until_ms.map(unsigned),
            at_ms: unsigned(at_ms),
            by,
            reason,
        };
        Ok(Page::cut(rows.into_iter().map(ban).collect(), limit, |last: &ChatBan| last.login.clone()))
    }

    /// The terms of a channel, in the order in which they were first said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chat_terms(
        &self,
        channel: &ChannelName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChatTerm>, StoreError> {
        const SELECT: &str = "SELECT place, pattern, action FROM chat_terms WHERE channel = $1 AND place > $2 \
                              ORDER BY place, pattern LIMIT $3";
        let after = after.map_or(i64::MIN, |after| after.parse().unwrap_or(i64::MAX));
        let limit = page(limit);
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(after).bind(limit as i64 + 1);
        let rows: Vec<(i64, String, String)> = query.fetch_all(self.db().read()).await?;
        let rows = Page::cut(rows, limit, |(place, ..)| place.to_string());
        let term = |(_, pattern, action): (i64, String, String)| {
            let action = action_of(&action).ok_or_else(|| corrupt("what a term does"))?;
            Ok(ChatTerm { pattern, action })
        };
        let items = rows.items.into_iter().map(term).collect::<Result<_, StoreError>>()?;
        Ok(Page { items, next: rows.next })
    }

    /// What moderators did in a channel, the latest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn chat_log(
        &self,
        channel: &ChannelName,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<ChatLogLine>, StoreError> {
        type Row = (i64, i64, Option<String>, String, Option<String>, Option<i64>, Option<i64>, String);
        const SELECT: &str = "SELECT seq, at_ms, actor, verb, target, message, until_ms, reason FROM chat_log \
                              WHERE channel = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3";
        let before = after.map_or(i64::MAX, |after| after.parse().unwrap_or(0));
        let limit = page(limit);
        let query = sqlx::query_as(SELECT).bind(channel.as_str()).bind(before).bind(limit as i64 + 1);
        let rows: Vec<Row> = query.fetch_all(self.db().read()).await?;
        let rows = Page::cut(rows, limit, |(seq, ..)| seq.to_string());
        let line = |(_, at_ms, actor, verb, target, message, until_ms, reason): Row| {
            let verb = Verb::from_word(&verb).ok_or_else(|| corrupt("what a moderator did"))?;
            let message = message.map(|id| MessageId(unsigned(id)));
            let (at_ms, until_ms) = (unsigned(at_ms), until_ms.map(unsigned));
            Ok(ChatLogLine { at_ms, actor, verb, target, message, until_ms, reason })
        };
        let items = rows.items.into_iter().map(line).collect::<Result<_, StoreError>>()?;
        Ok(Page { items, next: rows.next })
    }
}

/// Forgets what is somebody's of all chats, and the chat of their channel: what they did stays, without their name.
pub(in crate::accounts) async fn forget(tx: &mut Tx, name: &str) -> Result<(), StoreError> {
    const ALL: [&str; 6] = [
        "DELETE FROM chats WHERE channel = $1",
        "DELETE FROM chat_terms WHERE channel = $1",
        "DELETE FROM chat_bans WHERE channel = $1 OR login = $1",
        "DELETE FROM chat_log WHERE channel = $1 OR target = $1",
        "UPDATE chat_bans SET banned_by = NULL WHERE banned_by = $1",
        "UPDATE chat_log SET actor = NULL WHERE actor = $1",
    ];
    for change in ALL {
        sqlx::query(change).bind(name).execute(&mut **tx).await?;
    }
    Ok(())
}
