//! What the world and its hosts share: who saw what, checked as it comes.
//!
//! Hosts report to it from inside the simulation; the world looks at it after every step.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use freshet_control_plane::feed::{Feed, Since};
use freshet_edge::Edge;
use freshet_media::playlist::read::Media;
use freshet_origin::Origin;
use freshet_proto::{
    id::{Epoch, NodeId},
    object::ObjectName,
    registry::Claimed,
    view::{ChannelState, ChannelView, NodeState, Position, View},
};
use tokio::sync::watch::Receiver;

use crate::{
    controls::Controls,
    graces::Graces,
    invariants::{Rule, Violation},
    ledger::{Broken, Carrier, Ledger, Life},
    schedule::Host,
    shown::Shown,
    sometimes::{Situation, Sometimes},
    tokens::Tokens,
};

/// How many fills, held requests and followed tracks an edge of the simulation may have: few, so that it shows.
pub const EDGE_BOUND: usize = 8;
/// How many bytes an origin of the simulation keeps of one session.
pub const WINDOW_BOUND: u64 = 1 << 20;

/// The stage of one run. Cheap to clone; clones are one stage.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<Seen>>);

/// Everything that was seen.
#[derive(Default)]
pub struct Seen {
    /// Objects and their transfers.
    pub ledger: Ledger,
    /// What each viewer was shown.
    pub viewers: BTreeMap<Host, Shown>,
    /// What came up.
    pub sometimes: Sometimes,
    /// The first promise that was broken.
    pub violation: Option<Violation>,
    /// What happened, for people to read.
    pub story: Vec<String>,
    /// The registry's feed, while it lives and after.
    pub feed: Option<Feed>,
    /// The control nodes, where there are any.
    pub controls: Controls,
    /// Tokens, and what they are made with, on a platform.
    pub tokens: Tokens,
    /// Whether graces last, on a platform.
    graces: Graces,
    /// What a platform's origins and edges know, or knew last: it outlives them, as on a disk.
    pub views: BTreeMap<Host, Receiver<Arc<View>>>,
    /// How often an origin has heard no encoder for so long that what comes after is a discontinuity.
    pub stalls: usize,
    /// What a platform's origins drew for their present lives, or for their last.
    pub lives: BTreeMap<Host, u64>,
    /// Origins that ran and counted as lost.
    lost: BTreeSet<NodeId>,
    /// The edges that run or ran last, and their views.
    pub edges: BTreeMap<Host, (Edge, Receiver<Arc<View>>)>,
    /// The origins that run or ran last.
    pub origins: BTreeMap<Host, Origin>,
    /// What the registry published, by revision.
    published: BTreeMap<u64, Arc<View>>,
    acknowledged: Epoch,
    /// When faults end, in ms.
    pub heal_ms: u64,
    /// Who owns each epoch.
    owners: BTreeMap<Epoch, NodeId>,
    /// The current epoch and since when, in ms.
    current: Option<(Epoch, u64)>,
    /// Which edges are behind it, and have been told of.
    behind: BTreeMap<Host, Epoch>,
}

fn now_ms() -> u64 {
    turmoil::sim_elapsed().unwrap_or_default().as_millis() as u64
}

impl Stage {
    /// Looks at what was seen, or adds to it.
    pub fn with<T>(&self, work: impl FnOnce(&mut Seen) -> T) -> T {
        work(&mut self.seen())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came up.
    pub fn note(&self, situation: Situation) {
        self.seen().sometimes.note(situation);
    }

    /// Something for the story.
    pub fn tell(&self, line: impl FnOnce() -> String) {
        self.seen().tell(now_ms(), line());
    }

    /// Takes the outcome of a check.
    pub fn check(&self, checked: Result<(), Broken>) {
        self.seen().check(now_ms(), checked);
    }

    /// An object came whole to an edge.
    pub fn arrived(&self, edge: Life, by: Carrier, fetched: bool, name: &ObjectName, bytes: &Bytes) {
        let (mut seen, now_ms) = (self.seen(), now_ms());
        let superseded = seen.current.is_some_and(|(epoch, since)| name.epoch < epoch && now_ms > since + 500);
        if superseded && !fetched {
            seen.sometimes.note(Situation::Zombie);
        }
        let checked = seen.ledger.arrived(edge, by, fetched, name, bytes);
        seen.check(now_ms, checked);
    }

    /// A viewer was shown a playlist.
    pub fn playlist(&self, viewer: Host, media: &Media) {
        let (mut seen, now_ms) = (self.seen(), now_ms());
        if media.ended && now_ms < seen.heal_ms {
            seen.sometimes.note(Situation::EndedEarly);
        }
        let may_return = seen.controls.unanswered + seen.stalls;
        let shown = seen.viewers.entry(viewer).or_default();
        let checked = shown.playlist(media, may_return).map_err(|(rule, what)| (rule, format!("{viewer}: {what}")));
        seen.check(now_ms, checked);
    }

    /// A viewer got a part that it had not had, or another object.
    pub fn object(&self, viewer: Host, edge: Host, name: &ObjectName, bytes: &Bytes, is_new_part: bool) {
        let (mut seen, now_ms) = (self.seen(), now_ms());
        let checked = seen.ledger.shown(edge, name, bytes);
        seen.check(now_ms, checked);
        if is_new_part {
            if seen.controls.none_since.is_some_and(|since| now_ms > since + 500) {
                seen.sometimes.note(Situation::NoControl);
            }
            seen.viewers.entry(viewer).or_default().part(now_ms);
        }
    }

    /// The registry acknowledged a claim.
    pub fn acknowledged(&self, origin: Option<NodeId>, claimed: &Claimed) {
        let (mut seen, now_ms) = (self.seen(), now_ms());
        let (epoch, before) = (claimed.epoch, seen.acknowledged);
        let line = format!("claimed: epoch {epoch} of session {}, msn from {}", claimed.session, claimed.msn_base);
        seen.tell(now_ms, line);
        // Where several control nodes answer, an answer that was lost comes again, and may come late.
        if !seen.controls.seats.is_empty() {
            let granted = origin.map_or(Ok(()), |origin| seen.controls.granted(origin, claimed));
            let newest = seen.published.values().next_back().cloned();
            let kept = newest.map_or(Ok(()), |newest| seen.controls.kept(&newest));
            seen.check(now_ms, granted.and(kept));
        } else if epoch <= before {
            seen.check(now_ms, Err((Rule::I5, format!("a claim got epoch {epoch} after epoch {before}"))));
        }
        seen.acknowledged = epoch.max(before);
    }

    /// The registry opened with what was on its disk.
    pub fn opened(&self, feed: &Feed) {
        let (mut seen, now_ms) = (self.seen(), now_ms());
        let view = feed.view().borrow().clone();
        let last = seen.published.keys().next_back().copied().unwrap_or_default().max(seen.acknowledged.0);
        if view.revision < last {
            let what = format!("the registry opened at revision {}; it had answered at {last}", view.revision);
            seen.check(now_ms, Err((Rule::I5, what)));
        }
        seen.feed = Some(feed.clone());
    }

    /// Looks at the registry, the edges and the origins after a step.
    pub fn look(&self, now_ms: u64) {
        self.seen().look(now_ms);
    }
}

impl Seen {
    fn check(&mut self, at_ms: u64, checked: Result<(), Broken>) {
        if let Err((rule, what)) = checked
            && self.violation.is_none()
        {
            self.violation = Some(Violation { at_ms, rule, what });
        }
    }

    /// Something for the story.
    pub fn tell(&mut self, now_ms: u64, line: String) {
        self.story.push(format!("{:>9.3} {line}", now_ms as f64 / 1000.0));
    }

    /// The channel as the registry last published it.
    pub fn channel(&self) -> Option<ChannelView> {
        let view = self.published.values().next_back()?;
        view.channels.values().next().cloned()
    }

    fn look(&mut self, now_ms: u64) {
        if let Some(view) = self.feed.as_ref().map(|feed| feed.view().borrow().clone()) {
            self.publish(now_ms, view);
        }
        let looked = self.controls.look();
        self.check(now_ms, looked);
        self.graces.led(now_ms, self.controls.keeps_graces());
        for view in self.controls.views().into_iter().filter(|view| view.cluster != 0) {
            self.publish(now_ms, view);
        }
        self.leases();
        let views: Vec<_> = self.edges.iter().map(|(host, (_, view))| (*host, view.borrow().clone())).collect();
        // Without a registry there is none to agree with.
        for (host, view) in views.into_iter().filter(|(_, view)| view.cluster != 0) {
            self.follow(now_ms, host, &view);
        }
        self.bounds(now_ms);
    }

    /// Whoever keeps the registry says the same of the same revision, the current epoch's origin above all.
    fn publish(&mut self, now_ms: u64, view: Arc<View>) {
        match self.published.get(&view.revision) {
            Some(known) if Arc::ptr_eq(known, &view) || **known == *view => return,
            Some(_) => {
                let what = format!("the registry published two views of revision {}", view.revision);
                self.check(now_ms, Err((Rule::I5, what)));
            }
            None => {}
        }
        let kept = self.controls.kept(&view);
        self.check(now_ms, kept);
        let revision = view.revision;
        let channel = view.channels.values().next().cloned();
        let came_up = self.tokens.publish(now_ms, &view.annex);
        came_up.into_iter().for_each(|situation| self.sometimes.note(situation));
        self.published.insert(revision, view);
        let Some(channel) = channel else { return };
        for epoch in &channel.epochs {
            let owner = *self.owners.entry(epoch.epoch).or_insert(epoch.origin);
            if owner != epoch.origin {
                let what = format!("epoch {} has two owners, {owner} and {}", epoch.epoch, epoch.origin);
                self.check(now_ms, Err((Rule::I1, what)));
            }
        }
        if self.published.keys().next_back() != Some(&revision) {
            return;
        }
        if now_ms < self.heal_ms {
            let lasted = self.graces.look(now_ms, &channel);
            self.check(now_ms, lasted);
        }
        let epochs: Vec<_> = channel.epochs.iter().map(|e| format!("{} at {}", e.epoch, e.origin)).collect();
        self.tell(now_ms, format!("revision {revision}: {:?}, epochs {epochs:?}", channel.state));
        let current = channel.current().map(|current| current.epoch);
        if current != self.current.map(|(epoch, _)| epoch) {
            self.current = current.map(|epoch| (epoch, now_ms));
            if let [.., before, last] = channel.epochs[..]
                && before.origin != last.origin
            {
                self.sometimes.note(Situation::TookOverElsewhere);
            }
        }
    }

    /// Origins that run and count as lost, and those that are live again after that.
    fn leases(&mut self) {
        let Some(view) = self.published.values().next_back() else { return };
        for (id, node) in &view.nodes {
            let runs = self.origins.keys().any(|host| *host == node.server_name);
            if runs && node.state == NodeState::Lost {
                self.lost.insert(*id);
            }
        }
        let live = view.channels.values().filter(|channel| channel.state == ChannelState::Live);
        let at = live.filter_map(ChannelView::current).next().map(|current| current.origin);
        let active = |id: &NodeId| view.nodes.get(id).is_some_and(|node| node.state == NodeState::Active);
        if let Some(origin) = at.filter(active)
            && self.lost.remove(&origin)
        {
            self.sometimes.note(Situation::LeaseLostAndBack);
        }
    }

    /// A view says of a revision what the registry said.
    fn follow(&mut self, now_ms: u64, host: Host, view: &Arc<View>) {
        let known = self.published.get(&view.revision).filter(|known| *known != view);
        if known.is_some_and(|known| !is_same_but_for_annex(view, known)) || !self.published_annex(view) {
            let what = format!("{host} has a view of revision {} that the registry never published", view.revision);
            self.check(now_ms, Err((Rule::I5, what)));
        }
        let followed = self.tokens.follow(now_ms, host, &view.annex);
        self.check(now_ms, followed);
        let knows = view.channels.values().next().and_then(ChannelView::current).map(|current| current.epoch);
        if let (Some((epoch, since)), Some(knows)) = (self.current, knows)
            && knows < epoch
            && now_ms > since + 1_000
            && self.behind.insert(host, epoch) != Some(epoch)
        {
            self.sometimes.note(Situation::EpochWhileParted);
        }
    }

    /// Whether the registry said each part of a view's annex of the revision that it is of.
    fn published_annex(&self, view: &View) -> bool {
        view.annex.parts().into_iter().enumerate().all(|(n, part)| {
            let after = self.published.range(part.revision()..).next().map(|(_, known)| known.annex.parts()[n].clone());
            after.is_none_or(|known| known.revision() != part.revision() || known == part)
        })
    }

    fn bounds(&mut self, now_ms: u64) {
        let mut over = Vec::new();
        for (host, (edge, _)) in &self.edges {
            let stats = edge.stats();
            let levels = [("held requests", &stats.held), ("fills", &stats.fills), ("follows", &stats.follows)];
            let beyond = levels.iter().filter(|(_, level)| level.get() > EDGE_BOUND as u64);
            over.extend(beyond.map(|(name, level)| format!("{host} has {} {name}", level.get())));
        }
        for (host, origin) in &self.origins {
            let (bytes, most) = (origin.window_bytes(), WINDOW_BOUND * 2);
            over.extend((bytes > most).then(|| format!("{host} keeps {bytes} bytes of its windows")));
        }
        for feed in self.feed.iter().chain(self.controls.seats.values().map(|seat| &seat.feed)) {
            let cluster = feed.view().borrow().cluster;
            if let Since::Deltas(deltas) = feed.since(Some(Position { cluster, revision: 0 }))
                && deltas.len() > Feed::MAX_DELTAS
            {
                over.push(format!("the feed keeps {} changes", deltas.len()));
            }
        }
        if let Some(what) = over.pop() {
            self.check(now_ms, Err((Rule::I8, what)));
        }
    }
}

/// Who was removed and the annex travel beside the view, a moment later.
fn is_same_but_for_annex(one: &View, other: &View) -> bool {
    (one.cluster, &one.channels, &one.nodes) == (other.cluster, &other.channels, &other.nodes)
}
