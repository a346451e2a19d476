//! What can be set.

use serde::{Deserialize, Serialize};
use tokio::time::Duration;

use crate::{fanout, ws::Patience};

/// Limits and deadlines of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many connections are taken.
    pub connections: usize,
    /// How many connections are taken from one address, or one /64 of IPv6.
    pub connections_per_address: usize,
    /// Pages of these origins may connect beside the platform's own: as `https://example.org`, or `*` for all.
    pub origins: Vec<String>,
    /// How many threads chat has for itself; 0 for one in two cores, at least one.
    pub threads: usize,
    /// How long a client waits for a channel that can't be read at present.
    pub join_timeout_ms: u64,
    /// How long a connection may be in no channel.
    pub idle_timeout_ms: u64,
    /// After how much silence a client is pinged.
    pub ping_after_ms: u64,
    /// How long it may then be silent.
    pub pong_timeout_ms: u64,
    /// How much a channel's log holds at most, in bytes, for each wire format that is read.
    pub log_bytes: usize,
    /// How many frames it holds at most.
    pub log_frames: usize,
    /// How far behind, in ms, a reader may be that can't keep up, before it is told a gap.
    pub patience_ms: u64,
    /// How long a client may take nothing while there is something for it.
    pub stall_timeout_ms: u64,
    /// How long events are gathered for those who take several in one frame.
    pub batch_ms: u64,
    /// How hard messages are compressed for clients that want it, 1 to 9; 0 for not at all.
    pub deflate_level: u32,
    /// Within how many ms clients should come back when the hub goes away; each is told another moment.
    pub reconnect_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections: 120_000,
            connections_per_address: 2_000,
            origins: Vec::new(),
            threads: 0,
            join_timeout_ms: 5_000,
            idle_timeout_ms: 60_000,
            ping_after_ms: 45_000,
            pong_timeout_ms: 20_000,
            log_bytes: 1 << 20,
            log_frames: 2048,
            patience_ms: 3_000,
            stall_timeout_ms: 30_000,
            batch_ms: 20,
            deflate_level: 6,
            reconnect_ms: 5_000,
        }
    }
}

/// A value that can't work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chat.{key} is {value}; it must be from {min} to {max}")]
pub struct InvalidConfig {
    /// Which.
    pub key: &'static str,
    /// What it is.
    pub value: u64,
    /// The least it may be.
    pub min: u64,
    /// The most it may be.
    pub max: u64,
}

const HOUR_MS: u64 = 3_600_000;
const MANY: u64 = 10_000_000;

impl Config {
    /// Checks that every value can work.
    ///
    /// # Errors
    /// Names the first key that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let rules = [
            ("connections", self.connections as u64, 0, MANY),
            ("connections_per_address", self.connections_per_address as u64, 1, MANY),
            ("threads", self.threads as u64, 0, 1024),
            ("join_timeout_ms", self.join_timeout_ms, 100, HOUR_MS),
            ("idle_timeout_ms", self.idle_timeout_ms, 100, HOUR_MS),
            ("ping_after_ms", self.ping_after_ms, 100, HOUR_MS),
            ("pong_timeout_ms", self.pong_timeout_ms, 100, HOUR_MS),
            // An event has 8 KiB at most, and 16 of them may be one frame.
            ("log_bytes", self.log_bytes as u64, 256 << 10, 1 << 30),
            ("log_frames", self.log_frames as u64, 16, MANY),
            ("patience_ms", self.patience_ms, 100, HOUR_MS),
            ("stall_timeout_ms", self.stall_timeout_ms, 100, HOUR_MS),
            ("batch_ms", self.batch_ms, 0, 1_000),
            ("deflate_level", self.deflate_level.into(), 0, 9),
            ("reconnect_ms", self.reconnect_ms, 0, HOUR_MS),
        ];
        match rules.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            Some((key, value, min, max)) => Err(InvalidConfig { key, value, min, max }),
            None => Ok(()),
        }
    }

    pub(super) fn fanout(&self) -> fanout::Config {
        fanout::Config {
            connections: self.connections,
            log_bytes: self.log_bytes,
            log_frames: self.log_frames,
            patience: Duration::from_millis(self.patience_ms),
            stall: Duration::from_millis(self.stall_timeout_ms),
            ..fanout::Config::default()
        }
    }

    pub(super) fn patience(&self) -> Patience {
        Patience {
            ping_after: Duration::from_millis(self.ping_after_ms),
            pong_within: Duration::from_millis(self.pong_timeout_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_what_cannot_work_is_named_with_its_range() {
        assert_eq!(Config::default().validate(), Ok(()));
        let refusal = Config { deflate_level: 10, ..Config::default() }.validate().map_err(|error| error.to_string());
        assert_eq!(refusal, Err("chat.deflate_level is 10; it must be from 0 to 9".to_owned()));
    }
}
