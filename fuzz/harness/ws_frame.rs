//! What is done with an input, by the fuzz target and by the test that replays its corpus.

use bytes::BytesMut;
use freshet_chat_mesh::ws::{Closed, Event, Limits, Peer};

/// What a message may be here: small, so that inputs reach the limit.
const LIMITS: Limits = Limits { message_bytes: 1024 };

/// Reads a client's frames twice, whole and in pieces: the first byte says how large pieces are, and whether messages may
/// be deflated.
pub fn ws_frame(input: &[u8]) {
    let Some((way, wire)) = input.split_first() else { return };
    let deflate = way & 0x80 != 0;
    let piece = usize::from(way & 0x7f).max(1);
    let whole = events(wire.chunks(wire.len().max(1)), deflate);
    assert_eq!(whole, events(wire.chunks(piece), deflate));
    for event in &whole {
        match event {
            Event::Text(text) => assert!(text.len() <= LIMITS.message_bytes),
            Event::Binary(bytes) => assert!(bytes.len() <= LIMITS.message_bytes),
            Event::Pong(payload) => assert!(payload.len() <= 125),
            Event::Reply(pong) => assert!(pong[0] == 0x8a && usize::from(pong[1]) == pong.len() - 2),
            Event::Closed(Closed { reply, .. }) => {
                let close = reply.as_ref().expect("nothing was closed before");
                assert!(close[0] == 0x88 && usize::from(close[1]) == close.len() - 2 && close.len() <= 127);
            }
        }
    }
}

fn events<'a>(pieces: impl Iterator<Item = &'a [u8]>, deflate: bool) -> Vec<Event> {
    let (mut peer, mut input, mut events) = (Peer::new(LIMITS, deflate), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(event) = peer.receive(&mut input) {
            events.push(event);
        }
        assert!(input.len() < 139, "a head or a control frame is left at most");
    }
    let ends = events.iter().filter(|event| matches!(event, Event::Closed(_))).count();
    assert!(ends == 0 || ends == 1 && matches!(events.last(), Some(Event::Closed(_))), "the end is the last");
    events
}
