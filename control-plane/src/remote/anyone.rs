//! Which control node to ask what any of them can answer that keeps accounts: the one that answered last, else each in turn.

use std::sync::{Arc, Mutex, PoisonError};

use freshet_proto::view::NodeView;
use tokio::time::{Duration, sleep};

use super::Remote;
use crate::watch::candidates;

/// How long to wait after a round that led nowhere.
const PAUSE: Duration = Duration::from_millis(100);

/// Cheap to clone; clones remember together who answers.
#[derive(Clone)]
pub(super) struct Anyone {
    pub(super) remote: Remote,
    last: Arc<Mutex<Option<NodeView>>>,
}

impl Anyone {
    /// Of the control nodes that `remote` knows.
    pub(super) fn of(remote: Remote) -> Self {
        Self { remote, last: Arc::default() }
    }

    /// The one that answered last, twice; then everybody in turn.
    pub(super) fn next(&self, turn: usize) -> Option<NodeView> {
        let all = self.all();
        let last = self.last().clone().filter(|last| all.contains(last));
        match last {
            Some(last) if turn < 2 => Some(last),
            _ => all.get(turn % all.len().max(1)).cloned(),
        }
    }

    /// Everybody there is to ask.
    pub(super) fn all(&self) -> Vec<NodeView> {
        let shared = &self.remote.0;
        match &shared.view {
            Some(view) => candidates(&shared.seeds, &view.borrow()),
            None => shared.seeds.clone(),
        }
    }

    /// This one answers.
    pub(super) fn remember(&self, node: NodeView) {
        *self.last() = Some(node);
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<NodeView>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Not between two that have not been asked yet.
    pub(super) async fn rest(&self, turn: usize) {
        if turn > 1 {
            sleep(PAUSE).await;
        }
    }
}
