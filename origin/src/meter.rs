//! What an origin counts for `/metrics`. Handles are looked up once: install the recorder before [`Meters::new`].

use freshet_media::{flv::TagKind, health::Report, output::Output};
use metrics::{Counter, Gauge, counter, gauge};

/// Counters and gauges of one origin.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) connections: Gauge,
    pub(crate) publishers: Gauge,
    pub(crate) ingest_bytes: Counter,
    pub(crate) window_bytes: Gauge,
    pub(crate) sessions: Gauge,
    pub(crate) follows: Counter,
    pub(crate) following: Gauge,
    pub(crate) held: Gauge,
    pub(crate) transfers_fetched: Counter,
    pub(crate) transfers_followed: Counter,
    pub(crate) sent_bytes: Counter,
    video: Counter,
    audio: Counter,
    data: Counter,
    parts: Counter,
    part_bytes: Counter,
    dropped_frames: Counter,
    repaired_frames: Counter,
    gap_parts: Counter,
    discontinuities: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            connections: gauge!("freshet_origin_rtmp_connections"),
            publishers: gauge!("freshet_origin_publishers"),
            ingest_bytes: counter!("freshet_origin_ingest_bytes_total"),
            dropped_frames: counter!("freshet_origin_dropped_frames_total"),
            repaired_frames: counter!("freshet_origin_repaired_frames_total"),
            gap_parts: counter!("freshet_origin_gap_parts_total"),
            discontinuities: counter!("freshet_origin_discontinuities_total"),
            parts: counter!("freshet_origin_parts_total"),
            part_bytes: counter!("freshet_origin_part_bytes_total"),
            window_bytes: gauge!("freshet_origin_window_bytes"),
            sessions: gauge!("freshet_origin_sessions"),
            follows: counter!("freshet_origin_follows_total"),
            following: gauge!("freshet_origin_following"),
            held: gauge!("freshet_origin_held_fetches"),
            transfers_fetched: counter!("freshet_origin_transfers_total", "verb" => "fetch"),
            transfers_followed: counter!("freshet_origin_transfers_total", "verb" => "follow"),
            sent_bytes: counter!("freshet_origin_sent_bytes_total"),
            video: counter!("freshet_origin_messages_total", "kind" => "video"),
            audio: counter!("freshet_origin_messages_total", "kind" => "audio"),
            data: counter!("freshet_origin_messages_total", "kind" => "data"),
        }
    }

    /// One thing that a pipeline made.
    pub(crate) fn made(&self, made: &Output) {
        if let Output::Part(part) = made {
            self.parts.increment(1);
            self.part_bytes.increment(part.payload.iter().map(|piece| piece.len() as u64).sum());
        }
    }

    /// What went wrong with a session from one look at it to the next.
    pub(crate) fn went_wrong(&self, before: &Report, now: &Report) {
        for (counter, before, now) in [
            (&self.dropped_frames, before.dropped_frames, now.dropped_frames),
            (&self.repaired_frames, before.repaired_frames, now.repaired_frames),
            (&self.gap_parts, before.gap_parts, now.gap_parts),
            (&self.discontinuities, before.discontinuities, now.discontinuities),
        ] {
            counter.increment(now.saturating_sub(before));
        }
    }

    /// One message of an encoder.
    pub(crate) fn message(&self, kind: TagKind) {
        match kind {
            TagKind::Video => self.video.increment(1),
            TagKind::Audio => self.audio.increment(1),
            TagKind::Data => self.data.increment(1),
        }
    }
}

/// One fetch, by how it went.
pub(crate) fn fetched(status: &'static str) {
    counter!("freshet_origin_fetches_total", "status" => status).increment(1);
}

/// A message that could not be used.
pub(crate) fn dropped(reason: &'static str) {
    counter!("freshet_origin_dropped_messages_total", "reason" => reason).increment(1);
}

/// The end of a publisher's connection, by its reason; refusals among them.
pub(crate) fn closed(reason: &'static str) {
    counter!("freshet_origin_connections_closed_total", "reason" => reason).increment(1);
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}
