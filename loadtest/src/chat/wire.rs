//! A server's bytes, read where they stand: no copy, and nothing is unmasked, for a server's frames are not masked
//! (RFC 6455 §5.1).
//!
//! ```text
//! bytes ──▶ Dialect::next ──▶ Piece::Lines (one message a line), Ping, Closed, …
//! ```

use bytes::BytesMut;
use freshet_chat_mesh::ws::{Opcode, encode};
use serde::{Deserialize, Serialize};

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// A hub's own protocol (docs/chat-protocol.md).
    Chat,
    /// A WebSocket that sends everybody every text as it is, perhaps several in a frame, one a line.
    Echo,
    /// The client protocol of NATS over TCP.
    Nats,
}

/// The subject of [`Dialect::Nats`].
const SUBJECT: &str = "bench";

/// The longest frame that is believed.
const LONGEST: usize = 4 << 20;

/// What stands at the start of what was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Messages, one a line.
    Lines(&'a [u8]),
    /// This must be answered by [`Dialect::pong`].
    Ping(&'a [u8]),
    /// The server closes.
    Closed,
    /// Nothing of interest.
    Other,
}

/// Why bytes were not understood.
pub type Bad = &'static str;

impl Dialect {
    /// The piece at the start of `input` and how long it is; `None` while it is not all there.
    ///
    /// # Errors
    /// Words for bytes that no server may send.
    pub fn next(self, input: &[u8]) -> Result<Option<(Piece<'_>, usize)>, Bad> {
        match self {
            Self::Chat | Self::Echo => frame(input),
            Self::Nats => nats(input),
        }
    }

    /// The answer to a ping.
    pub fn pong(self, payload: &[u8]) -> Vec<u8> {
        match self {
            Self::Chat | Self::Echo => client_frame(Opcode::Pong, payload),
            Self::Nats => b"PONG\r\n".to_vec(),
        }
    }

    /// A text to the server.
    pub fn text(self, text: &str) -> Vec<u8> {
        match self {
            Self::Chat | Self::Echo => client_frame(Opcode::Text, text.as_bytes()),
            Self::Nats => format!("PUB {SUBJECT} {}\r\n{text}\r\n", text.len()).into_bytes(),
        }
    }

    /// What a connection sends first.
    pub fn opening(self, host: &str, path: &str) -> Vec<u8> {
        match self {
            // The key of RFC 6455 §1.3: who measures does not need to be unpredictable.
            Self::Chat | Self::Echo => format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
            Self::Nats => format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {SUBJECT} 1\r\nPING\r\n"),
        }
        .into_bytes()
    }

    /// Where in `input` what answers the opening ends; `None` while it is not all there.
    ///
    /// # Errors
    /// Words for a refusal.
    pub fn opened(self, input: &[u8]) -> Result<Option<usize>, String> {
        let find = |pattern: &[u8]| input.windows(pattern.len()).position(|window| window == pattern);
        match self {
            Self::Chat | Self::Echo => match find(b"\r\n\r\n") {
                Some(end) if input.starts_with(b"HTTP/1.1 101") => Ok(Some(end + 4)),
                Some(_) => Err(format!("http_{}", String::from_utf8_lossy(input.get(9..12).unwrap_or_default()))),
                None if input.len() > 16 << 10 => Err("head_too_long".to_owned()),
                None => Ok(None),
            },
            Self::Nats => match find(b"-ERR") {
                Some(_) => Err("nats_err".to_owned()),
                None => Ok(find(b"PONG\r\n").map(|at| at + 6)),
            },
        }
    }
}

fn client_frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::masked(&mut out, opcode, true, [0x37, 0xfa, 0x21, 0x3d], payload);
    out.into()
}

/// An unfragmented, uncompressed frame of a server (RFC 6455 §5.2): nothing else was agreed on.
fn frame(input: &[u8]) -> Result<Option<(Piece<'_>, usize)>, Bad> {
    let &[first, second, ..] = input else { return Ok(None) };
    if second & 0x80 != 0 {
        return Err("masked frame");
    }
    let (len, head) = match second {
        126 => match input.get(2..4) {
            Some(&[a, b]) => (usize::from(u16::from_be_bytes([a, b])), 4),
            _ => return Ok(None),
        },
        127 => match input.get(2..10).map(<[u8; 8]>::try_from) {
            Some(Ok(eight)) => (usize::try_from(u64::from_be_bytes(eight)).unwrap_or(usize::MAX), 10),
            _ => return Ok(None),
        },
        len => (usize::from(len), 2),
    };
    if len > LONGEST {
        return Err("frame too long");
    }
    let Some(payload) = input.get(head..head + len) else { return Ok(None) };
    let piece = match first {
        0x81 | 0x82 => Piece::Lines(payload),
        0x88 => Piece::Closed,
        0x89 => Piece::Ping(payload),
        0x8a => Piece::Other,
        _ => return Err("unknown frame"),
    };
    Ok(Some((piece, head + len)))
}

/// `MSG subject sid length`, and the payload; or a line.
fn nats(input: &[u8]) -> Result<Option<(Piece<'_>, usize)>, Bad> {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return if input.len() > 16 << 10 { Err("line too long") } else { Ok(None) };
    };
    let (line, start) = (input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]), end + 1);
    if line.starts_with(b"MSG ") {
        let digits = line.rsplit(|byte| *byte == b' ').next().and_then(|digits| std::str::from_utf8(digits).ok());
        let len: usize = digits.and_then(|digits| digits.parse().ok()).ok_or("MSG without length")?;
        if len > LONGEST {
            return Err("message too long");
        }
        let Some(payload) = input.get(start..start + len) else { return Ok(None) };
        return Ok((input.len() >= start + len + 2).then_some((Piece::Lines(payload), start + len + 2)));
    }
    let piece = match line {
        b"PING" => Piece::Ping(b""),
        line if line.starts_with(b"-ERR") => Piece::Closed,
        _ => Piece::Other,
    };
    Ok(Some((piece, start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_where_they_stand_and_only_whole() {
        let long = "x".repeat(300);
        let bytes = [&encode::text("one\ntwo")[..], &encode::text(&long), &encode::ping(b"hi"), b"\x88\x00"].concat();
        let (mut at, mut pieces) = (0, Vec::new());
        while let Ok(Some((piece, len))) = Dialect::Chat.next(&bytes[at..]) {
            assert_eq!(Dialect::Chat.next(&bytes[at..at + len - 1]), Ok(None));
            pieces.push(piece);
            at += len;
        }
        let wanted = [Piece::Lines(b"one\ntwo"), Piece::Lines(long.as_bytes()), Piece::Ping(b"hi"), Piece::Closed];
        assert_eq!((at, pieces), (bytes.len(), Vec::from(wanted)));
    }

    #[test]
    fn what_was_not_agreed_on_is_refused() {
        for bad in [&b"\x01\x01x"[..], b"\xc1\x01x", b"\x81\x81\0\0\0\0x", b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(Dialect::Echo.next(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nats_sends_messages_between_lines() {
        let bytes = b"INFO {}\r\nMSG bench 1 5\r\nhel\r\n\r\nPING\r\n";
        let next = |at: usize| Dialect::Nats.next(&bytes[at..]);
        assert_eq!(next(0), Ok(Some((Piece::Other, 9))));
        assert_eq!(next(9), Ok(Some((Piece::Lines(b"hel\r\n"), 22))));
        assert_eq!(Dialect::Nats.next(&bytes[9..30]), Ok(None));
        assert_eq!(next(31), Ok(Some((Piece::Ping(b""), 6))));
        assert_eq!(Dialect::Nats.text("hi"), b"PUB bench 2\r\nhi\r\n");
    }

    #[test]
    fn an_opening_is_answered_or_refused() {
        let opened = |bytes: &[u8]| Dialect::Chat.opened(bytes);
        assert_eq!(opened(b"HTTP/1.1 101 x\r\nA: b\r\n\r\nrest"), Ok(Some(24)));
        assert_eq!(opened(b"HTTP/1.1 101 x\r\nA: b\r\n"), Ok(None));
        assert_eq!(opened(b"HTTP/1.1 404 x\r\n\r\n"), Err("http_404".to_owned()));
        assert_eq!(Dialect::Nats.opened(b"INFO {}\r\nPONG\r\n"), Ok(Some(15)));
    }
}
