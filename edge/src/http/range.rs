//! `Range`: one range of bytes, also open-ended as players ask for a part that is still to come (RFC 8673).

use http::HeaderValue;

/// What is to be sent of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    /// From where, and how many bytes.
    Range(u64, u64),
    /// 416
    Nothing,
}

/// What `range` wants of `len` bytes. What is no single range of bytes is ignored, as RFC 9110 §14.2 allows.
pub(crate) fn wanted(range: Option<&HeaderValue>, len: u64) -> Wanted {
    let Some(spec) = range.and_then(|range| range.to_str().ok()).and_then(|range| range.strip_prefix("bytes=")) else {
        return Wanted::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Some(first), _) if last.is_empty() => from_to(first, u64::MAX, len),
        (Some(first), Some(last)) if first <= last => from_to(first, last, len),
        (None, Some(suffix)) if first.is_empty() => match suffix.min(len) {
            0 => Wanted::Nothing,
            suffix => Wanted::Range(len - suffix, suffix),
        },
        _ => Wanted::Whole,
    }
}

fn from_to(first: u64, last: u64, len: u64) -> Wanted {
    if first >= len {
        return Wanted::Nothing;
    }
    Wanted::Range(first, last.min(len - 1) - first + 1)
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served_and_whatever_else_is_ignored() {
        for (range, expected) in [
            ("bytes=0-3", Wanted::Range(0, 4)),
            ("bytes=2-", Wanted::Range(2, 8)),
            ("bytes=0-9007199254740991", Wanted::Range(0, 10)),
            ("bytes=0-99999999999999999999999", Wanted::Range(0, 10)),
            ("bytes=-3", Wanted::Range(7, 3)),
            ("bytes=-30", Wanted::Range(0, 10)),
            ("bytes=9-9", Wanted::Range(9, 1)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-3", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("lines=0-3", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(&HeaderValue::from_static(range)), 10), expected, "{range}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
