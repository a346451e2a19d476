//! Where the log is kept: one file that is appended to durably and replaced atomically.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// A durable sequence of bytes. What a future returned `Ok` for survives a crash.
pub trait Store: Send + 'static {
    /// Everything that is there; `None` where nothing was ever written.
    fn read(&mut self) -> impl Future<Output = io::Result<Option<Vec<u8>>>> + Send;

    /// Replaces everything; after a crash either the old or the new is there.
    fn replace(&mut self, whole: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;

    /// Adds `record` at the end; after a crash a beginning of it may be there.
    fn append(&mut self, record: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// A file in a directory that one process owns.
#[derive(Debug)]
pub struct FileStore {
    dir: PathBuf,
    file: Option<Arc<File>>,
    _lock: File,
}

impl FileStore {
    /// The log's name in its directory.
    pub const NAME: &'static str = "registry.log";
    const FRESH: &'static str = "registry.log.new";
    const LOCK: &'static str = "registry.lock";

    /// Takes possession of `dir`, which is made if need be. Blocks: for the start of a process.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process has it.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join(Self::LOCK))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => io::Error::new(io::ErrorKind::WouldBlock, "another process uses it"),
            fs::TryLockError::Error(error) => error,
        })?;
        Ok(Self { dir: dir.to_owned(), file: None, _lock: lock })
    }
}

impl Store for FileStore {
    async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let path = self.dir.join(Self::NAME);
        blocking(move || match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn replace(&mut self, whole: Vec<u8>) -> io::Result<()> {
        let dir = self.dir.clone();
        let file = blocking(move || replace(&dir, &whole)).await?;
        self.file = Some(Arc::new(file));
        Ok(())
    }

    async fn append(&mut self, record: Vec<u8>) -> io::Result<()> {
        let file = self.file.clone().ok_or_else(|| io::Error::other("nothing to append to yet"))?;
        blocking(move || {
            (&*file).write_all(&record)?;
            file.sync_data()
        })
        .await
    }
}

/// Returns the new file, at its end.
fn replace(dir: &Path, whole: &[u8]) -> io::Result<File> {
    let fresh = dir.join(FileStore::FRESH);
    let mut file = File::create(&fresh)?;
    file.write_all(whole)?;
    file.sync_all()?;
    fs::rename(&fresh, dir.join(FileStore::NAME))?;
    File::open(dir)?.sync_all()?;
    Ok(file)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Memory that outlives whoever writes to it: for simulations and tests. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Option<Vec<u8>>>>);

impl MemoryStore {
    /// What a disk would hold now.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Option<Vec<u8>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<Vec<u8>> for MemoryStore {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Some(bytes))))
    }
}

impl Store for MemoryStore {
    async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.with(|bytes| bytes.clone()))
    }

    async fn replace(&mut self, whole: Vec<u8>) -> io::Result<()> {
        self.with(|bytes| *bytes = Some(whole));
        Ok(())
    }

    async fn append(&mut self, record: Vec<u8>) -> io::Result<()> {
        self.with(|bytes| bytes.get_or_insert_default().extend(record));
        Ok(())
    }
}
