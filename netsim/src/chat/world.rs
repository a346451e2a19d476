//! The world of one seed: an ordered queue of what happens, and the hubs it happens to.

mod faults;
mod talk;
mod traffic;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use freshet_chat_mesh::{
    home::Limits,
    mesh::{Earlier, Input, Members, Mesh, Now},
    moderation::Change,
};
use freshet_proto::{
    chat::{Answer, Code, Event, Nonce, Origin},
    id::{ChannelName, NodeId},
    random::Random,
};

use super::{
    Bug, Outcome, Plan, Sometimes, Violation,
    control::{Control, MARGIN_MS, RENEW_MS, TTL_MS},
    judge::Judge,
    lanes::Lanes,
    people::{self, Post},
    plan::{Kind, What},
};

/// When the world begins, in ms since 1970.
const BEGIN_MS: u64 = 1_800_000_000_000;
/// How long everything is left alone before it is judged, in ms, and how long speaking may take then.
const QUIET_MS: u64 = 15_000;
const SPEAK_MS: u64 = 9_000;
/// After how many ms a channel rests that nobody reads, how often something is said there, at least, and how long before the
/// end everybody comes.
const REST_MS: u64 = 2_000;
const MURMUR_MS: u64 = 1_000;
const GATHER_MS: u64 = 7_000;
/// For how long hubs remember who there was before the control plane began anew.
const FORMER_MS: u64 = 60_000;
/// How long a post may take, in ms, when a single hub dies.
const FAILOVER_MS: u64 = 4_000;

/// What happens.
#[derive(Debug, Clone)]
enum Happening {
    Input(usize, u64, Box<Input>),
    Tick(usize, u64),
    Renew(usize, u64),
    Asked {
        hub: usize,
        life: u64,
        asked_ms: u64,
    },
    Control,
    Begin(usize),
    End(usize),
    Say,
    /// Something is said where nobody reads.
    Murmur,
    /// Everybody comes there.
    Gather,
    Again(u64),
    Links,
    Last,
}

/// A hub's process.
#[derive(Debug)]
struct Hub {
    mesh: Mesh,
    life: u64,
    skew_ms: i64,
    /// What waits while it is paused.
    backlog: Option<Vec<Input>>,
    stores: Vec<(ChannelName, u64, u64, Change)>,
    opens: BTreeSet<ChannelName>,
    leaves: bool,
    /// The registry and the members that it was told last, and those before the control plane began anew, with when.
    told: (u64, Earlier),
    former: Option<(u64, Earlier)>,
    /// When it tells next who reads.
    tells_ms: u64,
    /// How many it was told there are.
    counts: BTreeMap<ChannelName, (u64, u64)>,
}

/// See the module.
pub struct World<'a> {
    plan: &'a Plan,
    bug: Option<Bug>,
    random: Random,
    now_ms: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    count: u64,
    datagrams: u64,
    hubs: Vec<Option<Hub>>,
    lanes: Lanes,
    control: Control,
    active: BTreeSet<usize>,
    posts: BTreeMap<u64, Post>,
    said: u64,
    homes: BTreeMap<ChannelName, (usize, u64)>,
    judge: Judge,
    sometimes: Sometimes,
    hasher: DefaultHasher,
    story: Vec<String>,
    last: BTreeMap<u64, (usize, ChannelName)>,
}

impl<'a> World<'a> {
    pub fn new(plan: &'a Plan, bug: Option<Bug>) -> Self {
        let mut world = Self {
            plan,
            bug,
            random: Random::seeded(plan.seed),
            now_ms: 0,
            queue: BTreeMap::new(),
            count: 0,
            datagrams: 0,
            hubs: (0..plan.hubs).map(|_| None).collect(),
            lanes: Lanes::default(),
            control: Control::default(),
            active: BTreeSet::new(),
            posts: BTreeMap::new(),
            said: 0,
            homes: BTreeMap::new(),
            judge: Judge::new(plan.kind),
            sometimes: Sometimes::default(),
            hasher: DefaultHasher::new(),
            story: Vec::new(),
            last: BTreeMap::new(),
        };
        for hub in 0..plan.hubs {
            world.start(hub);
        }
        for (n, fault) in plan.faults.iter().enumerate() {
            world.at(fault.at_ms, Happening::Begin(n));
            world.at(fault.at_ms + fault.for_ms, Happening::End(n));
        }
        for (at, what) in
            [(1, Happening::Control), (1_500, Happening::Say), (1, Happening::Links), (2_500, Happening::Murmur)]
        {
            world.at(at, what);
        }
        world.at(plan.healed_ms + QUIET_MS - GATHER_MS, Happening::Gather);
        world.at(plan.healed_ms + QUIET_MS, Happening::Last);
        world
    }

    pub fn play(mut self) -> Outcome {
        let end_ms = self.plan.healed_ms + QUIET_MS + SPEAK_MS;
        while let Some(((at, _), what)) = self.queue.pop_first() {
            if at > end_ms || self.judge.broken.is_some() {
                break;
            }
            self.now_ms = at;
            self.happen(what);
        }
        if self.judge.broken.is_none() {
            self.judge_end();
        }
        Outcome {
            violation: self.judge.broken.map(|violation| (self.now_ms, violation)),
            lasted_ms: self.now_ms,
            digest: self.hasher.finish(),
            sometimes: self.sometimes,
            story: self.story,
        }
    }

    fn at(&mut self, at_ms: u64, what: Happening) {
        self.count += 1;
        self.queue.insert((at_ms, self.count), what);
    }

    fn tell(&mut self, line: String) {
        line.hash(&mut self.hasher);
        self.story.push(format!("{:8.3} {line}", self.now_ms as f64 / 1e3));
    }

    fn delay(&self) -> u64 {
        1 + self.random.below(self.plan.delay_ms)
    }

    fn id(hub: usize) -> NodeId {
        NodeId(hub as u64 + 1)
    }

    fn index(id: NodeId) -> usize {
        usize::try_from(id.0).unwrap_or_default().saturating_sub(1)
    }

    fn now_of(&self, hub: usize) -> Now {
        let (life, skew_ms) = self.hubs[hub].as_ref().map_or((0, 0), |hub| (hub.life, hub.skew_ms));
        Now {
            mono_ms: 1_000_000 * life + self.now_ms,
            wall_ms: BEGIN_MS.saturating_add(self.now_ms).saturating_add_signed(skew_ms),
        }
    }

    fn start(&mut self, hub: usize) {
        self.count += 1;
        let life = self.count;
        self.hubs[hub] = Some(Hub {
            mesh: Mesh::new(
                Self::id(hub),
                Limits { rest_ms: REST_MS, ..Limits::default() },
                Now { mono_ms: 1_000_000 * life + self.now_ms, wall_ms: 0 },
            ),
            life,
            skew_ms: self.random.below(200) as i64 - 100,
            backlog: None,
            stores: Vec::new(),
            opens: BTreeSet::new(),
            leaves: false,
            told: Default::default(),
            former: None,
            tells_ms: self.now_ms,
            counts: BTreeMap::new(),
        });
        self.judge.forget(hub);
        for n in 0..self.plan.channels {
            let wants = Input::Want(people::channel(n));
            self.at(self.now_ms + 1 + self.random.below(300), Happening::Input(hub, life, Box::new(wants)));
        }
        self.at(self.now_ms + 1, Happening::Tick(hub, life));
        self.at(self.now_ms + 1 + self.random.below(RENEW_MS), Happening::Renew(hub, life));
    }

    fn life(&self, hub: usize) -> Option<u64> {
        self.hubs[hub].as_ref().map(|hub| hub.life)
    }

    /// Faults that hold now.
    fn holds(&self, is: impl Fn(What) -> bool) -> bool {
        self.active.iter().any(|n| is(self.plan.faults[*n].what))
    }

    fn reaches_control(&self, hub: usize) -> bool {
        !self.holds(|what| matches!(what, What::Outage) || what == What::Alone(hub) || what == What::NoControl(hub))
    }

    fn are_apart(&self, a: usize, b: usize) -> bool {
        self.holds(|what| match what {
            What::Alone(hub) => hub == a || hub == b,
            What::Apart(x, y) => (x, y) == (a, b) || (y, x) == (a, b),
            _ => false,
        })
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Input(hub, life, input) if self.life(hub) == Some(life) => self.input(hub, *input),
            Happening::Tick(hub, life) if self.life(hub) == Some(life) => {
                self.input(hub, Input::Timeout);
                self.readers(hub);
                self.store(hub);
                self.at(self.now_ms + 50, Happening::Tick(hub, life));
            }
            Happening::Renew(hub, life) if self.life(hub) == Some(life) => self.renew(hub, life),
            Happening::Asked { hub, life, asked_ms } => self.asked(hub, life, asked_ms),
            Happening::Control => {
                if !self.control.is_out && self.control.expire(self.now_ms) {
                    self.members();
                }
                self.at(self.now_ms + 100, Happening::Control);
            }
            Happening::Begin(n) => self.begin(n),
            Happening::End(n) => self.end(n),
            Happening::Say => self.say(),
            Happening::Murmur => self.murmur(),
            Happening::Gather => self.gather(),
            Happening::Again(ticket) => self.say_again(ticket),
            Happening::Links => self.links(),
            Happening::Last => self.speak_last(),
            Happening::Input(..) | Happening::Tick(..) | Happening::Renew(..) => {}
        }
    }

    fn renew(&mut self, hub: usize, life: u64) {
        let paused = self.hubs[hub].as_ref().is_some_and(|hub| hub.backlog.is_some() || hub.leaves);
        if !paused && self.reaches_control(hub) {
            let at = self.now_ms + self.delay();
            self.at(at, Happening::Asked { hub, life, asked_ms: self.now_ms });
        }
        self.at(self.now_ms + RENEW_MS, Happening::Renew(hub, life));
    }

    fn asked(&mut self, hub: usize, life: u64, asked_ms: u64) {
        if self.control.is_out || !self.reaches_control(hub) {
            return;
        }
        if self.control.renew(Self::id(hub), life, self.now_ms) {
            self.members();
        }
        let now_ms = 1_000_000 * life + asked_ms;
        let lease = Input::Lease { until_ms: now_ms + TTL_MS - MARGIN_MS, epoch: self.control.members.epoch };
        let at = self.now_ms + self.delay();
        self.at(at, Happening::Input(hub, life, Box::new(lease)));
    }

    /// Tells all who listen what the members are.
    fn members(&mut self) {
        let members = self.control.members.clone();
        self.tell(format!(
            "epoch {}: {:?}",
            members.epoch,
            members.hubs.keys().map(|hub| hub.0 - 1).collect::<Vec<_>>()
        ));
        for hub in 0..self.hubs.len() {
            self.tell_members(hub, members.clone());
        }
    }

    fn tell_members(&mut self, hub: usize, mut members: Members) {
        let Some(life) = self.life(hub).filter(|_| self.reaches_control(hub)) else { return };
        if let Some(slot) = &mut self.hubs[hub] {
            let now = (self.control.registry, Earlier { epoch: members.epoch, hubs: members.hubs.clone() });
            let (registry, before) = std::mem::replace(&mut slot.told, now);
            if registry < self.control.registry && !before.hubs.is_empty() {
                slot.former = Some((self.now_ms, before));
            }
            slot.former.take_if(|(since, _)| *since + FORMER_MS <= self.now_ms);
            members.former = slot.former.as_ref().map(|(_, set)| set.clone());
        }
        let at = self.now_ms + self.delay();
        self.at(at, Happening::Input(hub, life, Box::new(Input::Members(members))));
    }
}
