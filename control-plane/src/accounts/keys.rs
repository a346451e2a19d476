//! Stream keys: several a channel, each with a label, each to be reset or revoked by itself.
//!
//! The key is shown once. Here is its hash under the registry's pepper; the registry, which alone lets publish, is told by
//! the [outbox](super::outbox). Of two resets of one key at once, both are told a key, and the later one's works.

use freshet_proto::id::ChannelName;

use super::{
    Accounts, Invalid, KeyId, StoreError,
    db::{Tx, at, unsigned},
    text,
};
use crate::key;

/// How many keys a channel has at most.
pub const MAX_KEYS: usize = 10;

/// A stream key as its owner sees it afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamKey {
    /// Its id, which stays when it is reset.
    pub id: KeyId,
    /// What its owner calls it. No two keys of a channel are called the same.
    pub label: String,
    /// Its last four characters.
    pub last_four: String,
    /// When it was made or reset last, in ms since 1970.
    pub created_ms: u64,
}

/// Why a key was neither made nor reset nor revoked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The person's: the label is not written as it must be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The caller's: there is no such channel, or no more.
    #[error("there is no such channel")]
    NoSuchChannel,
    /// The person's: the channel has no such key, or no more.
    #[error("there is no such stream key; it may have been revoked")]
    NoSuchKey,
    /// The person's: the channel has another key of that label.
    #[error("there is a stream key with that label; choose another one, or reset that key")]
    LabelTaken,
    /// The person's: the channel has as many keys as it may.
    #[error("a channel has at most {MAX_KEYS} stream keys; revoke one first")]
    TooMany,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new key, and what is kept of it.
struct Fresh {
    key: String,
    hash: String,
    last_four: String,
}

impl Accounts {
    /// The keys of a channel, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stream_keys(&self, channel: &ChannelName) -> Result<Vec<StreamKey>, StoreError> {
        const SELECT: &str =
            "SELECT id, label, last_four, created_ms FROM stream_keys WHERE channel = $1 ORDER BY created_ms, id";
        let query = sqlx::query_as(SELECT).bind(channel.as_str());
        let rows: Vec<(String, String, String, i64)> = query.fetch_all(self.db().read()).await?;
        let key = |(id, label, last_four, created_ms): (String, _, _, _)| StreamKey {
            id: id.into(),
            label,
            last_four,
            created_ms: unsigned(created_ms),
        };
        Ok(rows.into_iter().map(key).collect())
    }

    /// Makes a key. The text is the secret, told this once.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn add_stream_key(&self, channel: &ChannelName, label: &str) -> Result<(StreamKey, String), KeyError> {
        let label = text::label(label)?;
        let mut tx = self.begin_keys(channel).await?;
        let made = self.insert_key(&mut tx, channel, label).await?;
        self.commit_and_tell(tx).await?;
        Ok(made)
    }

    /// Gives a key another secret; whoever publishes with the old one is stopped. The text is told this once.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn reset_stream_key(&self, channel: &ChannelName, id: &KeyId) -> Result<(StreamKey, String), KeyError> {
        let mut tx = self.begin_keys(channel).await?;
        let reset = self.replace_key(&mut tx, channel, id).await?;
        self.commit_and_tell(tx).await?;
        Ok(reset)
    }

    /// Resets the key of that label, or makes it: for those who want one key and no list.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn put_stream_key(&self, channel: &ChannelName, label: &str) -> Result<(StreamKey, String), KeyError> {
        const FIND: &str = "SELECT id FROM stream_keys WHERE channel = $1 AND label = $2";
        let label = text::label(label)?;
        let mut tx = self.begin_keys(channel).await?;
        let find = sqlx::query_scalar(FIND).bind(channel.as_str()).bind(&label);
        let found: Option<String> = find.fetch_optional(&mut *tx).await?;
        let put = match found {
            Some(id) => self.replace_key(&mut tx, channel, &id.into()).await?,
            None => self.insert_key(&mut tx, channel, label).await?,
        };
        self.commit_and_tell(tx).await?;
        Ok(put)
    }

    /// Takes a key away; whoever publishes with it is stopped.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn revoke_stream_key(&self, channel: &ChannelName, id: &KeyId) -> Result<(), KeyError> {
        const DELETE: &str = "DELETE FROM stream_keys WHERE channel = $1 AND id = $2";
        let mut tx = self.begin_keys(channel).await?;
        let delete = sqlx::query(DELETE).bind(channel.as_str()).bind(id.as_str());
        if delete.execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(KeyError::NoSuchKey);
        }
        self.commit_and_tell(tx).await?;
        Ok(())
    }

    /// A transaction that has the channel's row for itself, with its entry in the outbox.
    async fn begin_keys(&self, channel: &ChannelName) -> Result<Tx, KeyError> {
        let mut tx = self.db().begin().await?;
        if self.announce(&mut tx, channel).await? { Ok(tx) } else { Err(KeyError::NoSuchChannel) }
    }

    async fn insert_key(
        &self,
        tx: &mut Tx,
        channel: &ChannelName,
        label: String,
    ) -> Result<(StreamKey, String), KeyError> {
        const COUNT: &str = "SELECT count(*) FROM stream_keys WHERE channel = $1";
        const INSERT: &str = "INSERT INTO stream_keys (id, channel, label, hash, last_four, created_ms) \
                              VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        let count: i64 = sqlx::query_scalar(COUNT).bind(channel.as_str()).fetch_one(&mut **tx).await?;
        if unsigned(count) >= MAX_KEYS as u64 {
            return Err(KeyError::TooMany);
        }
        let (id, created_ms, fresh) = (KeyId::generate(self.random()), self.now_ms(), self.fresh_key());
        let insert = sqlx::query(INSERT).bind(id.as_str()).bind(channel.as_str()).bind(&label).bind(fresh.hash);
        let insert = insert.bind(&fresh.last_four).bind(at(created_ms));
        if insert.execute(&mut **tx).await?.rows_affected() == 0 {
            return Err(KeyError::LabelTaken);
        }
        Ok((StreamKey { id, label, last_four: fresh.last_four, created_ms }, fresh.key))
    }

    async fn replace_key(
        &self,
        tx: &mut Tx,
        channel: &ChannelName,
        id: &KeyId,
    ) -> Result<(StreamKey, String), KeyError> {
        const UPDATE: &str = "UPDATE stream_keys SET hash = $3, last_four = $4, created_ms = $5 \
                              WHERE channel = $1 AND id = $2 RETURNING label";
        let (created_ms, fresh) = (self.now_ms(), self.fresh_key());
        let update = sqlx::query_scalar(UPDATE).bind(channel.as_str()).bind(id.as_str()).bind(fresh.hash);
        let update = update.bind(&fresh.last_four).bind(at(created_ms));
        let label: String = update.fetch_optional(&mut **tx).await?.ok_or(KeyError::NoSuchKey)?;
        Ok((StreamKey { id: id.clone(), label, last_four: fresh.last_four, created_ms }, fresh.key))
    }

    fn fresh_key(&self) -> Fresh {
        let key = key::generate(self.random());
        let last_four = key.get(key.len() - 4..).unwrap_or_default().to_owned();
        Fresh { hash: self.0.pepper.hash(&key).to_hex(), last_four, key }
    }
}
