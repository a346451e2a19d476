//! Decoding undoes encoding, wherever the bytes are cut and however messages are fragmented.

use bytes::BytesMut;
use freshet_chat_mesh::ws::{Decoder, Limits, Opcode, Received, Role, encode};
use proptest::prelude::*;

/// A message, the sizes of its fragments, and a ping before each of them if there is one.
#[derive(Debug, Clone)]
struct Sent {
    message: Received,
    pieces: Vec<usize>,
    ping: Option<Vec<u8>>,
    key: [u8; 4],
}

fn sent() -> impl Strategy<Value = Sent> {
    let message = prop_oneof![
        "\\PC{0,300}".prop_map(Received::Text),
        prop::collection::vec(any::<u8>(), 0..70_000).prop_map(Received::Binary),
    ];
    let ping = prop::option::of(prop::collection::vec(any::<u8>(), 0..126));
    (message, prop::collection::vec(0_usize..2000, 0..5), ping, any::<[u8; 4]>())
        .prop_map(|(message, pieces, ping, key)| Sent { message, pieces, ping, key })
}

/// Writes it as a client; says what a server must hear.
fn write(sent: &Sent, wire: &mut BytesMut, heard: &mut Vec<Received>) {
    let (mut opcode, mut rest) = match &sent.message {
        Received::Text(text) => (Opcode::Text, text.as_bytes()),
        Received::Binary(bytes) => (Opcode::Binary, bytes.as_slice()),
        other => panic!("{other:?} is not sent here"),
    };
    for piece in &sent.pieces {
        let (now, after) = rest.split_at(rest.len().min(*piece));
        encode::masked(wire, opcode, false, sent.key, now);
        (opcode, rest) = (Opcode::Continuation, after);
        if let Some(ping) = &sent.ping {
            encode::masked(wire, Opcode::Ping, true, sent.key, ping);
            heard.push(Received::Ping(ping.clone()));
        }
    }
    encode::masked(wire, opcode, true, sent.key, rest);
    heard.push(sent.message.clone());
}

fn decode(wire: &[u8], cuts: &[usize], mut decoder: Decoder) -> Vec<Received> {
    let (mut input, mut heard, mut rest) = (BytesMut::new(), Vec::new(), wire);
    for cut in cuts.iter().copied().chain([usize::MAX]) {
        let (now, after) = rest.split_at(rest.len().min(cut));
        input.extend_from_slice(now);
        rest = after;
        while let Some(received) = decoder.next(&mut input).expect("valid frames") {
            heard.push(received);
        }
    }
    assert!(input.is_empty());
    heard
}

proptest! {
    #[test]
    fn a_server_hears_what_a_client_wrote(all in prop::collection::vec(sent(), 0..5), cuts in prop::collection::vec(0_usize..5000, 0..60)) {
        let (mut wire, mut expected) = (BytesMut::new(), Vec::new());
        for sent in &all {
            write(sent, &mut wire, &mut expected);
        }
        let limits = Limits { message_bytes: 100_000 };
        prop_assert_eq!(decode(&wire, &cuts, Decoder::new(Role::Server, limits, false)), expected);
    }

    #[test]
    fn a_client_hears_what_a_server_wrote(texts in prop::collection::vec("\\PC{0,200}", 0..5), cuts in prop::collection::vec(0_usize..300, 0..30)) {
        let mut wire = BytesMut::new();
        for text in &texts {
            wire.extend_from_slice(&encode::text(text));
        }
        let expected: Vec<_> = texts.into_iter().map(Received::Text).collect();
        prop_assert_eq!(decode(&wire, &cuts, Decoder::new(Role::Client, Limits::default(), false)), expected);
    }

    #[test]
    fn any_bytes_end_alike_however_they_are_cut(bytes in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(0_usize..20, 0..60)) {
        let run = |cuts: &[usize]| {
            let (mut decoder, mut input, mut heard) = (Decoder::new(Role::Server, Limits::default(), true), BytesMut::new(), Vec::new());
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().copied().chain([usize::MAX]) {
                let (now, after) = rest.split_at(rest.len().min(cut));
                input.extend_from_slice(now);
                rest = after;
                loop {
                    match decoder.next(&mut input) {
                        Ok(None) => break,
                        Ok(Some(received)) => heard.push(Ok(received)),
                        Err(violation) => heard.push(Err(violation)),
                    }
                }
            }
            heard
        };
        prop_assert_eq!(run(&[]), run(&cuts));
    }
}
