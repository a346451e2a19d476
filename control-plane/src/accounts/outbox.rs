//! What the registry is still to hear of channels and their keys.
//!
//! ```text
//! change in SQL + row here, one transaction ──▶ outbox_pending ──▶ command to the registry ──▶ outbox_done
//! ```
//! An entry is not a step but the channel as it now is, so repeating one does no harm and missing an overtaken one neither:
//! there is one row a channel however often it changed, which bounds the table. `seq` rises with every change of a channel
//! and never goes back. Whoever applies entries remembers each channel's latest `seq` and ignores what isn't newer; then
//! two carriers, or a carrier that was slow, set nothing back. A crash anywhere leaves the row, and it is carried again.

use std::time::Duration;

use freshet_proto::{id::ChannelName, registry::Policy};
use sqlx::FromRow;
use tokio::time::timeout;

use super::{
    Accounts, GoLive, KeyId, StoreError, UserId, Visibility,
    channels::parse_policy,
    db::{Tx, at, corrupt, unsigned},
};
use crate::key::KeyHash;

/// A channel of which the registry has not confirmed the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Which, and its version.
    pub id: OutboxId,
    /// What it is to be. May be newer than the id says, never older.
    pub channel: Desired,
    /// Since when it waits, in ms since 1970.
    pub queued_ms: u64,
}

/// Names one version of one channel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxId {
    /// The channel.
    pub channel: ChannelName,
    /// Rises with every change of the channel.
    pub seq: u64,
}

/// What the registry is to make of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    /// It is there.
    Present(ChannelSpec),
    /// It is not there, and never will be again.
    Removed,
}

/// A channel as the registry needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelSpec {
    /// Who may watch.
    pub visibility: Visibility,
    /// What becomes of a second encoder.
    pub takeover: Policy,
    /// Whether publishing starts a session by itself.
    pub go_live: GoLive,
    /// The keys that let publish, by id. None where the owner is disabled. A publisher whose key is no more here is stopped.
    pub keys: Vec<(KeyId, KeyHash)>,
}

impl Accounts {
    /// Returns when something may have been queued here, or after `at_most`: another node may have queued something too.
    pub async fn outbox_changed(&self, at_most: Duration) {
        // Whether it was told or has waited for long enough, the next thing is to look.
        let _ = timeout(at_most, self.0.outbox.notified()).await;
    }

    /// Commits what has queued something, and wakes whoever carries it.
    pub(super) async fn commit_and_tell(&self, tx: Tx) -> Result<(), StoreError> {
        tx.commit().await?;
        self.0.outbox.notify_one();
        Ok(())
    }

    /// What the registry is to be told, the longest waiting first, at most `limit` channels.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_pending(&self, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        const SELECT: &str = "SELECT channel, seq, queued_ms FROM outbox ORDER BY queued_ms, channel LIMIT $1";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(SELECT).bind(limit).fetch_all(self.db().read()).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for (channel, seq, queued_ms) in rows {
            let id = OutboxId { channel: channel.parse().map_err(|_| corrupt("a channel"))?, seq: unsigned(seq) };
            // Read after the number: it may be newer than that, which does no harm, but never older.
            let channel = self.desired(&id.channel).await?;
            entries.push(OutboxEntry { id, channel, queued_ms: unsigned(queued_ms) });
        }
        Ok(entries)
    }

    /// The registry has confirmed an entry. Where the channel has changed since, its row stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_done(&self, id: &OutboxId) -> Result<(), StoreError> {
        const DELETE: &str = "DELETE FROM outbox WHERE channel = $1 AND seq = $2";
        let mut tx = self.db().begin().await?;
        sqlx::query(DELETE).bind(id.channel.as_str()).bind(at(id.seq)).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Queues every channel, for a registry that was restored from a backup. Returns how many were not queued before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_refill(&self) -> Result<u64, StoreError> {
        const INSERT: &str = "INSERT INTO outbox (channel, seq, queued_ms) SELECT name, seq, $1 FROM channels WHERE 1 = 1 \
                              ON CONFLICT (channel) DO NOTHING";
        const RISE: &str = "UPDATE channels SET seq = seq + 1";
        const FOLLOW: &str = "UPDATE outbox SET seq = (SELECT seq FROM channels WHERE name = outbox.channel) \
                              WHERE channel IN (SELECT name FROM channels)";
        let mut tx = self.db().begin().await?;
        sqlx::query(RISE).execute(&mut *tx).await?;
        let queued = sqlx::query(INSERT).bind(at(self.now_ms())).execute(&mut *tx).await?.rows_affected();
        sqlx::query(FOLLOW).execute(&mut *tx).await?;
        self.commit_and_tell(tx).await?;
        Ok(queued)
    }

    /// Queues a channel that changes in this transaction. The first thing to do to a channel: it takes its row.
    /// Tells whether there is such a channel.
    pub(super) async fn announce(&self, tx: &mut Tx, channel: &ChannelName) -> Result<bool, StoreError> {
        const RISE: &str = "UPDATE channels SET seq = seq + 1 WHERE name = $1 RETURNING seq";
        let seq: Option<i64> = sqlx::query_scalar(RISE).bind(channel.as_str()).fetch_optional(&mut **tx).await?;
        let Some(seq) = seq else { return Ok(false) };
        self.queue(tx, channel.as_str(), seq).await?;
        Ok(true)
    }

    /// Queues the channel of a user whose account changes in this transaction.
    pub(super) async fn withdraw(&self, tx: &mut Tx, owner: &UserId) -> Result<(), StoreError> {
        const RISE: &str = "UPDATE channels SET seq = seq + 1 WHERE owner_id = $1 RETURNING name, seq";
        let row: Option<(String, i64)> = sqlx::query_as(RISE).bind(owner.as_str()).fetch_optional(&mut **tx).await?;
        match row {
            Some((name, seq)) => self.queue(tx, &name, seq).await,
            None => Ok(()),
        }
    }

    async fn queue(&self, tx: &mut Tx, channel: &str, seq: i64) -> Result<(), StoreError> {
        const UPSERT: &str = "INSERT INTO outbox (channel, seq, queued_ms) VALUES ($1, $2, $3) \
                              ON CONFLICT (channel) DO UPDATE SET seq = excluded.seq";
        sqlx::query(UPSERT).bind(channel).bind(seq).bind(at(self.now_ms())).execute(&mut **tx).await?;
        Ok(())
    }

    async fn desired(&self, channel: &ChannelName) -> Result<Desired, StoreError> {
        const SELECT: &str = "SELECT c.visibility, c.takeover, c.go_live, CASE WHEN u.disabled_ms IS NULL THEN 1 ELSE 0 END \
                              FROM channels c JOIN users u ON u.id = c.owner_id WHERE c.name = $1";
        let query = sqlx::query_as(SELECT).bind(channel.as_str());
        let row: Option<SpecRow> = query.fetch_optional(self.db().read()).await?;
        let Some(SpecRow { visibility, takeover, go_live, enabled }) = row else { return Ok(Desired::Removed) };
        let keys = if enabled { self.key_hashes(channel).await? } else { Vec::new() };
        Ok(Desired::Present(ChannelSpec { visibility, takeover, go_live, keys }))
    }

    async fn key_hashes(&self, channel: &ChannelName) -> Result<Vec<(KeyId, KeyHash)>, StoreError> {
        const SELECT: &str = "SELECT id, hash FROM stream_keys WHERE channel = $1 ORDER BY id";
        let query = sqlx::query_as(SELECT).bind(channel.as_str());
        let rows: Vec<(String, String)> = query.fetch_all(self.db().read()).await?;
        let key = |(id, hash): (String, String)| {
            Ok((KeyId::from(id), KeyHash::from_hex(&hash).ok_or_else(|| corrupt("a key's hash"))?))
        };
        rows.into_iter().map(key).collect()
    }
}

struct SpecRow {
    visibility: Visibility,
    takeover: Policy,
    go_live: GoLive,
    enabled: bool,
}

impl FromRow<'_, sqlx::any::AnyRow> for SpecRow {
    fn from_row(row: &sqlx::any::AnyRow) -> Result<Self, sqlx::Error> {
        let (visibility, takeover, go_live, enabled): (String, String, String, i64) = FromRow::from_row(row)?;
        let lost = |what| corrupt(what).into_inner();
        Ok(Self {
            visibility: Visibility::from_word(&visibility).ok_or_else(|| lost("a visibility"))?,
            takeover: parse_policy(&takeover).ok_or_else(|| lost("a policy"))?,
            go_live: GoLive::from_word(&go_live).ok_or_else(|| lost("a way to go live"))?,
            enabled: enabled != 0,
        })
    }
}
