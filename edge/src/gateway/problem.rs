//! What the edge itself says when an API request can't be passed on: problem details (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::METHODS;
use crate::http::{body::Body, date::Dates, reply};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    detail: &'static str,
    /// `WWW-Authenticate` (RFC 6750 §3).
    challenge: Option<&'static str>,
}

impl Problem {
    pub(crate) const URI_TOO_LONG: Self = Self::new(StatusCode::URI_TOO_LONG, "the address is too long");
    pub(crate) const METHOD: Self = Self::new(StatusCode::METHOD_NOT_ALLOWED, "the API does not know this method");
    pub(crate) const FIELD: Self =
        Self::new(StatusCode::BAD_REQUEST, "a header field is unreadable, too long, or there twice");
    pub(crate) const CODED: Self =
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must not have a content coding");
    pub(crate) const TOO_LARGE: Self = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long");
    pub(crate) const TOO_SLOW: Self = Self::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time");
    pub(crate) const CUT_OFF: Self = Self::new(StatusCode::BAD_REQUEST, "the body did not come whole");
    pub(crate) const FULL: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way here; ask again in a second");
    pub(crate) const TOO_MANY: Self =
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests of yours are under way; wait for their answers");
    pub(crate) const NOBODY: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the API can't be reached at present; ask again in a moment");
    pub(crate) const NO_KEYS: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "tokens can't be verified here yet; ask again in a moment");
    pub(crate) const NOT_BEARER: Self = Self {
        challenge: Some(r#"Bearer realm="freshet""#),
        ..Self::new(StatusCode::UNAUTHORIZED, "say who you are with `Authorization: Bearer ACCESS_TOKEN`")
    };
    pub(crate) const BAD_TOKEN: Self = Self {
        challenge: Some(
            r#"Bearer realm="freshet", error="invalid_token", error_description="the access token is expired, revoked or not one of ours""#,
        ),
        ..Self::new(
            StatusCode::UNAUTHORIZED,
            "the access token is expired, revoked or not one of ours; refresh it, or log in again",
        )
    };

    const fn new(status: StatusCode, detail: &'static str) -> Self {
        Self { status, detail, challenge: None }
    }

    pub(crate) fn response(&self, dates: &Dates) -> Response<Body> {
        let mut response = match self.status {
            StatusCode::SERVICE_UNAVAILABLE => reply::retry(dates),
            StatusCode::TOO_MANY_REQUESTS => reply::slow_down(dates),
            status => reply::bare(status, 0, dates),
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        let title = self.status.canonical_reason().unwrap_or_default();
        let text = serde_json::json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail,
        });
        *response.body_mut() = Body::from(Bytes::from(text.to_string()));
        response
    }
}
