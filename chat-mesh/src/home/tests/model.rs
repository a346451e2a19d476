//! Four hubs, of which one is the home and one the standby; any may die, and the home may be cut off with one of the others
//! and go on unaware. What must hold is checked after every step.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

const HUBS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    /// Somebody posts to the present home, perhaps again.
    Post { user: usize, nonce: usize },
    /// Somebody posts to a home that was cut off, if there is one.
    PostCutOff { user: usize, nonce: usize },
    /// A hub takes so many of the records that are on their way to it.
    Deliver { hub: usize, count: usize },
    /// The home dies, and the hubs of the mask with it. Others come in their place, knowing nothing.
    Crash { mask: usize },
    /// The home is cut off, with one other hub.
    CutOff { with: usize },
    /// They are back.
    Heal,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4usize, 0..8usize).prop_map(|(user, nonce)| Step::Post { user, nonce }),
        2 => (0..4usize, 0..8usize).prop_map(|(user, nonce)| Step::PostCutOff { user, nonce }),
        8 => (0..HUBS, 1..4usize).prop_map(|(hub, count)| Step::Deliver { hub, count }),
        1 => (0..1usize << HUBS).prop_map(|mask| Step::Crash { mask }),
        1 => (0..HUBS).prop_map(|with| Step::CutOff { with }),
        1 => Just(Step::Heal),
    ]
}

struct World {
    epoch: u64,
    home: Home,
    home_at: usize,
    standby: usize,
    /// What the hubs know; not looked at for the home.
    hubs: Vec<State>,
    queues: Vec<VecDeque<Record>>,
    /// A home that was cut off, where it is, and with which hub.
    cut_off: Option<(Home, usize, usize)>,
    /// Every event that any home ever made.
    made: BTreeMap<Position, Event>,
    acked: BTreeMap<Origin, Position>,
    tickets: BTreeMap<u64, Origin>,
}

impl World {
    fn new() -> Self {
        let home = Home::take_over(settings(0), 1, fresh(), Vec::new(), at(0)).unwrap();
        let mut world = Self {
            epoch: 1,
            home,
            home_at: 0,
            standby: 1,
            hubs: (0..HUBS).map(|_| fresh()).collect(),
            queues: vec![VecDeque::new(); HUBS],
            cut_off: None,
            made: BTreeMap::new(),
            acked: BTreeMap::new(),
            tickets: BTreeMap::new(),
        };
        world.set_standby();
        world
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Post { user, nonce } => self.post(user, nonce, false),
            Step::PostCutOff { user, nonce } if self.cut_off.is_some() => self.post(user, nonce, true),
            Step::PostCutOff { .. } => {}
            Step::Deliver { hub, count } => self.deliver(hub, count),
            Step::Crash { mask } if self.cut_off.is_none() => {
                let dead: Vec<_> = (0..HUBS).filter(|hub| *hub == self.home_at || mask >> hub & 1 == 1).collect();
                self.elect(&dead, false);
            }
            Step::CutOff { with } if self.cut_off.is_none() && with != self.standby && with != self.home_at => {
                self.elect(&[self.home_at, with], true);
            }
            Step::Heal => self.heal(),
            _ => {}
        }
        self.check();
    }

    fn post(&mut self, user: usize, nonce: usize, to_cut_off: bool) {
        let name = ["bob", "eve", "zoe", "mod"][user];
        let text = if name == "mod" && nonce == 7 { "/clear".to_owned() } else { format!("{name}{nonce}") };
        let submit = submit(name, &nonce.to_string(), &text);
        let origin = Origin { login: login(name), nonce: submit.nonce.clone() };
        let ticket = self.tickets.len() as u64;
        self.tickets.insert(ticket, origin);
        self.input(Input::Submit { ticket, submit: Box::new(submit) }, to_cut_off);
    }

    fn input(&mut self, input: Input, to_cut_off: bool) {
        let mut out = Vec::new();
        let to: Vec<usize> = match &mut self.cut_off {
            Some((home, _, with)) if to_cut_off => {
                home.handle(at(0), input, &mut out);
                vec![*with]
            }
            cut_off => {
                let away = cut_off.as_ref().map(|(_, at, with)| [*at, *with]).unwrap_or([HUBS; 2]);
                self.home.handle(at(0), input, &mut out);
                (0..HUBS).filter(|hub| *hub != self.home_at && !away.contains(hub)).collect()
            }
        };
        for output in out {
            match output {
                Output::Record(record) => {
                    if let Record::Event(event) = &record {
                        let before = self.made.insert(event.position, Event::clone(event));
                        assert_eq!(before, None, "two events with one position");
                    }
                    to.iter().for_each(|hub| self.queues[*hub].push_back(record.clone()));
                }
                Output::Answer { ticket, answer: Ok(accepted) } => {
                    let position = accepted.position.unwrap();
                    let before = self.acked.insert(self.tickets[&ticket].clone(), position);
                    assert!(before.is_none_or(|before| before == position), "acknowledged twice, differently");
                }
                Output::Answer { answer: Err(refusal), .. } => panic!("{refusal:?}"),
                Output::Notice(_) | Output::Log(_) => {}
            }
        }
    }

    fn deliver(&mut self, hub: usize, count: usize) {
        for _ in 0..count {
            let Some(record) = self.queues[hub].pop_front() else { return };
            assert!(self.hubs[hub].follow(record, at(0)), "a hub was told something else than the next");
            let position = self.hubs[hub].head();
            if hub == self.standby {
                self.input(Input::StandbyHas { hub: hub as u64, position }, false);
            }
        }
    }

    /// The next home, chosen among those who are neither dead nor cut off.
    fn elect(&mut self, gone: &[usize], is_cut_off: bool) {
        let alive: Vec<_> = (0..HUBS).filter(|hub| !gone.contains(hub)).collect();
        let Some(next) = alive.iter().find(|hub| **hub == self.standby).or(alive.first()).copied() else { return };
        let own = if next == self.standby { self.hubs[next].clone() } else { fresh() };
        let tails = alive.iter().map(|hub| self.hubs[*hub].history().tail(usize::MAX)).collect();
        self.epoch += 1;
        let home = Home::take_over(settings(next as u64), self.epoch, own, tails, at(0)).unwrap();
        for hub in &alive {
            for event in self.hubs[*hub].history().iter() {
                let survived = home.state().history().iter().any(|other| other.position == event.position);
                assert!(survived, "{} was shown and is lost", event.position);
            }
        }
        let old = std::mem::replace(&mut self.home, home);
        let old_at = std::mem::replace(&mut self.home_at, next);
        if is_cut_off {
            self.cut_off = Some((old, old_at, gone[1]));
        } else {
            // What nobody has any more was promised to nobody.
            let kept: Vec<_> = self.home.state().history().iter().map(|event| event.position).collect();
            if gone.contains(&self.standby) {
                self.acked.retain(|_, position| kept.contains(position));
            }
            gone.iter().for_each(|hub| self.hubs[*hub] = fresh());
        }
        self.standby = alive.iter().copied().find(|hub| *hub != next).unwrap_or((next + 1) % HUBS);
        let away: Vec<_> = if is_cut_off { gone.to_vec() } else { Vec::new() };
        (0..HUBS).filter(|hub| *hub != next && !away.contains(hub)).for_each(|hub| self.subscribe(hub, false));
        self.set_standby();
    }

    fn heal(&mut self) {
        let Some((_, old, with)) = self.cut_off.take() else { return };
        self.deliver(with, usize::MAX);
        self.hubs[old] = fresh();
        self.subscribe(old, true);
        self.subscribe(with, true);
    }

    /// A hub asks the present home for what it lacks.
    fn subscribe(&mut self, hub: usize, was_away: bool) {
        self.queues[hub].clear();
        let head = self.hubs[hub].head();
        match self.home.state().history().resume(head) {
            Resume::Replay(events) => {
                for event in events {
                    assert!(self.hubs[hub].follow(Record::Event(event), at(0)));
                }
            }
            // Its own home put something after our head: it begins anew.
            Resume::Gap { missed: None, .. } if was_away => {
                self.hubs[hub] = State::restore(Limits::default(), self.home.snapshot(at(0)), at(0));
            }
            Resume::Gap { missed, .. } => panic!("{hub} at {head} misses {missed:?}"),
        }
    }

    fn set_standby(&mut self) {
        self.queues[self.standby].clear();
        self.hubs[self.standby] = State::restore(Limits::default(), self.home.snapshot(at(0)), at(0));
        self.input(Input::Standby(Some(self.standby as u64)), false);
        let (hub, position) = (self.standby as u64, self.hubs[self.standby].head());
        self.input(Input::StandbyHas { hub, position }, false);
    }

    fn check(&self) {
        let home: Vec<_> = self.home.state().history().iter().collect();
        assert!(home.iter().enumerate().all(|(n, event)| event.position.seq == n as u64 + 1), "numbers have gaps");
        let mut origins: Vec<_> = home.iter().filter_map(|event| event.origin.as_ref()).collect();
        origins.sort();
        assert!(origins.is_sorted_by(|a, b| a < b), "something was said twice");
        for (origin, position) in &self.acked {
            let event = home.get(position.seq as usize - 1);
            let is_there =
                event.is_some_and(|event| event.position == *position && event.origin.as_ref() == Some(origin));
            assert!(is_there, "{position} was acknowledged and is lost");
        }
        for (hub, state) in self.hubs.iter().enumerate() {
            let is_away = self.cut_off.as_ref().is_some_and(|(_, at, with)| [*at, *with].contains(&hub));
            if hub != self.home_at && !is_away {
                let same =
                    state.history().iter().zip(&home).all(|(a, b)| a.position == b.position && a.origin == b.origin);
                assert!(same, "hub {hub} has another order");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_nothing_is_said_twice_and_the_order_is_one(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.heal();
        for hub in 0..HUBS {
            world.deliver(hub, usize::MAX);
        }
        world.check();
        let head = world.home.state().head();
        for (hub, state) in world.hubs.iter().enumerate().filter(|(hub, _)| *hub != world.home_at) {
            assert_eq!(state.head(), head, "hub {hub}");
        }
    }
}
