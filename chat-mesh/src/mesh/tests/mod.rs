//! Hubs that hear each other at once, and what each does. Faults in time are for `netsim`.

mod resting;

use std::collections::{BTreeMap, BTreeSet};

use freshet_proto::chat::{Code, Login, Position, Role, What};

use super::*;
use crate::{
    home::tests::{at, login, submit},
    moderation::Durable,
};

/// So many hubs, numbered from 1, and a clock.
struct Room {
    hubs: BTreeMap<u64, Mesh>,
    ms: u64,
    /// Pairs that do not reach each other.
    apart: BTreeSet<(u64, u64)>,
    /// Messages that are lost.
    deaf_to: fn(&Message) -> bool,
    /// What hubs did but for what they said to each other, as `1:text`.
    did: Vec<String>,
    stored: BTreeMap<u64, Vec<u64>>,
    /// What the store says.
    roles: BTreeMap<Login, Role>,
    version: u64,
}

impl Room {
    fn open(hubs: u64) -> Self {
        let mut room = Self {
            hubs: (1..=hubs).map(|n| (n, Mesh::new(NodeId(n), Limits::default(), at(0)))).collect(),
            ms: 1_000,
            apart: BTreeSet::new(),
            deaf_to: |_| false,
            did: Vec::new(),
            stored: BTreeMap::new(),
            roles: BTreeMap::new(),
            version: 0,
        };
        let all: Vec<u64> = (1..=hubs).collect();
        room.members(1, &all, &[]);
        room.lease_all(1);
        room
    }

    fn members(&mut self, epoch: u64, now: &[u64], before: &[(u64, &[u64])]) {
        let before = before.iter().map(|(epoch, hubs)| Earlier { epoch: *epoch, hubs: set(hubs) }).collect();
        self.tell(Members { epoch, hubs: set(now), before, former: None });
    }

    /// The control nodes began anew from a backup in which there is no mesh; these have come in since.
    fn begun_anew(&mut self, epoch: u64, now: &[u64], former: (u64, &[u64])) {
        let former = Some(Earlier { epoch: former.0, hubs: set(former.1) });
        self.tell(Members { epoch, hubs: set(now), before: Vec::new(), former });
        self.lease_all(epoch);
    }

    fn tell(&mut self, members: Members) {
        for n in self.hubs.keys().copied().collect::<Vec<_>>() {
            self.give(n, Input::Members(members.clone()));
        }
    }

    fn lease_all(&mut self, epoch: u64) {
        for n in self.hubs.keys().copied().collect::<Vec<_>>() {
            self.give(n, Input::Lease { until_ms: self.ms + 1_700, epoch });
        }
    }

    fn give(&mut self, hub: u64, input: Input) {
        let mut queue = VecDeque::from([(hub, input)]);
        while let Some((hub, input)) = queue.pop_front() {
            let Some(mesh) = self.hubs.get_mut(&hub) else { continue };
            let mut out = Vec::new();
            mesh.handle(at(self.ms), input, &mut out);
            for output in out {
                match output {
                    Output::Send { to, message } => {
                        let pair = (hub.min(to.0), hub.max(to.0));
                        if !self.apart.contains(&pair) && !(self.deaf_to)(&message) {
                            queue.push_back((to.0, Input::Message { from: NodeId(hub), message }));
                        }
                    }
                    Output::Open(channel) => {
                        let durable =
                            Durable { version: self.version, roles: self.roles.clone(), ..Durable::default() };
                        let stored = Stored { owner: login("ada"), durable };
                        queue.push_back((hub, Input::Opened { channel, stored: Some(Box::new(stored)) }));
                    }
                    Output::Store { channel, version, .. } => {
                        self.stored.entry(hub).or_default().push(version);
                        self.version = version;
                        queue.push_back((hub, Input::Stored { channel, version, lacks: Vec::new() }));
                    }
                    output => self.did.extend(picture(&output).map(|text| format!("{hub}:{text}"))),
                }
            }
        }
    }

    /// Time passes, in steps of 100 ms; those who reach the control plane renew.
    fn wait(&mut self, ms: u64, renewing: &[u64], epoch: u64) {
        for _ in 0..ms / 100 {
            self.ms += 100;
            for n in renewing {
                self.give(*n, Input::Lease { until_ms: self.ms + 1_700, epoch });
            }
            for n in self.hubs.keys().copied().collect::<Vec<_>>() {
                self.give(n, Input::Timeout);
            }
        }
    }

    fn want(&mut self, hubs: &[u64]) {
        hubs.iter().for_each(|n| self.give(*n, Input::Want(login("ada"))));
    }

    fn say(&mut self, hub: u64, ticket: u64, text: &str) {
        let submit = Box::new(submit("bob", &format!("n{ticket}"), text));
        self.give(hub, Input::Submit { ticket, submit });
    }

    fn ban(&mut self, hub: u64, ticket: u64) {
        let submit = Box::new(submit("ada", &format!("n{ticket}"), "/ban bob"));
        self.give(hub, Input::Submit { ticket, submit });
    }

    /// What was done since it was asked last, but for notices that a channel is there.
    fn did(&mut self) -> String {
        std::mem::take(&mut self.did).join(" ")
    }

    fn home(&self) -> Vec<u64> {
        self.hubs.iter().filter(|(_, mesh)| mesh.homes().count() > 0).map(|(n, _)| *n).collect()
    }
}

fn picture(output: &Output) -> Option<String> {
    Some(match output {
        Output::Show { event, .. } => match &event.what {
            What::Message(message) => format!("{}={}", event.position, message.text),
            _ => format!("{}=*", event.position),
        },
        Output::Answer { ticket, answer: Ok(_) } => format!("#{ticket}"),
        Output::Answer { ticket, answer: Err(refusal) } => format!("#{ticket}!{}", refusal.code.as_str()),
        Output::Gap { missed, .. } => format!("gap({missed:?})"),
        Output::Restart(_) => "restart".to_owned(),
        Output::Left => "left".to_owned(),
        _ => return None,
    })
}

fn set(hubs: &[u64]) -> BTreeMap<NodeId, Member> {
    hubs.iter().map(|n| (NodeId(*n), Member { number: *n as u16, weight: 1 })).collect()
}

/// By rank of three hubs for this channel: its home, its standby, and the third.
fn ranked() -> [u64; 3] {
    let members = Members { epoch: 1, hubs: set(&[1, 2, 3]), ..Members::default() };
    let ranked = members.rank(&login("ada"));
    [ranked[0].0, ranked[1].0, ranked[2].0]
}

#[test]
fn a_hub_alone_orders_and_answers_at_once() {
    let mut room = Room::open(1);
    room.want(&[1]);
    room.say(1, 7, "hi");
    room.ban(1, 8);
    room.say(1, 9, "again");
    assert_eq!(room.did(), "1:#7 1:1.1=hi 1:1.2=* 1:#8 1:#9!msg_banned");
    assert_eq!(room.stored[&1], [1]);
}

#[test]
fn nobody_sees_what_the_standby_does_not_have() {
    let [home, standby, third] = ranked();
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    room.did();
    room.deaf_to = |message| matches!(message, Message::Has { .. });
    room.say(third, 7, "hi");
    assert_eq!((room.home(), room.did()), (vec![home], String::new()));
    room.deaf_to = |_| false;
    room.say(third, 8, "ho");
    let did = room.did();
    for hub in [home, standby, third] {
        let shown = format!("{hub}:1.1=hi {hub}:1.2=ho");
        assert!(did.contains(&shown), "{shown} in {did}");
    }
    assert!(did.contains(&format!("{third}:#7")) && did.contains(&format!("{third}:#8")), "{did}");
}

#[test]
fn the_standby_takes_over_and_a_post_that_is_sent_again_stands_once() {
    let [home, standby, third] = ranked();
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    // The home has it and the standby too, and nobody hears that.
    room.deaf_to = |message| matches!(message, Message::Has { .. });
    room.say(third, 7, "hi");
    room.deaf_to = |_| false;
    room.hubs.remove(&home);
    room.did();
    let alive = [standby, third];
    room.members(5, &alive, &[(1, &[1, 2, 3])]);
    room.wait(1_000, &alive, 5);
    assert_eq!(room.home(), [standby]);
    let did = room.did();
    assert_eq!(did.matches("=hi").count(), 2, "{did}");
    assert_eq!(did.matches("#7").count(), 1, "{did}");
    room.say(standby, 8, "ho");
    assert!(room.did().contains(&format!("{third}:5.2=ho")));
}

#[test]
fn a_home_without_a_lease_goes_on_while_most_hubs_know_of_no_later_epoch() {
    let [home, standby, third] = ranked();
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    room.wait(3_000, &[], 1);
    room.did();
    room.say(third, 7, "hi");
    assert!(room.did().contains(&format!("{third}:#7")), "no control plane, and all hubs agree");
    // It reaches the standby alone no more: one of three is not most.
    room.apart = BTreeSet::from([(home.min(standby), home.max(standby)), (home.min(third), home.max(third))]);
    room.wait(2_000, &[], 1);
    room.say(home, 8, "ho");
    room.wait(8_500, &[], 1);
    assert_eq!(room.did(), format!("{home}:#8!{}", Code::Paused.as_str()));
}

/// The control plane has taken out two hubs that reach each other and not the third, which was their standby.
fn one_of_three_is_left() -> Room {
    let [home, standby, third] = ranked();
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    room.apart = BTreeSet::from([(standby.min(third), standby.max(third)), (home.min(standby), home.max(standby))]);
    let only: Members = Members {
        epoch: 5,
        hubs: set(&[standby]),
        before: vec![Earlier { epoch: 1, hubs: set(&[1, 2, 3]) }],
        former: None,
    };
    room.give(standby, Input::Members(only));
    room.give(standby, Input::Lease { until_ms: room.ms + 120_000, epoch: 5 });
    room.did();
    room
}

#[test]
fn no_home_opens_while_most_of_an_earlier_set_may_go_on() {
    let [home, standby, _] = ranked();
    let mut room = one_of_three_is_left();
    room.say(standby, 7, "hi");
    room.wait(9_000, &[], 1);
    assert_eq!(room.home(), [home], "the others may have two of three");
    assert_eq!(room.did(), format!("{standby}:#7!{}", Code::Paused.as_str()));
    room.wait(60_000, &[], 1);
    room.say(standby, 8, "ho");
    assert!(room.did().contains(&format!("{standby}:#8")), "after a minute they count as lost");
}

#[test]
fn what_waited_for_a_home_until_it_was_refused_is_not_said_when_one_opens() {
    let [_, standby, _] = ranked();
    let mut room = one_of_three_is_left();
    room.say(standby, 7, "hi");
    room.wait(55_000, &[], 1);
    assert_eq!(room.did(), format!("{standby}:#7!{}", Code::Paused.as_str()));
    room.say(standby, 8, "ho");
    room.wait(6_000, &[], 1);
    assert_eq!(room.did(), format!("{standby}:#8 {standby}:5.1=ho"));
}

#[test]
fn hubs_go_on_under_control_nodes_that_began_anew_from_a_backup() {
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.members(3, &[1, 2, 3], &[(1, &[1, 2, 3])]);
    room.wait(600, &[1, 2, 3], 3);
    room.say(1, 7, "hi");
    // What is in an older backup is no mesh, and the log goes on by the clock.
    let epoch = 1_800_000_000 << 20;
    room.members(epoch, &[1, 2, 3], &[(1, &[])]);
    room.lease_all(epoch);
    room.wait(4_000, &[1, 2, 3], epoch);
    room.did();
    room.say(2, 8, "ho");
    let did = room.did();
    assert!([1, 2, 3].iter().all(|hub| did.contains(&format!("{hub}:{epoch}.2=ho"))), "{did}");
    assert!(did.contains("2:#8"), "{did}");
}

/// Somebody has said "hi", and the third hub has not heard it.
fn two_of_three_heard() -> Room {
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    room.deaf_to = |message| matches!(message, Message::Events { .. });
    room.say(1, 7, "hi");
    room.deaf_to = |_| false;
    room.did();
    room
}

#[test]
fn the_first_home_after_a_backup_asks_hubs_that_are_no_members_yet() {
    let (third, epoch) = (ranked()[2], 1_800_000_000 << 20);
    let mut room = two_of_three_heard();
    room.begun_anew(epoch, &[third], (1, &[1, 2, 3]));
    room.say(third, 8, "ho");
    room.wait(600, &[third], epoch);
    let did = room.did();
    assert_eq!(room.home(), [third]);
    assert!([1, 2, 3].iter().all(|hub| did.contains(&format!("{hub}:{epoch}.2=ho"))), "{did}");
    assert!(did.contains(&format!("{third}:1.1=hi")), "{did}");
}

#[test]
fn hubs_from_before_a_backup_that_do_not_answer_are_waited_for_a_minute() {
    let ([home, standby, third], epoch) = (ranked(), 1_800_000_000 << 20);
    let mut room = two_of_three_heard();
    room.hubs.retain(|hub, _| *hub == third);
    room.begun_anew(epoch, &[third], (1, &[1, 2, 3]));
    room.wait(59_000, &[third], epoch);
    assert_eq!(room.home(), [0; 0], "{home} and {standby} might go on");
    room.wait(1_000, &[third], epoch);
    room.say(third, 8, "ho");
    assert_eq!((room.home(), room.did()), (vec![third], format!("{third}:#8 {third}:{epoch}.1=ho")));
}

#[test]
fn who_leaves_hands_over_first() {
    let [home, standby, third] = ranked();
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    room.say(third, 7, "hi");
    room.did();
    room.give(home, Input::Leave);
    room.members(5, &[standby, third], &[(1, &[1, 2, 3])]);
    room.wait(600, &[standby, third], 5);
    let did = room.did();
    assert!(did.contains(&format!("{home}:left")), "{did}");
    room.say(third, 8, "ho");
    assert_eq!(room.home(), [standby]);
    let did = room.did();
    assert!([home, standby, third].iter().all(|hub| did.contains(&format!("{hub}:5.2=ho"))), "{did}");
}

#[test]
fn a_role_that_was_given_outside_of_chat_is_told_by_the_home() {
    let mut room = Room::open(3);
    room.want(&[1, 2, 3]);
    room.wait(600, &[1, 2, 3], 1);
    room.roles.insert(login("bob"), Role::Moderator);
    room.did();
    let [home, standby, third] = ranked();
    room.give(third, Input::Recheck(login("ada")));
    let did = room.did();
    assert!([home, standby, third].iter().all(|hub| did.contains(&format!("{hub}:1.1=*"))), "{did}");
    assert_eq!(room.stored[&home], [1]);
    let knows = |hub: &Mesh| hub.follower(&login("ada")).unwrap().state().durable().roles.get(&login("bob")).copied();
    assert!(room.hubs.values().all(|hub| knows(hub) == Some(Role::Moderator)));
    room.give(third, Input::Recheck(login("ada")));
    assert_eq!(room.did(), "", "nothing is different");
    room.roles.clear();
    room.give(third, Input::Recheck(login("ada")));
    assert!(room.did().contains(&format!("{third}:1.2=*")));
}
