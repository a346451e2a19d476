//! Is anybody there? A ping where nothing was heard for a while; gone where nothing is heard after that either.
//!
//! No timer per connection: whoever has many looks at each now and then, as often as `pong_ms` needs.

use tokio::time::{Duration, Instant};

/// How long silence is borne.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// After so much silence a ping is due. Less than the 60 s after which many proxies drop a connection.
    pub ping_after: Duration,
    /// So much silence after the ping, and the connection counts as half open.
    pub pong_within: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { ping_after: Duration::from_secs(45), pong_within: Duration::from_secs(20) }
    }
}

/// What one connection's silence means now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is to be done.
    Fine,
    /// Send a ping. It is said once per silence.
    Ping,
    /// Nobody is there.
    Gone,
}

/// When one connection was last heard.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    heard: Instant,
    pinged: Option<Instant>,
}

impl Liveness {
    /// Of a connection that begins now.
    pub fn new(now: Instant) -> Self {
        Self { heard: now, pinged: None }
    }

    /// Bytes came, whatever they were.
    pub fn heard(&mut self, now: Instant) {
        *self = Self::new(now);
    }

    /// What is to be done now.
    pub fn look(&mut self, now: Instant, patience: &Patience) -> Verdict {
        match self.pinged {
            Some(at) if now.saturating_duration_since(at) >= patience.pong_within => Verdict::Gone,
            None if now.saturating_duration_since(self.heard) >= patience.ping_after => {
                self.pinged = Some(now);
                Verdict::Ping
            }
            _ => Verdict::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_pinged_once_and_then_ends() {
        let patience = Patience::default();
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.look(at(44), &patience), Verdict::Fine);
        assert_eq!(liveness.look(at(45), &patience), Verdict::Ping);
        assert_eq!(liveness.look(at(50), &patience), Verdict::Fine);
        liveness.heard(at(51));
        assert_eq!(liveness.look(at(95), &patience), Verdict::Fine);
        assert_eq!(liveness.look(at(96), &patience), Verdict::Ping);
        assert_eq!(liveness.look(at(115), &patience), Verdict::Fine);
        assert_eq!(liveness.look(at(116), &patience), Verdict::Gone);
    }
}
