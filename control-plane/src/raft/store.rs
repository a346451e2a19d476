//! The log, the vote and the snapshot: durable in redb before anyone is told, and the log in memory too.
//!
//! ```text
//! openraft ──append──▶ memory (readable at once) ──Job──▶ Disk: one transaction, one sync for all that waits ──▶ IOFlushed
//! ```
//! Group commit (`writer`): while one batch is synced, what comes meanwhile waits for the next. On a file, a thread of its
//! own does the waiting, because redb blocks. Over any other backend the same work is done inline, or by a task that first
//! waits for as long as it is told, so that a simulation is one thread and has slow disks all the same. After the first
//! failure nothing is written any more, whatever the disk says then: what it holds is not known. openraft stops when it
//! hears of it, and so the member does.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use freshet_proto::{id::NodeId, level::Level};
use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};
use redb::StorageBackend;
use tokio::sync::oneshot;

use super::{
    codec,
    disk::{Change, Contents, Disk},
    types::{self, Entry, LogId, OpenError, Types, Vote},
    writer::{Done, Job, Keeper, Labour, Pace, Writer, gone},
};

/// A member's storage, opened and checked, and not running yet. Belongs to one process at a time.
#[derive(Debug)]
pub struct Store {
    disk: Disk,
    contents: Contents,
    labour: Labour,
}

impl Store {
    /// Opens the store in `dir`, or makes it. A thread will own it. Blocks: for the start of a process.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn file(dir: &Path) -> Result<Self, OpenError> {
        let (disk, contents) = Disk::file(dir)?;
        Ok(Self { disk, contents, labour: Labour::Thread })
    }

    /// Opens the store on any backend, or makes it. Everything will be done inline: the door through which a simulation
    /// comes in.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn over(backend: impl StorageBackend) -> Result<Self, OpenError> {
        let (disk, contents) = Disk::over(backend, "the log's backend")?;
        Ok(Self { disk, contents, labour: Labour::Inline })
    }

    /// The same, but for the syncs, which take as long as `pace` says: what waits meanwhile shares the next one, as on a
    /// file. A task will own it, so that it must be started in a tokio runtime.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn paced(backend: impl StorageBackend, pace: Arc<dyn Pace>) -> Result<Self, OpenError> {
        Ok(Self { labour: Labour::Paced(pace), ..Self::over(backend)? })
    }

    /// Whether nothing was ever written to it that a group would miss.
    pub fn is_new(&self) -> bool {
        self.contents.is_new()
    }

    /// Which version can read all that is in it.
    pub(super) fn level(&self) -> Level {
        let snapshot = self.contents.snapshot.iter().map(|(snapshot, _)| snapshot.registry.level());
        self.contents.log.iter().map(types::since).chain(snapshot).max().unwrap_or_default()
    }

    /// Writes `changes` to an empty store and reads it again.
    pub(super) fn seed(self, changes: Vec<Change>) -> Result<Self, OpenError> {
        self.disk.commit(changes).map_err(|error| OpenError::Disk(error.to_string()))?;
        let contents = self.disk.read()?;
        Ok(Self { contents, ..self })
    }

    /// Makes sure that it is `id`'s, then starts it.
    pub(super) fn start(mut self, id: NodeId) -> Result<(LogStore, Option<super::disk::Kept>), OpenError> {
        match self.contents.node {
            Some(found) if found != id => return Err(OpenError::OtherNode { found, wanted: id }),
            Some(_) => {}
            None => {
                let own = vec![Change::Node(id)];
                self.disk.commit(own).map_err(|error| OpenError::Disk(error.to_string()))?;
            }
        }
        let snapshot = self.contents.snapshot.take();
        let covered = snapshot.as_ref().and_then(|(snapshot, _)| snapshot.meta.last_log_id);
        let keeper = Keeper::new(self.disk, covered);
        let writer = Writer::new(self.labour, keeper).map_err(|error| OpenError::Disk(error.to_string()))?;
        let memory = Memory {
            vote: self.contents.vote,
            committed: self.contents.committed,
            purged: self.contents.purged,
            log: self.contents.log.into_iter().map(|entry| (entry.log_id.index, entry)).collect(),
        };
        Ok((LogStore(Arc::new(Shared { memory: Mutex::new(memory), writer })), snapshot))
    }
}

/// A running store. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct LogStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    memory: Mutex<Memory>,
    writer: Writer,
}

/// What openraft reads. The log has no holes; its limit is that of `Config::snapshot_after` and `keep_logs`, plus what is
/// written while a snapshot is made.
#[derive(Debug)]
struct Memory {
    vote: Option<Vote>,
    committed: Option<LogId>,
    purged: Option<LogId>,
    log: BTreeMap<u64, Entry>,
}

impl Memory {
    /// Adds an entry, which must follow the last one. The first one of an empty log may be any: what is before it is in
    /// the snapshot that was installed.
    fn push(&mut self, entry: Entry) -> io::Result<()> {
        let index = entry.log_id.index;
        if let Some((last, _)) = self.log.last_key_value().filter(|(last, _)| **last + 1 != index) {
            return Err(io::Error::other(format!("entry {index} does not follow entry {last}")));
        }
        self.log.insert(index, entry);
        Ok(())
    }
}

impl LogStore {
    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a snapshot the one that is kept, unless a later one is.
    pub(super) async fn keep_snapshot(&self, upto: Option<LogId>, bytes: Bytes) -> io::Result<()> {
        self.write(Change::Snapshot(upto, bytes)).await
    }

    /// Writes what is pending and gives the database up. Later writes fail.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        self.0.writer.submit(Job::Close(done)).await;
        let _ = closed.await;
    }

    async fn write(&self, change: Change) -> io::Result<()> {
        let (done, written) = oneshot::channel();
        self.0.writer.submit(Job::Write(change, Done::Tell(done))).await;
        written.await.map_err(|_| gone())?
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        // A map's range must not end before it begins; a filter may, and costs little more where it matters.
        let from = match range.start_bound() {
            Bound::Included(&index) | Bound::Excluded(&index) => index,
            Bound::Unbounded => 0,
        };
        let memory = self.memory();
        let after = memory.log.range(from..).skip_while(|(index, _)| !range.contains(*index));
        Ok(after.take_while(|(index, _)| range.contains(*index)).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.memory().vote)
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let memory = self.memory();
        let last = memory.log.last_key_value().map(|(_, entry)| entry.log_id).or(memory.purged);
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.write(Change::Vote(*vote)).await?;
        self.memory().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.memory().committed = committed;
        self.0.writer.submit(Job::Committed(committed)).await;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        {
            let mut memory = self.memory();
            for entry in entries {
                let index = entry.log_id.index;
                records.push((
                    index,
                    codec::record(types::since(&entry), &index.to_be_bytes(), &entry).map_err(io::Error::other)?,
                ));
                memory.push(entry)?;
            }
        }
        self.0.writer.submit(Job::Write(Change::Append(records), Done::Flushed(callback))).await;
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |id| id.index + 1);
        self.memory().log.split_off(&from);
        self.write(Change::Truncate(from)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        {
            let mut memory = self.memory();
            memory.log = memory.log.split_off(&(upto.index + 1));
            memory.purged = memory.purged.max(Some(upto));
        }
        self.write(Change::Purge(upto)).await
    }
}
