//! Who belongs to the group, and who leads it: changed while it runs, one change at a time, by the leader alone.
//!
//! ```text
//! (nobody) ──add_learner──▶ learner: gets the log, has no word ──promote──▶ voter ──remove──▶ (nobody, never again)
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use freshet_proto::id::NodeId;
use openraft::{
    ChangeMembers, RaftMetrics,
    errors::{ClientWriteError, RaftError},
};
use tokio::time::timeout;
use tracing::info;

use super::{
    group::Group,
    types::{ChangeError, Member, ProposeError, Types},
};

/// How many voters a group may have: five survive two losses, and each more makes every write slower.
pub(super) const MAX_VOTERS: usize = 7;

impl Group {
    /// Adds a member that gets the log and has no word yet; returns once it has caught up. Its id was never used before.
    /// One that is a learner already is only waited for.
    ///
    /// # Errors
    /// [`ChangeError::Late`] when it has not caught up within `join_ms`: it stays a learner.
    pub async fn add_learner(&self, id: NodeId, member: Member) -> Result<(), ChangeError> {
        let known = self.status().members.get(&id).cloned();
        match known {
            Some(known) if known == member => {}
            Some(known) => {
                return Err(ChangeError::Refused(format!("node {id} is a member already, at {}", known.addr)));
            }
            None => {
                let added = self.inner().raft().add_learner(id.0, member, false).await;
                added.map_err(|error| self.declined(error))?;
            }
        }
        self.caught_up(id).await
    }

    /// Waits until `id` has what this leader has now.
    async fn caught_up(&self, id: NodeId) -> Result<(), ChangeError> {
        let wanted = self.inner().metrics().last_log_index;
        let has = |now: &RaftMetrics<Types>| match &now.replication {
            Some(progress) => progress.get(&id.0).is_some_and(|log| log.as_ref().map(|log| log.index) >= wanted),
            None => true,
        };
        let limit = Duration::from_millis(self.inner().config().join_ms);
        self.wait(limit, has, "node has not caught up with the log yet").await?;
        if self.inner().metrics().replication.is_none() {
            return Err(ProposeError::NotLeader { leader: self.leadership().borrow().leader.clone() }.into());
        }
        info!(node = id.0, "has caught up with the control plane's log");
        Ok(())
    }

    /// Makes a learner a voter.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] where `id` is no member.
    pub async fn promote(&self, id: NodeId) -> Result<(), ChangeError> {
        let status = self.status();
        if status.voters.contains(&id) {
            return Ok(());
        }
        if status.voters.len() >= MAX_VOTERS {
            return Err(ChangeError::Refused(format!("the control plane has {MAX_VOTERS} voters already")));
        }
        self.change(ChangeMembers::AddVoterIds(BTreeSet::from([id.0])), true).await
    }

    /// Removes a member, whether it lives or not. Its id is used up. A leader that removes itself hands over and stays
    /// as long as that takes.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] for the last voter.
    pub async fn remove(&self, id: NodeId) -> Result<(), ChangeError> {
        let status = self.status();
        if status.voters == [id] {
            return Err(ChangeError::Refused("it is the last voter".to_owned()));
        }
        if status.voters.contains(&id) {
            return self.change(ChangeMembers::RemoveVoters(BTreeSet::from([id.0])), false).await;
        }
        if !status.members.contains_key(&id) {
            return Ok(());
        }
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([id.0])), false).await
    }

    /// Changes where a member is reached.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] where `id` is no member.
    pub async fn relocate(&self, id: NodeId, member: Member) -> Result<(), ChangeError> {
        match self.status().members.get(&id) {
            Some(known) if *known == member => Ok(()),
            Some(_) => self.change(ChangeMembers::SetNodes(BTreeMap::from([(id.0, member)])), true).await,
            None => Err(ChangeError::Refused(format!("node {id} is no member"))),
        }
    }

    /// Hands the leadership to `to`, or to the voter that has most of the log, and returns once another leads. Does nothing
    /// where this member does not lead.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] where there is no other voter; [`ChangeError::Late`] when nobody took over in time: then
    /// this member leads on.
    pub async fn transfer(&self, to: Option<NodeId>) -> Result<(), ChangeError> {
        let status = self.status();
        if status.leader != Some(self.id()) {
            return Ok(());
        }
        let others = status.voters.iter().copied().filter(|id| *id != self.id());
        let best = others.max_by_key(|id| (status.matched.get(id).copied(), std::cmp::Reverse(*id)));
        let to = match (to, best) {
            (Some(to), _) if to != self.id() && status.voters.contains(&to) => to,
            (None, Some(best)) => best,
            (Some(to), _) => return Err(ChangeError::Refused(format!("node {to} is no other voter"))),
            (None, None) => return Err(ChangeError::Refused("there is no other voter".to_owned())),
        };
        self.inner().raft().trigger().transfer_leader(to.0).await.map_err(|_| ProposeError::Stopped)?;
        let me = self.id().0;
        let handed = |now: &RaftMetrics<Types>| now.current_leader.is_some_and(|leader| leader != me);
        self.wait(4 * self.inner().config().lease(), handed, "nobody has taken over the leadership").await
    }

    async fn change(&self, change: ChangeMembers<u64, Member>, retain: bool) -> Result<(), ChangeError> {
        let limit = Duration::from_millis(self.inner().config().propose_ms);
        let changed = timeout(limit, self.inner().raft().change_membership(change, retain)).await;
        match changed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.declined(error)),
            Err(_) => Err(ChangeError::Late("no quorum has agreed to the change yet".to_owned())),
        }
    }

    fn declined(&self, error: RaftError<Types, ClientWriteError<Types>>) -> ChangeError {
        match error {
            RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
                ChangeError::Refused(error.to_string())
            }
            error => self.inner().refused(error).into(),
        }
    }

    async fn wait(
        &self,
        limit: Duration,
        until: impl Fn(&RaftMetrics<Types>) -> bool + Send,
        late: &str,
    ) -> Result<(), ChangeError> {
        let waited = self.inner().raft().wait(Some(limit)).metrics(until, "a change").await;
        waited.map(drop).map_err(|_| ChangeError::Late(late.to_owned()))
    }
}
