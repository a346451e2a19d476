//! What is live: the tracks that have viewers, and what the view says of channels.

mod follow;
pub(crate) mod playlist;
mod purge;
pub(crate) mod reload;
pub(crate) mod track;
mod window;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use freshet_proto::{
    id::{ChannelName, Epoch, NodeId, SessionId, TrackName},
    ordered,
    random::Random,
    view::{ChannelState, NodeState, View},
};
use tokio::sync::watch;

use self::track::{Track, Visit};
use crate::{
    cache::{Cache, Elsewhere, Plan},
    config::Config,
    stats::Stats,
    upstream::{Peer, Upstream},
};

pub(crate) struct Live {
    pub config: Config,
    /// Several requests of one connection may wait for it, and must wake in order.
    pub view: ordered::Receiver<Arc<View>>,
    pub cache: Arc<Cache>,
    pub stats: Arc<Stats>,
    upstream: Arc<dyn Upstream>,
    random: Random,
    tracks: RwLock<BTreeMap<(ChannelName, TrackName), Arc<Track>>>,
}

/// What the view says of a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub state: ChannelState,
    pub session: Option<SessionId>,
}

impl Live {
    pub(crate) fn new(
        config: Config,
        view: watch::Receiver<Arc<View>>,
        upstream: Arc<dyn Upstream>,
        random: Random,
        stats: Arc<Stats>,
    ) -> Arc<Self> {
        let view = ordered::Receiver::of(view);
        let elsewhere = Elsewhere::new(view.clone());
        let cache =
            Cache::new(config.cache.clone(), Arc::clone(&upstream), elsewhere, random.clone(), Arc::clone(&stats));
        let live = Arc::new(Self { config, view, cache, stats, upstream, random, tracks: RwLock::default() });
        tokio::spawn(purge::run(live.view.clone(), Arc::downgrade(&live)));
        live
    }

    /// What the view says of `channel`; `None` if there is no such channel.
    pub(crate) fn known(&self, channel: &ChannelName) -> Option<Known> {
        Known::of(&self.view.borrow(), channel)
    }

    /// How to fetch what was made in `epoch`, or else, of the session as a whole, from its newest origin.
    pub(crate) fn plan(&self, channel: &ChannelName, epoch: Option<Epoch>) -> Option<Plan> {
        let view = self.view.borrow();
        let channel = view.channels.get(channel)?;
        let origin = match epoch {
            Some(epoch) => channel.origin_of(epoch)?,
            None => channel.current()?.origin,
        };
        let node = view.nodes.get(&origin);
        let lost = node.is_some_and(|node| node.state == NodeState::Lost);
        Some(Plan { origin: node.map(Peer::of), lost, by_parts: false })
    }

    /// A track that is followed already.
    pub(crate) fn find(&self, channel: &ChannelName, track: TrackName) -> Option<Visit> {
        let tracks = self.tracks.read().unwrap_or_else(PoisonError::into_inner);
        // A tuple of references can't look into a map of tuples; the clone is of an `Arc`.
        tracks.get(&(channel.clone(), track)).map(Track::visit)
    }

    /// A track that is followed already, without counting as one who watches it.
    pub(crate) fn peek(&self, channel: &ChannelName, track: TrackName) -> Option<Arc<Track>> {
        let tracks = self.tracks.read().unwrap_or_else(PoisonError::into_inner);
        tracks.get(&(channel.clone(), track)).cloned()
    }

    /// A track, followed from now on if it was not. `None` when too many are.
    pub(crate) fn enter(self: &Arc<Self>, channel: &ChannelName, track: TrackName) -> Option<Visit> {
        if let Some(visit) = self.find(channel, track) {
            return Some(visit);
        }
        let mut tracks = self.tracks.write().unwrap_or_else(PoisonError::into_inner);
        let key = (channel.clone(), track);
        if let Some(track) = tracks.get(&key) {
            return Some(track.visit());
        }
        if tracks.len() >= self.config.follow.tracks {
            return None;
        }
        let new = Arc::new(Track::new(self, channel.clone(), track));
        tracks.insert(key, Arc::clone(&new));
        let visit = new.visit();
        tokio::spawn(follow::run(Arc::clone(self), new));
        Some(visit)
    }

    /// Forgets a track unless somebody is there; tells whether it did.
    fn leave(&self, track: &Track) -> bool {
        let mut tracks = self.tracks.write().unwrap_or_else(PoisonError::into_inner);
        let empty = track.is_empty();
        if empty {
            tracks.remove(&(track.channel.clone(), track.name));
        }
        empty
    }
}

impl Known {
    /// What `view` says of `channel`. Where all of it is purged, nothing is kept.
    pub(crate) fn of(view: &View, channel: &ChannelName) -> Option<Self> {
        let known = view.channels.get(channel)?;
        let purged = known.current().is_some_and(|current| is_purged(view, channel, current.epoch));
        let state = if purged { ChannelState::Idle } else { known.state };
        Some(Self { state, session: known.session })
    }
}

/// Whether what was published in `epoch` is refused everywhere.
pub(crate) fn is_purged(view: &View, channel: &ChannelName, epoch: Epoch) -> bool {
    let purged = view.annex.marks.of(channel).purged;
    purged > Epoch(0) && epoch <= purged
}

/// Where a node is.
fn peer(view: &View, node: NodeId) -> Option<Peer> {
    view.nodes.get(&node).map(Peer::of)
}
