//! Where a client was: any hub can go on from there.

use std::{fmt, str::FromStr};

use freshet_proto::{
    chat::{InvalidPosition, Position},
    id::ChannelName,
};

/// `CHANNEL.EPOCH.SEQ`. Not secret: it opens nothing that joining does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeToken {
    /// The channel.
    pub channel: ChannelName,
    /// The newest event that the client has.
    pub position: Position,
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.channel, self.position)
    }
}

impl FromStr for ResumeToken {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (channel, position) = text.split_once('.').ok_or(InvalidPosition)?;
        Ok(Self { channel: channel.parse().map_err(|_| InvalidPosition)?, position: position.parse()? })
    }
}
