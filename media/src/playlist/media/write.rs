//! What is written of a window: the playlist in full, and what is new since the skip boundary.

use std::fmt::Write;

use super::{Hint, MediaPlaylist, PlaylistConfig, RenditionReport, Segment, State};
use crate::playlist::text::Seconds;

impl MediaPlaylist {
    pub(super) fn full(&self, others: &[RenditionReport]) -> (String, usize) {
        let mut out = String::with_capacity(1024 + self.segments.iter().map(Segment::text_len).sum::<usize>());
        // `EXT-X-MAP` needs version 6, `EXT-X-GAP` 8 (§8).
        let gaps = self.segments.iter().any(|segment| segment.state == State::Listed && segment.is_gap());
        self.write_head(&mut out, if gaps { 8 } else { 6 });
        let body = self.write_segments(&mut out, 0, others);
        let body = if self.ended { out.len() } else { body };
        (out, body)
    }

    pub(super) fn delta(&self, others: &[RenditionReport]) -> Option<String> {
        let skipped = self.skippable();
        if skipped == 0 || self.ended {
            return None;
        }
        let mut out = String::with_capacity(4096);
        self.write_head(&mut out, 9);
        let _ = writeln!(out, "#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}");
        self.write_segments(&mut out, skipped, others);
        Some(out)
    }

    /// Sequence numbers stand before `EXT-X-SKIP`, because older hls.js refuses them after it.
    fn write_head(&self, out: &mut String, version: u8) {
        let first = self.segments.front().map_or(self.next_msn, |first| first.start.msn);
        let Self { constants, discontinuity_sequence, .. } = self;
        let _ = write!(
            out,
            "#EXTM3U\n#EXT-X-VERSION:{version}\n{constants}#EXT-X-MEDIA-SEQUENCE:{first}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{discontinuity_sequence}\n"
        );
    }

    /// How many segments end further from the end of the last listed one than the skip boundary.
    fn skippable(&self) -> usize {
        let mut after = self.listed;
        let beyond = |segment: &&Segment| {
            after = after.saturating_sub(segment.duration);
            segment.state == State::Listed && after >= self.config.target_duration * 6
        };
        self.segments.iter().take_while(beyond).count()
    }

    /// Returns where the last listed segment ends.
    fn write_segments(&self, out: &mut String, skipped: usize, others: &[RenditionReport]) -> usize {
        if let Some(first) = self.segments.front().filter(|first| skipped == 0 && !first.has_map) {
            first.write_map(out, self.track);
        }
        let mut body = out.len();
        for segment in self.segments.iter().skip(skipped) {
            segment.write(out);
            if segment.state == State::Listed {
                body = out.len();
            }
        }
        self.write_end(out, others);
        body
    }

    fn write_end(&self, out: &mut String, others: &[RenditionReport]) {
        if self.ended {
            out.push_str("#EXT-X-ENDLIST\n");
            return;
        }
        if let Some(hint) = &self.hint {
            self.write_hint(out, hint);
        }
        for other in others.iter().filter(|other| other.track != self.track) {
            let RenditionReport { track, msn, part } = other;
            let _ = writeln!(out, "#EXT-X-RENDITION-REPORT:URI=\"{track}.m3u8\",LAST-MSN={msn},LAST-PART={part}");
        }
    }

    fn write_hint(&self, out: &mut String, hint: &Hint) {
        let Hint { epoch, msn, part, init } = hint;
        let track = self.track;
        if let Some(init) = init {
            let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"{epoch}/{track}/init-{init}.mp4\"");
        }
        let _ = writeln!(out, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{epoch}/{track}/{msn}.{part}.m4s\"");
    }
}

/// The tags that never change.
pub(super) fn constants(config: &PlaylistConfig) -> String {
    let target = config.target_duration;
    format!(
        "#EXT-X-TARGETDURATION:{}\n\
         #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={},HOLD-BACK={},PART-HOLD-BACK={}\n\
         #EXT-X-PART-INF:PART-TARGET={}\n",
        target.as_secs(),
        Seconds(6 * target),
        Seconds(3 * target),
        Seconds(3 * config.part_target),
        Seconds(config.part_target),
    )
}
