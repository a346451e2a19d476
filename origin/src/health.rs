//! How a session does, as the control plane is told: what `media` found out, in words that need no codec to be read.

use freshet_media::health::{self, Alert};
use freshet_proto::{
    health::{Advice, Audio, Health, Uplink, Video},
    id::{Epoch, SessionId},
    message::Arrival,
};

/// The health of one session, published as `epoch`.
pub(crate) fn told(session: SessionId, epoch: Epoch, report: health::Report) -> Health {
    Health {
        session,
        epoch,
        since_ms: report.since_ms,
        bitrate: report.bitrate,
        video: report.video.map(video),
        audio: report.audio.map(audio),
        uplink: uplink(report.uplink),
        skew_ms: report.skew_ms,
        dropped_frames: report.dropped_frames,
        repaired_frames: report.repaired_frames,
        gap_parts: report.gap_parts,
        discontinuities: report.discontinuities,
        alerts: report.alerts.iter().map(advice).collect(),
    }
}

fn video(video: health::VideoHealth) -> Video {
    Video {
        codec: video.codec,
        profile: video.profile,
        width: video.width,
        height: video.height,
        bitrate: video.bitrate,
        frame_rate_milli: (video.frame_rate * 1000.0).round() as u32,
        keyframe_interval_ms: video.keyframe_interval_ms,
    }
}

fn audio(audio: health::AudioHealth) -> Audio {
    let health::AudioHealth { codec, sample_rate, channels, bitrate } = audio;
    Audio { codec, sample_rate, channels, bitrate }
}

fn uplink(uplink: health::Uplink) -> Uplink {
    let health::Uplink { bitrate, received_bytes, stalls, stalled_ms, longest_stall_ms, rtt_ms, late_ms } = uplink;
    Uplink { bitrate, received_bytes, stalls, stalled_ms, longest_stall_ms, rtt_ms, late_ms }
}

/// How the newest media came, as viewers are told.
pub(crate) fn arrival(health::Arrival { rtt_ms, late_ms }: health::Arrival) -> Arrival {
    let ms = |ms: u64| u32::try_from(ms).unwrap_or(u32::MAX);
    Arrival { uplink_ms: rtt_ms.map(|rtt_ms| ms(rtt_ms / 2)), late_ms: ms(late_ms) }
}

fn advice(alert: &Alert) -> Advice {
    Advice { kind: alert.kind().to_owned(), advice: alert.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_under_its_own_name() {
        let report = health::Report {
            since_ms: 1,
            bitrate: 2,
            video: Some(health::VideoHealth {
                codec: "avc1.64001F".to_owned(),
                profile: "High".to_owned(),
                width: 3,
                height: 4,
                bitrate: 5,
                frame_rate: 29.97,
                keyframe_interval_ms: 6,
            }),
            audio: Some(health::AudioHealth { codec: "mp4a.40.2".to_owned(), sample_rate: 7, channels: 8, bitrate: 9 }),
            uplink: health::Uplink {
                bitrate: 10,
                received_bytes: 11,
                stalls: 12,
                stalled_ms: 13,
                longest_stall_ms: 14,
                rtt_ms: Some(22),
                late_ms: 23,
            },
            skew_ms: -15,
            dropped_frames: 16,
            repaired_frames: 17,
            gap_parts: 18,
            discontinuities: 19,
            alerts: Vec::new(),
        };
        // The same names and values everywhere but for these, and what the alerts say.
        let expected = format!("{report:?}")
            .replace("Report { ", "Health { session: SessionId(20), epoch: Epoch(21), ")
            .replace("VideoHealth", "Video")
            .replace("AudioHealth", "Audio")
            .replace("frame_rate: 29.97", "frame_rate_milli: 29970");
        let alerts = vec![Alert::LongKeyFrameInterval { interval_ms: 8333 }, Alert::Stalled];
        let mut health = told(SessionId(20), Epoch(21), health::Report { alerts, ..report });
        assert_eq!(health.check(), Ok(()));
        let sentence = "keyframes are 8.3 s apart: set a keyframe interval of 2 s in the encoder";
        let first = Advice { kind: "long_key_frame_interval".to_owned(), advice: sentence.to_owned() };
        assert_eq!(std::mem::take(&mut health.alerts), [first, advice(&Alert::Stalled)]);
        assert_eq!(format!("{health:?}"), expected);
    }
}
