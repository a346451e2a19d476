//! What goes wrong in a run, and when: everything follows from the seed.
//!
//! ```text
//! seed ──▶ Schedule: a layout, and faults that each begin, last and are undone ──▶ world
//! ```
//! A fault carries its end with it, so that any of them can be left out and the rest still makes sense: that is how a
//! failing schedule is shrunk.

mod keys;
mod platform;

pub use keys::{Deed, Hampered};
pub use platform::SKEW_MS;

use std::fmt;

use freshet_proto::random::Random;

use crate::weather::Link;

/// A simulated host, by name.
pub type Host = &'static str;

/// Where the registry is when it has a host of its own.
pub const REGISTRY: Host = "registry";
/// The origins. In [`Layout::Lone`] there is only the first, and the registry is on its disk.
pub const ORIGINS: [Host; 2] = ["origin-a", "origin-b"];
/// The control nodes of [`Layout::Platform`]; the first one founds it.
pub const CONTROLS: [Host; 3] = ["control-a", "control-b", "control-c"];
/// In a fault: whichever control node leads when it begins. No host has this name.
pub const LEADER: Host = "the leader";
/// Where the ghosts of the origins are, where there are any: [`crate::bugs::Bug::LeaseNeverExpires`].
pub const GHOSTS: [Host; 2] = ["ghost-a", "ghost-b"];
/// The edges.
pub const EDGES: [Host; 2] = ["edge-a", "edge-b"];
/// The encoders; one publishes, and the other is there to take over.
pub const ENCODERS: [Host; 2] = ["encoder-a", "encoder-b"];
/// The viewers and the edge that each watches.
pub const VIEWERS: [(Host, Host); 3] = [("viewer-1", EDGES[0]), ("viewer-2", EDGES[0]), ("viewer-3", EDGES[1])];
/// Those who show tokens to a platform's edges, and to which.
pub const GUESTS: [(Host, Host); 2] = [("guest-1", EDGES[0]), ("guest-2", EDGES[1])];

/// When faults begin, in ms: everybody has been watching for a while.
const FIRST_MS: u64 = 5_000;
/// By when the last one has begun.
const LAST_MS: u64 = 15_000;
/// When everything is healed.
const HEAL_MS: u64 = 18_000;

/// Which nodes there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layout {
    /// One origin with the registry on its disk, as one machine runs it.
    Lone,
    /// The registry on a host of its own, and two origins.
    Apart,
    /// The registry replicated by three control nodes, and two origins.
    Platform,
}

impl Layout {
    /// The nodes.
    pub fn nodes(self) -> &'static [Host] {
        match self {
            Self::Lone => &[ORIGINS[0], EDGES[0], EDGES[1]],
            Self::Apart => &[REGISTRY, ORIGINS[0], ORIGINS[1], EDGES[0], EDGES[1]],
            Self::Platform => &[CONTROLS[0], CONTROLS[1], CONTROLS[2], ORIGINS[0], ORIGINS[1], EDGES[0], EDGES[1]],
        }
    }

    /// The host that the registry runs on; on a platform [`LEADER`].
    pub fn registry(self) -> Host {
        match self {
            Self::Lone => ORIGINS[0],
            Self::Apart => REGISTRY,
            Self::Platform => LEADER,
        }
    }

    /// The hosts whose disks matter.
    pub fn disks(self) -> &'static [Host] {
        match self {
            Self::Lone => &ORIGINS[..1],
            Self::Apart => &[REGISTRY],
            Self::Platform => &CONTROLS,
        }
    }

    /// Those who show tokens to edges, and to which.
    pub fn guests(self) -> &'static [(Host, Host)] {
        if self == Self::Platform { &GUESTS } else { &[] }
    }

    /// The origins.
    pub fn origins(self) -> &'static [Host] {
        match self {
            Self::Lone => &ORIGINS[..1],
            Self::Apart | Self::Platform => &ORIGINS,
        }
    }
}

/// How the publish moves from one encoder to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover {
    /// The first dies, the second starts when the fault ends.
    Dies,
    /// The first's cable is pulled, so that nobody hears of it; the second starts when the fault ends.
    Cut,
    /// The second starts at once; the first goes on until it is sent away, and dies when the fault ends.
    Usurped,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The link between two nodes is bad: loss, delay, reordering.
    Bad(Host, Host, Link),
    /// Nothing passes between two nodes.
    Part(Host, Host),
    /// Nothing passes to or from a node, its viewers and encoders included.
    Isolate(Host),
    /// A node neither hears nor is heard, and then everything arrives at once.
    Pause(Host),
    /// A node is killed; it starts again when the fault ends.
    Crash(Host),
    /// The registry's host is killed at the first moment at which its disk has unsynced bytes. It starts again a second
    /// later.
    CrashWriting,
    /// The leading control node is killed at the first moment at which an origin has a claim under way. It starts again a
    /// second later.
    CrashClaiming,
    /// A node is killed and starts again with its wall clock wrong by so many milliseconds.
    Clock(Host, i64),
    /// A node's wall clock is wrong by so many milliseconds from now on, and stays so. A process reads its clock when it
    /// starts: before that this is an offset, after it a jump that shows when the node starts again.
    Skew(Host, i64),
    /// Syncs of a host's disk take so many milliseconds.
    SlowDisk(Host, u64),
    /// The publish moves to the other encoder, which publishes to this origin.
    Encoder(Handover, Host),
    /// An operator does something to keys or tokens.
    Operator(Deed),
}

/// A fault and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, in ms.
    pub at_ms: u64,
    /// How long it lasts, in ms.
    pub for_ms: u64,
    /// What it is.
    pub fault: Fault,
}

/// How the last publish ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// The encoder says goodbye.
    Goodbye,
    /// The encoder dies.
    EncoderDies,
    /// The encoder's origin dies and starts again; the encoder has gone with it.
    OriginDies,
    /// The encoder's origin dies and does not come back, so that nobody can tell but its lease; the encoder has gone with
    /// it.
    OriginGone,
}

/// Everything that is done to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What everything follows from.
    pub seed: u64,
    /// Which nodes there are.
    pub layout: Layout,
    /// How links between nodes are when nothing is wrong.
    pub usual: Link,
    /// The faults, by when they begin.
    pub faults: Vec<Planned>,
    /// When everything is healed, in ms.
    pub heal_ms: u64,
    /// How it ends.
    pub farewell: Farewell,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64) -> Self {
        let draw = Draw(Random::seeded(seed ^ 0x5c4e_d01e));
        let layout = if seed.is_multiple_of(3) { Layout::Lone } else { Layout::Apart };
        let usual = Link { loss_permille: draw.below(15) as u16, delay_ms: 0, jitter_ms: 5 + draw.below(20) as u16 };
        let faults = if seed % 4 == 1 { vec![draw.alone(layout)] } else { draw.several(layout) };
        let farewell = match (draw.below(3), layout) {
            (0, Layout::Lone) => Farewell::OriginDies,
            (1, _) => Farewell::EncoderDies,
            _ => Farewell::Goodbye,
        };
        Self { seed, layout, usual, faults, heal_ms: HEAL_MS, farewell }
    }

    /// As many rounds, each of which kills the encoder, and often its origin after it, so that the publish moves to the
    /// other origin.
    pub fn rounds(seed: u64, rounds: u64) -> Self {
        let draw = Draw(Random::seeded(seed ^ 0x0040_0da7));
        let round = |n: u64| {
            let (at_ms, for_ms) = (FIRST_MS + n * 4_000, draw.between(100, 1_500));
            let (old, new) = (ORIGINS[(n % 2) as usize], ORIGINS[((n + 1) % 2) as usize]);
            let moves = Planned { at_ms, for_ms, fault: Fault::Encoder(Handover::Dies, new) };
            let crash = Planned { at_ms: at_ms + 500, for_ms: 1_500, fault: Fault::Crash(old) };
            if draw.below(2) == 0 { vec![moves, crash] } else { vec![moves] }
        };
        let faults = (0..rounds).flat_map(round).collect();
        let usual = Link { loss_permille: 5, delay_ms: 0, jitter_ms: 10 };
        let heal_ms = FIRST_MS + rounds * 4_000 + 3_000;
        Self { seed, layout: Layout::Apart, usual, faults, heal_ms, farewell: Farewell::Goodbye }
    }

    /// The one fault that there is; what operators do is none.
    pub fn only(&self) -> Option<Planned> {
        let mut faults = self.faults.iter().filter(|planned| !matches!(planned.fault, Fault::Operator(_)));
        faults.next().copied().filter(|_| faults.next().is_none())
    }
}

struct Draw(Random);

impl Draw {
    fn below(&self, bound: u64) -> u64 {
        self.0.below(bound)
    }

    fn between(&self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    fn one<T: Copy>(&self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// A node's death, alone, so that the bounds for it can be held against it.
    fn alone(&self, layout: Layout) -> Planned {
        let host = self.one(layout.nodes());
        Planned { at_ms: self.between(FIRST_MS, 9_000), for_ms: self.between(100, 3_000), fault: Fault::Crash(host) }
    }

    fn several(&self, layout: Layout) -> Vec<Planned> {
        let mut faults = Vec::new();
        // The registry refuses the fourth encoder that displaces another within half a minute.
        let mut handovers = 0;
        for _ in 0..=self.below(5) {
            let at_ms = self.between(FIRST_MS, LAST_MS);
            let more = self.motif(layout, at_ms, handovers < 2);
            handovers += more.iter().filter(|planned| matches!(planned.fault, Fault::Encoder(..))).count();
            faults.extend(more);
        }
        faults.sort_by_key(|planned| planned.at_ms);
        faults
    }

    /// One fault, or several that make trouble together.
    fn motif(&self, layout: Layout, at_ms: u64, handover: bool) -> Vec<Planned> {
        let for_ms = self.between(100, 6_000);
        let plan = |fault| Planned { at_ms, for_ms, fault };
        let registry = layout.registry();
        match self.below(16) {
            0 => vec![plan(Fault::Bad(registry, self.one(&EDGES), self.storm()))],
            1 => vec![plan(Fault::Bad(self.one(layout.origins()), self.one(&EDGES), self.storm()))],
            2 => vec![plan(Fault::Part(self.one(layout.origins()), self.one(&EDGES)))],
            3 => vec![plan(Fault::Part(registry, self.one(&EDGES)))],
            4 => vec![plan(Fault::Isolate(self.one(layout.nodes())))],
            5 => vec![plan(Fault::Pause(self.one(layout.nodes())))],
            6 => vec![plan(Fault::Crash(self.one(layout.nodes())))],
            7 => vec![plan(Fault::Crash(registry))],
            8 => vec![plan(Fault::Clock(self.one(layout.nodes()), self.between(0, 600_000) as i64 - 300_000))],
            9 | 10 if handover => self.caught_writing(layout, at_ms),
            11 if handover => self.unseen(layout, at_ms),
            12 if handover && layout == Layout::Apart => self.zombie(at_ms, &[REGISTRY]),
            13 if handover => vec![self.too_long(layout)],
            _ if handover => vec![plan(self.handover(layout))],
            _ => vec![plan(Fault::Crash(self.one(&EDGES)))],
        }
    }

    fn storm(&self) -> Link {
        Link {
            loss_permille: self.between(20, 300) as u16,
            delay_ms: self.between(0, 200) as u16,
            jitter_ms: self.between(0, 200) as u16,
        }
    }

    fn handover(&self, layout: Layout) -> Fault {
        let how = self.one(&[Handover::Dies, Handover::Cut, Handover::Usurped]);
        Fault::Encoder(how, self.one(layout.origins()))
    }

    /// The encoder is away for longer than its session waits for it.
    fn too_long(&self, layout: Layout) -> Planned {
        let fault = Fault::Encoder(Handover::Dies, self.one(layout.origins()));
        Planned { at_ms: FIRST_MS, for_ms: self.between(9_000, 12_000), fault }
    }

    /// The registry dies while it writes down that the publish has moved.
    fn caught_writing(&self, layout: Layout, at_ms: u64) -> Vec<Planned> {
        let slow = Fault::SlowDisk(layout.registry(), self.between(20, 900));
        let slow = Planned { at_ms, for_ms: 3_000, fault: slow };
        let moves = Planned { at_ms: at_ms + 100, for_ms: self.between(100, 1500), fault: self.handover(layout) };
        let crash = Planned { at_ms: at_ms + self.between(0, 2_000), for_ms: 3_000, fault: Fault::CrashWriting };
        vec![slow, moves, crash]
    }

    /// The publish moves while an edge can't hear of it.
    fn unseen(&self, layout: Layout, at_ms: u64) -> Vec<Planned> {
        let fault = Fault::Part(layout.registry(), self.one(&EDGES));
        let part = Planned { at_ms, for_ms: self.between(2_500, 7_000), fault };
        vec![part, Planned { at_ms: at_ms + 500, for_ms: self.between(100, 2_000), fault: self.handover(layout) }]
    }

    /// An origin is parted from whoever keeps the registry while the publish moves to the other one, so that it goes on
    /// publishing what it no longer owns.
    fn zombie(&self, at_ms: u64, keepers: &[Host]) -> Vec<Planned> {
        let to = self.one(&ORIGINS);
        let (other, for_ms) = (ORIGINS[usize::from(to == ORIGINS[0])], self.between(3_000, 7_000));
        let part = |&keeper| Planned { at_ms, for_ms, fault: Fault::Part(keeper, other) };
        let moves = Planned { at_ms: at_ms + 300, for_ms, fault: Fault::Encoder(Handover::Usurped, to) };
        keepers.iter().map(part).chain([moves]).collect()
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:.3} s for {:.3} s: ", self.at_ms as f64 / 1000.0, self.for_ms as f64 / 1000.0)?;
        match self.fault {
            Fault::Bad(a, b, link) => write!(
                f,
                "{a} and {b} lose {} of 1000 datagrams and delay them by {} to {} ms",
                link.loss_permille,
                link.delay_ms,
                link.delay_ms + link.jitter_ms
            ),
            Fault::Part(a, b) => write!(f, "{a} and {b} are parted"),
            Fault::Isolate(host) => write!(f, "{host} is cut off from everybody"),
            Fault::Pause(host) => write!(f, "{host} is paused"),
            Fault::Crash(host) => write!(f, "{host} is killed, then started"),
            Fault::CrashWriting => write!(f, "the registry's host is killed when its disk has unsynced bytes"),
            Fault::CrashClaiming => write!(f, "the leader is killed when a claim is under way"),
            Fault::Clock(host, by_ms) => write!(f, "{host} is killed, then started with its clock off by {by_ms} ms"),
            Fault::Skew(host, by_ms) => write!(f, "the clock of {host} is off by {by_ms} ms, from its next start on"),
            Fault::SlowDisk(host, ms) => write!(f, "syncs of the disk of {host} take {ms} ms"),
            Fault::Encoder(Handover::Dies, to) => write!(f, "the encoder dies; the other then publishes to {to}"),
            Fault::Encoder(Handover::Cut, to) => {
                write!(f, "the encoder's cable is pulled; the other then publishes to {to}")
            }
            Fault::Encoder(Handover::Usurped, to) => {
                write!(f, "the other encoder publishes to {to}; the first goes on until it is sent away")
            }
            Fault::Operator(deed) => write!(f, "an operator does this: {deed:?}"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, {:?}: usually {} of 1000 datagrams are lost and jitter is {} ms; at the end: {:?}",
            self.seed, self.layout, self.usual.loss_permille, self.usual.jitter_ms, self.farewell
        )?;
        self.faults.iter().try_for_each(|planned| writeln!(f, "  {planned}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_schedule_and_faults_are_in_order() {
        for seed in 0..200 {
            let schedule = Schedule::of(seed);
            assert_eq!(schedule, Schedule::of(seed));
            assert!(!schedule.faults.is_empty() && schedule.faults.is_sorted_by_key(|planned| planned.at_ms));
            assert!(schedule.faults.iter().all(|planned| planned.at_ms < schedule.heal_ms));
        }
    }

    #[test]
    fn every_kind_of_fault_comes_within_a_hundred_seeds() {
        let all: Vec<_> = (0..100).flat_map(|seed| Schedule::of(seed).faults).map(|planned| planned.fault).collect();
        let kinds: std::collections::BTreeSet<_> =
            all.iter().map(|fault| format!("{fault:?}").split('(').next().unwrap().to_owned()).collect();
        assert_eq!(kinds.len(), 9, "{kinds:?}");
    }
}
