//! Names of resources: what stands after `/live/` in an HTTP path and what `FETCH` asks for.
//!
//! ```text
//! {channel}/index.m3u8                       multivariant playlist   mutable
//! {channel}/{track}.m3u8                     media playlist          mutable
//! {channel}/thumb.mp4                        init + latest IDR       mutable
//! {channel}/{epoch}/{track}/init-{n}.mp4     initialization section  immutable
//! {channel}/{epoch}/{track}/{msn}.m4s        segment                 immutable
//! {channel}/{epoch}/{track}/{msn}.{part}.m4s part                    immutable
//! ```
//! Every name has exactly one spelling: numbers carry no sign and no leading zero.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::{ChannelName, Epoch, InvalidName, Msn, TrackName, decimal};

/// An immutable object: the same name never stands for different bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The channel.
    pub channel: ChannelName,
    /// The publish that made it; its origin has it.
    pub epoch: Epoch,
    /// The track.
    pub track: TrackName,
    /// Which object of the track.
    pub object: Object,
}

/// One of a track's immutable objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// Initialization section number `n` of the epoch (`EXT-X-MAP`).
    Init(u32),
    /// A whole segment: exactly the bytes of its parts.
    Segment(Msn),
    /// One part of a segment.
    Part(Msn, u32),
}

/// Anything a viewer or a node may ask for by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResourceName {
    /// The multivariant playlist.
    Index(ChannelName),
    /// A track's media playlist.
    Playlist(ChannelName, TrackName),
    /// The thumbnail: init and latest IDR of `v0`.
    Thumb(ChannelName),
    /// An immutable object.
    Object(ObjectName),
}

impl ResourceName {
    /// The longest name, in bytes; a longer text is refused unread.
    pub const MAX_LEN: usize = 128;

    /// The channel it belongs to.
    pub fn channel(&self) -> &ChannelName {
        match self {
            Self::Index(channel) | Self::Playlist(channel, _) | Self::Thumb(channel) => channel,
            Self::Object(name) => &name.channel,
        }
    }
}

impl FromStr for ResourceName {
    type Err = InvalidName;

    fn from_str(path: &str) -> Result<Self, InvalidName> {
        if path.len() > Self::MAX_LEN {
            return Err(InvalidName::Path);
        }
        let (channel, rest) = path.split_once('/').ok_or(InvalidName::Path)?;
        let channel = channel.parse()?;
        match rest {
            "index.m3u8" => return Ok(Self::Index(channel)),
            "thumb.mp4" => return Ok(Self::Thumb(channel)),
            _ => {}
        }
        if let Some(track) = rest.strip_suffix(".m3u8") {
            return Ok(Self::Playlist(channel, track.parse()?));
        }
        let mut steps = rest.split('/');
        let (Some(epoch), Some(track), Some(file), None) = (steps.next(), steps.next(), steps.next(), steps.next())
        else {
            return Err(InvalidName::Path);
        };
        let epoch = Epoch(decimal(epoch).ok_or(InvalidName::Path)?);
        let object = file.parse()?;
        Ok(Self::Object(ObjectName { channel, epoch, track: track.parse()?, object }))
    }
}

impl FromStr for Object {
    type Err = InvalidName;

    fn from_str(file: &str) -> Result<Self, InvalidName> {
        let small = |text| decimal(text).and_then(|n| u32::try_from(n).ok()).ok_or(InvalidName::Path);
        if let Some(n) = file.strip_prefix("init-").and_then(|rest| rest.strip_suffix(".mp4")) {
            return Ok(Self::Init(small(n)?));
        }
        let stem = file.strip_suffix(".m4s").ok_or(InvalidName::Path)?;
        let (msn, part) = match stem.split_once('.') {
            Some((msn, part)) => (msn, Some(small(part)?)),
            None => (stem, None),
        };
        let msn = Msn(decimal(msn).ok_or(InvalidName::Path)?);
        Ok(part.map_or(Self::Segment(msn), |part| Self::Part(msn, part)))
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Init(n) => write!(f, "init-{n}.mp4"),
            Self::Segment(msn) => write!(f, "{msn}.m4s"),
            Self::Part(msn, part) => write!(f, "{msn}.{part}.m4s"),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.channel, self.epoch, self.track, self.object)
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(channel) => write!(f, "{channel}/index.m3u8"),
            Self::Playlist(channel, track) => write!(f, "{channel}/{track}.m3u8"),
            Self::Thumb(channel) => write!(f, "{channel}/thumb.mp4"),
            Self::Object(name) => name.fmt(f),
        }
    }
}

impl TryFrom<String> for ResourceName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ResourceName> for String {
    fn from(name: ResourceName) -> Self {
        name.to_string()
    }
}

impl From<ObjectName> for ResourceName {
    fn from(name: ObjectName) -> Self {
        Self::Object(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_resource_has_one_spelling() {
        for path in [
            "ada/index.m3u8",
            "ada/v0.m3u8",
            "ada/thumb.mp4",
            "ada/17/a0/init-0.mp4",
            "ada/17/v0/12.m4s",
            "ada/17/v0/12.3.m4s",
        ] {
            assert_eq!(path.parse::<ResourceName>().map(|name| name.to_string()), Ok(path.to_owned()));
        }
    }

    #[test]
    fn anything_else_is_no_resource() {
        let long = format!("ada/{}/v0/1.m4s", "1".repeat(128));
        for path in [
            "",
            "ada",
            "ada/",
            "/ada/index.m3u8",
            "ada/index.m3u8/",
            "ada/../v0.m3u8",
            "ada/%2e%2e/v0.m3u8",
            "ada/017/v0/12.m4s",
            "ada/17/v0/012.m4s",
            "ada/17/v0/12.03.m4s",
            "ada/17/v0/12.3.4.m4s",
            "ada/17/v0/-1.m4s",
            "ada/17/v0/+1.m4s",
            "ada/17/v0/init-.mp4",
            "ada/17/v0/init-4294967296.mp4",
            "ada/17/v0/99999999999999999999.m4s",
            "ada/17/v0/12.m4s\0",
            "ada/17//12.m4s",
            "Ada/index.m3u8",
            &long,
        ] {
            assert!(path.parse::<ResourceName>().is_err(), "{path:?}");
        }
    }
}
