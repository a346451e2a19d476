//! What a request's head asks for, beyond the name.

use http::{HeaderMap, HeaderValue, Method, header, request::Parts};

/// Kept while a request waits, so it is small.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub head: bool,
    pub gzip: bool,
    pub range: Option<HeaderValue>,
    pub if_none_match: Option<HeaderValue>,
    pub if_range: Option<HeaderValue>,
}

impl Asked {
    pub(crate) fn of(request: &Parts) -> Self {
        let get = |name| request.headers.get(name).cloned();
        Self {
            head: request.method == Method::HEAD,
            gzip: takes_gzip(&request.headers),
            range: get(header::RANGE),
            if_none_match: get(header::IF_NONE_MATCH),
            if_range: get(header::IF_RANGE),
        }
    }

    /// Whether the client has what `etag` stands for.
    pub(crate) fn knows(&self, etag: Option<&HeaderValue>) -> bool {
        let (Some(known), Some(etag)) = (&self.if_none_match, etag) else { return false };
        let Ok(known) = known.to_str() else { return false };
        known.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == etag)
    }

    /// The range, if it is to be honoured: `If-Range` must name what is there.
    pub(crate) fn range(&self, etag: Option<&HeaderValue>) -> Option<&HeaderValue> {
        self.range.as_ref().filter(|_| self.if_range.as_ref().is_none_or(|tag| Some(tag) == etag))
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let Some(accepted) = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    accepted.split(',').any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0));
        matches!(name.trim(), "gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn asked(name: &str, value: &str) -> Asked {
        let request = Request::builder().header(name, value).body(()).expect("a request");
        Asked::of(&request.into_parts().0)
    }

    #[test]
    fn gzip_is_sent_to_whom_it_suits() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.000, br", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(asked("accept-encoding", accepted).gzip, expected, "{accepted}");
        }
        assert!(!asked("accept", "gzip").gzip);
    }

    #[test]
    fn a_client_that_has_the_bytes_says_so_in_several_ways() {
        let etag = HeaderValue::from_static("\"1-v0-5\"");
        for (known, expected) in [
            ("\"1-v0-5\"", true),
            ("W/\"1-v0-5\"", true),
            ("\"x\", \"1-v0-5\"", true),
            ("*", true),
            ("\"1-v0-6\"", false),
        ] {
            assert_eq!(asked("if-none-match", known).knows(Some(&etag)), expected, "{known}");
        }
    }
}
