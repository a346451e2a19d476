//! How a session is doing, in numbers and in plain words for the person who streams.

use std::fmt;

use serde::Serialize;

/// What [`crate::pipeline::Pipeline::health`] tells. Rates are means over the last ten seconds of media.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// The video track, where there is one.
    pub video: Option<VideoHealth>,
    /// The audio track, where there is one.
    pub audio: Option<AudioHealth>,
    /// How far the newest video is ahead of the newest audio, in milliseconds; negative when behind.
    pub skew_ms: i64,
    /// Frames that could not be used, since the session began.
    pub dropped_frames: u64,
    /// Frames whose timestamps had to be mended, and missing audio frames that were replaced by silence.
    pub repaired_frames: u64,
    /// Parts that were announced as missing.
    pub gap_parts: u64,
    /// Discontinuities, reconnects included.
    pub discontinuities: u64,
    /// What the person who streams should know, the gravest first.
    pub alerts: Vec<Alert>,
}

/// How the video track is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VideoHealth {
    /// RFC 6381, as in `avc1.64001F`.
    pub codec: String,
    /// As in `High`.
    pub profile: String,
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Bits a second.
    pub bitrate: u64,
    /// Frames a second.
    pub frame_rate: f64,
    /// Milliseconds between the last two keyframes; 0 before the second.
    pub keyframe_interval_ms: u64,
}

/// How the audio track is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AudioHealth {
    /// RFC 6381, as in `mp4a.40.2`.
    pub codec: String,
    /// Samples a second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
    /// Bits a second.
    pub bitrate: u64,
}

/// Something that the person who streams can mend. Displays as a sentence in plain words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Alert {
    /// The video has no keyframe, so nothing can be shown.
    NoKeyFrame,
    /// Browsers can't decode this profile.
    NotBrowserPlayable {
        /// As in `High 4:4:4 Predictive`.
        profile: String,
    },
    /// Keyframes are too far apart: joining is slow, or impossible inside the group of pictures.
    LongKeyFrameInterval {
        /// Milliseconds between keyframes, or since the last one.
        interval_ms: u64,
    },
    /// Timestamps or coding change all the time: frames are not taken for a while.
    Erratic,
    /// Frames don't fit the limits of a part or a segment.
    BitrateTooHigh,
    /// Audio or video stays away while the other goes on.
    TrackMissing {
        /// `audio` or `video`.
        track: &'static str,
    },
    /// Audio and video are apart.
    AudioVideoSkew {
        /// How far the video is ahead, in milliseconds.
        skew_ms: i64,
    },
    /// Nothing comes from the encoder.
    Stalled,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeyFrame => f.write_str("no keyframe has come yet: nothing can be shown until one does"),
            Self::NotBrowserPlayable { profile } => {
                write!(f, "{profile} can't be played in browsers: choose the profile High with 4:2:0 colour")
            }
            Self::LongKeyFrameInterval { interval_ms } => write!(
                f,
                "keyframes are {}.{} s apart: set a keyframe interval of 2 s in the encoder",
                interval_ms / 1000,
                interval_ms % 1000 / 100
            ),
            Self::Erratic => f.write_str("timestamps jump all the time: restart the encoder"),
            Self::BitrateTooHigh => f.write_str("the bitrate is too high: frames are being dropped"),
            Self::TrackMissing { track } => write!(f, "the {track} has stopped while the rest goes on"),
            Self::AudioVideoSkew { skew_ms } => {
                write!(f, "audio and video are {} ms apart", skew_ms.unsigned_abs())
            }
            Self::Stalled => f.write_str("nothing comes from the encoder"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_says_in_plain_words_what_to_do() {
        let alert = Alert::LongKeyFrameInterval { interval_ms: 8333 };
        assert_eq!(alert.to_string(), "keyframes are 8.3 s apart: set a keyframe interval of 2 s in the encoder");
    }
}
