//! In what a connection's texts travel: frames of WebSocket, or, for IRC alone, bare lines.

use bytes::{Bytes, BytesMut};

use crate::{
    irc::{self, LineReader},
    ws::{self, CloseCode, Closed, Event, Opcode, Peer},
};

/// What a text is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carriage {
    /// Nothing: lines have ends.
    Bare,
    /// A frame.
    WebSocket,
}

impl Carriage {
    /// Appends a text; nothing for an empty one.
    pub(super) fn carry(self, text: &str, out: &mut BytesMut) {
        match self {
            _ if text.is_empty() => {}
            Self::Bare => out.extend_from_slice(text.as_bytes()),
            Self::WebSocket => ws::encode::frame(out, Opcode::Text, text.as_bytes()),
        }
    }

    /// A text by itself.
    pub(super) fn carried(self, text: &str) -> Bytes {
        let mut out = BytesMut::new();
        self.carry(text, &mut out);
        out.freeze()
    }
}

/// What takes a connection's bytes apart.
pub(super) enum Carrier {
    WebSocket(Peer),
    Bare(LineReader),
}

impl Carrier {
    pub(super) fn carriage(&self) -> Carriage {
        match self {
            Self::WebSocket(_) => Carriage::WebSocket,
            Self::Bare(_) => Carriage::Bare,
        }
    }

    /// Takes what comes next from `input`; call until it says `None`, then read on.
    pub(super) fn receive(&mut self, input: &mut BytesMut) -> Option<Event> {
        match self {
            Self::WebSocket(peer) => peer.receive(input),
            Self::Bare(lines) => match lines.next(input) {
                Ok(line) => line.map(Event::Text),
                Err(error) => {
                    let reply = Some(irc::encode::error(&error).into());
                    Some(Event::Closed(Closed { close: None, violation: None, reply }))
                }
            },
        }
    }

    /// What asks whether anybody is there.
    pub(super) fn ping(&self) -> Bytes {
        match self {
            Self::WebSocket(_) => ws::encode::ping(b""),
            Self::Bare(_) => Bytes::from_static(irc::encode::PING.as_bytes()),
        }
    }

    /// The last that is sent; empty for none.
    pub(super) fn close(&mut self, code: CloseCode, reason: &str) -> Bytes {
        match self {
            Self::WebSocket(peer) => peer.close(code, reason).unwrap_or_default(),
            Self::Bare(_) => Bytes::new(),
        }
    }
}
