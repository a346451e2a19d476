//! A playlist that goes on where another origin's ended.

use std::time::Duration;

use super::{MediaPlaylist, Newest, PlaylistConfig, Segment, State};
use crate::playlist::inherit::{InheritedSegment, InheritedTrack};

/// The first version counts as so many changes after the last part: more than any origin makes.
const INHERITED_EDIT: u32 = 1 << 16;

impl MediaPlaylist {
    /// A playlist that lists what `left` lists, all of it finished, and hints at nothing. Its constants are those of
    /// `left`; `window` is how much will stay listed.
    ///
    /// Its first version is newer than any that the other origin made of the same parts, so that those who have one of
    /// them learn what is listed as whole now.
    ///
    /// Segments that leave it expire like its own, though whoever calls this may never have had their bytes.
    pub fn inherit(left: InheritedTrack, window: Duration) -> Self {
        let InheritedTrack { track, target_duration, part_target, discontinuity_sequence, segments, .. } = left;
        let first_msn = segments.first().map_or(0, |first| first.start.msn);
        let mut playlist = Self::new(PlaylistConfig { target_duration, part_target, window }, track, first_msn);
        playlist.discontinuity_sequence = discontinuity_sequence;
        segments.into_iter().for_each(|segment| playlist.adopt(segment));
        playlist.longest = playlist.listed;
        playlist.first_edit = INHERITED_EDIT;
        playlist.shrink();
        playlist
    }

    fn adopt(&mut self, left: InheritedSegment) {
        let InheritedSegment { start, duration, parts, gap } = left;
        let before = self.segments.back().map(|segment| segment.start);
        let mut segment = Segment::new(self.track, start, before);
        parts.iter().for_each(|part| segment.push(self.track, part));
        // How many parts a segment had is not known once they are not listed any more, nor is it asked then.
        segment.parts = segment.parts.max(1);
        segment.gaps = if gap { segment.parts } else { segment.gaps.min(segment.parts - 1) };
        segment.duration = duration;
        segment.finish(self.track);
        segment.state = State::Listed;
        self.newest = Some(Newest { epoch: start.epoch, msn: start.msn, part: segment.parts - 1 });
        self.next_msn = start.msn + 1;
        self.listed += duration;
        self.segments.push_back(segment);
    }
}
