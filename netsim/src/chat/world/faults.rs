//! What goes wrong in the world, and how it is put right.

use super::*;

impl World<'_> {
    pub(super) fn begin(&mut self, n: usize) {
        let what = self.plan.faults[n].what;
        self.active.insert(n);
        self.tell(format!("begins: {what:?}"));
        match what {
            What::Crash(hub) => {
                self.hubs[hub] = None;
                for other in 0..self.hubs.len() {
                    self.lanes.cut((hub, other));
                    self.lanes.cut((other, hub));
                    if let Some(life) = self.life(other) {
                        let down = Input::LinkDown(Self::id(hub));
                        self.at(self.now_ms + self.random.below(5_000), Happening::Input(other, life, Box::new(down)));
                    }
                }
                self.posts.retain(|_, post| post.hub != hub || post.persists);
            }
            What::Pause(hub) => {
                if let Some(hub) = &mut self.hubs[hub] {
                    hub.backlog.get_or_insert_default();
                }
            }
            What::Outage | What::Restore => self.control.is_out = true,
            What::NewLeader => self.control.new_leader(self.now_ms),
            What::Drain(hub) => {
                self.input(hub, Input::Leave);
                if let Some(slot) = &mut self.hubs[hub] {
                    slot.leaves = true;
                    if self.reaches_control(hub) && !self.control.is_out {
                        self.control.leave(Self::id(hub));
                        self.members();
                    }
                }
            }
            What::Jump(hub, ms) => {
                if let Some(hub) = &mut self.hubs[hub] {
                    hub.skew_ms += ms;
                }
            }
            What::Alone(_) | What::NoControl(_) | What::Apart(..) => {}
        }
        self.weather();
    }

    pub(super) fn end(&mut self, n: usize) {
        let what = self.plan.faults[n].what;
        self.active.remove(&n);
        self.tell(format!("ends: {what:?}"));
        match what {
            What::Crash(hub) if self.hubs[hub].is_none() && !self.holds(|what| what == What::Crash(hub)) => {
                self.start(hub);
                self.tell_members(hub, self.control.members.clone());
            }
            What::Drain(hub) => {
                // As after a restart.
                self.begin_again(hub);
            }
            What::Pause(hub) if !self.holds(|what| what == What::Pause(hub)) => {
                let backlog = self.hubs[hub].as_mut().and_then(|hub| hub.backlog.take());
                backlog.into_iter().flatten().for_each(|input| self.input(hub, input));
            }
            What::Restore => {
                self.control.is_out = false;
                self.control.begin_anew();
            }
            What::Outage if !self.holds(|what| what == What::Outage) => {
                self.control.is_out = false;
                self.control.new_leader(self.now_ms);
            }
            _ => {}
        }
        self.weather();
        let members = self.control.members.clone();
        (0..self.hubs.len()).for_each(|hub| self.tell_members(hub, members.clone()));
    }

    pub(super) fn begin_again(&mut self, hub: usize) {
        if self.hubs[hub].as_ref().is_some_and(|hub| hub.leaves) {
            self.posts.retain(|_, post| post.hub != hub || post.persists);
            for other in 0..self.hubs.len() {
                self.lanes.cut((hub, other));
                self.lanes.cut((other, hub));
            }
            self.start(hub);
            self.tell_members(hub, self.control.members.clone());
        }
    }

    /// Lets through what comes through now, and nothing else.
    pub(super) fn weather(&mut self) {
        for a in 0..self.hubs.len() {
            for b in (0..self.hubs.len()).filter(|b| *b != a) {
                if self.are_apart(a, b) {
                    self.lanes.block((a, b), self.now_ms);
                    continue;
                }
                for message in self.lanes.heal((a, b)) {
                    self.send(a, b, message);
                }
            }
        }
    }

    /// Links end that were blocked for long, and are made again.
    pub(super) fn links(&mut self) {
        for (a, b) in self.lanes.end_idle(self.now_ms) {
            self.lanes.cut((b, a));
            for (hub, peer) in [(a, b), (b, a)] {
                if let Some(life) = self.life(hub) {
                    self.at(self.now_ms + 1, Happening::Input(hub, life, Box::new(Input::LinkDown(Self::id(peer)))));
                }
            }
        }
        for a in 0..self.hubs.len() {
            for b in a + 1..self.hubs.len() {
                let (Some(of_a), Some(of_b)) = (self.life(a), self.life(b)) else { continue };
                if self.are_apart(a, b) || !self.lanes.wants_link((a, b)) && !self.lanes.wants_link((b, a)) {
                    continue;
                }
                self.lanes.up((a, b));
                self.lanes.up((b, a));
                let at = self.now_ms + self.delay();
                self.at(at, Happening::Input(a, of_a, Box::new(Input::LinkUp(Self::id(b)))));
                let at = self.now_ms + self.delay();
                self.at(at, Happening::Input(b, of_b, Box::new(Input::LinkUp(Self::id(a)))));
            }
        }
        self.at(self.now_ms + 100, Happening::Links);
    }
}
