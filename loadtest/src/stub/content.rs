//! What the stub serves, and how often it did.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use freshet_proto::{
    clock::WallClock,
    message::MAX_OBJECT,
    object::{Object, ObjectName},
};
use tokio::sync::watch;

/// The segment that parts are released into. Far above every made-up object, which thereby are old ones that an edge
/// may not have.
pub const LIVE_MSN: u64 = 10_000_000;

/// Length of a released part, bytes: half a second of audio.
pub const PART_LEN: usize = 2600;

/// The multivariant playlist.
pub const INDEX: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
    #EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS=\"mp4a.40.2\"\nv0.m3u8\n";

/// Made-up bytes, the newest released part, and counters.
pub struct Content {
    bytes: Bytes,
    newest: watch::Sender<Release>,
    transfers: Mutex<BTreeMap<String, u64>>,
    clock: WallClock,
}

/// The newest released part.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    /// Its index.
    pub part: u32,
    /// When it was released, milliseconds since 1970.
    pub at_ms: u64,
}

impl Content {
    /// Part 0 is released.
    pub fn new(clock: WallClock) -> Self {
        let bytes: Vec<u8> =
            (0..MAX_OBJECT.min(4 << 20)).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        Self {
            bytes: bytes.into(),
            newest: watch::Sender::new(Release { part: 0, at_ms: clock.now_ms() }),
            transfers: Mutex::default(),
            clock,
        }
    }

    /// The bytes of an object: as many as its media sequence number says, or a live part.
    pub fn object(&self, name: &ObjectName) -> Option<Bytes> {
        let length = match name.object {
            Object::Init(_) => 800,
            Object::Part(msn, part) if msn.0 == LIVE_MSN => (part <= self.newest.borrow().part).then_some(PART_LEN)?,
            Object::Segment(msn) | Object::Part(msn, _) => usize::try_from(msn.0).ok()?,
        };
        (length <= self.bytes.len()).then(|| self.bytes.slice(..length))
    }

    /// The newest released part, and its successors.
    pub fn newest(&self) -> watch::Receiver<Release> {
        self.newest.subscribe()
    }

    /// Releases the next part.
    pub fn release(&self) {
        let at_ms = self.clock.now_ms();
        self.newest.send_modify(|newest| *newest = Release { part: newest.part + 1, at_ms });
    }

    /// A media playlist of about 2 KB. By its `EXT-X-PROGRAM-DATE-TIME` the newest part ended when it was released, so
    /// that a viewer can tell how long the release took to reach it.
    pub fn playlist(&self, newest: Release) -> String {
        let mut text = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=24\n\
            #EXT-X-PART-INF:PART-TARGET=0.5\n"
            .to_owned();
        let _ = write!(text, "#EXT-X-MEDIA-SEQUENCE:{}\n#EXT-X-MAP:URI=\"1/v0/init-0.mp4\"\n", LIVE_MSN - 30);
        for msn in LIVE_MSN - 30..LIVE_MSN {
            let _ = write!(text, "#EXTINF:2.00000,\n1/v0/{msn}.m4s\n");
        }
        let first = newest.part.saturating_sub(16);
        let start_ms = newest.at_ms.saturating_sub(u64::from(newest.part - first + 1) * 500);
        let _ = writeln!(text, "#EXT-X-PROGRAM-DATE-TIME:{}", date_time(start_ms));
        for part in first..=newest.part {
            let _ = writeln!(text, "#EXT-X-PART:DURATION=0.5,URI=\"1/v0/{LIVE_MSN}.{part}.m4s\",INDEPENDENT=YES");
        }
        while text.len() < 2040 {
            text.push_str("# padding\n");
        }
        text
    }

    /// Counts one answer to `name`. At most [`Content::COUNTED`] names are told apart.
    pub fn count(&self, name: &str) {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = transfers.len() < Self::COUNTED || transfers.contains_key(name);
        *transfers.entry(if known { name } else { "other" }.to_owned()).or_default() += 1;
    }

    const COUNTED: usize = 100_000;

    /// How many answers were given since the last call, and the name with the most, with how many it had.
    pub fn take_transfers(&self) -> (u64, String, u64) {
        let transfers = std::mem::take(&mut *self.transfers.lock().unwrap_or_else(PoisonError::into_inner));
        let total = transfers.values().sum();
        let (name, most) = transfers.into_iter().max_by_key(|(_, count)| *count).unwrap_or_default();
        (total, name, most)
    }
}

/// ISO 8601 in UTC, to the millisecond.
fn date_time(unix_ms: u64) -> String {
    let at = jiff::Timestamp::from_millisecond(unix_ms as i64).unwrap_or_default();
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_part_ends_when_it_was_released() {
        assert_eq!(date_time(1_795_248_000_250), "2026-11-21T08:00:00.250Z");
    }
}
