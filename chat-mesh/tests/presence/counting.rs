//! Three hubs at whose clocks it is the same time; only presence is said.

use std::collections::BTreeMap;

use freshet_chat_mesh::{
    mesh::{Input, Member, Members, Mesh, Message, Now, Output, TELL_MS},
    presence::{Chunk, hash},
};
use freshet_proto::id::{ChannelName, NodeId};

/// When the tests begin, in ms.
const BEGIN: u64 = 10_000;

struct Hubs {
    hubs: BTreeMap<NodeId, Mesh>,
    now_ms: u64,
    /// What each hub was told last.
    counts: BTreeMap<u64, (u64, u64)>,
    /// Counts that the home said, to itself too.
    said: usize,
    /// What is lost on the way: `true` to lose it.
    loses: fn(&Message) -> bool,
}

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

fn members() -> Members {
    let member = |n: u16| (NodeId(n.into()), Member { number: n, weight: 1 });
    Members { epoch: 1, hubs: (1..=3).map(member).collect(), ..Members::default() }
}

/// Ada's home, and the two others.
fn parts() -> (u64, u64, u64) {
    let home = members().home_of(&ada()).unwrap().0;
    (home, home % 3 + 1, (home + 1) % 3 + 1)
}

impl Hubs {
    fn new() -> Self {
        let now = Now { mono_ms: BEGIN, wall_ms: 0 };
        let hubs = (1..=3).map(NodeId).map(|me| (me, Mesh::new(me, Default::default(), now))).collect();
        let mut hubs = Self { hubs, now_ms: BEGIN, counts: BTreeMap::new(), said: 0, loses: |_| false };
        for hub in 1..=3 {
            hubs.input(hub, Input::Members(members()));
            hubs.input(hub, Input::Want(ada()));
        }
        hubs
    }

    fn input(&mut self, hub: u64, input: Input) {
        let (now, mut out) = (Now { mono_ms: self.now_ms, wall_ms: 0 }, Vec::new());
        self.hubs.get_mut(&NodeId(hub)).unwrap().handle(now, input, &mut out);
        for output in out {
            match output {
                Output::Send { to, message } if message.lane().is_none() && !(self.loses)(&message) => {
                    self.input(to.0, Input::Message { from: NodeId(hub), message });
                }
                Output::Count { channel, connections, users } => {
                    assert_eq!(channel, ada());
                    self.said += 1;
                    self.counts.insert(hub, (connections, users));
                }
                _ => {}
            }
        }
    }

    fn readers(&mut self, hub: u64, connections: u32, users: &[&str]) {
        let users = users.iter().map(|user| hash(&user.parse().unwrap())).collect();
        self.input(hub, Input::Readers { channel: ada(), connections, users });
    }

    /// Lets time pass; every hub looks.
    fn wait(&mut self, ms: u64) {
        self.now_ms += ms;
        (1..=3).for_each(|hub| self.input(hub, Input::Timeout));
    }

    fn present(&mut self, to: u64, from: u64, at_ms: u64, connections: u32, user: &str) {
        let users = Chunk::Hashes(vec![hash(&user.parse().unwrap()).to_be_bytes()]);
        let message = Message::Present { channel: ada(), at_ms, connections, users };
        self.input(to, Input::Message { from: NodeId(from), message });
    }
}

#[test]
fn connections_are_added_up_and_users_counted_once() {
    let (home, b, c) = parts();
    let mut hubs = Hubs::new();
    hubs.readers(home, 3, &["ada", "bob"]);
    hubs.readers(b, 2, &["bob"]);
    hubs.readers(c, 5, &[]);
    hubs.wait(TELL_MS - 100);
    assert_eq!(hubs.counts, [].into(), "hubs have not all told yet");
    hubs.wait(100);
    assert_eq!(hubs.counts, [(1, (10, 2)), (2, (10, 2)), (3, (10, 2))].into());
}

#[test]
fn who_is_silent_for_six_seconds_is_gone_with_all_readers() {
    let (home, b, c) = parts();
    let mut hubs = Hubs::new();
    hubs.readers(c, 4, &["carol"]);
    for _ in 0..3 {
        hubs.readers(home, 1, &["ada"]);
        hubs.readers(b, 1, &["bob"]);
        hubs.wait(TELL_MS - 100);
        assert!(hubs.counts.get(&home).is_none_or(|count| *count == (6, 3)));
    }
    hubs.readers(b, 1, &["bob"]);
    hubs.wait(TELL_MS);
    assert_eq!((hubs.counts[&home], hubs.counts[&b]), ((2, 2), (2, 2)));
    assert_eq!(hubs.counts[&c], (6, 3), "it is told nothing any more");
}

#[test]
fn a_hub_whose_last_reader_has_left_is_out_at_once() {
    let (home, b, _) = parts();
    let mut hubs = Hubs::new();
    hubs.readers(home, 1, &[]);
    hubs.readers(b, 2, &["bob"]);
    hubs.readers(b, 0, &[]);
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts, [(home, (1, 0))].into());
}

#[test]
fn a_count_that_stays_is_told_again_every_ten_seconds_alone() {
    let (home, ..) = parts();
    let mut hubs = Hubs::new();
    for round in 1..=11 {
        hubs.readers(home, 1, &["ada"]);
        hubs.wait(TELL_MS);
        assert_eq!(hubs.said, if round < 6 { 1 } else { 2 + usize::from(round == 11) }, "round {round}");
    }
}

#[test]
fn what_is_lost_makes_the_count_no_lower_where_the_round_before_has_it() {
    let (home, b, _) = parts();
    let mut hubs = Hubs::new();
    let names: Vec<_> = (0..300).map(|n| format!("user{n}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    hubs.readers(b, 300, &names);
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts[&b], (300, 300));
    // Two of three pieces.
    hubs.loses = |message| matches!(message, Message::Present { users: Chunk::Hashes(some), .. } if some.len() == 128);
    hubs.readers(b, 300, &names);
    hubs.readers(home, 1, &["ada"]);
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts[&home], (301, 301));
    hubs.readers(b, 300, &names);
    hubs.readers(home, 1, &["ada"]);
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts[&home], (301, 45), "44 came twice, the others neither time");
    hubs.loses = |_| false;
    hubs.readers(b, 300, &names);
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts[&home], (301, 301));
}

#[test]
fn what_was_overtaken_counts_no_more() {
    let (home, b, _) = parts();
    let mut hubs = Hubs::new();
    hubs.present(home, b, 5_000, 2, "bob");
    hubs.present(home, b, 7_000, 1, "bob");
    hubs.present(home, b, 3_000, 9, "carol");
    hubs.present(home, b, 5_000, 2, "dave");
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts, [(b, (1, 1))].into());
    // It began anew: its clock is another.
    for _ in 0..3 {
        hubs.present(home, b, 10, 4, "erin");
        hubs.wait(TELL_MS);
    }
    hubs.present(home, b, 20, 4, "erin");
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts[&b], (4, 1));
}

#[test]
fn who_is_not_home_counts_nothing_and_is_not_believed_and_strangers_are_no_readers() {
    let (home, b, c) = parts();
    let mut hubs = Hubs::new();
    hubs.present(b, c, 5_000, 7, "bob");
    hubs.present(home, 9, 5_000, 7, "bob");
    let count = Message::Count { channel: ada(), at_ms: 1, connections: 99, users: 99 };
    hubs.input(b, Input::Message { from: NodeId(c), message: count.clone() });
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts, [].into());
    hubs.input(b, Input::Message { from: NodeId(home), message: count });
    let old = Message::Count { channel: ada(), at_ms: 0, connections: 1, users: 1 };
    hubs.input(b, Input::Message { from: NodeId(home), message: old.clone() });
    assert_eq!(hubs.counts, [(b, (99, 99))].into());
    hubs.wait(6_000);
    hubs.input(b, Input::Message { from: NodeId(home), message: old });
    assert_eq!(hubs.counts, [(b, (1, 1))].into(), "the home began anew");
}

#[test]
fn another_home_counts_when_all_have_told_it() {
    let (home, b, c) = parts();
    let mut hubs = Hubs::new();
    hubs.readers(b, 1, &["bob"]);
    hubs.readers(c, 1, &["carol"]);
    hubs.wait(TELL_MS);
    assert_eq!(hubs.counts, [(b, (2, 2)), (c, (2, 2))].into());
    hubs.counts.clear();
    let mut fewer = members();
    (fewer.epoch, fewer.hubs) = (2, fewer.hubs.into_iter().filter(|(hub, _)| hub.0 != home).collect());
    (1..=3).for_each(|hub| hubs.input(hub, Input::Members(fewer.clone())));
    hubs.readers(b, 1, &["bob"]);
    hubs.wait(TELL_MS - 100);
    assert_eq!(hubs.counts, [].into());
    hubs.readers(c, 1, &["carol"]);
    hubs.wait(100);
    assert_eq!(hubs.counts, [(b, (2, 2)), (c, (2, 2))].into());
}
