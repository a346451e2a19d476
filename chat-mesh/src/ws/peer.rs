//! One end of a connection: what is heard, and what the protocol itself answers to it.
//!
//! ```text
//! bytes ──▶ Decoder ──▶ text, binary, pong ──▶ Event
//!                   └─▶ ping ──▶ Event::Reply(pong)
//!                   └─▶ close, violation ──▶ Event::Closed { reply: the closing frame that is owed }
//! ```
//! The closing handshake (RFC 6455 §5.5.1, §7.1): each end sends one Close frame; who got the other's answers with the
//! same code. Whoever drives this sends `reply`, ends its half of the connection, and gives the other end a moment to
//! do the same before it drops the socket.

use bytes::{Bytes, BytesMut};

use super::{
    close::{Close, CloseCode},
    decode::{Decoder, Limits, Received, Violation},
    encode,
    frame::Role,
};

/// What happened.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A message of text.
    Text(String),
    /// A message of bytes.
    Binary(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A frame that must be sent: a pong.
    Reply(Bytes),
    /// The end; nothing follows.
    Closed(Closed),
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    /// What the other end said, if it closed.
    pub close: Option<Close>,
    /// What it did wrong, if we closed for that.
    pub violation: Option<Violation>,
    /// The Close frame that must still be sent; `None` where ours went before.
    pub reply: Option<Bytes>,
}

/// A server's end of a connection.
#[derive(Debug)]
pub struct Peer {
    decoder: Decoder,
    /// Our Close frame was handed out.
    closing: bool,
}

impl Peer {
    /// A connection after its handshake.
    pub fn new(limits: Limits, deflate: bool) -> Self {
        Self { decoder: Decoder::new(Role::Server, limits, deflate), closing: false }
    }

    /// Takes what comes next from `input`; call until it says `None`, then read on.
    ///
    /// One call hands out one event, so a caller that stops calling is a caller that takes no more: a flood of pings
    /// makes no more replies than it is asked for. After [`Peer::close`] only the end is told.
    pub fn receive(&mut self, input: &mut BytesMut) -> Option<Event> {
        loop {
            let received = match self.decoder.next(input) {
                Ok(received) => received?,
                Err(violation) => {
                    let reply = self.close(violation.code(), &violation.to_string());
                    return Some(Event::Closed(Closed { close: None, violation: Some(violation), reply }));
                }
            };
            let event = match received {
                Received::Close(close) => {
                    let code = close.as_ref().map(|close| close.code);
                    let reply = self.answer(code);
                    return Some(Event::Closed(Closed { close, violation: None, reply }));
                }
                Received::Text(text) => Event::Text(text),
                Received::Binary(bytes) => Event::Binary(bytes),
                Received::Ping(payload) => Event::Reply(encode::pong(&payload)),
                Received::Pong(payload) => Event::Pong(payload),
            };
            if !self.closing {
                return Some(event);
            }
        }
    }

    /// The Close frame to send for closing from our side; `None` where one went before.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Option<Bytes> {
        (!std::mem::replace(&mut self.closing, true)).then(|| encode::close(code, reason))
    }

    /// "The endpoint typically echos the status code it received" (§5.5.1); a Close without one is echoed without one.
    fn answer(&mut self, code: Option<CloseCode>) -> Option<Bytes> {
        match code {
            Some(code) => self.close(code, ""),
            None => (!std::mem::replace(&mut self.closing, true)).then(|| Bytes::from_static(b"\x88\x00")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ws::Opcode;

    fn sent(frames: &[(Opcode, &[u8])]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for (opcode, payload) in frames {
            encode::masked(&mut bytes, *opcode, true, [1, 2, 3, 4], payload);
        }
        bytes
    }

    fn peer() -> Peer {
        Peer::new(Limits::default(), false)
    }

    #[test]
    fn a_ping_is_answered_and_a_close_echoed() {
        let mut bytes = sent(&[
            (Opcode::Ping, b"hi"),
            (Opcode::Text, b"x"),
            (Opcode::Close, b"\x03\xe9bye"),
            (Opcode::Ping, b"late"),
        ]);
        let mut peer = peer();
        assert_eq!(peer.receive(&mut bytes), Some(Event::Reply(Bytes::from_static(b"\x8a\x02hi"))));
        assert_eq!(peer.receive(&mut bytes), Some(Event::Text("x".into())));
        assert_eq!(
            peer.receive(&mut bytes),
            Some(Event::Closed(Closed {
                close: Some(Close { code: CloseCode::GOING_AWAY, reason: "bye".into() }),
                violation: None,
                reply: Some(Bytes::from_static(b"\x88\x02\x03\xe9")),
            }))
        );
        assert_eq!(peer.receive(&mut bytes), None);
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_close_of_ours_is_sent_once_and_waits_for_theirs() {
        let mut peer = peer();
        assert!(peer.close(CloseCode::RESTART, "restart").is_some());
        assert!(peer.close(CloseCode::NORMAL, "").is_none());
        let mut bytes = sent(&[(Opcode::Text, b"unheard"), (Opcode::Ping, b""), (Opcode::Close, b"")]);
        assert_eq!(peer.receive(&mut bytes), Some(Event::Closed(Closed { close: None, violation: None, reply: None })));
    }

    #[test]
    fn a_violation_closes_with_its_code_and_words() {
        let mut bytes = sent(&[(Opcode::Text, b"\xff")]);
        let Some(Event::Closed(closed)) = peer().receive(&mut bytes) else { panic!("not closed") };
        assert_eq!(closed.violation, Some(Violation::NotUtf8));
        assert_eq!(closed.reply, Some(Bytes::from_static(b"\x88\x13\x03\xeftext is not UTF-8")));
    }
}
