//! The hosts of a campaign's world: real nodes, wrapped so that the stage sees what they do.
//!
//! ```text
//! origin::Origin ──Ask──▶ relay ──▶ control_plane::local, on this host or over TCP on the registry's, or remote::carry
//! edge::Edge ──▶ Buggy ──▶ Observed ──▶ quic::Pool
//! ```
//! The registry's host is [`registry`] and what speaks to it is [`relay`]. A replicated one is in [`crate::platform`].

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc, time::Duration};

use freshet_control_plane::{
    channel::{Policy, Times},
    feed::{Feed, Since},
    key::Pepper,
    local::{ChannelConfig, Config, Local, spawn_over},
    log,
    machine::{Input, Registry},
    watch,
};
use freshet_edge::Edge;
use freshet_origin::Origin;
use freshet_proto::{
    id::{Msn, NodeId},
    message::Request,
    quic::{Handler, Pool, QuicError, Responder, serve},
    registry::{Ask, Command, Commands, Refused, Reply},
    view::{NodeView, Position, Role, View},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{
        mpsc,
        watch::{Receiver, channel as watch_channel},
    },
    time::timeout,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    Run,
    bugs::{Bug, Buggy},
    disk::Disk,
    nodes::{HTTP, KEY, Outcome, QUIC, RTMP},
    observed::Observed,
    platform,
    schedule::{Host, Layout, ORIGINS, REGISTRY},
    sometimes::Situation,
    stage::{EDGE_BOUND, Stage, WINDOW_BOUND},
};

/// Where the registry's host takes commands of origins.
const COMMANDS: u16 = 4431;
/// How long an origin's command may take on its way.
const PATIENCE: Duration = Duration::from_secs(4);
/// The longest command or answer between hosts, in bytes.
const MAX_MESSAGE: usize = 4096;

/// How long things last in a campaign: shorter than in life, so that a run sees them all.
pub const TIMES: Times = Times { end_grace_ms: 2_000, reconnect_grace_ms: 8_000, ended_ms: 60_000 };

/// What all hosts of a world are given.
#[derive(Clone)]
pub struct Cast {
    /// The run.
    pub run: Run,
    /// Which nodes there are.
    pub layout: Layout,
    /// Who sees what.
    pub stage: Stage,
    /// The disks that matter: see [`Layout::disks`].
    pub disks: BTreeMap<Host, Disk>,
    /// The bug to be found.
    pub bug: Option<Bug>,
}

impl Cast {
    /// The disk of a host, if it matters.
    pub fn disk(&self, host: Host) -> Option<&Disk> {
        self.disks.get(host)
    }
}

/// A node's number.
pub fn number(host: Host) -> NodeId {
    let origin = NodeId(if host == ORIGINS[0] { 1 } else { 2 });
    platform::number_of(host).unwrap_or(origin)
}

/// What the registry's disk holds before the first start: the origins, where the registry does not speak for one.
///
/// # Errors
/// When it can't be written down.
pub fn first_log(
    layout: Layout,
    bug: Option<Bug>,
    cluster: u64,
    quic: impl Fn(Host) -> SocketAddr,
) -> io::Result<Option<Vec<u8>>> {
    if layout == Layout::Platform || layout == Layout::Lone && bug != Some(Bug::LeaseNeverExpires) {
        return Ok(None);
    }
    let mut registry = Registry::new(cluster, TIMES);
    for origin in layout.origins() {
        let view = NodeView::new(Role::Origin, quic(origin), origin);
        let input = Input::PutNode { node: number(origin), view };
        registry.handle(registry.revision() + 1, 0, input, &mut Vec::new());
    }
    log::snapshot(&registry).map(Some).map_err(io::Error::other)
}

async fn open_registry(cast: &Cast, host: Host, life: u64) -> Result<Local, Box<dyn std::error::Error>> {
    let run = &cast.run;
    let (lone, forgets) = (cast.layout == Layout::Lone, cast.bug == Some(Bug::LeaseNeverExpires));
    // What starts tells the registry that the node's publishers are lost. With the bug it speaks of another node.
    let node = if lone && !forgets { number(host) } else { NodeId(9) };
    let quic = SocketAddr::new(turmoil::lookup(host), QUIC);
    let view = NodeView::new(Role::Origin, quic, host);
    let channels = vec![ChannelConfig { name: "ada".parse()?, key: KEY.to_owned(), policy: Policy::Newest }];
    let config = Config { channels, node, view, times: TIMES };
    let random = run.random("registry", life);
    let disk = cast.disk(host).ok_or("the registry has a disk")?.clone();
    let local = spawn_over(disk, Pepper([1; 32]), config, run.clock(host), &random).await?;
    cast.stage.opened(&local.feed);
    Ok(local)
}

/// The registry alone, until its host is crashed.
///
/// # Errors
/// When it can't start.
pub async fn registry(cast: Cast, life: u64) -> Outcome {
    let endpoint = cast.run.endpoint(REGISTRY, QUIC, life).await?;
    let local = open_registry(&cast, REGISTRY, life).await?;
    let watched = Watched { cast: cast.clone(), feed: local.feed.clone() };
    tokio::spawn(async move { serve(&endpoint, Arc::new(RegistryNode(watched)), std::future::pending()).await });
    let listener = TcpListener::bind(("0.0.0.0", COMMANDS)).await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(take_command(tcp, local.commands.clone()));
    }
}

async fn take_command(mut tcp: TcpStream, commands: Commands) -> io::Result<()> {
    let command = timeout(PATIENCE, receive(&mut tcp)).await??;
    let reply: Reply = match command {
        Command::Claim { key, origin } => commands.claim(key, origin).await.map(Some),
        other => commands.tell(other).await.map(|()| None),
    };
    send(&mut tcp, &reply).await
}

async fn send<T: serde::Serialize>(tcp: &mut TcpStream, message: &T) -> io::Result<()> {
    let bytes = postcard::to_stdvec(message).map_err(io::Error::other)?;
    tcp.write_all(&(bytes.len() as u32).to_be_bytes()).await?;
    tcp.write_all(&bytes).await
}

async fn receive<T: serde::de::DeserializeOwned>(tcp: &mut TcpStream) -> io::Result<T> {
    let length = tcp.read_u32().await? as usize;
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    tcp.read_exact(&mut bytes).await?;
    postcard::from_bytes(&bytes).map_err(io::Error::other)
}

/// Whom an origin's commands go to.
#[derive(Clone)]
enum Way {
    Here(Commands),
    There(SocketAddr),
}

impl Way {
    async fn ask(&self, command: Command) -> Reply {
        match (self, command) {
            (Self::Here(commands), Command::Claim { key, origin }) => commands.claim(key, origin).await.map(Some),
            (Self::Here(commands), other) => commands.tell(other).await.map(|()| None),
            (Self::There(addr), command) => {
                let asked = timeout(PATIENCE, over_tcp(*addr, command)).await;
                asked.ok().and_then(io::Result::ok).unwrap_or(Err(Refused::Unavailable))
            }
        }
    }
}

async fn over_tcp(addr: SocketAddr, command: Command) -> io::Result<Reply> {
    let mut tcp = TcpStream::connect(addr).await?;
    send(&mut tcp, &command).await?;
    receive(&mut tcp).await
}

/// Carries an origin's commands to the registry and notes what was acknowledged.
async fn relay(cast: Cast, way: Way, mut asks: mpsc::Receiver<Ask>) {
    while let Some(Ask { command, mut reply }) = asks.recv().await {
        let (cast, way) = (cast.clone(), way.clone());
        tokio::spawn(async move {
            let claimer = if let Command::Claim { origin, .. } = command { Some(origin) } else { None };
            let claiming = claimer.map(|_| Claiming::begin(&cast.stage));
            let mut answer = tokio::select! {
                biased;
                () = reply.closed() => Err(Refused::Unavailable),
                answer = way.ask(command) => answer,
            };
            drop(claiming);
            if claimer.is_some() && answer == Err(Refused::Unavailable) {
                cast.stage.with(|seen| seen.controls.unanswered += 1);
            }
            match &mut answer {
                Ok(Some(claimed)) => {
                    cast.stage.acknowledged(claimer, claimed);
                    if cast.bug == Some(Bug::TakeoverForgetsMsn) {
                        (claimed.msn_base, claimed.prior) = (Msn(0), None);
                    }
                }
                Ok(None) => {}
                Err(Refused::Unavailable) => cast.stage.note(Situation::UnansweredWrite),
                Err(why) => cast.stage.tell(|| format!("refused: {why}")),
            }
            let _ = reply.send(answer);
        });
    }
}

/// A claim under way.
struct Claiming(Stage);

impl Claiming {
    fn begin(stage: &Stage) -> Self {
        stage.with(|seen| seen.controls.claiming += 1);
        Self(stage.clone())
    }
}

impl Drop for Claiming {
    fn drop(&mut self) {
        self.0.with(|seen| seen.controls.claiming = seen.controls.claiming.saturating_sub(1));
    }
}

/// An origin, with the registry where it is alone, until its host is crashed.
///
/// # Errors
/// When it can't start.
pub async fn origin(cast: Cast, host: Host, life: u64) -> Outcome {
    let run = &cast.run;
    let endpoint = run.endpoint(host, QUIC, life).await?;
    let mut pool = None;
    let (feed, way, views) = match cast.layout {
        Layout::Lone => {
            let local = open_registry(&cast, host, life).await?;
            let views = local.feed.view();
            (Some(local.feed), Way::Here(local.commands), views)
        }
        Layout::Apart => {
            let addr = turmoil::lookup(REGISTRY);
            let seeds = vec![NodeView::new(Role::Control, SocketAddr::new(addr, QUIC), REGISTRY)];
            let views = watch::follow(Pool::new(&endpoint), seeds, None, run.random(&format!("{host}-view"), life));
            (None, Way::There(SocketAddr::new(addr, COMMANDS)), views)
        }
        Layout::Platform => {
            let part = platform::take_part(&cast, (host, Role::Origin), life, &endpoint);
            pool = Some(part.pool);
            (None, Way::Here(part.commands), part.views)
        }
    };
    let (commands, asks) = Commands::channel();
    tokio::spawn(relay(cast.clone(), way, asks));
    let (clock, random) = (run.clock(host), run.random(&format!("{host}-node"), life));
    let config = freshet_origin::Config { max_session_bytes: WINDOW_BOUND, ..Default::default() };
    let mut origin = Origin::new(config, number(host), commands, views, clock, random);
    if let Some(pool) = pool {
        origin = origin.with_pool(pool);
    }
    cast.stage.with(|seen| seen.origins.insert(host, origin.clone()));
    let _leave = Leave(&cast.stage, host);
    let watched = feed.map(|feed| Watched { cast: cast.clone(), feed });
    let node = Arc::new(OriginNode { origin: origin.clone(), watched });
    tokio::spawn(async move { serve(&endpoint, node, std::future::pending()).await });
    let listener = TcpListener::bind(("0.0.0.0", RTMP)).await?;
    loop {
        let (tcp, peer) = listener.accept().await?;
        let origin = origin.clone();
        tokio::spawn(async move { origin.serve_encoder(tcp, peer).await });
    }
}

/// An edge, until its host is crashed.
///
/// # Errors
/// When it can't start.
pub async fn edge(cast: Cast, host: Host, life: u64) -> Outcome {
    let run = &cast.run;
    let endpoint = run.endpoint(host, QUIC, life).await?;
    let (pool, views) = if cast.layout == Layout::Platform {
        let part = platform::take_part(&cast, (host, Role::Edge), life, &endpoint);
        (part.pool, part.views)
    } else {
        let (pool, registry) = (Pool::new(&endpoint), cast.layout.registry());
        let seeds = vec![NodeView::new(Role::Control, SocketAddr::new(turmoil::lookup(registry), QUIC), registry)];
        let views = watch::follow(pool.clone(), seeds, None, run.random(&format!("{host}-view"), life));
        (pool, views)
    };
    let mut config = freshet_edge::Config::default();
    (config.cache.fills, config.reload.held, config.follow.tracks) = (EDGE_BOUND, EDGE_BOUND, EDGE_BOUND);
    let upstream = Buggy::new(Observed::new(pool, (host, life), cast.stage.clone()), cast.bug);
    let seen = if cast.bug == Some(Bug::RevocationIgnored) { unrevoked(views.clone()) } else { views.clone() };
    let edge = Edge::new(config, seen, upstream, run.clock(host), run.random(&format!("{host}-node"), life));
    let edge = edge.named(host);
    if cast.layout == Layout::Platform {
        // Origins ask it for windows, and edges for what dead origins made.
        let handler = Arc::new(edge.clone());
        tokio::spawn(async move { serve(&endpoint, handler, std::future::pending()).await });
    }
    cast.stage.with(|seen| seen.edges.insert(host, (edge.clone(), views)));
    let _leave = Leave(&cast.stage, host);
    let listener = TcpListener::bind(("0.0.0.0", HTTP)).await?;
    loop {
        let (tcp, peer) = listener.accept().await?;
        let edge = edge.clone();
        tokio::spawn(async move { edge.serve_connection(tcp, peer).await });
    }
}

/// The same views, as if nothing were revoked: [`Bug::RevocationIgnored`].
fn unrevoked(mut views: Receiver<Arc<View>>) -> Receiver<Arc<View>> {
    let without = |view: &Arc<View>| {
        let mut view = View::clone(view);
        view.annex.revoked = Arc::default();
        Arc::new(view)
    };
    let (sender, receiver) = watch_channel(without(&views.borrow()));
    tokio::spawn(async move {
        while views.changed().await.is_ok() {
            sender.send_replace(without(&views.borrow_and_update()));
        }
    });
    receiver
}

/// Takes a host's node off the stage while the host still is there: a socket must be closed where it was opened.
struct Leave<'a>(&'a Stage, Host);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let gone = self.0.with(|seen| (seen.edges.remove(self.1), seen.origins.remove(self.1)));
        if let (Some((edge, _)), _) = &gone {
            let (assembled, stalled) = (edge.stats().assembled.get(), edge.stats().stalled.get());
            self.0.with(|seen| {
                seen.sometimes.add(Situation::Assembled, assembled);
                seen.sometimes.add(Situation::ReloadStalled, stalled);
            });
        }
    }
}

/// From where a watch is resumed that has come as far as `after`: from there, without the bug.
pub fn resumed(cast: &Cast, feed: &Feed, after: Option<Position>) -> Option<Position> {
    let now = feed.view().borrow().position();
    let Some(lacking) = after.filter(|at| at.revision < now.revision) else { return after };
    match feed.since(after) {
        Since::Deltas(_) => cast.stage.note(Situation::WatchByDelta),
        Since::Snapshot(_) => cast.stage.note(Situation::WatchBySnapshot),
    }
    Some(if cast.bug == Some(Bug::WatchResumesCompacted) { now } else { lacking })
}

/// The registry's feed as others watch it.
struct Watched {
    cast: Cast,
    feed: Feed,
}

impl Watched {
    async fn serve(&self, after: Option<Position>, reply: Responder) -> Result<(), QuicError> {
        let after = resumed(&self.cast, &self.feed, after);
        watch::serve(&self.feed, after, || None, reply, || true).await
    }
}

struct RegistryNode(Watched);

impl Handler for RegistryNode {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Watch { after } => self.0.serve(after, reply).await,
            _ => Err(QuicError::ShuttingDown),
        }
    }
}

struct OriginNode {
    origin: Origin,
    watched: Option<Watched>,
}

impl Handler for OriginNode {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match (request, &self.watched) {
            (Request::Watch { after }, Some(watched)) => watched.serve(after, reply).await,
            (other, _) => self.origin.handle(other, reply).await,
        }
    }
}
