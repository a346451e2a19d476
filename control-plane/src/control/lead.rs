//! What only the leader does: it tells its time; then it notices that a lease has run out, a node's or a chat hub's, that a
//! grace is over or that a signing key's time has come, and proposes what follows.
//!
//! ```text
//! leads ──▶ every node gets a whole lease ──Leads──▶ in office: proposals go through, deadlines count ──▶ leads no more
//! ```

use std::sync::{Arc, Weak};

use freshet_proto::{id::NodeId, level::Level, message::Denied, registry::Refused};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Inner, OFFICE_WAIT};
use crate::{
    machine::{Input, Registry},
    raft::{Leadership, Proposal, ProposeError},
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
        let term = tokio::select! {
            biased;
            () = closing.cancelled() => return,
            led = leadership.wait_for(|leadership| leadership.mine) => match led { Ok(led) => led.term, Err(_) => return },
        };
        let Some(control) = control.upgrade() else { return };
        control.begin_leases();
        let mut seen = control.begin_history();
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = control.take_office(term) => {}
        }
        while leads(&leadership.borrow_and_update(), term) {
            let (wake, mut view) = (control.next_wake(), control.group.feed().view());
            view.mark_unchanged();
            control.follow_history(&mut seen);
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

fn leads(leadership: &Leadership, term: u64) -> bool {
    leadership.mine && leadership.term == term
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
        self.hubs().begin();
    }

    /// Tells the registry this leader's time before anything else, unless it did already in this term; gives up when it
    /// leads no more.
    async fn take_office(&self, term: u64) {
        let leadership = self.group.leadership();
        while *self.office.borrow() != term && leads(&leadership.borrow(), term) {
            match self.tell_time().await {
                Ok(()) => drop(self.office.send_replace(term)),
                Err(error) => {
                    warn!(%error, "this leader's time could not be agreed on yet");
                    sleep(RETRY).await;
                }
            }
        }
        // Whoever waits looks again who leads.
        let told = *self.office.borrow();
        self.office.send_replace(told);
    }

    /// Where its clock is not ahead of the registry's time as that went on before its eyes, that is its time, and there is
    /// nothing to tell. Control nodes of version 1 can't be told.
    async fn tell_time(&self) -> Result<(), ProposeError> {
        // Whatever another leader has written is applied then, and its time seen.
        self.group.confirm().await?;
        let now_ms = self.now_ms();
        let unseen_ms = now_ms.saturating_sub(self.group.running_ms());
        if unseen_ms == 0 || self.group.agreed() < Level::KEEPS_GRACES {
            return Ok(());
        }
        self.group.propose(Proposal { now_ms, input: Input::Leads { unseen_ms } }).await.map(drop)
    }

    /// Waits until this leader has told its time: its proposals carry it, and would end what it does not know to be over.
    ///
    /// # Errors
    /// [`Denied::Elsewhere`] where it does not lead; [`Refused::Unavailable`] where it can't write.
    pub(super) async fn in_office(&self) -> Result<(), Denied> {
        let (mut office, leadership) = (self.office.subscribe(), self.group.leadership());
        let taken = async {
            loop {
                self.leading()?;
                let term = leadership.borrow().term;
                if *office.borrow_and_update() == term {
                    return Ok(());
                }
                office.changed().await.map_err(|_| Refused::Unavailable)?;
            }
        };
        timeout(OFFICE_WAIT, taken).await.unwrap_or(Err(Refused::Unavailable.into()))
    }

    fn next_wake(&self) -> Option<Instant> {
        let now_ms = self.now_ms();
        let grace = self.group.read(Registry::deadline_ms);
        let grace = grace.map(|at| Instant::now() + Duration::from_millis(at.saturating_sub(now_ms)));
        [self.leases().deadline(), grace, self.keys_due(now_ms), self.hubs_due()].into_iter().flatten().min()
    }

    async fn do_due(self: &Arc<Self>) {
        self.take_hubs_out().await;
        let due = self.leases().due(Instant::now());
        for node in due {
            warn!(%node, "a node's lease has run out");
            // It may come back as another version.
            self.heard().forget(node);
            if let Err(error) = self.propose(Input::NodeLost { node }).await {
                warn!(%node, %error, "that a node is lost could not be agreed on yet");
                self.leases().again(Instant::now() + RETRY, node);
            }
        }
        let now_ms = self.now_ms();
        if self.group.read(Registry::deadline_ms).is_some_and(|at| at <= now_ms)
            && let Err(error) = self.propose(Input::Timeout).await
        {
            warn!(%error, "that a grace is over could not be agreed on yet");
            tokio::time::sleep(RETRY).await;
        }
        self.turn_keys().await;
    }
}
