//! An edge as a process runs it: it follows the registry's view and pulls from the origins that the view names.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context;
use freshet_control_plane::{
    remote::{ApiRemote, Held, Remote, hold},
    watch as registry,
};
use freshet_edge::{
    Edge,
    gateway::ApiUpstream,
    near::{LocateError, Locator, Near, load},
};
use freshet_proto::{
    hub::HubAsk,
    id::{ChannelName, NodeId},
    message::Report,
    quic::{self, Endpoint, Identity, Pool, Tuning},
    view::{NodeView, Role, View},
};
use tokio::{net::TcpListener, sync::watch, time::Duration};
use tokio_util::sync::CancellationToken;

use super::{
    World, any_port,
    api::Passed,
    chat::{ChatNode, ChatPlan},
    irc::{IrcAddresses, IrcPlan},
    papers::{Authority, keep_certified},
    placed::{Placed, report},
    shut_out_the_removed,
};
use crate::{
    admin::Check,
    front::{About, Front},
    ports::Port,
    redirect,
    tls::Certificate,
};

/// What an edge needs to start.
pub struct EdgePlan {
    /// Its node certificate.
    pub identity: Identity,
    /// Whom it learns the view from: control nodes, or an origin that keeps the registry.
    pub registry: Vec<NodeView>,
    /// Where the last view is kept over restarts.
    pub kept: Option<PathBuf>,
    /// Its place among the nodes; `None` where there are no control nodes.
    pub member: Option<Member>,
    /// Limits, deadlines, cache.
    pub config: freshet_edge::Config,
    /// The channel that the first page shows while nobody streams.
    pub first_channel: Option<ChannelName>,
    /// Limits and deadlines of chat.
    pub chat: freshet_chat_mesh::hub::Config,
    /// Where it is, and where clients are.
    pub placed: Placed,
    /// Where viewers come.
    pub http: Port,
    /// Where they come with TLS, and the certificate they see.
    pub https: Option<(Port, Certificate)>,
    /// Where IRC clients come, where there is chat.
    pub irc: IrcPlan,
    /// The port that plain HTTP sends viewers on to, 0 for that of `https`; `None` serves them where they are.
    pub redirect: Option<u16>,
}

/// An edge's place among the nodes of a platform.
pub struct Member {
    /// Its number.
    pub id: NodeId,
    /// Where its papers are.
    pub data: PathBuf,
    /// Where other nodes come.
    pub quic: Port,
    /// Where other nodes are told to come, if not at the address that is bound.
    pub advertise: Option<SocketAddr>,
}

/// A running edge.
pub struct EdgeNode {
    /// The edge itself.
    pub edge: Edge,
    /// Where viewers come.
    pub http: SocketAddr,
    /// Where they come with TLS.
    pub https: Option<SocketAddr>,
    /// The chat hub beside it, where there are accounts.
    pub chat: Option<ChatNode>,
    /// Where IRC clients come.
    pub irc: IrcAddresses,
    /// What it knows of the platform.
    pub view: watch::Receiver<Arc<View>>,
    held: Option<watch::Receiver<Held>>,
    locator: Locator,
    endpoint: Endpoint,
    no_more: CancellationToken,
    drain_patience: Duration,
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
        let irc = plan.irc.bind().await?;
        let first = plan.registry.first().context("an edge needs somebody to learn from")?;
        let at = match &plan.member {
            Some(member) => {
                member.quic.check_udp()?;
                member.quic.addr
            }
            None => any_port(first.quic),
        };
        let (place, capacity) = (plan.placed.edge(http.local_addr()?), capacity(&plan));
        let drain_patience = Duration::from_millis(plan.config.http.drain_timeout_ms);
        let identity = plan.identity.at_most(world.level);
        let endpoint = Endpoint::bind(at, &identity, world.doors(), Tuning::default())?;
        let (pool, random) = (Pool::new(&endpoint), world.random.clone());
        let view = registry::follow(pool.clone(), plan.registry.clone(), plan.kept.as_deref(), random.clone());
        shut_out_the_removed(endpoint.clone(), view.clone());
        let remote = || Remote::new(pool.clone(), plan.registry.clone(), Some(view.clone()), random.clone());
        let api = plan.member.is_some().then(|| Arc::new(Passed(ApiRemote::new(remote()))) as Arc<dyn ApiUpstream>);
        let about = About {
            first: plan.first_channel,
            public: place.https.clone(),
            ancestors: plan.config.embed.ancestors.clone(),
            api: api.clone(),
        };
        let edge = Edge::new(plan.config, view.clone(), pool.clone(), world.clock.clone(), random.clone())
            .named(identity.name())
            .with_site(Arc::new(Front::new(view.clone(), about)));
        let locator = plan.placed.locator;
        let mut near = Near { place: place.clone(), locator: locator.clone(), ..Near::default() };
        let (edge, held, chat) = match plan.member {
            Some(member) => {
                let chat = ChatPlan {
                    config: plan.chat,
                    me: member.id,
                    weight: u32::try_from(capacity).unwrap_or(u32::MAX).min(HubAsk::MAX_WEIGHT),
                    pool: pool.clone(),
                    view: view.clone(),
                };
                let chat = ChatNode::start(chat, remote, world)?;
                let mut edge = match api {
                    Some(api) => edge.with_api(api),
                    None => edge,
                };
                if let Some(counter) = chat.counter() {
                    edge = edge.with_chat(counter);
                }
                let busy = edge.clone();
                near.me = Some(member.id);
                let tell = move || Report {
                    load: load(busy.clients(), capacity),
                    viewers: busy.viewers(),
                    audience: busy.audience(),
                    ..Report::default()
                };
                near.loads = report(remote(), place, tell, world);
                let (answering, handler) = (endpoint.clone(), Arc::new(chat.beside(edge.clone())));
                tokio::spawn(async move { quic::serve(&answering, handler, std::future::pending()).await });
                (edge, Some(member.take_part(remote(), &identity, &endpoint, world)?), Some(chat))
            }
            None => (edge, None, None),
        };
        let (edge, no_more) = (edge.with_near(near), CancellationToken::new());
        let mut node = Self {
            edge,
            http: http.local_addr()?,
            https: None,
            chat,
            irc: irc.addresses,
            view,
            held,
            locator,
            endpoint,
            no_more,
            drain_patience,
        };
        if let Some((listener, tls)) = https {
            node.https = Some(listener.local_addr()?);
            let (edge, no_more) = (node.edge.clone(), node.no_more.clone());
            tokio::spawn(async move { edge.serve_https(listener, tls, no_more).await });
        }
        if let Some(chat) = &node.chat {
            chat.serve_irc(irc, &node.no_more)?;
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
        let told = self.held.as_ref().is_some_and(|held| held.borrow().draining);
        let draining = self.no_more.is_cancelled() || told;
        let mut checks = vec![
            Check { name: "view", ok: known, detail: format!("revision {revision}, {channels} channels") },
            Check {
                name: "viewers",
                ok: !draining && (self.edge.ready() || !known),
                detail: if draining { "draining".into() } else { "welcome".into() },
            },
        ];
        checks.extend(self.chat.iter().flat_map(ChatNode::checks));
        checks
    }

    /// Reads the database of places again; tells whether there is one.
    ///
    /// # Errors
    /// When it is no good; the one in use stays.
    pub fn reload(&self) -> Result<bool, LocateError> {
        self.locator.reload()
    }

    /// Takes no more viewers and answers those there are, for `edge.http.drain_timeout_ms` at most; those who chat are sent
    /// elsewhere first.
    pub async fn drain(&self) {
        self.no_more.cancel();
        if let Some(chat) = &self.chat {
            chat.drain(self.drain_patience).await;
        }
        self.edge.drain().await;
    }

    /// Takes leave of the other nodes.
    pub async fn close(&self) {
        self.endpoint.close().await;
    }
}

/// How many viewers an edge is meant for.
fn capacity(plan: &EdgePlan) -> u64 {
    match (plan.placed.place.capacity, plan.config.near.max_viewers) {
        (0, 0) => plan.config.http.connections as u64,
        (0, most) => most,
        (capacity, _) => capacity.into(),
    }
}

impl Member {
    /// Shows itself to the control plane from now on.
    fn take_part(
        self,
        remote: Remote,
        identity: &Identity,
        endpoint: &Endpoint,
        world: &World,
    ) -> anyhow::Result<watch::Receiver<Held>> {
        let addr = self.advertise.unwrap_or(endpoint.local_addr()?);
        let me = NodeView::new(Role::Edge, addr, identity.name());
        let held = hold(remote.clone(), self.id, me, 1 + world.random.below(u64::MAX));
        let (endpoint, clock, level) = (endpoint.clone(), world.clock.clone(), world.level);
        let dress = Arc::new(move |identity: Identity| identity.at_most(level));
        tokio::spawn(keep_certified(self.data, endpoint, Authority::Asked(remote), clock, dress));
        Ok(held)
    }
}
