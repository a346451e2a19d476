//! What happens to the world, drawn from a seed.

use std::fmt;

use freshet_proto::random::Random;

/// How bad it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One thing at a time, and time to recover: every promise must hold.
    Calm,
    /// Anything at any time.
    Wild,
}

/// One fault, from `at_ms` for `for_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, in simulated ms.
    pub at_ms: u64,
    /// How long it lasts.
    pub for_ms: u64,
    /// What.
    pub what: What,
}

/// What goes wrong. Hubs are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A hub's process dies, and comes back knowing nothing.
    Crash(usize),
    /// A hub does nothing for a while, and then goes on as if no time had passed.
    Pause(usize),
    /// A hub reaches neither others nor the control plane.
    Alone(usize),
    /// A hub does not reach the control plane.
    NoControl(usize),
    /// Two hubs do not reach each other.
    Apart(usize, usize),
    /// There is no control plane.
    Outage,
    /// The control plane's leader is another one.
    NewLeader,
    /// A hub goes as planned, and comes back.
    Drain(usize),
    /// A hub's clock jumps by so many ms.
    Jump(usize, i64),
    /// There is no control plane, and then one that began anew from a backup. Not drawn: tests plan it.
    Restore,
}

/// Everything that a seed decides.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// How bad it gets.
    pub kind: Kind,
    /// How many hubs there are.
    pub hubs: usize,
    /// How many channels people talk in.
    pub channels: usize,
    /// How far hubs are from each other, in ms, one way, at most.
    pub delay_ms: u64,
    /// The faults, by time.
    pub faults: Vec<Fault>,
    /// When all is well again.
    pub healed_ms: u64,
}

impl Plan {
    /// The plan of a seed. Odd seeds are wild.
    pub fn of(seed: u64) -> Self {
        let random = Random::seeded(seed ^ 0x0063_6861_7400);
        let kind = if seed.is_multiple_of(2) { Kind::Calm } else { Kind::Wild };
        let hubs = 2 + random.below(4) as usize;
        let (mut faults, mut at_ms) = (Vec::new(), 4_000 + random.below(2_000));
        for _ in 0..2 + random.below(4) {
            let for_ms = [300, 1_500, 4_000, 8_000, 20_000, 75_000][random.below(6) as usize] + random.below(1_000);
            let what = draw(&random, hubs);
            // What a client sent to a hub that stands still for longer than nonces are known may be said twice.
            let for_ms = if matches!(what, What::Pause(_)) { for_ms.min(21_000) } else { for_ms };
            faults.push(Fault { at_ms, for_ms, what });
            at_ms += match kind {
                Kind::Calm => for_ms + 12_000 + random.below(4_000),
                Kind::Wild => random.below(6_000),
            };
        }
        let healed_ms = faults.iter().map(|fault| fault.at_ms + fault.for_ms).max().unwrap_or(at_ms);
        let channels = 1 + random.below(3) as usize;
        Self { seed, kind, hubs, channels, delay_ms: [2, 20, 120][random.below(3) as usize], faults, healed_ms }
    }
}

fn draw(random: &Random, hubs: usize) -> What {
    let hub = random.below(hubs as u64) as usize;
    match random.below(10) {
        0 | 1 => What::Crash(hub),
        2 => What::Pause(hub),
        3 | 4 => What::Alone(hub),
        5 => What::NoControl(hub),
        6 => What::Apart(hub, (hub + 1 + random.below(hubs as u64 - 1) as usize) % hubs),
        7 => What::Outage,
        8 => [What::NewLeader, What::Jump(hub, 90_000 - random.below(180_000) as i64)][random.below(2) as usize],
        _ => What::Drain(hub),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, kind, hubs, channels, delay_ms, .. } = self;
        writeln!(f, "seed {seed}, {kind:?}: {hubs} hubs up to {delay_ms} ms apart, {channels} channels")?;
        for Fault { at_ms, for_ms, what } in &self.faults {
            writeln!(f, "  {:7.3} s, for {:6.3} s: {what:?}", *at_ms as f64 / 1e3, *for_ms as f64 / 1e3)?;
        }
        Ok(())
    }
}
