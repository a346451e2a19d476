//! A segment of the window and its lines, written once.

use std::{fmt::Write, time::Duration};

use super::{PartEntry, SegmentStart};
use crate::{
    frame::TrackId,
    playlist::text::{DateTime, Seconds},
};

/// A segment and its lines.
#[derive(Debug)]
pub struct Segment {
    pub start: SegmentStart,
    pub duration: Duration,
    pub parts: u32,
    pub gaps: u32,
    pub state: State,
    /// `EXT-X-DISCONTINUITY`, with it or where it changes `EXT-X-MAP`, and `EXT-X-PROGRAM-DATE-TIME`.
    pub head: String,
    pub has_map: bool,
    /// `EXT-X-PART` lines; empty once they are too far from the end.
    pub part_lines: String,
    /// `EXT-X-GAP`, `EXTINF` and the URI; empty until the segment is finished.
    pub tail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Finished,
    Listed,
}

impl Segment {
    pub fn new(track: TrackId, start: SegmentStart, before: Option<SegmentStart>) -> Self {
        let mut segment = Self {
            start,
            duration: Duration::ZERO,
            parts: 0,
            gaps: 0,
            state: State::Open,
            head: String::new(),
            has_map: start.init.is_some()
                && (start.discontinuity
                    || before.is_none_or(|before| (before.epoch, before.init) != (start.epoch, start.init))),
            part_lines: String::new(),
            tail: String::new(),
        };
        let mut head = String::with_capacity(128);
        if start.discontinuity {
            head.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if segment.has_map {
            segment.write_map(&mut head, track);
        }
        let _ = writeln!(head, "#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(start.program_date_time));
        segment.head = head;
        segment
    }

    pub fn push(&mut self, track: TrackId, part: &PartEntry) {
        let SegmentStart { epoch, msn, .. } = self.start;
        let _ = write!(self.part_lines, "#EXT-X-PART:DURATION={}", Seconds(part.duration));
        if part.independent {
            self.part_lines.push_str(",INDEPENDENT=YES");
        }
        if part.gap {
            self.part_lines.push_str(",GAP=YES");
        }
        let _ = writeln!(self.part_lines, ",URI=\"{epoch}/{track}/{msn}.{}.m4s\"", part.part);
        self.duration += part.duration;
        self.parts += 1;
        self.gaps += u32::from(part.gap);
    }

    pub fn finish(&mut self, track: TrackId) {
        let SegmentStart { epoch, msn, .. } = self.start;
        self.state = State::Finished;
        if self.is_gap() {
            self.tail.push_str("#EXT-X-GAP\n");
        }
        let _ = write!(self.tail, "#EXTINF:{},\n{epoch}/{track}/{msn}.m4s\n", Seconds(self.duration));
    }

    pub fn is_gap(&self) -> bool {
        self.gaps == self.parts
    }

    pub fn write_map(&self, out: &mut String, track: TrackId) {
        let SegmentStart { epoch, init: Some(init), .. } = self.start else { return };
        let _ = writeln!(out, "#EXT-X-MAP:URI=\"{epoch}/{track}/init-{init}.mp4\"");
    }

    pub fn write(&self, out: &mut String) {
        out.push_str(&self.head);
        out.push_str(&self.part_lines);
        if self.state == State::Listed {
            out.push_str(&self.tail);
        }
    }

    pub fn text_len(&self) -> usize {
        self.head.len() + self.part_lines.len() + self.tail.len()
    }
}
