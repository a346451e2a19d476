//! Encodes with ffmpeg, packages in-process, and reads back with ffprobe. A missing tool fails the test.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use freshet_media::{
    flv::{Demuxer, file::Reader},
    frame::{Frame, Media, TrackKind},
    output::{Output, Part},
    pipeline::{PackagingConfig, Pipeline, Start},
};
use mp4_atom::{Any, DecodeMaybe, Moof};

/// A packet as ffprobe tells of it, in ticks of its track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub pts: i64,
    pub dts: i64,
    pub size: usize,
    pub key: bool,
    pub hash: String,
}

/// What ffmpeg encoded.
pub struct Encoded {
    flv: Bytes,
}

/// A published segment.
#[derive(Debug, Clone)]
pub struct Segment {
    pub msn: u64,
    pub epoch: u64,
    pub bytes: Vec<u8>,
}

/// Everything that a session put out.
#[derive(Default)]
pub struct Session {
    pub inits: BTreeMap<(String, u64, u32), Bytes>,
    pub parts: Vec<Part>,
    pub out: Vec<Output>,
}

/// Encodes `seconds` of a test picture and sound.
pub fn encode(name: &str, seconds: u32, codec: &[&str], gop: &[&str], video: bool, audio: bool) -> Encoded {
    let path = scratch(name, "flv");
    let seconds = seconds.to_string();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y"]);
    if video {
        ffmpeg.args(["-f", "lavfi", "-t", &seconds, "-i", "testsrc2=size=320x180:rate=30"]);
    }
    if audio {
        ffmpeg.args(["-f", "lavfi", "-t", &seconds, "-i", "sine=frequency=440:sample_rate=48000"]);
    }
    ffmpeg
        .args(["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", "300k"])
        .args(codec)
        .args(gop);
    ffmpeg.args(["-c:a", "aac", "-ac", "2", "-f", "flv"]).arg(&path);
    let done = ffmpeg.output().expect("ffmpeg is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let flv = std::fs::read(&path).expect("ffmpeg wrote it").into();
    std::fs::remove_file(path).expect("it is ours");
    Encoded { flv }
}

impl Encoded {
    /// What the demuxer makes of it.
    pub fn media(&self) -> Vec<Media> {
        let mut demuxer = Demuxer::new();
        let mut out = Vec::new();
        for tag in Reader::new(self.flv.clone()).expect("ffmpeg writes FLV") {
            let tag = tag.expect("whole tags");
            demuxer.parse(tag.kind, tag.timestamp_ms, tag.payload, &mut out).expect("ffmpeg's tags are good");
        }
        out
    }

    /// The frames of one kind.
    pub fn frames(&self, kind: TrackKind) -> Vec<Frame> {
        let frames = self.media().into_iter().filter_map(|media| match media {
            Media::Frame(frame) if frame.track.kind == kind => Some(frame),
            _ => None,
        });
        frames.collect()
    }
}

impl Session {
    /// Packages everything; wall time follows the timestamps from `now_ms` on.
    pub fn package(media: Vec<Media>, now_ms: u64) -> Self {
        let mut pipeline = Pipeline::new(PackagingConfig::default(), Start { epoch: 7, msn_base: 100, now_ms });
        let mut session = Self::default();
        let mut now = now_ms;
        for item in media {
            if let Media::Frame(frame) = &item {
                now = now.max(now_ms + u64::from(frame.timestamp_ms));
            }
            pipeline.push(now, item, &mut session.out);
        }
        pipeline.end(now, &mut session.out);
        session.collect();
        session
    }

    /// Sorts what came out.
    pub fn collect(&mut self) {
        for output in &self.out {
            match output {
                Output::Init { epoch, track, n, bytes } => {
                    self.inits.insert((track.to_string(), *epoch, *n), bytes.clone());
                }
                Output::Part(part) => self.parts.push(part.clone()),
                _ => {}
            }
        }
    }

    pub fn segments(&self, track: &str) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for part in self.parts.iter().filter(|part| part.track.to_string() == track) {
            if segments.last().is_none_or(|last| last.msn != part.msn) {
                segments.push(Segment { msn: part.msn, epoch: part.epoch, bytes: Vec::new() });
            }
            let segment = segments.last_mut().expect("just pushed");
            part.payload.iter().for_each(|piece| segment.bytes.extend_from_slice(piece));
        }
        segments
    }

    /// A segment as a file: its init and its bytes.
    pub fn file(&self, track: &str, segment: &Segment) -> Vec<u8> {
        [&self.inits[&(track.to_owned(), segment.epoch, 0)][..], &segment.bytes].concat()
    }

    /// All segments as one file.
    pub fn whole(&self, track: &str) -> Vec<u8> {
        let segments = self.segments(track);
        let mut file = self.inits[&(track.to_owned(), segments[0].epoch, 0)].to_vec();
        segments.iter().for_each(|segment| file.extend_from_slice(&segment.bytes));
        file
    }

    /// Every video packet: bytes, keyframe flag, and times as sent from the first on; only `lost` at the end may lack.
    pub fn assert_video_is(&self, encoded: &Encoded, lost: usize) {
        let packets = packets_of("v0", &self.whole("v0"));
        let frames = encoded.frames(TrackKind::Video);
        assert!(packets.len() + lost >= frames.len(), "{} of {}", packets.len(), frames.len());
        let presented = |frame: &Frame| ticks(i64::from(frame.timestamp_ms) + i64::from(frame.composition_ms));
        let (first, zero) = (&packets[0], &frames[0]);
        for (i, (packet, frame)) in packets.iter().zip(&frames).enumerate() {
            // ffprobe moves all presentation times by the most negative offset; what matters is how they lie to each other.
            assert_eq!(packet.dts - first.dts, ticks((frame.timestamp_ms - zero.timestamp_ms).into()), "packet {i}");
            assert_eq!(packet.pts - first.pts, presented(frame) - presented(zero), "packet {i}");
            assert_eq!((packet.size, packet.key), (frame.data.len(), frame.sync), "packet {i}");
            assert_eq!(packet.hash, crc(&frame.data), "packet {i}");
        }
    }

    /// Every audio packet from the first that is not before the video on: its bytes, 1,024 samples apart, and within
    /// 2 ms of its timestamp relative to the video; only `lost` at the ends may lack.
    pub fn assert_audio_is(&self, encoded: &Encoded, lost: usize) {
        let packets = packets_of("a0", &self.whole("a0"));
        let frames = encoded.frames(TrackKind::Audio);
        let skipped =
            frames.iter().position(|frame| crc(&frame.data) == packets[0].hash).expect("the first is one of them");
        assert!(packets.len() + lost >= frames.len(), "{} of {}", packets.len(), frames.len());
        let first = &encoded.frames(TrackKind::Video)[0];
        let zero = decode_time(&self.segments("v0")[0])
            - ticks(i64::from(first.timestamp_ms) + i64::from(first.composition_ms));
        for (i, (packet, frame)) in packets.iter().zip(&frames[skipped..]).enumerate() {
            assert_eq!(packet.hash, crc(&frame.data), "packet {i}");
            assert_eq!(packet.pts, packets[0].pts + 1024 * i as i64, "packet {i}");
            let off = packet.pts * 90_000 / 48_000 - zero - ticks(frame.timestamp_ms.into());
            assert!(off.abs() <= ticks(2), "packet {i} is off by {off} ticks");
        }
    }
}

fn ticks(ms: i64) -> i64 {
    ms * 90
}

/// What ffprobe says of a file of one track, and what it complains of.
pub fn ffprobe(file: &[u8], ask: &[&str]) -> (String, String) {
    let path = scratch("probe", "mp4");
    std::fs::write(&path, file).expect("a scratch file");
    let done = Command::new("ffprobe").args(["-v", "warning", "-of", "csv=p=0"]).args(ask).arg(&path).output();
    std::fs::remove_file(path).expect("it is ours");
    let done = done.expect("ffprobe is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (String::from_utf8_lossy(&done.stdout).into(), String::from_utf8_lossy(&done.stderr).into())
}

/// All packets of a file of one track, with hashes of their bytes.
pub fn packets_of(track: &str, file: &[u8]) -> Vec<Packet> {
    let ask = ["-show_packets", "-show_data_hash", "CRC32", "-show_entries", "packet=pts,dts,size,flags,data_hash"];
    let (lines, complaints) = ffprobe(file, &ask);
    assert_eq!(complaints, "", "{track}");
    lines.lines().filter(|line| !line.is_empty()).map(packet).collect()
}

fn packet(line: &str) -> Packet {
    let fields: Vec<_> = line.split(',').collect();
    let number = |i: usize| fields[i].parse::<i64>().expect(line);
    Packet {
        pts: number(0),
        dts: number(1),
        size: number(2) as usize,
        key: fields[3].starts_with('K'),
        hash: fields[4].trim_start_matches("CRC32:").to_owned(),
    }
}

fn crc(data: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    format!("{:08x}", crc.sum())
}

fn scratch(name: &str, extension: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("freshet-media-{}-{name}-{n}.{extension}", std::process::id()))
}

/// A segment's first `moof`, as mp4-atom reads it.
pub fn first_moof(segment: &Segment) -> Moof {
    let mut rest = &segment.bytes[..];
    while let Some(atom) = Any::decode_maybe(&mut rest).expect("whole boxes") {
        if let Any::Moof(moof) = atom {
            return moof;
        }
    }
    panic!("segment {} has no moof", segment.msn);
}

/// Decode time of a segment's first sample.
pub fn decode_time(segment: &Segment) -> i64 {
    first_moof(segment).traf[0].tfdt.as_ref().expect("a tfdt").base_media_decode_time as i64
}

/// Decodes a file; what ffmpeg finds silent for more than a quarter of a second, and what it complains of.
pub fn silences(file: &[u8]) -> (String, String) {
    let path = scratch("silence", "mp4");
    std::fs::write(&path, file).expect("a scratch file");
    let decode = |level: &str, filter: &[&str]| {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostats", "-v", level, "-i"]).arg(&path).args(filter).args(["-f", "null", "-"]);
        String::from_utf8_lossy(&ffmpeg.output().expect("ffmpeg is installed").stderr).into_owned()
    };
    let found = (decode("info", &["-af", "silencedetect=noise=-60dB:d=0.25"]), decode("warning", &[]));
    std::fs::remove_file(path).expect("it is ours");
    found
}
