//! The store as redb has it: one table of log entries, one of everything else, changed in transactions that end with a
//! sync.
//!
//! | table | key | value |
//! |---|---|---|
//! | `log` | index | an entry |
//! | `meta` | `node`, `vote`, `committed`, `purged`, `snapshot` | whose it is; the last vote; what is known to be committed; the last id that was removed from the log's beginning; the last snapshot |
//!
//! Commits are in two phases (redb syncs the pages, then the header that names them). With one, a damaged page of the
//! last transaction looks like a torn one after a crash and is rolled back, although it was acknowledged; with two, it is
//! found and refused. That costs a second sync per batch.

use std::{fs, io, panic, path::Path};

use bytes::Bytes;
use freshet_proto::{id::NodeId, level::Level};
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};

use super::{
    codec,
    frozen::Frozen,
    snapshot::Snapshot,
    types::{Entry, LogId, OpenError, Vote},
};

const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

const NODE: &str = "node";
const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const SNAPSHOT: &str = "snapshot";

/// How many bytes redb may cache. The log is in memory already, so this only serves its own pages.
const CACHE: usize = 8 << 20;

/// The file's name in the directory.
const NAME: &str = "raft.redb";

/// One change. All changes of a batch become durable together, or none does.
#[derive(Debug)]
pub(super) enum Change {
    /// Entries at the log's end.
    Append(Vec<(u64, Vec<u8>)>),
    /// Nothing is left from this index on.
    Truncate(u64),
    /// Nothing is left up to this id.
    Purge(LogId),
    /// The last vote.
    Vote(Vote),
    /// What is committed. Need not be durable at once.
    Committed(Option<LogId>),
    /// The last snapshot, and up to where.
    Snapshot(Option<LogId>, Bytes),
    /// Whose store it is.
    Node(NodeId),
}

/// What a store holds, read and checked as a whole.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) node: Option<NodeId>,
    pub(super) vote: Option<Vote>,
    pub(super) committed: Option<LogId>,
    pub(super) purged: Option<LogId>,
    pub(super) log: Vec<Entry>,
    pub(super) snapshot: Option<Kept>,
}

/// A snapshot, and as what bytes it is kept.
pub(super) type Kept = (Snapshot, Bytes);

impl Contents {
    /// Whether nothing was ever written that a group would miss.
    pub(super) fn is_new(&self) -> bool {
        self.vote.is_none() && self.log.is_empty() && self.snapshot.is_none() && self.purged.is_none()
    }
}

/// An open database.
#[derive(Debug)]
pub(super) struct Disk(Database);

impl Disk {
    /// Opens or makes the database in `dir`.
    pub(super) fn file(dir: &Path) -> Result<(Self, Contents), OpenError> {
        let failed = |source| OpenError::Dir { dir: dir.display().to_string(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let path = dir.join(NAME);
        let made = !path.exists();
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let backend = redb::backends::FileBackend::new(file.map_err(failed)?);
        let backend = backend.map_err(|error| opened(error, &path.display().to_string()))?;
        let disk = Self::over(backend, &path.display().to_string())?;
        if made {
            fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        Ok(disk)
    }

    /// Opens the database that is in `dir`, of which nobody may be a member meanwhile, and changes nothing of it; `None`
    /// where there is none.
    pub(super) fn frozen(dir: &Path) -> Result<Option<Contents>, OpenError> {
        let path = dir.join(NAME);
        let backend = match Frozen::open(&path) {
            Ok(Some(backend)) => backend,
            Ok(None) => return Err(OpenError::InUse(path.display().to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(OpenError::Disk(format!("{}: {error}", path.display()))),
        };
        if backend.is_empty() {
            return Err(OpenError::Damaged(format!("{} is empty", path.display())));
        }
        let (_, contents) = Self::over(backend, &path.display().to_string())?;
        Ok(Some(contents))
    }

    /// Opens or makes the database on `backend`, which messages call `name`.
    pub(super) fn over(backend: impl StorageBackend, name: &str) -> Result<(Self, Contents), OpenError> {
        // A page that was changed behind redb's back can make it panic where no checksum covers what it believes.
        let open = panic::AssertUnwindSafe(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
            let database = builder.create_with_backend(backend).map_err(|error| opened(error, name))?;
            let disk = Self(database);
            disk.read().map(|contents| (disk, contents))
        });
        panic::catch_unwind(open).unwrap_or_else(|_| Err(OpenError::Damaged("its pages contradict each other".into())))
    }

    /// Reads and checks everything.
    pub(super) fn read(&self) -> Result<Contents, OpenError> {
        read(&self.0)
    }

    /// Makes `changes` durable, in order.
    pub(super) fn commit(&self, changes: Vec<Change>) -> Result<(), redb::Error> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        {
            let (mut log, mut meta) = (transaction.open_table(LOG)?, transaction.open_table(META)?);
            for change in changes {
                let (key, value) = match change {
                    Change::Append(entries) => {
                        for (index, record) in entries {
                            log.insert(index, record.as_slice())?;
                        }
                        continue;
                    }
                    Change::Truncate(from) => {
                        log.retain_in(from.., |_, _| false)?;
                        continue;
                    }
                    Change::Purge(upto) => {
                        log.retain_in(..=upto.index, |_, _| false)?;
                        (PURGED, encode(PURGED, &upto)?)
                    }
                    Change::Vote(vote) => (VOTE, encode(VOTE, &vote)?),
                    Change::Committed(id) => (COMMITTED, encode(COMMITTED, &id)?),
                    Change::Snapshot(_, bytes) => (SNAPSHOT, bytes.to_vec()),
                    Change::Node(node) => (NODE, encode(NODE, &node)?),
                };
                meta.insert(key, value.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn encode<T: serde::Serialize>(key: &str, value: &T) -> Result<Vec<u8>, redb::Error> {
    codec::record(Level::FIRST, key.as_bytes(), value).map_err(|error| redb::Error::Io(io::Error::other(error)))
}

fn opened(error: DatabaseError, name: &str) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(name.to_owned()),
        DatabaseError::Storage(redb::StorageError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
            OpenError::Disk(error.to_string())
        }
        error => OpenError::Damaged(error.to_string()),
    }
}

/// Reads everything, and checks that it fits together.
fn read(database: &Database) -> Result<Contents, OpenError> {
    let damaged = |error: redb::Error| OpenError::Damaged(error.to_string());
    let transaction = database.begin_read().map_err(|error| damaged(error.into()))?;
    let mut contents = Contents::default();
    let meta = match transaction.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(contents),
        Err(error) => return Err(damaged(error.into())),
    };
    let get = |key| meta.get(key).map_err(|error| damaged(error.into()));
    contents.node = get(NODE)?.map(|value| codec::open(NODE.as_bytes(), value.value())).transpose()?;
    contents.vote = get(VOTE)?.map(|value| codec::open(VOTE.as_bytes(), value.value())).transpose()?;
    contents.purged = get(PURGED)?.map(|value| codec::open(PURGED.as_bytes(), value.value())).transpose()?;
    let committed = get(COMMITTED)?.map(|value| codec::open(COMMITTED.as_bytes(), value.value())).transpose()?;
    contents.committed = committed.flatten();
    if let Some(value) = get(SNAPSHOT)? {
        let bytes = Bytes::copy_from_slice(value.value());
        let snapshot = Snapshot::decode(&bytes).map_err(|why| OpenError::Damaged(format!("the snapshot: {why}")))?;
        contents.snapshot = Some((snapshot, bytes));
    }
    let log = transaction.open_table(LOG).map_err(|error| damaged(error.into()))?;
    for pair in log.iter().map_err(|error| damaged(error.into()))? {
        let (index, value) = pair.map_err(|error| damaged(error.into()))?;
        contents.log.push(codec::open(&index.value().to_be_bytes(), value.value())?);
    }
    check(&mut contents)?;
    Ok(contents)
}

/// The log has no holes, begins where it was purged, and the snapshot reaches that far.
fn check(contents: &mut Contents) -> Result<(), OpenError> {
    let first = contents.purged.map_or(0, |id| id.index + 1);
    if let Some((next, entry)) = (first..).zip(&contents.log).find(|(next, entry)| entry.log_id.index != *next) {
        return Err(OpenError::Damaged(format!("entry {} stands where {next} should", entry.log_id.index)));
    }
    let covered = contents.snapshot.as_ref().and_then(|(snapshot, _)| snapshot.meta.last_log_id);
    if contents.purged > covered {
        return Err(OpenError::Damaged("the log begins after what the snapshot covers".into()));
    }
    // It is written with whatever comes next, so it may speak of a snapshot that was not kept. Then it is no use.
    let known = |id: &LogId| Some(*id) <= covered || contents.log.iter().rev().any(|entry| entry.log_id == *id);
    contents.committed = contents.committed.filter(known);
    Ok(())
}
