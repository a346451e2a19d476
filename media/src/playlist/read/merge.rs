//! Merges a delta update into the playlist that a client has (§6.3.7).

use super::{Media, Segment};

/// Why a delta update can't be merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// It skips segments that the playlist before it doesn't have: the client's is too old, or the server's doing. The
    /// remedy: ask for the full playlist.
    #[error("segments {first} to {last} are skipped, but not all of them are known; ask for the full playlist")]
    Unknown {
        /// The first that is skipped.
        first: u64,
        /// The last that is skipped.
        last: u64,
    },
    /// The playlist to merge into is itself a delta update. The caller's doing.
    #[error("a delta update can't be merged into another")]
    NotFull,
}

/// The full playlist of which `delta` is the update, where the client has `before`. A full `delta` is returned as is.
///
/// # Errors
/// See [`MergeError`].
pub fn apply_delta(before: &Media, delta: &Media) -> Result<Media, MergeError> {
    if delta.skipped == 0 {
        return Ok(delta.clone());
    }
    if before.skipped > 0 {
        return Err(MergeError::NotFull);
    }
    let (first, last) = (delta.media_sequence, delta.media_sequence + delta.skipped - 1);
    let known = || {
        let from = first.checked_sub(before.media_sequence)?.try_into().ok()?;
        before.segments.get(from..)?.get(..delta.skipped as usize)
    };
    let known = known().ok_or(MergeError::Unknown { first, last })?;
    // Parts so far from the end are not listed any more.
    let mut segments: Vec<_> = known.iter().map(|segment| Segment { parts: Vec::new(), ..segment.clone() }).collect();
    segments.extend_from_slice(&delta.segments);
    let mut merged = Media { skipped: 0, segments, ..delta.clone() };
    inherit_map(&mut merged, known.len());
    Ok(merged)
}

/// Gives the segments whose map the delta update did not tell that of the last skipped one.
fn inherit_map(merged: &mut Media, skipped: usize) {
    let Some(map) = merged.segments[..skipped].last().and_then(|segment| segment.start.map.clone()) else { return };
    let listed = merged.segments[skipped..].iter_mut().map(|segment| &mut segment.start);
    let open = merged.open.iter_mut().map(|open| &mut open.start);
    for start in listed.chain(open) {
        start.map.get_or_insert_with(|| map.clone());
    }
}
