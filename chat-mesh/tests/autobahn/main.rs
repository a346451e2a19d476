//! The cases of the Autobahn test suite, by their numbers, against the codec as an echo server.
//!
//! A case is what the suite's client sends and what it wants to see. Sizes are bounded: the suite's megabytes are
//! a mebibyte here, its thousands of messages a few dozen. Sections 1 to 7, 9, 10, and 12 and 13 in spirit: the latter
//! test what is negotiated, and ours is one answer (`ws::handshake`, `ws::extension`).

mod data;
mod framing;
mod limits;
mod utf8;

use bytes::BytesMut;
use freshet_chat_mesh::ws::{CloseCode, Event, Limits, Opcode, Peer, encode};

/// What the echo server takes here.
const LIMITS: Limits = Limits { message_bytes: 1 << 20 };

/// A case: its number, the frames sent one after another, and how they are cut on the wire.
struct Case {
    number: String,
    frames: Vec<Vec<u8>>,
    cut: Cut,
    want: Vec<Seen>,
}

#[derive(Clone, Copy)]
enum Cut {
    /// All at once.
    Whole,
    /// A frame at a time.
    Frames,
    /// So many bytes at a time.
    Bytes(usize),
}

/// What the client sees, in order. Messages are echoed; the end is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    /// The client closed, or sent a Close without code (0), and it was echoed.
    Clean(u16),
    /// The server failed the connection.
    Failed(u16),
}

fn case(number: impl ToString, frames: Vec<Vec<u8>>, want: Vec<Seen>) -> Case {
    Case { number: number.to_string(), frames, cut: Cut::Whole, want }
}

impl Case {
    fn cut(self, cut: Cut) -> Self {
        Self { cut, ..self }
    }

    /// The client closes with 1000 when it is done, and sees that echoed.
    fn closed(mut self) -> Self {
        self.frames.push(close(1000, b""));
        self.want.push(Seen::Clean(1000));
        self
    }

    fn run(&self) {
        let seen = self.play(Peer::new(LIMITS, false));
        assert!(seen == self.want, "case {}: saw {}, wanted {}", self.number, brief(&seen), brief(&self.want));
    }

    fn play(&self, mut peer: Peer) -> Vec<Seen> {
        let wire = self.frames.concat();
        let pieces: Vec<&[u8]> = match self.cut {
            Cut::Whole => vec![&wire],
            Cut::Frames => self.frames.iter().map(Vec::as_slice).collect(),
            Cut::Bytes(n) => wire.chunks(n).collect(),
        };
        let (mut seen, mut input) = (Vec::new(), BytesMut::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(event) = peer.receive(&mut input) {
                seen.extend(echo(event));
            }
            assert!(input.len() < 139, "case {}: {} bytes are left unread", self.number, input.len());
        }
        seen
    }
}

/// What the client sees of an event.
fn echo(event: Event) -> Option<Seen> {
    Some(match event {
        Event::Text(text) => Seen::Text(text),
        Event::Binary(bytes) => Seen::Binary(bytes),
        Event::Pong(_) => return None,
        Event::Reply(frame) => Seen::Pong(frame[2..].to_vec()),
        Event::Closed(closed) => {
            let reply = closed.reply.expect("the client did not wait for our Close");
            let code = reply.get(2..4).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
            if closed.violation.is_some() { Seen::Failed(code) } else { Seen::Clean(code) }
        }
    })
}

/// Long messages in short.
fn brief(seen: &[Seen]) -> String {
    let all: String = format!("{seen:?}").chars().take(300).collect();
    format!("{all}… ({} in all)", seen.len())
}

const KEY: [u8; 4] = [0xa1, 0x02, 0xf3, 0x44];

fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode::masked(&mut out, opcode, fin, KEY, payload);
    out.to_vec()
}

fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(Opcode::Text, true, payload.as_ref())
}

fn binary(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Binary, true, payload)
}

fn ping(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Ping, true, payload)
}

fn pong(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Pong, true, payload)
}

/// A first fragment of text.
fn begin(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(Opcode::Text, false, payload.as_ref())
}

/// A fragment in the middle.
fn more(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(Opcode::Continuation, false, payload.as_ref())
}

/// The last fragment.
fn end(payload: impl AsRef<[u8]>) -> Vec<u8> {
    frame(Opcode::Continuation, true, payload.as_ref())
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(Opcode::Close, true, &[&code.to_be_bytes(), reason].concat())
}

/// A frame with any first byte: reserved bits, reserved opcodes, fragmented control frames.
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = text(payload);
    out[0] = first;
    out
}

fn said(text: impl ToString) -> Seen {
    Seen::Text(text.to_string())
}

fn failed() -> Seen {
    Seen::Failed(CloseCode::PROTOCOL.0)
}
