//! Sections 7, 9, 10, 12 and 13: closing, limits, autofragmentation, and compression in spirit.

use freshet_chat_mesh::ws::{Decoder, Deflater, Received, Role, Violation};

use super::*;

#[test]
fn section_7_1_what_follows_a_close_is_not_heard() {
    let clean = || vec![Seen::Clean(1000)];
    let bye = || close(1000, b"");
    case("7.1.1", vec![text("Hello World!")], vec![said("Hello World!")]).closed().run();
    case("7.1.2", vec![bye(), bye()], clean()).run();
    case("7.1.3", vec![bye(), ping(b"")], clean()).run();
    case("7.1.4", vec![bye(), text("Hello World!")], clean()).run();
    case("7.1.5", vec![begin("fragment1"), bye(), end("fragment2")], clean()).run();
    let large = "BAsd7&jh23".repeat(26_214);
    let frames = vec![text(&large), bye(), ping(b"")];
    case("7.1.6", frames, vec![said(&large), Seen::Clean(1000)]).run();
}

#[test]
fn section_7_3_and_7_5_the_body_of_a_close() {
    let most = [b'*'; 123];
    case("7.3.1", vec![frame(Opcode::Close, true, b"")], vec![Seen::Clean(0)]).run();
    case("7.3.2", vec![frame(Opcode::Close, true, b"a")], vec![failed()]).run();
    case("7.3.3", vec![close(1000, b"")], vec![Seen::Clean(1000)]).run();
    case("7.3.4", vec![close(1000, b"Hello World!")], vec![Seen::Clean(1000)]).run();
    case("7.3.5", vec![close(1000, &most)], vec![Seen::Clean(1000)]).run();
    let long = raw(0x88, &[&b"\x03\xe8"[..], &[b'*'; 124]].concat());
    case("7.3.6", vec![long], vec![failed()]).run();
    let reason = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited";
    case("7.5.1", vec![close(1000, reason)], vec![Seen::Failed(1007)]).run();
}

#[test]
fn section_7_7_to_7_13_codes() {
    let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
    for (n, code) in valid.into_iter().enumerate() {
        case(format!("7.7.{}", n + 1), vec![close(code, b"")], vec![Seen::Clean(code)]).run();
    }
    for (n, code) in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].into_iter().enumerate() {
        case(format!("7.9.{}", n + 1), vec![close(code, b"")], vec![failed()]).run();
    }
    case("7.13.1", vec![close(5000, b"")], vec![failed()]).run();
    case("7.13.2", vec![close(65535, b"")], vec![failed()]).run();
}

/// Payload of `len` bytes in fragments of `piece`.
fn fragments(opcode: Opcode, payload: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let count = payload.chunks(piece).len();
    let kind = |n| if n == 0 { opcode } else { Opcode::Continuation };
    payload.chunks(piece).enumerate().map(|(n, part)| frame(kind(n), n + 1 == count, part)).collect()
}

#[test]
fn section_9_1_to_9_4_large_messages_and_many_fragments() {
    for (n, len) in [(1, 64 << 10), (2, 256 << 10), (3, 1 << 20)] {
        let (stars, bytes) = ("*".repeat(len), vec![0xfe; len]);
        case(format!("9.1.{n}"), vec![text(&stars)], vec![said(&stars)]).closed().run();
        case(format!("9.2.{n}"), vec![binary(&bytes)], vec![Seen::Binary(bytes)]).closed().run();
    }
    for (n, piece) in [64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20].into_iter().enumerate() {
        let (stars, bytes) = ("*".repeat(1 << 20), vec![0xfe; 1 << 20]);
        let texts = fragments(Opcode::Text, stars.as_bytes(), piece);
        case(format!("9.3.{}", n + 1), texts, vec![said(&stars)]).closed().run();
        let binaries = fragments(Opcode::Binary, &bytes, piece);
        case(format!("9.4.{}", n + 1), binaries, vec![Seen::Binary(bytes)]).closed().run();
    }
}

#[test]
fn section_9_1_4_a_byte_more_than_is_taken_is_refused_by_its_head() {
    let too_big = || vec![Seen::Failed(1009)];
    let mut head = text("*".repeat((1 << 20) + 1));
    head.truncate(14);
    case("9.1.4", vec![head], too_big()).run();
    let mut frames = fragments(Opcode::Binary, &vec![0; 1 << 20], 1 << 16);
    frames.pop();
    frames.push(more(vec![0; 1 << 16]));
    frames.push(end("*"));
    case("9.4.9", frames, too_big()).run();
    let mut huge = vec![0x82, 0xff];
    huge.extend_from_slice(&(i64::MAX as u64).to_be_bytes());
    huge.extend_from_slice(&KEY);
    case("9.2.6", vec![huge], too_big()).run();
}

#[test]
fn section_9_5_to_9_8_small_pieces_and_many_messages() {
    for (n, piece) in [64, 128, 256, 512, 1024, 2048].into_iter().enumerate() {
        let (stars, bytes) = ("*".repeat(256 << 10), vec![0xfe; 256 << 10]);
        case(format!("9.5.{}", n + 1), vec![text(&stars)], vec![said(&stars)]).closed().cut(Cut::Bytes(piece)).run();
        let want = vec![Seen::Binary(bytes.clone())];
        case(format!("9.6.{}", n + 1), vec![binary(&bytes)], want).closed().cut(Cut::Bytes(piece)).run();
    }
    for (n, len) in [0, 16, 64, 256, 1024, 4096].into_iter().enumerate() {
        let (stars, bytes) = ("*".repeat(len), vec![0xfe; len]);
        case(format!("9.7.{}", n + 1), vec![text(&stars); 50], vec![said(&stars); 50]).closed().run();
        let want = vec![Seen::Binary(bytes.clone()); 50];
        case(format!("9.8.{}", n + 1), vec![binary(&bytes); 50], want).closed().run();
    }
}

#[test]
fn section_10_fragments_of_1300_bytes() {
    let stars = "*".repeat(65536);
    case("10.1.1", fragments(Opcode::Text, stars.as_bytes(), 1300), vec![said(&stars)]).closed().run();
}

/// A message as a client would send it compressed: a server's frame, masked.
fn deflated(payload: &[u8], opcode: Opcode) -> Vec<u8> {
    let mut out = BytesMut::new();
    Deflater::new(6).frame(&mut out, opcode, payload);
    let (head, compressed) = (
        match out[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        },
        out[0] & 0x40,
    );
    raw(0x80 | compressed | opcode as u8, &out[head..])
}

fn chat(len: usize) -> String {
    (0..)
        .flat_map(|n: u64| format!("{{\"n\":{n},\"text\":\"hello {}\"}}\n", n * n).into_bytes())
        .map(char::from)
        .take(len)
        .collect()
}

#[test]
fn section_12_messages_of_many_sizes_come_through_compressed() {
    let sizes = [16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131_072];
    for (n, len) in sizes.into_iter().enumerate() {
        let message = chat(len);
        let mut case = case(
            format!("12.1.{}", n + 1),
            vec![deflated(message.as_bytes(), Opcode::Text); 20],
            vec![said(&message); 20],
        )
        .closed();
        for cut in [Cut::Whole, Cut::Frames, Cut::Bytes(777)] {
            case.cut = cut;
            assert!(case.play(Peer::new(LIMITS, true)) == case.want, "case {}", case.number);
        }
        // And back: the frame that the server shares is read by a client that agreed on deflate.
        let (mut frame, mut client) = (BytesMut::new(), Decoder::new(Role::Client, LIMITS, true));
        Deflater::new(1).frame(&mut frame, Opcode::Binary, message.as_bytes());
        assert_eq!(client.next(&mut frame), Ok(Some(Received::Binary(message.into_bytes()))));
    }
}

#[test]
fn section_13_compression_in_fragments_with_a_ping_between() {
    let message = chat(3000);
    let whole = deflated(message.as_bytes(), Opcode::Text);
    let body: Vec<u8> = whole[8..].iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let (first, rest) = body.split_at(100);
    let frames = vec![raw(0x41, first), ping(b"p"), end(rest)];
    let fine = case("13.7", frames, vec![Seen::Pong(b"p".to_vec()), said(&message)]).closed();
    assert!(fine.play(Peer::new(LIMITS, true)) == fine.want);
    assert_eq!(fine.play(Peer::new(LIMITS, false)), vec![failed()], "without an agreement the bit is reserved");

    let marked = vec![raw(0x41, first), raw(0xc0, rest)];
    let bad = case("13.7, the bit on a continuation", marked, vec![failed()]);
    assert_eq!(bad.play(Peer::new(LIMITS, true)), bad.want);
}

#[test]
fn what_does_not_inflate_to_text_or_not_within_the_limit_fails() {
    let small = Limits { message_bytes: 1000 };
    let end_of = |frame: Vec<u8>| {
        let mut bytes = BytesMut::from(&frame[..]);
        Decoder::new(Role::Server, small, true).next(&mut bytes).expect_err("refused")
    };
    assert_eq!(end_of(deflated(chat(1001).as_bytes(), Opcode::Text)), Violation::TooBig);
    assert_eq!(end_of(deflated(&[0xff; 500], Opcode::Text)), Violation::NotUtf8);
    assert_eq!(end_of(raw(0xc1, b"\x07\x07\x07")), Violation::NotDeflate);
}
