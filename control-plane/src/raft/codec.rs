//! Records as they are on disk, and messages as they travel.
//!
//! ```text
//! record  = format u8 · crc32(format, key, payload) u32 big-endian · payload (postcard)
//! message = format u8 · payload (postcard)
//! ```
//! A format is the version of the node protocol ([`freshet_proto::level`]) that can read it: a record says 1 unless what is
//! in it came later, so that older control nodes read what they can, and say why they can't read the rest.
//!
//! The key is where the record stands, so that a record in another's place is noticed too. redb has checksums of its own,
//! but they answer for pages, and only until a record leaves it.

use bytes::Bytes;
use freshet_proto::{id::NodeId, level::Level};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::types::{OpenError, SnapshotMeta, Types, Vote};

/// The format of messages, and of records that version 1 can read.
pub(super) const FIRST: u8 = Level::FIRST.0;

/// The newest format that this program reads.
pub(super) const NEWEST: u8 = Level::NEWEST.0;

const HEAD: usize = 5;

/// Frames `value`, which came with version `since`, as the record at `key`.
pub(super) fn record<T: Serialize>(since: Level, key: &[u8], value: &T) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = vec![since.0, 0, 0, 0, 0];
    bytes = postcard::to_extend(value, bytes)?;
    let check = check(since.0, key, &bytes[HEAD..]).to_be_bytes();
    bytes[1..HEAD].copy_from_slice(&check);
    Ok(bytes)
}

/// Reads the record at `key`.
pub(super) fn open<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, OpenError> {
    let damaged = |why: &str| OpenError::Damaged(format!("record {}: {why}", name(key)));
    let Some((head, payload)) = bytes.split_at_checked(HEAD) else { return Err(damaged("it is too short")) };
    if !(FIRST..=NEWEST).contains(&head[0]) {
        return Err(OpenError::Version { found: head[0] });
    }
    if check(head[0], key, payload).to_be_bytes() != head[1..] {
        return Err(damaged("its checksum is wrong"));
    }
    postcard::from_bytes(payload).map_err(|error| damaged(&format!("it can't be read: {error}")))
}

fn check(format: u8, key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[format]);
    hasher.update(key);
    hasher.update(payload);
    hasher.finalize()
}

/// A key as an operator may read it: a log index as a number, anything else as text.
fn name(key: &[u8]) -> String {
    match <[u8; 8]>::try_from(key) {
        Ok(index) => u64::from_be_bytes(index).to_string(),
        Err(_) => String::from_utf8_lossy(key).into_owned(),
    }
}

/// What one member asks another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// The sender's registry; 0 while it has none. Members of two groups don't mix.
    pub(super) cluster: u64,
    /// Who is meant: an address may have changed hands.
    pub(super) to: NodeId,
    /// What is asked.
    pub(super) call: Call,
}

/// openraft's messages.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Call {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
    PreVote(VoteRequest<Types>),
    Snapshot { vote: Vote, meta: SnapshotMeta, bytes: Bytes },
    Transfer(TransferLeaderRequest<Types>),
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Append(AppendEntriesResponse<Types>),
    Vote(VoteResponse<Types>),
    Snapshot(SnapshotResponse<Types>),
    Transfer(TransferLeaderResponse<Types>),
    Refused(Refusal),
}

impl Answer {
    /// Whether whoever called leads, as far as this member knows.
    pub(super) fn obeys(&self) -> bool {
        match self {
            Self::Append(answer) => !matches!(answer, AppendEntriesResponse::HigherVote(_)),
            Self::Snapshot(_) => true,
            Self::Vote(_) | Self::Transfer(_) | Self::Refused(_) => false,
        }
    }
}

/// Why a member does not answer a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it belongs to another group ({theirs:016x}, ours is {ours:016x})")]
    OtherGroup { ours: u64, theirs: u64 },
    #[error("it is node {0}")]
    OtherNode(NodeId),
    #[error("it started a moment ago and does not vote yet")]
    Starting,
    #[error("it has stopped")]
    Stopped,
    #[error("the call makes no sense: {0}")]
    Senseless(String),
}

/// Encodes a message.
pub(super) fn message<T: Serialize>(value: &T) -> Result<Bytes, postcard::Error> {
    postcard::to_extend(value, vec![FIRST]).map(Bytes::from)
}

/// Decodes a message; tells in words why it can't.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&FIRST, payload)) => postcard::from_bytes(payload).map_err(|error| error.to_string()),
        Some((version, _)) => Err(format!("it has version {version}, this node speaks {FIRST}")),
        None => Err("it is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_bit_flipped_or_in_another_place_is_refused() {
        let whole = record(Level::FIRST, &7u64.to_be_bytes(), &"a record").unwrap();
        assert_eq!(open::<String>(&7u64.to_be_bytes(), &whole).unwrap(), "a record");
        assert!(open::<String>(&8u64.to_be_bytes(), &whole).is_err());
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open::<String>(&7u64.to_be_bytes(), &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_damaged_record_is_named_and_the_remedy_too() {
        let error = open::<u64>(&7u64.to_be_bytes(), &[FIRST, 0, 0, 0, 0, 1]).unwrap_err().to_string();
        assert!(
            error.contains("record 7: its checksum is wrong") && error.contains("freshet control restore"),
            "{error}"
        );
    }
}
