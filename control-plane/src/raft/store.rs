//! The log, the vote and the snapshot: durable in redb before anyone is told, and the log in memory too.
//!
//! ```text
//! openraft ──append──▶ memory (readable at once) ──Job──▶ Disk: one transaction, one sync for all that waits ──▶ IOFlushed
//! ```
//! Group commit: while one batch is synced, what comes meanwhile waits for the next; up to [`BATCH`] jobs share a sync.
//! On a file, a thread of its own does the waiting, because redb blocks. Over any other backend the same work is done
//! inline, so that a simulation is one thread. After the first failure nothing is written any more, whatever the disk says
//! then: what it holds is not known. openraft stops when it hears of it, and so the member does.

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
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::error;

use super::{
    codec,
    disk::{Change, Contents, Disk},
    types::{self, Entry, LogId, OpenError, Types, Vote},
};

/// How many jobs share one sync at most.
const BATCH: usize = 1024;

/// How many jobs may wait for the disk; a further one waits for a place, and openraft's core with it.
const QUEUE: usize = 4096;

/// A member's storage, opened and checked, and not running yet. Belongs to one process at a time.
#[derive(Debug)]
pub struct Store {
    disk: Disk,
    contents: Contents,
    threaded: bool,
}

impl Store {
    /// Opens the store in `dir`, or makes it. A thread will own it. Blocks: for the start of a process.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn file(dir: &Path) -> Result<Self, OpenError> {
        let (disk, contents) = Disk::file(dir)?;
        Ok(Self { disk, contents, threaded: true })
    }

    /// Opens the store on any backend, or makes it. Everything will be done inline: the door through which a simulation
    /// comes in.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn over(backend: impl StorageBackend) -> Result<Self, OpenError> {
        let (disk, contents) = Disk::over(backend, "the log's backend")?;
        Ok(Self { disk, contents, threaded: false })
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
        let keeper = Keeper { disk: Some(self.disk), committed: None, covered, failed: None };
        let writer =
            if self.threaded { Writer::thread(keeper) } else { Ok(Writer::Inline(Box::new(Mutex::new(keeper)))) };
        let writer = writer.map_err(|error| OpenError::Disk(error.to_string()))?;
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

fn gone() -> io::Error {
    io::Error::other("the store is closed")
}

/// Work for the disk.
#[derive(Debug)]
enum Job {
    Write(Change, Done),
    /// Written with whatever comes next.
    Committed(Option<LogId>),
    Close(oneshot::Sender<()>),
}

/// Who hears when it is durable.
enum Done {
    Tell(oneshot::Sender<io::Result<()>>),
    Flushed(IOFlushed<Types>),
}

impl Debug for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Done")
    }
}

impl Done {
    fn tell(self, result: &Result<(), String>) {
        let result = result.clone().map_err(io::Error::other);
        match self {
            Self::Tell(sender) => drop(sender.send(result)),
            Self::Flushed(callback) => callback.io_completed(result),
        }
    }
}

/// Where the disk's work is done.
#[derive(Debug)]
enum Writer {
    /// By a thread; it ends, and gives the database up, when the last sender has gone.
    Thread(mpsc::Sender<Job>),
    /// By whoever submits it.
    Inline(Box<Mutex<Keeper>>),
}

impl Writer {
    fn thread(mut keeper: Keeper) -> io::Result<Self> {
        let (sender, mut jobs) = mpsc::channel(QUEUE);
        let work = move || {
            let mut batch = Vec::with_capacity(BATCH);
            while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
                keeper.work(batch.drain(..));
            }
        };
        std::thread::Builder::new().name("raft-disk".to_owned()).spawn(work)?;
        Ok(Self::Thread(sender))
    }

    /// A job that can't be submitted is dropped, and whoever waits for it hears of that.
    async fn submit(&self, job: Job) {
        match self {
            Self::Thread(sender) => {
                if let Err(mpsc::error::SendError(Job::Write(_, done))) = sender.send(job).await {
                    done.tell(&Err(gone().to_string()));
                }
            }
            Self::Inline(keeper) => keeper.lock().unwrap_or_else(PoisonError::into_inner).work([job]),
        }
    }
}

/// Owns the database and keeps its promises.
#[derive(Debug)]
struct Keeper {
    disk: Option<Disk>,
    committed: Option<Option<LogId>>,
    /// Up to where the snapshot on disk goes. Its successors go further: the log before it may be gone.
    covered: Option<LogId>,
    /// Why nothing is written any more.
    failed: Option<String>,
}

impl Keeper {
    /// Makes all of a batch durable, then tells everyone.
    fn work(&mut self, jobs: impl IntoIterator<Item = Job>) {
        let (mut changes, mut waiting, mut closing) = (Vec::new(), Vec::new(), None);
        for job in jobs {
            match job {
                Job::Write(Change::Snapshot(upto, _), done) if upto < self.covered => waiting.push(done),
                Job::Write(change, done) => {
                    if let Change::Snapshot(upto, _) = &change {
                        self.covered = *upto;
                    }
                    changes.push(change);
                    waiting.push(done);
                }
                Job::Committed(id) => self.committed = Some(id),
                Job::Close(done) => closing = Some(done),
            }
        }
        if !waiting.is_empty() || closing.is_some() {
            let result = self.commit(changes);
            waiting.into_iter().for_each(|done| done.tell(&result));
        }
        if let Some(done) = closing {
            self.disk = None;
            let _ = done.send(());
        }
    }

    fn commit(&mut self, mut changes: Vec<Change>) -> Result<(), String> {
        if let Some(why) = &self.failed {
            return Err(why.clone());
        }
        let disk = self.disk.as_ref().ok_or_else(|| gone().to_string())?;
        changes.extend(self.committed.take().map(Change::Committed));
        if changes.is_empty() {
            return Ok(());
        }
        let (jobs, started) = (changes.len(), Instant::now());
        let result = disk.commit(changes).map_err(|error| error.to_string());
        metrics::histogram!("freshet_raft_sync_seconds").record(started.elapsed());
        metrics::histogram!("freshet_raft_batch_jobs").record(jobs as f64);
        if let Err(why) = &result {
            error!(why, "the replicated log can't be written; this control node stops");
            self.failed = Some(why.clone());
        }
        result
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
