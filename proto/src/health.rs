//! How a session does, as its origin tells the leader of the control plane every 2 s: numbers, and advice in plain words.
//!
//! What is wrong is found where the media is; whoever passes it on knows no codec and writes no sentence.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, SessionId};

/// How one session does. Rates are means over the last ten seconds, of media unless said otherwise; what is counted is
/// counted since the session began, or came to the origin that tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The session.
    pub session: SessionId,
    /// The publish: only what the origin of the current one tells is believed.
    pub epoch: Epoch,
    /// Since when it is counted, in milliseconds since 1970 UTC.
    pub since_ms: u64,
    /// Bits a second, of all tracks.
    pub bitrate: u64,
    /// The video, where there is any.
    pub video: Option<Video>,
    /// The audio, where there is any.
    pub audio: Option<Audio>,
    /// How frames come from the encoder.
    pub uplink: Uplink,
    /// How far the newest video is ahead of the newest audio, in milliseconds; negative when behind.
    pub skew_ms: i64,
    /// Frames that could not be used.
    pub dropped_frames: u64,
    /// Frames whose timestamps had to be mended, and missing audio frames that were replaced by silence.
    pub repaired_frames: u64,
    /// Parts that were announced as missing.
    pub gap_parts: u64,
    /// Discontinuities, reconnects included.
    pub discontinuities: u64,
    /// What the person who streams should mend, the gravest first; at most [`Health::MAX_ALERTS`].
    pub alerts: Vec<Advice>,
}

/// How the video does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Video {
    /// RFC 6381, as in `avc1.64001F`.
    pub codec: String,
    /// As in `High`.
    pub profile: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Bits a second.
    pub bitrate: u64,
    /// Frames in a thousand seconds.
    pub frame_rate_milli: u32,
    /// Milliseconds between the last two keyframes; 0 before the second.
    pub keyframe_interval_ms: u64,
}

/// How the audio does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audio {
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// Bits of frames that came a second.
    pub bitrate: u64,
    /// Bytes of frames that came.
    pub received_bytes: u64,
    /// How often nothing came for 1.5 s or more though an encoder published.
    pub stalls: u64,
    /// For how long nothing came then, in milliseconds, in all.
    pub stalled_ms: u64,
    /// The longest of them, in milliseconds.
    pub longest_stall_ms: u64,
    /// The smoothed round trip of the encoder's connection, in milliseconds; `None` where it is not known.
    pub rtt_ms: Option<u64>,
    /// How much later frames come than the quickest did, in milliseconds.
    pub late_ms: u64,
}

/// What the person who streams should mend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Its name for programs, as in `long_key_frame_interval`.
    pub kind: String,
    /// A sentence that says what is wrong and what to do about it.
    pub advice: String,
}

/// Why what was told of a session is not believed. The node's fault that told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHealth {
    /// More than there are kinds.
    #[error("there are at most {} alerts", Health::MAX_ALERTS)]
    Alerts,
    /// A text is too long, or nothing that can be shown on a line.
    #[error("a text has at most {} bytes and no control characters", Health::MAX_TEXT)]
    Text,
}

impl Health {
    /// The most alerts.
    pub const MAX_ALERTS: usize = 16;

    /// The longest text, in bytes.
    pub const MAX_TEXT: usize = 256;

    /// Whether it can be kept and shown.
    ///
    /// # Errors
    /// See [`InvalidHealth`]. The first thing wrong is reported.
    pub fn check(&self) -> Result<(), InvalidHealth> {
        if self.alerts.len() > Self::MAX_ALERTS {
            return Err(InvalidHealth::Alerts);
        }
        let of_video = self.video.iter().flat_map(|video| [&video.codec, &video.profile]);
        let of_audio = self.audio.iter().map(|audio| &audio.codec);
        let of_alerts = self.alerts.iter().flat_map(|alert| [&alert.kind, &alert.advice]);
        let is_good = |text: &String| text.len() <= Self::MAX_TEXT && !text.chars().any(char::is_control);
        if of_video.chain(of_audio).chain(of_alerts).all(is_good) { Ok(()) } else { Err(InvalidHealth::Text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quic::decode;

    fn advice(text: &str) -> Advice {
        Advice { kind: "long_key_frame_interval".to_owned(), advice: text.to_owned() }
    }

    fn health() -> Health {
        let codec = "avc1.64001F".to_owned();
        Health {
            session: SessionId(5),
            epoch: Epoch(7),
            since_ms: 1000,
            bitrate: 300,
            video: Some(Video {
                codec,
                profile: "High".to_owned(),
                width: 1280,
                height: 720,
                bitrate: 200,
                frame_rate_milli: 29_970,
                keyframe_interval_ms: 8333,
            }),
            audio: Some(Audio { codec: "mp4a.40.2".to_owned(), sample_rate: 48_000, channels: 2, bitrate: 100 }),
            uplink: Uplink {
                bitrate: 280,
                received_bytes: 9,
                stalls: 1,
                stalled_ms: 1600,
                longest_stall_ms: 1600,
                rtt_ms: Some(41),
                late_ms: 7,
            },
            skew_ms: -3,
            dropped_frames: 10,
            repaired_frames: 11,
            gap_parts: 12,
            discontinuities: 13,
            alerts: vec![advice("do it")],
        }
    }

    /// Nodes of the same version must agree on every byte.
    #[test]
    fn it_is_written_so() {
        let written = postcard::to_stdvec(&health()).unwrap();
        let mut expected = vec![5, 7, 0xE8, 0x07, 0xAC, 0x02];
        expected.extend([1, 11]);
        expected.extend(b"avc1.64001F\x04High");
        expected.extend([0x80, 0x0A, 0xD0, 0x05, 0xC8, 0x01, 0x92, 0xEA, 0x01, 0x8D, 0x41]);
        expected.extend([1, 9]);
        expected.extend(b"mp4a.40.2");
        expected.extend([0x80, 0xF7, 0x02, 2, 100]);
        expected.extend([0x98, 0x02, 9, 1, 0xC0, 0x0C, 0xC0, 0x0C, 1, 41, 7]);
        expected.extend([5, 10, 11, 12, 13, 1, 23]);
        expected.extend(b"long_key_frame_interval\x05do it");
        assert_eq!(written, expected);
        assert_eq!(decode::<Health>(&written).unwrap(), health());
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_not_read() {
        let written = postcard::to_stdvec(&health()).unwrap();
        for length in 0..written.len() {
            assert!(decode::<Health>(&written[..length]).is_err(), "{length} bytes");
        }
        assert!(decode::<Health>(&[written.as_slice(), &[0]].concat()).is_err());
        // A length that promises more than there is.
        let mut greedy = postcard::to_stdvec(&Health::default()).unwrap();
        greedy.pop();
        greedy.extend([0xFF, 0xFF, 0xFF, 0xFF, 0x0F]);
        assert!(decode::<Health>(&greedy).is_err());
    }

    #[test]
    fn only_short_lines_are_believed() {
        assert_eq!((health().check(), Health::default().check()), (Ok(()), Ok(())));
        let with = |alerts| Health { alerts, ..health() }.check();
        assert_eq!(with(vec![advice("x"); Health::MAX_ALERTS]), Ok(()));
        assert_eq!(with(vec![advice("x"); Health::MAX_ALERTS + 1]), Err(InvalidHealth::Alerts));
        assert_eq!(with(vec![advice(&"x".repeat(Health::MAX_TEXT))]), Ok(()));
        assert_eq!(with(vec![advice(&"x".repeat(Health::MAX_TEXT + 1))]), Err(InvalidHealth::Text));
        assert_eq!(with(vec![advice("a\u{1b}[2Jb")]), Err(InvalidHealth::Text));
        let long = "x".repeat(Health::MAX_TEXT + 1);
        let video = |codec: &str, profile: &str| Health {
            video: Some(Video { codec: codec.to_owned(), profile: profile.to_owned(), ..Video::default() }),
            ..Health::default()
        };
        assert_eq!(
            (video(&long, "").check(), video("", &long).check()),
            (Err(InvalidHealth::Text), Err(InvalidHealth::Text))
        );
        let audio = Health { audio: Some(Audio { codec: long, ..Audio::default() }), ..Health::default() };
        assert_eq!(audio.check(), Err(InvalidHealth::Text));
    }
}
