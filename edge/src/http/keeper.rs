//! Judges a connection by its pulse, a few times a second. A machine: it reads no clock, a look is a period.

use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Duration;

use super::wire::Pulse;
use crate::{config::HttpConfig, stats::Cut};

/// What is to become of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let it be.
    Fine,
    /// Nothing has happened for a while.
    Idle,
    /// End it.
    Cut(Cut),
}

/// What was seen at the last look.
pub(crate) struct Keeper {
    period_ms: u64,
    head_timeout_ms: u64,
    min_rate: u64,
    reads: usize,
    requests: usize,
    /// For how long a request's head has been arriving.
    head_ms: u64,
    /// For how long the viewer has not taken all that was offered, and what it had taken before.
    blocked: Option<(u64, u64)>,
}

impl Keeper {
    /// Over how many milliseconds the rate is averaged.
    const RATE_WINDOW_MS: u64 = 10_000;

    pub(crate) fn new(config: &HttpConfig, pulse: &Pulse) -> Self {
        Self {
            period_ms: config.buffers_ms.clamp(50, 5000),
            head_timeout_ms: config.head_timeout_ms,
            min_rate: config.min_body_rate,
            reads: pulse.reads.load(Relaxed),
            requests: pulse.requests.load(Relaxed),
            head_ms: 0,
            blocked: None,
        }
    }

    /// How often to look.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_millis(self.period_ms)
    }

    /// How long `bytes` may take to be written in one piece.
    pub(crate) fn allowance(config: &HttpConfig, bytes: usize) -> Duration {
        Duration::from_millis(Self::RATE_WINDOW_MS + bytes as u64 * 1000 / config.min_body_rate.max(1))
    }

    /// One period has passed.
    pub(crate) fn look(&mut self, pulse: &Pulse) -> Verdict {
        let reads = pulse.reads.load(Relaxed);
        let requests = pulse.requests.load(Relaxed);
        let quiet = reads == self.reads && requests == self.requests && pulse.is_idle();
        if self.takes_too_little(pulse) {
            return Verdict::Cut(Cut::Slow);
        }
        if self.dawdles(pulse, reads, requests) {
            return Verdict::Cut(Cut::Head);
        }
        (self.reads, self.requests) = (reads, requests);
        if quiet && self.head_ms == 0 { Verdict::Idle } else { Verdict::Fine }
    }

    fn takes_too_little(&mut self, pulse: &Pulse) -> bool {
        if !pulse.blocked.load(Relaxed) && pulse.owed.load(Relaxed) == 0 {
            self.blocked = None;
            return false;
        }
        let written = pulse.written.load(Relaxed);
        let (ms, before) = self.blocked.map_or((0, written), |(ms, before)| (ms + self.period_ms, before));
        self.blocked = Some((ms, before));
        if ms < Self::RATE_WINDOW_MS {
            return false;
        }
        self.blocked = Some((0, written));
        written - before < self.min_rate * ms / 1000
    }

    /// Bytes came since the last request, but no request of them yet. (A request that began since the last look took
    /// what was read; what came after it is seen at the next look at the latest.)
    fn dawdles(&mut self, pulse: &Pulse, reads: usize, requests: usize) -> bool {
        let arriving = self.head_ms > 0 || reads != self.reads;
        self.head_ms = match arriving && requests == self.requests && pulse.busy.load(Relaxed) == 0 {
            true => self.head_ms + self.period_ms,
            false => 0,
        };
        self.head_ms >= self.head_timeout_ms
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Looks once after each step of a story; `period_ms` is 1,000.
    fn look(story: &[(&str, usize)]) -> Vec<Verdict> {
        let config =
            HttpConfig { buffers_ms: 1000, head_timeout_ms: 3000, min_body_rate: 100, ..HttpConfig::default() };
        let pulse = Arc::new(Pulse::default());
        let mut keeper = Keeper::new(&config, &pulse);
        let mut under_way = Vec::new();
        let mut verdicts = Vec::new();
        for (what, n) in story {
            for _ in 0..*n {
                match *what {
                    "reads" => drop(pulse.reads.fetch_add(1, Relaxed)),
                    "requests" => {
                        pulse.reads.fetch_add(1, Relaxed);
                        under_way.push(pulse.begin());
                    }
                    "replies" => {
                        under_way.clear();
                        pulse.flushed.store(true, Relaxed);
                    }
                    "takes 99 bytes" => {
                        pulse.blocked.store(true, Relaxed);
                        pulse.written.fetch_add(99, Relaxed);
                    }
                    "takes 101 bytes" => {
                        pulse.blocked.store(true, Relaxed);
                        pulse.written.fetch_add(101, Relaxed);
                    }
                    _ => {}
                }
                verdicts.push(keeper.look(&pulse));
            }
        }
        verdicts
    }

    #[test]
    fn a_head_that_trickles_in_is_cut_off_though_bytes_keep_coming() {
        assert_eq!(look(&[("reads", 3)]), [Verdict::Fine, Verdict::Fine, Verdict::Cut(Cut::Head)]);
        assert_eq!(look(&[("reads", 1), ("nothing", 2)]).last(), Some(&Verdict::Cut(Cut::Head)));
    }

    #[test]
    fn a_request_that_is_under_way_is_no_head_that_dawdles() {
        assert!(look(&[("requests", 1), ("nothing", 9)]).iter().all(|verdict| *verdict == Verdict::Fine));
    }

    #[test]
    fn a_connection_is_idle_when_all_is_answered_and_a_look_saw_nothing_new() {
        let verdicts = look(&[("requests", 1), ("nothing", 1), ("replies", 1)]);
        assert_eq!(verdicts, [Verdict::Fine, Verdict::Fine, Verdict::Idle]);
    }

    #[test]
    fn a_viewer_below_the_least_rate_is_cut_off_and_one_above_is_not() {
        assert_eq!(look(&[("requests", 1), ("takes 99 bytes", 11)]).last(), Some(&Verdict::Cut(Cut::Slow)));
        assert!(look(&[("requests", 1), ("takes 101 bytes", 50)]).iter().all(|verdict| *verdict == Verdict::Fine));
    }
}
