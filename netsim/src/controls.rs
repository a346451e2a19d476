//! What is known of a platform's control nodes: who leads, what was acknowledged, whether it is kept. A machine.

use std::{collections::BTreeMap, sync::Arc};

use freshet_control_plane::{
    feed::Feed,
    raft::{Group, Leadership},
};
use freshet_proto::{
    id::{Epoch, NodeId},
    level::Level,
    registry::Claimed,
    view::{ChannelView, View},
};
use tokio::sync::watch::Receiver;

use crate::{consensus::Consensus, invariants::Rule, ledger::Broken, schedule::Host};

/// A running control node as the stage sees it.
#[derive(Debug, Clone)]
pub struct Seat {
    /// What it has applied.
    pub feed: Feed,
    /// Whom it takes for the leader.
    pub leadership: Receiver<Leadership>,
    /// The member of the consensus.
    pub group: Group,
    /// How many entries its log may have.
    pub most_log: u64,
}

/// The control nodes and what they have answered.
#[derive(Debug, Default)]
pub struct Controls {
    /// Those that run.
    pub seats: BTreeMap<Host, Seat>,
    /// How many claims origins wait for.
    pub claiming: usize,
    /// How many claims had no answer: an origin may have let an encoder go on without one.
    pub unanswered: usize,
    /// Since when no control node runs, in ms.
    pub none_since: Option<u64>,
    /// What is known of the consensus.
    pub consensus: Consensus,
    /// Claims that were granted, and to whom. As many as a run's encoders come.
    granted: BTreeMap<Epoch, (NodeId, Claimed)>,
}

impl Controls {
    /// Who leads, of those that run.
    pub fn leader(&self) -> Option<Host> {
        let leads = |(host, seat): (&Host, &Seat)| {
            let leadership = seat.leadership.borrow();
            leadership.mine.then_some((leadership.term, *host))
        };
        self.seats.iter().filter_map(leads).max().map(|(_, host)| host)
    }

    /// Whether somebody leads who keeps graces whatever its clock says.
    pub fn keeps_graces(&self) -> bool {
        let leader = self.leader().and_then(|host| self.seats.get(host));
        leader.is_some_and(|seat| seat.group.agreed() >= Level::KEEPS_GRACES)
    }

    /// Looks at how far each has come.
    ///
    /// # Errors
    /// See [`Consensus::look`].
    pub fn look(&mut self) -> Result<(), Broken> {
        let Self { seats, consensus, .. } = self;
        seats.iter().try_for_each(|(host, seat)| {
            let leadership = seat.leadership.borrow();
            consensus.look(host, leadership.mine.then_some(leadership.term), seat.group.status(), seat.most_log)
        })
    }

    /// A control node has gone.
    pub fn left(&mut self, host: Host) {
        self.seats.remove(host);
        self.consensus.ended(host);
    }

    /// How many claims have been granted.
    pub fn claims(&self) -> usize {
        self.granted.len()
    }

    /// What each has applied.
    pub fn views(&self) -> Vec<Arc<View>> {
        self.seats.values().map(|seat| seat.feed.view().borrow().clone()).collect()
    }

    /// An origin was told that its claim is granted. An answer that was asked for twice is told twice.
    ///
    /// # Errors
    /// When the epoch was granted to somebody else too (I5).
    pub fn granted(&mut self, origin: NodeId, claimed: &Claimed) -> Result<(), Broken> {
        let now = (origin, claimed.clone());
        let before = self.granted.entry(claimed.epoch).or_insert_with(|| now.clone());
        if *before == now {
            return Ok(());
        }
        Err((Rule::I5, format!("epoch {} was granted twice: {before:?}, then {now:?}", claimed.epoch)))
    }

    /// Whether what a control node has applied contains every claim that was answered before that point of the log.
    ///
    /// # Errors
    /// When one is missing (I5).
    pub fn kept(&self, view: &View) -> Result<(), Broken> {
        for (epoch, (origin, claimed)) in self.granted.range(..=Epoch(view.revision)) {
            let Some(channel) = view.channels.get(&claimed.channel) else { continue };
            let current = channel.current().map(|current| current.epoch);
            let listed = channel.epochs.first().is_some_and(|first| first.epoch <= *epoch);
            let lost = current.is_some_and(|current| current < *epoch)
                || (listed && channel.origin_of(*epoch) != Some(*origin));
            if lost {
                let ChannelView { epochs, .. } = channel;
                let what =
                    format!("epoch {epoch} was granted to node {origin}; revision {}: {epochs:?}", view.revision);
                return Err((Rule::I5, what));
            }
        }
        Ok(())
    }

    /// Why the control nodes have not come together, if so.
    pub fn ill(&self, all: usize) -> Option<String> {
        if self.seats.len() < all {
            return Some(format!("{} of {all} control nodes run", self.seats.len()));
        }
        if self.leader().is_none() {
            return Some("no control node leads".to_owned());
        }
        let revisions: Vec<u64> = self.views().iter().map(|view| view.revision).collect();
        let answered = self.granted.keys().next_back().map_or(0, |epoch| epoch.0);
        let together = revisions.windows(2).all(|pair| pair[0] == pair[1]) && revisions.iter().all(|r| *r >= answered);
        (!together).then(|| format!("control nodes are at revisions {revisions:?}; {answered} was answered"))
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        id::{Msn, SessionId},
        view::EpochView,
    };

    use super::*;

    fn claimed(epoch: u64) -> Claimed {
        let session = SessionId(1);
        Claimed { channel: "ada".parse().unwrap(), session, epoch: Epoch(epoch), msn_base: Msn(0), prior: None }
    }

    fn view(revision: u64, epochs: &[(u64, u64)]) -> View {
        let epochs = epochs.iter().map(|(e, o)| EpochView { epoch: Epoch(*e), origin: NodeId(*o) }).collect();
        let channel = ChannelView { epochs, ..ChannelView::default() };
        View { revision, channels: [("ada".parse().unwrap(), channel)].into(), ..View::default() }
    }

    #[test]
    fn a_claim_that_was_answered_and_is_missing_is_found() {
        let mut controls = Controls::default();
        controls.granted(NodeId(1), &claimed(5)).unwrap();
        controls.granted(NodeId(1), &claimed(5)).unwrap();
        controls.granted(NodeId(2), &claimed(8)).unwrap();
        assert!(controls.granted(NodeId(1), &claimed(8)).is_err());
        let kept = |revision, epochs: &[(u64, u64)]| controls.kept(&view(revision, epochs)).is_ok();
        assert!(kept(7, &[(5, 1)]) && kept(8, &[(5, 1), (8, 2)]) && kept(9, &[(8, 2), (9, 1)]));
        assert!(!kept(8, &[(5, 1)]), "the second is lost");
        assert!(!kept(9, &[(5, 1), (9, 1)]), "another came after it was lost");
        assert!(!kept(8, &[(5, 1), (8, 1)]), "another has it");
    }
}
