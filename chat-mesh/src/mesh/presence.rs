//! Who reads a channel: hubs tell its home, which counts and tells them.
//!
//! What is told is forgotten after [`FORGET_MS`], so a hub that dies takes its readers with it, and a home that begins anew
//! knows all readers within [`TELL_MS`]. Users of a hub are those of its two latest rounds: a piece that is lost or on its
//! way takes nobody out of the count.

use std::collections::BTreeMap;

use freshet_proto::id::{ChannelName, NodeId};

use super::{Mesh, Message, Now, Output};
use crate::presence::{Chunk, Sketch};

/// How often hubs tell who reads, and homes count, in ms.
pub const TELL_MS: u64 = 2_000;

/// After how much silence what a hub told is forgotten, in ms.
const FORGET_MS: u64 = 6_000;

/// How often hubs are told a count that has not changed, in ms: the one before may be lost.
const AGAIN_MS: u64 = 10_000;

/// Who reads a channel of which this hub is the home.
#[derive(Debug)]
pub(super) struct Audience {
    counted_ms: u64,
    /// As many as there are members.
    hubs: BTreeMap<NodeId, Told>,
}

/// What a hub told of its readers.
#[derive(Debug, Default)]
struct Told {
    heard_ms: u64,
    latest: Round,
    before: Round,
    /// The count that it was told, and when.
    knows: Option<((u64, u64), u64)>,
}

/// What a hub told at one time.
#[derive(Debug, Default)]
struct Round {
    /// By its own clock; `None` before the first.
    at_ms: Option<u64>,
    connections: u32,
    users: Sketch,
}

impl Told {
    fn take(&mut self, at_ms: u64, connections: u32, users: &Chunk, now_ms: u64) {
        let at_ms = Some(at_ms);
        if at_ms > self.latest.at_ms {
            let next = Round { at_ms, connections, users: Sketch::default() };
            self.before = std::mem::replace(&mut self.latest, next);
        }
        let round = match at_ms {
            at_ms if at_ms == self.latest.at_ms => &mut self.latest,
            at_ms if at_ms == self.before.at_ms => &mut self.before,
            // Long overtaken; or the hub began anew, and what it was before is forgotten soon.
            _ => return,
        };
        round.users.take(users);
        self.heard_ms = now_ms;
    }
}

impl Audience {
    fn new(now_ms: u64) -> Self {
        Self { counted_ms: now_ms, hubs: BTreeMap::new() }
    }

    fn count(&self) -> (u64, u64) {
        let connections = self.hubs.values().map(|told| u64::from(told.latest.connections)).sum();
        let mut users = Sketch::default();
        for told in self.hubs.values() {
            users.merge(&told.latest.users);
            users.merge(&told.before.users);
        }
        // Who has just left is in the round before.
        (connections, users.count().min(connections))
    }

    /// Whom to tell what.
    fn tell(&mut self, now_ms: u64) -> Vec<(NodeId, (u64, u64))> {
        self.hubs.retain(|_, told| now_ms < told.heard_ms + FORGET_MS);
        if now_ms < self.counted_ms + TELL_MS {
            return Vec::new();
        }
        self.counted_ms = now_ms;
        let count = self.count();
        let is_new = |told: &Told| told.knows.is_none_or(|(known, at)| known != count || at + AGAIN_MS <= now_ms);
        let tell = self.hubs.iter_mut().filter(|(_, told)| is_new(told));
        tell.map(|(hub, told)| {
            told.knows = Some((count, now_ms));
            (*hub, count)
        })
        .collect()
    }
}

impl Mesh {
    /// Tells the home who reads a channel here.
    pub(super) fn readers(
        &mut self,
        now: Now,
        channel: ChannelName,
        connections: u32,
        users: &Sketch,
        out: &mut Vec<Output>,
    ) {
        let Some(home) = self.standing.home_of(&channel) else { return };
        for users in users.chunks() {
            let present = Message::Present { channel: channel.clone(), at_ms: now.mono_ms, connections, users };
            self.send(home, present, out);
        }
    }

    /// A hub has told who reads a channel there.
    pub(super) fn present(
        &mut self,
        now: Now,
        from: NodeId,
        channel: ChannelName,
        (at_ms, connections): (u64, u32),
        users: &Chunk,
    ) {
        if self.standing.home_of(&channel) != Some(self.standing.me()) || !self.standing.has(from) {
            return;
        }
        let audience = self.audiences.entry(channel).or_insert_with(|| Audience::new(now.mono_ms));
        if connections == 0 {
            audience.hubs.remove(&from);
        } else {
            audience.hubs.entry(from).or_default().take(at_ms, connections, users, now.mono_ms);
        }
    }

    /// The home has told how many there are.
    pub(super) fn counted(
        &mut self,
        now: Now,
        from: NodeId,
        channel: ChannelName,
        at_ms: u64,
        (connections, users): (u64, u64),
        out: &mut Vec<Output>,
    ) {
        if self.standing.home_of(&channel) != Some(from) {
            return;
        }
        let follower = self.channels.get_mut(&channel).and_then(|channel| channel.follower.as_mut());
        let Some(follower) = follower else { return };
        let is_old = follower.counted.is_some_and(|(home, told_ms, heard_ms)| {
            // One that began anew has another clock.
            home == from && at_ms <= told_ms && now.mono_ms < heard_ms + FORGET_MS
        });
        if !is_old {
            follower.counted = Some((from, at_ms, now.mono_ms));
            out.push(Output::Count { channel, connections, users });
        }
    }

    pub(super) fn sweep_audiences(&mut self, now: Now, out: &mut Vec<Output>) {
        let (standing, mut counts) = (&self.standing, Vec::new());
        self.audiences.retain(|channel, audience| {
            if standing.home_of(channel) != Some(standing.me()) {
                return false;
            }
            counts.extend(audience.tell(now.mono_ms).into_iter().map(|(hub, count)| (channel.clone(), hub, count)));
            !audience.hubs.is_empty()
        });
        for (channel, hub, (connections, users)) in counts {
            self.send(hub, Message::Count { channel, at_ms: now.mono_ms, connections, users }, out);
        }
    }
}
