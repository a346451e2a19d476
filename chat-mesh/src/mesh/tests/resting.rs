//! Channels that rest, and wake.

use super::*;

const EVERYBODY: [u64; 3] = [1, 2, 3];

/// Three hubs, lines of somebody in a channel, and then nobody for so long that it rests.
fn quiet(lines: u64) -> Room {
    let mut room = Room::open(3);
    room.want(&EVERYBODY);
    room.wait(600, &EVERYBODY, 1);
    for n in 0..lines {
        room.say(ranked()[2], n, &format!("line {n}"));
        room.wait(100, &EVERYBODY, 1);
    }
    room.ban(ranked()[2], 1_000);
    leave(&mut room);
    room
}

fn leave(room: &mut Room) {
    EVERYBODY.iter().for_each(|n| room.give(*n, Input::Unwant(login("ada"))));
    // Readers are waited for a while, and the standby is looked after until the home rests.
    room.wait(940_000, &EVERYBODY, 1);
    assert_eq!(room.resting(), [ranked()[0], ranked()[1]].into(), "its home and the standby have it");
    room.did();
}

impl Room {
    fn resting(&self) -> BTreeSet<u64> {
        let rests = |mesh: &Mesh| mesh.resting.iter().count() == 1 && mesh.channels.is_empty();
        self.hubs.iter().filter(|(_, mesh)| rests(mesh)).map(|(n, _)| *n).collect()
    }

    /// The numbers of the oldest and the newest event that readers at a hub can be shown.
    fn shown(&self, hub: u64) -> (u64, Position) {
        let state = self.hubs[&hub].follower(&login("ada")).unwrap().state();
        (state.history().iter().next().unwrap().position.seq, state.head())
    }
}

#[test]
fn who_comes_back_finds_the_same_order_and_the_end_of_the_history() {
    let mut room = quiet(150);
    assert_eq!(room.home(), [ranked()[0]], "it is home all the same");
    let third = ranked()[2];
    room.want(&[third]);
    // 150 lines and a ban, of which a hundred are kept.
    assert_eq!(room.shown(third), (52, Position::new(1, 151)));
    room.say(third, 2_000, "banned");
    assert_eq!(room.did(), format!("{third}:#2000!{}", Code::Banned.as_str()), "what moderators did stays");
    room.give(third, Input::Submit { ticket: 2_001, submit: Box::new(submit("eve", "e", "back")) });
    assert_eq!(room.did(), format!("{third}:#2001 {third}:1.152=back"));
    leave(&mut room);
}

#[test]
fn a_channel_that_rests_outlives_its_home() {
    let mut room = quiet(3);
    let [home, standby, third] = ranked();
    room.hubs.remove(&home);
    let alive = [standby, third];
    room.members(5, &alive, &[(1, &EVERYBODY)]);
    room.wait(4_000, &alive, 5);
    room.want(&[third]);
    room.wait(4_000, &alive, 5);
    assert_eq!((room.home(), room.shown(third)), (vec![standby], (1, Position::new(1, 4))));
    room.give(third, Input::Submit { ticket: 9, submit: Box::new(submit("eve", "e", "still here")) });
    assert!(room.did().contains(&format!("{third}:5.5=still here")));
}

#[test]
fn the_standby_that_comes_back_while_a_channel_rests_gets_it_again() {
    let mut room = quiet(3);
    let [home, standby, third] = ranked();
    room.hubs.insert(standby, Mesh::new(NodeId(standby), Limits::default(), at(room.ms)));
    room.members(5, &EVERYBODY, &[(1, &EVERYBODY)]);
    room.lease_all(5);
    room.give(home, Input::LinkUp(NodeId(standby)));
    room.wait(4_000, &EVERYBODY, 5);
    room.hubs.remove(&home);
    let alive = [standby, third];
    room.members(9, &alive, &[(1, &EVERYBODY), (5, &EVERYBODY)]);
    room.want(&[third]);
    room.wait(4_000, &alive, 9);
    assert_eq!(room.shown(third), (1, Position::new(1, 4)));
}
