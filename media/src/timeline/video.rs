//! Where a video frame lies: as its timestamps say, after the one before.

use super::{Event, Mended, Unit, clock::Clock};
use crate::frame::{Frame, TrackKind};

/// A presentation time further from the decode time than this is nonsense, in milliseconds.
const MAX_COMPOSITION_MS: i32 = 5000;

/// Ticks a millisecond.
const TICKS: i64 = 90;

pub(super) fn place(clock: &mut Clock, frame: Frame, mended: &mut Mended, out: &mut Vec<Event>) {
    let given = clock.at_ms * TICKS;
    let sane = frame.composition_ms.saturating_abs() <= MAX_COMPOSITION_MS;
    let pts = given + if sane { i64::from(frame.composition_ms) * TICKS } else { 0 };
    let dts = clock.last.map_or(given, |last| given.max(last + 1));
    mended.repaired += u64::from(dts != given || !sane);
    if let Some(last) = clock.last {
        clock.frame = (dts - last).clamp(1, 90_000);
    }
    clock.last = Some(dts);
    clock.end = Some(dts + clock.frame);
    out.push(Event::Unit(TrackKind::Video, Unit { dts, pts, sync: frame.sync, data: frame.data }));
}
