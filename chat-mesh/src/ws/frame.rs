//! A frame's head (RFC 6455 §5.2).
//!
//! ```text
//!  0               1
//! |F|R|R|R| opcode|M| length 7    | + 2 or 8 bytes of length | + 4 bytes of masking key |
//! ```

use bytes::{BufMut, BytesMut};

use super::{decode::Violation, mask::Mask};

/// How long a control frame's payload may be (RFC 6455 §5.5).
pub const MAX_CONTROL_BYTES: usize = 125;

pub(super) const FIN: u8 = 0x80;
/// Of a message's first frame: the message is deflated (RFC 7692 §6).
pub(super) const RSV1: u8 = 0x40;
const RSV: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with the message begun.
    Continuation = 0,
    /// Begins a message of UTF-8 text.
    Text = 1,
    /// Begins a message of bytes.
    Binary = 2,
    /// Begins or answers the closing handshake.
    Close = 8,
    /// Asks for a pong with the same payload.
    Ping = 9,
    /// Answers a ping, or says that one is alive.
    Pong = 10,
}

impl Opcode {
    fn read(byte: u8) -> Option<Self> {
        Some(match byte & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Which end of a connection we are: a client masks what it sends, a server must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes masked frames alone.
    Server,
    /// Takes unmasked frames alone. For load tests and tests.
    Client,
}

/// A frame without its payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub fin: bool,
    pub deflated: bool,
    pub opcode: Opcode,
    pub mask: Mask,
    pub payload_bytes: u64,
}

impl Head {
    /// Reads the head at the start of `input`, and how long it is; `None` while it is not all there.
    ///
    /// # Errors
    /// As soon as the bytes that are there break a rule, whatever may follow.
    pub(super) fn read(input: &[u8], role: Role) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = input.first() else { return Ok(None) };
        let opcode = Opcode::read(first).ok_or(Violation::Opcode(first & 0x0f))?;
        let (fin, deflated) = (first & FIN != 0, first & RSV == RSV1);
        let first_of_data = matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & RSV != 0 && !(deflated && first_of_data) {
            return Err(Violation::Reserved);
        }
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControl);
        }
        let Some(&second) = input.get(1) else { return Ok(None) };
        if (second & MASKED != 0) != (role == Role::Server) {
            return Err(Violation::Masking);
        }
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_BYTES {
            return Err(Violation::LongControl);
        }
        let Some((payload_bytes, at)) = length(short, input)? else { return Ok(None) };
        let (mask, end) = match role {
            Role::Client => (Mask([0; 4]), at),
            Role::Server => match input.get(at..at + 4) {
                Some(&[a, b, c, d]) => (Mask([a, b, c, d]), at + 4),
                _ => return Ok(None),
            },
        };
        Ok(Some((Self { fin, deflated, opcode, mask, payload_bytes }, end)))
    }
}

/// The payload's length, and where in the head the length ends. "The minimal number of bytes MUST be used" (§5.2).
fn length(short: u8, input: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    let (len, end, least) = match short {
        126 => match input.get(2..4) {
            Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 4, 126),
            _ => return Ok(None),
        },
        127 => match input.get(2..10).map(<[u8; 8]>::try_from) {
            Some(Ok(eight)) => (u64::from_be_bytes(eight), 10, 1 << 16),
            _ => return Ok(None),
        },
        short => (u64::from(short), 2, 0),
    };
    if len < least || len > i64::MAX as u64 {
        return Err(Violation::Length);
    }
    Ok(Some((len, end)))
}

/// Writes a head; `first` is the first byte, `mask` a client's key.
pub(super) fn write_head(out: &mut BytesMut, first: u8, payload_bytes: usize, mask: Option<[u8; 4]>) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    out.put_u8(first);
    match payload_bytes {
        0..=125 => out.put_u8(masked | payload_bytes as u8),
        126..=0xffff => {
            out.put_u8(masked | 126);
            out.put_u16(payload_bytes as u16);
        }
        _ => {
            out.put_u8(masked | 127);
            out.put_u64(payload_bytes as u64);
        }
    }
    if let Some(key) = mask {
        out.put_slice(&key);
    }
}
