//! An impairment link for real processes: a UDP relay in user space, for where the kernel has no netem. Needs no root.
//!
//! ```text
//! peers ──▶ listen │ Way toward the node (delay, jitter, loss, reordering, rate, cut) │ one socket a peer ──▶ the node
//! peers ◀── listen │ Way from the node   (the same, apart)                            │ one socket a peer ◀── the node
//! ```
//! A node stands behind its link when others are told the link's address: `quic.advertise = "LISTEN"`. What others ask of
//! it then passes the link, both ways; what it asks of others passes theirs. To part two nodes, cut each one's link for
//! the other's address ([`part`]).
//!
//! ```sh
//! netsim link 127.0.0.1:5430 127.0.0.1:4430 --both "delay_ms=20 jitter_ms=5 loss_permille=10" --seed 7
//! freshet edge --config edge.toml --set listen.quic=127.0.0.1:4430 --set quic.advertise=127.0.0.1:5430
//! ```
//! While it runs, each line of its standard input is an [`Order`]: `both delay_ms=200`, `toward rate_kbit=500 queue=50`,
//! `cut from 127.0.0.1:4431`, `heal`, `counts`. It ends when its input does.
//!
//! What is drawn follows from the seed; when datagrams come does not, so two runs differ, unlike in the simulation.

mod order;
mod profile;
mod relay;
mod way;

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    net::UdpSocket,
    sync::Notify,
    task::JoinSet,
    time::{Duration, Instant},
};

pub use self::{
    order::{BadOrder, Order},
    profile::{BadProfile, Profile},
    way::{Counts, Fate, Way},
};

/// A direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// What peers send to the node.
    Toward,
    /// What the node answers.
    From,
}

impl Side {
    /// Both directions.
    pub const BOTH: [Self; 2] = [Self::Toward, Self::From];
}

/// A running relay before one node. Ends when dropped; what is on its way is lost then.
#[derive(Debug)]
pub struct Link {
    addr: SocketAddr,
    node: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    lines: Mutex<Lines>,
    /// Something is on its way that may be due before all else.
    sent: Notify,
}

#[derive(Debug)]
struct Lines {
    toward: Way<relay::Parcel>,
    from: Way<relay::Parcel>,
    /// Nothing passes for these peers; `None` is everybody. One entry for each that was named.
    cuts: BTreeSet<(Side, Option<SocketAddr>)>,
}

impl Link {
    /// Relays between whoever sends to `listen` (port 0: any) and `node`, at first without any impairment. Must be called
    /// in a tokio runtime.
    ///
    /// # Errors
    /// As the system's `bind`.
    pub async fn open(listen: SocketAddr, node: SocketAddr, seed: u64) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind(listen).await?);
        front.writable().await?;
        let addr = front.local_addr()?;
        let way = |salt: u64| Way::new(Profile::default(), seed.wrapping_mul(2).wrapping_add(salt));
        let lines = Mutex::new(Lines { toward: way(0), from: way(1), cuts: BTreeSet::new() });
        let shared = Arc::new(Shared { began: Instant::now(), lines, sent: Notify::new() });
        let mut tasks = JoinSet::new();
        tasks.spawn(relay::take(Arc::clone(&front), node, Arc::clone(&shared)));
        tasks.spawn(relay::deliver(Arc::clone(&shared)));
        Ok(Self { addr, node, shared, _tasks: tasks })
    }

    /// Where peers send to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The node behind it.
    pub fn node(&self) -> SocketAddr {
        self.node
    }

    /// Makes these directions so from now on. What is on its way stays as it was.
    pub fn set(&self, sides: &[Side], profile: Profile) {
        let mut lines = self.shared.lines();
        sides.iter().for_each(|side| lines.way(*side).set(profile));
    }

    /// Lets nothing pass any more between the node and `peer`, or anybody if `None`. What is on its way still arrives.
    pub fn cut(&self, sides: &[Side], peer: Option<SocketAddr>) {
        self.shared.lines().cuts.extend(sides.iter().map(|side| (*side, peer)));
    }

    /// Undoes [`Link::cut`] for `peer`; for everybody if `None`, also for those who were named.
    pub fn heal(&self, sides: &[Side], peer: Option<SocketAddr>) {
        let healed = |cut: &(Side, Option<SocketAddr>)| sides.contains(&cut.0) && (peer.is_none() || cut.1 == peer);
        self.shared.lines().cuts.retain(|cut| !healed(cut));
    }

    /// What became of everything so far.
    pub fn counts(&self, side: Side) -> Counts {
        self.shared.lines().way(side).counts()
    }

    /// Does what a line of standard input says; returns what there is to print.
    pub fn obey(&self, order: &Order) -> Option<String> {
        match order {
            Order::Set(sides, profile) => self.set(sides, *profile),
            Order::Cut(sides, peer) => self.cut(sides, *peer),
            Order::Heal(sides, peer) => self.heal(sides, *peer),
            Order::Counts => {
                return Some(format!("toward {}\nfrom {}", self.counts(Side::Toward), self.counts(Side::From)));
            }
        }
        None
    }
}

/// Lets nothing pass any more between the nodes behind two links.
pub fn part(a: &Link, b: &Link) {
    a.cut(&Side::BOTH, Some(b.node));
    b.cut(&Side::BOTH, Some(a.node));
}

/// Undoes [`part`].
pub fn heal(a: &Link, b: &Link) {
    a.heal(&Side::BOTH, Some(b.node));
    b.heal(&Side::BOTH, Some(a.node));
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Lines {
    fn way(&mut self, side: Side) -> &mut Way<relay::Parcel> {
        match side {
            Side::Toward => &mut self.toward,
            Side::From => &mut self.from,
        }
    }

    fn is_cut(&self, side: Side, peer: SocketAddr) -> bool {
        self.cuts.contains(&(side, None)) || self.cuts.contains(&(side, Some(peer)))
    }
}
