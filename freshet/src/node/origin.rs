//! An origin as a process runs it: registry, ingest and the node protocol, joined.
//!
//! ```text
//! encoders ──RTMP, RTMPS──▶ Origin ──Commands──▶ registry (this node's disk)
//! edges ──QUIC──▶ Router ──FETCH, FOLLOW──▶ Origin
//!                       └──WATCH─────────▶ registry's feed
//! ```

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use freshet_control_plane::{channel::Times, feed::Feed, local, watch};
use freshet_origin::Origin;
use freshet_proto::{
    id::NodeId,
    message::Request,
    quic::{self, Endpoint, Handler, Identity, Pool, QuicError, Responder, Tuning},
    view::{NodeView, Role},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::World;
use crate::{admin::Check, ports::Port, tls::Certificate};

/// What an origin needs to start.
pub struct OriginPlan {
    /// Its number.
    pub id: NodeId,
    /// Its node certificate.
    pub identity: Identity,
    /// Where it keeps the registry.
    pub registry: PathBuf,
    /// Its channels and their keys.
    pub channels: Vec<local::ChannelConfig>,
    /// How long sessions outlive their publishers.
    pub times: Times,
    /// Limits, deadlines, packaging.
    pub config: freshet_origin::Config,
    /// Where encoders come.
    pub rtmp: Port,
    /// Where they come with TLS, and the certificate they see.
    pub rtmps: Option<(Port, Certificate)>,
    /// Where other nodes come.
    pub quic: Port,
    /// Where other nodes are told to come, if not at the address that is bound.
    pub advertise: Option<SocketAddr>,
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
    /// What the registry lets everybody know.
    pub feed: Feed,
    endpoint: Endpoint,
    registry: JoinHandle<Result<(), local::LocalError>>,
    no_more: CancellationToken,
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
        let endpoint = Endpoint::bind(plan.quic.addr, &plan.identity, world.doors(), Tuning::default())?;
        let quic = endpoint.local_addr()?;
        let view = NodeView {
            role: Role::Origin,
            quic: plan.advertise.unwrap_or(quic),
            server_name: plan.identity.name().to_owned(),
        };
        let config = local::Config { channels: plan.channels, node: plan.id, view, times: plan.times };
        let registry = local::spawn(&plan.registry, config, world.clock.clone(), &world.random).await?;
        let (clock, random) = (world.clock.clone(), world.random.clone());
        let views = registry.feed.view();
        let origin = Origin::new(plan.config, plan.id, registry.commands, views, clock, random);
        let origin = origin.with_pool(Pool::new(&endpoint));
        let mut node = Self {
            origin,
            rtmp: rtmp.local_addr()?,
            rtmps: None,
            quic,
            feed: registry.feed,
            endpoint,
            registry: registry.task,
            no_more: CancellationToken::new(),
        };
        node.take_encoders(rtmp, None);
        if let Some((listener, tls)) = rtmps {
            node.rtmps = Some(listener.local_addr()?);
            node.take_encoders(listener, Some(tls));
        }
        node.answer_nodes();
        Ok(node)
    }

    fn take_encoders(&self, listener: tokio::net::TcpListener, tls: Option<Arc<rustls::ServerConfig>>) {
        let (origin, no_more) = (self.origin.clone(), self.no_more.clone());
        tokio::spawn(async move { origin.serve_rtmp(listener, tls, no_more.cancelled_owned()).await });
    }

    fn answer_nodes(&self) {
        let router = Arc::new(Router { origin: self.origin.clone(), feed: self.feed.clone() });
        let endpoint = self.endpoint.clone();
        tokio::spawn(async move { quic::serve(&endpoint, router, std::future::pending()).await });
    }

    /// Whether new publishers can be taken.
    pub fn checks(&self) -> Vec<Check> {
        let registry = !self.registry.is_finished();
        let takes = self.origin.ready();
        let publishers = self.origin.publishers();
        vec![
            Check {
                name: "registry",
                ok: registry,
                detail: if registry { "writes to disk" } else { "stopped: see the log" }.into(),
            },
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

/// Sends each verb to whom it concerns.
struct Router {
    origin: Origin,
    feed: Feed,
}

impl Handler for Router {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Watch { after } => watch::serve(&self.feed, after, reply).await,
            other => self.origin.handle(other, reply).await,
        }
    }
}
