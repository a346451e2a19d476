//! What is answered to FETCH and FOLLOW: media, and what must be known of it.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, Msn, SessionId};

/// How a fetch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FetchStatus {
    /// The bytes follow.
    Found,
    /// There is no such thing, or not any more, and it was not announced.
    NotFound,
    /// The node can't answer now; ask again after `fresh_ms`.
    Unavailable,
}

/// The header of a fetched resource; `length` bytes follow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchReply {
    /// How it went. Anything but [`FetchStatus::Found`] carries no bytes.
    pub status: FetchStatus,
    /// How many bytes follow.
    pub length: u64,
    /// Media type of the bytes.
    pub content_type: ContentType,
    /// Milliseconds since the origin made it. Each hop adds its residence and half its round trip.
    pub age_ms: u64,
    /// For how many milliseconds it may be served without asking again; `u64::MAX` for what never changes.
    pub fresh_ms: u64,
    /// Lengths of a segment's parts in bytes, in order, where they were asked for and are known; then `length` is 0.
    pub parts: Vec<u32>,
}

/// The media types we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ContentType {
    /// `application/vnd.apple.mpegurl`
    Playlist,
    /// `video/mp4`
    VideoMp4,
    /// `audio/mp4`
    AudioMp4,
}

impl ContentType {
    /// As the HTTP header says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Playlist => "application/vnd.apple.mpegurl",
            Self::VideoMp4 => "video/mp4",
            Self::AudioMp4 => "audio/mp4",
        }
    }
}

/// Which version of a media playlist: newer versions compare greater.
///
/// `(msn, part)` is the newest part that the playlist lists; `edit` counts changes that add no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The publish that made it.
    pub epoch: Epoch,
    /// Segment of the newest part.
    pub msn: Msn,
    /// The newest part.
    pub part: u32,
    /// How often the playlist has changed since that part came.
    pub edit: u32,
}

/// A track's constants, frozen for the session (draft-pantos-hls-rfc8216bis §6.2.4), in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constants {
    /// The session.
    pub session: SessionId,
    /// `EXT-X-TARGETDURATION`, a multiple of 1,000.
    pub target_duration_ms: u32,
    /// `PART-TARGET`.
    pub part_target_ms: u32,
    /// How long objects stay fetchable after they have left the playlist.
    pub keep_ms: u32,
}

/// What becomes of a followed track, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FollowEvent {
    /// First, and again whenever the session changes.
    Constants(Constants),
    /// An init that coming parts need; `length` bytes follow.
    Init {
        /// The publish it belongs to.
        epoch: Epoch,
        /// Its number in the epoch.
        n: u32,
        /// Bytes that follow.
        length: u32,
    },
    /// A part; `length` bytes follow.
    Part {
        /// The publish it belongs to.
        epoch: Epoch,
        /// Its segment.
        msn: Msn,
        /// Its index.
        part: u32,
        /// Milliseconds since the origin made it.
        age_ms: u32,
        /// Bytes that follow; 0 for a part that is a gap and can't be fetched.
        length: u32,
    },
    /// A playlist version whose parts have all been sent, or fell out of the window before the stream could take
    /// them; `full_gz`, then `delta_gz` bytes follow.
    Playlist(PlaylistHeader),
    /// The session is over: the last [`FollowEvent::Playlist`] before this is in its ended form. The stream ends.
    Ended,
    /// Another origin has the channel now: look at the view, follow there. The stream ends.
    Moved,
    /// Nothing of the track is left here. The stream ends.
    Gone,
    /// Since version 2. How the newest media of the next [`FollowEvent::Playlist`] came to the origin: before each of them.
    Arrival(Arrival),
}

/// How media came from its encoder to the origin, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// On the way: half a round trip of the encoder's connection; `None` where that is not known. It is before the wall clock
    /// that `EXT-X-PROGRAM-DATE-TIME` tells.
    pub uplink_ms: Option<u32>,
    /// How much later it came than `EXT-X-PROGRAM-DATE-TIME` says: it waited in the encoder or in its network.
    pub late_ms: u32,
}

/// What an edge must know of a playlist version that it never parses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaylistHeader {
    /// Which version.
    pub version: Version,
    /// The newest segment that is listed whole, by `EXTINF`; `None` while there is none.
    pub complete: Option<Msn>,
    /// How many parts that segment has.
    pub complete_parts: u32,
    /// Milliseconds since the origin made it.
    pub age_ms: u32,
    /// Length in bytes of the part of the (inflated) full playlist that stays when the session ends: the first
    /// `body` bytes followed by `#EXT-X-ENDLIST\n` are its ended form. In an ended playlist, its whole length.
    pub body: u32,
    /// Whether the playlist has `EXT-X-ENDLIST`.
    pub ended: bool,
    /// Length of the full playlist, gzipped.
    pub full_gz: u32,
    /// Length of the delta update, gzipped; 0 where there is nothing to skip, so that the full one is sent instead.
    pub delta_gz: u32,
}
