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
use freshet_chat_mesh::{
    hub::{Caller, Config, Doing, Door, Hub, NoLinks, Outcome, Parts, Socket, Standing, Store, Unavailable},
    mesh::{Input, Member, Members, Stored},
    moderation::{Change, Durable, LogEntry},
};
use freshet_edge::{
    chat::{Handed, Raw},
    upstream::BoxFuture,
};
use freshet_proto::{
    chat::Login,
    id::{ChannelName, NodeId},
    view::View,
};
use http::request::Parts as Request;
use tokio::{runtime::Runtime, sync::watch, time::Duration};
use tokio_util::sync::CancellationToken;

use super::{World, irc::Bound};
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
        Ok(Self { hub, runtime: Some(runtime) })
    }

    /// The hub itself.
    pub fn hub(&self) -> &Hub {
        &self.hub
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
    fn take(&self, request: Request, line: Handed) -> BoxFuture<'static, ()> {
        let socket = match line.socket {
            Raw::Plain(socket) => Socket::Tcp(socket),
            Raw::Other(socket) => Socket::Other(Box::new(socket)),
        };
        let caller = Caller { request, socket, ahead: line.ahead, peer: line.peer };
        let served = self.at.spawn(self.hub.clone().serve(caller));
        Box::pin(async move { drop(served.await) })
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
