//! What people say in the world, what they are told, and what everybody sees in the end.

use super::*;

impl World<'_> {
    /// Somebody says something somewhere.
    pub(super) fn say(&mut self) {
        if self.now_ms < self.plan.healed_ms + QUIET_MS {
            self.at(self.now_ms + 20 + self.random.below(120), Happening::Say);
        }
        let hub = self.random.below(self.plan.hubs as u64) as usize;
        if self.hubs[hub].as_ref().is_none_or(|hub| hub.leaves) {
            return;
        }
        self.said += 1;
        let post = people::draw(&self.random, hub, self.plan.channels, self.said, self.now_ms);
        self.submit(post);
    }

    /// The channel that nobody reads until the end.
    fn quiet(&self) -> ChannelName {
        people::channel(self.plan.channels)
    }

    /// Somebody says something where nobody reads, now and then, so that the channel rests in between.
    pub(super) fn murmur(&mut self) {
        if self.now_ms < self.plan.healed_ms + QUIET_MS - GATHER_MS {
            self.at(self.now_ms + MURMUR_MS + self.random.below(8_000), Happening::Murmur);
        }
        let hub = self.random.below(self.plan.hubs as u64) as usize;
        if self.hubs[hub].as_ref().is_none_or(|hub| hub.leaves) {
            return;
        }
        let resting = self.hubs.iter().flatten().any(|hub| hub.mesh.resting() > 0);
        self.sometimes.woken += u64::from(resting);
        self.said += 1;
        let mut post = people::draw(&self.random, hub, self.plan.channels, self.said, self.now_ms);
        post.submit.channel = self.quiet();
        self.submit(post);
    }

    pub(super) fn gather(&mut self) {
        for hub in 0..self.plan.hubs {
            self.input(hub, Input::Want(self.quiet()));
        }
    }

    pub(super) fn submit(&mut self, mut post: Post) -> u64 {
        self.count += 1;
        let ticket = self.count;
        if post.persists {
            self.at(self.now_ms + 3_000, Happening::Again(ticket));
        }
        let (hub, submit) = (post.hub, Box::new(post.submit.clone()));
        post.life = self.life(hub);
        self.posts.insert(ticket, post);
        self.input(hub, Input::Submit { ticket, submit });
        ticket
    }

    /// A client that has heard nothing goes to another hub that is there.
    pub(super) fn say_again(&mut self, ticket: u64) {
        let Some(mut post) = self.posts.remove(&ticket) else { return };
        // Longer than that, and homes have forgotten the nonce.
        if post.since_ms + 30_000 < self.now_ms {
            return;
        }
        // Its hub's process ended, and the answer with it; a real client hears of that by its socket.
        if self.life(post.hub) != post.life {
            post.kept_ms = self.now_ms;
        }
        let mut others = (1..=self.plan.hubs).map(|n| (post.hub + n) % self.plan.hubs);
        post.hub = others.find(|hub| self.hubs[*hub].is_some()).unwrap_or(post.hub);
        if self.bug == Some(Bug::NonceForgotten) {
            self.count += 1;
            let n = self.count;
            post.submit.nonce = Nonce::cut(&format!("{}x{n}", post.submit.nonce.as_str()));
        }
        self.sometimes.again += 1;
        self.submit(post);
    }

    pub(super) fn answer(&mut self, hub: usize, ticket: u64, answer: Answer) {
        if let Some((at, channel)) = self.last.get(&ticket).cloned() {
            match answer {
                Ok(_) => drop(self.last.remove(&ticket)),
                Err(refusal) if refusal.code == Code::Paused => self.judge.broke(Violation::Silent(channel, at)),
                Err(_) => drop(self.last.remove(&ticket)),
            }
            return;
        }
        let Some(post) = self.posts.remove(&ticket) else { return };
        match answer {
            Ok(accepted) => {
                self.sometimes.acked += 1;
                self.sometimes.alone += u64::from(self.control.is_out);
                // A command waits until it is stored.
                if accepted.done.is_none() && post.submit.channel != self.quiet() {
                    self.in_time(hub, self.now_ms - post.kept_ms);
                }
                if let Some(position) = accepted.position {
                    let origin =
                        Origin { login: post.submit.author.user.login.clone(), nonce: post.submit.nonce.clone() };
                    self.judge.acked(&post.submit.channel, position, origin);
                }
            }
            Err(_) => self.sometimes.refused += 1,
        }
    }

    /// How long a post may take while a single thing goes wrong.
    pub(super) fn in_time(&mut self, hub: usize, took_ms: u64) {
        if self.plan.kind == Kind::Wild || took_ms < 1_000 + 8 * self.plan.delay_ms {
            return;
        }
        let during = self
            .plan
            .faults
            .iter()
            .find(|fault| (fault.at_ms..fault.at_ms + fault.for_ms + 5_000).contains(&self.now_ms));
        match during.map(|fault| fault.what) {
            Some(What::Crash(other)) if other != hub && took_ms > FAILOVER_MS + 4 * self.plan.delay_ms => {
                self.judge.broke(Violation::Slow(took_ms, "when a hub died"));
            }
            Some(What::Outage | What::NewLeader) => {
                self.judge.broke(Violation::Slow(took_ms, "without a control plane"));
            }
            Some(What::Drain(other)) if other != hub => {
                self.judge.broke(Violation::Slow(took_ms, "when a hub was drained"))
            }
            None => self.judge.broke(Violation::Slow(took_ms, "although all was well")),
            _ => {}
        }
    }

    /// All is well for a while: everybody must be able to speak.
    pub(super) fn speak_last(&mut self) {
        for hub in 0..self.plan.hubs {
            for n in 0..=self.plan.channels {
                self.said += 1;
                let mut post = people::draw(&self.random, hub, self.plan.channels, self.said, self.now_ms);
                (post.submit.channel, post.persists) = (people::channel(n), false);
                let (channel, ticket) = (post.submit.channel.clone(), self.submit(post));
                if self.posts.remove(&ticket).is_some() {
                    self.last.insert(ticket, (hub, channel));
                }
            }
        }
    }

    pub(super) fn judge_end(&mut self) {
        if let Some((hub, channel)) = self.last.values().next().cloned() {
            self.judge.broke(Violation::Silent(channel, hub));
        }
        for n in 0..=self.plan.channels {
            let channel = people::channel(n);
            let mut seen: Vec<(usize, Vec<&Event>)> = Vec::new();
            for (hub, slot) in self.hubs.iter().enumerate() {
                let follower = slot.as_ref().and_then(|slot| slot.mesh.follower(&channel));
                match follower.filter(|follower| follower.is_current()) {
                    Some(follower) => {
                        seen.push((hub, follower.state().history().iter().map(|event| &**event).collect()));
                    }
                    None => self.judge.broke(Violation::Unlike(channel.clone(), hub)),
                }
            }
            self.judge.end(&channel, &seen);
            if channel == self.quiet() {
                continue;
            }
            let readers = (0..self.plan.hubs as u64).map(|hub| hub + 2).sum();
            let all = (readers, self.plan.hubs as u64 + 1);
            for (hub, slot) in self.hubs.iter().enumerate() {
                let count = slot.as_ref().and_then(|slot| slot.counts.get(&channel));
                if count != Some(&all) {
                    self.judge.broke(Violation::Miscounted(channel.clone(), hub));
                }
            }
        }
    }
}
