//! One run: hosts, faults in time, promises checked after every step, then healing, and everything well again.
//!
//! ```text
//! 0 s ──▶ everybody starts ──5 s──▶ faults ──heal_ms──▶ all is healed ──▶ converged (I10) ──▶ the encoder goes ──▶ ended (I10)
//!         └──────────────── safety (I1–I6, I8) is checked after every step of 5 ms ────────────────────────────────────┘
//! ```
//! What turmoil offers and we use: a partition drops what is on its way, TCP's bytes too, and its TCP never sends again;
//! so a cut that touches an encoder ends its connection, and everybody else has deadlines. A pause holds what is on its
//! way and lets it arrive at once later; the clock of the paused host goes on, so that its own timers expire meanwhile.

mod deaths;
mod marks;
mod promises;
mod scene;

use std::{collections::BTreeSet, time::Duration};

use freshet_control_plane::leases::TTL;
use turmoil::{Builder, Sim};

use crate::{
    Run,
    bugs::Bug,
    crowd::{self, Order, Orders},
    disk::Disk,
    hosts::{self, Cast},
    invariants::{Rule, Violation},
    schedule::{CONTROLS, ENCODERS, Farewell, Fault, Handover, Host, ORIGINS, Planned, Schedule, VIEWERS},
    sometimes::{Situation, Sometimes},
    world::marks::Marks,
};

/// One step of the simulation.
const STEP: Duration = Duration::from_millis(5);
/// How long everything may take to be well after healing, and to end after the farewell's grace.
const WELL_WITHIN_MS: u64 = 15_000;
/// From when on an origin that hears no encoder lets a discontinuity follow (`PackagingLimits::stall_ms`), less what it has
/// in hand.
const STALL_MS: u64 = 4_500;
/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What came up.
    pub sometimes: Sometimes,
    /// The hash of everything that crossed the network and was written to disks.
    pub digest: String,
    /// How long it lasted, in simulated ms.
    pub lasted_ms: u64,
    /// The longest that any viewer waited between two parts, in ms.
    pub longest_wait_ms: u64,
    /// What happened.
    pub story: Vec<String>,
    /// What crossed the network, where that was asked for.
    pub trace: Vec<String>,
}

/// Plays a schedule, with a bug or without.
pub fn play(schedule: &Schedule, bug: Option<Bug>, keep_trace: bool) -> Outcome {
    let mut world = World::new(schedule, bug, keep_trace);
    let violation = world.run().err();
    if let Some(violation) = &violation {
        world.cast.stage.with(|seen| seen.tell(violation.at_ms, violation.to_string()));
    }
    world.finish(violation)
}

struct World<'a> {
    schedule: &'a Schedule,
    sim: Sim<'a>,
    cast: Cast,
    orders: Orders,
    /// Who publishes, and where.
    publishing: (Host, Host),
    deeds: Vec<Deed>,
    /// The nodes that do not run.
    down: BTreeSet<Host>,
    /// Whom to kill as soon as its disk has unsynced bytes.
    caught_writing: Option<Host>,
    /// Whether to kill the leader as soon as a claim is under way.
    caught_claiming: bool,
    /// The control nodes whose disks lost something when they were killed.
    forgetful: BTreeSet<Host>,
    /// What was seen of the leader last.
    marks: Marks,
}

/// Something due.
#[derive(Debug, Clone, Copy)]
struct Deed {
    at_ms: u64,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Begin(Planned),
    End(Fault, Host),
    Start(Host),
}

impl<'a> World<'a> {
    fn new(schedule: &'a Schedule, bug: Option<Bug>, keep_trace: bool) -> Self {
        let run = Run::new(schedule.seed);
        run.weather.usually(schedule.usual);
        if keep_trace {
            run.trace.keep_lines();
        }
        // Every message of turmoil takes as long, so that its one source of chance decides nothing.
        let mut sim = Builder::new()
            .rng_seed(schedule.seed)
            .simulation_duration(Duration::from_secs(3600))
            .tick_duration(STEP)
            .min_message_latency(STEP)
            .max_message_latency(STEP)
            .udp_capacity(16_384)
            .tcp_capacity(16_384)
            .build();
        let cast = scene::cast(&mut sim, schedule, run, bug);
        cast.stage.with(|seen| (seen.heal_ms, seen.tokens.hampered) = (schedule.heal_ms, schedule.hampers()));
        let orders = Orders::default();
        scene::people(&mut sim, &cast, &orders);
        let begin = |planned: &Planned| Deed { at_ms: planned.at_ms, what: What::Begin(*planned) };
        let deeds = schedule.faults.iter().map(begin).collect();
        let publishing = (ENCODERS[0], ORIGINS[0]);
        orders.give(publishing.0, Order::Publish(publishing.1));
        Self {
            schedule,
            sim,
            cast,
            orders,
            publishing,
            deeds,
            down: BTreeSet::new(),
            caught_writing: None,
            caught_claiming: false,
            forgetful: BTreeSet::new(),
            marks: Marks::default(),
        }
    }

    fn now_ms(&self) -> u64 {
        self.sim.elapsed().as_millis() as u64
    }

    /// The whole run.
    fn run(&mut self) -> Result<(), Violation> {
        while self.now_ms() < self.schedule.heal_ms {
            self.step()?;
        }
        self.waits()?;
        self.heal();
        self.until("converged", WELL_WITHIN_MS, Self::ill)?;
        let grace_ms = self.farewell();
        self.until("ended", grace_ms + WELL_WITHIN_MS, Self::unended)
    }

    fn step(&mut self) -> Result<(), Violation> {
        while let Some(at) = self.deeds.iter().position(|deed| deed.at_ms <= self.now_ms()) {
            let deed = self.deeds.remove(at);
            self.perform(deed.what);
        }
        self.catch_writing();
        self.catch_claiming();
        let stepped = self.sim.step();
        let now_ms = self.now_ms();
        if let Err(error) = stepped {
            return Err(Violation::new(now_ms, Rule::Alive, format!("a host's software ended: {error}")));
        }
        self.cast.stage.look(now_ms);
        self.mark();
        self.cast.stage.with(|seen| seen.violation.take()).map_or(Ok(()), Err)
    }

    /// Steps until nothing is left to wait for; for `most_ms` at most.
    fn until(&mut self, what: &str, most_ms: u64, left: impl Fn(&Self) -> Option<String>) -> Result<(), Violation> {
        let began_ms = self.now_ms();
        while let Some(why) = left(self) {
            if self.now_ms() > began_ms + most_ms {
                let what = format!("not {what} after {:.1} s: {why}", most_ms as f64 / 1000.0);
                return Err(Violation::new(self.now_ms(), Rule::I10, what));
            }
            self.step()?;
        }
        self.tell(format!("{what} after {:.3} s", (self.now_ms() - began_ms) as f64 / 1000.0));
        Ok(())
    }

    fn perform(&mut self, what: What) {
        match what {
            What::Begin(planned) => {
                self.tell(format!("fault {planned}"));
                self.begin(planned);
            }
            What::End(fault, first) => {
                self.tell(format!("undone: {fault:?}"));
                self.end(fault, first);
            }
            What::Start(host) => self.start(host),
        }
    }

    fn begin(&mut self, Planned { at_ms, for_ms, fault }: Planned) {
        let (first, fault) = (self.publishing.0, self.resolved(fault));
        match fault {
            Fault::Bad(a, b, link) => self.cast.run.weather.set(self.sim.lookup(a), self.sim.lookup(b), Some(link)),
            Fault::Part(a, b) if a == b => {}
            Fault::Part(a, b) => self.sim.partition(a, b),
            Fault::Isolate(host) => self.others(host).into_iter().for_each(|other| self.sim.partition(host, other)),
            Fault::Pause(host) => {
                self.cast.stage.note(Situation::Paused);
                let stalls = ORIGINS.contains(&host) && for_ms >= STALL_MS;
                self.cast.stage.with(|seen| seen.stalls += usize::from(stalls));
                self.others(host).into_iter().for_each(|other| self.sim.hold(host, other));
            }
            Fault::Crash(host) => self.crash(host),
            Fault::CrashWriting => self.arm(),
            Fault::CrashClaiming => self.caught_claiming = true,
            Fault::Clock(host, by_ms) => {
                self.cast.stage.note(Situation::WrongClock);
                self.crash(host);
                self.cast.run.set_clock(host, by_ms);
            }
            Fault::Skew(host, by_ms) => self.cast.run.set_clock(host, by_ms),
            Fault::SlowDisk(host, ms) => self.set_sync(host, Some(Duration::from_millis(ms))),
            Fault::Encoder(how, to) => self.hand_over(how, to),
            Fault::Operator(deed) => self.cast.stage.with(|seen| seen.tokens.deeds.push_back((deed, 0))),
        }
        self.deeds.push(Deed { at_ms: at_ms + for_ms, what: What::End(fault, first) });
    }

    /// `first` is who published when the fault began.
    fn end(&mut self, fault: Fault, first: Host) {
        match fault {
            Fault::Bad(a, b, _) => self.cast.run.weather.set(self.sim.lookup(a), self.sim.lookup(b), None),
            Fault::Part(a, b) if a == b => {}
            Fault::Part(a, b) => self.sim.release(a, b),
            Fault::Isolate(host) => {
                self.others(host).into_iter().for_each(|other| self.sim.release(host, other));
                if !CONTROLS.contains(&host) {
                    ENCODERS.into_iter().for_each(|encoder| self.reconnect(encoder));
                }
            }
            Fault::Pause(host) => self.others(host).into_iter().for_each(|other| self.sim.release(host, other)),
            Fault::Crash(host) | Fault::Clock(host, _) => self.start(host),
            Fault::CrashWriting => self.disarm(),
            Fault::CrashClaiming => self.caught_claiming = false,
            Fault::Skew(..) | Fault::Operator(_) => {}
            Fault::SlowDisk(host, _) => self.set_sync(host, None),
            Fault::Encoder(how, _) => {
                self.kill_encoder(first);
                if how == Handover::Cut {
                    self.schedule.layout.origins().iter().for_each(|origin| self.sim.release(first, *origin));
                }
                let (encoder, to) = self.publishing;
                self.orders.give(encoder, Order::Publish(to));
            }
        }
    }

    fn hand_over(&mut self, how: Handover, to: Host) {
        let first = self.publishing.0;
        let second = ENCODERS[usize::from(first == ENCODERS[0])];
        self.publishing = (second, to);
        match how {
            Handover::Dies => self.kill_encoder(first),
            Handover::Cut => {
                self.orders.give(first, Order::LastTime);
                self.schedule.layout.origins().iter().for_each(|origin| self.sim.partition(first, *origin));
            }
            Handover::Usurped => {
                self.orders.give(first, Order::LastTime);
                self.orders.give(second, Order::Publish(to));
            }
        }
    }

    /// Ends an encoder's process; what is sent of its going may arrive. It stays idle.
    fn kill_encoder(&mut self, encoder: Host) {
        self.orders.give(encoder, Order::LastTime);
        self.sim.crash(encoder);
        self.sim.bounce(encoder);
    }

    /// Ends an encoder's connection, which would hang; it does as it was told.
    fn reconnect(&mut self, encoder: Host) {
        self.sim.crash(encoder);
        self.sim.bounce(encoder);
    }

    fn others(&self, host: Host) -> Vec<Host> {
        let people = ENCODERS.into_iter().chain(VIEWERS.map(|(viewer, _)| viewer));
        let guests = self.schedule.layout.guests().iter().map(|(guest, _)| *guest);
        let all = self.schedule.layout.nodes().iter().copied().chain(people).chain(guests);
        all.filter(|other| *other != host).collect()
    }

    /// Undoes whatever is still wrong.
    fn heal(&mut self) {
        self.tell("everything is healed".to_owned());
        while !self.deeds.is_empty() {
            let deed = self.deeds.remove(0);
            self.perform(deed.what);
        }
        self.cast.run.weather.clear();
    }

    /// Lets the last publish end; tells how long its grace is, in ms.
    fn farewell(&mut self) -> u64 {
        self.tell(format!("{:?}", self.schedule.farewell));
        let (encoder, origin) = self.publishing;
        match self.schedule.farewell {
            Farewell::Goodbye => {
                self.orders.give(encoder, Order::Leave);
                return hosts::TIMES.end_grace_ms;
            }
            Farewell::EncoderDies => self.kill_encoder(encoder),
            Farewell::OriginDies => {
                self.crash(origin);
                self.kill_encoder(encoder);
                self.deeds.push(Deed { at_ms: self.now_ms() + 1_000, what: What::Start(origin) });
            }
            Farewell::OriginGone => {
                self.crash(origin);
                self.kill_encoder(encoder);
                return hosts::TIMES.reconnect_grace_ms + TTL.as_millis() as u64;
            }
        }
        hosts::TIMES.reconnect_grace_ms
    }

    fn tell(&self, line: String) {
        let now_ms = self.now_ms();
        self.cast.stage.with(|seen| seen.tell(now_ms, line));
    }

    fn finish(self, violation: Option<Violation>) -> Outcome {
        let lasted_ms = self.now_ms();
        let (run, stage) = (self.cast.run.clone(), self.cast.stage.clone());
        let digest = run.trace.digest_with(self.cast.disks.values().map(Disk::digest));
        drop(self);
        crowd::count(&stage);
        let (sometimes, story) =
            stage.with(|seen| (std::mem::take(&mut seen.sometimes), std::mem::take(&mut seen.story)));
        let waits = stage.with(|seen| seen.viewers.values().map(|shown| shown.longest_wait().0).max());
        let (trace, longest_wait_ms) = (run.trace.lines(), waits.unwrap_or_default());
        Outcome { violation, sometimes, digest, lasted_ms, longest_wait_ms, story, trace }
    }
}
