//! The registry's log as bytes: a snapshot, then what happened since.
//!
//! ```text
//! file   = record(Snapshot) · record(Entries)*
//! record = length u32 · crc32(length) u32 · payload (postcard) · crc32(payload) u32        all big-endian
//! ```
//! One record is written and fsynced at a time, so a crash can tear the last one only, and nobody has heard of what it
//! says: it is cut. A length has a checksum of its own, so that a flipped bit in it is not taken for a torn end. Anything
//! else that can't be read is damage: guessing would set numbers back, so it is refused.

use freshet_proto::level::Level;
use serde::{Deserialize, Serialize};

use crate::machine::{Input, Output, Registry};

/// The format's version. A log of another one is refused.
pub const VERSION: u16 = 2;

/// The longest payload. A snapshot of 10,000 channels is about 2 MB.
pub const MAX_RECORD: usize = 256 << 20;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// Everything up to here. Always the first record and nowhere else.
    Snapshot {
        /// [`VERSION`].
        version: u16,
        /// The state.
        registry: Box<Registry>,
    },
    /// Inputs that changed something, in order.
    Entries(Vec<Entry>),
}

/// One input that changed something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its log index.
    pub revision: u64,
    /// When it happened, in ms; not before the entry before it.
    pub now_ms: u64,
    /// What happened.
    pub input: Input,
}

/// Why a log can't be used. The disk's doing, or that of a newer version of this program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A record is neither whole nor the torn end of the file.
    #[error(
        "the log is damaged at byte {at} ({why}); restore it from a backup. Moving it away starts an empty registry, \
         whose numbers begin anew: live viewers would have to reload"
    )]
    Damaged {
        /// Where the record begins.
        at: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// It was written by another version.
    #[error("the log has format {found}, this program reads {VERSION}; run the version that wrote it")]
    Version {
        /// Its format.
        found: u16,
    },
    /// A record can't be written.
    #[error("a record can't be written: {0}")]
    Encode(postcard::Error),
}

/// What a log says.
#[derive(Debug)]
pub struct Replayed {
    /// The state after it.
    pub registry: Registry,
    /// How many bytes at its end were torn and are ignored.
    pub torn: u64,
}

const HEAD: usize = 8;
const TAIL: usize = 4;

/// A record as bytes.
///
/// # Errors
/// [`LogError::Encode`].
pub fn encode(record: &Record) -> Result<Vec<u8>, LogError> {
    let payload = postcard::to_stdvec(record).map_err(LogError::Encode)?;
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = Vec::with_capacity(HEAD + payload.len() + TAIL);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&crc32fast::hash(&length).to_be_bytes());
    bytes.extend_from_slice(&payload);
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_be_bytes());
    Ok(bytes)
}

/// The snapshot record of a registry.
///
/// # Errors
/// [`LogError::Encode`].
pub fn snapshot(registry: &Registry) -> Result<Vec<u8>, LogError> {
    encode(&Record::Snapshot { version: VERSION, registry: Box::new(registry.clone()) })
}

/// Reads a whole log.
///
/// # Errors
/// [`LogError::Damaged`], [`LogError::Version`].
pub fn replay(bytes: &[u8]) -> Result<Replayed, LogError> {
    let (first, mut rest) = match split(bytes, 0)? {
        Split::Whole(payload, rest) => (payload, rest),
        Split::Torn => return Err(LogError::Damaged { at: 0, why: "the first record is not whole" }),
    };
    let mut registry = open(first)?;
    loop {
        let at = (bytes.len() - rest.len()) as u64;
        if rest.is_empty() {
            return Ok(Replayed { registry, torn: 0 });
        }
        match split(rest, at)? {
            Split::Torn => return Ok(Replayed { registry, torn: rest.len() as u64 }),
            Split::Whole(payload, after) => {
                apply(&mut registry, payload, at)?;
                rest = after;
            }
        }
    }
}

enum Split<'a> {
    Whole(&'a [u8], &'a [u8]),
    Torn,
}

fn split(bytes: &[u8], at: u64) -> Result<Split<'_>, LogError> {
    let damaged = |why| Err(LogError::Damaged { at, why });
    // A file system may lengthen a file before it has the bytes.
    if bytes.iter().all(|&byte| byte == 0) {
        return Ok(Split::Torn);
    }
    let Some((head, after)) = bytes.split_at_checked(HEAD) else { return Ok(Split::Torn) };
    let (length, check) = head.split_at(4);
    if crc32fast::hash(length) != number(check) {
        return damaged("the checksum of its length is wrong");
    }
    let length = number(length) as usize;
    if length > MAX_RECORD {
        return damaged("it is longer than any record");
    }
    let Some((payload, after)) = after.split_at_checked(length) else { return Ok(Split::Torn) };
    let Some((check, after)) = after.split_at_checked(TAIL) else { return Ok(Split::Torn) };
    match (crc32fast::hash(payload) == number(check), number(check), after.iter().all(|&byte| byte == 0)) {
        (true, ..) => Ok(Split::Whole(payload, after)),
        (false, 0, true) => Ok(Split::Torn),
        (false, ..) => damaged("its checksum is wrong"),
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, &byte| (number << 8) | u32::from(byte))
}

fn open(payload: &[u8]) -> Result<Registry, LogError> {
    // The variant and the version come first, so that a later format is told from damage.
    match postcard::take_from_bytes::<(u8, u16)>(payload) {
        Ok(((0, VERSION), _)) => {}
        Ok(((0, found), _)) => return Err(LogError::Version { found }),
        _ => return Err(LogError::Damaged { at: 0, why: "the first record is no snapshot" }),
    }
    match postcard::from_bytes(payload) {
        Ok(Record::Snapshot { mut registry, .. }) => {
            registry.index();
            Ok(*registry)
        }
        _ => Err(LogError::Damaged { at: 0, why: "its snapshot can't be read" }),
    }
}

fn apply(registry: &mut Registry, payload: &[u8], at: u64) -> Result<(), LogError> {
    let Ok(Record::Entries(entries)) = postcard::from_bytes(payload) else {
        return Err(LogError::Damaged { at, why: "it can't be read" });
    };
    let mut out = Vec::<Output>::new();
    for entry in entries {
        if entry.input.since() > Level::FIRST {
            return Err(LogError::Damaged { at, why: "it holds what only control nodes agree on" });
        }
        registry.handle(registry.revision() + 1, entry.now_ms, entry.input, &mut out);
        if registry.revision() != entry.revision {
            return Err(LogError::Damaged { at, why: "it does not follow from what is before it" });
        }
        out.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Times;

    fn log() -> Vec<u8> {
        snapshot(&Registry::new(7, Times::default())).unwrap()
    }

    #[test]
    fn a_torn_end_is_cut_and_zeros_of_the_file_system_too() {
        let whole = log();
        let more = encode(&Record::Entries(vec![])).unwrap();
        for kept in 0..more.len() {
            let torn = [&whole[..], &more[..kept]].concat();
            assert_eq!(replay(&torn).map(|replayed| replayed.torn), Ok(kept as u64));
            let zeros = [&torn[..], &[0; 4096]].concat();
            let cut = replay(&zeros).map(|replayed| replayed.torn);
            // What was written may itself look like a broken length; then nothing is guessed.
            assert!(
                matches!(cut, Ok(torn) if torn == kept as u64 + 4096) || matches!(cut, Err(LogError::Damaged { .. }))
            );
        }
    }

    #[test]
    fn a_log_without_a_whole_beginning_is_refused_rather_than_begun_anew() {
        for kept in 0..log().len() {
            assert_eq!(
                replay(&log()[..kept]).map(|_| ()),
                Err(LogError::Damaged { at: 0, why: "the first record is not whole" })
            );
        }
    }

    #[test]
    fn a_log_of_another_version_is_told_from_a_damaged_one() {
        let registry = Box::new(Registry::new(7, Times::default()));
        let newer = encode(&Record::Snapshot { version: 3, registry }).unwrap();
        assert_eq!(replay(&newer).map(|_| ()), Err(LogError::Version { found: 3 }));
    }

    #[test]
    fn entries_that_do_not_follow_are_refused() {
        let entry = Entry { revision: 5, now_ms: 1, input: Input::Timeout };
        let bytes = [log(), encode(&Record::Entries(vec![entry])).unwrap()].concat();
        assert!(matches!(
            replay(&bytes),
            Err(LogError::Damaged { why: "it does not follow from what is before it", .. })
        ));
    }
}
