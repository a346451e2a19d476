//! How a channel's events are written. Each format that somebody reads has a log of its own, and each event is encoded
//! once for it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use freshet_proto::{
    chat::{Event, Position},
    id::ChannelName,
};

use super::carrier::Carriage;
use crate::{
    irc,
    protocol::{client::MAX_OBJECTS, encode},
    ws::{self, Deflater, Opcode},
};

/// A wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, an object a frame.
    Json,
    /// JSON, objects on lines, several a frame.
    Lines,
    /// [`Format::Json`], deflated.
    DeflatedJson,
    /// [`Format::Lines`], deflated.
    DeflatedLines,
    /// Lines of IRC.
    Irc(irc::Format, Carriage),
}

impl Format {
    /// How many there are.
    pub const COUNT: usize = 12;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = {
        let [a, b, c, d] = irc::Format::ALL;
        let (bare, framed) = (Carriage::Bare, Carriage::WebSocket);
        [
            Self::Json,
            Self::Lines,
            Self::DeflatedJson,
            Self::DeflatedLines,
            Self::Irc(a, bare),
            Self::Irc(b, bare),
            Self::Irc(c, bare),
            Self::Irc(d, bare),
            Self::Irc(a, framed),
            Self::Irc(b, framed),
            Self::Irc(c, framed),
            Self::Irc(d, framed),
        ]
    };

    /// The native protocol, as client and hub have agreed.
    pub fn native(batch: bool, deflate: bool) -> Self {
        match (batch, deflate) {
            (false, false) => Self::Json,
            (true, false) => Self::Lines,
            (false, true) => Self::DeflatedJson,
            (true, true) => Self::DeflatedLines,
        }
    }

    /// Its place among [`Format::ALL`].
    pub(super) fn index(self) -> usize {
        match self {
            Self::Json => 0,
            Self::Lines => 1,
            Self::DeflatedJson => 2,
            Self::DeflatedLines => 3,
            Self::Irc(irc::Format { tags, commands }, carriage) => {
                4 + usize::from(commands) + 2 * usize::from(tags) + 4 * usize::from(carriage == Carriage::WebSocket)
            }
        }
    }

    /// Whether it is a dialect of IRC.
    pub(super) fn is_irc(self) -> bool {
        matches!(self, Self::Irc(..))
    }

    /// How many events a frame may hold. Where it is more than one, events are gathered for a moment.
    pub(super) fn most_events(self) -> usize {
        match self {
            Self::Json | Self::DeflatedJson | Self::Irc(..) => 1,
            Self::Lines | Self::DeflatedLines => MAX_OBJECTS,
        }
    }

    fn is_deflated(self) -> bool {
        matches!(self, Self::DeflatedJson | Self::DeflatedLines)
    }

    /// The frame that tells a reader what it missed; in IRC also which modes have `changed` meanwhile.
    pub(super) fn gap(
        self,
        channel: &ChannelName,
        missed: Option<u64>,
        position: Position,
        changed: &irc::Encoded,
    ) -> Bytes {
        match self {
            Self::Irc(format, carriage) => {
                carriage.carried(&(irc::encode::gap(channel, missed, format) + &changed.lines(format)))
            }
            _ => ws::encode::text(&encode::gap(channel, missed, position)),
        }
    }

    /// The frame that tells readers how many there are.
    pub(super) fn count(self, channel: &ChannelName, connections: u64, users: u64) -> Bytes {
        ws::encode::text(&encode::count(channel, connections, users))
    }
}

/// An event, what it is in JSON once somebody needs that, and in IRC where somebody reads that.
pub(super) struct Line {
    pub event: Arc<Event>,
    json: Option<String>,
    irc: irc::Encoded,
}

impl Line {
    pub(super) fn new(event: Arc<Event>, irc: irc::Encoded) -> Self {
        Self { event, json: None, irc }
    }
}

/// Writes events. One for a whole hub: it owns the tables of DEFLATE.
pub(super) struct Encoder {
    level: u32,
    deflater: Option<Deflater>,
    payload: String,
    frame: BytesMut,
}

impl Encoder {
    pub(super) fn new(level: u32) -> Self {
        Self { level, deflater: None, payload: String::new(), frame: BytesMut::new() }
    }

    /// One frame with all of `lines`, as many as [`Format::most_events`] allows at most.
    pub(super) fn frame(&mut self, format: Format, channel: &ChannelName, lines: &mut [Line]) -> &[u8] {
        if let (Format::Irc(format, carriage), [line]) = (format, &*lines) {
            self.frame.clear();
            carriage.carry(&line.irc.lines(format), &mut self.frame);
            return &self.frame;
        }
        self.payload.clear();
        for (n, line) in lines.iter_mut().enumerate() {
            if n > 0 {
                self.payload.push('\n');
            }
            self.payload.push_str(line.json.get_or_insert_with(|| encode::event(channel, &line.event)));
        }
        self.frame.clear();
        match format.is_deflated() {
            true => {
                let deflater = self.deflater.get_or_insert_with(|| Deflater::new(self.level));
                deflater.frame(&mut self.frame, Opcode::Text, self.payload.as_bytes());
            }
            false => ws::encode::frame(&mut self.frame, Opcode::Text, self.payload.as_bytes()),
        }
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_has_a_place_of_its_own() {
        let places: Vec<_> = Format::ALL.iter().map(|format| format.index()).collect();
        assert_eq!(places, (0..Format::COUNT).collect::<Vec<_>>());
    }
}
