//! Whoever does a store's work on the disk, and in what batches: see `store`.

use std::{
    fmt::Debug,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use openraft::storage::IOFlushed;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::error;

use super::{
    disk::{Change, Disk},
    types::{LogId, Types},
};

/// How many jobs share one sync at most.
const BATCH: usize = 1024;

/// How many jobs may wait for the disk; a further one waits for a place, and openraft's core with it.
const QUEUE: usize = 4096;

/// How long a simulated disk takes.
pub trait Pace: Debug + Send + Sync + 'static {
    /// Resolves after as long as the next sync takes; it is done then.
    fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Who is to do a store's work.
#[derive(Debug)]
pub(super) enum Labour {
    /// A thread.
    Thread,
    /// Whoever submits it.
    Inline,
    /// A task that waits before each sync.
    Paced(Arc<dyn Pace>),
}

/// Work for the disk.
#[derive(Debug)]
pub(super) enum Job {
    Write(Change, Done),
    /// Written with whatever comes next.
    Committed(Option<LogId>),
    Close(oneshot::Sender<()>),
}

/// Who hears when it is durable.
pub(super) enum Done {
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
pub(super) enum Writer {
    /// By a thread or a task; it ends, and gives the database up, when the last sender has gone.
    Queue(mpsc::Sender<Job>),
    /// By whoever submits it.
    Inline(Box<Mutex<Keeper>>),
}

impl Writer {
    pub(super) fn new(labour: Labour, keeper: Keeper) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel(QUEUE);
        match labour {
            Labour::Inline => return Ok(Self::Inline(Box::new(Mutex::new(keeper)))),
            Labour::Thread => {
                let work = move || keep(keeper, jobs);
                std::thread::Builder::new().name("raft-disk".to_owned()).spawn(work)?;
            }
            Labour::Paced(pace) => drop(tokio::spawn(keep_paced(keeper, pace, jobs))),
        }
        Ok(Self::Queue(sender))
    }

    /// A job that can't be submitted is dropped, and whoever waits for it hears of that.
    pub(super) async fn submit(&self, job: Job) {
        match self {
            Self::Queue(sender) => {
                if let Err(mpsc::error::SendError(Job::Write(_, done))) = sender.send(job).await {
                    done.tell(&Err(gone().to_string()));
                }
            }
            Self::Inline(keeper) => keeper.lock().unwrap_or_else(PoisonError::into_inner).work([job]),
        }
    }
}

fn keep(mut keeper: Keeper, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.blocking_recv_many(&mut batch, BATCH) > 0 {
        keeper.work(batch.drain(..));
    }
}

async fn keep_paced(mut keeper: Keeper, pace: Arc<dyn Pace>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        if !batch.iter().all(|job| matches!(job, Job::Committed(_))) {
            pace.wait().await;
        }
        keeper.work(batch.drain(..));
    }
}

/// Owns the database and keeps its promises.
#[derive(Debug)]
pub(super) struct Keeper {
    disk: Option<Disk>,
    committed: Option<Option<LogId>>,
    /// Up to where the snapshot on disk goes. Its successors go further: the log before it may be gone.
    covered: Option<LogId>,
    /// Why nothing is written any more.
    failed: Option<String>,
}

impl Keeper {
    /// Up to where goes the snapshot on `disk`: `covered`.
    pub(super) fn new(disk: Disk, covered: Option<LogId>) -> Self {
        Self { disk: Some(disk), committed: None, covered, failed: None }
    }

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

pub(super) fn gone() -> io::Error {
    io::Error::other("the store is closed")
}
