//! Payload → frame. A server's frame is the same for everybody: write it once, send it to all.

use bytes::{Bytes, BytesMut};

use super::{
    close::CloseCode,
    frame::{FIN, MAX_CONTROL_BYTES, Opcode, write_head},
    mask::Mask,
};

/// Appends an unfragmented frame of a server: 2, 4 or 10 bytes of head and the payload.
///
/// A control frame's payload is cut after [`MAX_CONTROL_BYTES`].
pub fn frame(out: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
    let payload = fitting(opcode, payload);
    out.reserve(payload.len() + 10);
    write_head(out, FIN | opcode as u8, payload.len(), None);
    out.extend_from_slice(payload);
}

/// A text message of a server.
pub fn text(payload: &str) -> Bytes {
    whole(Opcode::Text, payload.as_bytes())
}

/// A ping of a server, at most 125 bytes of payload.
pub fn ping(payload: &[u8]) -> Bytes {
    whole(Opcode::Ping, payload)
}

/// The answer of a server to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    whole(Opcode::Pong, payload)
}

/// A Close frame of a server. A reason longer than 123 bytes is cut between characters.
pub fn close(code: CloseCode, reason: &str) -> Bytes {
    let mut body = code.0.to_be_bytes().to_vec();
    let end = (0..=reason.len().min(MAX_CONTROL_BYTES - 2)).rev().find(|at| reason.is_char_boundary(*at));
    body.extend_from_slice(&reason.as_bytes()[..end.unwrap_or(0)]);
    whole(Opcode::Close, &body)
}

/// Appends a frame of a client, masked with `key`; `fin` is false where a fragment follows.
pub fn masked(out: &mut BytesMut, opcode: Opcode, fin: bool, key: [u8; 4], payload: &[u8]) {
    let payload = fitting(opcode, payload);
    write_head(out, if fin { FIN } else { 0 } | opcode as u8, payload.len(), Some(key));
    let start = out.len();
    out.extend_from_slice(payload);
    Mask(key).apply(&mut out[start..]);
}

fn whole(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    frame(&mut out, opcode, payload);
    out.freeze()
}

fn fitting(opcode: Opcode, payload: &[u8]) -> &[u8] {
    let most = if opcode.is_control() { MAX_CONTROL_BYTES } else { usize::MAX };
    &payload[..payload.len().min(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_those_of_section_5_7() {
        assert_eq!(text("Hello")[..], *b"\x81\x05Hello");
        assert_eq!(ping(b"Hello")[..], *b"\x89\x05Hello");
        assert_eq!(pong(b"Hello")[..], *b"\x8a\x05Hello");
        let mut out = BytesMut::new();
        masked(&mut out, Opcode::Text, true, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out[..], *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        out.clear();
        frame(&mut out, Opcode::Binary, &[0; 256]);
        assert_eq!(out[..4], *b"\x82\x7e\x01\x00");
        out.clear();
        frame(&mut out, Opcode::Binary, &[0; 65536]);
        assert_eq!(out[..10], *b"\x82\x7f\0\0\0\0\0\x01\0\0");
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(close(CloseCode::NORMAL, "bye")[..], *b"\x88\x05\x03\xe8bye");
        let cut = close(CloseCode::NORMAL, &"é".repeat(80));
        assert_eq!(cut.len(), 2 + 2 + 122);
        assert!(std::str::from_utf8(&cut[4..]).is_ok());
    }

    #[test]
    fn a_long_ping_is_cut() {
        assert_eq!(ping(&[7; 200])[..2], *b"\x89\x7d");
    }
}
