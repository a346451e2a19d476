//! FLV messages and what the demuxer makes of them.

use bytes::Bytes;
use freshet_media::{
    flv::{Demuxer, TagKind, file::Reader},
    frame::{CodecConfig, Media, TrackId},
};

/// x264's sequence and picture parameter sets for 96x54 at 25 frames a second, and others of its.
const SPS: &[u8] =
    b"\x67\x64\x00\x09\xac\xd9\x46\x27\xe6\xc0\x44\x00\x00\x03\x00\x04\x00\x00\x03\x00\xc8\x3c\x48\x96\x58";
const PPS: &[u8] = b"\x68\xeb\xec\xb2\x2c";
const OTHER_PPS: &[u8] = b"\x68\xeb\xe3\xcb\x22\xc0";
const SPS_64X64_BASELINE: &[u8] =
    b"\x67\x42\xc0\x0a\xd9\x04\x26\xc3\x84\x00\x00\x03\x00\x04\x00\x00\x03\x00\xc8\x3c\x48\x99\x20";
const IDR: &[u8] = b"\x65\x88\x84\x00";
const P: &[u8] = b"\x41\x9a\x24";
const AUD: &[u8] = b"\x09\xf0";
const SEI: &[u8] = b"\x06\x05\x01\x2a\x80";
const FILLER: &[u8] = b"\x0c\xff\xff\x80";
const ASC: &[u8] = b"\xaf\x00\x11\x90\x56\xe5\x00";

fn record(length_size: u8, sps: &[u8], pps: &[u8]) -> Vec<u8> {
    let mut record = vec![1, sps[1], sps[2], sps[3], 0xFC | (length_size - 1), 0xE1, 0, sps.len() as u8];
    record.extend_from_slice(sps);
    record.extend_from_slice(&[1, 0, pps.len() as u8]);
    record.extend_from_slice(pps);
    if sps[1] == 100 {
        record.extend_from_slice(&[0xFD, 0xF8, 0xF8, 0]);
    }
    record
}

/// A sequence header as OBS, ffmpeg and GStreamer send it.
fn header(record: &[u8]) -> Vec<u8> {
    [&[0x17, 0, 0, 0, 0], record].concat()
}

/// A frame whose NAL units have lengths of `size` bytes, composition time 40 ms.
fn frame_with(size: usize, first: u8, nals: &[&[u8]]) -> Vec<u8> {
    let mut message = vec![first, 1, 0, 0, 40];
    for nal in nals {
        message.extend_from_slice(&(nal.len() as u32).to_be_bytes()[4 - size..]);
        message.extend_from_slice(nal);
    }
    message
}

fn frame(first: u8, nals: &[&[u8]]) -> Vec<u8> {
    frame_with(4, first, nals)
}

/// A sample: NAL units with lengths of 4 bytes.
fn sample(nals: &[&[u8]]) -> Vec<u8> {
    frame(0, nals).split_off(5)
}

/// Demuxes video messages and writes down what comes out.
struct Seen {
    demuxer: Demuxer,
    media: Vec<Media>,
}

impl Seen {
    fn new() -> Self {
        Self { demuxer: Demuxer::new(), media: Vec::new() }
    }

    fn message(&mut self, kind: TagKind, payload: &[u8]) -> Result<Vec<String>, String> {
        let before = self.media.len();
        let result = self.demuxer.parse(kind, 1000, Bytes::copy_from_slice(payload), &mut self.media);
        result.map_err(|error| format!("{}: {error}", if error.refuses() { "refused" } else { "dropped" }))?;
        Ok(self.media[before..].iter().map(said).collect())
    }

    fn video(&mut self, payload: &[u8]) -> Result<Vec<String>, String> {
        self.message(TagKind::Video, payload)
    }

    fn samples(&self) -> Vec<&[u8]> {
        self.media
            .iter()
            .filter_map(|item| if let Media::Frame(frame) = item { Some(&*frame.data) } else { None })
            .collect()
    }
}

fn said(item: &Media) -> String {
    match item {
        Media::Config(track, config) => match &**config {
            CodecConfig::Avc(c) => format!("{track} {} {}x{} {:?}", c.codec, c.width, c.height, c.frame_rate),
            CodecConfig::Aac(c) => format!("{track} {} {} Hz {} ch", c.codec, c.sample_rate, c.channels),
            other => format!("{track} {other:?}"),
        },
        Media::Frame(frame) => {
            let sync = if frame.sync { " sync" } else { "" };
            format!("{} {}{:+}{sync}", frame.track, frame.timestamp_ms, frame.composition_ms)
        }
        Media::Metadata(metadata) => format!("{metadata:?}"),
    }
}

fn ok(items: &[&str]) -> Result<Vec<String>, String> {
    Ok(items.iter().map(|item| (*item).to_owned()).collect())
}

const HIGH: &str = "v0 avc1.640009 96x54 Some((25, 1))";

#[test]
fn a_file_of_ffmpeg_gives_its_tracks_and_every_frame() {
    let mut demuxer = Demuxer::new();
    let mut media = Vec::new();
    for tag in Reader::new(Bytes::from_static(include_bytes!("data/x264-aac.flv"))).unwrap() {
        let tag = tag.unwrap();
        demuxer.parse(tag.kind, tag.timestamp_ms, tag.payload, &mut media).unwrap();
    }
    let said: Vec<_> = media.iter().map(said).collect();
    assert!(
        said[0].contains("encoder: Some(\"Lavf59.27.100\"), width: Some(96), height: Some(54), frame_rate: Some(25.0)")
    );
    assert_eq!(said[1..5], [HIGH, "a0 mp4a.40.2 48000 Hz 1 ch", "v0 0+80 sync", "v0 40+160"]);
    let syncs: Vec<_> = said.iter().filter(|item| item.starts_with("v0") && item.ends_with("sync")).collect();
    assert_eq!(syncs, ["v0 0+80 sync", "v0 400+80 sync", "v0 800+80 sync"]);
    let frames = |id| media.iter().filter(|item| matches!(item, Media::Frame(frame) if frame.track == id)).count();
    assert_eq!((frames(TrackId::V0), frames(TrackId::A0)), (25, 48));
}

#[test]
fn at_14_parameter_sets_repeated_with_each_idr_change_nothing_and_are_not_in_the_samples() {
    let mut seen = Seen::new();
    assert_eq!(seen.video(&header(&record(4, SPS, PPS))), ok(&[HIGH]));
    assert_eq!(seen.video(&frame(0x17, &[SPS, PPS, SEI, IDR])), ok(&["v0 1000+40 sync"]));
    assert_eq!(seen.video(&frame(0x27, &[P])), ok(&["v0 1000+40"]));
    assert_eq!(seen.video(&header(&record(4, SPS, PPS))), ok(&[]));
    // The same with the zero byte that some encoders put after each set.
    let (sps, pps) = ([SPS, &[0]].concat(), [PPS, &[0]].concat());
    assert_eq!(seen.video(&frame(0x17, &[AUD, &sps, &pps, IDR])), ok(&["v0 1000+40 sync"]));
    assert_eq!(seen.samples(), [sample(&[SEI, IDR]), sample(&[P]), sample(&[AUD, IDR])]);
}

#[test]
fn at_15_other_parameter_sets_in_the_stream_are_a_new_configuration_before_their_picture() {
    let mut seen = Seen::new();
    seen.video(&header(&record(4, SPS, PPS))).unwrap();
    let changed = seen.video(&frame(0x17, &[SPS_64X64_BASELINE, PPS, IDR]));
    assert_eq!(changed, ok(&["v0 avc1.42C00A 64x64 Some((25, 1))", "v0 1000+40 sync"]));
    let Media::Config(_, config) = &seen.media[1] else { panic!("{:?}", seen.media[1]) };
    let CodecConfig::Avc(config) = &**config else { panic!("{config:?}") };
    assert_eq!(*config.record, *record(4, SPS_64X64_BASELINE, PPS));
    // Another picture parameter set alone is a change too, and written back with the profile's extension.
    let mut seen = Seen::new();
    seen.video(&header(&record(4, SPS, PPS))).unwrap();
    assert_eq!(seen.video(&frame(0x17, &[SPS, OTHER_PPS, IDR])), ok(&[HIGH, "v0 1000+40 sync"]));
    let Media::Config(_, config) = &seen.media[1] else { panic!("{:?}", seen.media[1]) };
    let CodecConfig::Avc(config) = &**config else { panic!("{config:?}") };
    assert_eq!(*config.record, *record(4, SPS, OTHER_PPS));
    // The sequence header that the encoder keeps repeating doesn't bring the old ones back; another one does change.
    assert_eq!(seen.video(&header(&record(4, SPS, PPS))), ok(&[]));
    assert_eq!(seen.video(&header(&record(4, SPS_64X64_BASELINE, PPS))), ok(&["v0 avc1.42C00A 64x64 Some((25, 1))"]));
}

#[test]
fn parameter_sets_may_come_with_the_first_picture_alone() {
    let mut seen = Seen::new();
    assert_eq!(seen.video(&frame(0x27, &[P])), Err("dropped: frame before the configuration of its track".into()));
    assert_eq!(seen.video(&header(&[1, 100, 0, 9, 0xFF, 0xE0, 0])), ok(&[]));
    assert_eq!(seen.video(&frame(0x17, &[SPS, PPS, IDR])), ok(&[HIGH, "v0 1000+40 sync"]));
}

#[test]
fn nal_unit_lengths_of_one_and_two_bytes_become_four() {
    for size in [1, 2] {
        let mut seen = Seen::new();
        assert_eq!(seen.video(&header(&record(size, SPS, PPS))), ok(&[HIGH]));
        seen.video(&frame_with(size.into(), 0x17, &[SPS, SEI, IDR])).unwrap();
        assert_eq!(seen.samples(), [sample(&[SEI, IDR])]);
        let Media::Config(_, config) = &seen.media[0] else { panic!("{:?}", seen.media[0]) };
        let CodecConfig::Avc(config) = &**config else { panic!("{config:?}") };
        assert_eq!(*config.record, *record(4, SPS, PPS));
    }
    let mut seen = Seen::new();
    let three = seen.video(&header(&record(3, SPS, PPS)));
    assert_eq!(three, Err("refused: unreadable H.264 configuration: NAL unit lengths of 3 bytes".into()));
}

#[test]
fn a_frame_is_a_slice_of_its_message() {
    let mut seen = Seen::new();
    seen.video(&header(&record(4, SPS, PPS))).unwrap();
    let message = Bytes::from(frame(0x17, &[SPS, PPS, SEI, IDR]));
    seen.demuxer.parse(TagKind::Video, 0, message.clone(), &mut seen.media).unwrap();
    let Media::Frame(frame) = &seen.media[1] else { panic!("{:?}", seen.media[1]) };
    let offset = frame.data.as_ptr() as usize - message.as_ptr() as usize;
    assert_eq!(offset, 5 + 4 + SPS.len() + 4 + PPS.len());
}

#[test]
fn the_slices_tell_what_is_an_idr_picture_not_the_flag() {
    let mut seen = Seen::new();
    seen.video(&header(&record(4, SPS, PPS))).unwrap();
    assert_eq!(seen.video(&frame(0x17, &[P])), ok(&["v0 1000+40"]));
    assert_eq!(seen.video(&frame(0x27, &[IDR])), ok(&["v0 1000+40 sync"]));
}

#[test]
fn composition_times_may_be_negative() {
    let mut seen = Seen::new();
    seen.video(&header(&record(4, SPS, PPS))).unwrap();
    let mut message = frame(0x27, &[P]);
    message[2..5].copy_from_slice(&[0xFF, 0xFF, 0xD8]);
    assert_eq!(seen.video(&message), ok(&["v0 1000-40"]));
}

#[test]
fn at_07_a_damaged_frame_is_dropped_and_the_stream_goes_on() {
    let mut seen = Seen::new();
    seen.video(&header(&record(4, SPS, PPS))).unwrap();
    let mut short = frame(0x27, &[P]);
    short.pop();
    assert_eq!(seen.video(&short), Err("dropped: a NAL unit of 3 bytes in 2 bytes of frame".into()));
    assert_eq!(seen.video(&[]), Err("dropped: message is cut off".into()));
    assert_eq!(seen.video(&[0x27, 1, 0]), Err("dropped: message is cut off".into()));
    let config = seen.video(&header(&record(3, SPS, PPS)));
    assert_eq!(config, Err("dropped: a changed configuration was ignored: NAL unit lengths of 3 bytes".into()));
    // Empty NAL units, filler and padding are left out; what has no picture is no frame.
    assert_eq!(seen.video(&frame(0x27, &[&[], P, FILLER, &[]])), ok(&["v0 1000+40"]));
    assert_eq!(seen.video(&[&frame(0x27, &[P])[..], &[0, 0]].concat()), ok(&["v0 1000+40"]));
    assert_eq!(seen.video(&frame(0x27, &[SEI])), ok(&[]));
    assert_eq!(seen.samples(), [sample(&[P]), sample(&[P])]);
}

#[test]
fn at_20_h264_and_aac_under_the_enhanced_header_are_taken() {
    let mut seen = Seen::new();
    assert_eq!(seen.video(&[b"\x90avc1", &record(4, SPS, PPS)[..]].concat()), ok(&[HIGH]));
    let coded = [b"\x91avc1\xff\xff\xd8", &sample(&[IDR])[..]].concat();
    assert_eq!(seen.video(&coded), ok(&["v0 1000-40 sync"]));
    assert_eq!(seen.video(&[b"\xa3avc1", &sample(&[P])[..]].concat()), ok(&["v0 1000+0"]));
    assert_eq!(seen.video(b"\x92avc1"), ok(&[]));
    assert_eq!(seen.video(b"\x94avc1\x02\x00\x09colorInfo"), ok(&[]));
    assert_eq!(seen.video(b"\xd0\x00"), ok(&[]));
    assert_eq!(seen.message(TagKind::Audio, b"\x90mp4a\x11\x90"), ok(&["a0 mp4a.40.2 48000 Hz 2 ch"]));
    assert_eq!(seen.message(TagKind::Audio, b"\x91mp4a\x21\x10"), ok(&["a0 1000+0 sync"]));
}

#[test]
fn at_20_codecs_that_are_not_packaged_are_refused_by_name() {
    let refused = |kind, payload: &[u8]| Seen::new().message(kind, payload).unwrap_err();
    let video = |payload: &[u8]| refused(TagKind::Video, payload);
    let audio = |payload: &[u8]| refused(TagKind::Audio, payload);
    assert_eq!(video(b"\x90hvc1\x01"), "refused: video codec HEVC is not supported; set the encoder to H.264");
    assert_eq!(video(b"\x90av01\x81"), "refused: video codec AV1 is not supported; set the encoder to H.264");
    assert_eq!(video(b"\x90vp09\x01"), "refused: video codec VP9 is not supported; set the encoder to H.264");
    assert_eq!(
        video(b"\x90\x01\x02\x03\x04"),
        "refused: video codec '\\x01\\x02\\x03\\x04' is not supported; set the encoder to H.264"
    );
    assert_eq!(video(b"\x12\x00"), "refused: video codec Sorenson H.263 is not supported; set the encoder to H.264");
    assert_eq!(video(b"\x1c\x00"), "refused: video codec HEVC is not supported; set the encoder to H.264");
    assert_eq!(
        video(b"\x96\x00avc1\x00"),
        "refused: multitrack video is not supported; switch off multitrack in the encoder"
    );
    assert_eq!(video(b"\x97\x02\x00\x00\x00\x00"), "refused: Enhanced RTMP ModEx packets are not supported");
    assert_eq!(audio(b"\x90Opus"), "refused: audio codec Opus is not supported; set the encoder to AAC");
    assert_eq!(audio(b"\x2f\xff"), "refused: audio codec MP3 is not supported; set the encoder to AAC");
    assert_eq!(
        audio(b"\x95\x00mp4a\x00"),
        "refused: multitrack audio is not supported; switch off multitrack in the encoder"
    );
    assert_eq!(
        audio(b"\xaf\x00\xf8\xe6\x20"),
        "refused: unreadable AAC configuration: audio object type 39 is not AAC-LC or HE-AAC"
    );
}

#[test]
fn at_20_hevc_that_poses_as_h264_is_refused_by_name() {
    // What x265 puts into hvcC, and as much of it as could pass for an H.264 record without parameter sets.
    let hvcc = include_bytes!("data/x265.hvcc");
    let refused = Seen::new().video(&header(hvcc));
    assert_eq!(
        refused,
        Err("refused: video codec HEVC (sent as H.264) is not supported; set the encoder to H.264".into())
    );
    let mut no_sets = *hvcc;
    no_sets[5..7].fill(0);
    assert_eq!(Seen::new().video(&header(&no_sets)), refused);
}

#[test]
fn audio_before_its_configuration_and_empty_audio_are_no_frames() {
    let mut seen = Seen::new();
    let early = seen.message(TagKind::Audio, b"\xaf\x01\x21");
    assert_eq!(early, Err("dropped: frame before the configuration of its track".into()));
    assert_eq!(seen.message(TagKind::Audio, ASC), ok(&["a0 mp4a.40.2 48000 Hz 2 ch"]));
    assert_eq!(seen.message(TagKind::Audio, ASC), ok(&[]));
    assert_eq!(seen.message(TagKind::Audio, b"\xaf\x01"), ok(&[]));
    assert_eq!(seen.message(TagKind::Audio, b"\xaf\x01\x21"), ok(&["a0 1000+0 sync"]));
}

#[test]
fn high_444_is_accepted_and_known_not_to_play_in_browsers() {
    // x264 --profile high444 at 64x64.
    let sps = b"\x67\xf4\x00\x0a\x91\x9b\x28\x84\xd8\x70\x80\x00\x00\x03\x00\x80\x00\x00\x19\x07\x89\x12\xcb";
    let high_444 = [&record(4, sps, PPS)[..], &[0xFF, 0xF8, 0xF8, 0]].concat();
    let config = freshet_media::avc::Config::from_record(high_444.into()).unwrap();
    assert_eq!((config.profile(), config.browser_playable()), ("High 4:4:4 Predictive", false));
    let config = freshet_media::avc::Config::from_record(record(4, SPS, PPS).into()).unwrap();
    assert_eq!((config.profile(), config.browser_playable()), ("High", true));
}

#[test]
fn a_level_that_the_picture_exceeds_is_forgiven() {
    // x264's sets for 1920x1080, saying level 1 where 4 stood.
    let sps = b"\x67\x64\x00\x0a\xac\xd9\x40\x78\x02\x27\xe5\xff\xc0\x00\xc0\x01\x04\x00\x00\x03\x00\x04\x00\x00\x03\x00\xc8\x3c\x60\xc6\x58";
    let config = freshet_media::avc::Config::from_record(record(4, sps, PPS).into()).unwrap();
    assert_eq!((config.width, config.height, &*config.codec), (1920, 1080, "avc1.64000A"));
}
