//! What a pipeline makes, made by hand: track `v0`, epoch 1, parts of half a second and three bytes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use freshet_media::{
    frame::TrackId,
    output::{self, Constants, Output, Rendered, Version},
};

pub(crate) fn constants() -> Output {
    let keep = Duration::from_secs(10);
    Output::Constants(Constants {
        target_duration: Duration::from_secs(4),
        part_target: Duration::from_millis(525),
        keep,
    })
}

pub(crate) fn init(n: u32) -> Output {
    Output::Init { epoch: 1, track: TrackId::V0, n, bytes: Bytes::from(format!("init{n}")) }
}

/// A part whose bytes are its name's digits in two pieces.
pub(crate) fn part(msn: u64, part: u32) -> Output {
    let payload = vec![Bytes::from(msn.to_string()), Bytes::from(format!(".{part}"))];
    Output::Part(output::Part { payload, gap: false, ..gap_part(msn, part) })
}

pub(crate) fn gap(msn: u64, part: u32) -> Output {
    Output::Part(gap_part(msn, part))
}

fn gap_part(msn: u64, part: u32) -> output::Part {
    output::Part {
        epoch: 1,
        track: TrackId::V0,
        msn,
        part,
        duration: Duration::from_millis(500),
        independent: part == 0,
        gap: true,
        payload: Vec::new(),
    }
}

pub(crate) fn segment(msn: u64, parts: u32) -> Output {
    Output::Segment { epoch: 1, track: TrackId::V0, msn, parts }
}

pub(crate) fn playlist(msn: u64, part: u32) -> Output {
    Output::Playlist(TrackId::V0, Arc::new(rendered(msn, part)))
}

/// The ended form of the same playlist.
pub(crate) fn ended(msn: u64, part: u32) -> Output {
    let mut rendered = rendered(msn, part);
    rendered.ended = true;
    rendered.version.edit = 1;
    Output::Playlist(TrackId::V0, Arc::new(rendered))
}

fn rendered(msn: u64, part: u32) -> Rendered {
    let full = Bytes::from(format!("#EXTM3U {msn}.{part}"));
    Rendered {
        version: Version { epoch: 1, msn, part, edit: 0 },
        complete: msn.checked_sub(1).map(|before| (before, 2)),
        body: full.len(),
        ended: false,
        full_gz: full.clone(),
        full,
        delta_gz: None,
    }
}
