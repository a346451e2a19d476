//! How long somebody waits, less the time in which the whole machine stood still.

use std::{
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::Duration,
};

use tokio::time::Instant;

/// How often the witness looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// From when on this process was not only kept waiting: nothing ran.
const STILL: Duration = Duration::from_secs(1);

/// What a thread knows that does nothing but look at the clock.
struct Witness {
    looked: Instant,
    stood_still: Duration,
}

static WITNESS: LazyLock<Mutex<Witness>> = LazyLock::new(|| {
    thread::spawn(|| {
        loop {
            #[expect(clippy::disallowed_methods, reason = "a runtime that is busy is no machine that stands still")]
            thread::sleep(TICK);
            stood_still();
        }
    });
    Mutex::new(Witness { looked: Instant::now(), stood_still: Duration::ZERO })
});

/// For how long this process has stood still so far.
fn stood_still() -> Duration {
    let mut witness = WITNESS.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let gap = now.duration_since(witness.looked);
    witness.looked = now;
    if gap > STILL {
        witness.stood_still += gap;
    }
    witness.stood_still
}

/// A wait that has begun.
pub struct Wait {
    began: Instant,
    stood_still: Duration,
}

impl Wait {
    /// Begins now.
    pub fn begin() -> Self {
        Self { stood_still: stood_still(), began: Instant::now() }
    }

    /// For how long the machine has stood still since.
    pub fn stood_still(&self) -> Duration {
        stood_still().saturating_sub(self.stood_still)
    }

    /// How long it has taken so far, less that.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed().saturating_sub(self.stood_still())
    }
}
