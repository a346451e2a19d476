//! What goes wrong on a platform: control nodes die, are parted, lose what they had not synced; origins lose touch with
//! them; and everything that goes wrong elsewhere.
//!
//! Clocks of control nodes are left right: a leader whose clock is minutes off keeps graces that much longer or shorter.

use freshet_proto::random::Random;

use super::{
    CONTROLS, Draw, EDGES, FIRST_MS, Farewell, Fault, HEAL_MS, Handover, Host, LAST_MS, LEADER, Layout, ORIGINS,
    Planned, Schedule,
};
use crate::weather::Link;

const LAYOUT: Layout = Layout::Platform;

impl Schedule {
    /// The schedule of a seed on [`Layout::Platform`]. Of four seeds one lets nothing fail but control nodes.
    pub fn platform(seed: u64) -> Self {
        let draw = Draw(Random::seeded(seed ^ 0x00c0_1701));
        let usual = Link { loss_permille: draw.below(10) as u16, delay_ms: 0, jitter_ms: 5 + draw.below(15) as u16 };
        let mut faults = Vec::new();
        for _ in 0..1 + draw.below(3) {
            let at_ms = draw.between(FIRST_MS, LAST_MS);
            faults.extend(if seed % 4 == 1 { draw.control(at_ms) } else { draw.anywhere(at_ms) });
        }
        faults.sort_by_key(|planned| planned.at_ms);
        let farewell = draw.one(&[Farewell::Goodbye, Farewell::EncoderDies, Farewell::OriginDies]);
        Self { seed, layout: LAYOUT, usual, faults, heal_ms: HEAL_MS, farewell }
    }

    /// Whether nothing fails but control nodes and what is between them.
    pub fn spares_all_but_control(&self) -> bool {
        let control = |host: &Host| *host == LEADER || CONTROLS.contains(host);
        self.layout == LAYOUT
            && self.faults.iter().all(|planned| match &planned.fault {
                Fault::Crash(host) | Fault::Isolate(host) | Fault::Pause(host) => control(host),
                Fault::Bad(a, b, _) | Fault::Part(a, b) => control(a) && control(b),
                Fault::CrashWriting | Fault::CrashClaiming => true,
                _ => false,
            })
    }
}

impl Draw {
    /// Something that concerns control nodes alone.
    fn control(&self, at_ms: u64) -> Vec<Planned> {
        let for_ms = self.between(100, 6_000);
        let plan = |fault| Planned { at_ms, for_ms, fault };
        let (some, other) = (self.one(&CONTROLS), self.one(&[LEADER, CONTROLS[0], CONTROLS[2]]));
        match self.below(9) {
            0 => vec![plan(Fault::Crash(LEADER))],
            1 => vec![plan(Fault::Crash(some))],
            2 => vec![plan(Fault::Isolate(self.one(&[LEADER, some])))],
            3 => vec![plan(Fault::Part(other, some))],
            4 => vec![plan(Fault::Pause(self.one(&[LEADER, some])))],
            5 => vec![plan(Fault::Bad(other, some, self.storm()))],
            6 => CONTROLS.map(|host| plan(Fault::Crash(host))).to_vec(),
            _ => self.dies_writing(at_ms, Fault::Crash(some)),
        }
    }

    fn anywhere(&self, at_ms: u64) -> Vec<Planned> {
        let for_ms = self.between(100, 6_000);
        let plan = |fault| Planned { at_ms, for_ms, fault };
        let (origin, edge) = (self.one(&ORIGINS), self.one(&EDGES));
        match self.below(14) {
            0 => vec![plan(Fault::Part(self.one(&CONTROLS), self.one(&[origin, edge])))],
            1 => vec![plan(Fault::Bad(LEADER, self.one(&[origin, edge]), self.storm()))],
            2 => vec![plan(Fault::Part(origin, edge))],
            3 => vec![plan(Fault::Crash(self.one(&[origin, edge])))],
            4 => vec![plan(Fault::Isolate(self.one(LAYOUT.nodes())))],
            5 => vec![plan(Fault::Clock(self.one(&[origin, edge]), self.between(0, 600_000) as i64 - 300_000))],
            6 | 7 => self.leader_dies_claiming(at_ms),
            8 | 9 => self.secluded(),
            10 => self.dies_writing(at_ms, self.handover(LAYOUT)),
            11 => self.moved_without_control(at_ms),
            _ => self.control(at_ms),
        }
    }

    /// The publish moves, and the leader dies before it has answered.
    fn leader_dies_claiming(&self, at_ms: u64) -> Vec<Planned> {
        let moves = Planned { at_ms, for_ms: self.between(100, 1_500), fault: self.handover(LAYOUT) };
        vec![Planned { at_ms, for_ms: 4_000, fault: Fault::CrashClaiming }, moves]
    }

    /// The leader dies while it writes down what something else brings with it.
    fn dies_writing(&self, at_ms: u64, fault: Fault) -> Vec<Planned> {
        let brings = Planned { at_ms: at_ms + 100, for_ms: self.between(100, 1_500), fault };
        vec![Planned { at_ms, for_ms: 6_000, fault: Fault::CrashWriting }, brings]
    }

    /// An origin can't reach the control nodes for longer than its lease lasts.
    fn secluded(&self) -> Vec<Planned> {
        let (origin, for_ms) = (self.one(&ORIGINS), self.between(11_000, 12_500));
        CONTROLS.map(|host| Planned { at_ms: FIRST_MS, for_ms, fault: Fault::Part(host, origin) }).to_vec()
    }

    /// The encoder dies while no control node is up; the other one waits for them, or comes to the same origin.
    fn moved_without_control(&self, at_ms: u64) -> Vec<Planned> {
        let for_ms = self.between(1_500, 5_000);
        let mut all = CONTROLS.map(|host| Planned { at_ms, for_ms, fault: Fault::Crash(host) }).to_vec();
        let fault = Fault::Encoder(Handover::Dies, self.one(&ORIGINS));
        all.push(Planned { at_ms: at_ms + 500, for_ms: self.between(100, 1_000), fault });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_four_seeds_one_concerns_control_nodes_alone_and_all_kinds_of_fault_come_up() {
        let all: Vec<_> = (0..100).map(Schedule::platform).collect();
        assert_eq!(all[7], Schedule::platform(7));
        assert!(all.iter().filter(|schedule| schedule.seed % 4 == 1).all(Schedule::spares_all_but_control));
        assert!(all.iter().any(|schedule| !schedule.spares_all_but_control()));
        let faults = all.iter().flat_map(|schedule| &schedule.faults).map(|planned| format!("{:?}", planned.fault));
        let kinds: std::collections::BTreeSet<_> =
            faults.map(|fault| fault.split('(').next().unwrap().to_owned()).collect();
        assert_eq!(kinds.len(), 9, "{kinds:?}");
    }
}
