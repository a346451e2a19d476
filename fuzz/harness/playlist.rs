//! What is done with an input, by the fuzz targets and by the tests that replay the corpora.

use std::time::Duration;

use bytes::Bytes;
use freshet_media::{
    lint::{Lint, Protocol, Response},
    playlist::read::{Playlist, apply_delta, parse},
};

/// Reads two playlists, which a zero byte parts, and merges the second into the first.
pub fn m3u8(input: &[u8]) {
    let mut pieces = input.splitn(2, |byte| *byte == 0);
    let (first, second) = (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    if let (Ok(Playlist::Media(before)), Ok(Playlist::Media(delta))) = (parse(first), parse(second)) {
        let _ = (before.newest(), delta.newest());
        if let Ok(merged) = apply_delta(&before, &delta) {
            assert_eq!(merged.skipped, 0);
            assert_eq!(merged.media_sequence, delta.media_sequence);
            assert!(merged.last_msn() >= delta.last_msn());
        }
    }
}

/// Answers what lint asks for with the pieces of the input, which `\0\0` parts, over and over.
pub fn lint(input: &[u8]) {
    let pieces: Vec<Bytes> = split(input).map(Bytes::copy_from_slice).collect();
    let Some(mut lint) = Lint::new("http://a/live/ada/index.m3u8") else { return };
    for n in 0..64 {
        for request in lint.requests() {
            let at = Duration::from_millis(100 * n);
            let response = Response {
                status: 200,
                protocol: Protocol::Http1,
                headers: Vec::new(),
                body: pieces[(request.id as usize) % pieces.len()].clone(),
                asked_at: at,
                head_at: at,
                done_at: at,
            };
            lint.respond(request.id, &response);
        }
    }
    assert!(lint.report().findings.len() <= freshet_media::lint::MAX_FINDINGS);
}

fn split(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let all = rest.take()?;
        match all.windows(2).position(|pair| pair == [0, 0]) {
            // Boxes are full of zeros: only the first few pieces are parted.
            Some(at) if all[..at].starts_with(b"#EXTM3U") => {
                rest = Some(&all[at + 2..]);
                Some(&all[..at])
            }
            _ => Some(all),
        }
    })
}
