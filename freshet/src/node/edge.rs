//! An edge as a process runs it: it follows the registry's view and pulls from the origins that the view names.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use freshet_control_plane::watch as registry;
use freshet_edge::Edge;
use freshet_proto::{
    quic::{Endpoint, Identity, Pool, Tuning},
    view::View,
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::World;
use crate::{admin::Check, front::Front, ports::Port, redirect, tls::Certificate};

/// The origin that an edge learns the view from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens for nodes.
    pub addr: SocketAddr,
    /// The name or address that its certificate carries.
    pub server_name: String,
}

/// What an edge needs to start.
pub struct EdgePlan {
    /// Its node certificate.
    pub identity: Identity,
    /// Whom it learns from.
    pub upstream: Upstream,
    /// Where the last view is kept over restarts.
    pub kept: Option<PathBuf>,
    /// Limits, deadlines, cache.
    pub config: freshet_edge::Config,
    /// Where viewers come.
    pub http: Port,
    /// Where they come with TLS, and the certificate they see.
    pub https: Option<(Port, Certificate)>,
    /// The port that plain HTTP sends viewers on to, 0 for that of `https`; `None` serves them where they are.
    pub redirect: Option<u16>,
}

/// A running edge.
pub struct EdgeNode {
    /// The edge itself.
    pub edge: Edge,
    /// Where viewers come.
    pub http: SocketAddr,
    /// Where they come with TLS.
    pub https: Option<SocketAddr>,
    /// What it knows of the platform.
    pub view: watch::Receiver<Arc<View>>,
    endpoint: Endpoint,
    no_more: CancellationToken,
}

impl EdgeNode {
    /// Binds everything, then serves.
    ///
    /// # Errors
    /// When a port can't be had, in words for the operator.
    pub async fn start(plan: EdgePlan, world: &World) -> anyhow::Result<Self> {
        let http = plan.http.listen().await?;
        let https = match &plan.https {
            Some((port, certificate)) => Some((port.listen().await?, certificate.https())),
            None => None,
        };
        let endpoint = Endpoint::bind(any_port(plan.upstream.addr), &plan.identity, world.doors(), Tuning::default())?;
        let pool = Pool::new(&endpoint);
        let Upstream { addr, server_name } = plan.upstream;
        let view = registry::follow(pool.clone(), addr, server_name, plan.kept.as_deref(), world.random.clone());
        let edge = Edge::new(plan.config, view.clone(), pool, world.clock.clone(), world.random.clone())
            .with_site(Arc::new(Front::new(view.clone())));
        let mut node =
            Self { edge, http: http.local_addr()?, https: None, view, endpoint, no_more: CancellationToken::new() };
        if let Some((listener, tls)) = https {
            node.https = Some(listener.local_addr()?);
            let (edge, no_more) = (node.edge.clone(), node.no_more.clone());
            tokio::spawn(async move { edge.serve_https(listener, tls, no_more).await });
        }
        node.serve_http(http, plan.redirect);
        Ok(node)
    }

    fn serve_http(&self, listener: TcpListener, redirect: Option<u16>) {
        let (edge, no_more) = (self.edge.clone(), self.no_more.clone());
        let https = self.https.map_or(0, |addr| addr.port());
        match redirect {
            Some(port) => {
                let port = if port == 0 { https } else { port };
                tokio::spawn(async move { no_more.run_until_cancelled(redirect::serve(listener, port)).await });
            }
            None => drop(tokio::spawn(async move { edge.serve_http(listener, no_more).await })),
        }
    }

    /// Whether viewers should be sent here.
    pub fn checks(&self) -> Vec<Check> {
        let view = self.view.borrow();
        let (known, revision, channels) = (view.revision > 0, view.revision, view.channels.len());
        let draining = self.no_more.is_cancelled();
        vec![
            Check { name: "view", ok: known, detail: format!("revision {revision}, {channels} channels") },
            Check {
                name: "viewers",
                ok: !draining && (self.edge.ready() || !known),
                detail: if draining { "draining".into() } else { "welcome".into() },
            },
        ]
    }

    /// Takes no more viewers and answers those there are, for `edge.http.drain_timeout_ms` at most.
    pub async fn drain(&self) {
        self.no_more.cancel();
        self.edge.drain().await;
    }

    /// Takes leave of the other nodes.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }
}

/// Any free port, of the family in which the peer is reached.
fn any_port(peer: SocketAddr) -> SocketAddr {
    if peer.is_ipv6() { SocketAddr::from(([0u16; 8], 0)) } else { SocketAddr::from(([0, 0, 0, 0], 0)) }
}
