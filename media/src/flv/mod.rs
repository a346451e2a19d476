//! FLV: what RTMP's audio, video and data messages carry, and the same in files.
//!
//! ```text
//! rtmp::server::Output::Media ──▶ Demuxer ──▶ frame::Media::{Config, Frame, Metadata}
//! file::Reader ──Tag──▶ rtmp::client::Publisher
//! ```

mod access_unit;
mod audio;
mod error;
pub mod file;
mod metadata;
mod video;

use bytes::Bytes;

pub use error::FlvError;

use crate::frame::{Media, Metadata};

/// What a message or tag carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagKind {
    /// Audio: type 8.
    Audio,
    /// Video: type 9.
    Video,
    /// Script data in AMF0: type 18.
    Data,
}

impl TagKind {
    /// The kind of this RTMP message type id or FLV tag type.
    pub fn from_type_id(id: u8) -> Option<Self> {
        match id {
            8 => Some(Self::Audio),
            9 => Some(Self::Video),
            18 => Some(Self::Data),
            _ => None,
        }
    }

    /// Its RTMP message type id and FLV tag type.
    pub fn type_id(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Data => 18,
        }
    }
}

/// Turns one publisher's messages into configurations and frames. One a publish: it remembers the configurations.
#[derive(Debug, Default)]
pub struct Demuxer {
    video: video::Video,
    audio: audio::Audio,
    metadata: Option<Metadata>,
}

impl Demuxer {
    /// A demuxer that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one message's payload; appends what it says: at most a configuration and a frame. Configurations and
    /// metadata appear when they change, not as often as encoders repeat them. Most frames are slices of `payload`.
    ///
    /// # Errors
    /// See [`FlvError`]: where it doesn't [refuse](FlvError::refuses), only this message is lost.
    pub fn parse(
        &mut self,
        kind: TagKind,
        timestamp_ms: u32,
        payload: Bytes,
        out: &mut Vec<Media>,
    ) -> Result<(), FlvError> {
        match kind {
            TagKind::Video => self.video.parse(timestamp_ms, &payload, out),
            TagKind::Audio => self.audio.parse(timestamp_ms, &payload, out),
            TagKind::Data => {
                let metadata = metadata::read(&payload)?;
                if metadata.is_some() && metadata != self.metadata {
                    self.metadata = metadata.clone();
                    out.extend(metadata.map(Media::Metadata));
                }
                Ok(())
            }
        }
    }
}
