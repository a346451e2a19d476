//! Follows openraft's metrics: tells who leads, counts, and begins a registry where there is none.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use freshet_proto::id::NodeId;
use openraft::{Instant as _, RaftMetrics, ServerState, alias::WatchReceiverOf};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    group::Inner,
    types::{Command, Leadership, Types},
};

/// openraft's account of itself.
pub(super) type Metrics = WatchReceiverOf<Types, RaftMetrics<Types>>;

/// Runs until the group is dropped or openraft stops.
pub(super) async fn run(
    group: Weak<Inner>,
    mut metrics: Metrics,
    leadership: watch::Sender<Leadership>,
    lease: Duration,
) {
    let mut beginning: Option<JoinHandle<()>> = None;
    loop {
        // A copy: openraft's core waits for whoever holds the original.
        let now = metrics.borrow_and_update().clone();
        let Some(group) = group.upgrade() else { return };
        tell(&now, &leadership, group.heard(), lease);
        count(&now);
        metrics::gauge!("freshet_protocol_version").set(f64::from(group.state().now().registry.level().0));
        if let Err(error) = &now.running_state {
            warn!(%error, "this control node has stopped");
            leadership.send_replace(Leadership { term: now.current_term, ..Leadership::default() });
            return;
        }
        let idle = beginning.as_ref().is_none_or(JoinHandle::is_finished);
        if idle && leadership.borrow().mine && group.state().now().cluster == 0 {
            beginning = Some(tokio::spawn(begin(group.clone())));
        }
        drop(group);
        // The lease runs out without a word from openraft.
        tokio::select! {
            biased;
            changed = metrics.changed() => if changed.is_err() { return },
            () = sleep(lease / 4) => {}
        }
    }
}

/// Who leads, as far as this member can tell: whoever was not heard for two leases may be dead, and openraft names it still.
fn tell(now: &RaftMetrics<Types>, leadership: &watch::Sender<Leadership>, heard_at: Instant, lease: Duration) {
    let membership = now.membership_config.membership();
    let leader = now.current_leader.filter(|id| *id == now.id || heard_at.elapsed() < 2 * lease);
    let leader = leader.and_then(|id| Some((NodeId(id), membership.get_node(&id)?.clone())));
    let alone = membership.voter_ids().eq([now.id]);
    let heard = now.last_quorum_acked.is_some_and(|at| at.elapsed() < lease);
    let mine = now.state == ServerState::Leader && now.current_leader == Some(now.id) && (alone || heard);
    let next = Leadership { term: now.current_term, leader, mine };
    leadership.send_if_modified(|known| {
        let changed = *known != next;
        if changed {
            let leader = next.leader.as_ref().map_or(0, |(id, _)| id.0);
            info!(term = next.term, leader, mine = next.mine, "leadership of the control plane");
            *known = next;
        }
        changed
    });
}

fn count(now: &RaftMetrics<Types>) {
    let gauge = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
    gauge("freshet_raft_term", now.current_term);
    gauge("freshet_raft_leading", u64::from(now.state == ServerState::Leader));
    gauge("freshet_raft_leader", now.current_leader.unwrap_or(0));
    gauge("freshet_raft_last_log_index", now.last_log_index.unwrap_or(0));
    gauge("freshet_raft_applied_index", now.last_applied.map_or(0, |id| id.index));
    gauge("freshet_raft_snapshot_index", now.snapshot.map_or(0, |id| id.index));
    gauge("freshet_raft_voters", now.membership_config.voter_ids().count() as u64);
}

/// The first command of a group. Two that were proposed are no harm: the first one counts.
async fn begin(group: Arc<Inner>) {
    let command = Command::Begin { cluster: group.draw(), times: group.times() };
    if let Err(error) = group.write(command).await {
        warn!(%error, "the registry could not be begun; the next leader will");
    }
}
