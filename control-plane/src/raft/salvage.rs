//! A backup from what a member that is stopped has on disk: for when most of a group are lost and nobody leads.
//!
//! ```text
//! raft.redb ──read only──▶ the last snapshot, then the whole log after it ──▶ a backup, as a leader would give it
//! ```
//! Everything in the log counts, also beyond what this member knew to be committed, because it learns of that late: what
//! was acknowledged is then there wherever this member received it. An entry that nobody was told about may be among it; that
//! is what its proposer was told to expect. What this member never received is lost, acknowledged or not: of several
//! members, the one with the highest term has most, and of those with the same term the one with the highest index
//! (as in an election, the Raft paper's §5.4.1).

use std::path::Path;

use bytes::Bytes;
use freshet_proto::id::NodeId;

use super::{
    disk::{Contents, Disk},
    machine::replay,
    types::{Entry, OpenError},
};

/// What a member that is stopped had.
#[derive(Debug, Clone)]
pub struct Salvaged {
    /// Whose it was.
    pub node: Option<NodeId>,
    /// The term of its last entry. The first thing to compare members by.
    pub term: u64,
    /// The index of its last entry. The second.
    pub index: u64,
    /// Up to which index it knew entries to be committed.
    pub committed: u64,
    /// The registry's revision.
    pub revision: u64,
    /// Everything, for [`super::restore`]. Holds the platform's secrets.
    pub backup: Bytes,
}

/// Why nothing can be salvaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
    /// The operator's: it is another directory, or that of another kind of node.
    #[error("{0} holds no control node's log; name the data directory (node.data) of a control node")]
    Nothing(String),
    /// The operator's: the member runs.
    #[error(
        "another process uses {0}: stop that control node first; while one leads, `freshet control backup` without \
         --from asks it"
    )]
    InUse(String),
    /// The disk's doing. Nothing of it is guessed at.
    #[error(
        "the log is damaged ({0}) and is not guessed at: salvage another control node, or restore an older backup \
         (`freshet control restore`)"
    )]
    Damaged(String),
    /// The member had joined and had not heard anything yet.
    #[error("this control node never heard of a platform; salvage another one, or restore an older backup")]
    Empty,
    /// It can't be read, or was written by another version.
    #[error(transparent)]
    Open(OpenError),
}

impl From<OpenError> for SalvageError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged(why) => Self::Damaged(why),
            OpenError::InUse(path) => Self::InUse(path),
            error => Self::Open(error),
        }
    }
}

/// Reads what the member whose store is in `dir` had when it stopped. Changes nothing there. Costs as much memory as the
/// log and the snapshot have bytes. Blocks.
///
/// # Errors
/// See [`SalvageError`].
pub fn salvage(dir: &Path) -> Result<Salvaged, SalvageError> {
    let contents = Disk::frozen(dir)?.ok_or_else(|| SalvageError::Nothing(dir.display().to_string()))?;
    let (node, known) = (contents.node, contents.committed);
    let covered = contents.snapshot.as_ref().and_then(|(snapshot, _)| snapshot.meta.last_log_id);
    let entries = after_snapshot(&contents)?;
    let snapshot = replay(contents.snapshot.map(|(snapshot, _)| snapshot), entries);
    let last = snapshot.meta.last_log_id.ok_or(SalvageError::Empty)?;
    snapshot.registry.secrets().ok_or(SalvageError::Empty)?;
    let revision = snapshot.registry.revision();
    let backup = snapshot.encode().map_err(SalvageError::Damaged)?;
    let committed = known.max(covered).map_or(0, |id| id.index);
    Ok(Salvaged { node, term: last.leader_id.term, index: last.index, committed, revision, backup })
}

/// The entries that follow the snapshot without a gap. Those of a crash between an installed snapshot and the end of the log
/// that it replaces are left out: the snapshot is of a later term.
fn after_snapshot(contents: &Contents) -> Result<Vec<Entry>, SalvageError> {
    let covered = contents.snapshot.as_ref().and_then(|(snapshot, _)| snapshot.meta.last_log_id);
    let entries: Vec<Entry> = contents.log.iter().filter(|entry| Some(entry.log_id) > covered).cloned().collect();
    let next = covered.map_or(0, |id| id.index + 1);
    match entries.first().map(|entry| entry.log_id.index) {
        Some(first) if first != next => {
            Err(SalvageError::Damaged(format!("the snapshot ends before entry {next}, the log goes on with {first}")))
        }
        _ => Ok(entries),
    }
}
