//! What the pipeline makes of an encoder's frames: objects, playlists and news.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::frame::TrackId;

/// One thing the pipeline made, in the order in which it may be shown: whatever a playlist names came before it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Output {
    /// The session's constants, once, before anything else of it.
    Constants(Constants),
    /// An initialization section.
    Init {
        /// The publish it belongs to.
        epoch: u64,
        /// Its track.
        track: TrackId,
        /// Its number in the epoch, from 0.
        n: u32,
        /// `ftyp` and `moov`.
        bytes: Bytes,
    },
    /// A part.
    Part(Part),
    /// A segment is finished: it is exactly the bytes of its parts `0..parts`.
    Segment {
        /// The publish it belongs to.
        epoch: u64,
        /// Its track.
        track: TrackId,
        /// Its number.
        msn: u64,
        /// How many parts it has.
        parts: u32,
    },
    /// The latest IDR of `v0` as one fragment, for the thumbnail.
    Keyframe {
        /// The publish it belongs to.
        epoch: u64,
        /// The init it needs.
        init: u32,
        /// `moof` and `mdat`, in pieces.
        payload: Vec<Bytes>,
    },
    /// A new version of a track's playlist.
    Playlist(TrackId, Arc<Rendered>),
    /// The multivariant playlist, once a session: it is frozen then.
    Multivariant(Bytes),
    /// Objects of the track's segments below `msn` need not be kept any longer [6.2.2].
    Expired {
        /// The track.
        track: TrackId,
        /// The first segment that is still kept.
        msn: u64,
    },
    /// What comes can't continue this session: end it and begin another with a new pipeline; push the tracks'
    /// configurations to that, then what was pushed last.
    NewSession(&'static str),
}

/// A part of a segment: a CMAF chunk.
#[derive(Debug, Clone)]
pub struct Part {
    /// The publish it belongs to.
    pub epoch: u64,
    /// Its track.
    pub track: TrackId,
    /// Its segment.
    pub msn: u64,
    /// Its index in the segment, from 0.
    pub part: u32,
    /// How long it plays.
    pub duration: Duration,
    /// Whether it begins with a frame from which decoding can begin.
    pub independent: bool,
    /// Whether it is only announced as missing; its payload is then empty.
    pub gap: bool,
    /// `styp`?, `moof` and `mdat` in pieces: headers we wrote and slices of what was received.
    pub payload: Vec<Bytes>,
}

/// What is frozen for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Constants {
    /// `EXT-X-TARGETDURATION`: whole seconds.
    pub target_duration: Duration,
    /// `PART-TARGET`.
    pub part_target: Duration,
    /// How long an object stays fetchable after it has left the playlist.
    pub keep: Duration,
}

/// One version of a media playlist, rendered and compressed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// Which version.
    pub version: Version,
    /// The newest segment listed by `EXTINF`, and how many parts it has.
    pub complete: Option<(u64, u32)>,
    /// The first `body` bytes of `full`, followed by `#EXT-X-ENDLIST\n`, are the playlist's ended form.
    pub body: usize,
    /// Whether it has `EXT-X-ENDLIST`.
    pub ended: bool,
    /// The full playlist.
    pub full: Bytes,
    /// The full playlist, gzipped.
    pub full_gz: Bytes,
    /// The delta update, gzipped; `None` where nothing can be skipped.
    pub delta_gz: Option<Bytes>,
}

/// Which version of a media playlist: newer compares greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The publish.
    pub epoch: u64,
    /// Segment of the newest part listed.
    pub msn: u64,
    /// The newest part listed.
    pub part: u32,
    /// Changes since that part.
    pub edit: u32,
}
