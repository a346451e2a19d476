//! The `Date` of replies, made once a second.

use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use freshet_proto::clock::WallClock;
use http::HeaderValue;

/// The wall clock as HTTP shows it.
pub(crate) struct Dates {
    clock: WallClock,
    /// The second since 1970 and how it is written.
    last: RwLock<(u64, HeaderValue)>,
}

impl Dates {
    pub(crate) fn new(clock: WallClock) -> Self {
        Self { clock, last: RwLock::new((0, written(0))) }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Now, as a header's value.
    pub(crate) fn header(&self) -> HeaderValue {
        let second = self.clock.now_ms() / 1000;
        let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
        if last.0 == second {
            return last.1.clone();
        }
        drop(last);
        let value = written(second);
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = (second, value.clone());
        value
    }
}

fn written(second: u64) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(imf_fixdate(second))).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn imf_fixdate(second: u64) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, time) = (second / 86_400, second % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let weekday = WEEKDAYS[(days % 7) as usize];
    format!("{weekday}, {day:02} {} {year:04} {hour:02}:{minute:02}:{second:02} GMT", MONTHS[month])
}

/// Year, month from 0 and day from 1 of a day counted from 1970-01-01.
fn civil(mut day: u64) -> (u64, usize, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970 + day / 146_097 * 400;
    day %= 146_097;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= lengths[month] {
        day -= lengths[month];
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_written_as_http_wants_them() {
        for (second, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_219_199, "Fri, 20 Nov 2026 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(imf_fixdate(second), expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_header_follows_the_clock() {
        let dates = Dates::new(WallClock::anchored(std::time::Duration::from_secs(784_111_777)));
        assert_eq!(dates.header(), "Sun, 06 Nov 1994 08:49:37 GMT");
        tokio::time::advance(std::time::Duration::from_secs(2)).await;
        assert_eq!(dates.header(), "Sun, 06 Nov 1994 08:49:39 GMT");
    }
}
