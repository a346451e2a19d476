//! Cuts a session's access units into parts and segments, alike in all tracks.
//!
//! ```text
//! Unit ──push──▶ Segmenter ──▶ Cut::Begin ──▶ EXT-X-PROGRAM-DATE-TIME, EXT-X-DISCONTINUITY, EXT-X-MAP
//!                         ├──▶ Cut::Part ───▶ cmaf::chunk, EXT-X-PART
//!                         └──▶ Cut::End ────▶ EXTINF
//! ```
//! The rules of draft-pantos-hls-rfc8216bis that decide: a part is no longer than the part target, and no shorter than
//! 85 % of it unless it ends its segment or precedes a gap (§4.4.4.9); no segment, rounded, is longer than the target
//! duration (§4.4.3.1); matching content has matching numbers in all renditions (§6.2.4).
//!
//! The first track leads: its units decide where a part ends, when the next unit is in hand, so that what follows is
//! known when the part is published. Every such *boundary* then holds for all tracks: part p of a track ends at its
//! first unit at or after boundary p. When the leader is silent for a part, another track decides in its place, so that
//! the session always makes progress. A track that has nothing between two boundaries gets a gap.
//!
//! A video unit's decode time may be moved to the start of its part, to keep parts within their limits where frames are
//! far apart; its presentation time never is. Time here is media time, read from the units.

mod lane;
mod rules;

use std::collections::VecDeque;

use crate::{pipeline::PackagingLimits, timeline::Unit};

use lane::{Boundary, Lane};
pub(crate) use lane::{LaneConfig, PartCut};
pub(crate) use rules::Rules;
use rules::{Head, LEAP};

/// What the segmenter decided, in the order in which it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A segment begins, in all tracks; their parts follow when they are complete.
    Begin(Begin),
    /// A track's part is complete, or missing.
    Part(PartCut),
    /// A track's segment is complete.
    End {
        /// Index of the track.
        lane: usize,
        /// Number of the segment.
        msn: u64,
        /// How many parts it has.
        parts: u32,
    },
}

/// How a segment begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Its number.
    pub(crate) msn: u64,
    /// When, in ticks of the line.
    pub(crate) at: i64,
    /// Whether the leader's first unit is one from which decoding can begin.
    pub(crate) independent: bool,
    /// What follows does not continue what was, or is coded in another way.
    pub(crate) discontinuity: bool,
}

/// The segmenter. See the module for what it does.
///
/// Holds the units of one open part a track, and of what a track is ahead of the others: at most
/// [`PackagingLimits::part_bytes`] and [`PackagingLimits::waiting_frames`].
#[derive(Debug)]
pub(crate) struct Segmenter {
    rules: Rules,
    lanes: Vec<Lane>,
    /// Decided, and not yet passed by all tracks.
    boundaries: VecDeque<Boundary>,
    /// How many boundaries have been passed by all.
    passed: u64,
    head: Head,
    running: bool,
    /// How far the other tracks had come when the leader was last heard, in ticks of the line.
    heard_at: i64,
    /// The next keyframe begins a segment whatever the length of this one.
    break_at_keyframe: bool,
    /// Nothing has been published.
    fresh: bool,
    dropped: u64,
}

impl Segmenter {
    /// Tracks in order, the leader first; `msn` is the number of the first segment.
    pub(crate) fn new(rules: Rules, limits: PackagingLimits, lanes: &[LaneConfig], msn: u64) -> Self {
        Self {
            rules,
            lanes: lanes.iter().enumerate().map(|(i, config)| Lane::new(i, *config, limits)).collect(),
            boundaries: VecDeque::new(),
            passed: 0,
            head: Head { msn, ..Head::default() },
            running: false,
            heard_at: i64::MIN,
            break_at_keyframe: false,
            fresh: true,
            dropped: 0,
        }
    }

    /// The first segment does not continue what is listed already.
    pub(crate) fn begin_with_discontinuity(&mut self) {
        self.fresh = false;
    }

    /// Takes the next unit of a track in decode order; appends the cuts it completes.
    ///
    /// How long a unit lasts is known only when its successor arrives, so `out` speaks of the units before it.
    pub(crate) fn push(&mut self, lane: usize, mut unit: Unit, out: &mut Vec<Cut>) {
        if !self.running && lane == 0 {
            self.start(&unit, out);
        }
        let running = self.running;
        let Some(track) = self.lanes.get_mut(lane) else { return };
        if !track.admits(&unit, running) {
            track.dropped += 1;
            return;
        }
        unit.dts += track.shift;
        if lane == 0 {
            self.heard_at = self.lanes[1..].iter().filter_map(Lane::newest).max().unwrap_or(i64::MIN);
        }
        let track = &mut self.lanes[lane];
        if lane == 0 && track.cursor == self.passed + self.boundaries.len() as u64 {
            self.lead(unit, out);
        } else {
            track.queue(unit);
        }
        if self.running {
            self.settle(out);
        }
    }

    /// Closes whatever is open: what comes next doesn't continue it. The next segment begins with a keyframe.
    pub(crate) fn flush(&mut self, out: &mut Vec<Cut>) {
        if !self.running {
            self.dropped += self.lanes.iter_mut().map(Lane::clear).sum::<u64>();
            return;
        }
        self.force(out);
        if let Some(end) = self.pending_end() {
            self.decide(end, true, out);
            self.boundaries.iter_mut().for_each(|boundary| boundary.is_final = true);
            self.force(out);
        } else if self.head.part > 0 {
            let Head { msn, part, .. } = self.head;
            out.extend((0..self.lanes.len()).map(|lane| Cut::End { lane, msn, parts: part }));
            self.head = Head { msn: msn + 1, ..Head::default() };
        }
        out.retain(|cut| !matches!(cut, Cut::Begin(begin) if begin.msn == self.head.msn));
        self.running = false;
        self.break_at_keyframe = false;
        self.dropped += self.lanes.iter_mut().map(Lane::clear).sum::<u64>();
    }

    /// Announces one part as missing in all tracks, after closing the open one.
    pub(crate) fn stall(&mut self, out: &mut Vec<Cut>) {
        if !self.running {
            return;
        }
        self.force(out);
        let end = self.pending_end().unwrap_or(self.head.part_start + self.rules.aim);
        self.decide(end, false, out);
        self.force(out);
    }

    /// The next keyframe begins a segment with a discontinuity: it is coded in another way.
    pub(crate) fn break_at_keyframe(&mut self) {
        self.break_at_keyframe = self.running;
    }

    /// The segment that is open, or will be next.
    pub(crate) fn msn(&self) -> u64 {
        self.head.msn
    }

    /// Where the open part begins, in ticks of the line.
    pub(crate) fn position(&self) -> i64 {
        self.head.part_start
    }

    /// Whether a segment is open.
    pub(crate) fn is_running(&self) -> bool {
        self.running
    }

    /// Units that were not used: before the first keyframe, too late, or beyond a limit.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped + self.lanes.iter().map(|lane| lane.dropped).sum::<u64>()
    }

    /// Whether units had to be dropped because they were too large for a part or segment.
    pub(crate) fn is_overfull(&self) -> bool {
        self.lanes.iter().any(|lane| lane.overfull)
    }
}

/// How boundaries come about.
impl Segmenter {
    /// Begins with a keyframe of the leader. Its decode time becomes its presentation time, so that the earliest
    /// presentation time of the stream is its first decode time.
    fn start(&mut self, unit: &Unit, out: &mut Vec<Cut>) {
        if !unit.sync {
            return;
        }
        let at = self.lanes[0].to_line(unit.pts);
        self.lanes[0].shift = unit.pts - unit.dts;
        self.head = Head { segment_start: at, part_start: at, independent: true, part: 0, ..self.head };
        let cursor = self.passed + self.boundaries.len() as u64;
        for lane in &mut self.lanes {
            lane.start_at(at, cursor);
        }
        out.push(Cut::Begin(Begin { msn: self.head.msn, at, independent: true, discontinuity: !self.fresh }));
        self.running = true;
        self.fresh = false;
    }

    /// The leader's unit decides whether the part before it is complete.
    fn lead(&mut self, unit: Unit, out: &mut Vec<Cut>) {
        let lane = &mut self.lanes[0];
        let sync = unit.sync;
        let before = lane.last_dts().map(|last| lane.to_line(last));
        let dts = lane.queue(unit);
        let at = lane.to_line(dts);
        let Some(before) = before else {
            return self.begin_part(at, out);
        };
        let broken = self.break_at_keyframe && sync && lane.is_video();
        let urgent = broken || lane.is_full;
        if let Some(cut) = self.rules.cut(&self.head, at, at - before, sync, urgent) {
            self.break_at_keyframe &= !broken;
            self.decide_with(cut.end, cut.keyframe, sync, broken, out);
        }
    }

    /// The leader's first unit of the open part is at `at`: near its start, or there is a hole.
    fn begin_part(&mut self, at: i64, out: &mut Vec<Cut>) {
        if at - self.head.part_start > LEAP {
            self.decide(self.head.part_start + self.rules.aim, false, out);
        } else {
            self.lanes[0].fit();
        }
    }

    fn decide(&mut self, end: i64, ends_segment: bool, out: &mut Vec<Cut>) {
        let independent = !self.lanes[0].is_video();
        self.decide_with(end, ends_segment, independent, false, out);
    }

    fn decide_with(&mut self, end: i64, ends: bool, independent: bool, discontinuity: bool, out: &mut Vec<Cut>) {
        let Head { msn, part, .. } = self.head;
        let last = ends || self.rules.must_end_segment(&self.head, end);
        self.boundaries.push_back(Boundary { end, msn, part, last, is_final: false });
        if last {
            self.head = Head { msn: msn + 1, part: 0, segment_start: end, part_start: end, independent };
            out.push(Cut::Begin(Begin { msn: msn + 1, at: end, independent, discontinuity }));
        } else {
            self.head = Head { part: part + 1, part_start: end, ..self.head };
        }
    }

    /// Where the leader's open part would end if nothing more came; `None` where it has nothing.
    fn pending_end(&self) -> Option<i64> {
        let end = self.lanes[0].pending_end()?;
        let start = self.head.part_start;
        Some(end.clamp(start + 1, start + self.rules.longest.max(1)))
    }
}

/// How boundaries are passed.
impl Segmenter {
    /// Closes every part whose end is known, and decides for a leader that lags.
    fn settle(&mut self, out: &mut Vec<Cut>) {
        loop {
            let closed = self.close_parts(false, out);
            let led = self.lead_again(out);
            if !closed && !led && !self.decide_for_leader(out) {
                return;
            }
        }
    }

    fn force(&mut self, out: &mut Vec<Cut>) {
        while self.close_parts(true, out) {}
    }

    fn close_parts(&mut self, force: bool, out: &mut Vec<Cut>) -> bool {
        let decided = self.passed + self.boundaries.len() as u64;
        let lost_before = self.head.part_start - self.rules.lag;
        let mut closed = false;
        for lane in &mut self.lanes {
            while lane.cursor < decided {
                let boundary = self.boundaries[(lane.cursor - self.passed) as usize];
                if !(force || lane.has_reached(boundary.end) || boundary.end <= lost_before) {
                    break;
                }
                lane.close(&boundary, &self.rules, out);
                closed = true;
            }
        }
        let slowest = self.lanes.iter().map(|lane| lane.cursor).min().unwrap_or(decided);
        self.boundaries.drain(..(slowest - self.passed) as usize);
        self.passed = slowest;
        closed
    }

    /// Units that the leader had beyond the boundaries decide anew.
    fn lead_again(&mut self, out: &mut Vec<Cut>) -> bool {
        let decided = self.passed + self.boundaries.len() as u64;
        let lane = &mut self.lanes[0];
        if lane.cursor != decided || !lane.has_closed {
            return false;
        }
        lane.has_closed = false;
        for unit in lane.take_queue() {
            if self.lanes[0].cursor == self.passed + self.boundaries.len() as u64 {
                self.lead(unit, out);
            } else {
                self.lanes[0].queue(unit);
            }
        }
        true
    }

    /// A track waits at most one part for a leader that is silent, and longer for one that is only behind; then it
    /// decides alone.
    fn decide_for_leader(&mut self, out: &mut Vec<Cut>) -> bool {
        let decided = self.passed + self.boundaries.len() as u64;
        let Rules { aim, lag, .. } = self.rules;
        let (first, latest) = (self.head.part_start + 2 * aim, self.head.part_start + aim + lag);
        let silent_from = self.heard_at.saturating_add(aim);
        let waits = |lane: &Lane| {
            let is_silent = lane.has_reached(first) && lane.has_reached(silent_from);
            lane.cursor == decided && (is_silent || lane.has_reached(latest))
        };
        if self.lanes[0].has_reached(first) || !self.lanes[1..].iter().any(waits) {
            return false;
        }
        self.decide(self.rules.target(&self.head), false, out);
        true
    }
}

#[cfg(test)]
mod tests;
