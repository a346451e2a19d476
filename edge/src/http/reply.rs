//! Replies: what every one of them says, and those that come later.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::time::Instant;

use super::{body::Body, date::Dates, playlists::Version};
use crate::{Shared, upstream::BoxFuture};

/// A reply that is there, or one that must be waited for.
#[allow(clippy::large_enum_variant)] // a box would cost most requests an allocation
pub(crate) enum Reply {
    Now(Response<Body>),
    Later(Later),
}

/// Dropped when the client goes away.
pub(crate) type Later = BoxFuture<'static, Answer>;

/// What a wait ended with.
pub(crate) enum Answer {
    Response(Response<Body>),
    Version(Version),
}

impl Answer {
    pub(crate) fn into_response(self, edge: &Shared) -> Response<Body> {
        match self {
            Self::Response(response) => response,
            Self::Version(version) => version.into_response(edge),
        }
    }

    /// The whole answer as HTTP/1.1 bytes that many viewers share, where there are such. Counts as answered then.
    pub(crate) fn whole_http1(&self, edge: &Shared) -> Option<Bytes> {
        match self {
            Self::Response(_) => None,
            Self::Version(version) => version.whole_http1(edge),
        }
    }
}

/// How a reply came about, for whoever looks at it in a browser's network panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// It was here.
    Hit,
    /// It was put together from parts that were here.
    Assembled,
    /// It was fetched for this request.
    Miss,
    /// It was being fetched already.
    Coalesced,
    /// The request was held until it came.
    Held,
    /// Nothing came in time.
    Stalled,
}

impl Timing {
    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Hit => "edge;desc=hit",
            Self::Assembled => "edge;desc=assembled",
            Self::Miss => "edge;desc=miss",
            Self::Coalesced => "edge;desc=coalesced",
            Self::Held => "edge;desc=held",
            Self::Stalled => "edge;desc=stalled",
        })
    }
}

pub(crate) const PRIORITY: HeaderName = HeaderName::from_static("priority");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Whole seconds since the origin made something.
pub(crate) fn age(made: Option<Instant>) -> u64 {
    made.map_or(0, |made| made.elapsed().as_secs())
}

/// Gives a reply its body; to `HEAD`, only the body's length.
pub(crate) fn fill(response: &mut Response<Body>, body: Body, head: bool) {
    if head {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    } else {
        *response.body_mut() = body;
    }
}

const EXPOSED: &str = "age, content-length, content-range, date, etag, retry-after, server-timing";
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// What every reply says: when, and that any page may use it.
pub(crate) fn begin(status: StatusCode, dates: &Dates) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(20);
    headers.insert(header::DATE, dates.header());
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    headers.insert(TIMING_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// A reply without a body that caches may keep for `fresh_s` seconds; 0 for not at all.
pub(crate) fn bare(status: StatusCode, fresh_s: u64, dates: &Dates) -> Response<Body> {
    let mut response = begin(status, dates);
    response.headers_mut().insert(header::CACHE_CONTROL, max_age(fresh_s));
    response
}

/// A refusal in words (RFC 9457), which nobody may keep.
pub(crate) fn problem(status: StatusCode, detail: &str, head: bool, dates: &Dates) -> Response<Body> {
    let title = status.canonical_reason().unwrap_or_default();
    let text = serde_json::json!({ "title": title, "status": status.as_u16(), "detail": detail }).to_string();
    let mut response = bare(status, 0, dates);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    fill(&mut response, Body::from(Bytes::from(text)), head);
    response
}

/// Sends whoever asks on to `path`, this once.
pub(crate) fn redirect(path: &str, dates: &Dates) -> Response<Body> {
    let mut response = bare(StatusCode::FOUND, 0, dates);
    if let Ok(path) = HeaderValue::try_from(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    response
}

/// A refusal for lack of room or of the thing itself, for now.
pub(crate) fn retry(dates: &Dates) -> Response<Body> {
    let mut response = bare(StatusCode::SERVICE_UNAVAILABLE, 0, dates);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// A refusal for asking too often (RFC 6585 §4).
pub(crate) fn slow_down(dates: &Dates) -> Response<Body> {
    let mut response = retry(dates);
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
}

/// `Cache-Control` for `seconds`; 0 for `no-store`.
pub(crate) fn max_age(seconds: u64) -> HeaderValue {
    match seconds {
        0 => HeaderValue::from_static("no-store"),
        1 => HeaderValue::from_static("public, max-age=1"),
        2 => HeaderValue::from_static("public, max-age=2"),
        4 => HeaderValue::from_static("public, max-age=4"),
        24 => HeaderValue::from_static("public, max-age=24"),
        31_536_000 => HeaderValue::from_static("public, max-age=31536000, immutable"),
        _ => HeaderValue::try_from(format!("public, max-age={seconds}"))
            .unwrap_or_else(|_| HeaderValue::from_static("no-store")),
    }
}

/// The reply to `OPTIONS`: what is allowed, kept by browsers for a day.
pub(crate) fn options(dates: &Dates) -> Response<Body> {
    let mut response = begin(StatusCode::NO_CONTENT, dates);
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// The reply to any other method.
pub(crate) fn not_allowed(dates: &Dates) -> Response<Body> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED, 0, dates);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
    response
}
