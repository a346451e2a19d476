//! Everything an operator can set of an edge. Each budget says who loses when it is spent.
//!
//! The defaults suit an edge with 4 GiB of memory; `freshet.example.toml` lists every key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An edge's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What is kept of what origins made.
    pub cache: CacheConfig,
    /// How tracks with viewers are followed.
    pub follow: FollowConfig,
    /// How blocking playlist reloads are answered.
    pub reload: ReloadConfig,
    /// How long each phase of a viewer's connection may take, and how many there may be.
    pub http: HttpConfig,
    /// When viewers are sent to other edges.
    pub near: NearConfig,
    /// How requests to the REST API are passed on.
    pub api: ApiConfig,
    /// What is heard of players.
    pub audience: AudienceConfig,
    /// Who may show the player.
    pub embed: EmbedConfig,
}

/// What is kept of what origins made, and how it is fetched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Bytes of objects kept; the least recently used go first. Default 1 GiB. A segment that was put together from
    /// cached parts shares their memory but is counted again, so real use stays below this.
    pub bytes: u64,
    /// The largest object, in bytes. A larger one is refused and answered with 502. Default 64 MiB.
    pub max_object_bytes: u64,
    /// Fetches under way at once, all origins together; one more is answered with 503. Default 1,024. Each costs a
    /// task and what has arrived of its object.
    pub fills: usize,
    /// Fetches under way at once from one origin; further ones wait within their deadline, so that one slow origin
    /// can't take all the others' places. Default 256.
    pub fills_per_origin: usize,
    /// Milliseconds after which a fetch is given up; all who wait for it get 504. Default 5,000.
    pub fill_timeout_ms: u64,
    /// Milliseconds for which a failed fetch is answered from memory without asking the origin again, jittered down
    /// by up to half. Default 400, below the duration of one part.
    pub negative_ms: u64,
    /// Failed fetches remembered; the oldest are forgotten first. Default 4,096.
    pub negatives: usize,
}

/// How tracks with viewers are followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FollowConfig {
    /// Tracks followed at once; a viewer of one more gets 503. Default 3,072: three quarters of the streams that nodes
    /// allow each other.
    pub tracks: usize,
    /// Milliseconds after the last viewer of a track until the edge stops following it. Default 10,000.
    pub linger_ms: u64,
    /// Milliseconds without any event after which the follow is taken for dead and begun anew, while the channel is
    /// live. Default 10,000.
    pub silence_ms: u64,
    /// Milliseconds before the first new attempt after a lost follow; doubled up to `retry_max_ms`, jittered by half.
    /// Default 100.
    pub retry_min_ms: u64,
    /// The longest wait between attempts, in milliseconds. Default 2,000.
    pub retry_max_ms: u64,
    /// The largest playlist version, in bytes, gzipped or not. A larger one ends the follow. Default 4 MiB.
    pub max_playlist_bytes: u64,
    /// Finished segments whose number of parts is remembered per track, so that they can be put together without a
    /// transfer. Default 256; the oldest are forgotten first.
    pub segments: usize,
}

/// How blocking playlist reloads are answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReloadConfig {
    /// What releases a reload that names a segment but no part. Default `segment`, the words of the specification.
    pub partless_release: PartlessRelease,
    /// What a reload gets that nothing releases. Default `newest`.
    pub on_stall: OnStall,
    /// Requests held at once, in all; one more is answered with 503 and `Retry-After`. Default 200,000. Each costs about
    /// 4 KiB over HTTP/1.1 and 12 KiB over TLS.
    pub held: usize,
    /// Requests held at once on one (HTTP/2) connection. Default 16.
    pub held_per_connection: usize,
    /// Requests held at once for one client address (IPv6: /64). Default 20,000: an office or a mobile carrier behind
    /// one address.
    pub held_per_address: usize,
    /// Milliseconds for which a request is held while a session starts and has no playlist yet. Default 12,000.
    pub starting_ms: u64,
}

/// What releases a reload that names a segment but no part (`_HLS_msn` alone).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PartlessRelease {
    /// The whole segment is in the playlist (draft-pantos-hls-rfc8216bis §6.2.5.2).
    #[default]
    Segment,
    /// Its first part is in the playlist, as other servers read it.
    Part0,
}

/// What a reload gets that nothing releases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStall {
    /// After 0.75 × max(3 part targets, 0.8 target durations): the newest version, 200, not to be stored. Players give
    /// up a little later, so they never see an error.
    #[default]
    Newest,
    /// After three target durations: 503, as §6.2.5.2 says.
    Error,
}

/// How long each phase of a viewer's connection may take, and how many there may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Connections at once, in all; one more is closed unanswered. Default 120,000. An idle one costs about 3 KiB, with
    /// TLS 12 KiB.
    pub connections: usize,
    /// Connections at once from one client address (IPv6: /64); one more is closed unanswered. Default 20,000: an
    /// office or a mobile carrier behind one address.
    pub connections_per_address: usize,
    /// Requests a second for channels that don't exist, and trades of playback tokens, from one client address (IPv6: /64),
    /// ten seconds' worth of them at once; beyond it they are answered with 429. Default 500.
    pub misses_per_address: u32,
    /// Milliseconds for the TLS handshake, and again until the first byte of the first request. Default 5,000.
    pub open_timeout_ms: u64,
    /// Milliseconds from the first byte of a request's head to its last. Default 10,000.
    pub head_timeout_ms: u64,
    /// Milliseconds without a request after which a connection is closed. Default 75,000.
    pub idle_timeout_ms: u64,
    /// Bytes per second, averaged over 10 s, below which a viewer that doesn't take what it asked for is cut off.
    /// Default 8,000: what 64 kbit/s of audio needs.
    pub min_body_rate: u64,
    /// The longest request head, in bytes; a longer one is answered with 431. Default and least 8,192: memory that
    /// a connection takes while a request arrives.
    pub head_bytes: usize,
    /// Fields in a request's head; more are answered with 431. Default 64.
    pub head_fields: usize,
    /// The longest request target, in bytes; a longer one is answered with 414. Default 2,048.
    pub uri_bytes: usize,
    /// HTTP/2 streams at once on one connection. Default 64.
    pub h2_streams: u32,
    /// The longest HTTP/2 header list, in bytes. Default 16,384.
    pub h2_header_list_bytes: u32,
    /// HTTP/2 streams that a client may reset before they are answered, at once; more end the connection. Default 20.
    pub h2_pending_resets: usize,
    /// Milliseconds between HTTP/2 pings on a silent connection; one unanswered for as long ends it. Default 20,000.
    pub h2_ping_ms: u64,
    /// Milliseconds that an idle HTTP/1.1 connection keeps its buffers. Default 500: long enough for a player between
    /// two objects, short enough that idle viewers cost little.
    pub buffers_ms: u64,
    /// Milliseconds that draining waits for connections to end by themselves. Default 10,000.
    pub drain_timeout_ms: u64,
}

/// When viewers are sent to other edges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NearConfig {
    /// Viewers beyond whom new ones are sent to another edge that has room; those that are here stay, and so does who was sent
    /// here by another. Connections count as viewers. 0, the default, is no limit.
    pub max_viewers: u64,
}

/// How requests to the REST API are passed on to control nodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// API requests under way at once; one more is answered with 503. Default 256. Each costs a task and its body.
    pub under_way: usize,
    /// API requests under way at once from one client address (IPv6: /64); one more is answered with 429. Default 64.
    pub under_way_per_address: usize,
    /// The longest body of an API request, in bytes; a longer one is answered with 413. Default 65,536. A picture may have
    /// 4 MiB whatever this says.
    pub body_bytes: usize,
    /// Milliseconds for a request's body to come; then 408. Default 10,000.
    pub body_timeout_ms: u64,
    /// Milliseconds for a control node to answer, elections included; then 503. Default 10,000.
    pub reply_timeout_ms: u64,
}

/// What is heard of players: how their viewers fare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudienceConfig {
    /// Sessions of players that report which are kept apart; when one more reports, the one that was silent for longest is
    /// forgotten. Default 100,000. Each costs about 250 bytes.
    pub sessions: usize,
    /// Reports a second from one client address (IPv6: /64), ten seconds' worth of them at once; beyond it they are answered
    /// with 429. Default 200: a thousand viewers behind one address.
    pub reports_per_address: u32,
}

/// Who may show the player, `/embed/{channel}`. Everything else of the site is shown by itself alone.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmbedConfig {
    /// Sites that may have it in a frame, as sources of the Content Security Policy: `*`, `'self'`, `'none'`,
    /// `https://example.org`, `https://*.example.org`, `https:`. Default `["*"]`, every site.
    pub ancestors: Ancestors,
}

/// Sources of `frame-ancestors` (CSP3 §6.4.2), at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Ancestors(Vec<String>);

impl TryFrom<Vec<String>> for Ancestors {
    type Error = String;

    fn try_from(sources: Vec<String>) -> Result<Self, String> {
        let is_of_one = |b: u8| b.is_ascii_alphanumeric() || b"*.-:/'[]".contains(&b);
        let is_good = |source: &String| !source.is_empty() && source.bytes().all(is_of_one);
        match sources.iter().find(|source| !is_good(source)) {
            Some(wrong) => Err(format!("{wrong:?} is no source of frame-ancestors, as https://example.org is one")),
            None if sources.is_empty() => Err("frame-ancestors has at least one source; 'none' is nobody".to_owned()),
            None => Ok(Self(sources)),
        }
    }
}

impl From<Ancestors> for Vec<String> {
    fn from(ancestors: Ancestors) -> Self {
        ancestors.0
    }
}

impl Default for Ancestors {
    fn default() -> Self {
        Self(vec!["*".to_owned()])
    }
}

impl std::fmt::Display for Ancestors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            max_object_bytes: 64 << 20,
            fills: 1024,
            fills_per_origin: 256,
            fill_timeout_ms: 5000,
            negative_ms: 400,
            negatives: 4096,
        }
    }
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self {
            tracks: 3072,
            linger_ms: 10_000,
            silence_ms: 10_000,
            retry_min_ms: 100,
            retry_max_ms: 2000,
            max_playlist_bytes: 4 << 20,
            segments: 256,
        }
    }
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self {
            partless_release: PartlessRelease::Segment,
            on_stall: OnStall::Newest,
            held: 200_000,
            held_per_connection: 16,
            held_per_address: 20_000,
            starting_ms: 12_000,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connections: 120_000,
            connections_per_address: 20_000,
            misses_per_address: 500,
            open_timeout_ms: 5000,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 75_000,
            min_body_rate: 8000,
            head_bytes: 8192,
            head_fields: 64,
            uri_bytes: 2048,
            h2_streams: 64,
            h2_header_list_bytes: 16_384,
            h2_pending_resets: 20,
            h2_ping_ms: 20_000,
            buffers_ms: 500,
            drain_timeout_ms: 10_000,
        }
    }
}

impl Default for AudienceConfig {
    fn default() -> Self {
        Self { sessions: 100_000, reports_per_address: 200 }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            under_way: 256,
            under_way_per_address: 64,
            body_bytes: 64 << 10,
            body_timeout_ms: 10_000,
            reply_timeout_ms: 10_000,
        }
    }
}

/// A value that can't work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edge.{key} is {value}; it must be from {min} to {max}")]
pub struct InvalidConfig {
    /// Which.
    pub key: &'static str,
    /// What it is.
    pub value: u64,
    /// The least it may be.
    pub min: u64,
    /// The most it may be.
    pub max: u64,
}

const HOUR_MS: u64 = 3_600_000;
const MANY: u64 = 10_000_000;

impl Config {
    /// Checks that every value can work.
    ///
    /// # Errors
    /// Names the first key that is out of its range, and the range.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let Self { cache, follow, reload, http, near, api, audience, embed: _ } = self;
        let rules = [
            ("cache.bytes", cache.bytes, 1 << 20, 1 << 44),
            ("cache.max_object_bytes", cache.max_object_bytes, 1 << 16, 1 << 30),
            ("cache.fills", cache.fills as u64, 1, MANY),
            ("cache.fills_per_origin", cache.fills_per_origin as u64, 1, 1 << 20),
            ("cache.fill_timeout_ms", cache.fill_timeout_ms, 100, HOUR_MS),
            ("cache.negative_ms", cache.negative_ms, 0, 10_000),
            ("cache.negatives", cache.negatives as u64, 0, MANY),
            ("follow.tracks", follow.tracks as u64, 1, MANY),
            ("follow.linger_ms", follow.linger_ms, 0, HOUR_MS),
            ("follow.silence_ms", follow.silence_ms, 1000, HOUR_MS),
            ("follow.retry_min_ms", follow.retry_min_ms, 10, HOUR_MS),
            ("follow.retry_max_ms", follow.retry_max_ms, follow.retry_min_ms, HOUR_MS),
            ("follow.max_playlist_bytes", follow.max_playlist_bytes, 1 << 16, 1 << 26),
            ("follow.segments", follow.segments as u64, 1, MANY),
            ("reload.held", reload.held as u64, 0, MANY),
            ("reload.held_per_connection", reload.held_per_connection as u64, 0, MANY),
            ("reload.held_per_address", reload.held_per_address as u64, 0, MANY),
            ("reload.starting_ms", reload.starting_ms, 0, HOUR_MS),
            ("http.connections", http.connections as u64, 1, MANY),
            ("http.connections_per_address", http.connections_per_address as u64, 1, MANY),
            ("http.misses_per_address", http.misses_per_address.into(), 1, 1_000_000),
            ("http.open_timeout_ms", http.open_timeout_ms, 10, HOUR_MS),
            ("http.head_timeout_ms", http.head_timeout_ms, 10, HOUR_MS),
            ("http.idle_timeout_ms", http.idle_timeout_ms, 10, HOUR_MS),
            ("http.min_body_rate", http.min_body_rate, 1, 1 << 30),
            ("http.head_bytes", http.head_bytes as u64, 8192, 1 << 16),
            ("http.head_fields", http.head_fields as u64, 16, 1024),
            ("http.uri_bytes", http.uri_bytes as u64, 256, 8192),
            ("http.h2_streams", http.h2_streams.into(), 1, 1024),
            ("http.h2_header_list_bytes", http.h2_header_list_bytes.into(), 4096, 1 << 20),
            ("http.h2_pending_resets", http.h2_pending_resets as u64, 1, 10_000),
            ("http.h2_ping_ms", http.h2_ping_ms, 1000, HOUR_MS),
            ("http.buffers_ms", http.buffers_ms, 50, 5000),
            ("http.drain_timeout_ms", http.drain_timeout_ms, 0, HOUR_MS),
            ("near.max_viewers", near.max_viewers, 0, MANY),
            ("api.under_way", api.under_way as u64, 1, MANY),
            ("api.under_way_per_address", api.under_way_per_address as u64, 1, MANY),
            ("api.body_bytes", api.body_bytes as u64, 1024, 4 << 20),
            ("api.body_timeout_ms", api.body_timeout_ms, 100, HOUR_MS),
            ("api.reply_timeout_ms", api.reply_timeout_ms, 100, HOUR_MS),
            ("audience.sessions", audience.sessions as u64, 1, MANY),
            ("audience.reports_per_address", audience.reports_per_address.into(), 1, 1_000_000),
        ];
        match rules.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            Some((key, value, min, max)) => Err(InvalidConfig { key, value, min, max }),
            None => Ok(()),
        }
    }
}

/// Milliseconds of the configuration as a duration.
pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn who_may_show_the_player_is_said_in_sources_and_nothing_else() {
        let of = |sources: &[&str]| {
            Ancestors::try_from(sources.iter().map(|source| (*source).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(Ancestors::default().to_string(), "*");
        let two = of(&["'self'", "https://*.example.org:8443"]).map(|ancestors| ancestors.to_string());
        assert_eq!(two.as_deref(), Ok("'self' https://*.example.org:8443"));
        for wrong in [&[][..], &[""], &["x; script-src *"], &["a b"], &["a\r\nb"]] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_value_that_cannot_work_is_named_with_its_range() {
        let http = HttpConfig { head_bytes: 100, ..HttpConfig::default() };
        let refusal = Config { http, ..Config::default() }.validate().map_err(|error| error.to_string());
        assert_eq!(refusal, Err("edge.http.head_bytes is 100; it must be from 8192 to 65536".to_owned()));
    }
}
