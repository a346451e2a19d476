//! Where an audio frame lies: after the one before, a frame's length on, as long as its timestamp agrees roughly.

use bytes::Bytes;

use super::{
    Event, Mended, Unit,
    clock::{Clock, Moved},
};
use crate::frame::TrackKind;

/// Weight of the past in the smoothed drift.
const SMOOTHING: i64 = 32;

pub(super) fn place(clock: &mut Clock, data: Bytes, moved: Moved, mended: &mut Mended, out: &mut Vec<Event>) {
    let given = clock.ticks(clock.at_ms);
    let expected = clock.end.filter(|_| moved == Moved::No);
    let dts = match expected {
        None => clock.last.map_or(given, |last| given.max(last + clock.frame)),
        Some(expected) if given - expected > clock.frame => fill(clock, expected, given, mended, out),
        Some(expected) if given - expected < -clock.frame => {
            mended.dropped += 1;
            return;
        }
        Some(expected) => expected + step(clock, given - expected),
    };
    if moved != Moved::No {
        clock.drift = 0;
    }
    push(clock, dts, data, out);
}

fn push(clock: &mut Clock, dts: i64, data: Bytes, out: &mut Vec<Event>) {
    clock.last = Some(dts);
    clock.end = Some(dts + clock.frame);
    out.push(Event::Unit(TrackKind::Audio, Unit { dts, pts: dts, sync: true, data }));
}

/// Fills what is missing with silence; returns where the frame at hand comes to lie. Without silence the frame before
/// lasts longer.
fn fill(clock: &mut Clock, expected: i64, given: i64, mended: &mut Mended, out: &mut Vec<Event>) -> i64 {
    let Some(silence) = clock.silence.clone() else {
        mended.repaired += 1;
        return given;
    };
    let missing = (given - expected + clock.frame / 2) / clock.frame;
    for i in 0..missing {
        push(clock, expected + i * clock.frame, silence.clone(), out);
    }
    mended.repaired += missing as u64;
    expected + missing * clock.frame
}

/// Rounding and jitter are ignored; when their mean exceeds a quarter of a frame it is worked off, a sample a frame.
fn step(clock: &mut Clock, error: i64) -> i64 {
    clock.drift += error - clock.drift / SMOOTHING;
    let mean = clock.drift / SMOOTHING;
    clock.correcting = mean.abs() > if clock.correcting { clock.frame / 64 } else { clock.frame / 4 };
    let step = if clock.correcting { mean.signum() } else { 0 };
    clock.drift -= step * SMOOTHING;
    step
}
