//! The chat hub beside an edge: sockets that ask for `/chat/…` are its own from then on.
//!
//! ```text
//! edge ──Handed──▶ ChatNode ──▶ Hub, on threads of its own ──▶ store ──▶ a control node that keeps accounts
//!                     └──▶ place: who the other hubs are, and this one's lease ◀──▶ the leader
//! ```
//! Chat has a runtime of its own, with fewer threads than there are cores and less weight with the system's scheduler:
//! however much is said, the edge's threads serve video as before.

mod place;
mod store;

use std::{num::NonZero, sync::Arc};

use anyhow::Context;
use bytes::Bytes;
use freshet_chat_mesh::{
    hub::{Caller, Config, Door, Duplex, Hub, Opener, Parts, Socket},
    links::MeshLinks,
};
use freshet_control_plane::remote::{ChatRemote, HubHold, Remote, hold_hub};
use freshet_edge::{
    Edge,
    chat::{Handed, Opened, Raw},
    upstream::BoxFuture,
};
use freshet_proto::{
    api::{ApiReply, ApiRequest},
    id::NodeId,
    message::{Datagram, Request},
    quic::{Handler, Peer, Pool, QuicError, Responder},
    view::View,
};
use http::{Response, request::Parts as Asked};
use metrics::{counter, gauge};
use tokio::{
    runtime::Runtime,
    sync::watch,
    time::{Duration, sleep},
};
use tokio_util::sync::CancellationToken;

use self::store::Stored;
use super::{World, irc::Bound};
use crate::admin::Check;

/// By how much chat's threads yield to the edge's: a step of `nice` is a tenth of the time where there is not enough.
const NICE: i32 = 5;

/// A hub, running.
pub struct ChatNode {
    hub: Hub,
    links: MeshLinks,
    hold: HubHold,
    me: NodeId,
    view: watch::Receiver<Arc<View>>,
    runtime: Option<Runtime>,
}

/// What a hub needs to start.
pub struct ChatPlan {
    /// Limits and deadlines.
    pub config: Config,
    /// Which node it is beside.
    pub me: NodeId,
    /// How much it bears beside others.
    pub weight: u32,
    /// The connections to other nodes.
    pub pool: Pool,
    /// What is known of the platform.
    pub view: watch::Receiver<Arc<View>>,
}

impl ChatNode {
    /// Starts a hub, which takes its place in the mesh. `remote` makes ways to the control plane.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(plan: ChatPlan, remote: impl Fn() -> Remote, world: &World) -> anyhow::Result<Self> {
        let ChatPlan { config, me, weight, pool, view } = plan;
        let runtime = runtime(config.threads).context("starting chat's threads")?;
        let _within = runtime.enter();
        let (clock, random) = (world.clock.clone(), world.random.clone());
        let door = Door::new(view.clone(), clock.clone(), config.origins.clone());
        let links = MeshLinks::new(me, pool, view.clone(), random.clone());
        let hub = Hub::start(Parts {
            config,
            me,
            limits: Default::default(),
            door,
            store: Arc::new(Stored(ChatRemote::new(remote()))),
            links: Arc::new(links.clone()),
            clock,
            random: random.clone(),
        });
        let (held, hold) = hold_hub(remote(), me, weight.max(1), 1 + random.below(u64::MAX));
        runtime.spawn(place::tell_members(view.clone(), hub.clone()));
        runtime.spawn(place::tell_lease(held, hub.clone()));
        runtime.spawn(links.clone().run(hub.clone()));
        runtime.spawn(export(hub.clone()));
        Ok(Self { hub, links, hold, me, view, runtime: Some(runtime) })
    }

    /// What answers other nodes: chat what hubs ask, and `edge` the rest.
    pub fn beside(&self, edge: Edge) -> Beside {
        Beside { edge, hub: self.hub.clone(), links: self.links.clone() }
    }

    /// Whether clients should be sent here.
    pub fn checks(&self) -> Vec<Check> {
        let detail = format!("{} connections", self.hub.connections());
        vec![Check { name: "chat", ok: self.hub.is_open(), detail }]
    }

    /// Takes IRC clients until `no_more`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn serve_irc(&self, bound: Bound, no_more: &CancellationToken) -> anyhow::Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        bound.serve(&self.hub, runtime.handle(), no_more).context("taking IRC clients")
    }

    /// Leaves the mesh, gives its channels away where there are others, and sends everybody there, within `patience` each.
    pub async fn drain(&self, patience: Duration) {
        let others = place::others(&self.view.borrow(), self.me);
        if others.count > 0 {
            let left = self.hold.leave(patience);
            let (left, ()) = tokio::join!(left, self.hub.hand_over(patience));
            if let Err(why) = left {
                tracing::warn!(%why, "the mesh of chat hubs was not left; others take over in two seconds");
            }
        }
        self.hub.drain(others.hosts, patience).await;
    }
}

/// Answers other nodes.
pub struct Beside {
    edge: Edge,
    hub: Hub,
    links: MeshLinks,
}

impl Handler for Beside {
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Mesh { .. } => self.links.answer(request, reply, &self.hub).await,
            _ => self.edge.handle(request, reply).await,
        }
    }

    fn datagram(&self, peer: &Peer, header: Datagram, content: Bytes) {
        match header {
            Datagram::Mesh { .. } => self.links.datagram(peer, header, &content, &self.hub),
            _ => self.edge.datagram(peer, header, content),
        }
    }
}

impl Drop for ChatNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How often metrics are brought up to date.
const EXPORT: Duration = Duration::from_secs(1);

/// Tells the recorder of metrics what the hub has done.
async fn export(hub: Hub) {
    loop {
        let (stats, fanout) = (hub.stats(), hub.fanout());
        gauge!("freshet_chat_connections").set(hub.connections() as f64);
        gauge!("freshet_chat_channels").set(stats.channels.get() as f64);
        counter!("freshet_chat_joins_total").absolute(stats.joins.get());
        counter!("freshet_chat_events_total").absolute(stats.events.get());
        counter!("freshet_chat_deliveries_total").absolute(fanout.deliveries);
        counter!("freshet_chat_delivered_bytes_total").absolute(fanout.bytes);
        counter!("freshet_chat_writes_total").absolute(fanout.writes);
        counter!("freshet_chat_gaps_total", "at" => "reader").absolute(fanout.gaps);
        counter!("freshet_chat_gaps_total", "at" => "hub").absolute(stats.gaps.get());
        counter!("freshet_chat_posts_total", "result" => "accepted").absolute(stats.accepted.get());
        for (code, count) in stats.refused() {
            counter!("freshet_chat_posts_total", "result" => code).absolute(count);
        }
        for (why, count) in stats.turned_away_by_why() {
            counter!("freshet_chat_turned_away_total", "why" => why).absolute(count);
        }
        for (why, count) in stats.ended_by_why() {
            counter!("freshet_chat_ended_total", "why" => why).absolute(count);
        }
        sleep(EXPORT).await;
    }
}

/// `threads` threads, or one for two cores where that is 0.
fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if threads == 0 { cores.div_ceil(2) } else { threads };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("chat")
        .on_thread_start(|| {
            // Of the thread alone, as Linux has it; where it can't be had, threads are as good as any.
            let _ = rustix::process::nice(NICE);
        })
        .enable_all()
        .build()
}

/// What an edge hands sockets to.
pub struct Counter {
    hub: Hub,
    at: tokio::runtime::Handle,
}

impl ChatNode {
    /// What the edge is given.
    pub fn counter(&self) -> Option<Arc<Counter>> {
        let at = self.runtime.as_ref()?.handle().clone();
        Some(Arc::new(Counter { hub: self.hub.clone(), at }))
    }
}

impl freshet_edge::chat::Hub for Counter {
    fn take(&self, request: Asked, line: Handed) {
        let Handed { socket, ahead, peer, stay } = line;
        let socket = match socket {
            Raw::Plain(socket) => Socket::Tcp(socket),
            Raw::Other(socket) => Socket::Other(Box::new(socket)),
        };
        let serving = self.hub.clone().serve(Caller { request, socket, ahead, peer, stay: Box::new(stay) });
        drop(self.at.spawn(serving));
    }

    fn open(&self, request: Asked, line: Opened) -> Response<Bytes> {
        let _within = self.at.enter();
        let Opened { protocol, stream, peer, stay } = line;
        let stream = Box::pin(async move { stream.await.map(|stream| Box::new(stream) as Box<dyn Duplex>) });
        self.hub.clone().open(Opener { request, protocol, stream, peer, stay: Box::new(stay) })
    }

    fn ask(&self, request: ApiRequest) -> BoxFuture<'static, (ApiReply, Bytes)> {
        let (hub, at) = (self.hub.clone(), self.at.clone());
        Box::pin(async move {
            let answered = at.spawn(async move { hub.api(request).await }).await;
            answered.unwrap_or_else(|_| (ApiReply { status: 503, headers: Vec::new(), length: 0 }, Bytes::new()))
        })
    }
}
