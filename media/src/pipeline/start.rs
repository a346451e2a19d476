//! A session's start: its constants are frozen, and what was gathered is published.

use std::sync::Arc;

use super::{Pipeline, State, gather::Gather, live::Live};
use crate::{
    frame::{CodecConfig, TrackId, TrackKind},
    output::Output,
    timeline::{LINE_SCALE, rescale},
};

impl Pipeline {
    /// Freezes the constants and publishes what was gathered.
    pub(super) fn begin(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let State::Gathering(gather) = &mut self.state else { return };
        let codec = |kind, codec: &Option<Arc<CodecConfig>>| codec.clone().filter(|_| gather.has(kind));
        let video = codec(TrackKind::Video, &self.video).map(|codec| (TrackId::V0, codec));
        let audio = codec(TrackKind::Audio, &self.audio).map(|codec| (TrackId::A0, codec));
        let tracks: Vec<_> = [video, audio].into_iter().flatten().collect();
        let mut live = match &mut self.heir {
            None => {
                let mut live = Live::new(&self.config, &self.start, gather, tracks, out);
                if self.bereft {
                    live.segmenter.begin_with_discontinuity();
                }
                Box::new(live)
            }
            Some(heir) => match heir.live(&self.config, self.start.epoch, &tracks) {
                Ok(live) => Box::new(live),
                Err(reason) => return self.new_session(reason, out),
            },
        };
        let units = gather.take();
        self.heir = None;
        for (kind, unit) in units {
            let line = rescale(unit.dts, live.scale(kind), LINE_SCALE);
            // Tracks can't change here: these are the units by which they were settled.
            let _ = live.push(now_ms, kind, unit, line, &mut self.wall, out);
        }
        self.state = State::Live(live);
    }

    /// The publisher is gone before the constants were known: begins with what there is.
    pub(super) fn begin_anyway(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let can_begin = |gather: &Gather| match &self.heir {
            Some(heir) => !heir.refused && gather.can_continue(&heir.kinds()),
            None => gather.can_begin(),
        };
        if matches!(&self.state, State::Gathering(gather) if can_begin(gather)) {
            self.begin(now_ms, out);
        }
    }
}
