//! Where openraft gets tasks, time and chance from: tokio's tasks and clock, and a seed of our own.
//!
//! openraft draws election timeouts and the phase of its ticks from its runtime. [`Runtime`] hands every task of a member
//! a seed derived from its parent's, and the first one's comes from [`Random`], so that a simulation replays.
//!
//! What else could differ between two runs, as of openraft 0.10.0-alpha.37:
//! - Its `select`s poll in order; it uses no `futures::select!`. Its one `HashMap` (extensions) is never iterated, its
//!   members are in `BTreeMap`s and `BTreeSet`s.
//! - The system's clock is read only to print instants.
//! - It waits on `tokio::sync::watch` channels, some with several readers (the metrics, among them our watcher), and
//!   tokio wakes such readers in an order that it draws from the runtime's own generator: a simulation has to seed that
//!   one too (`tokio_unstable` and turmoil's seed, or `Builder::rng_seed`).
//! - redb is called inline in a simulation and gives the same bytes for the same calls (a test says so).

use freshet_proto::random::Random;
use openraft::rt::deterministic_rng::DeterministicRng;

use openraft::impls::TokioRuntime;

/// Tokio with a seed.
pub(super) type Runtime = DeterministicRng<TokioRuntime>;

/// Runs what starts openraft's tasks, with a seed for all of them.
pub(super) async fn seeded<F: Future>(random: &Random, start: F) -> F::Output {
    Runtime::scope(random.below(u64::MAX), start).await
}
