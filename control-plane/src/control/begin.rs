//! How a control node gets its place: it founds a platform, takes the place of those that are lost, or is taken in.

use freshet_proto::{id::NodeId, message::Request, registry::Refused, view::Role};
use tokio::time::{Duration, Instant, sleep, timeout_at};
use tracing::{info, warn};

use super::{Control, Inner};
use crate::{
    machine::Input,
    raft::{ChangeError, Member, ProposeError},
    remote::Remote,
    secrets::Secrets,
};

/// Why a platform could not be founded, or a control node not be taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// See [`ChangeError`].
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// See [`ProposeError`].
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// This node has stopped meanwhile.
    #[error("this control node has stopped")]
    Stopped,
    /// The registry refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No control node took this one in, in time. The remedy: see that one of them can be reached and that most of them
    /// are up, then start this node again.
    #[error("no control node has taken this one in: {0}; see that they are up and can be reached, then start it again")]
    NotTakenIn(String),
}

/// How long a founder may take to lead, and one attempt to be taken in.
const PATIENCE: Duration = Duration::from_secs(40);

impl Control {
    /// Founds a platform of this one control node, or goes on with a founding that was interrupted. Where there is a
    /// platform already it stays as it is.
    ///
    /// # Errors
    /// See [`BeginError`].
    pub async fn found(&self, secrets: Secrets) -> Result<(), BeginError> {
        let inner = &self.0;
        let me = Member { addr: inner.view.quic, server_name: inner.view.server_name.clone() };
        if inner.group.is_new() {
            inner.group.bootstrap(me).await?;
        }
        let mut leadership = inner.group.leadership();
        let leads = leadership.wait_for(|leadership| leadership.mine || leadership.leader.is_some());
        let leads = timeout_at(Instant::now() + PATIENCE, leads).await;
        leads.map_err(|_| BeginError::Stopped)?.map_err(|_| BeginError::Stopped)?;
        if inner.group.read(|registry| registry.secrets().is_some()) {
            return Ok(());
        }
        for input in [Input::Found(secrets), Input::PutNode { node: inner.id, view: inner.view.clone() }] {
            inner.insist(input).await?;
        }
        info!(node = %inner.id, "the platform is founded");
        Ok(())
    }

    /// Takes the place of control nodes that are lost: for a node that was restored from a backup, whose group is itself. Does
    /// nothing where the registry knows this node.
    ///
    /// # Errors
    /// See [`BeginError`].
    pub async fn succeed(&self) -> Result<(), BeginError> {
        let inner = &self.0;
        let mut leadership = inner.group.leadership();
        let leads = timeout_at(Instant::now() + PATIENCE, leadership.wait_for(|leadership| leadership.mine)).await;
        leads.map_err(|_| BeginError::Stopped)?.map_err(|_| BeginError::Stopped)?;
        if inner.group.read(|registry| registry.nodes().contains_key(&inner.id)) {
            return Ok(());
        }
        inner.in_office().await.map_err(|_| Refused::Unavailable)?;
        let members = inner.group.status().members;
        let lost: Vec<NodeId> = inner.group.read(|registry| {
            let control = registry.nodes().iter().filter(|(_, node)| node.view.role == Role::Control);
            control.map(|(id, _)| *id).filter(|id| !members.contains_key(id)).collect()
        });
        for node in lost {
            warn!(%node, "a control node of the lost cluster is removed");
            // Not cut off: this node may have taken its name.
            inner.group.propose(inner.proposal(Input::RemoveNode { node })).await?.reply?;
        }
        let put = Input::PutNode { node: inner.id, view: inner.view.clone() };
        inner.group.propose(inner.proposal(put)).await?.reply?;
        Ok(())
    }

    /// Asks the others until this node, which has joined, has its place among the voters. A node that has it already asks
    /// once, in case its address has changed.
    ///
    /// # Errors
    /// [`BeginError::NotTakenIn`].
    pub async fn enlist(&self) -> Result<(), BeginError> {
        let inner = &self.0;
        let request = Request::Enlist { node: inner.id, view: inner.view.clone() };
        let until = Instant::now() + PATIENCE;
        let remote = Remote::new(inner.pool.clone(), inner.seeds.clone(), None, inner.random.clone());
        loop {
            match remote.ask::<()>(&request, PATIENCE).await {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() >= until => return Err(BeginError::NotTakenIn(why.to_string())),
                Err(why) => warn!(%why, "not taken in yet"),
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

impl Inner {
    /// Proposes what changes nothing the second time, and again where no answer has come: the only control node there is may
    /// have a disk to which others write, and nobody else can be asked.
    async fn insist(&self, input: Input) -> Result<(), BeginError> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.group.propose(self.proposal(input.clone())).await {
                Err(ProposeError::Unknown) if Instant::now() < until => warn!("not written down yet: the disk is slow"),
                proposed => return Ok(proposed?.reply.map(drop)?),
            }
        }
    }
}
