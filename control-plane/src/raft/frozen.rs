//! A file that is only read. What redb writes when it opens one (it mends what a crash left half done) stays in memory, so
//! that the file, which may be the last of its kind, is afterwards what it was before.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

/// How much is kept as one, in bytes: redb's own page.
const PAGE: u64 = 4096;

/// The file, and what was written over it. At most as much as redb writes while it opens it, which is less than the file.
#[derive(Debug)]
pub(super) struct Frozen {
    file: File,
    over: Mutex<Over>,
}

#[derive(Debug)]
struct Over {
    length: u64,
    /// From here on nothing is the file's any more.
    file_ends: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Frozen {
    /// Opens the file and keeps whoever would write to it out; `None` where somebody has it open to write.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        match file.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let length = file.metadata()?.len();
        Ok(Some(Self { file, over: Mutex::new(Over { length, file_ends: length, pages: BTreeMap::new() }) }))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.over().length == 0
    }

    fn over(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Over {
    /// What is on a page now.
    fn page(&self, file: &File, page: u64) -> io::Result<Vec<u8>> {
        if let Some(bytes) = self.pages.get(&page) {
            return Ok(bytes.clone());
        }
        let mut bytes = vec![0; PAGE as usize];
        let there = self.file_ends.saturating_sub(page * PAGE).min(PAGE) as usize;
        file.read_exact_at(&mut bytes[..there], page * PAGE)?;
        Ok(bytes)
    }
}

/// Where `length` bytes at `offset` are: page, where on it, where among the bytes, and how many.
fn places(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let on_page = (at % PAGE) as usize;
        let count = (length - done).min(PAGE as usize - on_page);
        let place = (at / PAGE, on_page, done, count);
        done += count;
        (count > 0).then_some(place)
    })
}

impl StorageBackend for Frozen {
    fn len(&self) -> io::Result<u64> {
        Ok(self.over().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let over = self.over();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > over.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, on_page, at, count) in places(offset, out.len()) {
            let bytes = over.page(&self.file, page)?;
            out[at..at + count].copy_from_slice(&bytes[on_page..on_page + count]);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut over = self.over();
        if length < over.length && !length.is_multiple_of(PAGE) {
            let mut last = over.page(&self.file, length / PAGE)?;
            last[(length % PAGE) as usize..].fill(0);
            over.pages.insert(length / PAGE, last);
        }
        over.pages.retain(|page, _| page * PAGE < length);
        over.file_ends = over.file_ends.min(length);
        over.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut over = self.over();
        for (page, on_page, at, count) in places(offset, data.len()) {
            let mut bytes = over.page(&self.file, page)?;
            bytes[on_page..on_page + count].copy_from_slice(&data[at..at + count]);
            over.pages.insert(page, bytes);
        }
        over.length = over.length.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_the_file_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let whole: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        fs::write(&path, &whole).unwrap();
        let (frozen, mut plain) = (Frozen::open(&path).unwrap().unwrap(), whole.clone());
        let same = |plain: &[u8]| {
            let mut read = vec![1; plain.len()];
            frozen.read(0, &mut read).unwrap();
            assert!(read == plain, "{} bytes differ", plain.len());
            assert!(frozen.read(1, &mut read).is_err(), "nothing is after the end");
        };
        same(&plain);
        frozen.write(4000, &[7; 5000]).unwrap();
        plain[4000..9000].fill(7);
        same(&plain);
        for length in [8200, 20_000, 5000, 4096, 9000] {
            frozen.set_len(length).unwrap();
            plain.resize(length as usize, 0);
            same(&plain);
        }
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn a_file_that_somebody_writes_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let writer = File::create(&path).unwrap();
        writer.lock().unwrap();
        assert!(Frozen::open(&path).unwrap().is_none());
        drop(writer);
        assert!(Frozen::open(&path).unwrap().is_some_and(|frozen| frozen.is_empty()));
    }
}
