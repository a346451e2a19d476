//! What a playlist version costs: the text of a 30 s window, and the text gzipped in full and as delta.
//!
//! `PLAYLIST_LEVELS=1` compares the compression levels on that text too, with the sizes that they give.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use flate2::{Compress, Compression, FlushCompress};
use freshet_media::{
    frame::TrackId,
    playlist::{Hint, MediaPlaylist, PartEntry, PlaylistConfig, RenditionReport, SegmentStart},
};

fn config() -> PlaylistConfig {
    PlaylistConfig {
        target_duration: Duration::from_secs(4),
        part_target: Duration::from_micros(521_333),
        window: Duration::from_secs(30),
    }
}

/// A channel in its second day: a segment of 2 s has four parts.
fn push(playlist: &mut MediaPlaylist, n: u64) {
    let (msn, part) = (43_200 + n / 4, (n % 4) as u32);
    if part == 0 {
        let program_date_time = 1_795_250_000_000_000 + n as i64 * 500_000;
        playlist.begin_segment(SegmentStart {
            epoch: 17,
            msn,
            program_date_time,
            discontinuity: n == 0,
            init: Some(0),
        });
    }
    let duration = Duration::from_nanos(500_000_000 + (n % 3) * 16_666_667);
    playlist.push_part(PartEntry { part, duration, independent: part == 0, gap: false });
    if part == 3 {
        playlist.end_segment();
    }
    let next = 43_200 + (n + 1) / 4;
    playlist.set_hint(Some(Hint { epoch: 17, msn: next, part: ((n + 1) % 4) as u32, init: None }));
}

fn report(n: u64) -> RenditionReport {
    RenditionReport { track: TrackId::A0, msn: 43_200 + n / 4, part: (n % 4) as u32 }
}

fn a_version(c: &mut Criterion) {
    let mut playlist = MediaPlaylist::new(config(), TrackId::V0, 43_200);
    let mut n = 0;
    let mut next = |playlist: &mut MediaPlaylist| {
        push(playlist, n);
        n += 1;
        report(n - 1)
    };
    for _ in 0..100 {
        next(&mut playlist);
    }
    c.bench_function("playlist/push", |b| b.iter(|| next(&mut playlist)));
    c.bench_function("playlist/text", |b| b.iter(|| playlist.text(&[])));
    c.bench_function("playlist/render", |b| {
        b.iter(|| {
            let other = next(&mut playlist);
            playlist.render(&[other])
        })
    });
    if std::env::var_os("PLAYLIST_LEVELS").is_some() {
        levels(c, &playlist.render(&[]).full);
    }
}

fn levels(c: &mut Criterion, text: &[u8]) {
    for level in 0..=6 {
        let mut compressor = Compress::new(Compression::new(level), false);
        let mut out = Vec::with_capacity(16 << 10);
        let mut deflate = || {
            compressor.reset();
            out.clear();
            let done = compressor.compress_vec(text, &mut out, FlushCompress::Finish);
            assert!(done.is_ok());
            out.len()
        };
        let length = deflate();
        c.bench_function(&format!("playlist/level {level}: {} to {length} bytes", text.len()), |b| {
            b.iter(&mut deflate)
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1));
    targets = a_version
}
criterion_main!(benches);
