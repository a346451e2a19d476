//! A disk that loses what was not synced when its machine dies.
//!
//! ```text
//! write_at, set_len ──▶ pending ──sync──▶ durable            crash: a drawn part of pending survives, the last write torn
//! Store::append ──▶ write · wait as long as a sync takes · sync         raft::Pace ──▶ wait · all of a batch · sync
//! ```
//! A process that lives reads what it wrote. The file is random access, so that it serves a log that is appended to (the
//! registry's [`Store`]) and a database that writes pages alike ([`File`], for the consensus). A [`File`] dies with its
//! process: what its owner writes while it is torn down reaches nothing.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use freshet_control_plane::{raft::Pace, store::Store};
use freshet_proto::random::Random;
use redb::StorageBackend;
use sha2::{Digest, Sha256};
use tokio::time::sleep;

/// One file on a simulated disk. Cheap to clone; clones are one file, which outlives the hosts that write to it.
#[derive(Debug, Clone)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug)]
struct Platter {
    exists: bool,
    durable: Vec<u8>,
    /// What the process sees: `durable` with `pending` applied.
    seen: Vec<u8>,
    pending: Vec<Change>,
    sync_takes: Duration,
    /// Says that it has synced when it has not.
    lies: bool,
    /// How often its machine has died.
    deaths: u64,
    /// How many more syncs of a [`File`] succeed before the machine dies in one.
    syncs_left: Option<u64>,
    random: Random,
    /// Of everything that was written and synced, in order.
    hash: Sha256,
}

#[derive(Debug, Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Length(u64),
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            Self::Length(_) => 0,
        }
    }

    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let (at, end) = (*at as usize, *at as usize + bytes.len());
                to.resize(to.len().max(end), 0);
                to[at..end].copy_from_slice(bytes);
            }
            Self::Length(length) => to.resize(*length as usize, 0),
        }
    }
}

/// How long a sync takes where nothing else is said.
pub const SYNC: Duration = Duration::from_millis(2);

impl Disk {
    /// An empty disk. `random` decides what a crash leaves of what was not synced.
    pub fn new(random: Random) -> Self {
        Self(Arc::new(Mutex::new(Platter {
            exists: false,
            durable: Vec::new(),
            seen: Vec::new(),
            pending: Vec::new(),
            sync_takes: SYNC,
            lies: false,
            deaths: 0,
            syncs_left: None,
            random,
            hash: Sha256::new(),
        })))
    }

    /// A disk that has `bytes`, synced.
    pub fn with(random: Random, bytes: Vec<u8>) -> Self {
        let disk = Self::new(random);
        disk.put(bytes);
        disk
    }

    /// Makes it say that it has synced when it has not: a bug to be found.
    #[must_use]
    pub fn lying(self) -> Self {
        self.platter().lies = true;
        self
    }

    /// How long each sync takes from now on. Where it is longer than [`SYNC`], every other sync of a consensus takes so long
    /// and the rest take as long as ever, drawn.
    pub fn set_sync(&self, takes: Duration) {
        self.platter().sync_takes = takes;
    }

    /// Whether syncs take longer than they should.
    pub fn is_slow(&self) -> bool {
        self.platter().sync_takes > SYNC
    }

    /// The hash of everything that was written to it and synced, in order.
    pub fn digest(&self) -> [u8; 32] {
        self.platter().hash.clone().finalize().into()
    }

    /// How many bytes there are.
    pub fn len(&self) -> u64 {
        self.platter().seen.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads `length` bytes from `at`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] beyond the end.
    pub fn read_at(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let platter = self.platter();
        let bytes = usize::try_from(at).ok().and_then(|at| platter.seen.get(at..at.checked_add(length)?));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Writes `bytes` at `at`; they are lost in a crash until they are synced.
    pub fn write_at(&self, at: u64, bytes: &[u8]) {
        self.change(Change::Write { at, bytes: bytes.to_vec() });
    }

    /// Cuts or lengthens the file; undone by a crash until it is synced.
    pub fn set_len(&self, length: u64) {
        self.change(Change::Length(length));
    }

    /// Makes everything that was written durable, at once. A lying disk does nothing.
    pub fn sync(&self) {
        let mut platter = self.platter();
        platter.hash.update(b"sync");
        if !platter.lies {
            platter.durable = platter.seen.clone();
            platter.pending.clear();
        }
    }

    /// The file as a process that starts now has it.
    pub fn open(&self) -> File {
        File { disk: self.clone(), deaths: self.platter().deaths }
    }

    /// Lets the machine die within one of its next syncs: nothing of what a [`File`] wrote is synced any more. With
    /// `false` it lives on.
    pub fn die_in_sync(&self, dies: bool) {
        let mut platter = self.platter();
        platter.syncs_left = dies.then(|| 1 + platter.random.below(3));
    }

    /// Whether the machine has died in a sync and nobody has noticed yet.
    pub fn is_dead(&self) -> bool {
        self.platter().syncs_left == Some(0)
    }

    /// How many bytes a crash could take.
    pub fn unsynced(&self) -> usize {
        self.platter().pending.iter().map(Change::bytes).sum()
    }

    /// The machine dies: of what was not synced a beginning survives, drawn, its last write possibly torn. Tells how many
    /// bytes were lost.
    pub fn crash(&self) -> usize {
        let mut platter = self.platter();
        (platter.deaths, platter.syncs_left) = (platter.deaths + 1, None);
        let pending = std::mem::take(&mut platter.pending);
        let whole: usize = pending.iter().map(Change::bytes).sum();
        let mut left = platter.random.below(whole as u64 + 1) as usize;
        let lost = whole - left;
        for change in pending {
            let size = change.bytes();
            if size > left {
                if let Change::Write { at, bytes } = change {
                    Change::Write { at, bytes: bytes[..left].to_vec() }.apply(&mut platter.durable);
                }
                break;
            }
            left -= size;
            change.apply(&mut platter.durable);
        }
        platter.seen = platter.durable.clone();
        lost
    }

    fn change(&self, change: Change) {
        let mut platter = self.platter();
        platter.exists = true;
        match &change {
            Change::Write { at, bytes } => {
                platter.hash.update(at.to_be_bytes());
                platter.hash.update(bytes);
            }
            Change::Length(length) => platter.hash.update(length.to_be_bytes()),
        }
        change.apply(&mut platter.seen);
        platter.pending.push(change);
    }

    /// Replaces everything in one step, as a rename does.
    fn put(&self, whole: Vec<u8>) {
        let mut platter = self.platter();
        platter.exists = true;
        platter.hash.update(&whole);
        platter.pending.clear();
        (platter.durable, platter.seen) = (whole.clone(), whole);
    }

    async fn wait_for_sync(&self) {
        let (takes, lies) = {
            let platter = self.platter();
            (platter.sync_takes, platter.lies)
        };
        if !lies {
            sleep(takes).await;
        }
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace for Disk {
    fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let platter = self.platter();
        let slow = platter.sync_takes > SYNC && platter.random.below(2) == 0;
        let takes = if slow { platter.sync_takes } else { SYNC };
        Box::pin(sleep(if platter.lies { Duration::ZERO } else { takes }))
    }
}

impl Store for Disk {
    async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let platter = self.platter();
        Ok(platter.exists.then(|| platter.seen.clone()))
    }

    async fn replace(&mut self, whole: Vec<u8>) -> io::Result<()> {
        self.wait_for_sync().await;
        self.put(whole);
        Ok(())
    }

    async fn append(&mut self, record: Vec<u8>) -> io::Result<()> {
        self.write_at(self.len(), &record);
        self.wait_for_sync().await;
        self.sync();
        Ok(())
    }
}

/// The file as one process has it, until its machine dies.
#[derive(Debug)]
pub struct File {
    disk: Disk,
    deaths: u64,
}

impl File {
    fn disk(&self) -> io::Result<&Disk> {
        let platter = self.disk.platter();
        let lives = platter.deaths == self.deaths && platter.syncs_left != Some(0);
        drop(platter);
        if lives { Ok(&self.disk) } else { Err(io::Error::other("this machine is dead")) }
    }
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.disk()?.read_at(offset, out.len())?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk()?.set_len(len);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let disk = self.disk()?;
        let mut platter = disk.platter();
        platter.syncs_left = platter.syncs_left.map(|left| left.saturating_sub(1));
        drop(platter);
        self.disk()?.sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk()?.write_at(offset, data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_of_the_rest_a_beginning() {
        for seed in 0..50 {
            let disk = Disk::new(Random::seeded(seed));
            disk.write_at(0, b"safe");
            disk.sync();
            disk.write_at(4, b"more");
            disk.write_at(8, b"last");
            assert_eq!(disk.read_at(0, 12).unwrap(), b"safemorelast");
            let lost = disk.crash();
            assert_eq!(disk.read_at(0, 12 - lost).unwrap(), b"safemorelast"[..12 - lost]);
            assert_eq!((disk.len() as usize, disk.unsynced()), (12 - lost, 0));
        }
    }

    #[test]
    fn pages_are_written_over_and_a_crash_brings_the_old_ones_back() {
        let survives = |seed| {
            let disk = Disk::with(Random::seeded(seed), b"old page".to_vec());
            disk.write_at(0, b"new");
            disk.set_len(3);
            assert_eq!(disk.read_at(0, 3).unwrap(), b"new");
            disk.crash();
            disk.read_at(0, disk.len() as usize).unwrap()
        };
        let outcomes: std::collections::BTreeSet<_> = (0..50).map(survives).collect();
        assert!(outcomes.contains(&b"old page"[..]) && outcomes.contains(&b"nld page"[..]), "{outcomes:?}");
        assert!(outcomes.contains(&b"new"[..]), "{outcomes:?}");
    }

    #[test]
    fn a_machine_that_dies_in_a_sync_has_synced_nothing_and_its_process_writes_into_the_void() {
        for seed in 0..20 {
            let disk = Disk::with(Random::seeded(seed), b"safe".to_vec());
            let file = disk.open();
            disk.die_in_sync(true);
            let done = (0..5).take_while(|_| file.write(0, b"SAFE").and_then(|()| file.sync_data()).is_ok()).count();
            assert!(done < 4 && file.write(0, b"void").is_err(), "{done}");
            assert!(disk.unsynced() > 0);
            disk.crash();
            assert!(file.write(0, b"void").is_err() && disk.open().write(0, b"next").is_ok());
            assert_eq!(disk.read_at(0, 4).unwrap(), b"next");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_store_has_acknowledged_survives_unless_the_disk_lies() {
        for lies in [false, true] {
            let disk = Disk::with(Random::seeded(3), b"log".to_vec());
            let mut store = if lies { disk.clone().lying() } else { disk.clone() };
            store.append(b"entry".to_vec()).await.unwrap();
            let lost = disk.crash();
            assert_eq!(lost > 0, lies);
        }
    }
}
