//! What packaging costs: frames of 720p30 at 2.5 Mbit/s with AAC at 128 kbit/s in, parts, segments and gzipped
//! playlists out. One iteration is one second of one stream, a minute after its start.

use std::{hint::black_box, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use freshet_media::{
    aac, avc,
    frame::{CodecConfig, Frame, Media, TrackId},
    output::Output,
    pipeline::{PackagingConfig, Pipeline, Start},
};

const NOON: u64 = 1_795_262_400_000;

/// A publisher that never stops.
struct Publisher {
    pipeline: Pipeline,
    video: Bytes,
    audio: Bytes,
    second: u64,
    out: Vec<Output>,
}

impl Publisher {
    fn new() -> Self {
        let mut pipeline = Pipeline::new(PackagingConfig::default(), Start { epoch: 1, msn_base: 0, now_ms: NOON });
        let mut out = Vec::new();
        pipeline.push(NOON, Media::Config(TrackId::V0, Arc::new(h264())), &mut out);
        pipeline.push(NOON, Media::Config(TrackId::A0, Arc::new(aac())), &mut out);
        let noise = |length: usize| (0..length).map(|i| ((i * 7919) >> 3) as u8).collect::<Vec<_>>().into();
        let mut publisher = Self { pipeline, video: noise(10_416), audio: noise(341), second: 0, out };
        (0..60).for_each(|_| publisher.second());
        publisher
    }

    /// Sends 30 video frames and 46 or 47 audio frames.
    fn second(&mut self) {
        let (first, last) = (self.second * 1000, self.second * 1000 + 1000);
        let mut audio = (first * 3).div_ceil(64);
        for i in self.second * 30..self.second * 30 + 30 {
            let at = i * 100 / 3;
            while audio * 64 / 3 <= at {
                self.frame(TrackId::A0, audio * 64 / 3, true);
                audio += 1;
            }
            self.frame(TrackId::V0, at, i.is_multiple_of(60));
        }
        while audio * 64 < last * 3 {
            self.frame(TrackId::A0, audio * 64 / 3, true);
            audio += 1;
        }
        self.second += 1;
        black_box(&self.out);
        self.out.clear();
    }

    fn frame(&mut self, track: TrackId, at: u64, sync: bool) {
        let data = if track == TrackId::V0 { self.video.clone() } else { self.audio.clone() };
        let frame = Frame { track, timestamp_ms: at as u32, composition_ms: 0, sync, data };
        self.pipeline.push(NOON + at, Media::Frame(frame), &mut self.out);
    }
}

fn h264() -> CodecConfig {
    let record = Bytes::from_static(&[1, 100, 0, 31, 0xFF, 0xE0, 0]);
    let codec = "avc1.64001F".into();
    CodecConfig::Avc(avc::Config { record, width: 1280, height: 720, frame_rate: Some((30, 1)), codec })
}

fn aac() -> CodecConfig {
    let (record, codec) = (Bytes::from_static(&[0x11, 0x90]), "mp4a.40.2".into());
    CodecConfig::Aac(aac::Config { record, sample_rate: 48_000, channels: 2, frame_samples: 1024, codec })
}

fn packaging(criterion: &mut Criterion) {
    let mut publisher = Publisher::new();
    criterion.bench_function("packaging a second of 720p30 at 2.5 Mbit/s", |bencher| {
        bencher.iter(|| publisher.second());
    });
}

criterion_group!(benches, packaging);
criterion_main!(benches);
