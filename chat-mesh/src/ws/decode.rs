//! Bytes → messages and control frames, as they come.
//!
//! ```text
//! input ──▶ Head::read ──▶ admit (order, size) ──▶ payload: unmask, check UTF-8, gather ──▶ Received
//! ```
//! What can be refused is refused at the first byte that shows it: a reserved bit in a head, a length that is too
//! large before any payload, the byte that makes text invalid ("fail fast", Autobahn 6.3 and 6.4). Payload leaves
//! `input` as it comes, so the reader's buffer holds at most a head or a control frame between two calls.

use bytes::{Buf, BytesMut};

use super::{
    close::{Close, CloseCode},
    deflate::{self, InflateError},
    frame::{Head, Opcode, Role},
    mask::Mask,
};

/// How large a client's message may be unless it is said otherwise: 500 characters, each as two escapes of six bytes in
/// JSON, with an access token beside them, are below 10 KiB.
pub const MAX_MESSAGE_BYTES: usize = 16 << 10;

/// What a decoder takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one message, all its fragments together, as it comes and also after inflation. More: 1009.
    pub message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_bytes: MAX_MESSAGE_BYTES }
    }
}

/// What the other end sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A whole message of text.
    Text(String),
    /// A whole message of bytes.
    Binary(Vec<u8>),
    /// Wants a pong with this payload, at most 125 bytes.
    Ping(Vec<u8>),
    /// Answers a ping, or none.
    Pong(Vec<u8>),
    /// The last that is heard: whatever follows is ignored (RFC 6455 §5.5.1).
    Close(Option<Close>),
}

/// A rule that the other end broke. Its doing; the connection is closed with [`Violation::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame of an opcode that is not defined (§5.2).
    #[error("opcode {0} is reserved")]
    Opcode(u8),
    /// A reserved bit without an extension that gives it a meaning (§5.2), or on a frame that may not have it.
    #[error("a reserved bit is set")]
    Reserved,
    /// A client's frame without mask, or a server's with one (§5.1).
    #[error("frames of a client must be masked, those of a server must not")]
    Masking,
    /// A length in more bytes than it needs, or above 2⁶³ (§5.2).
    #[error("a length is not in its shortest form")]
    Length,
    /// A control frame in fragments (§5.5).
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame of more than 125 bytes (§5.5).
    #[error("a control frame is longer than 125 bytes")]
    LongControl,
    /// A continuation while no message is under way (§5.4).
    #[error("a continuation of nothing")]
    NothingToContinue,
    /// A new message within another (§5.4).
    #[error("a new message before the last one ended")]
    Interleaved,
    /// A Close frame of one byte (§5.5.1).
    #[error("a Close frame of one byte")]
    CloseBody,
    /// A Close frame with a code that may not be sent (§7.4.1).
    #[error("close code {0} may not be sent")]
    CloseCode(u16),
    /// Text, or a reason to close, that is not UTF-8 (§8.1).
    #[error("text is not UTF-8")]
    NotUtf8,
    /// A compressed message that does not inflate (RFC 7692 §7.2.2).
    #[error("a message does not inflate")]
    NotDeflate,
    /// A message above [`Limits::message_bytes`]; a compressed one, once inflated.
    #[error("a message is too large")]
    TooBig,
}

impl Violation {
    /// What the connection is closed with: 1002, 1007 or 1009.
    pub fn code(self) -> CloseCode {
        match self {
            Self::NotUtf8 | Self::NotDeflate => CloseCode::INVALID,
            Self::TooBig => CloseCode::TOO_BIG,
            _ => CloseCode::PROTOCOL,
        }
    }
}

/// Reads one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limits: Limits,
    /// Whether permessage-deflate was agreed on.
    deflate: bool,
    /// The data frame whose payload is under way.
    frame: Option<Frame>,
    /// The message whose last frame has not come.
    message: Option<Message>,
    /// A Close frame or a violation came: nothing is heard any more.
    over: bool,
}

#[derive(Debug)]
struct Frame {
    mask: Mask,
    left: usize,
    fin: bool,
}

#[derive(Debug)]
struct Message {
    text: bool,
    deflated: bool,
    bytes: Vec<u8>,
    /// Up to where `bytes` is known to be UTF-8: always a boundary between characters.
    checked: usize,
}

impl Decoder {
    /// A decoder at the start of a connection. `deflate`: permessage-deflate was agreed on, without context takeover.
    pub fn new(role: Role, limits: Limits, deflate: bool) -> Self {
        Self { role, limits, deflate, frame: None, message: None, over: false }
    }

    /// Takes what comes next from the start of `input`; `None` when more bytes are needed.
    ///
    /// Call until it says `None`: then `input` is empty, or holds the start of a head or of a control frame, at most
    /// 138 bytes.
    ///
    /// # Errors
    /// See [`Violation`]. Nothing is heard afterwards; `input` is emptied.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Received>, Violation> {
        if self.over {
            input.clear();
            return Ok(None);
        }
        let result = self.advance(input);
        if matches!(result, Err(_) | Ok(Some(Received::Close(_)))) {
            *self = Self { over: true, ..Self::new(self.role, self.limits, self.deflate) };
            input.clear();
        }
        result
    }

    fn advance(&mut self, input: &mut BytesMut) -> Result<Option<Received>, Violation> {
        loop {
            if let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) {
                message.gather(frame, input)?;
                if frame.left > 0 {
                    return Ok(None);
                }
                let fin = frame.fin;
                self.frame = None;
                if fin && let Some(message) = self.message.take() {
                    return message.finish(self.limits).map(Some);
                }
            }
            let Some((head, head_bytes)) = Head::read(input, self.role)? else { return Ok(None) };
            if head.opcode.is_control() {
                let payload_bytes = head.payload_bytes as usize; // at most 125
                if input.len() < head_bytes + payload_bytes {
                    return Ok(None);
                }
                input.advance(head_bytes);
                return control(head, input.split_to(payload_bytes).to_vec()).map(Some);
            }
            let left = self.admit(&head)?;
            input.advance(head_bytes);
            self.frame = Some(Frame { mask: head.mask, left, fin: head.fin });
        }
    }

    /// Whether a data frame may come now, and be that long; how long it is.
    fn admit(&mut self, head: &Head) -> Result<usize, Violation> {
        if head.deflated && !self.deflate {
            return Err(Violation::Reserved);
        }
        let before = match (&self.message, head.opcode) {
            (None, Opcode::Continuation) => return Err(Violation::NothingToContinue),
            (None, _) => 0,
            (Some(message), Opcode::Continuation) => message.bytes.len(),
            (Some(_), _) => return Err(Violation::Interleaved),
        };
        let left = usize::try_from(head.payload_bytes).unwrap_or(usize::MAX);
        if left > self.limits.message_bytes - before {
            return Err(Violation::TooBig);
        }
        let text = head.opcode == Opcode::Text;
        self.message.get_or_insert(Message { text, deflated: head.deflated, bytes: Vec::new(), checked: 0 });
        Ok(left)
    }
}

impl Message {
    /// Moves what is there of the frame's payload from `input` into the message.
    fn gather(&mut self, frame: &mut Frame, input: &mut BytesMut) -> Result<(), Violation> {
        let start = self.bytes.len();
        let taken = frame.left.min(input.len());
        self.bytes.extend_from_slice(&input[..taken]);
        frame.mask.apply(&mut self.bytes[start..]);
        input.advance(taken);
        frame.left -= taken;
        if self.text && !self.deflated { self.check() } else { Ok(()) }
    }

    /// Refuses text from the byte on that no continuation makes valid; a character that is cut is left for later.
    fn check(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }

    fn finish(mut self, limits: Limits) -> Result<Received, Violation> {
        if self.deflated {
            self.bytes = deflate::inflate(&self.bytes, limits.message_bytes).map_err(|error| match error {
                InflateError::Corrupt => Violation::NotDeflate,
                InflateError::TooBig => Violation::TooBig,
            })?;
        }
        if self.text {
            String::from_utf8(self.bytes).map(Received::Text).map_err(|_| Violation::NotUtf8)
        } else {
            Ok(Received::Binary(self.bytes))
        }
    }
}

fn control(head: Head, mut payload: Vec<u8>) -> Result<Received, Violation> {
    let mut mask = head.mask;
    mask.apply(&mut payload);
    Ok(match head.opcode {
        Opcode::Ping => Received::Ping(payload),
        Opcode::Pong => Received::Pong(payload),
        _ => Received::Close(Close::read(&payload)?),
    })
}
