//! What an operator sees of a connection: `freshet_quic_*` metrics.

use std::time::Duration;

use metrics::{counter, gauge};
use quinn::Connection;

use super::QuicError;

/// How often a connection's round trip and losses are read.
pub(super) const PERIOD: Duration = Duration::from_secs(5);

/// Counts one connection while it lives. Peers are labelled by name, and the CA bounds how many names there are.
pub(super) struct Gauge {
    side: &'static str,
    peer: String,
    sent: u64,
    lost: u64,
}

impl Gauge {
    /// `side` is `asking` or `answering`.
    pub(super) fn new(side: &'static str, peer: &str) -> Self {
        gauge!("freshet_quic_connections", "side" => side).increment(1);
        Self { side, peer: peer.to_owned(), sent: 0, lost: 0 }
    }

    /// Reads the connection's statistics.
    pub(super) fn sample(&mut self, connection: &Connection) {
        let path = connection.stats().path;
        let peer = || self.peer.clone();
        gauge!("freshet_quic_round_trip_seconds", "side" => self.side, "peer" => peer()).set(path.rtt.as_secs_f64());
        gauge!("freshet_quic_mtu_bytes", "side" => self.side, "peer" => peer()).set(f64::from(path.current_mtu));
        counter!("freshet_quic_packets_sent_total", "side" => self.side, "peer" => peer())
            .increment(path.sent_packets.saturating_sub(self.sent));
        counter!("freshet_quic_packets_lost_total", "side" => self.side, "peer" => peer())
            .increment(path.lost_packets.saturating_sub(self.lost));
        (self.sent, self.lost) = (path.sent_packets, path.lost_packets);
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        gauge!("freshet_quic_connections", "side" => self.side).decrement(1);
    }
}

/// Counts a request that we asked or answered.
pub(super) fn request(side: &'static str, verb: &'static str, outcome: Result<&(), &QuicError>) {
    let outcome = match outcome {
        Ok(()) => "ok",
        Err(QuicError::Unreachable { .. } | QuicError::TooManyPeers(_)) => "unreachable",
        Err(QuicError::Lost(_)) => "lost",
        Err(QuicError::Timeout(_)) => "timeout",
        Err(QuicError::Reset(_)) => "reset",
        Err(_) => "malformed",
    };
    counter!("freshet_quic_requests_total", "side" => side, "verb" => verb, "outcome" => outcome).increment(1);
}

/// Counts a connection that did not come about.
pub(super) fn refused(side: &'static str) {
    counter!("freshet_quic_refused_total", "side" => side).increment(1);
}
