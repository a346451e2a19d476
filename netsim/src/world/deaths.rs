//! How hosts die and come back: at a time, while they write, while somebody asks them.

use std::time::Duration;

use super::{Deed, What, World};
use crate::{
    disk::{Disk, SYNC},
    schedule::{CONTROLS, Fault, Host, LEADER, Layout},
    sometimes::Situation,
};

impl World<'_> {
    pub(super) fn crash(&mut self, host: Host) {
        if !self.down.insert(host) {
            return;
        }
        let controls = self.cast.layout == Layout::Platform && CONTROLS.contains(&host);
        let claims = self.cast.stage.with(|seen| seen.controls.claiming > 0 && seen.controls.leader() == Some(host));
        if controls && claims {
            self.cast.stage.note(Situation::LeaderKilledClaiming);
        }
        if self.cast.run.offset_ms(host) != self.cast.run.offset_read_ms(host) {
            self.cast.stage.note(Situation::ClockJumped);
        }
        // The disk first: what the host writes while it is torn down is not written any more.
        if self.cast.disk(host).map_or(0, Disk::crash) > 0 {
            self.cast.stage.note(Situation::UnsyncedLost);
            self.forgetful.extend(controls.then_some(host));
        }
        self.sim.crash(host);
        self.count_controls();
    }

    pub(super) fn start(&mut self, host: Host) {
        if self.down.remove(&host) {
            self.sim.bounce(host);
            if self.forgetful.remove(&host) {
                self.cast.stage.note(Situation::ControlLostBytes);
            }
            self.count_controls();
        }
    }

    /// Tells the stage when no control node is left.
    fn count_controls(&self) {
        let (none, now_ms) = (CONTROLS.iter().all(|host| self.down.contains(host)), self.now_ms());
        self.cast.stage.with(|seen| {
            let since = seen.controls.none_since;
            seen.controls.none_since = none.then(|| since.unwrap_or(now_ms));
        });
    }

    /// Who leads, or did last as far as can be told.
    fn leader(&self) -> Host {
        self.cast.stage.with(|seen| seen.controls.leader()).unwrap_or(CONTROLS[0])
    }

    /// The fault with a host in place of [`LEADER`].
    pub(super) fn resolved(&self, fault: Fault) -> Fault {
        let at = |host| if host == LEADER { self.leader() } else { host };
        match fault {
            Fault::Bad(a, b, link) => Fault::Bad(at(a), at(b), link),
            Fault::Part(a, b) => Fault::Part(at(a), at(b)),
            Fault::Isolate(host) => Fault::Isolate(at(host)),
            Fault::Pause(host) => Fault::Pause(at(host)),
            Fault::Crash(host) => Fault::Crash(at(host)),
            Fault::Clock(host, by_ms) => Fault::Clock(at(host), by_ms),
            Fault::Skew(host, by_ms) => Fault::Skew(at(host), by_ms),
            Fault::SlowDisk(host, ms) => Fault::SlowDisk(at(host), ms),
            other => other,
        }
    }

    /// A consensus is told of each sync before time goes on, so that its machine has to die within one.
    pub(super) fn arm(&mut self) {
        let registry = self.schedule.layout.registry();
        let host = if registry == LEADER { self.leader() } else { registry };
        self.caught_writing = Some(host);
        if let Some(disk) = self.cast.disk(host).filter(|_| registry == LEADER) {
            disk.die_in_sync(true);
        }
    }

    pub(super) fn disarm(&mut self) {
        if let Some(disk) = self.caught_writing.take().and_then(|host| self.cast.disk(host)) {
            disk.die_in_sync(false);
        }
    }

    /// How long syncs of the host's disk take; as long as ever, if not said.
    pub(super) fn set_sync(&self, host: Host, takes: Option<Duration>) {
        if let Some(disk) = self.cast.disk(host) {
            disk.set_sync(takes.unwrap_or(SYNC));
        }
    }

    pub(super) fn catch_writing(&mut self) {
        let Some(host) = self.caught_writing.filter(|host| !self.down.contains(host)) else { return };
        let (unsynced, dead) = self.cast.disk(host).map_or((0, false), |disk| (disk.unsynced(), disk.is_dead()));
        let caught = if CONTROLS.contains(&host) { dead } else { unsynced > 0 };
        if caught {
            self.caught_writing = None;
            self.tell(format!("{host} is killed while {unsynced} bytes are not synced"));
            self.kill_for_a_second(host);
        }
    }

    pub(super) fn catch_claiming(&mut self) {
        if self.caught_claiming && self.cast.stage.with(|seen| seen.controls.claiming > 0) {
            self.caught_claiming = false;
            let leader = self.leader();
            self.tell(format!("{leader} is killed while a claim is under way"));
            self.kill_for_a_second(leader);
        }
    }

    fn kill_for_a_second(&mut self, host: Host) {
        self.crash(host);
        self.deeds.push(Deed { at_ms: self.now_ms() + 1_000, what: What::Start(host) });
    }
}
