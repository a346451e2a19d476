//! One part as a CMAF chunk: `[styp] [prft] moof mdat`, one track, one run (ISO/IEC 23000-19 §7.3.2).
//!
//! `tfdt` is version 1 and offsets are relative to the `moof`; `trun` is version 1 with signed composition offsets, so
//! that the earliest presentation time of a stream is its first decode time with no edit list. The payload is not
//! copied: a chunk is a header that we write and slices of what was received.

use bytes::Bytes;

use super::{
    boxes::{boxed, full_box, put32, put64},
    init::{NON_SYNC, SYNC},
};

/// One sample of a chunk.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Ticks until the next sample is decoded.
    pub(crate) duration: u32,
    /// Presentation minus decode time in ticks.
    pub(crate) cts: i32,
    /// Whether decoding can begin here.
    pub(crate) sync: bool,
    /// Its bytes.
    pub(crate) data: Bytes,
}

/// What a chunk's header says beside its samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// The track's id in its init.
    pub(crate) track_id: u32,
    /// Number of the chunk in its track, from 1.
    pub(crate) sequence: u32,
    /// Decode time of the first sample in ticks.
    pub(crate) decode_time: u64,
    /// Whether the chunk is the first of its segment, and what time it then was.
    pub(crate) segment: Option<ReferenceTime>,
    /// The samples' duration that the init tells, 0 for none.
    pub(crate) default_duration: u32,
}

/// `prft`: which wall time corresponds to which media time (ISO/IEC 14496-12 §8.16.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReferenceTime {
    /// Wall time in microseconds since 1970 UTC.
    pub(crate) unix_us: i64,
    /// Presentation time of the first sample in ticks.
    pub(crate) media_time: u64,
}

/// The semantics of [`ReferenceTime`]: a wall time with a small and constant offset from what the media show.
const PRFT_REAL_TIME: u32 = 24;
/// Seconds from 1900 to 1970.
const NTP_EPOCH: i64 = 2_208_988_800;
/// `default-base-is-moof`.
const BASE_IS_MOOF: u32 = 0x02_0000;
const DATA_OFFSET: u32 = 0x1;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;
const FLAGS: u32 = 0x400;
const OFFSETS: u32 = 0x800;

/// Renders a chunk: its header first, then the samples' bytes as they are.
pub(crate) fn chunk(chunk: &Chunk, samples: &[Sample]) -> Vec<Bytes> {
    let mut header = Vec::with_capacity(192 + samples.len() * 16);
    if let Some(time) = &chunk.segment {
        styp(&mut header);
        prft(&mut header, chunk.track_id, time);
    }
    moof(&mut header, chunk, samples);
    let size: usize = samples.iter().map(|sample| sample.data.len()).sum();
    put32(&mut header, (size + 8) as u32);
    header.extend_from_slice(b"mdat");
    let mut pieces = Vec::with_capacity(1 + samples.len());
    pieces.push(Bytes::from(header));
    pieces.extend(samples.iter().map(|sample| sample.data.clone()));
    pieces
}

fn styp(out: &mut Vec<u8>) {
    boxed(out, b"styp", |out| {
        out.extend_from_slice(b"cmfs");
        put32(out, 0);
        out.extend_from_slice(b"cmfscmffcmflcmf2");
    });
}

fn prft(out: &mut Vec<u8>, track_id: u32, time: &ReferenceTime) {
    let seconds = time.unix_us.div_euclid(1_000_000) + NTP_EPOCH;
    let fraction = ((time.unix_us.rem_euclid(1_000_000) as u64) << 32) / 1_000_000;
    full_box(out, b"prft", 1, PRFT_REAL_TIME, |out| {
        put32(out, track_id);
        put32(out, seconds as u32);
        put32(out, fraction as u32);
        put64(out, time.media_time);
    });
}

fn moof(out: &mut Vec<u8>, chunk: &Chunk, samples: &[Sample]) {
    let start = out.len();
    let mut offset_at = 0;
    boxed(out, b"moof", |out| {
        full_box(out, b"mfhd", 0, 0, |out| put32(out, chunk.sequence));
        boxed(out, b"traf", |out| {
            full_box(out, b"tfhd", 0, BASE_IS_MOOF, |out| put32(out, chunk.track_id));
            full_box(out, b"tfdt", 1, 0, |out| put64(out, chunk.decode_time));
            offset_at = trun(out, chunk, samples);
        });
    });
    let data_offset = (out.len() - start + 8) as u32;
    out[offset_at..offset_at + 4].copy_from_slice(&data_offset.to_be_bytes());
}

/// Returns where the data offset is to be written.
fn trun(out: &mut Vec<u8>, chunk: &Chunk, samples: &[Sample]) -> usize {
    let uniform = is_uniform(chunk, samples);
    let detail = if uniform { 0 } else { DURATIONS | FLAGS | OFFSETS };
    let mut offset_at = 0;
    full_box(out, b"trun", 1, DATA_OFFSET | SIZES | detail, |out| {
        put32(out, samples.len() as u32);
        offset_at = out.len();
        put32(out, 0);
        for sample in samples {
            if !uniform {
                put32(out, sample.duration);
            }
            put32(out, sample.data.len() as u32);
            if !uniform {
                put32(out, if sample.sync { SYNC } else { NON_SYNC });
                put32(out, sample.cts as u32);
            }
        }
    });
    offset_at
}

/// Whether all samples are as the init says, as audio samples are; only sizes are then written.
fn is_uniform(chunk: &Chunk, samples: &[Sample]) -> bool {
    samples.iter().all(|sample| sample.duration == chunk.default_duration && sample.cts == 0 && sample.sync)
}
