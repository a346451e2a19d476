//! What can be configured of keys: `[keys]`, on control nodes.

use freshet_proto::annex::Algorithm;
use serde::{Deserialize, Serialize};

use super::rotation::{LONGEST_TOKEN_MS, Settings};

/// How long signing keys and the secrets of path tokens live. The same on all control nodes; the one that leads counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What tokens are signed with: `EdDSA` (default), `ES256` or `RS256`. A change makes a new key at once.
    pub algorithm: Algorithm,
    /// For how many days a key signs, 1 to 3,650. Default 30.
    pub rotate_days: u32,
    /// For how many minutes a key is known before it signs, 1 to 1,440. Default 60. Also how long a node may have heard
    /// nothing new and still verify everything; a key goes on verifying for 12 hours and as long as this.
    pub publish_minutes: u32,
    /// For how many hours edges mint path tokens with the same secret, 1 to 720. Default 24.
    pub path_hours: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), rotate_days: 30, publish_minutes: 60, path_hours: 24 }
    }
}

/// A key of the configuration is out of its range. The operator's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}; it must be from {min} to {max}")]
pub struct InvalidConfig {
    /// Which.
    pub key: &'static str,
    /// What it is.
    pub value: u64,
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl Config {
    /// What it means.
    ///
    /// # Errors
    /// Names the first key that is out of its range. A key must be known for less than it signs.
    pub fn settings(&self) -> Result<Settings, InvalidConfig> {
        let within = |key, value: u32, min: u64, max: u64| {
            let value = u64::from(value);
            if (min..=max).contains(&value) { Ok(value) } else { Err(InvalidConfig { key, value, min, max }) }
        };
        let days = within("keys.rotate_days", self.rotate_days, 1, 3650)?;
        let hours = within("keys.path_hours", self.path_hours, 1, 720)?;
        let minutes = within("keys.publish_minutes", self.publish_minutes, 1, (days * 1440).min(hours * 60).min(1440))?;
        Ok(Settings {
            algorithm: self.algorithm,
            pending_ms: minutes * 60_000,
            active_ms: days * 86_400_000,
            path_ms: hours * 3_600_000,
            token_ms: LONGEST_TOKEN_MS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_machine_and_what_is_out_of_range_is_named() {
        assert_eq!(Config::default().settings(), Ok(Settings::default()));
        assert_eq!(Settings::default().retiring_ms(), 13 * 3_600_000);
        let wrong = |config: Config| config.settings().unwrap_err().to_string();
        let told = wrong(Config { publish_minutes: 61, path_hours: 1, ..Config::default() });
        assert_eq!(told, "keys.publish_minutes is 61; it must be from 1 to 60");
        assert!(wrong(Config { rotate_days: 0, ..Config::default() }).contains("keys.rotate_days is 0"));
    }
}
