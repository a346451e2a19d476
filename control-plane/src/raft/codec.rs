//! Records as they are on disk, and messages as they travel.
//!
//! ```text
//! record  = version u8 · crc32(version, key, payload) u32 big-endian · payload (postcard)
//! message = version u8 · payload (postcard)
//! ```
//! The key is where the record stands, so that a record in another's place is noticed too. redb has checksums of its own,
//! but they answer for pages, and only until a record leaves it.

use bytes::Bytes;
use freshet_proto::id::NodeId;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::types::{OpenError, SnapshotMeta, Types, Vote};

/// The version of records, messages and snapshots.
pub(super) const VERSION: u8 = 1;

const HEAD: usize = 5;

/// Frames `value` as the record at `key`.
pub(super) fn record<T: Serialize>(key: &[u8], value: &T) -> Result<Vec<u8>, postcard::Error> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0];
    bytes = postcard::to_extend(value, bytes)?;
    let check = check(key, &bytes[HEAD..]).to_be_bytes();
    bytes[1..HEAD].copy_from_slice(&check);
    Ok(bytes)
}

/// Reads the record at `key`.
pub(super) fn open<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, OpenError> {
    let damaged = |why: &str| OpenError::Damaged(format!("record {}: {why}", name(key)));
    let Some((head, payload)) = bytes.split_at_checked(HEAD) else { return Err(damaged("it is too short")) };
    if head[0] != VERSION {
        return Err(OpenError::Version { found: head[0] });
    }
    if check(key, payload).to_be_bytes() != head[1..] {
        return Err(damaged("its checksum is wrong"));
    }
    postcard::from_bytes(payload).map_err(|error| damaged(&format!("it can't be read: {error}")))
}

fn check(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[VERSION]);
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
    postcard::to_extend(value, vec![VERSION]).map(Bytes::from)
}

/// Decodes a message; tells in words why it can't.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match bytes.split_first() {
        Some((&VERSION, payload)) => postcard::from_bytes(payload).map_err(|error| error.to_string()),
        Some((version, _)) => Err(format!("it has version {version}, this node speaks {VERSION}")),
        None => Err("it is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_bit_flipped_or_in_another_place_is_refused() {
        let whole = record(&7u64.to_be_bytes(), &"a record").unwrap();
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
        let error = open::<u64>(&7u64.to_be_bytes(), &[VERSION, 0, 0, 0, 0, 1]).unwrap_err().to_string();
        assert!(
            error.contains("record 7: its checksum is wrong") && error.contains("freshet control restore"),
            "{error}"
        );
    }
}
