//! What must hold for any bytes a publisher may send. Called by the fuzz targets, and by `media/tests/corpora.rs` for
//! every committed input.

use bytes::Bytes;
use freshet_media::{
    aac, avc,
    flv::{Demuxer, TagKind, file},
    frame::{CodecConfig, Frame, Media},
    rtmp::{
        Limits,
        amf0::Decoder,
        chunk::{ChunkReader, Message},
        client::{self, Publisher, Target},
        server::{Output, Session},
    },
};

/// Whole or in pieces of `input[0]` bytes, a chunk stream gives the same messages and the same error, and holds memory
/// in proportion to what came.
pub fn rtmp_chunk(input: &[u8]) {
    let Some((size, input)) = input.split_first() else { return };
    let whole = read_chunks(input, usize::MAX);
    let pieces = read_chunks(input, usize::from(*size).max(1));
    assert_eq!(whole, pieces);
}

fn read_chunks(input: &[u8], size: usize) -> (Vec<Message>, Option<String>) {
    let mut reader = ChunkReader::new(Limits::default());
    reader.admit_media();
    let mut messages = Vec::new();
    for piece in input.chunks(size) {
        if let Err(error) = reader.push(piece, &mut messages) {
            return (messages, Some(error.to_string()));
        }
    }
    assert!(reader.memory() <= 2 * input.len() + 4096 * Limits::default().chunk_streams);
    (messages, None)
}

/// A session takes anything: from the first byte, after the handshake, or while publishing (`input[0]`), and so does a
/// client. Media that comes out can be demuxed.
pub fn rtmp_session(input: &[u8]) {
    let Some((mode, input)) = input.split_first() else { return };
    if mode & 3 == 3 {
        return publish(input);
    }
    let mut session = Session::new(Limits::default());
    let mut out = Vec::new();
    if mode & 3 > 0 {
        let hello = [&[3][..], &[0; 3072]].concat();
        session.handle(&hello, &mut out).expect("a plain handshake");
    }
    if mode & 3 > 1 {
        session.handle(PRELUDE, &mut out).expect("connect, createStream, publish");
        session.accept_publish(&mut out).expect("a publish that waits");
    }
    for piece in input.chunks(usize::from(mode >> 2).max(1) * 16) {
        if serve(&mut session, piece, mode & 4 == 0).is_err() {
            return;
        }
    }
}

/// connect (transaction 1, no object), createStream (2), publish (3, "k"), each in a chunk of its own.
const PRELUDE: &[u8] = b"\x03\0\0\0\0\0\x14\x14\0\0\0\0\x02\0\x07connect\0\x3f\xf0\0\0\0\0\0\0\x05\
\x03\0\0\0\0\0\x19\x14\0\0\0\0\x02\0\x0ccreateStream\0\x40\0\0\0\0\0\0\0\x05\
\x03\0\0\0\0\0\x18\x14\x01\0\0\0\x02\0\x07publish\0\x40\x08\0\0\0\0\0\0\x05\x02\0\x01k";

fn serve(session: &mut Session, piece: &[u8], accept: bool) -> Result<(), ()> {
    let mut out = Vec::new();
    let result = session.handle(piece, &mut out);
    let mut demuxer = Demuxer::new();
    for output in std::mem::take(&mut out) {
        match output {
            // The peer may have gone back on its word within the same read.
            Output::Publish(_) if accept => drop(session.accept_publish(&mut out)),
            Output::Publish(_) => session.refuse_publish("no", &mut out).expect("a refusal can always be written"),
            Output::Media { kind, timestamp_ms, payload } => {
                assert!(!payload.is_empty());
                let _ = demuxer.parse(kind, timestamp_ms, payload, &mut Vec::new());
            }
            _ => {}
        }
    }
    result.map_err(drop)
}

fn publish(input: &[u8]) {
    let target = Target { app: "live".into(), tc_url: "rtmp://h/live".into(), key: "k".into(), encoder: "e".into() };
    let mut publisher = Publisher::new(target);
    let mut out = Vec::new();
    publisher.start(&mut out).expect("a handshake can always begin");
    publisher.handle(&[&[3][..], &[0; 3072]].concat(), &mut out).expect("a plain handshake");
    if publisher.handle(input, &mut out).is_ok() && out.contains(&client::Output::Started) {
        publisher.send(TagKind::Audio, 0, &Bytes::from_static(b"\xaf\x01a"), &mut out).expect("a started publish");
    }
}

/// Decoding ends, and within the limits.
pub fn amf0(input: &[u8]) {
    if let Ok(values) = Decoder::new(input, &Limits::default()).values() {
        assert!(values.len() <= input.len());
    }
}

/// `input` is an FLV file, or else messages: kind, length in 16 bits, payload. What comes out is well formed.
pub fn flv(input: &[u8]) {
    let mut demuxer = Demuxer::new();
    if let Ok(reader) = file::Reader::new(Bytes::copy_from_slice(input)) {
        for tag in reader.map_while(Result::ok) {
            demux(&mut demuxer, tag.kind, tag.payload);
        }
        return;
    }
    let mut rest = Bytes::copy_from_slice(input);
    while let Some(&[kind, high, low]) = rest.first_chunk() {
        let end = (3 + usize::from(u16::from_be_bytes([high, low]))).min(rest.len());
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Data][usize::from(kind) % 3];
        demux(&mut demuxer, kind, rest.slice(3..end));
        rest = rest.slice(end..);
    }
}

fn demux(demuxer: &mut Demuxer, kind: TagKind, payload: Bytes) {
    let mut media = Vec::new();
    let received = payload.len();
    let _ = demuxer.parse(kind, 0, payload, &mut media);
    for item in &media {
        match item {
            Media::Frame(frame) if kind == TagKind::Video => check_sample(frame, received),
            Media::Frame(frame) => assert!(frame.sync && !frame.data.is_empty()),
            Media::Config(_, config) => check_config(config),
            Media::Metadata(_) => {}
        }
    }
}

/// NAL units with lengths of 4 bytes to the end, none empty, no parameter sets, and an IDR slice exactly in sync ones.
fn check_sample(frame: &Frame, received: usize) {
    let mut rest = &frame.data[..];
    let mut idr = false;
    while let Some((length, nal)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!((1..=nal.len()).contains(&length));
        assert!(!matches!(nal[0] & 0x1F, 7 | 8));
        idr |= nal[0] & 0x1F == 5;
        rest = &nal[length..];
    }
    assert!(rest.is_empty());
    assert_eq!(idr, frame.sync);
    assert!(frame.data.len() <= 4 * received);
}

fn check_config(config: &CodecConfig) {
    match config {
        CodecConfig::Avc(config) => check_avc(config),
        CodecConfig::Aac(config) => check_aac(config),
        other => panic!("{other:?} came of H.264 and AAC"),
    }
}

/// A record that is taken gives possible pictures, and says the same when read again.
pub fn avc(input: &[u8]) {
    avc::looks_like_hevc(input);
    let input = Bytes::copy_from_slice(input);
    let Ok(mut record) = avc::Record::parse(&input) else { return };
    if let Ok(config) = record.config() {
        check_avc(&config);
    }
    // What stands at the end as a parameter set in the stream.
    record.merge(&input.slice(input.len() / 2..));
    if let Ok(config) = record.config() {
        check_avc(&config);
    }
}

fn check_avc(config: &avc::Config) {
    assert!((1..=16_384).contains(&config.width) && (1..=16_384).contains(&config.height));
    assert_eq!(config.record[4] & 3, 3);
    assert_eq!(config.codec.len(), "avc1.64001F".len());
    assert_eq!(avc::Config::from_record(config.record.clone()).as_ref(), Ok(config));
}

/// A record that is taken gives a possible sound.
pub fn aac(input: &[u8]) {
    if let Ok(config) = aac::Config::from_record(Bytes::copy_from_slice(input)) {
        check_aac(&config);
    }
}

fn check_aac(config: &aac::Config) {
    assert!((1..=192_000).contains(&config.sample_rate));
    assert!(config.channels > 0);
    assert!(matches!(config.frame_samples, 960 | 1024));
}
