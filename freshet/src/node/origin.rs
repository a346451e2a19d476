//! An origin as a process runs it: registry, ingest and the node protocol, joined.
//!
//! ```text
//! encoders ──RTMP, RTMPS──▶ Origin ──Commands──▶ the control nodes, or a registry on this node's own disk
//! edges ──QUIC──▶ Router ──FETCH, FOLLOW──▶ Origin
//!                       └──WATCH─────────▶ that registry's feed, where it is this node's own
//! ```

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use freshet_control_plane::{
    channel::Times,
    feed::Feed,
    local,
    remote::{Held, Remote, carry, hold},
    watch as registry,
};
use freshet_edge::near::load;
use freshet_origin::Origin;
use freshet_proto::{
    annex::Loads,
    id::NodeId,
    message::{Report, Request},
    quic::{self, Endpoint, Handler, Identity, Pool, QuicError, Responder, Tuning},
    registry::Commands,
    view::{NodeView, Role, View},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    World,
    papers::{Authority, keep_certified},
    placed::{Placed, report},
    shut_out_the_removed,
};
use crate::{admin::Check, ports::Port, tls::Certificate};

/// What an origin needs to start.
pub struct OriginPlan {
    /// Its number.
    pub id: NodeId,
    /// Its node certificate.
    pub identity: Identity,
    /// Who keeps the registry.
    pub registry: Registry,
    /// Limits, deadlines, packaging.
    pub config: freshet_origin::Config,
    /// Where it is.
    pub placed: Placed,
    /// Where encoders come.
    pub rtmp: Port,
    /// Where they come with TLS, and the certificate they see.
    pub rtmps: Option<(Port, Certificate)>,
    /// Where other nodes come.
    pub quic: Port,
    /// Where other nodes are told to come, if not at the address that is bound.
    pub advertise: Option<SocketAddr>,
}

/// Who keeps the registry that an origin claims from.
pub enum Registry {
    /// This origin alone, on its own disk: there are no control nodes.
    Own {
        /// Where.
        dir: PathBuf,
        /// Its channels and their keys.
        channels: Vec<local::ChannelConfig>,
        /// How long sessions outlive their publishers.
        times: Times,
    },
    /// The control nodes of the platform that this node has joined.
    Platform {
        /// Where its papers and the last view are kept.
        data: PathBuf,
        /// The control nodes it knows.
        control: Vec<NodeView>,
    },
}

/// A running origin.
pub struct OriginNode {
    /// The origin itself.
    pub origin: Origin,
    /// Where encoders come.
    pub rtmp: SocketAddr,
    /// Where they come with TLS.
    pub rtmps: Option<SocketAddr>,
    /// Where other nodes come.
    pub quic: SocketAddr,
    /// What it knows of the platform.
    pub view: watch::Receiver<Arc<View>>,
    keeps: Keeps,
    endpoint: Endpoint,
    no_more: CancellationToken,
}

/// What the origin's way to the registry consists of.
enum Keeps {
    Own { feed: Feed, task: JoinHandle<Result<(), local::LocalError>> },
    Platform { held: watch::Receiver<Held>, remote: Remote, reports: Option<watch::Receiver<Arc<Loads>>> },
}

impl OriginNode {
    /// Binds everything, then serves.
    ///
    /// # Errors
    /// When a port or the registry's directory can't be had, in words for the operator.
    pub async fn start(plan: OriginPlan, world: &World) -> anyhow::Result<Self> {
        let rtmp = plan.rtmp.listen().await?;
        let rtmps = match plan.rtmps {
            Some((port, certificate)) => Some((port.listen().await?, certificate.rtmps())),
            None => None,
        };
        plan.quic.check_udp()?;
        let identity = plan.identity.at_most(world.level);
        let endpoint = Endpoint::bind(plan.quic.addr, &identity, world.doors(), Tuning::default())?;
        let quic = endpoint.local_addr()?;
        let me = NodeView::new(Role::Origin, plan.advertise.unwrap_or(quic), identity.name());
        let pool = Pool::new(&endpoint);
        let (commands, view, keeps) = connect(plan.registry, plan.id, me, (&endpoint, &pool), world).await?;
        shut_out_the_removed(endpoint.clone(), view.clone());
        let (clock, random) = (world.clock.clone(), world.random.clone());
        let capacity = match plan.placed.place.capacity {
            0 => plan.config.max_publishers as u64,
            capacity => capacity.into(),
        };
        let origin = Origin::new(plan.config, plan.id, commands, view.clone(), clock, random).with_pool(pool);
        let (at, no_more) = (rtmp.local_addr()?, CancellationToken::new());
        let mut node = Self { origin, rtmp: at, rtmps: None, quic, view, keeps, endpoint, no_more };
        node.take_encoders(rtmp, None);
        if let Some((listener, tls)) = rtmps {
            node.rtmps = Some(listener.local_addr()?);
            node.take_encoders(listener, Some(tls));
        }
        node.answer_nodes();
        node.report(&plan.placed, capacity, world);
        Ok(node)
    }

    /// Tells the control plane where it is, how busy, and how its sessions do.
    fn report(&mut self, placed: &Placed, capacity: u64, world: &World) {
        let (place, busy) = (placed.origin(self.rtmp, self.rtmps), self.origin.clone());
        if let Keeps::Platform { remote, reports, .. } = &mut self.keeps {
            let tell = move || Report {
                load: load(busy.publishers() as u64, capacity),
                health: busy.health(),
                ..Report::default()
            };
            *reports = Some(report(remote.clone(), place, tell, world));
        }
    }

    fn take_encoders(&self, listener: tokio::net::TcpListener, tls: Option<Arc<rustls::ServerConfig>>) {
        let (origin, no_more) = (self.origin.clone(), self.no_more.clone());
        tokio::spawn(async move { origin.serve_rtmp(listener, tls, no_more.cancelled_owned()).await });
    }

    fn answer_nodes(&self) {
        let feed = match &self.keeps {
            Keeps::Own { feed, .. } => Some(feed.clone()),
            Keeps::Platform { .. } => None,
        };
        let router = Arc::new(Router { origin: self.origin.clone(), feed });
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move { quic::serve(&endpoint, router, std::future::pending()).await });
    }

    /// Whether new publishers can be taken.
    pub fn checks(&self) -> Vec<Check> {
        let takes = self.origin.ready();
        let publishers = self.origin.publishers();
        vec![
            self.keeps.check(),
            Check {
                name: "publishers",
                ok: takes,
                detail: if takes { format!("{publishers} publishing") } else { format!("draining, {publishers} left") },
            },
        ]
    }

    /// Takes no more encoders and lets publishers go on, for `origin.drain_timeout_ms` at most.
    pub async fn drain(&self) {
        self.no_more.cancel();
        self.origin.drain().await;
    }

    /// Takes leave of the other nodes.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }
}

impl Keeps {
    fn check(&self) -> Check {
        match self {
            Self::Own { task, .. } => {
                let ok = !task.is_finished();
                Check {
                    name: "registry",
                    ok,
                    detail: if ok { "writes to disk" } else { "stopped: see the log" }.into(),
                }
            }
            Self::Platform { held, .. } => {
                let (ok, draining) = (held.borrow().is_good(Instant::now()), held.borrow().draining);
                let detail = match (ok, draining) {
                    (true, true) => "draining",
                    (true, false) => "heard by the control plane",
                    (false, _) => "not heard by the control plane: takes no new publishers",
                };
                Check { name: "registry", ok: ok && !draining, detail: detail.into() }
            }
        }
    }
}

/// The way to the registry: commands, the view, and what keeps both going.
async fn connect(
    registry: Registry,
    id: NodeId,
    me: NodeView,
    (endpoint, pool): (&Endpoint, &Pool),
    world: &World,
) -> anyhow::Result<(Commands, watch::Receiver<Arc<View>>, Keeps)> {
    let (data, control) = match registry {
        Registry::Own { dir, channels, times } => {
            let config = local::Config { channels, node: id, view: me, times };
            let local = local::spawn(&dir, config, world.clock.clone(), &world.random).await?;
            return Ok((local.commands, local.feed.view(), Keeps::Own { feed: local.feed, task: local.task }));
        }
        Registry::Platform { data, control } => (data, control),
    };
    let random = world.random.clone();
    let view = registry::follow(pool.clone(), control.clone(), Some(&data), random.clone());
    let new_remote = || Remote::new(pool.clone(), control.clone(), Some(view.clone()), random.clone());
    let remote = new_remote();
    let held = hold(remote.clone(), id, me, 1 + random.below(u64::MAX));
    let (commands, asks) = Commands::channel();
    tokio::spawn(carry(remote.clone(), random.clone(), held.clone(), asks));
    let (authority, level) = (Authority::Asked(remote), world.level);
    let dress = Arc::new(move |identity: Identity| identity.at_most(level));
    tokio::spawn(keep_certified(data, endpoint.clone(), authority, world.clock.clone(), dress));
    let reporting = new_remote();
    Ok((commands, view, Keeps::Platform { held, remote: reporting, reports: None }))
}

/// Sends each verb to whom it concerns.
struct Router {
    origin: Origin,
    feed: Option<Feed>,
}

impl Handler for Router {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match (request, &self.feed) {
            (Request::Watch { after }, Some(feed)) => registry::serve(feed, after, || None, reply, || true).await,
            (other, _) => self.origin.handle(other, reply).await,
        }
    }
}
