//! Where a part and a segment end, in ticks of the line.

use std::time::Duration;

use crate::timeline::LINE_SCALE;

/// A decode time is moved by no more than this; a longer hole becomes parts that are announced as missing.
pub(super) const LEAP: i64 = LINE_SCALE as i64;

/// RTMP rounds times to milliseconds: two of them may make a frame look this much longer than it is.
const ROUNDING: i64 = LINE_SCALE as i64 / 500;

/// What is frozen for a session. Ticks of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How long a part should be.
    pub(crate) aim: i64,
    /// The longest part of the leader. Another track's may be longer by one of its units.
    pub(crate) longest: i64,
    /// `PART-TARGET`.
    pub(crate) part_target: i64,
    /// A segment ends at the first keyframe from here on.
    pub(crate) segment: i64,
    /// No segment is longer: what still rounds to `EXT-X-TARGETDURATION`.
    pub(crate) longest_segment: i64,
    /// A track that is behind by so much is not waited for.
    pub(crate) lag: i64,
}

/// The part that is being filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) msn: u64,
    pub(super) part: u32,
    pub(super) segment_start: i64,
    pub(super) part_start: i64,
    /// Whether the segment began with a keyframe.
    pub(super) independent: bool,
}

/// The part ends before the unit at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartEnd {
    pub(super) end: i64,
    /// The unit at hand begins a segment.
    pub(super) keyframe: bool,
}

impl Rules {
    /// Rules with the constants of a session. `longest` is the longest part that whole frames of the leader make.
    pub(crate) fn new(
        aim: Duration,
        longest: Duration,
        part_target: Duration,
        segment: Duration,
        target_s: u64,
    ) -> Self {
        let ticks = |duration: Duration| (duration.as_nanos() * u128::from(LINE_SCALE) / 1_000_000_000) as i64;
        Self {
            aim: ticks(aim).max(1),
            longest: ticks(longest).max(1),
            part_target: ticks(part_target).max(1),
            segment: ticks(segment),
            longest_segment: ticks(Duration::from_secs(target_s) + Duration::from_millis(499)),
            lag: 2 * LEAP,
        }
    }

    /// As [`Rules::new`] under a part target that is given, with audio frames that are `audio_frame` long; `None` where
    /// no part could be long enough.
    pub(crate) fn within(
        aim: Duration,
        part_target: Duration,
        audio_frame: Duration,
        segment: Duration,
        target_s: u64,
    ) -> Option<Self> {
        let longest = part_target.checked_sub(audio_frame)?;
        let mut rules = Self::new(aim, longest, part_target, segment.min(Duration::from_secs(target_s)), target_s);
        rules.aim = rules.aim.clamp(rules.shortest().min(rules.longest), rules.longest);
        (rules.shortest() <= rules.longest).then_some(rules)
    }

    /// The least that a part may be when nothing excuses it.
    pub(super) fn shortest(&self) -> i64 {
        (self.part_target * 85 + 99) / 100
    }

    /// Where the open part should end: on a grid that begins with the segment, so that parts don't drift against it.
    pub(super) fn target(&self, head: &Head) -> i64 {
        let grid = head.segment_start + (i64::from(head.part) + 1) * self.aim;
        let shortest = head.part_start + self.shortest();
        grid.clamp(shortest, shortest.max(head.part_start + self.longest))
    }

    /// Whether the open part ends before a unit at `at` which is `frame` after the one before it.
    ///
    /// A part ends at the unit nearest to its target. One that would be too long ends at its target all the same, and
    /// the unit's decode time is moved there. An `urgent` keyframe begins a segment whatever the length of this one.
    pub(super) fn cut(&self, head: &Head, at: i64, frame: i64, sync: bool, urgent: bool) -> Option<PartEnd> {
        let length = at - head.part_start;
        let old_enough = at - head.segment_start + frame / 2 >= self.segment;
        let keyframe = sync && (old_enough || !head.independent || urgent);
        let near = at + frame / 2 >= self.target(head) || length + frame > self.longest + ROUNDING;
        let due = length > self.longest || (near && length >= self.shortest());
        let end = if length > self.longest { self.target(head) } else { at };
        (keyframe || due).then_some(PartEnd { end, keyframe })
    }

    /// Whether a segment must end with the part that ends at `end`, because the next might not fit.
    pub(super) fn must_end_segment(&self, head: &Head, end: i64) -> bool {
        end + self.part_target - head.segment_start > self.longest_segment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_that_are_rounded_make_no_short_parts() {
        let ms = Duration::from_millis;
        let rules = Rules::new(ms(500), ms(500), ms(521), ms(2000), 4);
        let tick = |ms: i64| ms * LINE_SCALE as i64 / 1000;
        let head = Head { independent: true, ..Head::default() };
        // 30 frames a second, as RTMP says it: … 433, 467, 500.
        assert_eq!(rules.cut(&head, tick(467), tick(34), false, false), None);
        assert_eq!(
            rules.cut(&head, tick(500), tick(33), false, false),
            Some(PartEnd { end: tick(500), keyframe: false })
        );
        // A frame that comes a millisecond late is moved to where the part must end.
        assert_eq!(
            rules.cut(&head, tick(501), tick(34), false, false),
            Some(PartEnd { end: tick(500), keyframe: false })
        );
    }
}
