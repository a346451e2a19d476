//! Takes the window of a session over from the origin that had it.
//!
//! ```text
//! Claimed.prior ─┬─ FETCH index, playlists ─▶ the prior origin ─┐
//!                └─ the same ───────────────▶ edges ────────────┴─▶ Inherited ──▶ House::enter
//! ```
//! The prior origin's word is the last one: it answers another origin once the view has told it to stop. Where it is
//! dead, the newest playlist of each track that any edge shows is gone on with, if it is of the prior publish: an older
//! one might set numbers back. An edge has the tracks that somebody watches there; one that nobody has is gone on with as
//! gaps ([`Inherited`]). Where there is no track at all, the session goes on at the registry's msn base with an empty
//! window, after a discontinuity.
//!
//! The encoder waits for its answer meanwhile, for [`PATIENCE`] at most.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use freshet_media::{
    frame::TrackId,
    playlist::{
        inherit::{Inherited, InheritedTrack},
        read::MAX_BYTES,
    },
};
use freshet_proto::{
    id::{ChannelName, Epoch, Msn, NodeId, TrackName},
    message::{FetchReply, FetchStatus, Request},
    object::{Object, ObjectName, ResourceName},
    quic::{Pool, QuicError},
    registry::Claimed,
    view::{NodeView, Role},
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tracing::{info, warn};

use crate::{
    Inner,
    live::{track_id, track_name},
};

/// How long a takeover may take in all. An encoder gives up after several seconds.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1000);

/// How long the prior origin is waited for before what edges have is taken.
const PRIOR_PATIENCE: Duration = Duration::from_millis(700);

/// How long edges are waited for; what is left of [`PATIENCE`] is for looking after what they said.
const EDGE_PATIENCE: Duration = Duration::from_millis(700);

/// The most edges that are asked: beyond it those with the greatest numbers are not.
const MOST_EDGES: usize = 32;

/// The longest header of a reply: that of a segment with a list of parts, which is not asked for, would be longer.
const MAX_HEADER: usize = 64 << 10;

/// Another node.
#[derive(Debug, Clone)]
struct Peer {
    addr: SocketAddr,
    name: String,
}

/// What one node has of the session.
#[derive(Debug, Default)]
struct Left {
    index: Option<Bytes>,
    tracks: Vec<InheritedTrack>,
}

impl Left {
    /// Which tracks the session has; `None` where nobody knows.
    fn named(&self) -> Option<Vec<TrackId>> {
        Inherited::tracks(self.index.as_ref()?).ok()
    }

    /// Of the session's tracks, those that are not here.
    fn lacks(&self) -> Vec<TrackId> {
        let has = |id: &TrackId| self.tracks.iter().any(|track| track.track() == *id);
        self.named().unwrap_or_default().into_iter().filter(|id| !has(id)).collect()
    }

    fn is_whole(&self) -> bool {
        self.named().is_some() && self.lacks().is_empty()
    }

    /// This, and from `other` what it lacks.
    fn or(mut self, other: Self) -> Self {
        self.index = self.index.or(other.index);
        for track in other.tracks {
            if self.tracks.iter().all(|known| known.track() != track.track()) {
                self.tracks.push(track);
            }
        }
        self
    }
}

/// Asks other nodes about one channel.
#[derive(Debug, Clone)]
struct Asker {
    pool: Pool,
    channel: ChannelName,
}

impl Inner {
    /// The window that the publish before `claimed` left, where this origin does not hold it itself. `None` where there
    /// is none to be had.
    pub(crate) async fn inherit(&self, claimed: &Claimed) -> Option<Inherited> {
        let (epoch, origin) = claimed.prior?;
        let pool = self.pool.get().filter(|_| !self.house.holds(claimed))?;
        let asker = Asker { pool: pool.clone(), channel: claimed.channel.clone() };
        let (prior, edges) = self.holders(origin);
        let from_prior = async {
            let Some(prior) = prior else { return Left::default() };
            timeout(PRIOR_PATIENCE, asker.last_word(prior, epoch)).await.unwrap_or_default()
        };
        let from_edges = async { timeout(PATIENCE, asker.newest(edges, epoch)).await.unwrap_or_default() };
        tokio::pin!(from_prior, from_edges);
        let left = tokio::select! {
            biased;
            left = &mut from_prior => if left.is_whole() { left } else { left.or(from_edges.await) },
            left = &mut from_edges => from_prior.await.or(left),
        };
        let found = asker.put_together(left);
        let Claimed { channel, session, .. } = claimed;
        match &found {
            Some(found) => {
                info!(%channel, %session, %epoch, next = found.next_msn(), "a session's window is taken over")
            }
            None => warn!(%channel, %session, %epoch, base = %claimed.msn_base, "a session goes on without its window"),
        }
        found
    }

    /// The prior origin, unless it was this one, and the edges that are asked.
    fn holders(&self, origin: NodeId) -> (Option<Peer>, Vec<Peer>) {
        let view = self.view.borrow();
        let prior = view.nodes.get(&origin).filter(|_| origin != self.me).map(Peer::of);
        let edges = view.nodes.values().filter(|node| node.role == Role::Edge).map(Peer::of);
        (prior, edges.take(MOST_EDGES).collect())
    }
}

impl Peer {
    fn of(node: &NodeView) -> Self {
        Self { addr: node.quic, name: node.server_name.clone() }
    }
}

impl Asker {
    /// What the prior origin left. It may itself not have got further than to take over from another.
    async fn last_word(&self, peer: Peer, prior: Epoch) -> Left {
        let left = self.clone().ask(peer).await;
        let belongs = left.tracks.iter().all(|track| track.newest().0 <= prior.0);
        if belongs { left } else { Left::default() }
    }

    /// The newest of what `edges` show of the publish `prior`.
    async fn newest(&self, edges: Vec<Peer>, prior: Epoch) -> Left {
        let mut index = None;
        let mut newest: BTreeMap<TrackName, (InheritedTrack, Peer)> = BTreeMap::new();
        for (peer, left) in self.ask_all(edges).await {
            index = index.or(left.index);
            for track in left.tracks.into_iter().filter(|track| track.newest().0 == prior.0) {
                let best = newest.get(&track_name(track.track()));
                if best.is_none_or(|(best, _)| best.newest() < track.newest()) {
                    newest.insert(track_name(track.track()), (track, peer.clone()));
                }
            }
        }
        Left { index, tracks: self.look_after(newest.into_values().collect()).await }
    }

    fn put_together(&self, left: Left) -> Option<Inherited> {
        if left.tracks.is_empty() {
            return None;
        }
        for track in left.lacks() {
            warn!(channel = %self.channel, %track, "nobody has this track of a session that is taken over");
        }
        let refused = |why: &_| warn!(channel = %self.channel, %why, "what other nodes have of a session is no use");
        Inherited::new(left.index?, left.tracks).inspect_err(refused).ok()
    }

    /// What each of `peers` has, in their order, as far as they answer in time.
    async fn ask_all(&self, peers: Vec<Peer>) -> Vec<(Peer, Left)> {
        let until = Instant::now() + EDGE_PATIENCE;
        let mut asked = JoinSet::new();
        for (n, peer) in peers.into_iter().enumerate() {
            let asker = self.clone();
            asked.spawn(async move { (n, (peer.clone(), asker.ask(peer).await)) });
        }
        let mut answers = BTreeMap::new();
        while let Ok(Some(answer)) = timeout_at(until, asked.join_next()).await {
            answers.extend(answer);
        }
        answers.into_values().collect()
    }

    async fn ask(self, peer: Peer) -> Left {
        let index = self.fetch(&peer, ResourceName::Index(self.channel.clone())).await;
        let named = index.as_ref().and_then(|index| Inherited::tracks(index).ok());
        let names = named.map_or(vec![TrackName::V0, TrackName::A0], |all| all.into_iter().map(track_name).collect());
        let mut asked = JoinSet::new();
        for name in names {
            let (asker, peer) = (self.clone(), peer.clone());
            asked.spawn(async move { asker.track(&peer, name).await });
        }
        Left { index, tracks: asked.join_all().await.into_iter().flatten().collect() }
    }

    async fn track(&self, peer: &Peer, name: TrackName) -> Option<InheritedTrack> {
        let text = self.fetch(peer, ResourceName::Playlist(self.channel.clone(), name)).await?;
        let refused =
            |why: &_| warn!(channel = %self.channel, peer = peer.name, %why, "a playlist can't be taken over");
        InheritedTrack::read(track_id(name), &text).inspect_err(refused).ok()
    }

    /// Makes a gap of a segment in progress whose parts can't all be had where its playlist came from.
    async fn look_after(&self, tracks: Vec<(InheritedTrack, Peer)>) -> Vec<InheritedTrack> {
        let mut asked = JoinSet::new();
        for (mut track, peer) in tracks {
            let asker = self.clone();
            asked.spawn(async move {
                if !asker.has_unfinished(&track, &peer).await {
                    track.lose_unfinished();
                }
                track
            });
        }
        asked.join_all().await
    }

    async fn has_unfinished(&self, track: &InheritedTrack, peer: &Peer) -> bool {
        let Some(unfinished) = track.unfinished() else { return true };
        let mut asked = JoinSet::new();
        for part in unfinished.parts {
            let object = Object::Part(Msn(unfinished.msn), part);
            let (channel, track) = (self.channel.clone(), track_name(track.track()));
            let name = ObjectName { channel, epoch: Epoch(unfinished.epoch), track, object };
            let (asker, peer) = (self.clone(), peer.clone());
            // Only the header is read: nothing is kept of what viewers have at their edges.
            asked.spawn(async move { asker.open(&peer, name.into()).await.is_ok_and(|(reply, _)| is_found(&reply)) });
        }
        asked.join_all().await.into_iter().all(|has| has)
    }

    /// A text of at most [`MAX_BYTES`].
    async fn fetch(&self, peer: &Peer, name: ResourceName) -> Option<Bytes> {
        let (reply, mut reader) = self.open(peer, name).await.ok()?;
        if !is_found(&reply) || reply.length > MAX_BYTES as u64 {
            return None;
        }
        let bytes = reader.read_payload(reply.length).await.ok()?;
        reader.expect_end().await.ok().map(|()| bytes)
    }

    async fn open(
        &self,
        peer: &Peer,
        name: ResourceName,
    ) -> Result<(FetchReply, freshet_proto::quic::Reader), QuicError> {
        let request = Request::Fetch { name, list_parts: false };
        let mut reader = self.pool.request(peer.addr, &peer.name, &request).await?;
        Ok((reader.read_frame(MAX_HEADER).await?, reader))
    }
}

fn is_found(reply: &FetchReply) -> bool {
    reply.status == FetchStatus::Found
}
