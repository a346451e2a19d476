//! A control node as a process runs it: it keeps the registry with the others and answers every node.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use freshet_control_plane::{
    channel::Times,
    control::{CannotSign, Control, Plan},
    key::Pepper,
    keys,
    raft::{self, Store},
    remote::{Held, Remote, hold},
    secrets::Secrets,
};
use freshet_proto::{
    quic::{self, Endpoint, Identity, Pool, Tuning},
    view::{NodeView, Role},
};
use tokio::{sync::watch, time::Duration};

use super::{
    AccountsPlan, ApiNode, World,
    papers::{Authority, Papers, keep_certified},
    shut_out_the_removed,
};
use crate::{
    admin::{Check, Jwks},
    ports::Port,
};

/// What a control node needs to start.
pub struct ControlPlan {
    /// Where it keeps its papers and the registry.
    pub data: PathBuf,
    /// Where other nodes come.
    pub quic: Port,
    /// Where other nodes are told to come, if not at the address that is bound.
    pub advertise: Option<SocketAddr>,
    /// How the consensus behaves.
    pub raft: raft::Config,
    /// How long sessions outlive their publishers, for a platform that is founded.
    pub times: Times,
    /// The name to found a platform under, where this node has no papers; `None` only joins.
    pub found: Option<String>,
    /// For how long the certificates are valid that it issues to nodes.
    pub certified_for: Duration,
    /// How long signing keys live, and what they are wrapped with.
    pub keys: keys::Plan,
    /// Where it keeps accounts.
    pub accounts: AccountsPlan,
}

/// A running control node.
pub struct ControlNode {
    /// The node itself.
    pub control: Control,
    /// Where other nodes come.
    pub quic: SocketAddr,
    /// The REST API, where this node keeps accounts.
    pub api: Option<ApiNode>,
    endpoint: Endpoint,
    held: watch::Receiver<Held>,
}

/// The registry's directory, under the data directory.
pub const CONSENSUS: &str = "consensus";

impl ControlNode {
    /// Binds everything, takes part in the consensus, and returns once this node has its place in it.
    ///
    /// # Errors
    /// When a port, the papers or the registry can't be had, in words for the operator.
    pub async fn start(plan: ControlPlan, world: &World) -> anyhow::Result<Self> {
        plan.quic.check_udp()?;
        let (papers, founding) = papers(&plan, world)?;
        let identity = papers.identity(&plan.data)?.admitting_strangers().at_most(world.level);
        let endpoint = Endpoint::bind(plan.quic.addr, &identity, world.doors(), Tuning::default())?;
        let quic = endpoint.local_addr()?;
        let me = NodeView::new(Role::Control, plan.advertise.unwrap_or(quic), &papers.name);
        let store = Store::file(&plan.data.join(CONSENSUS))?;
        let pool = Pool::new(&endpoint);
        let raft = raft::Config { times: plan.times, level: world.level, ..plan.raft };
        let seeds = papers.control.clone();
        let certified_for = plan.certified_for;
        let consensus =
            Plan { id: papers.id, view: me.clone(), raft, seeds: seeds.clone(), certified_for, keys: plan.keys };
        let (clock, random) = (world.clock.clone(), world.random.clone());
        let control = Control::start(consensus, store, pool.clone(), clock.clone(), random.clone()).await?;
        shut_out_the_removed(endpoint.clone(), control.feed().view());
        let (handler, answering) = (Arc::new(control.clone()), endpoint.clone());
        tokio::spawn(async move { quic::serve(&answering, handler, std::future::pending()).await });
        match founding {
            Some(secrets) => {
                control.found(secrets).await?;
                Papers::founded(&plan.data);
            }
            None if seeds.is_empty() && control.group().status().voters.len() == 1 => control.succeed().await?,
            None if seeds.is_empty() => {}
            None if control.is_new() => control.enlist().await?,
            None => reintroduce(&control),
        }
        let first = seeds.is_empty();
        let api = ApiNode::start(plan.accounts, &control, &plan.data, first, world).await?;
        let view = control.feed().view();
        let seeds = if seeds.is_empty() { vec![me.clone()] } else { seeds };
        let remote = Remote::new(pool, seeds, Some(view), random.clone());
        let held = hold(remote, papers.id, me, 1 + random.below(u64::MAX));
        let (authority, level) = (Authority::Own(control.clone()), world.level);
        let dress = Arc::new(move |identity: Identity| identity.admitting_strangers().at_most(level));
        tokio::spawn(keep_certified(plan.data, endpoint.clone(), authority, clock, dress));
        Ok(Self { control, quic, api, endpoint, held })
    }

    /// Whether this node does its part.
    pub fn checks(&self) -> Vec<Check> {
        let status = self.control.group().status();
        let leader = status.leader.map_or("nobody leads".to_owned(), |leader| format!("node {leader} leads"));
        let detail = status.stopped.clone().unwrap_or_else(|| {
            format!(
                "{leader} term {}, protocol version {}, {} voters, applied {}",
                status.term,
                self.control.group().agreed(),
                status.voters.len(),
                status.applied.unwrap_or(0)
            )
        });
        let held = *self.held.borrow();
        let lease = match (held.is_good(tokio::time::Instant::now()), held.draining) {
            (true, true) => "draining",
            (true, false) => "heard",
            (false, _) => "not heard by the leader",
        };
        vec![
            Check { name: "consensus", ok: status.stopped.is_none() && status.leader.is_some(), detail },
            Check { name: "lease", ok: lease == "heard", detail: lease.into() },
            self.keys(),
        ]
    }

    /// Whether it can sign. One that can't does everything else.
    fn keys(&self) -> Check {
        let detail = match self.control.signer() {
            Ok(signer) => format!("signs with {}", signer.kid()),
            Err(CannotSign::Locked(why)) => format!("CANNOT SIGN: {why}"),
            Err(why) => why.to_string(),
        };
        Check { name: "keys", ok: true, detail }
    }

    /// The public halves of the signing keys, as this node knows them.
    pub fn jwks(&self) -> Jwks {
        let view = self.control.feed().view();
        Arc::new(move || view.borrow().annex.keys.jwks())
    }

    /// Resolves when the disk has failed and this node must end; tells why.
    pub async fn failed(&self) -> String {
        self.control.group().stopped().await
    }

    /// Hands the leadership over.
    pub async fn drain(&self) {
        self.control.drain().await;
    }

    /// Takes leave of the other nodes.
    pub async fn close(&self) {
        if let Some(api) = &self.api {
            api.close().await;
        }
        self.control.close().await;
        self.endpoint.close().await;
    }
}

/// The papers there are, or new ones with what the platform is founded on.
fn papers(plan: &ControlPlan, world: &World) -> anyhow::Result<(Papers, Option<Secrets>)> {
    let there = Papers::load(&plan.data)?;
    if let Some(papers) = &there {
        let role = papers.role;
        anyhow::ensure!(role == Role::Control, "{} joined as {role}: start it with `freshet {role}`", papers.name);
    }
    let interrupted = plan.data.join("founding").exists();
    match (there, &plan.found) {
        (Some(papers), _) if !interrupted => Ok((papers, None)),
        (None, None) => anyhow::bail!(
            "{} has no papers: begin a new platform with --bootstrap, or join one with `freshet node join`",
            plan.data.display()
        ),
        (there, found) => {
            let name = there.map(|papers| papers.name).or_else(|| found.clone()).context("a name to found under")?;
            let (papers, authority) = Papers::found(&plan.data, &name, plan.certified_for, &world.clock)?;
            let secrets = Secrets {
                pepper: Pepper::generate(&world.random),
                authority: authority.pem().to_owned(),
                authority_key: Papers::founding_key(&plan.data)?,
            };
            Ok((papers, Some(secrets)))
        }
    }
}

/// A member that was there before tells the others where it is now; they may be down as well.
fn reintroduce(control: &Control) {
    let control = control.clone();
    tokio::spawn(async move {
        if let Err(error) = control.enlist().await {
            tracing::warn!(%error, "the other control nodes were not told where this one is");
        }
    });
}
