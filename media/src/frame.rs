//! What comes out of an encoder, before the timeline has put it in order: configurations and coded frames.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{aac, avc};

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    /// `v0`, …
    Video,
    /// `a0`, …
    Audio,
}

/// One elementary stream of a session: `v0`, `a0`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId {
    /// What it carries.
    pub kind: TrackKind,
    /// Which of its kind, from 0.
    pub index: u8,
}

impl TrackId {
    /// The first video track.
    pub const V0: Self = Self { kind: TrackKind::Video, index: 0 };
    /// The first audio track.
    pub const A0: Self = Self { kind: TrackKind::Audio, index: 0 };
}

impl fmt::Display for TrackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            TrackKind::Video => 'v',
            TrackKind::Audio => 'a',
        };
        write!(f, "{letter}{}", self.index)
    }
}

/// What an encoder sends, one item a message.
#[derive(Debug, Clone)]
pub enum Media {
    /// How a track is coded from here on. Encoders repeat it; only another value means a change.
    Config(TrackId, Arc<CodecConfig>),
    /// One coded frame.
    Frame(Frame),
    /// `onMetaData`: what the encoder says of itself. Never trusted over the bitstream.
    Metadata(Metadata),
}

/// One coded frame in decode order.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Its track.
    pub track: TrackId,
    /// RTMP's decode timestamp, milliseconds, wrapping at 2³² (some encoders: at 2³¹).
    pub timestamp_ms: u32,
    /// Presentation minus decode time, milliseconds; may be negative.
    pub composition_ms: i32,
    /// Whether decoding can begin here (an IDR picture; every audio frame).
    pub sync: bool,
    /// Video: NAL units with 4-byte lengths, parameter sets removed. Audio: one raw frame. A slice of what was received.
    pub data: Bytes,
}

/// How a track is coded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// H.264.
    Avc(avc::Config),
    /// AAC.
    Aac(aac::Config),
}

/// What an encoder says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// Name and version of the encoder.
    pub encoder: Option<String>,
    /// Picture width in pixels.
    pub width: Option<u32>,
    /// Picture height in pixels.
    pub height: Option<u32>,
    /// Frames a second.
    pub frame_rate: Option<f64>,
    /// Video bits a second.
    pub video_bitrate: Option<u64>,
    /// Audio bits a second.
    pub audio_bitrate: Option<u64>,
}
