//! Chunk streams as encoders send them, byte by byte, and the messages in them.

use freshet_media::rtmp::{
    Limits, RtmpError,
    chunk::{ChunkReader, Message},
};
use proptest::prelude::*;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;

/// Type 0: everything.
fn full(csid: u8, time: u32, length: usize, kind: u8) -> Vec<u8> {
    let mut header = vec![csid];
    header.extend_from_slice(&time.min(0xFF_FFFF).to_be_bytes()[1..]);
    header.extend_from_slice(&(length as u32).to_be_bytes()[1..]);
    header.extend_from_slice(&[kind, 1, 0, 0, 0]);
    if time >= 0xFF_FFFF {
        header.extend_from_slice(&time.to_be_bytes());
    }
    header
}

/// Type 1: all but the message stream.
fn delta(csid: u8, delta: [u8; 3], length: usize, kind: u8) -> Vec<u8> {
    let [_, a, b, c] = (length as u32).to_be_bytes();
    [&[0x40 | csid][..], &delta, &[a, b, c, kind]].concat()
}

fn bytes(value: u8, count: usize) -> Vec<u8> {
    vec![value; count]
}

fn read_by(size: usize, input: &[u8]) -> (Vec<Message>, Option<RtmpError>) {
    let mut reader = ChunkReader::new(Limits::default());
    reader.admit_media();
    let mut out = Vec::new();
    for piece in input.chunks(size) {
        if let Err(error) = reader.push(piece, &mut out) {
            return (out, Some(error));
        }
    }
    (out, None)
}

/// Reads `input` whole and byte by byte, which must come to the same, and says of each message its type, time and runs
/// of equal bytes.
fn read(input: &[u8]) -> Vec<String> {
    let (whole, error) = read_by(usize::MAX, input);
    let (bytewise, same_error) = read_by(1, input);
    assert_eq!(whole, bytewise);
    let error = error.map(|error| error.to_string());
    assert_eq!(error, same_error.map(|error| error.to_string()));
    let said = whole.iter().map(|message| {
        let runs = message.payload.chunk_by(|a, b| a == b).map(|run| format!("{}x{:02x}", run.len(), run[0]));
        format!("{}@{} {}", message.kind, message.timestamp_ms, runs.collect::<Vec<_>>().join(" "))
    });
    said.chain(error).collect()
}

fn read_all(pieces: &[&[u8]]) -> Vec<String> {
    read(&pieces.concat())
}

#[test]
fn at_01_an_audio_message_between_the_chunks_of_a_video_message() {
    let messages = read_all(&[
        &full(6, 40, 300, VIDEO),
        &bytes(0xA1, 128),
        &full(4, 46, 20, AUDIO),
        &bytes(0xB1, 20),
        &[0xC6],
        &bytes(0xA2, 128),
        &[0xC6],
        &bytes(0xA3, 44),
    ]);
    assert_eq!(messages, ["8@46 20xb1", "9@40 128xa1 128xa2 44xa3"]);
}

#[test]
fn at_01_chunks_of_two_messages_alternate() {
    let messages = read_all(&[
        &full(6, 40, 200, VIDEO),
        &bytes(0xA1, 128),
        &full(4, 46, 148, AUDIO),
        &bytes(0xB1, 128),
        &[0xC6],
        &bytes(0xA2, 72),
        &[0xC4],
        &bytes(0xB2, 20),
    ]);
    assert_eq!(messages, ["9@40 128xa1 72xa2", "8@46 128xb1 20xb2"]);
}

#[test]
fn at_01_the_chunk_size_changes_in_the_middle_of_a_message() {
    let messages = read_all(&[
        &full(6, 40, 600, VIDEO),
        &bytes(0xA1, 128),
        &full(2, 0, 4, 1),
        &256u32.to_be_bytes(),
        &[0xC6],
        &bytes(0xA2, 256),
        &[0xC6],
        &bytes(0xA3, 216),
    ]);
    assert_eq!(messages, ["9@40 128xa1 256xa2 216xa3"]);
}

#[test]
fn an_abort_discards_the_unfinished_message_and_nothing_else() {
    let messages = read_all(&[
        &full(6, 40, 200, VIDEO),
        &bytes(0xA1, 128),
        &full(4, 46, 140, AUDIO),
        &bytes(0xB1, 128),
        &full(2, 0, 4, 2),
        &6u32.to_be_bytes(),
        &[0xC4],
        &bytes(0xB2, 12),
        &delta(6, [0, 0, 40], 3, VIDEO),
        &bytes(0xA2, 3),
    ]);
    assert_eq!(messages, ["8@46 128xb1 12xb2", "9@80 3xa2"]);
}

#[test]
fn at_02_extended_timestamps_on_every_chunk() {
    let ext = 20_000_000u32.to_be_bytes();
    let messages = read_all(&[
        &full(6, 20_000_000, 300, VIDEO),
        &bytes(0xA1, 128),
        &[0xC6],
        &ext,
        &bytes(0xA2, 128),
        &[0xC6],
        &ext,
        &bytes(0xA3, 44),
    ]);
    assert_eq!(messages, ["9@20000000 128xa1 128xa2 44xa3"]);
}

#[test]
fn at_02_extended_timestamps_on_the_first_chunk_only() {
    let messages = read_all(&[
        &full(6, 20_000_000, 259, VIDEO),
        &bytes(0xA1, 128),
        &[0xC6],
        &bytes(0xA2, 128),
        &[0xC6],
        &bytes(0xA3, 3),
        &full(4, 20_000_001, 2, AUDIO),
        &bytes(0xB1, 2),
    ]);
    assert_eq!(messages, ["9@20000000 128xa1 128xa2 3xa3", "8@20000001 2xb1"]);
}

#[test]
fn at_02_a_message_that_ends_within_four_bytes_is_not_held_back() {
    let mut reader = ChunkReader::new(Limits::default());
    let mut out = Vec::new();
    let input = [&full(6, 20_000_000, 130, VIDEO)[..], &bytes(0xA1, 128), &[0xC6], &bytes(0xA2, 2)].concat();
    reader.push(&input, &mut out).unwrap();
    assert_eq!(out.len(), 1);
}

#[test]
fn at_02_a_stream_passes_16777215_ms_in_both_styles() {
    for repeated in [true, false] {
        let mut input = Vec::new();
        let mut expected = Vec::new();
        for frame in 0..20u32 {
            let time = 16_777_000 + 40 * frame;
            input.extend(full(6, time, 200, VIDEO));
            input.extend(bytes(0xA0, 128));
            input.push(0xC6);
            if repeated && time >= 0xFF_FFFF {
                input.extend(time.to_be_bytes());
            }
            input.extend(bytes(0xA1, 72));
            expected.push(format!("9@{time} 128xa0 72xa1"));
        }
        assert_eq!(read(&input), expected);
    }
}

#[test]
fn at_02_an_extended_timestamp_is_a_delta_in_types_1_and_2() {
    let ext = 16_777_216u32.to_be_bytes();
    let messages = read_all(&[
        &full(6, 1000, 1, VIDEO),
        &[0xA0],
        &delta(6, [0xFF; 3], 1, VIDEO),
        &ext,
        &[0xA1],
        &[0x86, 0xFF, 0xFF, 0xFF],
        &ext,
        &[0xA2],
        &delta(6, [0xFF; 3], 1, VIDEO),
        &5u32.to_be_bytes(),
        &[0xA3],
    ]);
    assert_eq!(messages, ["9@1000 1xa0", "9@16778216 1xa1", "9@33555432 1xa2", "9@33555437 1xa3"]);
}

#[test]
fn a_type_3_header_begins_a_message_like_the_last_one() {
    let messages = read_all(&[
        &full(6, 100, 2, VIDEO),
        &[0xA0; 2],
        &[0x86, 0, 0, 23],
        &[0xA1; 2],
        &[0xC6],
        &[0xA2; 2],
        &[0xC6],
        &[0xA3; 2],
    ]);
    assert_eq!(messages, ["9@100 2xa0", "9@123 2xa1", "9@146 2xa2", "9@169 2xa3"]);
    // After type 0 the delta is that header's timestamp (§5.3.1.2.4).
    assert_eq!(read_all(&[&full(6, 40, 1, VIDEO), &[0xA0, 0xC6, 0xA1]]), ["9@40 1xa0", "9@80 1xa1"]);
}

#[test]
fn time_wraps_at_32_bits() {
    let messages = read_all(&[&full(6, 0xFFFF_FFF0, 1, VIDEO), &[0xA0], &[0x86, 0, 0, 32], &[0xA1], &[0xC6], &[0xA2]]);
    assert_eq!(messages, ["9@4294967280 1xa0", "9@16 1xa1", "9@48 1xa2"]);
}

#[test]
fn at_21_chunk_stream_ids_of_one_two_and_three_bytes() {
    let mut expected = Vec::new();
    let mut input = Vec::new();
    for (basic, time) in
        [(&[3u8][..], 3), (&[63], 63), (&[0, 0], 64), (&[0, 255], 319), (&[1, 1, 1], 321), (&[1, 255, 255], 65_599)]
    {
        input.extend_from_slice(basic);
        input.extend_from_slice(&full(0, time, 130, VIDEO)[1..]);
        input.extend(bytes(0xA0, 128));
        input.push(0xC0 | basic[0]);
        input.extend_from_slice(&basic[1..]);
        input.extend(bytes(0xA1, 2));
        expected.push(format!("9@{time} 128xa0 2xa1"));
    }
    assert_eq!(read(&input), expected);
}

#[test]
fn at_21_a_huge_chunk_size_is_clamped_and_allocates_nothing() {
    let messages =
        read_all(&[&full(2, 0, 4, 1), &0x7FFF_FFFFu32.to_be_bytes(), &full(6, 40, 300, VIDEO), &bytes(0xA1, 300)]);
    assert_eq!(messages, ["9@40 300xa1"]);
    // A message that claims 8 MiB and sends ten bytes holds a page, not 8 MiB.
    let mut reader = ChunkReader::new(Limits::default());
    reader.admit_media();
    let claim = [&full(2, 0, 4, 1)[..], &0x7FFF_FFFFu32.to_be_bytes(), &full(6, 40, 8 << 20, VIDEO), &bytes(0xA1, 10)];
    reader.push(&claim.concat(), &mut Vec::new()).unwrap();
    assert!(reader.memory() <= 4096 + 64, "{} bytes", reader.memory());
}

#[test]
fn at_21_a_chunk_size_of_0_is_refused_and_of_1_is_read() {
    let zero = read_all(&[&full(2, 0, 4, 1), &[0; 4]]);
    assert_eq!(zero, ["malformed control message of type 1"]);
    let one = read_all(&[&full(2, 0, 4, 1), &[0, 0, 0, 1], &full(6, 40, 3, VIDEO), &[0xA1, 0xC6, 0xA1, 0xC6, 0xA1]]);
    assert_eq!(one, ["9@40 3xa1"]);
}

#[test]
fn at_21_what_costs_too_much_is_refused_with_a_reason() {
    let long = read_all(&[&full(6, 0, (8 << 20) + 1, VIDEO)]);
    assert_eq!(long, ["message of type 9 has 8388609 bytes; at most 8388608 are taken"]);
    let command = read_all(&[&full(3, 0, (256 << 10) + 1, 20)]);
    assert_eq!(command, ["message of type 20 has 262145 bytes; at most 262144 are taken"]);
    let streams: Vec<u8> = (0..65).flat_map(|n| [&[0, n][..], &full(0, 0, 0, VIDEO)[1..]].concat()).collect();
    assert_eq!(read(&streams).last().unwrap(), "more than 64 chunk streams");
    let mut unfinished = [&full(2, 0, 4, 1)[..], &0xFF_FFFFu32.to_be_bytes()].concat();
    for csid in 4..7 {
        unfinished.extend(full(2, 0, 4, 1));
        unfinished.extend(((8u32 << 20) - 1).to_be_bytes());
        unfinished.extend(full(csid, 0, 8 << 20, VIDEO));
        unfinished.extend(bytes(0xA1, (8 << 20) - 1));
    }
    let (messages, error) = read_by(usize::MAX, &unfinished);
    assert_eq!(
        (messages.len(), error.unwrap().to_string()),
        (0, "unfinished messages hold more than 16777216 bytes".into())
    );
}

#[test]
fn before_the_publish_is_accepted_media_is_bounded_like_commands() {
    let mut reader = ChunkReader::new(Limits::default());
    let error = reader.push(&full(6, 0, 300_000, VIDEO), &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "message of type 9 has 300000 bytes; at most 262144 are taken");
}

#[test]
fn a_header_that_refers_to_nothing_is_refused() {
    assert_eq!(read(&[0xC6]), ["chunk of format 3 on chunk stream 6, which has no earlier header"]);
    assert_eq!(read(&[0x86, 0, 0, 0]), ["chunk of format 2 on chunk stream 6, which has no earlier header"]);
    // librtmp begins its control stream with type 1.
    assert_eq!(read_all(&[&delta(2, [0; 3], 2, 4), &[0, 6]]), ["4@0 1x00 1x06"]);
}

#[test]
fn another_message_inside_a_message_is_refused_but_its_own_header_goes_on() {
    let begin = [&full(6, 40, 200, VIDEO)[..], &bytes(0xA1, 128)].concat();
    let other = read_all(&[&begin, &full(6, 80, 200, VIDEO)]);
    assert_eq!(other, ["chunk stream 6: a new message begins while 72 bytes of the last are missing"]);
    let again = read_all(&[&begin, &full(6, 40, 200, VIDEO), &bytes(0xA2, 72)]);
    assert_eq!(again, ["9@40 128xa1 72xa2"]);
}

/// A legal chunk stream: messages on several chunk streams, interleaved, with changes of the chunk size.
fn legal_stream() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let step = (3u8..7, 0u32..40_000_000, 0usize..600, prop::bool::weighted(0.1), any::<bool>());
    prop::collection::vec(step, 1..40).prop_map(|steps| {
        let (mut input, mut chunk_size, mut open, mut messages) =
            (Vec::new(), 128, Vec::<(u8, u32, usize, u8)>::new(), 0);
        for (csid, time, length, resize, repeat) in steps {
            if resize {
                // Never so small that the next such message would itself need several chunks.
                chunk_size = 4 + length;
                input.extend(full(2, 0, 4, 1));
                input.extend((chunk_size as u32).to_be_bytes());
            }
            match open.iter().position(|message| message.0 == csid) {
                Some(index) => {
                    let message = &mut open[index];
                    input.push(0xC0 | csid);
                    // The style is the sender's: all chunks of a message or none.
                    if message.1 >= 0xFF_FFFF && message.3 == 1 {
                        input.extend(message.1.to_be_bytes());
                    }
                    let taken = message.2.min(chunk_size);
                    input.extend(bytes(0xA1, taken));
                    message.2 -= taken;
                }
                None => {
                    input.extend(full(csid, time, length, VIDEO));
                    let taken = length.min(chunk_size);
                    input.extend(bytes(0xA0, taken));
                    open.push((csid, time, length - taken, repeat.into()));
                }
            }
            messages += open.iter().filter(|message| message.2 == 0).count();
            open.retain(|message| message.2 > 0);
        }
        (input, messages)
    })
}

proptest! {
    #[test]
    fn any_split_of_a_legal_stream_gives_the_same_messages(
        (input, messages) in legal_stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let (whole, error) = read_by(usize::MAX, &input);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(whole.len(), messages);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).chain([0, input.len()]).collect();
        cuts.sort_unstable();
        let mut reader = ChunkReader::new(Limits::default());
        reader.admit_media();
        let mut pieces = Vec::new();
        for cut in cuts.windows(2) {
            reader.push(&input[cut[0]..cut[1]], &mut pieces).unwrap();
        }
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn any_bytes_split_anywhere_end_alike(input in prop::collection::vec(any::<u8>(), 0..400), size in 1usize..50) {
        let (whole, error) = read_by(usize::MAX, &input);
        let (pieces, same) = read_by(size, &input);
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(error.map(|e| e.to_string()), same.map(|e| e.to_string()));
    }
}
