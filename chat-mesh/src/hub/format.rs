//! How a channel's events are written. Each format that somebody reads has a log of its own, and each event is encoded
//! once for it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use freshet_proto::{
    chat::{Event, Position},
    id::ChannelName,
};

use crate::{
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
}

impl Format {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// All of them.
    pub const ALL: [Self; Self::COUNT] = [Self::Json, Self::Lines, Self::DeflatedJson, Self::DeflatedLines];

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
        self as usize
    }

    /// How many events a frame may hold. Where it is more than one, events are gathered for a moment.
    pub(super) fn most_events(self) -> usize {
        match self {
            Self::Json | Self::DeflatedJson => 1,
            Self::Lines | Self::DeflatedLines => MAX_OBJECTS,
        }
    }

    fn is_deflated(self) -> bool {
        matches!(self, Self::DeflatedJson | Self::DeflatedLines)
    }

    /// The frame that tells a reader what it missed.
    pub(super) fn gap(self, channel: &ChannelName, missed: Option<u64>, position: Position) -> Bytes {
        ws::encode::text(&encode::gap(channel, missed, position))
    }

    /// The frame that tells readers how many there are.
    pub(super) fn count(self, channel: &ChannelName, connections: u64, users: u64) -> Bytes {
        ws::encode::text(&encode::count(channel, connections, users))
    }
}

/// An event, and what it is in JSON once somebody needs that.
pub(super) struct Line {
    pub event: Arc<Event>,
    json: Option<String>,
}

impl Line {
    pub(super) fn new(event: Arc<Event>) -> Self {
        Self { event, json: None }
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
