//! An hour of media in seconds: a clip in a loop, with the timestamps of an encoder that has run for weeks.

use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, Bytes};
use freshet_media::{
    frame::{Frame, Media, TrackId, TrackKind},
    output::{Output, Part},
    pipeline::{PackagingConfig, Pipeline, Start},
};
use mp4_atom::{Any, DecodeMaybe, Moof};

use crate::session::Encoded;

const NOON: u64 = 1_795_262_400_000;

/// Where frames must come to lie, in ticks after the first of the video, and their bytes.
type Expected = VecDeque<(i64, i64, Bytes)>;

/// What one track put out, checked as it comes.
struct Track {
    id: TrackId,
    /// Ticks a second.
    scale: i64,
    expected: Expected,
    /// Ticks of the first video frame.
    zero: Option<i64>,
    end: Option<i64>,
    segment: Duration,
    checked: usize,
}

/// Publishes `encoded` in a loop for `seconds` from the timestamp `start_ms` on, and checks every packet: its bytes,
/// its times, and that it begins where the one before ends.
pub fn check(encoded: &Encoded, seconds: u64, start_ms: u32) {
    let mut pipeline = Pipeline::new(PackagingConfig::default(), Start { epoch: 1, msn_base: 0, now_ms: NOON });
    let mut out = Vec::new();
    let configs = encoded.media().into_iter().filter(|media| matches!(media, Media::Config(..)));
    configs.for_each(|config| pipeline.push(NOON, config, &mut out));
    let frames = [encoded.frames(TrackKind::Video), encoded.frames(TrackKind::Audio)];
    let (mut video, mut audio) = (Track::new(TrackId::V0, 90_000), Track::new(TrackId::A0, 48_000));
    let lead = frames[0][0].composition_ms;
    let (mut n, mut i) = (0_u64, 0_u64);
    while i < seconds * 30 {
        let (video_at, audio_at) = (i * 100 / 3, n * 64 / 3);
        let is_video = video_at <= audio_at;
        let (at, index, source) = if is_video { (video_at, i, &frames[0]) } else { (audio_at, n, &frames[1]) };
        let like = &source[(index % source.len() as u64) as usize];
        let timestamp_ms = start_ms.wrapping_add(at as u32);
        let frame = Frame { timestamp_ms, ..like.clone() };
        if is_video {
            let pts = at as i64 * 90 + i64::from(like.composition_ms) * 90;
            video.expected.push_back((at as i64 * 90 + i64::from(lead) * 90, pts, like.data.clone()));
            i += 1;
        } else {
            // The first that is not before the first picture is the first that is kept.
            if at >= lead as u64 {
                audio.expected.push_back((n as i64 * 1024, n as i64 * 1024, like.data.clone()));
            }
            n += 1;
        }
        pipeline.push(NOON + at, Media::Frame(frame), &mut out);
        drain(&mut out, &mut video, &mut audio);
    }
    pipeline.end(NOON, &mut out);
    drain(&mut out, &mut video, &mut audio);
    assert_eq!(video.checked as u64, seconds * 30, "every picture");
    assert!(audio.expected.len() <= 3, "{} frames of sound are left", audio.expected.len());
    let health = pipeline.health(NOON);
    assert_eq!((health.discontinuities, health.repaired_frames, health.gap_parts), (0, 0, 0));
}

fn drain(out: &mut Vec<Output>, video: &mut Track, audio: &mut Track) {
    for output in out.drain(..) {
        match output {
            Output::Part(part) if part.track == video.id => video.check(&part),
            Output::Part(part) => {
                audio.zero = audio.zero.or(video.zero);
                audio.check(&part);
            }
            Output::Segment { track, .. } => {
                let track = if track == video.id { &mut *video } else { &mut *audio };
                assert!(track.segment <= Duration::from_millis(4499), "{:?}", track.segment);
                track.segment = Duration::ZERO;
            }
            _ => {}
        }
    }
}

impl Track {
    fn new(id: TrackId, scale: i64) -> Self {
        Self { id, scale, expected: VecDeque::new(), zero: None, end: None, segment: Duration::ZERO, checked: 0 }
    }

    fn check(&mut self, part: &Part) {
        assert!(part.duration <= Duration::from_millis(522), "{:?}", part.duration);
        self.segment += part.duration;
        let (moof, mut data) = open(part);
        let mut dts = moof.traf[0].tfdt.as_ref().expect("a tfdt").base_media_decode_time as i64;
        assert_eq!(
            dts,
            self.end.unwrap_or(dts),
            "{} {}.{} begins where the one before ended",
            self.id,
            part.msn,
            part.part
        );
        if self.id == TrackId::V0 && self.zero.is_none() {
            self.zero = Some(dts - self.expected[0].0);
        }
        let zero = self.zero.expect("video comes first") * self.scale / 90_000;
        for sample in moof.traf[0].trun[0].samples.iter() {
            let (expected_dts, expected_pts, bytes) = self.expected.pop_front().expect("no packet is made up");
            let pts = dts + sample.cts.unwrap_or(0);
            // Sound lies on a grid of whole frames that begins within a millisecond of its first timestamp.
            let tolerance = if self.scale == 90_000 { 0 } else { 96 };
            assert!((dts - zero - expected_dts).abs() <= tolerance, "{} of {expected_dts} at {}", self.id, dts - zero);
            assert!((pts - zero - expected_pts).abs() <= tolerance, "{} of {expected_pts} at {}", self.id, pts - zero);
            assert_eq!(data.split_to(sample.size.expect("a size") as usize), bytes);
            dts += i64::from(sample.duration.unwrap_or(1024));
            self.checked += 1;
        }
        assert!(data.is_empty());
        self.end = Some(dts);
    }
}

/// The header and the data of a part.
fn open(part: &Part) -> (Moof, Bytes) {
    let whole = Bytes::from(part.payload.concat());
    let mut rest = &whole[..];
    loop {
        match Any::decode_maybe(&mut rest).expect("whole boxes").expect("a moof") {
            Any::Moof(moof) => {
                let mut data = whole.slice(whole.len() - rest.len()..);
                data.advance(8);
                return (moof, data);
            }
            _ => continue,
        }
    }
}
