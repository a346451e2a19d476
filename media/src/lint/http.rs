//! What a reply says beside its body: headers, protocol, times.

use std::{io::Read, time::Duration};

use bytes::Bytes;

use super::log::Log;
use crate::playlist::read::MAX_BYTES;

/// By which protocol a reply came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

/// A reply, and when it came: times are since any moment that is the same for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// By which protocol it came.
    pub protocol: Protocol,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body as it came, perhaps compressed.
    pub body: Bytes,
    /// When the request was sent.
    pub asked_at: Duration,
    /// When its head came.
    pub head_at: Duration,
    /// When its last byte came.
    pub done_at: Duration,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// How long the server held the request.
    pub(super) fn held(&self) -> Duration {
        self.head_at.saturating_sub(self.asked_at)
    }

    /// The body as the server meant it; what can't be inflated, or is too long, is cut short.
    pub(super) fn text(&self) -> Bytes {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut out = Vec::new();
        let _ = flate2::read::GzDecoder::new(&self.body[..]).take(MAX_BYTES as u64 + 1).read_to_end(&mut out);
        out.into()
    }

    /// A directive of `Cache-Control`, with its number where it has one.
    fn cache_control(&self, directive: &str) -> Option<u64> {
        let all = self.header("cache-control")?;
        all.split(',').map(str::trim).find_map(|one| {
            let (name, value) = one.split_once('=').unwrap_or((one, "0"));
            (name == directive).then(|| value.parse().unwrap_or(0))
        })
    }

    fn age(&self) -> Result<u64, &str> {
        self.header("age").map_or(Ok(0), |text| text.parse().map_err(|_| text))
    }

    fn urgency(&self) -> Option<u8> {
        let priority = self.header("priority")?;
        priority.split(',').find_map(|one| one.trim().strip_prefix("u=")?.parse().ok())
    }
}

/// What every good reply must be like.
fn check_any(log: &mut Log, url: &str, response: &Response) {
    let secure = url.starts_with("https:");
    let multiplexed = response.protocol != Protocol::Http1;
    let saw = || format!("{:?}", response.protocol);
    if secure {
        log.must("L40", multiplexed, url, saw, "offer h2 by ALPN");
    } else {
        log.should("L40", multiplexed, url, saw, "serve viewers over HTTPS: HTTP/2 needs it, and Safari");
    }
    let origin = response.header("access-control-allow-origin");
    let saw = || format!("Access-Control-Allow-Origin {origin:?}");
    log.should("L47", origin == Some("*"), url, saw, "send Access-Control-Allow-Origin: *");
    let timing = response.header("timing-allow-origin");
    let saw = || format!("Timing-Allow-Origin {timing:?}");
    log.should("L47", timing == Some("*"), url, saw, "send Timing-Allow-Origin: *");
}

/// Checks the headers of a playlist that came with 200.
pub(super) fn check_playlist(log: &mut Log, url: &str, response: &Response, target: Duration) {
    check_any(log, url, response);
    let kind = response.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default().trim());
    let good = matches!(kind, Some("application/vnd.apple.mpegurl" | "audio/mpegurl"));
    log.must("L16", good, url, || format!("Content-Type {kind:?}"), "send Content-Type: application/vnd.apple.mpegurl");
    let coding = response.header("content-encoding");
    let saw = || format!("Content-Encoding {coding:?}");
    log.should("L42", coding == Some("gzip"), url, saw, "compress playlists with gzip");
    let vary = response.header("vary").unwrap_or_default();
    let varies = vary.split(',').any(|one| one.trim().eq_ignore_ascii_case("accept-encoding"));
    log.must("L42", coding.is_none() || varies, url, || format!("Vary {vary:?}"), "send Vary: Accept-Encoding");
    let urgency = response.urgency();
    let saw = || format!("priority {:?}", response.header("priority"));
    log.should("L41", urgency.is_some_and(|u| u <= 1), url, saw, "send priority: u=1 with playlists");
    check_age(log, url, response, target);
    let exposed = response.header("access-control-expose-headers").unwrap_or_default().to_ascii_lowercase();
    let saw = || format!("Access-Control-Expose-Headers {exposed:?}");
    let good = response.header("age").is_none() || exposed.contains("age") || exposed.contains('*');
    log.should("L47", good, url, saw, "send Access-Control-Expose-Headers: Age, Date, Server-Timing");
}

fn check_age(log: &mut Log, url: &str, response: &Response, target: Duration) {
    let control = response.header("cache-control");
    let saw = || format!("Cache-Control {control:?}");
    log.should("L45", control.is_some(), url, saw, "send Cache-Control with every playlist");
    let longest = 6 * target.as_secs().max(1);
    let good = response.cache_control("max-age").unwrap_or(0) <= longest;
    log.must("L45", good, url, saw, "let caches keep playlists for at most six target durations");
    let age = response.age();
    let saw = || format!("Age {age:?}");
    log.must("L46", age.is_ok(), url, saw, "write whole seconds into Age");
}

/// Checks the age of a reply whose version can't be older than `most`.
pub(super) fn check_freshness(log: &mut Log, url: &str, response: &Response, most: Duration) {
    let age = response.age();
    let saw = || format!("Age {age:?} of a version made at most {most:?} ago, held for {:?}", response.held());
    let good = age.is_ok_and(|age| age <= most.as_secs() + 1);
    log.must("L46", good, url, saw, "count Age from when the origin made the reply, for a held one from its release");
}

/// Checks the headers of a part, segment or init that came with 200.
pub(super) fn check_object(log: &mut Log, url: &str, response: &Response) {
    check_any(log, url, response);
    let urgency = response.urgency();
    let saw = || format!("priority {:?}", response.header("priority"));
    log.should("L41", urgency.is_some_and(|u| (2..=6).contains(&u)), url, saw, "send priority: u=2 to u=6 with media");
    let saw = || format!("Cache-Control {:?}", response.header("cache-control"));
    let kept = response.cache_control("max-age").is_some_and(|age| age >= 6)
        && ["no-store", "no-cache", "private"].iter().all(|no| response.cache_control(no).is_none());
    log.should("L45", kept, url, saw, "let caches keep media: its name never stands for other bytes");
    let length: Option<Option<usize>> = response.header("content-length").map(|text| text.parse().ok());
    let saw = || format!("Content-Length {length:?} of {} bytes", response.body.len());
    let good = length.is_none_or(|length| length == Some(response.body.len()));
    log.must("L30", good, url, saw, "send what Content-Length promises");
}
