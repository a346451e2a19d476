//! The chunk reader beside rml_rtmp's deserializer and a plain copy: ten seconds of 720p30 at 2.5 Mbit/s with AAC, as
//! read from a socket in 16 KiB pieces, in the chunk sizes of ffmpeg's default (128), OBS (4,096) and ours (65,536).
//! A time divided by ten is CPU time a stream-second.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use freshet_media::{
    flv::{Demuxer, TagKind},
    rtmp::{Limits, chunk::ChunkReader},
};
use rml_rtmp::{
    chunk_io::{ChunkDeserializer, ChunkSerializer},
    messages::MessagePayload,
    time::RtmpTimestamp,
};

const SECONDS: u32 = 10;
type Read = fn(&[u8]) -> usize;

const READ: usize = 16 << 10;

/// A message with a payload of `size` bytes: H.264 NAL units or raw AAC behind their FLV header.
fn message(kind: u8, time: u32, size: usize) -> MessagePayload {
    let mut data = match kind {
        9 => vec![0x27, 1, 0, 0, 0],
        _ => vec![0xAF, 1],
    };
    if kind == 9 {
        data.extend(((size - 9) as u32).to_be_bytes());
        data.push(0x41);
    }
    data.resize(size, 0x55);
    MessagePayload { timestamp: RtmpTimestamp::new(time), type_id: kind, message_stream_id: 1, data: Bytes::from(data) }
}

/// The stream in chunks of `chunk_size`: a large picture a second, 29 small ones, and 47 audio frames of 340 bytes.
fn stream(chunk_size: u32) -> Vec<u8> {
    let mut serializer = ChunkSerializer::new();
    let mut bytes = serializer.set_max_chunk_size(chunk_size, RtmpTimestamp::new(0)).expect("a legal size").bytes;
    let mut messages = Vec::new();
    for frame in 0..SECONDS * 30 {
        let size = if frame % 30 == 0 { 60_000 } else { 8_000 };
        messages.push(message(9, frame * 1000 / 30, size));
    }
    messages.extend((0..SECONDS * 47).map(|frame| message(8, frame * 1000 / 47, 340)));
    messages.sort_by_key(|message| message.timestamp.value);
    for message in messages {
        bytes.extend(serializer.serialize(&message, false, false).expect("a legal message").bytes);
    }
    bytes
}

fn ours(input: &[u8]) -> usize {
    let mut reader = ChunkReader::new(Limits::default());
    reader.admit_media();
    let mut messages = Vec::new();
    let mut bytes = 0;
    for piece in input.chunks(READ) {
        reader.push(piece, &mut messages).expect("a legal stream");
        bytes += messages.drain(..).map(|message| message.payload.len()).sum::<usize>();
    }
    bytes
}

fn ours_demuxed(input: &[u8]) -> usize {
    let mut reader = ChunkReader::new(Limits::default());
    reader.admit_media();
    let mut demuxer = Demuxer::new();
    let (mut messages, mut media, mut bytes) = (Vec::new(), Vec::new(), 0);
    let config = Bytes::from_static(b"\x17\0\0\0\0\x01\x64\x00\x09\xff\xe1\x00\x19\x67\x64\x00\x09\xac\xd9\x46\x27\xe6\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xc8\x3c\x48\x96\x58\x01\x00\x05\x68\xeb\xec\xb2\x2c");
    demuxer.parse(TagKind::Video, 0, config, &mut media).expect("a legal configuration");
    for piece in input.chunks(READ) {
        reader.push(piece, &mut messages).expect("a legal stream");
        for message in messages.drain(..) {
            let Some(kind) = TagKind::from_type_id(message.kind) else { continue };
            let _ = demuxer.parse(kind, message.timestamp_ms, message.payload, &mut media);
            bytes += media.drain(..).count();
        }
    }
    bytes
}

fn rml(input: &[u8]) -> usize {
    let mut deserializer = ChunkDeserializer::new();
    let mut bytes = 0;
    for piece in input.chunks(READ) {
        let mut next = deserializer.get_next_message(piece).expect("a legal stream");
        while let Some(message) = next {
            if message.type_id == 1 {
                let size = u32::from_be_bytes([message.data[0], message.data[1], message.data[2], message.data[3]]);
                deserializer.set_max_chunk_size(size as usize).expect("a legal size");
            }
            bytes += message.data.len();
            next = deserializer.get_next_message(&[]).expect("a legal stream");
        }
    }
    bytes
}

fn chunks(criterion: &mut Criterion) {
    for chunk_size in [128, 4096, 65_536] {
        let input = stream(chunk_size);
        let mut group = criterion.benchmark_group(format!("rtmp/{chunk_size}"));
        group.throughput(Throughput::Bytes(input.len() as u64));
        let readers: [(&str, Read); 4] = [
            ("ours", ours),
            ("ours+flv", ours_demuxed),
            ("rml_rtmp", rml),
            ("copy", |input| black_box(input.to_vec()).len()),
        ];
        for (name, read) in readers {
            group.bench_with_input(BenchmarkId::from_parameter(name), &input, |bencher, input| {
                bencher.iter(|| read(black_box(input)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, chunks);
criterion_main!(benches);
