//! Storing what a home changes, in the order of its versions.
//!
//! Versions tell what is stored already within one mesh epoch. A home of a newer epoch counts on from what it has opened,
//! which the home before may have gone beyond unseen: of a newer epoch everything is stored, whatever its number. An older
//! epoch's home is none any more.

use freshet_proto::{
    chat::{Ban, Change, Durable, LogEntry, Login, MAX_BANS, MAX_TERMS, Modes, Role, TermAction},
    id::ChannelName,
};

use super::{MAX_LOG, action_word, put_modes};
use crate::accounts::{
    Accounts, ChannelRole, MAX_ROLES, StoreError,
    db::{Tx, at, unsigned},
};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// All of it is committed.
    Done {
        /// The newest version that is stored.
        version: u64,
        /// Versions of changes that can't be kept: roles of somebody without an account, or where a channel has no owner.
        unstored: Vec<u64>,
    },
    /// None of it was done: a home of a newer epoch has stored.
    Stale {
        /// Which epoch.
        epoch: u64,
    },
    /// None of it was done: there are as many bans, roles or terms as there may be.
    Full,
}

/// A chat's row, held until the transaction ends.
struct Head {
    epoch: u64,
    version: u64,
    /// Its modes alone are looked at.
    durable: Durable,
}

impl Accounts {
    /// Stores changes and lines of the log, all or none.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was done then, or it is not known whether; asked again it happens once.
    pub async fn store_chat(
        &self,
        channel: &ChannelName,
        epoch: u64,
        changes: &[(u64, Change)],
        log: &[LogEntry],
    ) -> Result<Stored, StoreError> {
        let mut tx = self.db().begin().await?;
        let owned = hold_channel(&mut tx, channel).await?;
        let mut head = hold_chat(&mut tx, channel).await?;
        if epoch < head.epoch {
            return Ok(Stored::Stale { epoch: head.epoch });
        }
        let known = if epoch == head.epoch { head.version } else { 0 };
        let mut unstored = Vec::new();
        for (version, change) in changes.iter().filter(|(version, _)| *version > known) {
            if !self.change_chat(&mut tx, channel, owned, &mut head.durable, change).await? {
                unstored.push(*version);
            }
            head.version = *version;
        }
        if self.is_full(&mut tx, channel).await? {
            return Ok(Stored::Full);
        }
        write_head(&mut tx, channel, epoch, &head).await?;
        append(&mut tx, channel, log).await?;
        tx.commit().await?;
        Ok(Stored::Done { version: head.version, unstored })
    }

    /// Tells whether it can be kept.
    async fn change_chat(
        &self,
        tx: &mut Tx,
        channel: &ChannelName,
        owned: bool,
        durable: &mut Durable,
        change: &Change,
    ) -> Result<bool, StoreError> {
        match change {
            Change::Ban(login, ban) => put_ban(tx, channel, login, ban).await.map(|()| true),
            Change::Unban(login) => {
                const DELETE: &str = "DELETE FROM chat_bans WHERE channel = $1 AND login = $2";
                sqlx::query(DELETE).bind(channel.as_str()).bind(login.as_str()).execute(&mut **tx).await?;
                Ok(true)
            }
            Change::Role(login, role) if owned => self.put_role(tx, channel, login, *role).await,
            Change::Role(_, role) => Ok(role.is_none()),
            Change::Term(pattern, action) => put_term(tx, channel, pattern.as_str(), *action).await.map(|()| true),
            Change::Modes(_) => Ok(durable.apply(change, self.now_ms()).is_ok()),
            _ => Ok(false),
        }
    }

    /// In the one list of moderators and VIPs that there is.
    async fn put_role(
        &self,
        tx: &mut Tx,
        channel: &ChannelName,
        login: &Login,
        role: Option<Role>,
    ) -> Result<bool, StoreError> {
        const DELETE: &str = "DELETE FROM channel_roles WHERE channel = $1 \
                              AND user_id IN (SELECT id FROM users WHERE username = $2)";
        const UPSERT: &str = "INSERT INTO channel_roles (channel, user_id, role, created_ms) \
                              SELECT $1, id, $3, $4 FROM users WHERE username = $2 AND username <> $1 \
                              ON CONFLICT (channel, user_id) DO UPDATE SET role = excluded.role";
        let role = match role {
            None => {
                sqlx::query(DELETE).bind(channel.as_str()).bind(login.as_str()).execute(&mut **tx).await?;
                return Ok(true);
            }
            Some(Role::Moderator) => ChannelRole::Moderator,
            Some(Role::Vip) => ChannelRole::Vip,
            Some(_) => return Ok(false),
        };
        let upsert = sqlx::query(UPSERT).bind(channel.as_str()).bind(login.as_str()).bind(role.as_str());
        Ok(upsert.bind(at(self.now_ms())).execute(&mut **tx).await?.rows_affected() > 0)
    }

    /// Timeouts that have run out make room first.
    async fn is_full(&self, tx: &mut Tx, channel: &ChannelName) -> Result<bool, StoreError> {
        const ROLES: &str = "SELECT count(*) FROM channel_roles WHERE channel = $1";
        const TERMS: &str = "SELECT count(*) FROM chat_terms WHERE channel = $1";
        const BANS: &str = "SELECT count(*) FROM chat_bans WHERE channel = $1";
        const EXPIRE: &str = "DELETE FROM chat_bans WHERE channel = $1 AND until_ms <= $2";
        if count(tx, ROLES, channel).await? > MAX_ROLES || count(tx, TERMS, channel).await? > MAX_TERMS as u64 {
            return Ok(true);
        }
        if count(tx, BANS, channel).await? <= MAX_BANS as u64 {
            return Ok(false);
        }
        sqlx::query(EXPIRE).bind(channel.as_str()).bind(at(self.now_ms())).execute(&mut **tx).await?;
        Ok(count(tx, BANS, channel).await? > MAX_BANS as u64)
    }
}

async fn count(tx: &mut Tx, select: &'static str, channel: &ChannelName) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(select).bind(channel.as_str()).fetch_one(&mut **tx).await?;
    Ok(unsigned(count))
}

/// Tells whether the channel is somebody's. Channels are held before what belongs to them.
async fn hold_channel(tx: &mut Tx, channel: &ChannelName) -> Result<bool, StoreError> {
    const HOLD: &str = "UPDATE channels SET seq = seq WHERE name = $1";
    let held = sqlx::query(HOLD).bind(channel.as_str()).execute(&mut **tx).await?;
    Ok(held.rows_affected() > 0)
}

async fn hold_chat(tx: &mut Tx, channel: &ChannelName) -> Result<Head, StoreError> {
    const MAKE: &str = "INSERT INTO chats (channel, epoch, version, modes, before_shield, preset) \
                        VALUES ($1, 0, 0, $2, NULL, $3) ON CONFLICT (channel) DO NOTHING";
    const HOLD: &str = "UPDATE chats SET epoch = epoch WHERE channel = $1 \
                        RETURNING epoch, version, modes, before_shield, preset";
    let mut durable = Durable::default();
    let make = sqlx::query(MAKE).bind(channel.as_str()).bind(json(&durable.modes)?).bind(json(&durable.preset)?);
    make.execute(&mut **tx).await?;
    let row = sqlx::query_as(HOLD).bind(channel.as_str()).fetch_one(&mut **tx).await?;
    let (epoch, version, modes, before_shield, preset): (i64, i64, _, _, _) = row;
    put_modes(&mut durable, modes, before_shield, preset)?;
    Ok(Head { epoch: unsigned(epoch), version: unsigned(version), durable })
}

async fn write_head(tx: &mut Tx, channel: &ChannelName, epoch: u64, head: &Head) -> Result<(), StoreError> {
    const WRITE: &str = "UPDATE chats SET epoch = $2, version = $3, modes = $4, before_shield = $5, preset = $6 \
                         WHERE channel = $1";
    let Durable { modes, before_shield, preset, .. } = &head.durable;
    let before_shield = before_shield.as_ref().map(json).transpose()?;
    let write = sqlx::query(WRITE).bind(channel.as_str()).bind(at(epoch)).bind(at(head.version));
    write.bind(json(modes)?).bind(before_shield).bind(json(preset)?).execute(&mut **tx).await?;
    Ok(())
}

fn json(modes: &Modes) -> Result<String, StoreError> {
    serde_json::to_string(modes).map_err(|error| sqlx::Error::Encode(error.into()).into())
}

/// What no database can hold is left out.
fn text(text: &str) -> String {
    text.replace('\0', "")
}

async fn put_ban(tx: &mut Tx, channel: &ChannelName, login: &Login, ban: &Ban) -> Result<(), StoreError> {
    const UPSERT: &str = "INSERT INTO chat_bans (channel, login, until_ms, at_ms, banned_by, reason) \
                          VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (channel, login) DO UPDATE SET \
                          until_ms = excluded.until_ms, at_ms = excluded.at_ms, banned_by = excluded.banned_by, \
                          reason = excluded.reason";
    let upsert = sqlx::query(UPSERT).bind(channel.as_str()).bind(login.as_str()).bind(ban.until_ms.map(at));
    let upsert = upsert.bind(at(ban.at_ms)).bind(ban.by.as_str()).bind(text(ban.reason.as_str()));
    upsert.execute(&mut **tx).await?;
    Ok(())
}

async fn put_term(
    tx: &mut Tx,
    channel: &ChannelName,
    pattern: &str,
    action: Option<TermAction>,
) -> Result<(), StoreError> {
    const DELETE: &str = "DELETE FROM chat_terms WHERE channel = $1 AND pattern = $2";
    const UPSERT: &str = "INSERT INTO chat_terms (channel, pattern, action, place) \
                          SELECT $1, $2, $3, coalesce(max(place), 0) + 1 FROM chat_terms WHERE channel = $1 \
                          ON CONFLICT (channel, pattern) DO UPDATE SET action = excluded.action";
    let query = match action {
        None => sqlx::query(DELETE).bind(channel.as_str()).bind(text(pattern)),
        Some(action) => sqlx::query(UPSERT).bind(channel.as_str()).bind(text(pattern)).bind(action_word(action)),
    };
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Lines that are there already are not written again; beyond [`MAX_LOG`] the oldest go.
async fn append(tx: &mut Tx, channel: &ChannelName, log: &[LogEntry]) -> Result<(), StoreError> {
    const LAST: &str = "SELECT coalesce(max(seq), 0) FROM chat_log WHERE channel = $1";
    const TRIM: &str = "DELETE FROM chat_log WHERE channel = $1 AND seq <= $2";
    if log.is_empty() {
        return Ok(());
    }
    let mut last: i64 = sqlx::query_scalar(LAST).bind(channel.as_str()).fetch_one(&mut **tx).await?;
    for entry in log {
        last += i64::from(append_one(tx, channel, last + 1, entry).await?);
    }
    let trim = sqlx::query(TRIM).bind(channel.as_str()).bind(last - MAX_LOG as i64);
    trim.execute(&mut **tx).await?;
    Ok(())
}

/// Tells whether it was new.
async fn append_one(tx: &mut Tx, channel: &ChannelName, seq: i64, entry: &LogEntry) -> Result<bool, StoreError> {
    const KNOWN: &str = "SELECT count(*) FROM chat_log WHERE channel = $1 AND at_ms = $2 AND actor = $3 AND verb = $4 \
                         AND coalesce(target, '') = $5 AND coalesce(message, -1) = $6 AND reason = $7";
    const INSERT: &str = "INSERT INTO chat_log (channel, seq, at_ms, actor, verb, target, message, until_ms, reason) \
                          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let (target, message) = (entry.target.as_ref().map(Login::as_str), entry.message.map(|id| at(id.0)));
    let (verb, reason) = (entry.verb.word(), text(entry.reason.as_str()));
    let known = sqlx::query_scalar(KNOWN).bind(channel.as_str()).bind(at(entry.at_ms)).bind(entry.actor.login.as_str());
    let known = known.bind(verb).bind(target.unwrap_or_default()).bind(message.unwrap_or(-1)).bind(reason.clone());
    let known: i64 = known.fetch_one(&mut **tx).await?;
    if known > 0 {
        return Ok(false);
    }
    let insert = sqlx::query(INSERT).bind(channel.as_str()).bind(seq).bind(at(entry.at_ms));
    let insert = insert.bind(entry.actor.login.as_str()).bind(verb).bind(target.map(str::to_owned)).bind(message);
    insert.bind(entry.until_ms.map(at)).bind(reason).execute(&mut **tx).await?;
    Ok(true)
}
