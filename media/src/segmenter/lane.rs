//! One track's units on their way into parts.

use std::collections::VecDeque;

use crate::{
    frame::TrackKind,
    pipeline::PackagingLimits,
    segmenter::{
        Cut,
        rules::{LEAP, Rules},
    },
    timeline::{LINE_SCALE, Unit, rescale, rescale_up},
};

/// What a track is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneConfig {
    pub(crate) kind: TrackKind,
    /// Ticks a second.
    pub(crate) scale: u32,
    /// Length of a unit in ticks, where nothing else is known.
    pub(crate) frame: i64,
}

/// A track's part: complete, or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartCut {
    /// Index of the track.
    pub(crate) lane: usize,
    /// Number of the segment.
    pub(crate) msn: u64,
    /// Index in the segment.
    pub(crate) part: u32,
    /// Where it begins, in ticks of the track.
    pub(crate) start: i64,
    /// Where the next begins.
    pub(crate) end: i64,
    /// What is in it; nothing in a part that is missing.
    pub(crate) units: Vec<Unit>,
    /// Whether it ends its segment, so that the next part is the first of the next segment.
    pub(crate) last: bool,
}

/// Where a part ends in all tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boundary {
    /// Ticks of the line.
    pub(super) end: i64,
    pub(super) msn: u64,
    pub(super) part: u32,
    pub(super) last: bool,
    /// Nothing follows.
    pub(super) is_final: bool,
}

#[derive(Debug)]
pub(super) struct Lane {
    index: usize,
    config: LaneConfig,
    limits: PackagingLimits,
    waiting: VecDeque<Unit>,
    /// Where the open part begins, in ticks of the track.
    start: i64,
    /// Whether the open part is the first since the session began or was interrupted.
    is_first: bool,
    /// How many boundaries it has passed.
    pub(super) cursor: u64,
    /// What is added to decode times.
    pub(super) shift: i64,
    /// Whether a part was closed since this was last looked at.
    pub(super) has_closed: bool,
    pub(super) dropped: u64,
    pub(super) overfull: bool,
    waiting_bytes: usize,
    segment_bytes: usize,
    /// Dropping until the next keyframe.
    dropping: bool,
    /// The part or segment is full: the keyframe at hand begins another.
    pub(super) is_full: bool,
    /// DTS of the newest unit as it came, and how long the one before lasted.
    newest: Option<i64>,
    frame: i64,
}

impl Lane {
    pub(super) fn new(index: usize, config: LaneConfig, limits: PackagingLimits) -> Self {
        Self {
            index,
            config,
            limits,
            waiting: VecDeque::new(),
            start: 0,
            is_first: true,
            cursor: 0,
            shift: 0,
            has_closed: false,
            dropped: 0,
            overfull: false,
            waiting_bytes: 0,
            segment_bytes: 0,
            dropping: false,
            is_full: false,
            newest: None,
            frame: config.frame,
        }
    }

    pub(super) fn is_video(&self) -> bool {
        self.config.kind == TrackKind::Video
    }

    /// Ticks of the line.
    pub(super) fn to_line(&self, ticks: i64) -> i64 {
        rescale(ticks, self.config.scale, LINE_SCALE)
    }

    /// Whether a unit is to be taken: not too late, not too large, and not before the session runs if it leads.
    pub(super) fn admits(&mut self, unit: &Unit, running: bool) -> bool {
        if !running {
            return self.index > 0 && self.admits_waiting(unit);
        }
        if !self.is_video() && unit.dts < self.start {
            return false;
        }
        self.note(unit);
        let size = unit.data.len();
        let full = self.waiting_bytes + size > self.limits.part_bytes
            || self.segment_bytes + self.waiting_bytes + size > self.limits.segment_bytes
            || self.waiting.len() >= self.limits.waiting_frames;
        self.overfull |= full;
        self.is_full = full && unit.sync;
        if self.is_video() && unit.sync {
            // It closes what is full, so that there is always progress.
            self.dropping = size > self.limits.part_bytes;
            return !self.dropping;
        }
        self.dropping |= full && self.is_video();
        !full && !self.dropping
    }

    fn note(&mut self, unit: &Unit) {
        if let Some(before) = self.newest.replace(unit.dts).filter(|_| self.is_video()) {
            self.frame = (unit.dts - before).clamp(1, LEAP);
        }
    }

    /// While the leader has no keyframe, the newest units are kept.
    fn admits_waiting(&mut self, unit: &Unit) -> bool {
        while self.waiting.len() >= self.limits.waiting_frames
            || self.waiting_bytes + unit.data.len() > self.limits.part_bytes
        {
            let Some(oldest) = self.waiting.pop_front() else { return false };
            self.waiting_bytes -= oldest.data.len();
            self.dropped += 1;
        }
        true
    }

    /// Appends a unit; a decode time that is not after the last is moved behind it. Returns its decode time.
    pub(super) fn queue(&mut self, mut unit: Unit) -> i64 {
        if let Some(last) = self.waiting.back() {
            unit.dts = unit.dts.max(last.dts + 1);
        }
        self.waiting_bytes += unit.data.len();
        let dts = unit.dts;
        self.waiting.push_back(unit);
        dts
    }

    /// The newest unit as it came, in ticks of the line.
    pub(super) fn newest(&self) -> Option<i64> {
        self.newest.map(|newest| self.to_line(newest))
    }

    pub(super) fn last_dts(&self) -> Option<i64> {
        self.waiting.back().map(|unit| unit.dts)
    }

    pub(super) fn take_queue(&mut self) -> VecDeque<Unit> {
        self.waiting_bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// Begins a segment at `line`; units before it are not used.
    pub(super) fn start_at(&mut self, line: i64, cursor: u64) {
        self.start = rescale_up(line, LINE_SCALE, self.config.scale);
        self.is_first = true;
        self.cursor = cursor;
        self.segment_bytes = 0;
        self.dropping = false;
        self.newest = None;
        while self.waiting.pop_front_if(|unit| unit.dts < self.start).is_some() {}
        self.waiting_bytes = self.waiting.iter().map(|unit| unit.data.len()).sum();
    }

    /// Whether it has a unit at or after `line`.
    pub(super) fn has_reached(&self, line: i64) -> bool {
        self.last_dts().is_some_and(|last| self.is_beyond(last, line))
    }

    fn is_beyond(&self, ticks: i64, line: i64) -> bool {
        i128::from(ticks) * i128::from(LINE_SCALE) >= i128::from(line) * i128::from(self.config.scale)
    }

    /// Where what is waiting ends, in ticks of the line.
    pub(super) fn pending_end(&self) -> Option<i64> {
        let last = self.waiting.back()?;
        Some(self.to_line(last.dts + self.frame))
    }

    /// Closes the part that ends at `boundary` with what is there.
    ///
    /// What a part says of its length is how long its samples play, and its date is that of the first of them. Audio that
    /// comes some frames after the keyframe it goes with therefore begins there and not at the keyframe; where it comes
    /// back after a hole, its first frame fills what is left of the hole in its part.
    pub(super) fn close(&mut self, boundary: &Boundary, rules: &Rules, out: &mut Vec<Cut>) {
        let mut units = self.take_before(boundary, rules);
        if let Some(first) = units.first_mut().filter(|_| !self.is_video()) {
            if self.is_first {
                self.start = self.start.max(first.dts);
            } else if first.dts > self.start {
                (first.dts, first.pts) = (self.start, self.start);
            }
        }
        self.is_first = false;
        let end = self.end_of(boundary, &units);
        self.segment_bytes += units.iter().map(|unit| unit.data.len()).sum::<usize>();
        let Boundary { msn, part, last, .. } = *boundary;
        out.push(Cut::Part(PartCut { lane: self.index, msn, part, start: self.start, end, units, last }));
        self.start = end;
        self.cursor += 1;
        self.has_closed = true;
        if last {
            self.overfull &= self.dropping;
            self.segment_bytes = 0;
            out.push(Cut::End { lane: self.index, msn, parts: part + 1 });
        }
        self.fit();
    }

    fn take_before(&mut self, boundary: &Boundary, rules: &Rules) -> Vec<Unit> {
        let mut count = self.waiting.partition_point(|unit| !self.is_beyond(unit.dts, boundary.end));
        if boundary.is_final && !self.is_video() {
            let limit = self.start + rescale(rules.part_target, LINE_SCALE, self.config.scale);
            count = count.max(self.waiting.partition_point(|unit| unit.dts + self.config.frame <= limit));
        }
        if self.start >= rescale_up(boundary.end, LINE_SCALE, self.config.scale) {
            // The leader's part is shorter than one of our units, and that was in the part before: take the next.
            count = count.max(1.min(self.waiting.len()));
        }
        let units: Vec<_> = self.waiting.drain(..count).collect();
        self.waiting_bytes -= units.iter().map(|unit| unit.data.len()).sum::<usize>();
        units
    }

    /// A part ends where the next unit begins, if that is near; otherwise at the boundary.
    fn end_of(&self, boundary: &Boundary, units: &[Unit]) -> i64 {
        let end = rescale_up(boundary.end, LINE_SCALE, self.config.scale);
        if self.is_video() {
            return end;
        }
        let natural = units.last().map(|last| last.dts + self.config.frame);
        let end = end.max(self.start + 1);
        match self.waiting.front() {
            Some(next) if next.dts - end.max(natural.unwrap_or(end)) <= self.config.frame => next.dts,
            None if boundary.is_final => natural.unwrap_or(end),
            _ => natural.unwrap_or(end).max(end),
        }
    }

    /// Moves the first video unit's decode time to the start of its part, unless the hole before it is too long; those
    /// behind it make way.
    pub(super) fn fit(&mut self) {
        if !self.is_video() {
            return;
        }
        if let Some(first) = self.waiting.front_mut().filter(|first| first.dts - self.start <= LEAP) {
            first.dts = first.dts.min(self.start);
        }
        for (earliest, unit) in (self.start..).zip(&mut self.waiting) {
            if unit.dts >= earliest {
                return;
            }
            unit.dts = earliest;
        }
    }

    /// Forgets what is waiting; returns how many units that was.
    pub(super) fn clear(&mut self) -> u64 {
        self.waiting_bytes = 0;
        let count = self.waiting.len() as u64;
        self.waiting.clear();
        count
    }
}
