//! The one module that reads the wall clock. Everything else takes time from `tokio::time`, which a simulation drives.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

/// Wall time as an anchor plus monotonic time, so that it never goes back while the process lives.
#[derive(Debug, Clone)]
pub struct WallClock(Arc<Anchor>);

#[derive(Debug)]
struct Anchor {
    at: Instant,
    unix: Duration,
}

impl WallClock {
    /// Reads the system's clock once. Must be called inside a tokio runtime where time may be paused.
    #[allow(clippy::disallowed_methods)]
    pub fn system() -> Self {
        Self::anchored(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// A clock that shows `unix` now; for simulations and tests.
    pub fn anchored(unix: Duration) -> Self {
        Self(Arc::new(Anchor { at: Instant::now(), unix }))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn now_ms(&self) -> u64 {
        (self.0.unix + self.0.at.elapsed()).as_millis() as u64
    }
}
