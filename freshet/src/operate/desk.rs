//! How operators ask: in the name of the node whose host this is.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use freshet_control_plane::{
    api::OPERATOR,
    remote::{ApiRemote, Remote},
};
use freshet_proto::{
    admin::{AdminCommand, AdminReply, Cluster, Levels},
    api::ApiRequest,
    clock::WallClock,
    message::{Denied, MAX_FRAME, Request},
    quic::{Doors, Endpoint, Pool, QuicError, Tuning},
    random::Random,
    view::{NodeView, Role},
};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::{
    cli::Settings,
    config::Config,
    node::{Papers, any_port},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// When the operator is told that an answer is waited for.
const SOON: Duration = Duration::from_secs(1);
/// How long to wait after all control nodes have been asked for a backup and none leads.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the leader is waited for where another node has answered already.
const BRIEF: Duration = Duration::from_secs(2);
/// How long a membership change may take: a node is waited for.
const LONG: Duration = Duration::from_secs(45);

const NOBODY_LEADS: &str = "none of them leads";
/// What is said of an answer that fits no question.
pub const UNEXPECTED: &str = "the control node answered something else: run the same version here and there";

/// Asks the control nodes in the name of the node whose host this is.
pub struct Desk {
    remote: Remote,
    pool: Pool,
    seeds: Vec<NodeView>,
    _endpoint: Endpoint,
}

impl Desk {
    /// Takes this host's papers.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn open(at: &Settings) -> anyhow::Result<Self> {
        let config = at.load()?.config;
        let data = &config.node.data;
        let papers = Papers::load(data)?.with_context(|| {
            format!(
                "{} has no papers of a node: run this on a control node's host, with its --config or --data",
                data.display()
            )
        })?;
        let own = own_address(&config);
        let me =
            own.filter(|_| papers.role == Role::Control).map(|addr| NodeView::new(Role::Control, addr, &papers.name));
        let seeds: Vec<NodeView> = me.into_iter().chain(papers.control.clone()).collect();
        let random = Random::system();
        let doors = Doors { clock: WallClock::system(), random: random.clone() };
        let first = seeds.first().context("this node knows no control node")?;
        let identity = papers.identity(data)?.at_most(config.protocol.at_most);
        let endpoint = Endpoint::bind(any_port(first.quic), &identity, doors, Tuning::default())?;
        let pool = Pool::new(&endpoint);
        Ok(Self { remote: Remote::new(pool.clone(), seeds.clone(), None, random), pool, seeds, _endpoint: endpoint })
    }

    /// Asks whichever control node answers; the leader, where only that one can.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn ask(&self, command: AdminCommand) -> anyhow::Result<AdminReply> {
        let limit = if matches!(command, AdminCommand::RemoveNode { .. }) { LONG } else { PATIENCE };
        told_to_wait(limit, self.remote.ask(&Request::Admin(command), limit)).await.map_err(explain)
    }

    /// Asks the REST API as the operator; the answer's JSON, null where it has none.
    ///
    /// # Errors
    /// In words for the operator: the problem's detail.
    pub async fn api(
        &self,
        method: &str,
        target: &str,
        body: Option<serde_json::Value>,
    ) -> anyhow::Result<serde_json::Value> {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = ApiRequest {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: vec![field("x-client-roles", OPERATOR), field("content-type", "application/json")],
            body: body.map(|body| body.to_string()).unwrap_or_default().into(),
        };
        let api = ApiRemote::new(self.remote.clone());
        let (head, body) = told_to_wait(PATIENCE, api.ask(&request, PATIENCE)).await.map_err(explain_api)?;
        let json = if body.is_empty() { serde_json::Value::Null } else { serde_json::from_slice(&body)? };
        match head.status {
            200..=299 => Ok(json),
            status => bail!("{}", json["detail"].as_str().map_or_else(|| format!("status {status}"), str::to_owned)),
        }
    }

    /// As the leader sees it, who alone knows of leases and versions; where it can't be asked, as whoever answered does.
    pub async fn cluster(&self) -> anyhow::Result<(Cluster, Option<Levels>)> {
        let AdminReply::Cluster(seen) = self.ask(AdminCommand::Cluster).await? else { bail!(UNEXPECTED) };
        let asked = seen.leader.unwrap_or(seen.answered_by);
        let Some(node) = seen.nodes.iter().find(|node| node.id == asked) else { return Ok((seen, None)) };
        let levels = match self.ask_at(&node.view, AdminCommand::Levels, BRIEF).await {
            Ok(Ok(AdminReply::Levels(levels))) => Some(levels),
            // It knows version 1 alone: no other can have been agreed on.
            Err(QuicError::Older { spoken: agreed, .. }) => Some(Levels { agreed, nodes: Vec::new() }),
            _ => None,
        };
        match self.ask_at(&node.view, AdminCommand::Cluster, BRIEF).await {
            Ok(Ok(AdminReply::Cluster(cluster))) => Ok((cluster, levels)),
            _ => Ok((seen, levels)),
        }
    }

    async fn ask_at(
        &self,
        node: &NodeView,
        command: AdminCommand,
        limit: Duration,
    ) -> Result<Result<AdminReply, Denied>, QuicError> {
        self.pool.call(node.quic, &node.server_name, &Request::Admin(command), limit).await
    }

    /// Asks the control node of this host first, which alone knows what it has; another one where it does not run.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn ask_here(&self, command: AdminCommand) -> anyhow::Result<AdminReply> {
        match self.seeds.first() {
            Some(here) => match self.ask_at(here, command.clone(), PATIENCE).await {
                Ok(answer) => answer.map_err(explain),
                Err(_) => self.ask(command).await,
            },
            None => self.ask(command).await,
        }
    }

    /// A backup is longer than a frame may be, so it follows one.
    pub async fn backup(&self) -> anyhow::Result<bytes::Bytes> {
        told_to_wait(PATIENCE, self.backup_of_leader()).await
    }

    async fn backup_of_leader(&self) -> anyhow::Result<bytes::Bytes> {
        let until = Instant::now() + PATIENCE;
        let mut candidates = self.seeds.clone();
        let mut why = NOBODY_LEADS.to_owned();
        while Instant::now() < until {
            let Some(node) = candidates.pop() else {
                candidates.clone_from(&self.seeds);
                sleep(PAUSE).await;
                continue;
            };
            let asked = self.pool.request(node.quic, &node.server_name, &Request::Admin(AdminCommand::Backup)).await;
            let Ok(mut reader) = asked.inspect_err(|error| why = error.to_string()) else { continue };
            match reader.read_frame::<Result<AdminReply, Denied>>(MAX_FRAME).await? {
                Ok(AdminReply::Backup { length }) => {
                    let backup = reader.read_payload(length.into()).await?;
                    reader.expect_end().await?;
                    return Ok(backup);
                }
                Ok(_) => bail!(UNEXPECTED),
                Err(Denied::Elsewhere(Some(leader))) => candidates.push(leader),
                Err(Denied::Elsewhere(None)) => why = NOBODY_LEADS.to_owned(),
                Err(denied) => why = denied.to_string(),
            }
        }
        bail!(
            "no control node gave a backup: {why}; if most of them are lost for good, take one from the disk of one that is \
             stopped: freshet control backup --from DIR FILE"
        )
    }
}

/// Waits for an answer, and says so where it does not come soon.
async fn told_to_wait<T>(limit: Duration, answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    match timeout(SOON, &mut answer).await {
        Ok(answer) => answer,
        Err(_) => {
            eprintln!("no answer yet, as while no control node leads; waiting up to {} s", limit.as_secs());
            answer.await
        }
    }
}

/// In words for the operator, where a control node refused.
pub fn explain_any(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Denied>() {
        Ok(denied) => explain(denied),
        Err(error) => error,
    }
}

fn explain_api(denied: Denied) -> anyhow::Error {
    match denied {
        Denied::Refused(freshet_proto::registry::Refused::Unavailable) => anyhow::anyhow!(
            "no control node that keeps accounts answers: see that the first one is up, or the one that has accounts.database_url"
        ),
        denied => explain(denied),
    }
}

fn explain(denied: Denied) -> anyhow::Error {
    match denied {
        Denied::Refused(freshet_proto::registry::Refused::Unavailable) => anyhow::anyhow!(
            "no control node leads, or none can be reached from here: see that most of them are up (`freshet node ls`)"
        ),
        denied => denied.into(),
    }
}

/// Where the control node of this configuration is reached.
pub fn own_address(config: &Config) -> Option<SocketAddr> {
    let mut addr = config.quic.advertise.unwrap_or(config.listen.quic);
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    (addr.port() != 0).then_some(addr)
}
