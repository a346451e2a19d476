//! One session: an encoder's configurations and frames in, objects and playlists out.
//!
//! ```text
//! Media ─▶ Timeline ─▶ Gather ─▶ Segmenter ─▶ Publisher ─▶ Output::{Init, Part, Segment, Keyframe, Playlist, Expired}
//!                        └─▶ Output::{Constants, Multivariant}, once
//! Inherited ─▶ Heir ─────▶ Output::{Constants, Multivariant, Playlist}, and the playlists go on here
//! ```
//! Whatever a playlist names is output before it. Bad frames are dropped and counted: no call fails.

mod breaks;
mod config;
mod gather;
mod heir;
mod live;
mod meter;
mod publish;
mod stall;
mod start;
mod uplink;

use std::{sync::Arc, time::Duration};

pub use config::{InvalidPackaging, PackagingConfig, PackagingLimits};

use crate::{
    frame::{CodecConfig, Frame, Media, TrackKind},
    health,
    output::Output,
    playlist::inherit::Inherited,
    timeline::{Event, LINE_SCALE, Timeline, Unit, WallAnchor, rescale},
};
use breaks::Breaks;
use gather::Gather;
use heir::Heir;
use live::Live;
use meter::Meter;
use uplink::Uplink;

/// Where a session's numbers begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// The publish.
    pub epoch: u64,
    /// The number of the first segment.
    pub msn_base: u64,
    /// Wall time, milliseconds since 1970 UTC.
    pub now_ms: u64,
}

/// The packager of one session. See the module for what it turns into what.
#[derive(Debug)]
pub struct Pipeline {
    config: PackagingConfig,
    start: Start,
    timeline: Timeline,
    wall: WallAnchor,
    video: Option<Arc<CodecConfig>>,
    audio: Option<Arc<CodecConfig>>,
    /// The session that another origin began, until it goes on here.
    heir: Option<Box<Heir>>,
    state: State,
    meter: Meter,
    uplink: Uplink,
    /// When the session began here, in milliseconds since 1970 UTC.
    since_ms: u64,
    events: Vec<Event>,
    last_media_ms: u64,
    /// The publisher is gone.
    interrupted: bool,
    /// Players have seen other playlists of this session, of which nothing is left.
    bereft: bool,
    breaks: Breaks,
}

#[derive(Debug)]
enum State {
    /// The constants are not known yet.
    Gathering(Box<Gather>),
    /// They are frozen, and parts are published.
    Live(Box<Live>),
    /// Ended, or to be ended because another session is needed. The number of the next segment.
    Over(u64),
}

impl Pipeline {
    /// A session in which nothing has happened.
    pub fn new(config: PackagingConfig, start: Start) -> Self {
        Self {
            config,
            start,
            timeline: Timeline::new(config.limits),
            wall: WallAnchor::default(),
            video: None,
            audio: None,
            heir: None,
            state: State::Gathering(Box::default()),
            meter: Meter::default(),
            uplink: Uplink::new(start.now_ms),
            since_ms: start.now_ms,
            events: Vec::new(),
            last_media_ms: start.now_ms,
            interrupted: false,
            bereft: false,
            breaks: Breaks::default(),
        }
    }

    /// A session that another origin began: shows it as it was left, and goes on with it once the encoder has shown its
    /// tracks: the same constants, the next number whatever `start` says, a discontinuity, and inits of `start`'s epoch.
    ///
    /// Where what comes can't continue it, [`Output::NewSession`] is output.
    pub fn inherit(config: PackagingConfig, start: Start, inherited: Inherited, out: &mut Vec<Output>) -> Self {
        let mut heir = Box::new(Heir::new(&config, inherited));
        heir.announce(&config, out);
        let start = Start { msn_base: heir.next_msn(), ..start };
        Self { heir: Some(heir), ..Self::new(config, start) }
    }

    /// A session that another origin began, and of which nothing is left: it begins at `start`, which is beyond what players
    /// have, and shows them a discontinuity before its first segment (§4.4.4.3), for they may have the segments before.
    pub fn bereft(config: PackagingConfig, start: Start) -> Self {
        Self { bereft: true, ..Self::new(config, start) }
    }

    /// Takes what the encoder sent, at `now_ms` of wall time (milliseconds since 1970 UTC); appends to `out` what
    /// became of it. How long a frame lasts is known only when its successor arrives, so `out` speaks of the frames
    /// before this one. No frame is copied. After [`Output::NewSession`] nothing more is taken.
    ///
    /// Tracks other than the first of their kind are dropped and counted.
    pub fn push(&mut self, now_ms: u64, media: Media, out: &mut Vec<Output>) {
        self.uplink.hear(now_ms, if let Media::Frame(frame) = &media { frame.data.len() } else { 0 });
        match media {
            Media::Config(track, codec) if track.index == 0 => self.configure(now_ms, track.kind, codec, out),
            Media::Frame(frame) if frame.track.index == 0 => self.frame(now_ms, frame, out),
            Media::Frame(_) => self.meter.unplaced += 1,
            Media::Config(..) | Media::Metadata(_) => {}
        }
    }

    /// When [`Self::tick`] is to be called unless something is pushed before, in milliseconds since 1970 UTC.
    pub fn deadline_ms(&self) -> Option<u64> {
        let State::Live(live) = &self.state else { return None };
        let stall = live.is_running().then(|| self.stall_ms(live)).filter(|_| !self.interrupted);
        [live.publisher.deadline_ms(), stall].into_iter().flatten().min()
    }

    /// Does what is due at `now_ms`: lists a finished segment that no part follows, announces missing parts.
    pub fn tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let due = self.deadline_ms();
        if due.is_none_or(|due| now_ms < due) {
            return;
        }
        let State::Live(live) = &mut self.state else { return };
        if live.publisher.deadline_ms().is_some_and(|due| due <= now_ms) {
            live.publisher.list_finished(out);
        }
        let stalls = live.is_running() && !self.interrupted;
        let State::Live(live) = &self.state else { return };
        if stalls && self.stall_ms(live) <= now_ms {
            self.stall(now_ms, out);
        }
    }

    /// The publisher is gone, perhaps to come again: publishes what it had sent and closes the segment. Before the
    /// session's constants are known nothing is published: what comes with the next publish decides them.
    pub fn interrupt(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.interrupted = true;
        self.uplink.close(now_ms);
        if let State::Live(live) = &mut self.state {
            live.flush(now_ms, &mut self.wall, out);
            live.publisher.interrupt(out);
        }
    }

    /// The same session goes on with another publish, after a discontinuity, with the next media sequence number.
    /// Closes what [`Self::interrupt`] left, if that was not called; its outputs then come with the next push.
    pub fn resume(&mut self, now_ms: u64, epoch: u64) {
        self.start = Start { epoch, now_ms, ..self.start };
        self.last_media_ms = now_ms;
        self.interrupted = false;
        self.uplink.open(now_ms);
        self.wall.reset();
        self.meter.discontinue();
        match &mut self.state {
            State::Gathering(gather) => {
                **gather = Gather::default();
                self.timeline.restart(0);
            }
            State::Live(live) => {
                self.timeline.restart(live.segmenter.position());
                self.meter.discontinuities += 1;
                live.resume(now_ms, epoch, &mut self.wall);
            }
            State::Over(_) => {}
        }
    }

    /// The session is over: publishes what is left, and every playlist with `EXT-X-ENDLIST`.
    pub fn end(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.begin_anyway(now_ms, out);
        match &mut self.state {
            State::Live(live) => {
                live.flush(now_ms, &mut self.wall, out);
                live.publisher.end(out);
            }
            State::Gathering(_) => self.heir.iter_mut().for_each(|heir| heir.end(out)),
            State::Over(_) => {}
        }
        self.state = State::Over(self.next_msn());
    }

    /// The number of the next segment that will be begun: where a session after this one may start.
    pub fn next_msn(&self) -> u64 {
        match &self.state {
            State::Gathering(_) => self.start.msn_base,
            State::Live(live) => live.segmenter.msn() + u64::from(live.segmenter.is_running()),
            State::Over(msn) => *msn,
        }
    }

    /// There and back between the encoder and here, as whoever has the connection finds it.
    pub fn measure(&mut self, rtt: Option<Duration>) {
        self.uplink.rtt_ms = rtt.map(|rtt| u64::try_from(rtt.as_millis()).unwrap_or(u64::MAX));
    }

    /// How the newest frame of the leading track came; `None` while it has no date.
    pub fn arrival(&self) -> Option<health::Arrival> {
        self.wall.late_ms().map(|late_ms| health::Arrival { rtt_ms: self.uplink.rtt_ms, late_ms })
    }

    /// How the session is doing at `now_ms`, as in [`Self::push`]. Costs some microseconds.
    pub fn health(&self, now_ms: u64) -> health::Report {
        let (lacks_keyframe, overfull, dropped, gap_parts) = match &self.state {
            State::Gathering(gather) => (gather.lacks_keyframe(), false, 0, 0),
            State::Live(live) => {
                (false, live.segmenter.is_overfull(), live.segmenter.dropped(), live.publisher.gap_parts)
            }
            State::Over(_) => (false, false, 0, 0),
        };
        let mended = self.timeline.mended();
        self.meter.report(&meter::Standing {
            since_ms: self.since_ms,
            video: self.video.as_deref(),
            audio: self.audio.as_deref(),
            uplink: self.uplink.report(now_ms),
            stalls: self.uplink.recent(now_ms),
            skew_ms: self.timeline.skew_ms(),
            dropped: mended.dropped + dropped,
            repaired: mended.repaired,
            lacks_keyframe,
            overfull,
            stalled: self.uplink.silent_ms(now_ms) >= self.config.limits.stall_ms.into(),
            erratic: self.breaks.are_too_many(self.last_media_ms),
            gap_parts,
        })
    }
}

impl Pipeline {
    fn configure(&mut self, now_ms: u64, kind: TrackKind, codec: Arc<CodecConfig>, out: &mut Vec<Output>) {
        if self.is_refused() || self.codec_mut(kind).as_ref() == Some(&codec) {
            return;
        }
        let former = self.codec_mut(kind).replace(Arc::clone(&codec));
        match &mut self.state {
            State::Gathering(gather) if former.is_some() => gather.clear(),
            State::Live(live) => match live.change(now_ms, kind, &codec, &mut self.wall, out) {
                Ok(()) => self.breaks.note(now_ms),
                Err(reason) => return self.new_session(reason, out),
            },
            State::Gathering(_) | State::Over(_) => {}
        }
        self.timeline.configure(kind, &codec);
    }

    fn frame(&mut self, now_ms: u64, frame: Frame, out: &mut Vec<Output>) {
        if self.is_refused() {
            return;
        }
        if let State::Live(live) = &mut self.state {
            if live.lane(frame.track.kind).is_none() {
                return self.new_session("a track came after the session's tracks were settled", out);
            }
            if live.stalled {
                self.end_stall(now_ms, &frame, out);
            }
        }
        self.last_media_ms = now_ms;
        if self.breaks.are_too_many(now_ms) {
            self.meter.unplaced += 1;
            return;
        }
        let mut events = std::mem::take(&mut self.events);
        self.timeline.place(frame, &mut events);
        for event in events.drain(..) {
            match event {
                Event::Discontinuity => self.discontinue(now_ms, out),
                Event::Unit(kind, unit) => self.unit(now_ms, kind, unit, out),
            }
        }
        self.events = events;
    }

    fn discontinue(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.meter.discontinue();
        self.breaks.note(now_ms);
        match &mut self.state {
            State::Gathering(gather) => gather.clear(),
            State::Live(live) => {
                live.flush(now_ms, &mut self.wall, out);
                self.meter.discontinuities += 1;
            }
            State::Over(_) => {}
        }
        self.wall.reset();
    }

    fn unit(&mut self, now_ms: u64, kind: TrackKind, unit: Unit, out: &mut Vec<Output>) {
        let line = rescale(unit.dts, self.scale(kind), LINE_SCALE);
        self.meter.observe(kind, line, unit.sync, unit.data.len());
        let is_leading = kind == TrackKind::Video || self.video.is_none();
        if is_leading {
            self.wall.observe(now_ms, rescale(unit.dts, self.scale(kind), 1_000_000));
        }
        match &mut self.state {
            State::Gathering(gather) => {
                if gather.is_settled(&self.config) && !gather.has(kind) {
                    gather.clear();
                }
                gather.push(kind, unit, line);
                let ready = match &self.heir {
                    Some(heir) => gather.can_continue(&heir.kinds()) || gather.is_closed(&self.config),
                    None => gather.is_ready(&self.config),
                };
                if ready {
                    self.begin(now_ms, out);
                }
            }
            State::Live(live) => {
                if let Err(reason) = live.push(now_ms, kind, unit, line, &mut self.wall, out) {
                    self.new_session(reason, out);
                }
            }
            State::Over(_) => {}
        }
        if let Some(late_ms) = self.wall.late_ms().filter(|_| is_leading) {
            self.uplink.date(late_ms);
        }
    }

    fn new_session(&mut self, reason: &'static str, out: &mut Vec<Output>) {
        if self.is_refused() {
            return;
        }
        out.push(Output::NewSession(reason));
        match &mut self.state {
            State::Live(live) => live.refused = true,
            _ => self.heir.iter_mut().for_each(|heir| heir.refused = true),
        }
    }

    /// Whether another session was asked for.
    fn is_refused(&self) -> bool {
        match &self.state {
            State::Live(live) => live.refused,
            _ => self.heir.as_ref().is_some_and(|heir| heir.refused),
        }
    }

    fn scale(&self, kind: TrackKind) -> u32 {
        match (kind, self.audio.as_deref()) {
            (TrackKind::Audio, Some(CodecConfig::Aac(aac))) => aac.sample_rate,
            _ => LINE_SCALE,
        }
    }

    fn codec_mut(&mut self, kind: TrackKind) -> &mut Option<Arc<CodecConfig>> {
        match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }
}

#[cfg(test)]
mod tests;
