//! `freshet node`, `freshet channel`, `freshet control backup|restore`: what operators do, over the node protocol.
//!
//! ```text
//! arguments ──▶ Desk (this host's papers and certificate) ──ADMIN──▶ the control node that leads ──▶ text or JSON
//! node join ──JOIN, without a certificate──▶ papers
//! ```

use std::{
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::Path,
};

use anyhow::{Context, bail};
use freshet_control_plane::{
    api::OPERATOR,
    ca::Ca,
    join::JoinToken,
    raft::{Member, Salvaged, Store, backed_up, restore, salvage},
    remote::{ApiRemote, Remote},
};
use freshet_proto::{
    admin::{AdminCommand, AdminReply, Cluster, Levels},
    api::ApiRequest,
    clock::WallClock,
    id::{ChannelName, NodeId},
    level::Level,
    message::{Denied, MAX_FRAME, Request},
    quic::{Doors, Endpoint, Pool, QuicError, Tuning},
    random::Random,
    view::{ChannelState, NodeView, Role},
};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::{
    cli::{ChannelCommand, ControlCommand, NodeCommand, Output, Settings},
    config::Config,
    files,
    node::{CONSENSUS, Papers, World, any_port},
    people,
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

/// Does what `freshet node` says.
///
/// # Errors
/// In words for the operator.
pub async fn node(command: NodeCommand) -> anyhow::Result<()> {
    match command {
        NodeCommand::Token { role, valid, uses, at } => {
            let reply = Desk::open(&at)?.ask(AdminCommand::MakeToken { role, seconds: valid, uses }).await?;
            let AdminReply::Token(token) = reply else { bail!(UNEXPECTED) };
            println!("{token}");
            eprintln!("On the new {role}'s machine: freshet node join --name NAME --token TOKEN --data DIR");
        }
        NodeCommand::Join { token, name, at } => join(&token, &name, &at.load()?.config).await?,
        NodeCommand::Ls { output, at } => {
            let (cluster, levels) = Desk::open(&at)?.cluster().await?;
            print_cluster(&cluster, levels.as_ref(), output)?;
        }
        NodeCommand::Drain { name, undo, at } => {
            Desk::open(&at)?.ask(AdminCommand::Drain { name: name.clone(), draining: !undo }).await?;
            println!("{name} {}", if undo { "works again" } else { "takes nothing new" });
        }
        NodeCommand::Remove { name, at } => {
            match Desk::open(&at)?.ask(AdminCommand::RemoveNode { name: name.clone() }).await? {
                AdminReply::CutOff { unaware } => {
                    println!("{name} is removed and cut off: other nodes talk to it no more");
                    print_unaware(&unaware);
                }
                AdminReply::Barred { unaware } => {
                    println!("no node {name} is there; whoever was certified under that name before is cut off");
                    print_unaware(&unaware);
                }
                _ => println!("{name} is removed; {STILL_CERTIFIED}"),
            }
        }
    }
    Ok(())
}

/// Does what `freshet channel` says.
///
/// # Errors
/// In words for the operator.
pub async fn channel(command: ChannelCommand) -> anyhow::Result<()> {
    match command {
        ChannelCommand::Put { name, policy, at } => {
            let reply = Desk::open(&at)?.ask(AdminCommand::PutChannel { channel: name, policy }).await?;
            let AdminReply::Key(key) = reply else { bail!(UNEXPECTED) };
            println!("{key}");
            eprintln!("This is the stream key. It can't be shown again; a new one replaces it.");
        }
        ChannelCommand::Ls { output, at } => {
            let AdminReply::Channels(channels) = Desk::open(&at)?.ask(AdminCommand::Channels).await? else {
                bail!(UNEXPECTED)
            };
            print_channels(&channels, output)?;
        }
        ChannelCommand::Set { name, visibility, title, category, go_live, at } => {
            let said = [("visibility", visibility), ("title", title), ("category", category), ("go_live", go_live)];
            let change = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
            people::set(&Desk::open(&at)?, &name, serde_json::Value::Object(change)).await?;
        }
        ChannelCommand::Purge { name, at } => people::purge(&Desk::open(&at)?, &name).await?,
        ChannelCommand::Rm { name, at } => {
            Desk::open(&at)?.ask(AdminCommand::RemoveChannel { channel: name.clone() }).await?;
            println!("{name} is removed");
        }
    }
    Ok(())
}

/// Does what `freshet control backup` or `restore` says.
///
/// # Errors
/// In words for the operator.
pub async fn control(command: ControlCommand) -> anyhow::Result<()> {
    match command {
        ControlCommand::Backup { file, from: Some(data), .. } => salvage_to(&file, &data)?,
        ControlCommand::Backup { file, from: None, at } => {
            keep_backup(&file, &Desk::open(&at)?.backup().await?)?;
        }
        ControlCommand::Restore { file, at } => restore_from(&file, &at.load()?.config)?,
    }
    Ok(())
}

/// What a node that was removed the old way can still do.
const STILL_CERTIFIED: &str = "but its certificate stays valid until it expires, within 30 days, and other nodes talk to it. \
     Remove it once more when all control nodes are upgraded, and it is cut off";

fn print_unaware(unaware: &[String]) {
    if !unaware.is_empty() {
        eprintln!("Except these, which speak version 1 of the node protocol; upgrade them: {}", unaware.join(", "));
    }
}

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
    async fn cluster(&self) -> anyhow::Result<(Cluster, Option<Levels>)> {
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
    async fn backup(&self) -> anyhow::Result<bytes::Bytes> {
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

fn explain_any(error: anyhow::Error) -> anyhow::Error {
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
fn own_address(config: &Config) -> Option<SocketAddr> {
    let mut addr = config.quic.advertise.unwrap_or(config.listen.quic);
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    (addr.port() != 0).then_some(addr)
}

/// The longest token that is read from a file or from standard input, in bytes.
const MAX_TOKEN: u64 = 4096;

fn read_token(text: &str) -> anyhow::Result<JoinToken> {
    use std::io::Read;
    let mut read = String::new();
    let text = match text.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("opening {path}"))?;
            file.take(MAX_TOKEN).read_to_string(&mut read)?;
            &read
        }
        None if text == "-" => {
            std::io::stdin().take(MAX_TOKEN).read_to_string(&mut read)?;
            &read
        }
        None => text,
    };
    Ok(JoinToken::decode(text)?)
}

async fn join(token: &str, name: &str, config: &Config) -> anyhow::Result<()> {
    let data = &config.node.data;
    if let Some(papers) = Papers::load(data)? {
        bail!("{} holds the papers of node {} already; choose another --data", data.display(), papers.name);
    }
    let papers = Papers::obtain(read_token(token)?, name, data, &World::system()).await.map_err(explain_any)?;
    let (node, role) = (papers.id, papers.role);
    println!("{name} is node {node}, {role}; its papers are in {}", data.display());
    let data = data.display();
    println!("next: freshet {role} --data {data} --set quic.advertise=ADDRESS:4430   (where other nodes reach it)");
    Ok(())
}

fn salvage_to(file: &Path, data: &Path) -> anyhow::Result<()> {
    let Salvaged { node, term, index, committed, revision, backup } = salvage(&data.join(CONSENSUS))?;
    let papers = Papers::load(data).ok().flatten();
    let name = papers.map_or_else(|| data.display().to_string(), |papers| papers.name);
    let node = node.map_or(String::new(), |node| format!(" (node {node})"));
    keep_backup(file, &backup)?;
    println!(
        "{name}{node} had: term {term}, index {index} (agreed on up to {committed} for certain), revision {revision}"
    );
    eprintln!(
        "If other control nodes have their disks, do this with each of them, stopped, and restore only the backup with \
         the highest term; where terms are equal, with the highest index. What reached none of them is lost."
    );
    Ok(())
}

fn restore_from(file: &Path, config: &Config) -> anyhow::Result<()> {
    let (data, name) = (&config.node.data, &config.node.name);
    if let Some(papers) = Papers::load(data)? {
        bail!("{} holds the papers of node {}; restore into an empty directory", data.display(), papers.name);
    }
    let addr = own_address(config).context("quic.advertise or listen.quic must say where this node is reached")?;
    let backup = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let registry = backed_up(&backup)?;
    let secrets = registry.secrets().context("the backup is of a platform that was never founded")?;
    let (clock, random) = (WallClock::system(), Random::system());
    let id = NodeId(registry.revision() + 1);
    let authority = Ca::from_pem(&secrets.authority, &secrets.authority_key)?;
    let issued = authority.issue_for(name, &[], config.control.certified_for()?, &clock)?;
    files::private_dir(data).with_context(|| format!("making the directory {}", data.display()))?;
    let store = Store::file(&data.join(CONSENSUS))?;
    restore(store, &backup, (id, Member { addr, server_name: name.clone() }), clock.now_ms(), &random)?;
    Papers { id, name: name.clone(), role: Role::Control, control: Vec::new() }.save(data, &issued)?;
    println!("{} holds the platform as of revision {}", data.display(), registry.revision());
    println!("next: freshet control --config …; it goes on alone, without the control nodes that are lost");
    Ok(())
}

fn keep_backup(path: &Path, backup: &[u8]) -> anyhow::Result<()> {
    write_new(path, backup).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow::anyhow!("{} exists already; name another file", path.display()),
        _ => anyhow::Error::new(error).context(format!("writing {}", path.display())),
    })?;
    println!("{} holds {} bytes, the platform's secrets among them", path.display(), backup.len());
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn print_cluster(cluster: &Cluster, levels: Option<&Levels>, output: Output) -> anyhow::Result<()> {
    let agreed = levels.map(|levels| levels.agreed);
    let speaks =
        |id| levels.and_then(|levels| levels.nodes.iter().find(|(node, _)| *node == id)).map(|(_, level)| level);
    if output == Output::Json {
        let mut json = serde_json::to_value(cluster)?;
        json["protocol"] = serde_json::to_value(agreed)?;
        for (node, status) in json["nodes"].as_array_mut().into_iter().flatten().zip(&cluster.nodes) {
            node["speaks"] = serde_json::to_value(speaks(status.id))?;
        }
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    let widest = cluster.nodes.iter().map(|node| node.id.to_string().len()).max().unwrap_or(0).max(6);
    println!(
        "{:>widest$}  {:20} {:8} {:9} {:6} {:>8} {:>6}  ADDRESS",
        "ID", "NAME", "ROLE", "STATE", "VOTE", "LEASE", "SPEAKS"
    );
    for node in &cluster.nodes {
        let vote = match (cluster.leader == Some(node.id), node.voter) {
            (true, _) => "leads",
            (_, true) => "votes",
            _ => "",
        };
        let lease = node.lease_ms.map_or(String::new(), |ms| format!("{:.1} s", ms as f64 / 1000.0));
        let NodeView { role, quic, server_name, state } = &node.view;
        let (role, state) = (role.to_string(), state.to_string());
        let speaks = speaks(node.id).map_or(String::new(), Level::to_string);
        println!("{:>widest$}  {server_name:20} {role:8} {state:9} {vote:6} {lease:>8} {speaks:>6}  {quic}", node.id.0);
    }
    let leader = cluster.leader.map_or("nobody leads".to_owned(), |leader| format!("node {leader} leads"));
    println!("{leader} term {}; revision {}, as node {} sees it", cluster.term, cluster.revision, cluster.answered_by);
    if let Some(agreed) = agreed {
        println!("the control nodes have agreed on version {agreed} of the node protocol");
    }
    Ok(())
}

fn print_channels(channels: &[(ChannelName, ChannelState)], output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(channels)?);
        return Ok(());
    }
    println!("{:32}  STATE", "NAME");
    for (name, state) in channels {
        println!("{:32}  {}", name.as_str(), format!("{state:?}").to_lowercase());
    }
    Ok(())
}
