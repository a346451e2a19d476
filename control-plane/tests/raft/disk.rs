//! A disk that loses what was not synced, and may keep any part of it.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use freshet_proto::random::Random;
use redb::StorageBackend;

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// A disk. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// What was written since the last sync.
    pending: Vec<(usize, Vec<u8>)>,
    /// Every call since the beginning, as a hash.
    trace: u64,
    syncs: usize,
    /// The machine is dead: nothing arrives any more.
    dead: bool,
    /// From this sync on, syncs fail.
    broken_from: Option<usize>,
}

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crash {
    /// All is lost.
    Clean,
    /// Each sector that was written is there or not.
    Torn,
}

impl Disk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// What is on the disk after a crash; whoever still writes to `self` writes into the void.
    pub fn crash(&self, crash: Crash, random: &Random) -> Self {
        let mut inner = self.inner();
        inner.dead = true;
        let mut left = inner.synced.clone();
        if crash == Crash::Torn {
            for (offset, bytes) in &inner.pending {
                for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                    if random.below(2) == 0 {
                        put(&mut left, offset + i * SECTOR, sector);
                    }
                }
            }
        }
        Self(Arc::new(Mutex::new(Inner { now: left.clone(), synced: left, ..Inner::default() })))
    }

    /// What is on the disk now.
    pub fn bytes(&self) -> Vec<u8> {
        self.inner().now.clone()
    }

    /// A disk with these bytes.
    pub fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { now: bytes.clone(), synced: bytes, ..Inner::default() })))
    }

    /// How often it was synced.
    pub fn syncs(&self) -> usize {
        self.inner().syncs
    }

    /// A hash of everything that was ever asked of it.
    pub fn trace(&self) -> u64 {
        self.inner().trace
    }

    /// Lets every sync from now on fail.
    pub fn break_syncs(&self) {
        let mut inner = self.inner();
        inner.broken_from = Some(inner.syncs);
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset + data.len() {
        bytes.resize(offset + data.len(), 0);
    }
    bytes[offset..offset + data.len()].copy_from_slice(data);
}

impl Inner {
    fn note(&mut self, what: &[u8]) {
        for &byte in what {
            self.trace = (self.trace ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn alive(&self) -> io::Result<()> {
        if self.dead { Err(io::Error::other("the machine is dead")) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let from = offset as usize;
        let bytes = inner.now.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.alive()?;
        inner.note(&len.to_be_bytes());
        inner.now.resize(len as usize, 0);
        // A file system keeps lengths in its journal.
        inner.synced.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.alive()?;
        if inner.broken_from.is_some_and(|from| inner.syncs >= from) {
            return Err(io::Error::other("the disk can't be synced"));
        }
        inner.note(b"sync");
        inner.syncs += 1;
        inner.synced = inner.now.clone();
        inner.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.alive()?;
        inner.note(&offset.to_be_bytes());
        inner.note(data);
        put(&mut inner.now, offset as usize, data);
        inner.pending.push((offset as usize, data.to_vec()));
        Ok(())
    }
}
