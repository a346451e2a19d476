//! A process's life: run until told to stop, drain, leave. A second signal means now.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

/// What the operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// SIGTERM or Ctrl-C.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals that a role heeds.
pub struct Signals {
    term: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Heeds signals from now on. To be called before anything is bound: a signal that nobody heeds ends the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.term.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }

    /// Returns when told to stop; calls `reload` whenever told to reload.
    pub async fn until_stop(&mut self, mut reload: impl FnMut()) {
        while self.next().await == Told::Reload {
            reload();
        }
    }

    /// Drains, unless told again.
    pub async fn drain(&mut self, drain: impl Future<Output = ()>) {
        info!("draining; signal again to stop now");
        tokio::select! {
            () = drain => info!("drained"),
            () = self.until_stop(|| {}) => warn!("told again: stopping now"),
        }
    }
}
