//! Clients: origins that claim channels, say that they are live, release them, and look at them; of whichever member they
//! believe to lead.

use std::{collections::BTreeMap, time::Duration};

use freshet_control_plane::{
    channel::Policy,
    key::{KeyHash, Pepper},
    machine::Input,
    raft::{Group, Proposal, ProposeError},
};
use freshet_proto::{
    id::{ChannelName, Epoch, NodeId},
    random::Random,
    registry::{Departure, Refused, Reply},
    view::{ChannelState, ChannelView},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    cluster::{Mesh, member},
    history::{Answer, Call, Grant, Phase, Recorder, Refusal, Seen},
};

/// How many members there are, numbered from 1.
pub const MEMBERS: u64 = 3;

/// How long a client waits for one answer. Less than a member waits for a quorum, so that things happen after it left.
const LIMIT: Duration = Duration::from_millis(1_500);

/// How long it looks for a leader.
const PATIENCE: Duration = Duration::from_secs(3);

/// One answer in so many is lost on its way, so that what has happened is asked for again.
const LOSS: u64 = 30;

/// The clients' wall clocks run faster than the members' timers, so that displacements are not always a fight.
const WALL: u64 = 8;

/// What is wrong on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    None,
    /// Whoever believes that it leads answers reads, without making sure.
    UnconfirmedReads,
    /// What a publish says is taken for the current one's word.
    NoFencing,
}

/// One client, which is one origin.
pub struct Client {
    id: u64,
    mesh: Mesh,
    recorder: Recorder,
    random: Random,
    bug: Bug,
    began: Instant,
    /// Whom it asks first.
    leader: u64,
    /// The epochs that it holds, as far as it knows.
    mine: BTreeMap<usize, u64>,
    claims: u64,
}

/// What came of asking one member.
enum Told {
    Answer(Answer),
    NotLeader(Option<u64>),
    /// There is no such process: it was not asked.
    Absent,
    /// No answer.
    Nothing,
}

pub fn channel(n: usize) -> ChannelName {
    format!("c{n}").parse().unwrap()
}

/// The making of a channel.
pub fn put(n: usize, policy: Policy) -> Input {
    Input::PutChannel { channel: channel(n), key: key(n), policy }
}

fn key(n: usize) -> KeyHash {
    Pepper([1; 32]).hash(&format!("sk_{n}"))
}

impl Client {
    pub fn new(id: u64, mesh: Mesh, recorder: Recorder, random: Random, bug: Bug) -> Self {
        let (began, leader) = (Instant::now(), 1 + random.below(MEMBERS));
        Self { id, mesh, recorder, random, bug, began, leader, mine: BTreeMap::new(), claims: 0 }
    }

    /// Asks for one thing after another.
    pub async fn run(mut self, channels: usize, until: Instant) {
        while Instant::now() < until {
            sleep(Duration::from_millis(10 + self.random.below(110))).await;
            let channel = self.random.below(channels as u64) as usize;
            let call = self.choose(channel);
            let mut answer = self.ask(channel, call).await;
            // A claim without an answer is made again, or given up.
            while matches!(call, Call::Claim { .. }) && answer == Some(Answer::Unknown) && self.random.below(2) == 0 {
                answer = self.ask(channel, call).await;
            }
            self.learn(channel, call, answer);
        }
    }

    fn choose(&mut self, channel: usize) -> Call {
        let hows = [Departure::Unpublished, Departure::Lost, Departure::EndSession];
        match (self.random.below(10), self.mine.get(&channel)) {
            (0..=3, _) => Call::Read,
            (4 | 5, Some(&epoch)) => Call::Live { epoch },
            (6 | 7, Some(&epoch)) => Call::Release { epoch, how: hows[self.random.below(3) as usize] },
            _ => {
                self.claims += 1;
                Call::Claim { origin: self.id, nonce: self.id * 10_000 + self.claims }
            }
        }
    }

    fn learn(&mut self, channel: usize, call: Call, answer: Option<Answer>) {
        match (call, answer) {
            (_, Some(Answer::Granted(grant))) => _ = self.mine.insert(channel, grant.epoch),
            // What it holds no longer it still talks of now and then, as a zombie does.
            (Call::Live { .. } | Call::Release { .. }, Some(Answer::Refused(_))) if self.random.below(2) == 0 => {
                self.mine.remove(&channel);
            }
            _ => {}
        }
    }

    /// Asks until a leader answers; `None` when it certainly did not happen.
    pub async fn ask(&mut self, channel: usize, call: Call) -> Option<Answer> {
        let which = self.recorder.begin(self.id, channel, call);
        let until = Instant::now() + PATIENCE;
        if call == Call::Read && self.random.below(2) == 0 {
            // As somebody does who does not know who leads.
            self.leader = 1 + self.random.below(MEMBERS);
        }
        while Instant::now() < until {
            let asked = self.leader;
            match self.tell(asked, channel, call).await {
                Told::Answer(answer) => {
                    self.recorder.end(which, answer, asked);
                    return Some(answer);
                }
                Told::Nothing if call != Call::Read => return Some(Answer::Unknown),
                Told::NotLeader(Some(leader)) if leader != asked => self.leader = leader,
                _ => self.leader = 1 + self.random.below(MEMBERS),
            }
            sleep(Duration::from_millis(10 + self.random.below(90))).await;
        }
        self.recorder.forget(which);
        None
    }

    /// Asks one member. What is under way goes on when this client waits no longer.
    async fn tell(&self, asked: u64, channel: usize, call: Call) -> Told {
        let (mesh, addr, bug) = (self.mesh.clone(), member(asked).addr, self.bug);
        let delays = [1 + self.random.below(20), 1 + self.random.below(20)].map(Duration::from_millis);
        let now_ms = WALL * self.began.elapsed().as_millis() as u64;
        let lost = self.random.below(LOSS) == 0;
        let told = tokio::spawn(async move {
            sleep(delays[0]).await;
            mesh.awake(addr).await;
            if !mesh.lives(addr) {
                return Told::Absent;
            }
            let told = mesh.at(addr, async |group| perform(&group, channel, call, now_ms, bug).await).await;
            mesh.awake(addr).await;
            sleep(delays[1]).await;
            told.filter(|_| !lost).unwrap_or(Told::Nothing)
        });
        timeout(LIMIT, told).await.map_or(Told::Nothing, |told| told.expect("a member that answers"))
    }
}

/// What goes into the log; `None` for a read, which does not.
pub fn input(n: usize, call: Call) -> Option<Input> {
    let channel = channel(n);
    match call {
        Call::Read => None,
        Call::Claim { origin, nonce } => Some(Input::Claim { key: key(n), origin: NodeId(origin), nonce }),
        Call::Live { epoch } => Some(Input::Live { channel, epoch: Epoch(epoch) }),
        Call::Release { epoch, how } => Some(Input::Release { channel, epoch: Epoch(epoch), how }),
    }
}

async fn perform(group: &Group, n: usize, mut call: Call, now_ms: u64, bug: Bug) -> Told {
    if let (Bug::NoFencing, Call::Live { epoch } | Call::Release { epoch, .. }) = (bug, &mut call) {
        *epoch = current(group, n).unwrap_or(*epoch);
    }
    let Some(input) = input(n, call) else { return read(group, n, bug).await };
    match group.propose(Proposal { now_ms, input }).await {
        Ok(applied) => Told::Answer(answer(applied.reply)),
        Err(ProposeError::NotLeader { leader }) => Told::NotLeader(leader.map(|(id, _)| id.0)),
        Err(ProposeError::Unknown) => Told::Nothing,
        Err(ProposeError::Stopped) => Told::Absent,
        Err(error) => panic!("{error}"),
    }
}

async fn read(group: &Group, n: usize, bug: Bug) -> Told {
    if bug == Bug::UnconfirmedReads {
        let leader = group.status().leader;
        if leader != Some(group.id()) {
            return Told::NotLeader(leader.map(|id| id.0));
        }
    } else if let Err(error) = group.confirm().await {
        let ProposeError::NotLeader { leader } = error else { return Told::Absent };
        return Told::NotLeader(leader.map(|(id, _)| id.0));
    }
    view(group, n).map_or(Told::NotLeader(None), |view| Told::Answer(Answer::Seen(seen(&view))))
}

fn view(group: &Group, n: usize) -> Option<ChannelView> {
    group.feed().view().borrow().channels.get(&channel(n)).cloned()
}

fn current(group: &Group, n: usize) -> Option<u64> {
    Some(view(group, n)?.epochs.last()?.epoch.0)
}

pub fn seen(view: &ChannelView) -> Seen {
    let phase = match view.state {
        ChannelState::Idle => Phase::Idle,
        ChannelState::Starting => Phase::Starting,
        ChannelState::Live => Phase::Live,
        ChannelState::Grace => Phase::Grace,
        ChannelState::Ended => Phase::Ended,
    };
    let publish = view.epochs.last().map(|last| (last.epoch.0, last.origin.0));
    Seen { phase, session: view.session.map(|session| session.0), publish }
}

pub fn answer(reply: Reply) -> Answer {
    match reply {
        Ok(None) => Answer::Done,
        Ok(Some(claimed)) => Answer::Granted(Grant {
            epoch: claimed.epoch.0,
            session: claimed.session.0,
            prior: claimed.prior.map(|(epoch, origin)| (epoch.0, origin.0)),
        }),
        Err(Refused::Superseded) => Answer::Refused(Refusal::Superseded),
        Err(Refused::Fighting { .. }) => Answer::Refused(Refusal::Fighting),
        Err(Refused::AlreadyLive) => Answer::Refused(Refusal::AlreadyLive),
        Err(refused) => panic!("nobody should hear this: {refused}"),
    }
}
