//! Answers the two verbs between nodes from the live windows.
//!
//! ```text
//! FETCH name ──▶ find ─▶ Found: header, bytes, FIN
//!                     ├▶ Announced: hold until it is made, is dead, or Config::hold_ms
//!                     └▶ Missing: not found, at once
//! FETCH playlist, asked by another origin ──▶ the last word, once the view has the session there
//! FOLLOW track ──▶ Cursor over the window, written when the stream takes more
//! ```
//! draft-pantos-hls-rfc8216bis §6.2.6: a hinted part may be asked for ahead; it is then held and sent at once and whole.

use std::{sync::Arc, time::Duration};

use freshet_proto::{
    id::{ChannelName, Epoch, TrackKind, TrackName},
    message::{ContentType, FetchReply, FetchStatus, FollowEvent, Request, Version},
    object::{Object, ObjectName, ResourceName},
    ordered,
    quic::{Handler, QuicError, Responder, StreamCode},
};
use tokio::time::Instant;

use crate::{
    Inner, Origin,
    broadcast::{Phase, Shared},
    follow::{Cursor, Sending},
    house::LastWord,
    live::{Body, Lookup},
    meter,
};

/// After how many milliseconds one may ask again for what could not be had.
const ASK_AGAIN_MS: u64 = 1000;

impl Handler for Origin {
    /// Answers `Fetch` and `Follow`; any other verb is refused.
    async fn handle(&self, request: Request, reply: Responder) -> Result<(), QuicError> {
        match request {
            Request::Fetch { name, list_parts } => self.0.fetch(name, list_parts, reply).await,
            Request::Follow { channel, track, after } => self.0.follow(channel, track, after, reply).await,
            _ => {
                reply.refuse(StreamCode::BadRequest);
                Ok(())
            }
        }
    }
}

/// How long another origin is kept waiting for a session's last playlists. It does not wait any longer.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How a fetch goes on.
enum Outcome {
    Found(Body, Freshness),
    Missing,
    Unavailable,
}

/// For how many milliseconds something may be served without asking again.
#[derive(Clone, Copy)]
struct Freshness(u64);

impl Inner {
    async fn fetch(&self, name: ResourceName, list_parts: bool, mut reply: Responder) -> Result<(), QuicError> {
        let asker = reply.peer().name.clone();
        let found = tokio::select! {
            biased;
            found = self.answer(&name, &asker) => found,
            () = reply.left() => return Ok(()),
        };
        let (mut header, body) = self.header(&name, found);
        let lists = list_parts && body.as_ref().is_some_and(|body| !body.part_lengths.is_empty());
        let Some(body) = body.filter(|_| !lists) else {
            header.length = 0;
            reply.write_frame(&header).await?;
            return reply.finish().await;
        };
        header.parts.clear();
        reply.write_frame(&header).await?;
        self.meters.sent_bytes.increment(header.length);
        for piece in body.pieces {
            reply.write_payload(piece).await?;
        }
        self.meters.transfers_fetched.increment(1);
        if let ResourceName::Object(name) = name {
            self.transfers.add(name);
        }
        reply.finish().await
    }

    fn header(&self, name: &ResourceName, found: Outcome) -> (FetchReply, Option<Body>) {
        let (status, label, body, fresh_ms) = match found {
            Outcome::Found(body, fresh) => (FetchStatus::Found, "found", Some(body), fresh.0),
            Outcome::Missing => (FetchStatus::NotFound, "not_found", None, ASK_AGAIN_MS),
            Outcome::Unavailable => (FetchStatus::Unavailable, "unavailable", None, ASK_AGAIN_MS),
        };
        meter::fetched(label);
        let header = FetchReply {
            status,
            length: body.iter().flat_map(|body| &body.pieces).map(|piece| piece.len() as u64).sum(),
            content_type: content_type(name),
            age_ms: body.as_ref().map_or(0, |body| self.clock.now_ms().saturating_sub(body.made_ms)),
            fresh_ms,
            parts: body.as_ref().map(|body| body.part_lengths.clone()).unwrap_or_default(),
        };
        (header, body)
    }

    async fn answer(&self, name: &ResourceName, asker: &str) -> Outcome {
        let is_playlist = matches!(name, ResourceName::Playlist(..));
        if is_playlist && self.view.borrow().is_other_origin(asker, Some(self.me)) {
            return self.last_word(name).await;
        }
        self.find_or_hold(name).await
    }

    /// A playlist for an origin that has claimed the session: not before it has its last version here.
    async fn last_word(&self, name: &ResourceName) -> Outcome {
        let until = Instant::now() + LAST_WORD;
        loop {
            let mut waiting = self.waiting(name.channel());
            match self.house.last_word(name.channel(), &self.view.borrow()) {
                LastWord::Not => return Outcome::Missing,
                LastWord::Yet => {}
                LastWord::Said => {
                    return match self.find(name) {
                        (Lookup::Found(body), fresh) => Outcome::Found(body, fresh),
                        _ => Outcome::Missing,
                    };
                }
            }
            if tokio::time::timeout_at(until, waiting.changed()).await.is_err() {
                return Outcome::Unavailable;
            }
        }
    }

    /// Looks `name` up; holds while it is announced.
    async fn find_or_hold(&self, name: &ResourceName) -> Outcome {
        let until = Instant::now() + self.config.hold();
        let mut place = None;
        loop {
            let mut waiting = self.waiting(name.channel());
            match self.find(name) {
                (Lookup::Found(body), fresh) => return Outcome::Found(body, fresh),
                (Lookup::Missing, _) => return Outcome::Missing,
                (Lookup::Announced, _) => {}
            }
            if place.is_none() {
                match self.held.clone().try_acquire_owned() {
                    Ok(permit) => place = Some((permit, Count::up(&self.meters.held))),
                    Err(_) => return Outcome::Unavailable,
                }
            }
            if tokio::time::timeout_at(until, waiting.changed()).await.is_err() {
                return Outcome::Unavailable;
            }
        }
    }

    fn find(&self, name: &ResourceName) -> (Lookup, Freshness) {
        match name {
            ResourceName::Object(name) => (self.find_object(name), Freshness(u64::MAX)),
            ResourceName::Index(channel) => self.find_changing(channel, |broadcast| {
                broadcast.read(|window, phase, _| if_open(phase, window.find_index()))
            }),
            ResourceName::Playlist(channel, track) => self.find_changing(channel, |broadcast| {
                broadcast.read(|window, phase, _| if_open(phase, window.find_playlist(*track)))
            }),
            ResourceName::Thumb(channel) => {
                self.find_changing(channel, |broadcast| broadcast.read(|window, _, _| window.find_thumb()))
            }
        }
    }

    fn find_object(&self, name: &ObjectName) -> Lookup {
        let sessions = self.house.sessions(&name.channel);
        let lookups = sessions
            .iter()
            .map(|broadcast| broadcast.read(|window, _, open| window.find(name.epoch, name.track, name.object, open)));
        lookups.into_iter().find(|lookup| *lookup != Lookup::Missing).unwrap_or(Lookup::Missing)
    }

    fn find_changing(&self, channel: &ChannelName, look: impl FnOnce(&Shared) -> Lookup) -> (Lookup, Freshness) {
        if self.house.is_awaited(channel, &self.view.borrow()) {
            return (Lookup::Announced, Freshness(0));
        }
        let Some(newest) = self.house.newest(channel) else { return (Lookup::Missing, Freshness(0)) };
        let half = newest.read(|window, _, _| window.constants()).map_or(0, |c| u64::from(c.target_duration_ms) / 2);
        (look(&newest), Freshness(half))
    }

    fn waiting(&self, channel: &ChannelName) -> Waiting {
        let newest = self.house.newest(channel);
        Waiting {
            made: newest.map(|newest| newest.subscribe()),
            house: self.house.subscribe(),
            view: self.view_changes(),
        }
    }

    async fn follow(
        &self,
        channel: ChannelName,
        track: TrackName,
        after: Option<Version>,
        mut reply: Responder,
    ) -> Result<(), QuicError> {
        let Ok(_place) = self.held.clone().try_acquire_owned() else {
            reply.refuse(StreamCode::Busy);
            return Ok(());
        };
        let _count = Count::up(&self.meters.following);
        self.meters.follows.increment(1);
        let left = reply.left();
        tokio::pin!(left);
        let last = tokio::select! {
            biased;
            broadcast = self.session_to_follow(&channel) => match broadcast {
                Ok(broadcast) => self.follow_session(&broadcast, track, after, &mut reply, left).await?,
                Err(instead) => Some(instead),
            },
            () = &mut left => None,
        };
        let Some(last) = last else { return Ok(()) };
        reply.write_frame(&last).await?;
        reply.finish().await
    }

    /// Waits while the view awaits a session here.
    async fn session_to_follow(&self, channel: &ChannelName) -> Result<Shared, FollowEvent> {
        loop {
            let mut waiting = self.waiting(channel);
            if !self.house.is_awaited(channel, &self.view.borrow()) {
                return self.house.newest(channel).ok_or_else(|| self.elsewhere(channel));
            }
            waiting.changed().await;
        }
    }

    fn elsewhere(&self, channel: &ChannelName) -> FollowEvent {
        let view = self.view.borrow();
        let current = view.channels.get(channel).and_then(|known| known.current());
        match current {
            Some(current) if current.origin != self.me => FollowEvent::Moved,
            _ => FollowEvent::Gone,
        }
    }

    /// Sends what becomes of `track`, until nothing more can come; returns the last event, or `None` when the asker
    /// has left.
    async fn follow_session(
        &self,
        broadcast: &Shared,
        track: TrackName,
        after: Option<Version>,
        reply: &mut Responder,
        mut left: std::pin::Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Option<FollowEvent>, QuicError> {
        let mut changes = broadcast.subscribe();
        let mut cursor = Cursor::new(track, after, reply.peer().level);
        loop {
            changes.mark_unchanged();
            match self.next_step(broadcast, track, &mut cursor) {
                Step::Send(Sending { event: FollowEvent::Ended, .. }) => return Ok(Some(FollowEvent::Ended)),
                Step::Send(sending) => self.send(broadcast, track, sending, reply).await?,
                Step::Finish(last) => return Ok(Some(last)),
                Step::Wait => tokio::select! {
                    biased;
                    _ = changes.changed() => {}
                    () = &mut left => return Ok(None),
                },
            }
        }
    }

    fn next_step(&self, broadcast: &Shared, track: TrackName, cursor: &mut Cursor) -> Step {
        let now_ms = self.clock.now_ms();
        broadcast.read(|window, phase, _| match (cursor.next(window, now_ms), phase) {
            (_, Phase::Gone) => Step::Finish(FollowEvent::Gone),
            // The last word first: whoever goes on with the session has it too.
            (Some(sending), _) => Step::Send(sending),
            (None, Phase::Moved { .. }) => Step::Finish(FollowEvent::Moved),
            (None, Phase::Ended { .. }) => Step::Finish(FollowEvent::Ended),
            (None, Phase::Open) if window.has_no(track) => Step::Finish(FollowEvent::Gone),
            (None, Phase::Open) => Step::Wait,
        })
    }

    async fn send(
        &self,
        broadcast: &Shared,
        track: TrackName,
        sending: Sending,
        reply: &mut Responder,
    ) -> Result<(), QuicError> {
        reply.write_frame(&sending.event).await?;
        for piece in sending.payload {
            if !piece.is_empty() {
                self.meters.sent_bytes.increment(piece.len() as u64);
                reply.write_payload(piece).await?;
            }
        }
        if let Some((epoch, object)) = sending.object {
            self.meters.transfers_followed.increment(1);
            self.transfers.add(name(&broadcast.channel, epoch, track, object));
        }
        Ok(())
    }
}

/// What a follower is to do next.
enum Step {
    Send(Sending),
    Finish(FollowEvent),
    Wait,
}

/// Everything whose change may answer a held request.
struct Waiting {
    made: Option<ordered::Receiver<()>>,
    house: ordered::Receiver<()>,
    view: ordered::Receiver<Arc<freshet_proto::view::View>>,
}

impl Waiting {
    async fn changed(&mut self) {
        let made = async {
            match &mut self.made {
                Some(made) => drop(made.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = made => {}
            _ = self.house.changed() => {}
            _ = changed_or_never(&mut self.view) => {}
        }
    }
}

async fn changed_or_never<T>(changes: &mut ordered::Receiver<T>) {
    if changes.changed().await.is_err() {
        std::future::pending().await
    }
}

fn if_open(phase: Phase, lookup: Lookup) -> Lookup {
    match lookup {
        Lookup::Announced if phase != Phase::Open => Lookup::Missing,
        lookup => lookup,
    }
}

fn name(channel: &ChannelName, epoch: Epoch, track: TrackName, object: Object) -> ObjectName {
    ObjectName { channel: channel.clone(), epoch, track, object }
}

fn content_type(name: &ResourceName) -> ContentType {
    match name {
        ResourceName::Index(_) | ResourceName::Playlist(..) => ContentType::Playlist,
        ResourceName::Object(ObjectName { track, .. }) if track.kind == TrackKind::Audio => ContentType::AudioMp4,
        _ => ContentType::VideoMp4,
    }
}

/// One more while it lives.
pub(crate) struct Count(metrics::Gauge);

impl Count {
    pub(crate) fn up(gauge: &metrics::Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
