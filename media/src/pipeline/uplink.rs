//! When frames came, by the wall clock: what the encoder's network carries, and when it carried nothing.
//!
//! frames, publishes that begin and end ──▶ Uplink ──report──▶ health::Uplink
//! how late frames are, round trips ──▶            └─recent──▶ Alert::UplinkStalls
//!
//! A frame counts when it is whole: one that takes seconds to arrive is a stall too, and viewers see it as one.

use std::collections::VecDeque;

use crate::health;

/// Over how many whole seconds the rate is a mean.
const WINDOW_S: u64 = 10;

/// From how many milliseconds on it is a stall that nothing comes: what players hold back, three parts of half a second.
/// Nobody sees a shorter one.
const STALL_MS: u64 = 1500;

/// For how long a stall that is over is spoken of, in milliseconds.
const RECENT_MS: u64 = 60_000;

/// How many stalls are spoken of at once: as many as there can be in [`RECENT_MS`]. Beyond it the oldest is forgotten, which
/// a clock that jumps to and fro might cause.
const MAX_RECENT: usize = (RECENT_MS / STALL_MS) as usize;

/// One session's way from the encoder, over all its publishes.
#[derive(Debug)]
pub(super) struct Uplink {
    /// When the publish began.
    opened_ms: u64,
    /// When something came last; `None` while nobody publishes.
    heard_ms: Option<u64>,
    /// What came in each second since 1970, the newest last.
    seconds: VecDeque<Second>,
    pub(super) rtt_ms: Option<u64>,
    received_bytes: u64,
    over: Stalls,
    /// When they ended and how long they were, the newest last.
    recent: VecDeque<(u64, u64)>,
}

/// What came in a second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    at: u64,
    bytes: u64,
    /// Frames whose date is known.
    dated: u64,
    /// How late they were, in milliseconds, in all.
    late_ms: u64,
}

/// How often nothing came, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stalls {
    pub(super) count: u64,
    pub(super) total_ms: u64,
    pub(super) longest_ms: u64,
}

impl Stalls {
    fn add(self, ms: u64) -> Self {
        Self { count: self.count + 1, total_ms: self.total_ms + ms, longest_ms: self.longest_ms.max(ms) }
    }
}

impl Uplink {
    /// A publish that begins at `now_ms`, milliseconds since 1970 UTC, as everywhere here.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            opened_ms: now_ms,
            heard_ms: Some(now_ms),
            seconds: VecDeque::new(),
            rtt_ms: None,
            received_bytes: 0,
            over: Stalls::default(),
            recent: VecDeque::new(),
        }
    }

    /// Another publish begins. What stalled before it did so until now, unless that publish was closed.
    pub(super) fn open(&mut self, now_ms: u64) {
        self.close(now_ms);
        (self.opened_ms, self.heard_ms) = (now_ms, Some(now_ms));
        self.seconds.clear();
        self.rtt_ms = None;
    }

    /// The publish is over: that nothing comes any more is no stall.
    pub(super) fn close(&mut self, now_ms: u64) {
        if let Some(ms) = self.stall_ms(now_ms) {
            self.over = self.over.add(ms);
            self.recent.push_back((now_ms, ms));
            if self.recent.len() > MAX_RECENT {
                self.recent.pop_front();
            }
        }
        self.heard_ms = None;
    }

    /// Something came, with `bytes` of coded frames.
    pub(super) fn hear(&mut self, now_ms: u64, bytes: usize) {
        self.close(now_ms);
        self.heard_ms = Some(now_ms);
        self.received_bytes += bytes as u64;
        let at = now_ms / 1000;
        match self.seconds.back_mut() {
            Some(last) if last.at >= at => last.bytes += bytes as u64,
            _ => self.seconds.push_back(Second { at, bytes: bytes as u64, ..Second::default() }),
        }
        while self.seconds.front().is_some_and(|first| first.at + WINDOW_S < at) {
            self.seconds.pop_front();
        }
    }

    /// What came last was so much later than its date says.
    pub(super) fn date(&mut self, late_ms: u64) {
        if let Some(last) = self.seconds.back_mut() {
            last.dated += 1;
            last.late_ms = last.late_ms.saturating_add(late_ms);
        }
    }

    /// For how many milliseconds nothing has come; 0 while nobody publishes.
    pub(super) fn silent_ms(&self, now_ms: u64) -> u64 {
        self.heard_ms.map_or(0, |heard_ms| now_ms.saturating_sub(heard_ms))
    }

    /// The stalls that were over within the last minute.
    pub(super) fn recent(&self, now_ms: u64) -> Stalls {
        let recent = self.recent.iter().filter(|(ended_ms, _)| now_ms.saturating_sub(*ended_ms) < RECENT_MS);
        recent.fold(Stalls::default(), |stalls, (_, ms)| stalls.add(*ms))
    }

    /// The sums since the session began, one that goes on included.
    pub(super) fn report(&self, now_ms: u64) -> health::Uplink {
        let stalls = self.stall_ms(now_ms).map_or(self.over, |ms| self.over.add(ms));
        health::Uplink {
            bitrate: self.bitrate(now_ms),
            received_bytes: self.received_bytes,
            stalls: stalls.count,
            stalled_ms: stalls.total_ms,
            longest_stall_ms: stalls.longest_ms,
            rtt_ms: self.rtt_ms,
            late_ms: self.late_ms(now_ms),
        }
    }

    /// How long the stall is that goes on, if one does.
    fn stall_ms(&self, now_ms: u64) -> Option<u64> {
        Some(self.silent_ms(now_ms)).filter(|ms| *ms >= STALL_MS)
    }

    /// Of the last whole seconds of the publish: the one that goes on is not over, and the first was only begun.
    fn bitrate(&self, now_ms: u64) -> u64 {
        let (now, opened) = (now_ms / 1000, self.opened_ms / 1000);
        let first = (opened + 1).max(now.saturating_sub(WINDOW_S));
        let whole = self.seconds.iter().filter(|second| (first..now).contains(&second.at));
        let bytes: u64 = whole.map(|second| second.bytes).sum();
        bytes * 8 / now.saturating_sub(first).max(1)
    }

    /// The mean of the last seconds' frames; 0 where none came.
    fn late_ms(&self, now_ms: u64) -> u64 {
        let first = (now_ms / 1000).saturating_sub(WINDOW_S);
        let recent = self.seconds.iter().filter(|second| second.at >= first);
        let (late_ms, dated) = recent
            .fold((0u64, 0), |(late_ms, dated), second| (late_ms.saturating_add(second.late_ms), dated + second.dated));
        late_ms.checked_div(dated).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_795_262_400_000;

    /// 1,000 bytes every 100 ms in `[from_ms, to_ms)`.
    fn send(uplink: &mut Uplink, from_ms: u64, to_ms: u64) {
        (from_ms..to_ms).step_by(100).for_each(|at| uplink.hear(NOON + at, 1000));
    }

    /// Count, sum and longest of the stalls.
    fn stalls(uplink: &Uplink, at_ms: u64) -> (u64, u64, u64) {
        let report = uplink.report(NOON + at_ms);
        (report.stalls, report.stalled_ms, report.longest_stall_ms)
    }

    #[test]
    fn a_stall_counts_while_it_goes_on_and_once_when_it_is_over() {
        let mut uplink = Uplink::new(NOON);
        send(&mut uplink, 0, 5000);
        assert_eq!((stalls(&uplink, 6399), stalls(&uplink, 6400)), ((0, 0, 0), (1, 1500, 1500)));
        assert_eq!((stalls(&uplink, 8900), uplink.recent(NOON + 8900)), ((1, 4000, 4000), Stalls::default()));
        send(&mut uplink, 9000, 12_000);
        assert_eq!(stalls(&uplink, 12_000), (1, 4100, 4100));
        send(&mut uplink, 14_000, 14_100);
        assert_eq!(stalls(&uplink, 14_100), (2, 4100 + 2100, 4100));
        assert_eq!(uplink.recent(NOON + 14_100), Stalls { count: 2, total_ms: 6200, longest_ms: 4100 });
        assert_eq!(uplink.recent(NOON + 9000 + RECENT_MS), Stalls { count: 1, total_ms: 2100, longest_ms: 2100 });
        assert_eq!(uplink.recent(NOON + 14_000 + RECENT_MS), Stalls::default());
    }

    #[test]
    fn an_encoder_that_is_gone_does_not_stall_and_its_silence_before_did() {
        let mut uplink = Uplink::new(NOON);
        send(&mut uplink, 0, 3000);
        uplink.close(NOON + 5900);
        assert_eq!((stalls(&uplink, 60_000), uplink.silent_ms(NOON + 60_000)), ((1, 3000, 3000), 0));
        uplink.open(NOON + 60_000);
        assert_eq!(stalls(&uplink, 61_000), (1, 3000, 3000));
        assert_eq!(stalls(&uplink, 62_000), (2, 5000, 3000), "it is there and sends nothing");
    }

    #[test]
    fn the_rate_is_that_of_whole_seconds_of_this_publish_and_falls_when_nothing_comes() {
        let mut uplink = Uplink::new(NOON + 500);
        send(&mut uplink, 500, 2500);
        let rate = |uplink: &Uplink, at_ms| uplink.report(NOON + at_ms).bitrate;
        assert_eq!(rate(&uplink, 900), 0, "no second is over");
        assert_eq!(rate(&uplink, 2500), 80_000, "one is");
        send(&mut uplink, 2500, 30_000);
        assert_eq!((rate(&uplink, 30_000), uplink.seconds.len() as u64), (80_000, WINDOW_S + 1));
        assert_eq!((rate(&uplink, 35_000), rate(&uplink, 60_000)), (40_000, 0));
        assert_eq!(uplink.report(NOON + 60_000).received_bytes, 295 * 1000);
        uplink.open(NOON + 60_000);
        send(&mut uplink, 60_000, 63_000);
        assert_eq!(rate(&uplink, 63_000), 80_000, "what came before does not count");
    }

    #[test]
    fn how_late_frames_are_is_the_mean_of_ten_seconds_and_begins_anew_with_a_publish() {
        let mut uplink = Uplink::new(NOON);
        let late = |uplink: &Uplink, at_ms| uplink.report(NOON + at_ms).late_ms;
        assert_eq!(late(&uplink, 0), 0);
        let come = |uplink: &mut Uplink, at_ms, late_ms| {
            uplink.hear(NOON + at_ms, 1);
            uplink.date(late_ms);
        };
        [(0, 0), (500, 100), (1000, 200)].into_iter().for_each(|(at_ms, late_ms)| come(&mut uplink, at_ms, late_ms));
        uplink.rtt_ms = Some(30);
        assert_eq!((late(&uplink, 1000), late(&uplink, 11_000)), (100, 200));
        come(&mut uplink, 12_000, 40);
        assert_eq!(late(&uplink, 12_000), 40);
        assert_eq!((uplink.report(NOON + 12_000).rtt_ms, late(&uplink, 23_000)), (Some(30), 0));
        uplink.open(NOON + 24_000);
        assert_eq!((uplink.report(NOON + 24_000).rtt_ms, late(&uplink, 24_000)), (None, 0));
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_makes_no_list_grow() {
        let mut uplink = Uplink::new(NOON);
        for _ in 0..1000 {
            uplink.hear(NOON, 1);
            uplink.hear(NOON + 50_000, 1);
        }
        assert_eq!((uplink.recent.len(), stalls(&uplink, 50_000).0), (MAX_RECENT, 1000));
        assert!(uplink.seconds.len() as u64 <= WINDOW_S + 1);
    }
}
