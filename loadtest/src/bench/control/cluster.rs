//! A cluster of three under measurement, ours or etcd's, as the measurements see it.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};

/// How many members a cluster has.
pub const MEMBERS: usize = 3;

/// How long one member may take before a client asks another one: as long as our own client gives it.
pub const ATTEMPT: Duration = Duration::from_millis(700);

/// For how long a client goes on looking for a member that answers.
pub const LIMIT: Duration = Duration::from_secs(15);

/// How long a cluster may take until its members agree.
const PATIENCE: Duration = Duration::from_secs(40);

/// Three processes on the servers' core.
pub trait Cluster {
    /// Who asks it.
    type Client: Client;

    /// As progress lines name it.
    const NAME: &'static str;

    /// New clients that share so many connections to each member. One that does not find the leader by itself begins with
    /// the member `leader`. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When no socket can be had.
    fn clients(&self, count: usize, connections: usize, leader: usize) -> anyhow::Result<Vec<Self::Client>>;

    /// Ends a member as a power cut would, and returns once it has ended.
    ///
    /// # Errors
    /// When it does not run.
    fn kill(&mut self, member: usize) -> anyhow::Result<()>;

    /// Starts it again as it was.
    ///
    /// # Errors
    /// When it can't be started.
    fn revive(&mut self, member: usize) -> anyhow::Result<()>;
}

/// Asks a cluster.
pub trait Client: Send + Sync + 'static {
    /// Reads changes.
    type Watch: Watch;

    /// Overwrites the channel of this number at the leader, and returns once that is committed. Looks for the leader where
    /// it is not known, for [`LIMIT`] at most.
    ///
    /// # Errors
    /// When nobody has answered by then.
    fn put(&self, number: usize) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Watches all channels at this member. The watch has begun when this returns.
    ///
    /// # Errors
    /// When the member does not answer.
    fn watch(&self, member: usize) -> impl Future<Output = anyhow::Result<Self::Watch>> + Send;

    /// What a member says of the cluster.
    ///
    /// # Errors
    /// When it does not answer.
    fn standing(&self, member: usize) -> impl Future<Output = anyhow::Result<Standing>> + Send;
}

/// A watch that has begun.
pub trait Watch: Send + 'static {
    /// The number of the next channel that has changed.
    ///
    /// # Errors
    /// When the watch has ended.
    fn next(&mut self) -> impl Future<Output = anyhow::Result<usize>> + Send;
}

/// What a member says of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its own number.
    pub me: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<u64>,
    /// How far it has applied the log.
    pub applied: u64,
}

/// The channel of this number.
pub fn channel(number: usize) -> String {
    format!("c{number}")
}

/// The number of a channel that [`channel`] named.
pub fn number(channel: &str) -> Option<usize> {
    channel.strip_prefix('c')?.parse().ok()
}

/// Waits until all members answer, agree on who leads, and have applied the same; returns the leader.
///
/// # Errors
/// When they don't within 40 s.
pub async fn settled<C: Client>(client: &C) -> anyhow::Result<usize> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut standings = Vec::new();
        for member in 0..MEMBERS {
            standings.push(client.standing(member).await.with_context(|| format!("member {}", member + 1)));
        }
        match agreed(&standings) {
            Some(leader) => return Ok(leader),
            None if Instant::now() > until => bail!("the members do not agree within {PATIENCE:?}: {standings:?}"),
            None => sleep(Duration::from_millis(50)).await,
        }
    }
}

fn agreed(standings: &[anyhow::Result<Standing>]) -> Option<usize> {
    let all: Vec<&Standing> = standings.iter().map(|standing| standing.as_ref().ok()).collect::<Option<_>>()?;
    let (leader, applied) = (all.first()?.leader?, all.first()?.applied);
    let same = all.iter().all(|standing| standing.leader == Some(leader) && standing.applied == applied);
    all.iter().position(|standing| same && standing.me == leader)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_settled_when_all_agree_on_one_of_them() {
        let at = |me, leader, applied| Ok(Standing { me, leader, applied });
        assert_eq!(agreed(&[at(1, Some(9), 5), at(9, Some(9), 5), at(4, Some(9), 5)]), Some(1));
        assert_eq!(agreed(&[at(1, Some(9), 5), at(9, Some(9), 6), at(4, Some(9), 5)]), None, "one is behind");
        assert_eq!(agreed(&[at(1, Some(9), 5), at(9, Some(4), 5), at(4, Some(9), 5)]), None);
        assert_eq!(agreed(&[at(1, None, 5), at(9, None, 5), at(4, None, 5)]), None);
        assert_eq!(agreed(&[at(1, Some(7), 5), at(9, Some(7), 5), at(4, Some(7), 5)]), None, "the leader is gone");
        assert_eq!(agreed(&[at(1, Some(1), 5), Err(anyhow::anyhow!("down")), at(4, Some(1), 5)]), None);
    }

    #[test]
    fn channels_are_known_by_their_number() {
        assert_eq!(number(&channel(17)), Some(17));
        assert_eq!((number("ada"), number("cx")), (None, None));
    }
}
