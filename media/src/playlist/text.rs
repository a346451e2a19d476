//! How numbers and times are written in a playlist.

use std::{fmt, time::Duration};

/// Seconds with six decimals, rounded half up, so that of two durations the longer is never written as the shorter.
pub(super) struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = (self.0.as_nanos() + 500) / 1000;
        write!(f, "{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

/// A date and time of ISO 8601 in UTC with milliseconds, from microseconds since 1970. What no calendar has becomes
/// 1970.
pub(super) struct DateTime(pub i64);

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = jiff::Timestamp::from_millisecond(self.0.div_euclid(1000)).unwrap_or_default();
        write!(f, "{timestamp:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_to_the_microsecond() {
        let written = |nanos| Seconds(Duration::from_nanos(nanos)).to_string();
        assert_eq!(written(0), "0.000000");
        assert_eq!(written(499_999_999), "0.500000");
        assert_eq!(written(33_333_333), "0.033333");
        assert_eq!(written(12_000_000_500), "12.000001");
    }

    #[test]
    fn dates_have_milliseconds_and_a_zone() {
        assert_eq!(DateTime(1_795_250_000_123_999).to_string(), "2026-11-21T08:33:20.123Z");
        assert_eq!(DateTime(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(DateTime(i64::MAX).to_string(), "1970-01-01T00:00:00.000Z");
    }
}
