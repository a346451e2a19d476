//! Answers the fetches of other nodes from what the edge has, and asks nobody for it.
//!
//! ```text
//! FETCH index, thumbnail, object ──▶ the cache
//! FETCH playlist ─────────────────▶ the newest version of a followed track
//! ```
//! That is how another edge finds what a dead origin made ([`crate::cache`]), and a new origin the window of a session
//! whose origin is dead. What an origin is told of a playlist is the last that this edge shows of the prior publish: the
//! answer waits until the view names the asker as the channel's origin, and from there on nothing of the former origin is
//! shown any more ([`crate::live`]).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use freshet_proto::{
    id::{ChannelName, SessionId, TrackKind, TrackName},
    message::{ContentType, FetchReply, FetchStatus, Request},
    object::{Object, ObjectName, ResourceName},
    quic::{Handler, QuicError, Responder, StreamCode},
    view::ChannelState,
};
use tokio::time::{Instant, timeout};

use crate::{
    Edge, Shared,
    cache::{Entry, Key},
    live::{is_purged, playlist::Form},
};

/// How long an origin waits here until the view names it. It does not wait any longer itself.
const FENCED: Duration = Duration::from_secs(1);

/// After how many milliseconds one may ask again for what is not here.
const ASK_AGAIN_MS: u64 = 1000;

impl Handler for Edge {
    /// Answers `Fetch`; any other verb is refused.
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Fetch { name, .. } => self.0.answer(name, reply).await,
            _ => {
                reply.refuse(StreamCode::BadRequest);
                Ok(())
            }
        }
    }
}

/// Something the edge has.
struct Found {
    pieces: Vec<Bytes>,
    made: Option<Instant>,
    fresh_ms: u64,
}

impl Shared {
    async fn answer(&self, name: ResourceName, mut reply: Responder) -> Result<(), QuicError> {
        let found = if self.may_tell(&name, &reply.peer().name).await {
            self.find(&name).ok_or(FetchStatus::NotFound)
        } else {
            Err(FetchStatus::Unavailable)
        };
        let found = match found {
            Ok(found) => found,
            Err(status) => {
                reply.write_frame(&header(&name, status, ASK_AGAIN_MS)).await?;
                return reply.finish().await;
            }
        };
        let age = found.made.map_or(Duration::ZERO, |made| made.elapsed());
        let length = found.pieces.iter().map(|piece| piece.len() as u64).sum();
        let header = header(&name, FetchStatus::Found, found.fresh_ms);
        reply.write_frame(&FetchReply { length, age_ms: age.as_millis() as u64, ..header }).await?;
        for piece in found.pieces {
            reply.write_payload(piece).await?;
        }
        reply.finish().await
    }

    /// Whether what is here of `name` is final for whoever asks.
    async fn may_tell(&self, name: &ResourceName, asker: &str) -> bool {
        let ResourceName::Playlist(channel, _) = name else { return true };
        let mut view = self.live.view.clone();
        if !view.borrow().is_other_origin(asker, None) {
            return true;
        }
        let named = view.wait_for(|view| view.is_current_origin(channel, asker));
        timeout(FENCED, named).await.is_ok_and(|named| named.is_ok())
    }

    fn find(&self, name: &ResourceName) -> Option<Found> {
        match name {
            ResourceName::Playlist(channel, track) => self.newest(channel, *track),
            ResourceName::Index(channel) | ResourceName::Thumb(channel) => {
                let session = self.kept(channel)?;
                let kept = self.live.cache.peek(&Key { name: name.clone(), session })?;
                Some(Found::of(&kept, 0))
            }
            ResourceName::Object(name) => {
                if is_purged(&self.live.view.borrow(), &name.channel, name.epoch) {
                    return None;
                }
                let kept = self.live.cache.peek(&Key::from(name.clone()));
                kept.map(|kept| Found::of(&kept, u64::MAX)).or_else(|| self.assemble(name))
            }
        }
    }

    /// The session of which something may be kept.
    fn kept(&self, channel: &ChannelName) -> Option<Option<SessionId>> {
        self.live.known(channel).filter(|known| known.state != ChannelState::Idle).map(|known| known.session)
    }

    fn newest(&self, channel: &ChannelName, track: TrackName) -> Option<Found> {
        let session = self.kept(channel)?;
        let track = self.live.peek(channel, track)?;
        let newest = track.read(|window| window.newest.clone())?;
        if is_purged(&self.live.view.borrow(), channel, newest.header.version.epoch) {
            return None;
        }
        let belongs = session.is_none_or(|session| newest.constants.session == session);
        let plain = Form { delta: false, gzip: false };
        let text = newest.bytes(plain, self.config.follow.max_playlist_bytes).filter(|_| belongs)?;
        Some(Found { pieces: vec![text], made: newest.made, fresh_ms: 0 })
    }

    /// A segment from its parts, if all of them are here.
    fn assemble(&self, name: &ObjectName) -> Option<Found> {
        let Object::Segment(msn) = name.object else { return None };
        let track = self.live.peek(&name.channel, name.track)?;
        let count = track.read(|window| window.parts_of(name.epoch, msn))?;
        let part = |part| Key::from(ObjectName { object: Object::Part(msn, part), ..name.clone() });
        let parts = (0..count).map(|n| self.live.cache.peek(&part(n))).collect::<Option<Vec<_>>>()?;
        let pieces = parts.iter().flat_map(|part| part.rope.pieces().iter().cloned()).collect();
        Some(Found { pieces, made: parts.last()?.made, fresh_ms: u64::MAX })
    }
}

impl Found {
    fn of(kept: &Arc<Entry>, fresh_ms: u64) -> Self {
        Self { pieces: kept.rope.pieces().to_vec(), made: kept.made, fresh_ms }
    }
}

fn header(name: &ResourceName, status: FetchStatus, fresh_ms: u64) -> FetchReply {
    FetchReply { status, length: 0, content_type: content_type(name), age_ms: 0, fresh_ms, parts: Vec::new() }
}

fn content_type(name: &ResourceName) -> ContentType {
    match name {
        ResourceName::Index(_) | ResourceName::Playlist(..) => ContentType::Playlist,
        ResourceName::Object(ObjectName { track, .. }) if track.kind == TrackKind::Audio => ContentType::AudioMp4,
        _ => ContentType::VideoMp4,
    }
}
