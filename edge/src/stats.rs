//! What the edge counts. Every counter is exported as a metric and can be read back by tests.
//!
//! Handles are taken once, when the edge is made: install the metrics recorder before that.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;
use metrics::{Counter, Gauge, counter, gauge};

/// A number that only grows.
pub struct Count {
    here: AtomicU64,
    exported: Counter,
}

impl Count {
    fn new(exported: Counter) -> Self {
        Self { here: AtomicU64::new(0), exported }
    }

    /// What has been counted.
    pub fn get(&self) -> u64 {
        self.here.load(Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.here.fetch_add(n, Relaxed);
        self.exported.increment(n);
    }
}

/// A number that grows and shrinks.
pub struct Level {
    here: AtomicU64,
    exported: Gauge,
}

impl Level {
    fn new(exported: Gauge) -> Self {
        Self { here: AtomicU64::new(0), exported }
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.here.load(Relaxed)
    }

    pub(crate) fn up(&self) {
        self.here.fetch_add(1, Relaxed);
        self.exported.increment(1.0);
    }

    pub(crate) fn down(&self) {
        self.here.fetch_sub(1, Relaxed);
        self.exported.decrement(1.0);
    }
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The multivariant playlist, its steering manifest, the way to both.
    Index,
    /// A media playlist.
    Playlist,
    /// A part.
    Part,
    /// A segment.
    Segment,
    /// An initialization section.
    Init,
    /// A thumbnail.
    Thumb,
    /// `/api/…` and the public keys, where the edge itself answers.
    Api,
    /// The page and everything else.
    Site,
}

impl Kind {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Index, "index"),
        (Self::Playlist, "playlist"),
        (Self::Part, "part"),
        (Self::Segment, "segment"),
        (Self::Init, "init"),
        (Self::Thumb, "thumb"),
        (Self::Api, "api"),
        (Self::Site, "site"),
    ];
}

/// The statuses that the edge itself gives; the site's others are counted under the last.
const STATUSES: [&str; 24] = [
    "200", "201", "204", "206", "302", "304", "307", "400", "401", "403", "404", "405", "409", "410", "413", "414",
    "416", "422", "429", "500", "502", "503", "504", "other",
];

/// Why a connection was ended by the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The budget of connections is spent.
    Full,
    /// The client address has as many connections as it may.
    Address,
    /// The TLS handshake failed.
    Tls,
    /// No TLS handshake, or no first byte, in time.
    Open,
    /// A request's head did not arrive in time.
    Head,
    /// The viewer takes less than the least rate.
    Slow,
    /// What the client sent was no HTTP, or the connection broke.
    Protocol,
}

impl Cut {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Full, "full"),
        (Self::Address, "address"),
        (Self::Tls, "tls"),
        (Self::Open, "open_timeout"),
        (Self::Head, "head_timeout"),
        (Self::Slow, "slow"),
        (Self::Protocol, "protocol"),
    ];

    /// The word under which it is counted and logged.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// What kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// HTTP/1.1, plain.
    Http1,
    /// HTTP/1.1 over TLS.
    Https1,
    /// HTTP/2 over TLS.
    Https2,
    /// Chat, whatever it came over.
    Chat,
}

/// Everything that is counted.
pub struct Stats {
    requests: [[Count; STATUSES.len()]; Kind::ALL.len()],
    bytes: [Count; Kind::ALL.len()],
    drops: [Count; Cut::ALL.len()],
    lines: [Level; 4],
    /// Requests answered from what the edge had.
    pub hits: Count,
    /// Requests that started a fetch.
    pub misses: Count,
    /// Requests that joined a fetch under way.
    pub coalesced: Count,
    /// Requests answered with a failure remembered for a moment.
    pub negative: Count,
    /// Segments put together from cached parts, without a transfer.
    pub assembled: Count,
    /// Fetches sent to origins.
    pub transfers: Count,
    /// Fetches sent to other edges, because the origin was gone.
    pub edges_asked: Count,
    /// Objects that another edge had.
    pub edges_had: Count,
    /// Fetches that failed.
    pub failed: Count,
    /// Bytes that came from upstream, followed and fetched.
    pub upstream_bytes: Count,
    /// Follows begun.
    pub followed: Count,
    /// Requests held until something came.
    pub held_total: Count,
    /// Held requests that were released by what they waited for.
    pub released: Count,
    /// Held requests that got the newest version, or an error, because nothing came in time.
    pub stalled: Count,
    /// Requests refused because a budget of held requests was spent.
    pub shed: Count,
    /// Requests for channels that don't exist, or with playback tokens, answered with 429.
    pub throttled: Count,
    /// Requests held now.
    pub held: Level,
    /// Fetches under way now.
    pub fills: Level,
    /// Tracks followed now.
    pub follows: Level,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let cache = |result: &'static str| Count::new(counter!("freshet_edge_cache_total", "result" => result));
        let plain = |name: &'static str| Count::new(counter!(name));
        Self {
            requests: Kind::ALL.map(|(_, kind)| {
                STATUSES.map(|status| {
                    Count::new(counter!("freshet_edge_requests_total", "kind" => kind, "status" => status))
                })
            }),
            bytes: Kind::ALL.map(|(_, kind)| Count::new(counter!("freshet_edge_bytes_total", "kind" => kind))),
            drops: Cut::ALL.map(|(_, why)| Count::new(counter!("freshet_edge_drops_total", "reason" => why))),
            lines: ["http1", "https1", "https2", "chat"]
                .map(|kind| Level::new(gauge!("freshet_edge_connections", "kind" => kind))),
            hits: cache("hit"),
            misses: cache("miss"),
            coalesced: cache("coalesced"),
            negative: cache("negative"),
            assembled: cache("assembled"),
            transfers: plain("freshet_edge_upstream_transfers_total"),
            edges_asked: plain("freshet_edge_edges_asked_total"),
            edges_had: plain("freshet_edge_edges_had_total"),
            failed: plain("freshet_edge_upstream_failures_total"),
            upstream_bytes: plain("freshet_edge_upstream_bytes_total"),
            followed: plain("freshet_edge_follows_total"),
            held_total: plain("freshet_edge_held_total"),
            released: plain("freshet_edge_released_total"),
            stalled: plain("freshet_edge_stalled_total"),
            shed: plain("freshet_edge_shed_total"),
            throttled: plain("freshet_edge_throttled_total"),
            held: Level::new(gauge!("freshet_edge_held")),
            fills: Level::new(gauge!("freshet_edge_fills")),
            follows: Level::new(gauge!("freshet_edge_follows")),
        }
    }

    /// Requests for `kind` that were answered with `status`.
    pub fn requests(&self, kind: Kind, status: StatusCode) -> u64 {
        self.requests[kind as usize][slot(status)].get()
    }

    /// Bytes of bodies of `kind` handed to connections.
    pub fn bytes(&self, kind: Kind) -> u64 {
        self.bytes[kind as usize].get()
    }

    /// Connections that the edge ended because of `why`.
    pub fn drops(&self, why: Cut) -> u64 {
        self.drops[why as usize].get()
    }

    /// Connections of a kind that are open.
    pub fn lines(&self, line: Line) -> u64 {
        self.lines[line as usize].get()
    }

    pub(crate) fn answered(&self, kind: Kind, status: StatusCode, bytes: u64) {
        self.requests[kind as usize][slot(status)].add(1);
        self.bytes[kind as usize].add(bytes);
    }

    pub(crate) fn dropped(&self, why: Cut) {
        self.drops[why as usize].add(1);
    }

    pub(crate) fn line(&self, line: Line) -> &Level {
        &self.lines[line as usize]
    }
}

fn slot(status: StatusCode) -> usize {
    STATUSES.iter().position(|known| *known == status.as_str()).unwrap_or(STATUSES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_the_order_of_their_enums() {
        assert!(Kind::ALL.iter().enumerate().all(|(at, (kind, _))| *kind as usize == at));
        assert!(Cut::ALL.iter().enumerate().all(|(at, (why, _))| *why as usize == at));
    }

    #[test]
    fn a_status_that_is_not_ours_is_counted_under_other() {
        let stats = Stats::new();
        stats.answered(Kind::Site, StatusCode::IM_A_TEAPOT, 7);
        stats.answered(Kind::Part, StatusCode::OK, 5);
        assert_eq!(stats.requests(Kind::Site, StatusCode::IM_A_TEAPOT), 1);
        assert_eq!(stats.requests(Kind::Part, StatusCode::OK), 1);
        assert_eq!((stats.bytes(Kind::Site), stats.bytes(Kind::Part)), (7, 5));
    }
}
