//! An edge's upstream that reports what comes through it, whole, to the stage.

use bytes::{Bytes, BytesMut};
use freshet_edge::upstream::{BoxFuture, Chunks, Events, Fetched, Peer, Upstream, UpstreamError};
use freshet_proto::{
    id::{ChannelName, TrackName},
    message::{FetchStatus, FollowEvent, Version},
    object::{Object, ObjectName, ResourceName},
};

use crate::{
    ledger::{Carrier, Life},
    sometimes::Situation,
    stage::Stage,
};

/// Reports what `inner` brings.
pub struct Observed<U> {
    inner: U,
    edge: Life,
    stage: Stage,
}

impl<U> Observed<U> {
    /// Reports for `edge` to `stage`.
    pub fn new(inner: U, edge: Life, stage: Stage) -> Self {
        Self { inner, edge, stage }
    }
}

impl<U: Upstream> Upstream for Observed<U> {
    fn fetch<'a>(
        &'a self,
        peer: &'a Peer,
        name: &'a ResourceName,
        list_parts: bool,
    ) -> BoxFuture<'a, Result<Fetched, UpstreamError>> {
        Box::pin(async move {
            let ResourceName::Object(object) = name else { return self.inner.fetch(peer, name, list_parts).await };
            let Some(watch) = FetchWatch::begin(self, object) else {
                return self.inner.fetch(peer, name, list_parts).await;
            };
            let Fetched { reply, body } = self.inner.fetch(peer, name, list_parts).await?;
            let body = match reply.status {
                FetchStatus::Found => Box::new(Body { inner: body, watch, bytes: BytesMut::new() }) as Box<dyn Chunks>,
                _ => body,
            };
            Ok(Fetched { reply, body })
        })
    }

    fn follow<'a>(
        &'a self,
        peer: &'a Peer,
        channel: &'a ChannelName,
        track: TrackName,
        after: Option<Version>,
    ) -> BoxFuture<'a, Result<Box<dyn Events>, UpstreamError>> {
        Box::pin(async move {
            let inner = self.inner.follow(peer, channel, track, after).await?;
            let carrier = self.stage.with(|seen| seen.ledger.follow());
            let (edge, stage, channel) = (self.edge, self.stage.clone(), channel.clone());
            Ok(Box::new(Stream { inner, edge, stage, channel, track, carrier }) as Box<dyn Events>)
        })
    }
}

/// A fetch under way, until it is dropped.
struct FetchWatch {
    edge: Life,
    stage: Stage,
    name: ObjectName,
    carrier: Carrier,
    whole: bool,
}

impl FetchWatch {
    fn begin<U>(observed: &Observed<U>, name: &ObjectName) -> Option<Self> {
        let (edge, stage) = (observed.edge, observed.stage.clone());
        match stage.with(|seen| seen.ledger.fetch(edge, name)) {
            Ok(carrier) => Some(Self { edge, stage, name: name.clone(), carrier, whole: false }),
            Err(broken) => {
                stage.check(Err(broken));
                None
            }
        }
    }
}

impl Drop for FetchWatch {
    fn drop(&mut self) {
        if !self.whole {
            self.stage.note(Situation::FillFailed);
        }
        self.stage.with(|seen| seen.ledger.fetched(self.edge, &self.name, self.carrier));
    }
}

struct Body {
    inner: Box<dyn Chunks>,
    watch: FetchWatch,
    bytes: BytesMut,
}

impl Chunks for Body {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, UpstreamError>> {
        Box::pin(async move {
            let piece = self.inner.next().await?;
            match &piece {
                Some(piece) => self.bytes.extend_from_slice(piece),
                None if !self.watch.whole => {
                    self.watch.whole = true;
                    let FetchWatch { edge, stage, name, carrier, .. } = &self.watch;
                    stage.arrived(*edge, *carrier, true, name, &self.bytes.clone().freeze());
                }
                None => {}
            }
            Ok(piece)
        })
    }
}

struct Stream {
    inner: Box<dyn Events>,
    edge: Life,
    stage: Stage,
    channel: ChannelName,
    track: TrackName,
    carrier: Carrier,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stage.with(|seen| seen.ledger.over(self.carrier));
    }
}

impl Events for Stream {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<(FollowEvent, Bytes)>, UpstreamError>> {
        Box::pin(async move {
            let next = self.inner.next().await;
            match &next {
                Ok(Some((event, payload))) => self.report(event, payload),
                Ok(None) => {}
                Err(_) => self.stage.note(Situation::FollowLost),
            }
            next
        })
    }
}

impl Stream {
    fn report(&self, event: &FollowEvent, payload: &Bytes) {
        let (epoch, object) = match *event {
            FollowEvent::Part { epoch, msn, part, length, .. } if length > 0 => (epoch, Object::Part(msn, part)),
            FollowEvent::Init { epoch, n, .. } => (epoch, Object::Init(n)),
            _ => return,
        };
        let name = ObjectName { channel: self.channel.clone(), epoch, track: self.track, object };
        self.stage.arrived(self.edge, self.carrier, false, &name, payload);
    }
}
