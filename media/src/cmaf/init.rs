//! The initialization section: `ftyp` and `moov` of one track, with no samples (ISO/IEC 23000-19 §7.3.1).
//!
//! Durations are 0 and the sample tables empty, because all samples are in fragments; there is no edit list, because
//! composition offsets are signed (`cmf2`).

use bytes::Bytes;

use super::{
    boxes::{boxed, full_box, put16, put32, put64, zeros},
    vui::Vui,
};
use crate::{aac, avc, frame::CodecConfig};

/// Sample flags: depends on others, and decoding can't begin here (`sample_is_non_sync_sample`).
pub(super) const NON_SYNC: u32 = 0x0101_0000;
/// Sample flags: depends on no other.
pub(super) const SYNC: u32 = 0x0200_0000;

/// Renders the initialization section of the track `track_id` with `timescale` ticks a second.
pub(crate) fn init(track_id: u32, timescale: u32, codec: &CodecConfig) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    ftyp(&mut out);
    boxed(&mut out, b"moov", |out| {
        mvhd(out, timescale, track_id);
        boxed(out, b"trak", |out| {
            tkhd(out, track_id, codec);
            boxed(out, b"mdia", |out| mdia(out, timescale, codec));
        });
        boxed(out, b"mvex", |out| trex(out, track_id, codec));
    });
    out.into()
}

fn ftyp(out: &mut Vec<u8>) {
    boxed(out, b"ftyp", |out| {
        out.extend_from_slice(b"iso6");
        put32(out, 0);
        out.extend_from_slice(b"iso6cmfccmf2mp41");
    });
}

fn mvhd(out: &mut Vec<u8>, timescale: u32, track_id: u32) {
    full_box(out, b"mvhd", 1, 0, |out| {
        zeros(out, 16);
        put32(out, timescale);
        put64(out, 0);
        put32(out, 0x0001_0000); // rate 1
        put16(out, 0x0100); // volume 1
        zeros(out, 10);
        matrix(out);
        zeros(out, 24);
        put32(out, track_id + 1); // next_track_ID
    });
}

fn tkhd(out: &mut Vec<u8>, track_id: u32, codec: &CodecConfig) {
    let (volume, width, height) = match codec {
        CodecConfig::Avc(avc) => (0, display_width(avc), avc.height),
        CodecConfig::Aac(_) => (0x0100, 0, 0),
    };
    full_box(out, b"tkhd", 1, 7, |out| {
        zeros(out, 16);
        put32(out, track_id);
        zeros(out, 4);
        put64(out, 0);
        zeros(out, 8);
        put16(out, 0); // layer
        put16(out, 0); // alternate_group
        put16(out, volume);
        zeros(out, 2);
        matrix(out);
        put32(out, width << 16);
        put32(out, height << 16);
    });
}

fn display_width(avc: &avc::Config) -> u32 {
    match Vui::of(&avc.record).pixel_aspect {
        Some((horizontal, vertical)) if vertical > 0 => {
            (u64::from(avc.width) * u64::from(horizontal) / u64::from(vertical)).min(0xffff) as u32
        }
        _ => avc.width,
    }
}

fn matrix(out: &mut Vec<u8>) {
    for value in [0x0001_0000, 0, 0, 0, 0x0001_0000, 0, 0, 0, 0x4000_0000] {
        put32(out, value);
    }
}

fn mdia(out: &mut Vec<u8>, timescale: u32, codec: &CodecConfig) {
    let (handler, name) = match codec {
        CodecConfig::Avc(_) => (b"vide", b"video\0"),
        CodecConfig::Aac(_) => (b"soun", b"audio\0"),
    };
    full_box(out, b"mdhd", 1, 0, |out| {
        zeros(out, 16);
        put32(out, timescale);
        put64(out, 0);
        put16(out, 0x55c4); // language `und`
        put16(out, 0);
    });
    full_box(out, b"hdlr", 0, 0, |out| {
        zeros(out, 4);
        out.extend_from_slice(handler);
        zeros(out, 12);
        out.extend_from_slice(name);
    });
    boxed(out, b"minf", |out| {
        match codec {
            CodecConfig::Avc(_) => full_box(out, b"vmhd", 0, 1, |out| zeros(out, 8)),
            CodecConfig::Aac(_) => full_box(out, b"smhd", 0, 0, |out| zeros(out, 4)),
        }
        boxed(out, b"dinf", |out| {
            full_box(out, b"dref", 0, 0, |out| {
                put32(out, 1);
                full_box(out, b"url ", 0, 1, |_| ()); // in this file
            });
        });
        boxed(out, b"stbl", |out| stbl(out, codec));
    });
}

fn stbl(out: &mut Vec<u8>, codec: &CodecConfig) {
    full_box(out, b"stsd", 0, 0, |out| {
        put32(out, 1);
        match codec {
            CodecConfig::Avc(avc) => avc1(out, avc),
            CodecConfig::Aac(aac) => mp4a(out, aac),
        }
    });
    full_box(out, b"stts", 0, 0, |out| put32(out, 0));
    full_box(out, b"stsc", 0, 0, |out| put32(out, 0));
    full_box(out, b"stsz", 0, 0, |out| put64(out, 0));
    full_box(out, b"stco", 0, 0, |out| put32(out, 0));
}

fn avc1(out: &mut Vec<u8>, avc: &avc::Config) {
    boxed(out, b"avc1", |out| {
        zeros(out, 6);
        put16(out, 1); // data_reference_index
        zeros(out, 16);
        put16(out, avc.width.min(0xffff) as u16);
        put16(out, avc.height.min(0xffff) as u16);
        put32(out, 0x0048_0000); // 72 dpi
        put32(out, 0x0048_0000);
        put32(out, 0);
        put16(out, 1); // frame_count
        zeros(out, 32); // compressorname
        put16(out, 24); // depth
        put16(out, 0xffff);
        boxed(out, b"avcC", |out| out.extend_from_slice(&avc.record));
        Vui::of(&avc.record).write(out);
    });
}

fn mp4a(out: &mut Vec<u8>, aac: &aac::Config) {
    boxed(out, b"mp4a", |out| {
        zeros(out, 6);
        put16(out, 1); // data_reference_index
        zeros(out, 8);
        put16(out, aac.channels.into());
        put16(out, 16);
        zeros(out, 4);
        put32(out, aac.sample_rate.min(0xffff) << 16);
        full_box(out, b"esds", 0, 0, |out| es_descriptor(out, &aac.record));
    });
}

/// ISO/IEC 14496-1 §7.2.6: ES_Descriptor { DecoderConfigDescriptor { DecoderSpecificInfo }, SLConfigDescriptor }.
fn es_descriptor(out: &mut Vec<u8>, record: &[u8]) {
    let mut specific = Vec::with_capacity(record.len() + 5);
    descriptor(&mut specific, 0x05, record);
    let mut decoder = vec![0x40, 0x15]; // MPEG-4 audio; audio stream
    zeros(&mut decoder, 11); // buffer size and bit rates are not known
    decoder.extend_from_slice(&specific);
    let mut body = vec![0, 0, 0]; // ES_ID and flags
    descriptor(&mut body, 0x04, &decoder);
    descriptor(&mut body, 0x06, &[2]);
    descriptor(out, 0x03, &body);
}

/// A tag, a length in groups of seven bits, and the body.
fn descriptor(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    let groups = (1..4).rev().filter(|&n| body.len() >> (7 * n) > 0);
    groups.for_each(|n| out.push(0x80 | (body.len() >> (7 * n)) as u8 & 0x7f));
    out.push(body.len() as u8 & 0x7f);
    out.extend_from_slice(body);
}

fn trex(out: &mut Vec<u8>, track_id: u32, codec: &CodecConfig) {
    let (duration, flags) = match codec {
        CodecConfig::Avc(_) => (0, NON_SYNC),
        CodecConfig::Aac(aac) => (aac.frame_samples, SYNC),
    };
    full_box(out, b"trex", 0, 0, |out| {
        for value in [track_id, 1, duration, 0, flags] {
            put32(out, value);
        }
    });
}
