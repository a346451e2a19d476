//! Members in one process: a mesh that can be cut, disks that can be pulled, time that is paused.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use freshet_control_plane::{
    channel::Policy,
    key::Pepper,
    machine::Input,
    raft::{
        Applied, Carried, Carrier, CarrierError, ChangeError, Config, Group, Member, OpenError, Proposal, ProposeError,
        Store,
    },
};
use freshet_proto::{
    id::{ChannelName, NodeId},
    random::Random,
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::disk::{Crash, Disk};

/// How long anything may take that must happen, in paused time.
pub const BOUND: Duration = Duration::from_secs(60);

/// The way between the members.
#[derive(Clone, Default)]
pub struct Mesh(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    groups: BTreeMap<SocketAddr, Group>,
    /// Ends when the member dies, so that nothing of it lives on in a call that is under way.
    lives: BTreeMap<SocketAddr, CancellationToken>,
    /// Who hears nobody and is not heard.
    cut: BTreeSet<SocketAddr>,
    /// From whom nothing reaches whom.
    deaf: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Whose messages wait, either way.
    paused: BTreeSet<SocketAddr>,
    snapshots: usize,
    seed: u64,
}

/// One member's end of it.
struct End {
    mesh: Mesh,
    from: SocketAddr,
    life: CancellationToken,
}

/// A body longer than this is a snapshot.
const LONG: usize = 64 << 10;

impl Mesh {
    /// One whose members draw from this seed.
    pub fn seeded(seed: u64) -> Self {
        let mesh = Self::default();
        mesh.wires().seed = seed;
        mesh
    }

    fn wires(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap()
    }

    /// A member begins to live, and whatever it was before is dead.
    fn begin(&self, addr: SocketAddr) -> CancellationToken {
        self.end(addr);
        let life = CancellationToken::new();
        self.wires().lives.insert(addr, life.clone());
        life
    }

    fn end(&self, addr: SocketAddr) {
        let mut wires = self.wires();
        wires.groups.remove(&addr);
        if let Some(life) = wires.lives.remove(&addr) {
            life.cancel();
        }
    }

    fn open(&self, from: SocketAddr, to: SocketAddr) -> bool {
        let wires = self.wires();
        !wires.cut.contains(&from) && !wires.cut.contains(&to) && !wires.deaf.contains(&(from, to))
    }

    /// Does something at a member; `None` when there is none, or it dies meanwhile.
    pub async fn at<T>(&self, addr: SocketAddr, work: impl AsyncFnOnce(Group) -> T) -> Option<T> {
        let (group, life) = {
            let wires = self.wires();
            (wires.groups.get(&addr).cloned()?, wires.lives.get(&addr).cloned()?)
        };
        tokio::select! {
            biased;
            () = life.cancelled() => None,
            done = work(group) => Some(done),
        }
    }

    /// Whether there is such a process.
    pub fn lives(&self, addr: SocketAddr) -> bool {
        self.wires().groups.contains_key(&addr)
    }

    pub fn cut(&self, id: u64) {
        self.wires().cut.insert(member(id).addr);
    }

    /// Nothing that `from` says reaches `to` any more; the other way is as it was.
    pub fn deafen(&self, from: u64, to: u64) {
        self.wires().deaf.insert((member(from).addr, member(to).addr));
    }

    /// Lets everything wait that goes to a member or comes from it. It is delivered later, even where nobody waits for
    /// the answer any more. The member's own timers run on.
    pub fn pause(&self, id: u64) {
        self.wires().paused.insert(member(id).addr);
    }

    pub fn heal(&self) {
        let mut wires = self.wires();
        wires.cut.clear();
        wires.deaf.clear();
        wires.paused.clear();
    }

    fn is_paused(&self, addr: SocketAddr) -> bool {
        self.wires().paused.contains(&addr)
    }

    /// Waits while a member is paused.
    pub async fn awake(&self, addr: SocketAddr) {
        while self.is_paused(addr) {
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn carry(
        self,
        from: SocketAddr,
        life: CancellationToken,
        to: SocketAddr,
        body: Bytes,
    ) -> Result<Bytes, CarrierError> {
        let unreachable = |why: &str| Err(CarrierError::Unreachable(why.to_owned()));
        self.awake(from).await;
        sleep(Duration::from_millis(1)).await;
        self.awake(to).await;
        self.wires().snapshots += usize::from(body.len() > LONG);
        if life.is_cancelled() || !self.open(from, to) {
            return unreachable("the way is cut");
        }
        let answer = self.at(to, async |group| group.answer(body).await).await;
        self.awake(to).await;
        sleep(Duration::from_millis(1)).await;
        self.awake(from).await;
        if answer.is_none() || !self.open(to, from) {
            return unreachable("the way was cut");
        }
        answer.flatten().ok_or_else(|| CarrierError::Failed("no answer".to_owned()))
    }
}

impl Carrier for End {
    fn call(&self, to: Member, body: Bytes, _limit: Duration) -> Carried {
        let waits = self.mesh.is_paused(self.from) || self.mesh.is_paused(to.addr);
        let carried = self.mesh.clone().carry(self.from, self.life.clone(), to.addr, body);
        if !waits {
            return Box::pin(carried);
        }
        // It arrives even if whoever sent it gives up.
        let carried = tokio::spawn(carried);
        Box::pin(async move { carried.await.unwrap_or_else(|error| Err(CarrierError::Failed(error.to_string()))) })
    }
}

pub fn member(id: u64) -> Member {
    Member { addr: SocketAddr::from(([127, 0, 0, 1], 4000 + id as u16)), server_name: format!("control-{id}") }
}

pub fn config() -> Config {
    Config::default()
}

pub async fn open(id: u64, mesh: &Mesh, disk: &Disk, config: Config) -> Result<Group, OpenError> {
    open_store(id, mesh, Store::over(disk.clone())?, config).await
}

/// The same, from a store that is open.
pub async fn open_store(id: u64, mesh: &Mesh, store: Store, config: Config) -> Result<Group, OpenError> {
    let from = member(id).addr;
    let carrier = Arc::new(End { mesh: mesh.clone(), from, life: mesh.begin(from) });
    let seed = mesh.wires().seed;
    Group::open(NodeId(id), store, carrier, config, Random::seeded(seed.wrapping_mul(1_000) + id)).await
}

/// Several members.
pub struct Cluster {
    pub mesh: Mesh,
    pub config: Config,
    pub random: Random,
    pub groups: BTreeMap<u64, Group>,
    pub disks: BTreeMap<u64, Disk>,
    /// The channels whose making was acknowledged.
    pub acknowledged: BTreeSet<ChannelName>,
    next: u64,
}

impl Cluster {
    /// `size` voters, of which the first is bootstrapped and the others join.
    pub async fn of(size: u64, config: Config) -> Self {
        Self::over(Mesh::default(), size, config).await
    }

    /// The same, over a mesh that is there.
    pub async fn over(mesh: Mesh, size: u64, config: Config) -> Self {
        let mut cluster = Self::empty(mesh, config);
        cluster.start(1).await;
        cluster.groups[&1].bootstrap(member(1)).await.unwrap();
        for id in 2..=size {
            cluster.join(id).await;
        }
        cluster
    }

    /// Nobody yet.
    pub fn empty(mesh: Mesh, config: Config) -> Self {
        Self {
            mesh,
            config,
            random: Random::seeded(7),
            groups: BTreeMap::new(),
            disks: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            next: 0,
        }
    }

    /// Starts a member from its disk.
    pub async fn start(&mut self, id: u64) {
        let disk = self.disks.entry(id).or_default().clone();
        let group = open(id, &self.mesh, &disk, self.config.clone()).await.unwrap();
        self.mesh.wires().groups.insert(member(id).addr, group.clone());
        self.groups.insert(id, group);
    }

    pub async fn join(&mut self, id: u64) {
        self.start(id).await;
        let leader = self.leader().await;
        leader.add_learner(NodeId(id), member(id)).await.unwrap();
        leader.promote(NodeId(id)).await.unwrap();
    }

    /// Pulls the plug.
    pub fn kill(&mut self, id: u64, crash: Crash) {
        self.mesh.end(member(id).addr);
        self.groups.remove(&id);
        let left = self.disks[&id].crash(crash, &self.random);
        self.disks.insert(id, left);
    }

    /// Whoever leads and can prove it.
    pub async fn leader(&self) -> Group {
        let found = async {
            loop {
                for group in self.groups.values() {
                    if group.confirm().await.is_ok() {
                        return group.clone();
                    }
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(BOUND, found).await.expect("a leader")
    }

    /// Makes a channel that was not there before, at whoever leads, and remembers that it was acknowledged.
    pub async fn write(&mut self) -> Applied {
        loop {
            let leader = self.leader().await;
            let (name, proposal) = self.proposal();
            match leader.propose(proposal).await {
                Ok(applied) => {
                    assert_eq!(applied.reply, Ok(None));
                    self.acknowledged.insert(name);
                    return applied;
                }
                Err(ProposeError::NotLeader { .. } | ProposeError::Unknown | ProposeError::Stopped) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub fn proposal(&mut self) -> (ChannelName, Proposal) {
        self.next += 1;
        put(self.next)
    }

    /// Every acknowledged write is at every living member, and all of them hold the same state.
    pub async fn settle(&self) {
        let leader = self.leader().await;
        let last = leader.status().last_log;
        for (id, group) in &self.groups {
            let there = async {
                while group.status().applied < last {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(BOUND, there)
                .await
                .unwrap_or_else(|_| panic!("node {id} does not get there: {:?}", group.status()));
            for name in &self.acknowledged {
                assert!(group.read(|registry| registry.channels().any(|known| known == name)), "node {id} lost {name}");
            }
            let same = group.read(|ours| leader.read(|theirs| ours == theirs));
            assert!(same, "node {id} differs from the leader");
            assert_eq!(**group.feed().view().borrow(), group.read(|registry| registry.view()), "node {id}'s feed");
        }
    }
}

/// The making of the `n`th channel.
pub fn put(n: u64) -> (ChannelName, Proposal) {
    let name: ChannelName = format!("c{n}").parse().unwrap();
    let key = Pepper([1; 32]).hash(&format!("sk_{n}"));
    let input = Input::PutChannel { channel: name.clone(), key, policy: Policy::Newest };
    (name, Proposal { now_ms: n, input })
}

/// Asks again until a change of the membership is made.
pub async fn until_done<F, T>(mut change: F)
where
    F: FnMut() -> T,
    T: Future<Output = Result<(), ChangeError>>,
{
    let done = async {
        while change().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BOUND, done).await.expect("the change");
}
