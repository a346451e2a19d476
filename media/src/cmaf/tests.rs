use bytes::Bytes;
use mp4_atom::{Atom, Encode};

use super::*;
use crate::{aac, avc, frame::CodecConfig};

/// Baseline, 16 × 16, one reference, no VUI.
const SPS: [u8; 8] = [0x67, 66, 0xC0, 10, 0xDA, 0x7B, 0x42, 0x00];
const PPS: [u8; 4] = [0x68, 0xCE, 0x38, 0x80];
const ASC: [u8; 5] = [0x11, 0x90, 0x56, 0xE5, 0x00];

fn h264() -> CodecConfig {
    let mut record = vec![1, 66, 0xC0, 10, 0xFF, 0xE1, 0, 8];
    record.extend_from_slice(&SPS);
    record.extend_from_slice(&[1, 0, 4]);
    record.extend_from_slice(&PPS);
    let codec = "avc1.42C00A".into();
    CodecConfig::Avc(avc::Config { record: record.into(), width: 1280, height: 720, frame_rate: None, codec })
}

fn aac() -> CodecConfig {
    let (record, codec) = (Bytes::from_static(&ASC), "mp4a.40.2".into());
    CodecConfig::Aac(aac::Config { record, sample_rate: 48_000, channels: 2, frame_samples: 1024, codec })
}

fn sample(duration: u32, cts: i32, sync: bool, data: &'static str) -> Sample {
    Sample { duration, cts, sync, data: Bytes::from_static(data.as_bytes()) }
}

fn b_pyramid() -> Vec<Sample> {
    let pattern = [(0, true, "IDR"), (5940, false, "P"), (-2970, false, "b"), (-3060, false, "")];
    pattern.map(|(cts, sync, data)| sample(2970, cts, sync, data)).into()
}

fn video_chunk() -> Chunk {
    let media_time = 0x1_0000_0001;
    let segment = Some(ReferenceTime { unix_us: 1_795_250_000_500_000, media_time });
    Chunk { track_id: 1, sequence: 9, decode_time: media_time, segment, default_duration: 0 }
}

fn bytes_of(pieces: &[Bytes]) -> Vec<u8> {
    pieces.concat()
}

fn encoded(atom: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    atom.encode(&mut out).expect("mp4-atom encodes it");
    out
}

fn moof(
    sequence_number: u32,
    track_id: u32,
    time: u64,
    offset: usize,
    entries: Vec<mp4_atom::TrunEntry>,
) -> mp4_atom::Moof {
    let tfhd = mp4_atom::Tfhd { track_id, default_base_is_moof: true, ..Default::default() };
    let trun = mp4_atom::Trun { data_offset: Some(offset as i32), samples: entries.into() };
    let tfdt = Some(mp4_atom::Tfdt { base_media_decode_time: time });
    let traf = mp4_atom::Traf { tfhd, tfdt, trun: vec![trun], ..Default::default() };
    mp4_atom::Moof { mfhd: mp4_atom::Mfhd { sequence_number }, traf: vec![traf] }
}

/// As `moof`, with the offset of the data right after it.
fn moof_and_mdat(n: u32, track: u32, time: u64, entries: Vec<mp4_atom::TrunEntry>, data: &[u8]) -> Vec<u8> {
    let length = encoded(&moof(n, track, time, 0, entries.clone())).len();
    let mut out = encoded(&moof(n, track, time, length + 8, entries));
    out.extend(encoded(&mp4_atom::Mdat { data: data.to_vec() }));
    out
}

#[test]
fn a_video_chunk_is_byte_for_byte_what_mp4_atom_writes() {
    let entry = |sample: &Sample| mp4_atom::TrunEntry {
        duration: Some(sample.duration),
        size: Some(sample.data.len() as u32),
        flags: Some(if sample.sync { 0x0200_0000 } else { 0x0101_0000 }),
        cts: Some(sample.cts.into()),
    };
    let samples = b_pyramid();
    let styp = mp4_atom::Styp {
        major_brand: b"cmfs".into(),
        minor_version: 0,
        compatible_brands: [b"cmfs", b"cmff", b"cmfl", b"cmf2"].map(Into::into).to_vec(),
    };
    let prft = mp4_atom::Prft {
        reference_track_id: 1,
        ntp_timestamp: (1_795_250_000 + 2_208_988_800) << 32 | 1 << 31,
        media_time: 0x1_0000_0001,
        utc_time_semantics: mp4_atom::ReferenceTime::RealTime,
    };
    let mut expected = encoded(&styp);
    expected.extend(encoded(&prft));
    expected.extend(moof_and_mdat(9, 1, 0x1_0000_0001, samples.iter().map(entry).collect(), b"IDRPb"));
    assert_eq!(bytes_of(&chunk(&video_chunk(), &samples)), expected);
}

#[test]
fn an_audio_chunk_is_byte_for_byte_what_mp4_atom_writes() {
    let samples = ["one", "second"].map(|data| sample(1024, 0, true, data));
    let entry = |sample: &Sample| mp4_atom::TrunEntry { size: Some(sample.data.len() as u32), ..Default::default() };
    let time = 0x2_0000_0000;
    let header = Chunk { track_id: 2, sequence: 1, decode_time: time, segment: None, default_duration: 1024 };
    let expected = moof_and_mdat(1, 2, time, samples.iter().map(entry).collect(), b"onesecond");
    assert_eq!(bytes_of(&chunk(&header, &samples)), expected);
}

#[test]
fn payloads_are_slices_of_what_was_received() {
    let samples = b_pyramid();
    let pieces = chunk(&video_chunk(), &samples);
    assert_eq!(pieces.len(), 1 + samples.len());
    assert!(pieces[1..].iter().zip(&samples).all(|(piece, sample)| piece.as_ptr() == sample.data.as_ptr()));
}

/// The boxes of `init` from this kind on, found by name.
fn find(init: &[u8], kind: &[u8; 4]) -> Vec<u8> {
    let at = init.windows(4).position(|four| four == kind).expect("the box is there") - 4;
    let length = u32::from_be_bytes(init[at..at + 4].try_into().expect("four bytes")) as usize;
    init[at..at + length].to_vec()
}

#[test]
fn the_boxes_of_an_init_are_byte_for_byte_what_mp4_atom_writes() {
    let video = init(1, 90_000, &h264());
    let audio = init(2, 48_000, &aac());
    let mvhd = |timescale, next_track_id| mp4_atom::Mvhd {
        timescale,
        next_track_id,
        rate: 1.into(),
        volume: 1.into(),
        ..Default::default()
    };
    assert_eq!(find(&video, b"mvhd"), encoded(&mvhd(90_000, 2)));
    assert_eq!(find(&audio, b"mvhd"), encoded(&mvhd(48_000, 3)));
    let tkhd = mp4_atom::Tkhd {
        track_id: 1,
        enabled: true,
        in_movie: true,
        width: 1280.into(),
        height: 720.into(),
        ..Default::default()
    };
    assert_eq!(find(&video, b"tkhd"), encoded(&tkhd));
    let mdhd = mp4_atom::Mdhd { timescale: 48_000, language: "und".into(), ..Default::default() };
    assert_eq!(find(&audio, b"mdhd"), encoded(&mdhd));
    let trex = |track_id, default_sample_duration, default_sample_flags| mp4_atom::Trex {
        track_id,
        default_sample_description_index: 1,
        default_sample_duration,
        default_sample_size: 0,
        default_sample_flags,
    };
    assert_eq!(find(&video, b"trex"), encoded(&trex(1, 0, 0x0101_0000)));
    assert_eq!(find(&audio, b"trex"), encoded(&trex(2, 1024, 0x0200_0000)));
    assert_eq!(find(&video, b"avcC"), encoded(&avcc()));
    for (init, header) in [(&video, &mp4_atom::Vmhd::KIND), (&audio, &mp4_atom::Smhd::KIND)] {
        assert!(init.windows(4).any(|four| four == header.as_ref()));
    }
}

fn avcc() -> mp4_atom::Avcc {
    mp4_atom::Avcc {
        configuration_version: 1,
        avc_profile_indication: 66,
        profile_compatibility: 0xC0,
        avc_level_indication: 10,
        length_size: 4,
        sequence_parameter_sets: vec![SPS.to_vec()],
        picture_parameter_sets: vec![PPS.to_vec()],
        ext: None,
    }
}

#[test]
fn the_audio_specific_config_is_copied_as_it_came() {
    let esds = find(&init(2, 48_000, &aac()), b"esds");
    let expected = [
        0, 0, 0, 42, b'e', b's', b'd', b's', 0, 0, 0, 0, // full box
        0x03, 28, 0, 0, 0, // ES_Descriptor
        0x04, 20, 0x40, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // DecoderConfigDescriptor
        0x05, 5, 0x11, 0x90, 0x56, 0xE5, 0x00, // DecoderSpecificInfo
        0x06, 1, 2, // SLConfigDescriptor
    ];
    assert_eq!(esds, expected);
}

#[test]
fn another_reader_finds_the_same_fields() {
    let mut file = init(1, 90_000, &h264()).to_vec();
    file.extend(bytes_of(&chunk(&video_chunk(), &b_pyramid())));
    let length = file.len() as u64;
    let read = mp4::Mp4Reader::read_header(std::io::Cursor::new(file), length).expect("the mp4 crate reads it");
    let track = &read.tracks()[&1];
    assert_eq!((track.width(), track.height(), track.timescale()), (1280, 720, 90_000));
    let traf = &read.moofs[0].trafs[0];
    let trun = traf.trun.as_ref().expect("a trun");
    assert_eq!(traf.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time), Some(0x1_0000_0001));
    assert_eq!((trun.sample_count, &trun.sample_sizes[..]), (4, &[3, 1, 1, 0][..]));
    assert_eq!(trun.sample_durations, [2970; 4]);
    assert_eq!(trun.sample_cts.iter().map(|cts| *cts as i32).collect::<Vec<_>>(), [0, 5940, -2970, -3060]);
}
