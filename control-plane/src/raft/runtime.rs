//! Where openraft gets tasks, time and chance from: tokio's tasks and clock, a seed of our own, and an order of our own.
//!
//! openraft draws election timeouts and the phase of its ticks from its runtime. [`Runtime`] hands every task of a member
//! a seed derived from its parent's, and the first one's comes from [`Random`], so that a simulation replays.
//!
//! What else could differ between two runs, as of openraft 0.10.0-alpha.37:
//! - It waits on watch channels, some with several readers: those of `Fifo` wake in order.
//! - Its `select`s poll in order; it uses no `futures::select!`. Its one `HashMap` (extensions) is never iterated, its
//!   members are in `BTreeMap`s and `BTreeSet`s.
//! - The system's clock is read only to print instants.
//! - redb is called by one task in a simulation and gives the same bytes for the same calls (a test says so).

use std::time::Duration;

use freshet_proto::random::Random;
use openraft::{
    OptionalSend,
    impls::TokioRuntime,
    rt::{AsyncRuntime, deterministic_rng::DeterministicRng},
};

use super::fifo::Fifo;

/// Tokio with a seed and an order.
pub(super) type Runtime = DeterministicRng<Ordered>;

/// Runs what starts openraft's tasks, with a seed for all of them.
pub(super) async fn seeded<F: Future>(random: &Random, start: F) -> F::Output {
    Runtime::scope(random.below(u64::MAX), start).await
}

/// Tokio, but for its watch channel.
#[derive(Debug)]
pub(super) struct Ordered(TokioRuntime);

impl AsyncRuntime for Ordered {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = <TokioRuntime as AsyncRuntime>::Instant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = <TokioRuntime as AsyncRuntime>::ThreadLocalRng;
    type Mpsc = <TokioRuntime as AsyncRuntime>::Mpsc;
    type Watch = Fifo;
    type Oneshot = <TokioRuntime as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        TokioRuntime::thread_rng()
    }

    fn new(threads: usize) -> Self {
        Self(TokioRuntime::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }
}
