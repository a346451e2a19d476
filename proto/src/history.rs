//! How a channel's sessions did a while ago and what became of their encoders, as the leader of the control plane remembers
//! it: in memory alone, since it began to lead.

use serde::{Deserialize, Serialize};

use crate::{
    health::Health,
    id::{NodeId, SessionId},
};

/// What is remembered of one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Since when anything is remembered, in ms since 1970: since the leader began.
    pub since_ms: u64,
    /// How its sessions did, the oldest first, at most [`History::MAX_POINTS`].
    pub points: Vec<Point>,
    /// What became of its encoders, the oldest first, at most [`History::MAX_EVENTS`].
    pub events: Vec<Event>,
    /// The last private test of its encoder.
    pub test: Option<Box<Trial>>,
}

impl History {
    /// The most points of a channel: 30 minutes, one every 4 s.
    pub const MAX_POINTS: usize = 450;

    /// The most events of a channel.
    pub const MAX_EVENTS: usize = 64;
}

/// How a session did at one time; see [`Health`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// The session.
    pub session: SessionId,
    /// Bits a second that the encoder makes.
    pub bitrate: u64,
    /// Bits a second that come.
    pub uplink_bitrate: u64,
    /// Thousandths of a frame a second.
    pub frame_rate_milli: u32,
    /// The time between keyframes, in ms.
    pub keyframe_interval_ms: u64,
    /// Frames that could not be used so far.
    pub dropped_frames: u64,
    /// How often nothing came for a while so far.
    pub stalls: u64,
    /// For how long that was so far, in ms.
    pub stalled_ms: u64,
    /// How far the video is ahead of the audio, in ms.
    pub skew_ms: i64,
    /// The round trip of the encoder's connection, in ms; `None` where it was not known.
    pub rtt_ms: Option<u64>,
    /// How much later frames came than the quickest, in ms.
    pub late_ms: u64,
}

impl Point {
    /// What is remembered of how a session does at `at_ms`.
    pub fn of(at_ms: u64, health: &Health) -> Self {
        let video = health.video.as_ref();
        Self {
            at_ms,
            session: health.session,
            bitrate: health.bitrate,
            uplink_bitrate: health.uplink.bitrate,
            frame_rate_milli: video.map_or(0, |video| video.frame_rate_milli),
            keyframe_interval_ms: video.map_or(0, |video| video.keyframe_interval_ms),
            dropped_frames: health.dropped_frames,
            stalls: health.uplink.stalls,
            stalled_ms: health.uplink.stalled_ms,
            skew_ms: health.skew_ms,
            rtt_ms: health.uplink.rtt_ms,
            late_ms: health.uplink.late_ms,
        }
    }
}

/// What became of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// The session.
    pub session: SessionId,
    /// At which origin.
    pub origin: NodeId,
    /// What.
    pub what: Happened,
}

/// What may become of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Happened {
    /// It came, and a session began.
    Came,
    /// It came again within the grace.
    CameBack,
    /// It came again within the grace, at another origin.
    Moved,
    /// It took over from one that was still there.
    TookOver,
    /// Its media flows.
    Live,
    /// It stopped publishing.
    Left,
    /// Its connection was lost, or silent.
    Lost,
    /// Its origin died.
    ServerLost,
    /// The session ended: it did not come back in time.
    TimedOut,
    /// The session was ended by hand.
    Ended,
    /// The session ended because the stream key or the channel changed.
    KeyChanged,
    /// The session ended because what came could not continue it: other tracks or codecs.
    Changed,
}

/// A private test of an encoder: nobody could watch it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Whether its origin told of it within the last 6 s.
    pub goes_on: bool,
    /// How it does, or did last. The alerts are all that there were.
    pub health: Health,
    /// How it did, the oldest first, at most [`Trial::MAX_POINTS`].
    pub points: Vec<Point>,
}

impl Trial {
    /// The most points of a test: 5 minutes, one every 2 s.
    pub const MAX_POINTS: usize = 150;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        health::{Uplink, Video},
        quic::decode,
    };

    #[test]
    fn a_point_is_what_the_health_was_then() {
        let health = Health {
            session: SessionId(5),
            bitrate: 300,
            video: Some(Video { frame_rate_milli: 29_970, keyframe_interval_ms: 2000, ..Video::default() }),
            uplink: Uplink {
                bitrate: 280,
                stalls: 1,
                stalled_ms: 1600,
                rtt_ms: Some(41),
                late_ms: 7,
                ..Uplink::default()
            },
            skew_ms: -3,
            dropped_frames: 10,
            ..Health::default()
        };
        let expected = Point {
            at_ms: 7,
            session: SessionId(5),
            bitrate: 300,
            uplink_bitrate: 280,
            frame_rate_milli: 29_970,
            keyframe_interval_ms: 2000,
            dropped_frames: 10,
            stalls: 1,
            stalled_ms: 1600,
            skew_ms: -3,
            rtt_ms: Some(41),
            late_ms: 7,
        };
        assert_eq!(Point::of(7, &health), expected);
    }

    /// Nodes of the same version must agree on every byte.
    #[test]
    fn it_is_written_so() {
        let event = Event { at_ms: 2, session: SessionId(5), origin: NodeId(7), what: Happened::ServerLost };
        let point = Point { at_ms: 1, skew_ms: -3, ..Point::default() };
        let history = History { since_ms: 9, points: vec![point], events: vec![event], test: None };
        let written = postcard::to_stdvec(&history).unwrap();
        assert_eq!(written, [9, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 1, 2, 5, 7, 7, 0]);
        assert_eq!(decode::<History>(&written).unwrap(), history);
    }
}
