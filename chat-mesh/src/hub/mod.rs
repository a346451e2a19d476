//! A hub: the sockets of those who read and write here, and its part in the mesh.
//!
//! ```text
//! a socket ──▶ serve: handshake, Door ──▶ connection: ws::Peer, Session ──Join, Submit──▶ actor: Mesh, channels, logs
//!    ▲                                        ▲ letters: answers, notices ──────────────────┘        │
//!    └─────────── fanout: frames of the logs, a connection's own frames ◀────────────────────────────┘
//! ```
//! One task, the `actor`, owns what has an order; a task per connection reads; the fan-out's shards write. What each may
//! hold of whom is bounded: [`Config`], [`inbox::MAX_LETTERS`], the fan-out's own limits.
//!
//! Whose a connection is and which channels there are is the `door`'s business, by the platform's view. What is stored and
//! who the other hubs are comes through [`Store`] and [`Links`].

mod actor;
mod arrivals;
mod carrier;
mod channel;
mod config;
mod connection;
mod door;
mod doors;
mod format;
mod inbox;
mod irc;
mod join;
mod keep;
mod lobby;
mod pace;
mod presence;
mod reply;
mod rest;
mod seat;
mod serve;
mod stats;

use std::sync::Arc;

use freshet_proto::{
    chat::{Answer, Code, Refusal, Submit},
    clock::WallClock,
    id::{ChannelName, NodeId},
    random::Random,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Duration, Instant, timeout},
};

use self::actor::{Actor, Command, MAX_COMMANDS};
pub use self::{
    arrivals::{Arriving, MAX_ARRIVING, MAX_ARRIVING_PER_ADDRESS},
    carrier::Carriage,
    config::{Config, InvalidConfig},
    door::{Access, Door, Holder},
    doors::{Doing, Links, NoLinks, Outcome, Standing, Store, Unavailable},
    format::Format,
    inbox::{End, Inbox, Letter, MAX_LETTERS},
    lobby::NoPlace,
    seat::{Arrival, Join, Pass},
    serve::{Caller, Duplex, Opener, Socket},
    stats::{Level, Stats, Sum},
};
use crate::{
    fanout::{self, Fanout},
    home,
    mesh::{Input, Mesh},
};

/// How long a join waits to learn since when its user follows the channel. It goes on without.
const STANDING: Duration = Duration::from_secs(1);

/// How many such questions are under way at most; beyond that, joins go on without.
const MAX_STANDINGS: usize = 256;

/// What a hub is made of.
pub struct Parts {
    /// Limits and deadlines.
    pub config: Config,
    /// Which hub it is.
    pub me: NodeId,
    /// How much is kept of each channel.
    pub limits: home::Limits,
    /// Who comes.
    pub door: Door,
    /// What outlives it.
    pub store: Arc<dyn Store>,
    /// The ways to other hubs.
    pub links: Arc<dyn Links>,
    /// The wall clock.
    pub clock: WallClock,
    /// The source of randomness.
    pub random: Random,
}

/// A hub. Cheap to clone; clones are one hub.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// What all parts of a hub share.
pub(crate) struct Shared {
    config: Config,
    door: Door,
    store: Arc<dyn Store>,
    links: Arc<dyn Links>,
    fanout: Fanout,
    lobby: Arc<lobby::Lobby>,
    arrivals: Arc<arrivals::Arrivals>,
    refusing: Arc<tokio::sync::Semaphore>,
    stats: Stats,
    clock: WallClock,
    random: Random,
    began: Instant,
    leaving: mpsc::UnboundedSender<(ChannelName, usize)>,
    /// Nobody more is taken.
    closed: watch::Sender<bool>,
    /// All its channels have another home.
    left: watch::Sender<bool>,
    standings: Arc<tokio::sync::Semaphore>,
    back: mpsc::WeakSender<Command>,
}

impl Hub {
    /// Starts a hub that knows of no member yet: nothing can be read before [`Hub::tell`] has told it some.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(parts: Parts) -> Self {
        let Parts { config, me, limits, door, store, links, clock, random } = parts;
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let (leaving, left) = mpsc::unbounded_channel();
        let back = commands.downgrade();
        let shared = Arc::new(Shared {
            fanout: Fanout::new(config.fanout()),
            config,
            door,
            store,
            links,
            lobby: Arc::default(),
            arrivals: Arc::default(),
            refusing: Arc::new(tokio::sync::Semaphore::new(arrivals::MAX_REFUSING)),
            stats: Stats::default(),
            clock,
            random,
            began: Instant::now(),
            leaving,
            closed: watch::Sender::new(false),
            left: watch::Sender::new(false),
            standings: Arc::new(tokio::sync::Semaphore::new(MAX_STANDINGS)),
            back: back.clone(),
        });
        let mesh = Mesh::new(me, limits, shared.now());
        tokio::spawn(Actor::new(Arc::clone(&shared), mesh, back).run(queue, left));
        tokio::spawn(lobby::sweep(Arc::downgrade(&shared)));
        tokio::spawn(lobby::watch(Arc::downgrade(&shared)));
        Self { shared, commands }
    }

    /// Tells the machine something: members, a lease, a link, a message. Waits while the hub has too much to do, so that
    /// whoever sends is slowed down.
    pub async fn tell(&self, input: Input) {
        let _ = self.commands.send(Command::Mesh(input)).await;
    }

    /// Tells the machine what may be lost: it is, while the hub has too much to do.
    pub fn mention(&self, input: Input) {
        let _ = self.commands.try_send(Command::Mesh(input));
    }

    /// The machine's time at `at`, in ms: what [`Input::Lease`] goes by.
    pub fn mono_ms(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.shared.began).as_millis()).unwrap_or(u64::MAX)
    }

    /// Wants to read a channel; a letter says how that went.
    pub fn join(&self, mut join: Join) {
        let shared = &self.shared;
        if shared.door.channel(&join.channel) == Access::Unknown {
            return turn_away(join, Code::NoSuchChannel.into());
        }
        let Some(identity) = join.identity.clone() else { return self.enter(join) };
        let Ok(permit) = Arc::clone(&shared.standings).try_acquire_owned() else { return self.enter(join) };
        let hub = self.clone();
        let asked = shared.store.standing(join.channel.clone(), identity.user.login.clone());
        tokio::spawn(async move {
            if let Ok(Ok(standing)) = timeout(STANDING, asked).await {
                join.follows_since_ms = standing.follows_since_ms;
                let (commands, login) = (hub.commands.clone(), identity.user.login.clone());
                let stands = Command::Stands(join.channel.clone(), login, standing);
                hub.enter(join);
                let _ = commands.send(stands).await;
            } else {
                hub.enter(join);
            }
            drop(permit);
        });
    }

    fn enter(&self, join: Join) {
        if let Err(error) = self.commands.try_send(Command::Join(Box::new(join)))
            && let Command::Join(join) = error.into_inner()
        {
            turn_away(*join, Refusal::for_ms(Code::Paused, 1_000));
        }
    }

    /// Finds out again since when somebody follows `channels`: they may have begun just now. A letter says so.
    pub(crate) fn ask_standings<'a>(&self, channels: impl Iterator<Item = &'a ChannelName>, inbox: &Inbox) {
        let Some(user) = inbox.with_holder(|holder| Some(holder?.identity.as_ref()?.user.clone())) else { return };
        for channel in channels {
            let Ok(permit) = Arc::clone(&self.shared.standings).try_acquire_owned() else { return };
            let asked = self.shared.store.standing(channel.clone(), user.login.clone());
            let (commands, channel, login) = (self.commands.clone(), channel.clone(), user.login.clone());
            tokio::spawn(async move {
                if let Ok(Ok(standing)) = timeout(STANDING, asked).await {
                    let _ = commands.send(Command::Stands(channel, login, standing)).await;
                }
                drop(permit);
            });
        }
    }

    /// Posts something; a letter says how that went, with `ticket`.
    pub fn submit(&self, ticket: u64, submit: Box<Submit>, inbox: &Arc<Inbox>) {
        let command = Command::Submit { submit, ticket, inbox: Arc::clone(inbox) };
        if self.commands.try_send(command).is_err() {
            let answer = Err(Refusal::for_ms(Code::Paused, 1_000));
            inbox.put(Letter::Answer { ticket, answer });
        }
    }

    /// Posts something for somebody who has no connection.
    pub async fn post(&self, submit: Submit) -> Answer {
        let inbox = Inbox::new(Instant::now(), None);
        self.submit(0, Box::new(submit), &inbox);
        loop {
            match inbox.next().await {
                Letter::Answer { answer, .. } => return answer,
                Letter::End(_) => return Err(Code::Paused.into()),
                _ => {}
            }
        }
    }

    /// Who comes, and to which channels.
    pub fn door(&self) -> &Door {
        &self.shared.door
    }

    /// What was done so far.
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// What was delivered so far.
    pub fn fanout(&self) -> fanout::Stats {
        self.shared.fanout.stats()
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.shared.lobby.len()
    }

    /// Whether new connections are taken.
    pub fn is_open(&self) -> bool {
        !*self.shared.closed.borrow()
    }

    /// Waits until all that was asked of the hub before has been done.
    pub async fn settled(&self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Sync(done)).await.is_ok() {
            let _ = is_done.await;
        }
    }

    /// Gives its channels to other hubs, where there are some; at most `patience`.
    pub async fn hand_over(&self, patience: Duration) {
        let mut left = self.shared.left.subscribe();
        self.tell(Input::Leave).await;
        let _ = timeout(patience, left.wait_for(|left| *left)).await;
    }

    /// Takes nobody more, and sends away who is there, to `hubs` or, where that is empty, to any. Waits until all are gone,
    /// at most `patience`.
    pub async fn drain(&self, hubs: Vec<String>, patience: Duration) {
        self.shared.closed.send_replace(true);
        let hubs: Arc<[String]> = hubs.into();
        let within = self.shared.config.reconnect_ms;
        let bye = || Letter::Bye { reconnect_ms: self.shared.random.below(within), hubs: Arc::clone(&hubs) };
        self.shared.lobby.tell(bye).await;
        let gone = async {
            while self.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout(patience, gone).await;
    }
}

fn turn_away(join: Join, refusal: Refusal) {
    join.inbox.put(Letter::NotJoined { join: Some(join.join), channel: join.channel, refusal });
}

impl Shared {
    async fn recheck(&self) {
        if let Some(back) = self.back.upgrade() {
            let _ = back.send(Command::Recheck).await;
        }
    }

    /// As often as silence must be noticed.
    fn sweep_period(&self) -> Duration {
        let patience = self.config.patience();
        let least = patience.ping_after.min(patience.pong_within).min(self.idle_limit());
        (least / 4).clamp(Duration::from_millis(50), Duration::from_secs(5))
    }

    fn idle_limit(&self) -> Duration {
        Duration::from_millis(self.config.idle_timeout_ms)
    }
}

/// The number of a hub where there are no others.
pub const ALONE: NodeId = NodeId(1);
