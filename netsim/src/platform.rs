//! The nodes of a platform whose registry is replicated: control nodes, and how the others speak to them.
//!
//! ```text
//! control: quic::Endpoint ──▶ Watched ──▶ control::Control ──▶ raft over disk::File
//! origin, edge: remote::hold (lease), remote::carry (commands), watch::follow at any of the three
//! ```
//! The first control node founds the platform and writes down who belongs to it; nobody joins by a token, whose answer
//! would bring a certificate that does not follow from the seed.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use freshet_control_plane::{
    ca::JOINED,
    control::{Control, Plan},
    key::Pepper,
    keys,
    leases::RENEW,
    local::ChannelConfig,
    machine::Input,
    raft::{Config, Proposal, Store},
    remote::{Remote, carry, hold},
    secrets::Secrets,
    watch,
};
use freshet_proto::{
    id::NodeId,
    message::{Lease, Request},
    quic::{Endpoint, Handler, Identity, Pool, QuicError, Responder, serve},
    random::Random,
    registry::{Commands, Departure, Policy},
    view::{NodeView, Role, View},
};
use tokio::{sync::watch::Receiver, time::sleep};

use crate::{
    Run,
    bugs::Bug,
    controls::Seat,
    disk::Disk,
    hosts::{Cast, TIMES, number, resumed},
    nodes::{KEY, Outcome, QUIC},
    operators,
    schedule::{CONTROLS, EDGES, Host, ORIGINS},
    tokens,
};

/// The stream key of the channel that tokens are for.
const PRIVATE_KEY: &str = "sk_vip";

fn view(role: Role, host: Host) -> NodeView {
    NodeView::new(role, SocketAddr::new(turmoil::lookup(host), QUIC), host)
}

/// Where control nodes are found.
pub fn seeds() -> Vec<NodeView> {
    CONTROLS.map(|host| view(Role::Control, host)).to_vec()
}

/// A control node, until its host is crashed.
///
/// # Errors
/// When it can't start.
pub async fn control(cast: Cast, host: Host, life: u64) -> Outcome {
    let ended = keep_registry(&cast, host, life).await;
    if cast.disk(host).is_some_and(Disk::is_dead) {
        // The machine is dead, so that its software does not end either.
        std::future::pending::<()>().await;
    }
    ended
}

/// How the consensus behaves: as ever but for its log, which in two of three runs is so short that members fall behind it.
fn raft(run: &Run) -> Config {
    let usual = Config { times: TIMES, ..Config::default() };
    match run.random("knobs", 0).below(3) {
        0 => Config { snapshot_after: 8, keep_logs: 2, ..usual },
        1 => Config { snapshot_after: 32, keep_logs: 8, ..usual },
        _ => usual,
    }
}

/// How long keys live, and what all control nodes wrap them with.
fn keys(bug: Option<Bug>) -> keys::Plan {
    let kek = keys::Kek::generate(&Random::seeded(1));
    keys::Plan { settings: tokens::settings(bug), source: keys::Source::Given(keys::Keks::new(vec![kek])) }
}

/// How many entries a log may have: what may gather before a snapshot is due and what is kept after one, twice, because
/// more comes while one is made.
fn most_log(raft: &Config) -> u64 {
    2 * (raft.snapshot_after + raft.keep_logs) + 16
}

async fn keep_registry(cast: &Cast, host: Host, life: u64) -> Outcome {
    let run = &cast.run;
    let endpoint = run.endpoint_as(host, QUIC, life, Identity::admitting_strangers).await?;
    let disk = cast.disk(host).ok_or("a control node has a disk")?;
    let store = Store::paced(disk.open(), Arc::new(disk.clone()))?;
    let (pool, random) = (Pool::new(&endpoint), run.random(&format!("{host}-node"), life));
    let me = view(Role::Control, host);
    let others: Vec<_> = seeds().into_iter().filter(|seed| *seed != me).collect();
    let (founds, raft) = (host == CONTROLS[0], raft(run));
    let most_log = most_log(&raft);
    let asked = if founds { vec![] } else { others };
    let plan =
        Plan { id: number(host), view: me.clone(), raft, seeds: asked, certified_for: JOINED, keys: keys(cast.bug) };
    let control = Control::start(plan, store, pool.clone(), run.clock(host), random.clone()).await?;
    let (leadership, group) = (control.group().leadership(), control.group().clone());
    let seat = Seat { feed: control.feed(), leadership, group, most_log };
    cast.stage.with(|seen| seen.controls.seats.insert(host, seat));
    let _leave = Leave(cast, host);
    let handler = Arc::new(Watched { cast: cast.clone(), control: control.clone() });
    tokio::spawn(async move { serve(&endpoint, handler, std::future::pending()).await });
    tokio::spawn(operators::mint(cast.clone(), host, control.clone()));
    tokio::spawn(operators::operate(cast.clone(), host, life, control.seat()));
    match (control.is_new(), founds) {
        (true, true) => found(cast, &control).await?,
        (true, false) => control.enlist().await?,
        (false, _) => {}
    }
    let remote = Remote::new(pool, seeds(), Some(control.feed().view()), random.clone());
    let _held = hold(remote, number(host), me, 1 + random.below(u64::MAX));
    std::future::pending().await
}

/// A control node as others watch it.
struct Watched {
    cast: Cast,
    control: Control,
}

impl Handler for Watched {
    const STRANGERS: bool = Control::STRANGERS;

    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        let request = match request {
            Request::Watch { after } => Request::Watch { after: resumed(&self.cast, &self.control.feed(), after) },
            other => other,
        };
        self.control.handle(request, reply).await
    }
}

/// Founds the platform: its nodes, the one channel that is published to, and the one that tokens are for.
async fn found(cast: &Cast, control: &Control) -> Result<(), Box<dyn Error>> {
    // Nobody joins, so nobody is certified.
    let secrets = Secrets { pepper: Pepper([1; 32]), authority: String::new(), authority_key: String::new() };
    control.found(secrets).await?;
    let clock = cast.run.clock(CONTROLS[0]);
    let roles = [(Role::Control, &CONTROLS[1..]), (Role::Origin, &ORIGINS[..]), (Role::Edge, &EDGES[..])];
    for (role, hosts) in roles {
        for &host in hosts {
            let input = Input::PutNode { node: number(host), view: view(role, host) };
            control.group().propose(Proposal { now_ms: clock.now_ms(), input }).await?.reply?;
        }
    }
    let channel = |name: &str, key: &str| -> Result<_, Box<dyn Error>> {
        Ok(ChannelConfig { name: name.parse()?, key: key.to_owned(), policy: Policy::Newest })
    };
    control.set_channels(&[channel("ada", KEY)?, channel(tokens::PRIVATE, PRIVATE_KEY)?]).await?;
    let (key, origin) = (Pepper([1; 32]).hash(PRIVATE_KEY), number(ORIGINS[1]));
    let propose = async |input| -> Result<_, Box<dyn Error>> {
        Ok(control.group().propose(Proposal { now_ms: clock.now_ms(), input }).await?.reply?)
    };
    let claimed = propose(Input::Claim { key, origin, nonce: 0 }).await?.ok_or("a claim is granted")?;
    // It has ended, so that an edge says whether one may watch it and there is nothing to be fetched.
    let (channel, epoch, how) = (claimed.channel, claimed.epoch, Departure::EndSession);
    propose(Input::Release { channel, epoch, how }).await?;
    tokio::spawn(operators::close(control.seat()));
    Ok(())
}

/// Takes a control node's seat away when its host dies.
struct Leave<'a>(&'a Cast, Host);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.stage.with(|seen| seen.controls.left(self.1));
    }
}

/// How a node takes part: what it sees, and where its services ask.
pub struct Part {
    /// What it knows of the platform.
    pub views: Receiver<Arc<View>>,
    /// Where its services' commands go.
    pub commands: Commands,
    /// Its connections.
    pub pool: Pool,
}

/// Lets an origin or an edge take part: it watches, holds its lease, and carries commands.
pub fn take_part(cast: &Cast, (host, role): (Host, Role), life: u64, endpoint: &Endpoint) -> Part {
    let (pool, random) = (Pool::new(endpoint), cast.run.random(&format!("{host}-part"), life));
    // A real node keeps its last view on disk.
    let mut kept: View =
        cast.stage.with(|seen| seen.views.get(host).map(|view| View::clone(&view.borrow()))).unwrap_or_default();
    if cast.bug == Some(Bug::RevocationForgotten) {
        kept.annex.revoked = Arc::default();
    }
    let views = watch::follow_from(kept, pool.clone(), seeds(), cast.run.random(&format!("{host}-view"), life));
    cast.stage.with(|seen| seen.views.insert(host, views.clone()));
    let remote = Remote::new(pool.clone(), seeds(), Some(views.clone()), random.clone());
    let drawn = 1 + random.below(u64::MAX);
    cast.stage.with(|seen| seen.lives.insert(host, drawn));
    let held = hold(remote.clone(), number(host), view(role, host), drawn);
    let (commands, asks) = Commands::channel();
    tokio::spawn(carry(remote, random, held, asks));
    Part { views, commands, pool }
}

/// Goes on renewing the lease of an origin that has died, under its name: [`crate::bugs::Bug::LeaseNeverExpires`].
///
/// # Errors
/// When it can't start.
pub async fn haunt(cast: Cast, origin: Host) -> Outcome {
    let endpoint = cast.run.endpoint(origin, QUIC, 0).await?;
    let random = cast.run.random(&format!("{origin}-ghost"), 0);
    let remote = Remote::new(Pool::new(&endpoint), seeds(), None, random);
    let node = number(origin);
    loop {
        sleep(RENEW / 3).await;
        let dead = cast.stage.with(|seen| !seen.origins.contains_key(origin));
        let life = cast.stage.with(|seen| seen.lives.get(origin).copied()).filter(|_| dead);
        if let Some(life) = life {
            let request = Request::Renew { node, view: view(Role::Origin, origin), life };
            let _ = remote.ask::<Lease>(&request, Duration::from_secs(2)).await;
        }
    }
}

/// The number of a node that is neither the first origin nor the second.
pub fn number_of(host: Host) -> Option<NodeId> {
    CONTROLS.iter().chain(&EDGES).position(|other| *other == host).map(|at| NodeId(11 + at as u64))
}
