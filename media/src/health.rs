//! How a session is doing, in numbers and in plain words for the person who streams.

use std::fmt;

use serde::Serialize;

/// What [`crate::pipeline::Pipeline::health`] tells. Rates are means over the last ten seconds, of media unless said
/// otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// When the session began at this origin, in milliseconds since 1970 UTC: what is counted is counted since then.
    pub since_ms: u64,
    /// Bits a second, of all tracks.
    pub bitrate: u64,
    /// The video track, where there is one.
    pub video: Option<VideoHealth>,
    /// The audio track, where there is one.
    pub audio: Option<AudioHealth>,
    /// What the encoder's network carries.
    pub uplink: Uplink,
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

/// How frames come from the encoder, by the wall clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Uplink {
    /// Bits of frames that came a second. Less than the tracks' where the network carries less than the encoder makes.
    pub bitrate: u64,
    /// Bytes of frames that came since the session began.
    pub received_bytes: u64,
    /// How often nothing came for 1.5 s or more though an encoder published, since the session began. One that goes on
    /// counts.
    pub stalls: u64,
    /// For how long nothing came then, in milliseconds, in all.
    pub stalled_ms: u64,
    /// The longest of them, in milliseconds.
    pub longest_stall_ms: u64,
    /// The smoothed round trip of the encoder's connection, in milliseconds; `None` where it is not known.
    pub rtt_ms: Option<u64>,
    /// How much later frames come than the quickest did, by their own timestamps, in milliseconds: what waits in the encoder
    /// and in its network.
    pub late_ms: u64,
}

/// How the newest frame came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The smoothed round trip of the encoder's connection, in milliseconds; `None` where it is not known.
    pub rtt_ms: Option<u64>,
    /// How much later it came than its `EXT-X-PROGRAM-DATE-TIME` says, in milliseconds.
    pub late_ms: u64,
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
    /// Nothing came from the encoder for a while, in the last minute.
    UplinkStalls {
        /// How often.
        stalls: u64,
        /// The longest, in milliseconds.
        longest_ms: u64,
    },
    /// Nothing comes from the encoder.
    Stalled,
}

impl Alert {
    /// Its name for programs, as it is serialized.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoKeyFrame => "no_key_frame",
            Self::NotBrowserPlayable { .. } => "not_browser_playable",
            Self::LongKeyFrameInterval { .. } => "long_key_frame_interval",
            Self::Erratic => "erratic",
            Self::BitrateTooHigh => "bitrate_too_high",
            Self::TrackMissing { .. } => "track_missing",
            Self::AudioVideoSkew { .. } => "audio_video_skew",
            Self::UplinkStalls { .. } => "uplink_stalls",
            Self::Stalled => "stalled",
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKeyFrame => f.write_str(
                "no keyframe has come yet, so nothing can be shown: set a keyframe interval of 2 s in the encoder",
            ),
            Self::NotBrowserPlayable { profile } => {
                write!(f, "{profile} can't be played in browsers: choose the profile High with 4:2:0 colour")
            }
            Self::LongKeyFrameInterval { interval_ms } => write!(
                f,
                "keyframes are {} s apart: set a keyframe interval of 2 s in the encoder",
                seconds(*interval_ms)
            ),
            Self::Erratic => f.write_str("timestamps jump all the time: restart the encoder"),
            Self::BitrateTooHigh => {
                f.write_str("frames are dropped because they are too large: set a lower bitrate in the encoder")
            }
            Self::TrackMissing { track } => {
                write!(f, "the {track} has stopped while the rest goes on: check its source in the encoder")
            }
            Self::AudioVideoSkew { skew_ms } => {
                let ms = skew_ms.unsigned_abs();
                write!(f, "audio and video are {ms} ms apart: set the sync offset of the audio in the encoder to 0")
            }
            Self::UplinkStalls { stalls, longest_ms } => write!(
                f,
                "nothing came from the encoder for up to {} s, {stalls} time{} in the last minute: set a lower bitrate, or use \
                 a cable instead of Wi-Fi",
                seconds(*longest_ms),
                if *stalls == 1 { "" } else { "s" }
            ),
            Self::Stalled => {
                f.write_str("nothing comes from the encoder: see that it runs and that its network carries anything")
            }
        }
    }
}

/// As in `8.3`.
fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every() -> Vec<Alert> {
        vec![
            Alert::NoKeyFrame,
            Alert::NotBrowserPlayable { profile: "High 4:4:4 Predictive".into() },
            Alert::LongKeyFrameInterval { interval_ms: 8333 },
            Alert::Erratic,
            Alert::BitrateTooHigh,
            Alert::TrackMissing { track: "audio" },
            Alert::AudioVideoSkew { skew_ms: -1200 },
            Alert::UplinkStalls { stalls: 2, longest_ms: 4250 },
            Alert::Stalled,
        ]
    }

    #[test]
    fn an_alert_says_in_plain_words_what_to_do() {
        let said: Vec<_> = every().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "no keyframe has come yet, so nothing can be shown: set a keyframe interval of 2 s in the encoder",
                "High 4:4:4 Predictive can't be played in browsers: choose the profile High with 4:2:0 colour",
                "keyframes are 8.3 s apart: set a keyframe interval of 2 s in the encoder",
                "timestamps jump all the time: restart the encoder",
                "frames are dropped because they are too large: set a lower bitrate in the encoder",
                "the audio has stopped while the rest goes on: check its source in the encoder",
                "audio and video are 1200 ms apart: set the sync offset of the audio in the encoder to 0",
                "nothing came from the encoder for up to 4.2 s, 2 times in the last minute: set a lower bitrate, or use a \
                 cable instead of Wi-Fi",
                "nothing comes from the encoder: see that it runs and that its network carries anything",
            ]
        );
        let once = Alert::UplinkStalls { stalls: 1, longest_ms: 1500 }.to_string();
        assert!(
            once.starts_with("nothing came from the encoder for up to 1.5 s, 1 time in the last minute:"),
            "{once}"
        );
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let kinds: Vec<_> = every().iter().map(Alert::kind).collect();
        assert_eq!(
            kinds,
            [
                "no_key_frame",
                "not_browser_playable",
                "long_key_frame_interval",
                "erratic",
                "bitrate_too_high",
                "track_missing",
                "audio_video_skew",
                "uplink_stalls",
                "stalled",
            ]
        );
    }
}
