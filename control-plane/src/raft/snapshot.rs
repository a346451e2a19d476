//! The whole registry as bytes: for a member that lacks the log's beginning, and for a backup.
//!
//! ```text
//! snapshot = "FRSNAP" · format u8 · crc32(format, body) u32 big-endian · body
//! body     = zlib(postcard(up to where, the members, the registry) · where the format is 2 or more: postcard(Later))
//! ```
//! The format is the version that the registry's control nodes have agreed on, so that each of them can read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Write},
};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use freshet_proto::random::Random;
use openraft::Membership;
use serde::{Deserialize, Serialize};

use super::{
    codec,
    disk::Change,
    store::Store,
    types::{LogId, OpenError, Peer, SnapshotMeta, StoredMembership, Vote},
};
use crate::machine::{Later, Registry};

/// The longest snapshot, compressed. A registry of 10,000 channels takes about half a MB, and one that has as many of
/// everything as it may fits in, so that a member need not stop for want of a snapshot: one that does not fit is not written.
pub const MAX_SNAPSHOT: usize = 15 << 20;

/// The longest body once it is uncompressed.
const MAX_BODY: u64 = 256 << 20;

const MAGIC: &[u8] = b"FRSNAP";
const HEAD: usize = 11;

/// How far, at least, the log's numbers jump when a group begins anew from a backup: more than any group writes between two
/// backups, so that no epoch is given out twice.
const GAP: u64 = 1 << 32;

/// A group that begins anew does so at this number for every second since 1970, faster than any group writes: so it begins
/// above what another one has reached that was begun from the same backup, or a later one, before it.
const PER_SECOND: u64 = 1 << 20;

/// Where the clock alone brings nobody, right or wrong: it leaves as much again of what JavaScript can count. The year 2106.
const LAST: u64 = 1 << 52;

/// A registry, and how far it has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) meta: SnapshotMeta,
    pub(super) registry: Registry,
}

impl Snapshot {
    /// Costs about 10 ms a MB, on the caller's thread.
    pub(super) fn encode(&self) -> Result<Bytes, String> {
        let mut encoder = ZlibEncoder::new(vec![0; HEAD], Compression::fast());
        let mut body = postcard::to_stdvec(self).map_err(|error| error.to_string())?;
        let format = self.registry.level().0;
        if format > codec::FIRST {
            body = postcard::to_extend(self.registry.later(), body).map_err(|error| error.to_string())?;
        }
        encoder.write_all(&body).map_err(|error| error.to_string())?;
        let mut bytes = encoder.finish().map_err(|error| error.to_string())?;
        if bytes.len() > MAX_SNAPSHOT {
            return Err(format!("it has {} bytes, more than {MAX_SNAPSHOT}", bytes.len()));
        }
        let check = check(format, &bytes[HEAD..]).to_be_bytes();
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[MAGIC.len()] = format;
        bytes[MAGIC.len() + 1..HEAD].copy_from_slice(&check);
        Ok(bytes.into())
    }

    /// Reads and checks one; its registry can be used at once.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (head, body) = bytes.split_at_checked(HEAD).ok_or("it is too short")?;
        let (magic, rest) = head.split_at(MAGIC.len());
        if magic != MAGIC || bytes.len() > MAX_SNAPSHOT {
            return Err("it is no snapshot".to_owned());
        }
        let format = rest[0];
        if !(codec::FIRST..=codec::NEWEST).contains(&format) {
            return Err(format!("it has version {format}, this program reads up to {}", codec::NEWEST));
        }
        if check(format, body).to_be_bytes() != rest[1..] {
            return Err("its checksum is wrong".to_owned());
        }
        let mut plain = Vec::new();
        ZlibDecoder::new(body).take(MAX_BODY).read_to_end(&mut plain).map_err(|error| error.to_string())?;
        let (mut snapshot, rest) = postcard::take_from_bytes::<Self>(&plain).map_err(|error| error.to_string())?;
        if format > codec::FIRST {
            let later: Later = postcard::from_bytes(rest).map_err(|error| error.to_string())?;
            snapshot.registry.set_later(later);
        }
        snapshot.registry.index();
        Ok(snapshot)
    }
}

fn check(format: u8, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(body);
    hasher.finalize()
}

/// Why a backup can't be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file is damaged, or no backup.
    #[error("this is no backup that can be used: {0}")]
    Unreadable(String),
    /// The operator's: the store holds a member already.
    #[error("the directory holds a control node already; restore into an empty one")]
    NotEmpty,
    /// Ours: it can't be written.
    #[error("the backup can't be made: {0}")]
    Failed(String),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// Makes the empty `store` the only voter, `id` at `member`, of a new group that has the state of `backup`.
///
/// The registry gets a new number, so that no watcher takes its revisions for those of the group that was lost, and its
/// revisions and epochs go on far above any that group, or another one begun from a backup of it before `now_ms` (wall
/// time), can have reached. Members of the old group can't join it with what they have on disk.
///
/// # Errors
/// See [`BackupError`]. The store is then as it was.
pub fn restore(
    store: Store,
    backup: &[u8],
    (id, member): Peer,
    now_ms: u64,
    random: &Random,
) -> Result<Store, BackupError> {
    if !store.is_new() {
        return Err(BackupError::NotEmpty);
    }
    let Snapshot { meta, mut registry } = Snapshot::decode(backup).map_err(BackupError::Unreadable)?;
    let last = meta.last_log_id.ok_or_else(|| BackupError::Unreadable("it covers nothing".into()))?;
    registry.begin_anew(1 + random.below(u64::MAX));
    let by_the_clock = (now_ms / 1000).saturating_mul(PER_SECOND).min(LAST);
    let last = LogId::new(last.leader_id, by_the_clock.max(last.index.saturating_add(GAP)));
    let membership = Membership::new(vec![BTreeSet::from([id.0])], BTreeMap::from([(id.0, member)]))
        .map_err(|error| BackupError::Failed(error.to_string()))?;
    let meta = SnapshotMeta { last_log_id: Some(last), last_membership: StoredMembership::new(Some(last), membership) };
    let bytes = Snapshot { meta, registry }.encode().map_err(BackupError::Failed)?;
    let vote = Vote::new(last.leader_id.term, id.0);
    let changes = vec![Change::Node(id), Change::Vote(vote), Change::Snapshot(Some(last), bytes), Change::Purge(last)];
    Ok(store.seed(changes)?)
}

/// The registry that is in a backup.
///
/// # Errors
/// [`BackupError::Unreadable`].
pub fn backed_up(backup: &[u8]) -> Result<Registry, BackupError> {
    Ok(Snapshot::decode(backup).map_err(BackupError::Unreadable)?.registry)
}

#[cfg(test)]
mod tests {
    use freshet_proto::message::{MAX_FRAME, WatchEvent};

    use super::*;

    #[test]
    fn a_registry_that_has_as_many_of_everything_as_it_may_fits_into_a_snapshot_and_its_view_into_a_message() {
        let registry = Registry::at_its_limits();
        let view = postcard::to_stdvec(&WatchEvent::Snapshot(registry.view())).unwrap();
        assert!(view.len() < MAX_FRAME, "a view of {} bytes", view.len());
        let plain = postcard::to_stdvec(&registry).unwrap();
        assert!(plain.len() < MAX_SNAPSHOT - (1 << 16), "{} bytes, however badly they are compressed", plain.len());
        let bytes = Snapshot { meta: SnapshotMeta::default(), registry: registry.clone() }.encode().unwrap();
        assert_eq!(Snapshot::decode(&bytes).unwrap().registry.view(), registry.view());
    }
}
