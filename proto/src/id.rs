//! The names of things: channels, tracks, epochs, sequence numbers, nodes.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is not the name of anything. Whoever wrote the text is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// A channel is 1 to 32 of `a-z`, `0-9`, `_` and `-`, starting with a letter or digit.
    #[error("a channel name is 1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit")]
    Channel,
    /// A track is `v` or `a` and a number from 0 to 15 without leading zeros.
    #[error("a track is v0 to v15 or a0 to a15")]
    Track,
    /// No resource has such a path.
    #[error("no resource has such a path")]
    Path,
}

/// Where a streamer broadcasts (`ada` in `/c/ada`). Permanent; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// The longest channel name, in bytes.
    pub const MAX_LEN: usize = 32;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let is_legal = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
        if starts_well && text.len() <= Self::MAX_LEN && text.bytes().all(is_legal) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName::Channel)
        }
    }
}

impl TryFrom<String> for ChannelName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TrackKind {
    /// `v0`, `v1`, …
    Video,
    /// `a0`, `a1`, …
    Audio,
}

/// One elementary stream of a session: `v0`, `a0`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TrackName {
    /// What it carries.
    pub kind: TrackKind,
    /// Which of its kind, 0 to 15.
    pub index: u8,
}

impl TrackName {
    /// The most tracks of one kind.
    pub const MAX_INDEX: u8 = 15;

    /// The first video track, `v0`.
    pub const V0: Self = Self { kind: TrackKind::Video, index: 0 };
    /// The first audio track, `a0`.
    pub const A0: Self = Self { kind: TrackKind::Audio, index: 0 };
}

impl FromStr for TrackName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (kind, digits) = match text.split_at_checked(1) {
            Some(("v", digits)) => (TrackKind::Video, digits),
            Some(("a", digits)) => (TrackKind::Audio, digits),
            _ => return Err(InvalidName::Track),
        };
        let index = decimal(digits).filter(|&index| index <= Self::MAX_INDEX.into()).ok_or(InvalidName::Track)?;
        Ok(Self { kind, index: index as u8 })
    }
}

impl fmt::Display for TrackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            TrackKind::Video => 'v',
            TrackKind::Audio => 'a',
        };
        write!(f, "{letter}{}", self.index)
    }
}

/// A number written the one way we write it: digits, no sign, no leading zero, at most `u64::MAX`.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.is_empty() && !text.starts_with('0'));
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Fencing number of one publish: the log index of its claim. Higher wins.
    Epoch
}
number! {
    /// Media sequence number of a segment (draft-pantos-hls-rfc8216bis §4.4.3.2). Never goes back in a channel.
    Msn
}
number! {
    /// One broadcast, encoder reconnects included.
    SessionId
}
number! {
    /// A node of the platform. Never reused.
    NodeId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_are_short_lower_case_and_safe_in_a_path() {
        for good in ["ada", "a", "0x", "a-b_c", &"x".repeat(32)] {
            assert_eq!(good.parse::<ChannelName>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "Ada", "_ada", "-a", "a/b", "..", "a.b", "ä", "a b", &"x".repeat(33)] {
            assert_eq!(bad.parse::<ChannelName>(), Err(InvalidName::Channel), "{bad:?}");
        }
    }

    #[test]
    fn tracks_have_one_spelling() {
        assert_eq!("v0".parse(), Ok(TrackName::V0));
        assert_eq!("a15".parse::<TrackName>().map(|t| t.to_string()), Ok("a15".to_owned()));
        for bad in ["", "v", "v00", "v01", "x0", "a16", "v+1", "v-1", "é"] {
            assert_eq!(bad.parse::<TrackName>(), Err(InvalidName::Track), "{bad:?}");
        }
    }
}
