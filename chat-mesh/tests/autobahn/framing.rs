//! Sections 1 to 5: framing, pings and pongs, reserved bits, opcodes, fragmentation.

use super::*;

fn run(cases: Vec<Case>) {
    cases.iter().for_each(Case::run);
}

#[test]
fn section_1_framing() {
    let sizes =
        [(1, 0, 0), (2, 125, 0), (3, 126, 0), (4, 127, 0), (5, 128, 0), (6, 65535, 0), (7, 65536, 0), (8, 65536, 997)];
    for (n, len, chop) in sizes {
        let cut = if chop == 0 { Cut::Whole } else { Cut::Bytes(chop) };
        let stars = "*".repeat(len);
        case(format!("1.1.{n}"), vec![text(&stars)], vec![said(&stars)]).closed().cut(cut).run();
        let bytes = vec![0xfe; len];
        case(format!("1.2.{n}"), vec![binary(&bytes)], vec![Seen::Binary(bytes)]).closed().cut(cut).run();
    }
}

#[test]
fn section_2_pings_and_pongs() {
    let most = vec![0xfe; 125];
    let ten: Vec<_> = (0..10).map(|n| ping(format!("payload-{n}").as_bytes())).collect();
    let answers: Vec<_> = (0..10).map(|n| Seen::Pong(format!("payload-{n}").into_bytes())).collect();
    run(vec![
        case("2.1", vec![ping(b"")], vec![Seen::Pong(vec![])]).closed(),
        case("2.2", vec![ping(b"Hello, world!")], vec![Seen::Pong(b"Hello, world!".to_vec())]).closed(),
        case(
            "2.3",
            vec![ping(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")],
            vec![Seen::Pong(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff".to_vec())],
        )
        .closed(),
        case("2.4", vec![ping(&most)], vec![Seen::Pong(most.clone())]).closed(),
        case("2.5", vec![raw(0x89, &[0xfe; 126])], vec![failed()]),
        case("2.6", vec![ping(&most)], vec![Seen::Pong(most.clone())]).closed().cut(Cut::Bytes(1)),
        case("2.7", vec![pong(b"")], vec![]).closed(),
        case("2.8", vec![pong(b"unsolicited pong payload")], vec![]).closed(),
        case("2.9", vec![pong(b"unsolicited"), ping(b"ping payload")], vec![Seen::Pong(b"ping payload".to_vec())])
            .closed(),
        case("2.10", ten.clone(), answers.clone()).closed(),
        case("2.11", ten, answers).closed().cut(Cut::Bytes(1)),
    ]);
}

#[test]
fn section_3_reserved_bits() {
    let hello = || text("Hello, world!");
    let first = || vec![said("Hello, world!"), failed()];
    let with = |bits: u8| vec![hello(), raw(0x81 | bits << 4, b"Hello, world!"), ping(b"")];
    run(vec![
        case("3.1", vec![raw(0x81 | 1 << 4, b"Hello, world!")], vec![failed()]),
        case("3.2", with(2), first()),
        case("3.3", with(3), first()).cut(Cut::Frames),
        case("3.4", with(4), first()).cut(Cut::Bytes(1)),
        case("3.5", vec![raw(0x82 | 5 << 4, &[0xff; 8])], vec![failed()]),
        case("3.6", vec![raw(0x89 | 6 << 4, b"Hello, world!")], vec![failed()]),
        case("3.7", vec![raw(0x88 | 7 << 4, b"\x03\xe8")], vec![failed()]),
    ]);
}

#[test]
fn section_4_opcodes() {
    for (section, first) in [(1, 3), (2, 11)] {
        let number = |n: u8| format!("4.{section}.{n}");
        let odd = |n: u8, payload: &[u8]| raw(0x80 | (first + n - 1), payload);
        let echoed = || vec![said("Hello, world!"), failed()];
        let after = |n: u8, payload: &[u8]| vec![text("Hello, world!"), odd(n, payload), ping(b"")];
        run(vec![
            case(number(1), vec![odd(1, b"")], vec![failed()]),
            case(number(2), vec![odd(2, b"reserved opcode payload")], vec![failed()]),
            case(number(3), after(3, b""), echoed()),
            case(number(4), after(4, b"reserved opcode payload"), echoed()).cut(Cut::Frames),
            case(number(5), after(5, b"reserved opcode payload"), echoed()).cut(Cut::Bytes(1)),
        ]);
    }
}

#[test]
fn section_5_fragments() {
    let ways = [Cut::Whole, Cut::Frames, Cut::Bytes(1)];
    run(vec![
        case("5.1", vec![raw(0x09, b"fragment1"), end("fragment2")], vec![failed()]),
        case("5.2", vec![raw(0x0a, b"fragment1"), end("fragment2")], vec![failed()]),
    ]);
    for (n, cut) in ways.into_iter().enumerate() {
        let both = || said("fragment1fragment2");
        let two = || vec![begin("fragment1"), end("fragment2")];
        let pinged = || vec![begin("fragment1"), ping(b"ping"), end("fragment2")];
        let orphan = |fin: bool| {
            let lost = frame(Opcode::Continuation, fin, b"non-continuation payload");
            vec![lost, text("Hello, world!")]
        };
        run(vec![
            case(format!("5.{}", 3 + n), two(), vec![both()]).closed().cut(cut),
            case(format!("5.{}", 6 + n), pinged(), vec![Seen::Pong(b"ping".to_vec()), both()]).closed().cut(cut),
            case(format!("5.{}", 9 + n), orphan(true), vec![failed()]).cut(cut),
            case(format!("5.{}", 12 + n), orphan(false), vec![failed()]).cut(cut),
        ]);
    }
    let lost = |fin| frame(Opcode::Continuation, fin, b"fragment1");
    let twice = |fin| vec![lost(fin), text("fragment2"), lost(fin), text("fragment2")];
    run(vec![
        case(
            "5.15",
            vec![begin("fragment1"), end("fragment2"), more("fragment3"), text("fragment4")],
            vec![said("fragment1fragment2"), failed()],
        ),
        case("5.16", twice(false), vec![failed()]),
        case("5.17", twice(true), vec![failed()]),
        case("5.18", vec![begin("fragment1"), text("fragment2")], vec![failed()]),
    ]);
    let long = || {
        vec![
            begin("fragment1"),
            more("fragment2"),
            ping(b"pongme 1!"),
            more("fragment3"),
            more("fragment4"),
            ping(b"pongme 2!"),
            end("fragment5"),
        ]
    };
    let heard = || {
        let pong = |n: u8| Seen::Pong(format!("pongme {n}!").into_bytes());
        vec![pong(1), pong(2), said("fragment1fragment2fragment3fragment4fragment5")]
    };
    run(vec![
        case("5.19", long(), heard()).closed().cut(Cut::Frames),
        case("5.20", long(), heard()).closed().cut(Cut::Bytes(1)),
    ]);
}
