//! openraft's own suites, on this store, this machine and this runtime.

use std::{pin::Pin, sync::Arc};

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use redb::backends::InMemoryBackend;

use super::{
    machine::Machine,
    runtime::{Ordered, seeded},
    store::{LogStore, Store},
    types::{Member, Types},
    writer::Pace,
};
use freshet_proto::{id::NodeId, random::Random};

impl Default for Member {
    /// The suite wants one.
    fn default() -> Self {
        Self { addr: ([127, 0, 0, 1], 1).into(), server_name: String::new() }
    }
}

struct Inline;

impl StoreBuilder<Types, LogStore, Machine> for Inline {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError<Types>> {
        let (store, kept) = Store::over(InMemoryBackend::new()).unwrap().start(NodeId(1)).unwrap();
        let (machine, _) = Machine::new(store.clone(), kept);
        Ok(((), store, machine))
    }
}

struct Threaded;

impl StoreBuilder<Types, LogStore, Machine, tempfile::TempDir> for Threaded {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine), StorageError<Types>> {
        let dir = tempfile::tempdir().unwrap();
        let (store, kept) = Store::file(dir.path()).unwrap().start(NodeId(1)).unwrap();
        let (machine, _) = Machine::new(store.clone(), kept);
        Ok((dir, store, machine))
    }
}

struct Paced;

/// A disk that is a moment late.
#[derive(Debug)]
struct Moment;

impl Pace for Moment {
    fn wait(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::task::yield_now())
    }
}

impl StoreBuilder<Types, LogStore, Machine> for Paced {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError<Types>> {
        let (store, kept) = Store::paced(InMemoryBackend::new(), Arc::new(Moment)).unwrap().start(NodeId(1)).unwrap();
        let (machine, _) = Machine::new(store.clone(), kept);
        Ok(((), store, machine))
    }
}

#[tokio::test]
async fn openrafts_suite_passes_on_a_store_with_a_disk_that_is_a_moment_late() {
    seeded(&Random::seeded(1), Suite::test_all(Paced)).await.unwrap();
}

#[tokio::test]
async fn openrafts_suite_passes_on_a_store_that_works_inline() {
    seeded(&Random::seeded(1), Suite::test_all(Inline)).await.unwrap();
}

#[tokio::test]
async fn openrafts_suite_passes_on_a_file_with_its_thread() {
    seeded(&Random::seeded(1), Suite::test_all(Threaded)).await.unwrap();
}

#[test]
fn openrafts_suite_passes_on_the_runtime() {
    openraft::rt::testing::Suite::<Ordered>::test_all();
}
