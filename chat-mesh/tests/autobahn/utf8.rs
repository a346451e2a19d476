//! Section 6: text is UTF-8, also in fragments, and what is not is refused at the first byte that shows it.

use super::*;

fn not_utf8() -> Seen {
    Seen::Failed(CloseCode::INVALID.0)
}

/// "κόσμε"
const KOSME: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
const EDITED: &[u8] = b"edited";

fn bytewise(payload: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![begin("")];
    frames.extend(payload.iter().map(|byte| more([*byte])));
    frames.push(end(""));
    frames
}

/// Runs a text that is valid or not: as one frame, a byte a frame, and a byte a piece.
fn judge(number: &str, payload: &[u8]) {
    let want = match std::str::from_utf8(payload) {
        Ok(valid) => vec![said(valid), Seen::Clean(1000)],
        Err(_) => vec![not_utf8()],
    };
    let frames = || vec![text(payload), close(1000, b"")];
    case(number, frames(), want.clone()).run();
    case(number, frames(), want.clone()).cut(Cut::Bytes(1)).run();
    let mut single = bytewise(payload);
    single.push(close(1000, b""));
    case(number, single, want).run();
}

#[test]
fn section_6_1_and_6_2_valid_text_in_fragments() {
    let hello = "Hello-µ@ßöäüàá-UTF-8!!";
    case("6.1.1", vec![text("")], vec![said("")]).closed().run();
    case("6.1.2", vec![begin(""), more(""), end("")], vec![said("")]).closed().run();
    case("6.1.3", vec![begin(""), more("middle frame payload"), end("")], vec![said("middle frame payload")])
        .closed()
        .run();
    case("6.2.1", vec![text(hello)], vec![said(hello)]).closed().run();
    case("6.2.2", vec![begin(&hello[..11]), end(&hello[11..])], vec![said(hello)]).closed().run();
    case("6.2.3", bytewise(hello.as_bytes()), vec![said(hello)]).closed().run();
    case("6.2.4", bytewise(KOSME), vec![said(std::str::from_utf8(KOSME).expect("text"))]).closed().run();
}

#[test]
fn section_6_3_and_6_4_invalid_text_fails_at_once() {
    let whole = [KOSME, b"\xed\xa0\x80", EDITED].concat();
    judge("6.3.1", &whole);
    case("6.3.2", bytewise(&whole), vec![not_utf8()]).run();
    // The failure is there before the message, or even the frame, has ended.
    let beyond = [KOSME, b"\xf4\x90"].concat();
    case("6.4.1", vec![begin(KOSME), more(b"\xf4\x90\x80\x80")], vec![not_utf8()]).run();
    case("6.4.2", vec![begin([KOSME, b"\xf4"].concat()), more(b"\x90")], vec![not_utf8()]).run();
    let mut cut = text([KOSME, b"\xf4\x90\x80\x80", EDITED].concat());
    cut.truncate(6 + beyond.len());
    case("6.4.3", vec![cut.clone()], vec![not_utf8()]).run();
    case("6.4.4", vec![cut.clone()], vec![not_utf8()]).cut(Cut::Bytes(1)).run();
    cut.truncate(cut.len() - 1);
    case("6.4.4, a byte before", vec![cut], vec![]).cut(Cut::Bytes(1)).run();
}

#[test]
fn sections_6_5_to_6_23_sequences() {
    let mut count = 0;
    for (section, valid, sequences) in data::SEQUENCES {
        for (n, sequence) in sequences.iter().enumerate() {
            let number = format!("6.{section}.{}", n + 1);
            if let Some(valid) = valid {
                assert_eq!(std::str::from_utf8(sequence).is_ok(), *valid, "the table is wrong about {number}");
            }
            judge(&number, sequence);
            count += 1;
        }
    }
    assert_eq!(count, 132);
}
