//! What only the leader does: it notices that a lease has run out, that a grace is over or that a signing key's time has come,
//! and proposes what follows.

use std::sync::{Arc, Weak};

use freshet_proto::id::NodeId;
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Inner;
use crate::{
    machine::{Input, Registry},
    raft::Leadership,
};

/// After how long what could not be proposed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Leads whenever this node does, until the node closes.
pub(super) async fn lead(
    control: Weak<Inner>,
    mut leadership: watch::Receiver<Leadership>,
    closing: CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            led = leadership.wait_for(|leadership| leadership.mine) => if led.is_err() { return },
        }
        let Some(control) = control.upgrade() else { return };
        control.begin_leases();
        while leadership.borrow_and_update().mine {
            let (wake, mut view) = (control.next_wake(), control.group.feed().view());
            view.mark_unchanged();
            let due = async { if let Some(at) = wake { sleep_until(at).await } else { std::future::pending().await } };
            tokio::select! {
                biased;
                () = closing.cancelled() => return,
                changed = leadership.changed() => if changed.is_err() { return },
                _ = view.changed() => {}
                () = due => control.do_due().await,
            }
        }
    }
}

impl Inner {
    /// Every node gets a whole lease, for nobody here knows when it was heard last.
    fn begin_leases(&self) {
        use freshet_proto::view::NodeState::{Active, Draining};
        let alive = |registry: &Registry| -> Vec<NodeId> {
            let nodes = registry.nodes().iter();
            nodes.filter(|(_, node)| matches!(node.view.state, Active | Draining)).map(|(id, _)| *id).collect()
        };
        let nodes = self.group.read(alive);
        info!(nodes = nodes.len(), "this control node leads");
        self.heard().begin();
        self.leases().begin(Instant::now(), nodes);
    }

    fn next_wake(&self) -> Option<Instant> {
        let now_ms = self.now_ms();
        let grace = self.group.read(Registry::deadline_ms);
        let grace = grace.map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(now_ms)));
        [self.leases().deadline(), grace, self.keys_due(now_ms)].into_iter().flatten().min()
    }

    async fn do_due(self: &Arc<Self>) {
        let due = self.leases().due(Instant::now());
        for node in due {
            warn!(%node, "a node's lease has run out");
            // It may come back as another version.
            self.heard().forget(node);
            if let Err(error) = self.group.propose(self.proposal(Input::NodeLost { node })).await {
                warn!(%node, %error, "that a node is lost could not be agreed on yet");
                self.leases().again(Instant::now() + RETRY, node);
            }
        }
        let now_ms = self.now_ms();
        if self.group.read(Registry::deadline_ms).is_some_and(|at| at <= now_ms)
            && let Err(error) = self.group.propose(self.proposal(Input::Timeout)).await
        {
            warn!(%error, "that a grace is over could not be agreed on yet");
            tokio::time::sleep(RETRY).await;
        }
        self.turn_keys().await;
    }
}
