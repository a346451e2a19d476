//! Where a control node's key-encryption keys are, and what it can do with them. They never leave the node: another control
//! node is given the same ones by its operator.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use freshet_proto::random::Random;

use super::{
    ring::{Key, NewKey, Ring},
    wrap::{Kek, Keks, NoKek, Wrapped},
};
use crate::ca::write_secret;

/// Where key-encryption keys come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// They were given as they are, from the environment.
    Given(Keks),
    /// A file that the operator made.
    File(PathBuf),
    /// A file that this node makes when it leads a platform that has no keys yet.
    Own(PathBuf),
}

/// Why the key-encryption keys of a control node are not at hand. The operator's doing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// The file can't be read or written.
    #[error("the key-encryption key {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds none.
    #[error("{path}: {why}")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        why: NoKek,
    },
}

/// Why this node can't sign, or make a key to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Locked {
    /// It has no key-encryption key at all. The remedy: copy another control node's.
    #[error(
        "this control node has no key-encryption key, so it can't sign tokens: copy the file `kek` from the data directory of \
         one that can (`freshet key ls` there), or set control.kek_file"
    )]
    None,
    /// It has another one than the key is wrapped with. The remedy: the same.
    #[error(
        "this control node's key-encryption key is not the one that signing key {0} is wrapped with, so it can't sign tokens: \
         copy the file `kek` from the data directory of one that can (`freshet key ls` there), or set control.kek_file"
    )]
    Other(String),
    /// What is wrapped is damaged, or the file is.
    #[error("{0}")]
    Damaged(String),
}

/// A control node's key-encryption keys.
#[derive(Debug)]
pub struct Safe {
    source: Source,
    keks: Mutex<Keks>,
}

impl Safe {
    /// Reads them. A file of this node's own may not be there yet.
    ///
    /// # Errors
    /// See [`KekError`].
    pub fn open(source: Source) -> Result<Self, KekError> {
        let keks = read(&source)?;
        Ok(Self { source, keks: Mutex::new(keks) })
    }

    /// Reads the file again, which may have been copied there since.
    pub fn reread(&self) {
        if let Ok(keks) = read(&self.source) {
            *self.keks() = keks;
        }
    }

    fn keks(&self) -> MutexGuard<'_, Keks> {
        self.keks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a key can be unwrapped here.
    pub fn holds(&self, key: &Key) -> bool {
        key.made.private.as_ref().is_some_and(|private| self.keks().named(&private.kek).is_some())
    }

    /// The private half of a key (PKCS #8, DER).
    ///
    /// # Errors
    /// See [`Locked`].
    pub fn unwrap(&self, key: &NewKey) -> Result<Vec<u8>, Locked> {
        let NewKey { kid, private, .. } = key;
        let keks = self.keks();
        let Some(Wrapped { kek, .. }) = private else { return Err(Locked::Damaged(format!("key {kid} is past"))) };
        let kek = keks.named(kek).ok_or_else(|| match keks.first() {
            Some(_) => Locked::Other(kid.clone()),
            None => Locked::None,
        })?;
        let opened = private.as_ref().and_then(|private| kek.unwrap(kid, private));
        opened.ok_or_else(|| Locked::Damaged(format!("the private half of key {kid} is damaged; revoke it")))
    }

    /// What the next key of the ring is wrapped with: what this node wraps with, if it can sign with the one that signs now, so
    /// that whoever can goes on being able to. For the first key, and where the present key-encryption key is lost (`anew`), a
    /// node that has none makes one.
    ///
    /// # Errors
    /// See [`Locked`].
    pub fn for_next(&self, ring: &Ring, anew: bool, random: &Random) -> Result<Kek, Locked> {
        let present = ring.active().filter(|_| !anew);
        if let Some(active) = present.filter(|active| !self.holds(active)) {
            return self.unwrap(&active.made).and(Err(Locked::None));
        }
        if let Some(kek) = self.keks().first() {
            return Ok(kek.clone());
        }
        let Source::Own(path) = &self.source else { return Err(Locked::None) };
        let kek = Kek::generate(random);
        write_secret(path, &format!("{}\n", kek.encode())).map_err(|error| Locked::Damaged(error.to_string()))?;
        *self.keks() = Keks::new(vec![kek.clone()]);
        Ok(kek)
    }
}

fn read(source: &Source) -> Result<Keks, KekError> {
    match source {
        Source::Given(keks) => Ok(keks.clone()),
        Source::File(path) => read_file(path),
        Source::Own(path) => match read_file(path) {
            Err(KekError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Keks::default()),
            read => read,
        },
    }
}

fn read_file(path: &Path) -> Result<Keks, KekError> {
    let text = fs::read_to_string(path).map_err(|source| KekError::File { path: path.to_owned(), source })?;
    Keks::parse(&text).map_err(|why| KekError::Malformed { path: path.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use freshet_proto::annex::Algorithm;

    use super::*;

    fn ring(kek: &Kek, random: &Random) -> Ring {
        let (kid, private) = ("kid-1".to_owned(), kek.wrap("kid-1", b"half", random));
        let mut ring = Ring::default();
        ring.put(1, NewKey { kid, algorithm: Algorithm::EdDsa, jwk: String::new(), private }).unwrap();
        ring
    }

    #[test]
    fn the_first_leader_makes_a_key_encryption_key_that_it_alone_can_read_and_finds_it_again() {
        let (dir, random) = (tempfile::tempdir().unwrap(), Random::seeded(1));
        let path = dir.path().join("kek");
        let safe = Safe::open(Source::Own(path.clone())).unwrap();
        let kek = safe.for_next(&Ring::default(), false, &random).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Safe::open(Source::Own(path)).unwrap();
        assert_eq!(again.for_next(&ring(&kek, &random), false, &random), Ok(kek.clone()));
        assert_eq!(again.unwrap(&ring(&kek, &random).keys()[0].made).unwrap(), b"half");
    }

    #[test]
    fn a_node_without_the_key_encryption_key_makes_none_of_its_own_unless_told_and_takes_it_once_it_is_there() {
        let (dir, random) = (tempfile::tempdir().unwrap(), Random::seeded(1));
        let (kek, path) = (Kek::generate(&random), dir.path().join("kek"));
        let (ring, safe) = (ring(&kek, &random), Safe::open(Source::Own(path.clone())).unwrap());
        assert_eq!(safe.for_next(&ring, false, &random), Err(Locked::None));
        assert!(!path.exists());
        fs::write(&path, Kek::generate(&random).encode()).unwrap();
        safe.reread();
        assert_eq!(safe.unwrap(&ring.keys()[0].made), Err(Locked::Other("kid-1".to_owned())));
        assert_eq!(safe.for_next(&ring, false, &random), Err(Locked::Other("kid-1".to_owned())));
        fs::write(&path, kek.encode()).unwrap();
        safe.reread();
        assert_eq!(safe.for_next(&ring, false, &random), Ok(kek));
        fs::remove_file(&path).unwrap();
        let lost = Safe::open(Source::Own(path.clone())).unwrap();
        assert!(lost.for_next(&ring, true, &random).is_ok() && path.exists());
    }

    #[test]
    fn a_file_that_is_missing_or_holds_something_else_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("given");
        let told = |path: &Path| Safe::open(Source::File(path.to_owned())).unwrap_err().to_string();
        assert!(told(&path).contains("given"), "{}", told(&path));
        fs::write(&path, "secret").unwrap();
        assert!(told(&path).contains("openssl rand -base64 32"), "{}", told(&path));
        assert!(!told(&path).contains("secret"));
    }
}
