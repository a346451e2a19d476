//! Playlists: what a session has made, as players read it (draft-pantos-hls-rfc8216bis-22).
//!
//! ```text
//! pipeline ──begin_segment, push_part, end_segment──▶ MediaPlaylist ──render──▶ output::Rendered   one per track
//!          └───────────────────────────────────────▶ multivariant() ──────────▶ Bytes             one per session
//! m3u8 ──read::parse──▶ read::Playlist                                                             lint, load test
//!                            └──▶ inherit::Inherited ──▶ MediaPlaylist                             takeover
//! ```
//! Nothing here does I/O or reads a clock: what time it is follows from the durations of the parts.

mod gzip;
pub mod inherit;
mod media;
mod multivariant;
pub mod read;
mod text;

pub use media::{Hint, MediaPlaylist, PartEntry, PlaylistConfig, RenditionReport, SegmentStart};
pub use multivariant::{AudioRendition, Multivariant, VideoRendition, multivariant};
