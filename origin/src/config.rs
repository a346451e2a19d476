//! What an origin may be told: limits, deadlines, and where the packaging departs from its defaults.

use std::time::Duration;

use freshet_media::pipeline::{InvalidPackaging, PackagingConfig};
use serde::{Deserialize, Serialize};

/// The section `[origin]` of the configuration. Every limit names who loses when it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most RTMP and RTMPS connections at once, publishing or not; default 4,096. One more is closed unread.
    /// Each costs about 40 KiB besides its window.
    pub max_connections: usize,
    /// Most RTMP and RTMPS connections of one address at once; default 256. One more is closed unread.
    pub max_connections_per_address: usize,
    /// Most publishers at once; default 1,000. One more is refused with words. A publisher of 2.5 Mbit/s needs about
    /// 1.2 ms of CPU a second and, by its window, about 40 MB.
    pub max_publishers: usize,
    /// Most bytes that one session's window may keep, in bytes; default 512 MiB: two minutes at 35 Mbit/s.
    /// Beyond it the oldest segments go before their time, and viewers far behind get 404.
    pub max_session_bytes: u64,
    /// How many ended sessions of a channel stay fetchable besides the current one; default 4. The oldest goes first.
    pub max_ended_sessions: usize,
    /// Most follows and held fetches at once, over all nodes that ask; default 16,384. One more is told to come back
    /// in a second. Each costs about 2 KiB.
    pub max_held: usize,
    /// For how many objects the transfers are counted by name, for tests and `/metrics`-less debugging; default 4,096,
    /// 0 turns it off. The least recently made entry goes first. Each costs about 100 bytes.
    pub counted_objects: usize,
    /// Bytes read from a publisher's socket at once, and the size of its buffer; default 16 KiB. Larger ones save
    /// system calls at high bit rates.
    pub read_buffer: usize,
    /// Most bytes that may wait until a publisher reads them, in bytes; default 64 KiB. Beyond it the connection is
    /// closed.
    pub write_buffer: usize,
    /// How long an encoder may take for TLS, the RTMP handshake and `connect`, in milliseconds; default 5,000. A slower
    /// one is closed.
    pub handshake_timeout_ms: u64,
    /// How long an encoder may take from `connect` to `publish`, in milliseconds; default 10,000. A slower one is
    /// closed.
    pub publish_timeout_ms: u64,
    /// After how many milliseconds without a byte a publisher counts as silent, so that another encoder may take over
    /// unasked; default 2,000.
    pub silent_after_ms: u64,
    /// After how many milliseconds without a byte a publisher is given up as lost; default 10,000.
    pub lost_after_ms: u64,
    /// How long the registry may take to answer a claim, in milliseconds; default 5,000. Then the encoder is refused
    /// and may retry.
    pub claim_timeout_ms: u64,
    /// How long a refused encoder's connection stays open after it was told why, in milliseconds; default 500.
    /// Some encoders show nothing when it closes at once.
    pub farewell_ms: u64,
    /// How long a fetch waits for what is announced (a hinted part, the first playlist), in milliseconds; default
    /// 12,000.
    pub hold_ms: u64,
    /// How long publishers may go on after SIGTERM, in milliseconds; default 10,000.
    pub drain_timeout_ms: u64,
    /// How sessions are packaged; frozen for a session when it begins.
    pub packaging: PackagingConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_connections_per_address: 256,
            max_publishers: 1000,
            max_session_bytes: 512 << 20,
            max_ended_sessions: 4,
            max_held: 16_384,
            counted_objects: 4096,
            read_buffer: 16 << 10,
            write_buffer: 64 << 10,
            handshake_timeout_ms: 5_000,
            publish_timeout_ms: 10_000,
            silent_after_ms: 2_000,
            lost_after_ms: 10_000,
            claim_timeout_ms: 5_000,
            farewell_ms: 500,
            hold_ms: 12_000,
            drain_timeout_ms: 10_000,
            packaging: PackagingConfig::default(),
        }
    }
}

/// Why a configuration is refused. The operator's doing; the message says what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// A key is out of its range.
    #[error("origin.{key} is {value}; it must be from {min} to {max}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What it is.
        value: u64,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
    },
    /// A publisher would be lost before it is silent.
    #[error("origin.lost_after_ms must be greater than origin.silent_after_ms")]
    LostBeforeSilent,
    /// The packaging's configuration is refused.
    #[error("origin.{0}")]
    Packaging(#[from] InvalidPackaging),
}

/// Most of anything that is counted by a semaphore.
const MAX_PLACES: u64 = 1 << 20;
const HOUR_MS: u64 = 3_600_000;

impl Config {
    /// Checks that the values make sense together.
    ///
    /// # Errors
    /// Names the first key that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        check("max_connections", self.max_connections as u64, 1, MAX_PLACES)?;
        check("max_connections_per_address", self.max_connections_per_address as u64, 1, MAX_PLACES)?;
        check("max_publishers", self.max_publishers as u64, 1, MAX_PLACES)?;
        check("max_session_bytes", self.max_session_bytes, 1 << 20, 1 << 40)?;
        check("max_ended_sessions", self.max_ended_sessions as u64, 0, 1000)?;
        check("max_held", self.max_held as u64, 1, MAX_PLACES)?;
        check("counted_objects", self.counted_objects as u64, 0, 10_000_000)?;
        check("read_buffer", self.read_buffer as u64, 1 << 10, 1 << 20)?;
        check("write_buffer", self.write_buffer as u64, 8 << 10, 1 << 20)?;
        check("handshake_timeout_ms", self.handshake_timeout_ms, 100, HOUR_MS)?;
        check("publish_timeout_ms", self.publish_timeout_ms, 100, HOUR_MS)?;
        check("silent_after_ms", self.silent_after_ms, 100, HOUR_MS)?;
        check("lost_after_ms", self.lost_after_ms, 100, HOUR_MS)?;
        check("claim_timeout_ms", self.claim_timeout_ms, 100, HOUR_MS)?;
        check("farewell_ms", self.farewell_ms, 0, 10_000)?;
        check("hold_ms", self.hold_ms, 100, HOUR_MS)?;
        check("drain_timeout_ms", self.drain_timeout_ms, 0, HOUR_MS)?;
        if self.lost_after_ms <= self.silent_after_ms {
            return Err(InvalidConfig::LostBeforeSilent);
        }
        Ok(self.packaging.validate()?)
    }

    /// How many publishers there is a place for.
    pub(crate) fn publisher_places(&self) -> usize {
        self.max_publishers.min(MAX_PLACES as usize)
    }

    /// How many followers and held fetches there is a place for.
    pub(crate) fn held_places(&self) -> usize {
        self.max_held.min(MAX_PLACES as usize)
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    pub(crate) fn publish_timeout(&self) -> Duration {
        Duration::from_millis(self.publish_timeout_ms)
    }

    pub(crate) fn silent_after(&self) -> Duration {
        Duration::from_millis(self.silent_after_ms)
    }

    pub(crate) fn lost_after(&self) -> Duration {
        Duration::from_millis(self.lost_after_ms)
    }

    pub(crate) fn claim_timeout(&self) -> Duration {
        Duration::from_millis(self.claim_timeout_ms)
    }

    pub(crate) fn farewell(&self) -> Duration {
        Duration::from_millis(self.farewell_ms)
    }

    pub(crate) fn hold(&self) -> Duration {
        Duration::from_millis(self.hold_ms)
    }

    pub(crate) fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}

fn check(key: &'static str, value: u64, min: u64, max: u64) -> Result<(), InvalidConfig> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(InvalidConfig::OutOfRange { key, value, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let refusal = |config: Config| config.validate().unwrap_err().to_string();
        assert_eq!(
            refusal(Config { max_publishers: 0, ..Config::default() }),
            "origin.max_publishers is 0; it must be from 1 to 1048576"
        );
        assert_eq!(
            refusal(Config { lost_after_ms: 2000, ..Config::default() }),
            "origin.lost_after_ms must be greater than origin.silent_after_ms"
        );
        let packaging = PackagingConfig { part_ms: 50, ..PackagingConfig::default() };
        assert_eq!(
            refusal(Config { packaging, ..Config::default() }),
            "origin.packaging.part_ms is 50; it must be from 100 to 2000"
        );
    }
}
