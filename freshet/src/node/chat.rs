//! The chat hub beside an edge: sockets that ask for `/chat/…` are its own from then on.
//!
//! ```text
//! edge ──Handed──▶ ChatNode ──▶ Hub, on threads of its own
//!                                └──▶ Store
//! ```
//! Chat has a runtime of its own, with fewer threads than there are cores and less weight with the system's scheduler:
//! however much is said, the edge's threads serve video as before.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use bytes::Bytes;
use freshet_chat_mesh::{
    hub::{
        Caller, Config, Doing, Door, Duplex, Hub, NoLinks, Opener, Outcome, Parts, Socket, Standing, Store, Unavailable,
    },
    mesh::{Input, Member, Members, Stored},
    moderation::{Change, Durable, LogEntry},
};
use freshet_edge::{
    chat::{Handed, Opened, Raw},
    upstream::BoxFuture,
};
use freshet_proto::{
    api::{ApiReply, ApiRequest},
    chat::Login,
    id::{ChannelName, NodeId},
    view::View,
};
use http::{Response, request::Parts as Request};
use metrics::{counter, gauge};
use tokio::{
    runtime::Runtime,
    sync::watch,
    time::{Duration, sleep},
};

use super::World;
use crate::admin::Check;

/// By how much chat's threads yield to the edge's: a step of `nice` is a tenth of the time where there is not enough.
const NICE: i32 = 5;

/// A hub, running.
pub struct ChatNode {
    hub: Hub,
    runtime: Option<Runtime>,
}

impl ChatNode {
    /// Starts the hub of node `me`.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(config: Config, me: NodeId, view: watch::Receiver<Arc<View>>, world: &World) -> anyhow::Result<Self> {
        let runtime = runtime(config.threads).context("starting chat's threads")?;
        let _within = runtime.enter();
        let clock = world.clock.clone();
        let door = Door::new(view, clock.clone(), config.origins.clone());
        let epoch = clock.now_ms() / 1_000;
        let random = world.random.clone();
        let (store, links) = (Arc::new(Volatile::default()), Arc::new(NoLinks));
        let hub = Hub::start(Parts { config, me, limits: Default::default(), door, store, links, clock, random });
        let told = hub.clone();
        runtime.spawn(async move {
            let hubs = [(me, Member { number: 1, weight: 1 })].into();
            told.tell(Input::Members(Members { epoch, hubs, before: Vec::new() })).await;
            told.tell(Input::Lease { until_ms: u64::MAX / 2, epoch }).await;
        });
        runtime.spawn(export(hub.clone()));
        Ok(Self { hub, runtime: Some(runtime) })
    }

    /// Whether clients should be sent here.
    pub fn checks(&self) -> Vec<Check> {
        let detail = format!("{} connections", self.hub.connections());
        vec![Check { name: "chat", ok: self.hub.is_open(), detail }]
    }

    /// Gives its channels away and sends everybody elsewhere, within `patience`.
    pub async fn drain(&self, patience: Duration) {
        self.hub.drain(Vec::new(), patience).await;
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
    fn take(&self, request: Request, line: Handed) {
        let Handed { socket, ahead, peer, stay } = line;
        let socket = match socket {
            Raw::Plain(socket) => Socket::Tcp(socket),
            Raw::Other(socket) => Socket::Other(Box::new(socket)),
        };
        let serving = self.hub.clone().serve(Caller { request, socket, ahead, peer, stay: Box::new(stay) });
        drop(self.at.spawn(serving));
    }

    fn open(&self, request: Request, line: Opened) -> Response<Bytes> {
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

/// What is stored as long as the process lives.
#[derive(Default)]
struct Volatile(Mutex<BTreeMap<ChannelName, Durable>>);

impl Store for Volatile {
    fn open(&self, channel: ChannelName) -> Doing<Result<Option<Stored>, Unavailable>> {
        let durable = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(channel.clone()).or_default().clone();
        Box::pin(async move { Ok(Some(Stored { owner: channel, durable })) })
    }

    fn store(
        &self,
        channel: ChannelName,
        _: u64,
        changes: Vec<(u64, Change)>,
        _: Vec<LogEntry>,
    ) -> Doing<Result<Outcome, Unavailable>> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let durable = stored.entry(channel).or_default();
        for (_, change) in changes {
            let _ = durable.apply(&change, 0);
        }
        Box::pin(async { Ok(Outcome::Stored) })
    }

    fn standing(&self, _: ChannelName, _: Login) -> Doing<Result<Standing, Unavailable>> {
        Box::pin(async { Ok(Standing::default()) })
    }
}
