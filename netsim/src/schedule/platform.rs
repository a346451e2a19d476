//! What goes wrong on a platform: control nodes die, are parted, lose what they had not synced, have slow disks; origins
//! lose touch with them; clocks are wrong everywhere; and everything that goes wrong elsewhere.
//!
//! Clocks are wrong by what nodes find nothing in ([`SKEW_MS`] between two of them), or by minutes. All promises are held to
//! either way, the length of a grace that passes from clock to clock among them.

use freshet_proto::random::Random;

use super::{
    CONTROLS, Draw, EDGES, FIRST_MS, Farewell, Fault, HEAL_MS, Handover, Host, LAST_MS, LEADER, Layout, ORIGINS,
    Planned, Schedule,
};
use crate::weather::Link;

const LAYOUT: Layout = Layout::Platform;

/// By how much two nodes' clocks may differ: beyond that they say that they are not ready.
pub const SKEW_MS: u64 = 250;

impl Schedule {
    /// The schedule of a seed on [`Layout::Platform`]. Of four seeds one lets nothing fail but control nodes.
    pub fn platform(seed: u64) -> Self {
        let draw = Draw(Random::seeded(seed ^ 0x00c0_1701));
        let usual = Link { loss_permille: draw.below(10) as u16, delay_ms: 0, jitter_ms: 5 + draw.below(15) as u16 };
        let control_alone = seed % 4 == 1;
        let mut faults = draw.clocks(control_alone);
        for _ in 0..1 + draw.below(3) {
            let at_ms = draw.between(FIRST_MS, LAST_MS);
            faults.extend(if control_alone { draw.control(at_ms) } else { draw.anywhere(at_ms) });
        }
        faults.sort_by_key(|planned| planned.at_ms);
        let farewells = [Farewell::Goodbye, Farewell::EncoderDies, Farewell::OriginDies, Farewell::OriginGone];
        let farewell = draw.one(&farewells);
        Self { seed, layout: LAYOUT, usual, faults, heal_ms: HEAL_MS, farewell }.with_operators(control_alone)
    }

    /// Whether nothing fails but control nodes and what is between them.
    pub fn spares_all_but_control(&self) -> bool {
        let control = |host: &Host| *host == LEADER || CONTROLS.contains(host);
        self.layout == LAYOUT
            && self.faults.iter().all(|planned| match &planned.fault {
                Fault::Crash(host) | Fault::Isolate(host) | Fault::Pause(host) => control(host),
                Fault::Skew(host, _) | Fault::SlowDisk(host, _) => control(host),
                Fault::Bad(a, b, _) | Fault::Part(a, b) => control(a) && control(b),
                Fault::CrashWriting | Fault::CrashClaiming | Fault::Operator(_) => true,
                _ => false,
            })
    }
}

impl Draw {
    /// Whose clocks are wrong from the start: in every other run nobody's.
    fn clocks(&self, control_alone: bool) -> Vec<Planned> {
        let nodes: &[Host] = if control_alone { &CONTROLS } else { LAYOUT.nodes() };
        let wrong = |&host| Planned { at_ms: 0, for_ms: HEAL_MS, fault: Fault::Skew(host, self.offset()) };
        if self.below(2) == 0 { nodes.iter().map(wrong).collect() } else { Vec::new() }
    }

    /// By how much a clock is wrong, in ms: within what is promised to do no harm, or far beyond.
    fn offset(&self) -> i64 {
        let half = SKEW_MS as i64 / 2;
        match self.below(3) {
            0 => self.between(1_000, 300_000) as i64,
            1 => -(self.between(1_000, 300_000) as i64),
            _ => self.between(0, SKEW_MS) as i64 - half,
        }
    }

    /// Something that concerns control nodes alone.
    fn control(&self, at_ms: u64) -> Vec<Planned> {
        let for_ms = self.between(100, 6_000);
        let plan = |fault| Planned { at_ms, for_ms, fault };
        let (some, other) = (self.one(&CONTROLS), self.one(&[LEADER, CONTROLS[0], CONTROLS[2]]));
        match self.below(12) {
            0 => vec![plan(Fault::Crash(LEADER))],
            1 => vec![plan(Fault::Crash(some))],
            2 => vec![plan(Fault::Isolate(self.one(&[LEADER, some])))],
            3 => vec![plan(Fault::Part(other, some))],
            4 => vec![plan(Fault::Pause(self.one(&[LEADER, some])))],
            5 => vec![plan(Fault::Bad(other, some, self.storm()))],
            6 => CONTROLS.map(|host| plan(Fault::Crash(host))).to_vec(),
            7 => self.leader_jumps(at_ms),
            8 => self.slow_disk(at_ms, Fault::Crash(LEADER)),
            9 => self.left_behind(),
            _ => self.dies_writing(at_ms, Fault::Crash(some)),
        }
    }

    fn anywhere(&self, at_ms: u64) -> Vec<Planned> {
        let for_ms = self.between(100, 6_000);
        let plan = |fault| Planned { at_ms, for_ms, fault };
        let (origin, edge) = (self.one(&ORIGINS), self.one(&EDGES));
        match self.below(18) {
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
            12 | 13 => self.slow_disk(at_ms, self.handover(LAYOUT)),
            14 => self.grace_handed_over(at_ms),
            15 => self.zombie(at_ms, &CONTROLS),
            _ => self.control(at_ms),
        }
    }

    /// The publish moves, and the leader dies before it has answered.
    fn leader_dies_claiming(&self, at_ms: u64) -> Vec<Planned> {
        let moves = Planned { at_ms, for_ms: self.between(100, 1_500), fault: self.handover(LAYOUT) };
        vec![Planned { at_ms, for_ms: 4_000, fault: Fault::CrashClaiming }, moves]
    }

    /// Disks are slow, the leader's among them, while something has to be written.
    fn slow_disk(&self, at_ms: u64, brings: Fault) -> Vec<Planned> {
        let for_ms = self.between(1_000, 6_000);
        let slow = |host| Planned { at_ms, for_ms, fault: Fault::SlowDisk(host, self.between(10, 500)) };
        let mut faults = vec![slow(LEADER)];
        faults.extend((self.below(2) == 0).then(|| slow(self.one(&CONTROLS))));
        faults.push(Planned { at_ms: at_ms + 100, for_ms: self.between(100, 1_500), fault: brings });
        faults
    }

    /// The leader's clock jumps while it runs; a moment later the leader dies, and comes back with it.
    fn leader_jumps(&self, at_ms: u64) -> Vec<Planned> {
        let jump = Planned { at_ms, for_ms: 100, fault: Fault::Skew(LEADER, self.offset()) };
        let at_ms = at_ms + self.between(50, 1_000);
        vec![jump, Planned { at_ms, for_ms: self.between(100, 2_500), fault: Fault::Crash(LEADER) }]
    }

    /// The encoder dies, and while its session waits for it the leader does, so that another one keeps the grace.
    fn grace_handed_over(&self, at_ms: u64) -> Vec<Planned> {
        let fault = Fault::Encoder(Handover::Dies, self.one(&ORIGINS));
        let dies = Planned { at_ms, for_ms: self.between(3_000, 7_000), fault };
        let at_ms = at_ms + self.between(500, 2_500);
        vec![dies, Planned { at_ms, for_ms: self.between(1_000, 4_000), fault: Fault::Crash(LEADER) }]
    }

    /// A control node is away while leaders come and go, so that much is written that it will lack.
    fn left_behind(&self) -> Vec<Planned> {
        let away = Planned { at_ms: FIRST_MS, for_ms: 12_000, fault: Fault::Crash(self.one(&CONTROLS)) };
        let blink = |n: u64| Planned { at_ms: FIRST_MS + 2_000 * n, for_ms: 200, fault: Fault::Crash(LEADER) };
        std::iter::once(away).chain((1..=5).map(blink)).collect()
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
        assert_eq!(kinds.len(), 12, "{kinds:?}");
    }
}
