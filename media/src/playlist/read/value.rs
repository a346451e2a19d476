//! Numbers, durations and dates, as the draft spells them (§4.2).

use std::time::Duration;

use super::ByteRange;

/// A decimal integer below 2⁶⁴.
pub(super) fn integer(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Seconds, whole or with a fraction, below 10⁹; digits beyond the nanosecond are dropped.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.len() > 9 || fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9).fold(0, |n, b| n * 10 + u32::from(b - b'0'));
    Some(Duration::new(integer(whole)?, nanos))
}

/// A finite number that is not negative.
pub(super) fn number(text: &str) -> Option<f64> {
    let legal = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    legal.then(|| text.parse().ok()).flatten().filter(|n: &f64| n.is_finite())
}

/// `1280x720`.
pub(super) fn resolution(text: &str) -> Option<(u64, u64)> {
    let (width, height) = text.split_once('x')?;
    Some((integer(width)?, integer(height)?))
}

/// `length[@offset]`.
pub(super) fn byte_range(text: &str) -> Option<ByteRange> {
    match text.split_once('@') {
        None => Some(ByteRange { length: integer(text)?, offset: None }),
        Some((length, offset)) => Some(ByteRange { length: integer(length)?, offset: Some(integer(offset)?) }),
    }
}

/// Microseconds since 1970 of an ISO 8601 date with time and zone.
pub(super) fn date_time(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}
