//! Members in one process: a mesh that can be cut, disks that can be pulled, time that is paused.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
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

use super::disk::{Crash, Disk};

/// How long anything may take that must happen, in paused time.
pub const BOUND: Duration = Duration::from_secs(60);

/// The way between the members.
#[derive(Clone, Default)]
pub struct Mesh(Arc<Mutex<Wires>>);

#[derive(Default)]
struct Wires {
    groups: BTreeMap<SocketAddr, Group>,
    /// Who hears nobody and is not heard.
    cut: BTreeSet<SocketAddr>,
    snapshots: usize,
}

/// One member's end of it.
struct End {
    mesh: Mesh,
    from: SocketAddr,
}

/// A body longer than this is a snapshot.
const LONG: usize = 64 << 10;

impl Mesh {
    fn target(&self, from: SocketAddr, to: SocketAddr, length: usize) -> Option<Group> {
        let mut wires = self.0.lock().unwrap();
        wires.snapshots += usize::from(length > LONG);
        let open = !wires.cut.contains(&from) && !wires.cut.contains(&to);
        open.then(|| wires.groups.get(&to).cloned()).flatten()
    }

    pub fn cut(&self, id: u64) {
        self.0.lock().unwrap().cut.insert(member(id).addr);
    }

    pub fn heal(&self) {
        self.0.lock().unwrap().cut.clear();
    }
}

impl Carrier for End {
    fn call(&self, to: Member, body: Bytes, _limit: Duration) -> Carried {
        let (mesh, from) = (self.mesh.clone(), self.from);
        Box::pin(async move {
            sleep(Duration::from_millis(1)).await;
            let Some(group) = mesh.target(from, to.addr, body.len()) else {
                return Err(CarrierError::Unreachable("the way is cut".to_owned()));
            };
            let answer = group.answer(body).await;
            drop(group);
            sleep(Duration::from_millis(1)).await;
            if mesh.target(from, to.addr, 0).is_none() {
                return Err(CarrierError::Unreachable("the way was cut".to_owned()));
            }
            answer.ok_or_else(|| CarrierError::Failed("no answer".to_owned()))
        })
    }
}

pub fn member(id: u64) -> Member {
    Member { addr: SocketAddr::from(([127, 0, 0, 1], 4000 + id as u16)), server_name: format!("control-{id}") }
}

pub fn config() -> Config {
    Config::default()
}

pub async fn open(id: u64, mesh: &Mesh, disk: &Disk, config: Config) -> Result<Group, OpenError> {
    let carrier = Arc::new(End { mesh: mesh.clone(), from: member(id).addr });
    let store = Store::over(disk.clone())?;
    Group::open(NodeId(id), store, carrier, config, Random::seeded(id)).await
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
        let mut cluster = Self {
            mesh: Mesh::default(),
            config,
            random: Random::seeded(7),
            groups: BTreeMap::new(),
            disks: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            next: 0,
        };
        cluster.start(1).await;
        cluster.groups[&1].bootstrap(member(1)).await.unwrap();
        for id in 2..=size {
            cluster.join(id).await;
        }
        cluster
    }

    /// Starts a member from its disk.
    pub async fn start(&mut self, id: u64) {
        let disk = self.disks.entry(id).or_default().clone();
        let group = open(id, &self.mesh, &disk, self.config.clone()).await.unwrap();
        self.mesh.0.lock().unwrap().groups.insert(member(id).addr, group.clone());
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
        self.mesh.0.lock().unwrap().groups.remove(&member(id).addr);
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
