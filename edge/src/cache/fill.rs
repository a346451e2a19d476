//! A transfer under way: one task brings the bytes, any number of readers look on.
//!
//! ```text
//! the origin ── answers, whatever it says ──────▶ that is the answer
//!      └─ can't be reached, or the view says that it is lost ──▶ other edges, one after another ──▶ the first that has it
//! ```

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use freshet_proto::{
    message::{ContentType, FetchReply, FetchStatus},
    object::{Object, ObjectName, ResourceName},
    ordered,
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout},
};

use super::{
    Cache, Entry, Key,
    elsewhere::{EDGE_PATIENCE, PATIENCE},
};
use crate::{
    config::ms,
    http::body::{Broken, Pieces},
    stats::Count,
    upstream::{Chunks, Fetched, Peer},
};

/// Why there is no object. Never the viewer's doing, except for asking for what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no such object")]
    NotFound,
    #[error("the origin can't answer now")]
    Unavailable,
    #[error("the origin can't be reached, and no edge that was asked has it")]
    Unreachable,
    #[error("too many transfers are under way")]
    Busy,
    #[error("the transfer took too long")]
    Late,
    #[error("the transfer broke off, or its length was wrong")]
    Broken,
}

/// How an object is to be brought.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The node that made it; `None` where the view doesn't know that any more.
    pub origin: Option<Peer>,
    /// Whether the view says that this node is lost. It may still be there.
    pub lost: bool,
    /// Whether to ask for a segment's parts and bring only what is lacking.
    pub by_parts: bool,
}

/// What is known once a transfer has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub length: u64,
    pub content_type: ContentType,
    pub made: Option<Instant>,
}

#[derive(Default)]
struct Flow {
    begun: Option<Begun>,
    pieces: Vec<Bytes>,
    end: Option<Result<(), Failure>>,
}

/// A transfer as its readers see it.
pub(crate) struct Fill {
    done: ordered::Sender<Option<Result<Arc<Entry>, Failure>>>,
    flow: Mutex<Flow>,
    moved: ordered::Sender<()>,
}

impl Fill {
    pub(super) fn new() -> Self {
        Self { done: ordered::Sender::new(None), flow: Mutex::default(), moved: ordered::Sender::new(()) }
    }

    /// Waits for the object. Woken once, when it is whole or has failed.
    pub(crate) async fn whole(&self) -> Result<Arc<Entry>, Failure> {
        let mut done = self.done.subscribe();
        let _ = done.wait_for(Option::is_some).await;
        done.borrow().clone().unwrap_or(Err(Failure::Broken))
    }

    /// Waits until its length is known.
    pub(crate) async fn begun(&self) -> Result<Begun, Failure> {
        loop {
            let mut moved = self.moved.subscribe();
            {
                let flow = self.flow();
                match (flow.begun, flow.end) {
                    (_, Some(Err(failure))) => return Err(failure),
                    (Some(begun), _) => return Ok(begun),
                    _ => {}
                }
            }
            if moved.changed().await.is_err() {
                return Err(Failure::Broken);
            }
        }
    }

    /// Its bytes from the beginning, as they come.
    pub(crate) fn pieces(self: Arc<Self>) -> Box<dyn Pieces> {
        Box::new(Reader { fill: self, at: 0, wait: None })
    }

    pub(super) fn finish(&self, result: Result<Arc<Entry>, Failure>) {
        self.flow().end = Some(result.as_ref().map(drop).map_err(|failure| *failure));
        self.moved.send_replace(());
        self.done.send_replace(Some(result));
    }

    fn begin(&self, begun: Begun) {
        self.flow().begun = Some(begun);
        self.moved.send_replace(());
    }

    fn push(&self, piece: Bytes) {
        self.flow().pieces.push(piece);
        self.moved.send_replace(());
    }

    fn flow(&self) -> std::sync::MutexGuard<'_, Flow> {
        self.flow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a transfer's pieces.
struct Reader {
    fill: Arc<Fill>,
    at: usize,
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Pieces for Reader {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
                self.wait = None;
            }
            let mut moved = self.fill.moved.subscribe();
            let flow = self.fill.flow();
            if let Some(piece) = flow.pieces.get(self.at) {
                self.at += 1;
                return Poll::Ready(Some(Ok(piece.clone())));
            }
            match flow.end {
                Some(Ok(())) => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(Broken))),
                None => {}
            }
            drop(flow);
            self.wait = Some(Box::pin(async move {
                let _ = moved.changed().await;
            }));
        }
    }
}

/// An object whose first bytes are known to come, and the place at its node that it takes.
struct Coming {
    reply: FetchReply,
    body: Box<dyn Chunks>,
    made: Option<Instant>,
    place: OwnedSemaphorePermit,
}

/// The task behind a fill. However it ends, it tells those who wait.
pub(super) struct Finisher {
    cache: Arc<Cache>,
    key: Key,
    fill: Arc<Fill>,
    result: Result<Arc<Entry>, Failure>,
}

impl Finisher {
    pub(super) fn new(cache: Arc<Cache>, key: Key, fill: Arc<Fill>) -> Self {
        Self { cache, key, fill, result: Err(Failure::Broken) }
    }

    pub(super) async fn run(mut self, plan: Plan) {
        let deadline = ms(self.cache.config.fill_timeout_ms);
        self.result = timeout(deadline, self.transfer(plan)).await.unwrap_or(Err(Failure::Late));
        if let Err(failure) = &self.result
            && *failure != Failure::NotFound
        {
            tracing::debug!(name = %self.key.name, %failure, "transfer failed");
        }
    }

    async fn transfer(&self, plan: Plan) -> Result<Arc<Entry>, Failure> {
        let Coming { reply, body, made, place } = self.find(&plan).await?;
        let pieces = if reply.parts.is_empty() {
            self.receive(&reply, made, body).await?
        } else {
            drop((place, body));
            self.gather(&reply, made, Plan { by_parts: false, ..plan }).await?
        };
        Ok(Arc::new(self.entry(&reply, made, pieces)))
    }

    /// Asks the origin, and other edges where that is gone. One whose lease has run out is asked after them.
    async fn find(&self, plan: &Plan) -> Result<Coming, Failure> {
        let stats = &self.cache.stats;
        let origin = plan.origin.as_ref();
        if let Some(origin) = origin.filter(|_| !plan.lost) {
            match self.ask(origin, plan.by_parts, &stats.transfers).await {
                Err(Failure::Unreachable) => {}
                answer => return answer,
            }
        }
        if let Some(found) = self.find_elsewhere().await {
            return Ok(found);
        }
        match origin {
            Some(origin) if plan.lost => self.ask(origin, plan.by_parts, &stats.transfers).await,
            Some(_) => Err(Failure::Unreachable),
            None => Err(Failure::NotFound),
        }
    }

    /// Asks other edges for an object.
    async fn find_elsewhere(&self) -> Option<Coming> {
        let ResourceName::Object(_) = self.key.name else { return None };
        let (cache, stats) = (&self.cache, &self.cache.stats);
        let search = async {
            for edge in cache.elsewhere.edges() {
                let asked = timeout(EDGE_PATIENCE, self.ask(&edge, false, &stats.edges_asked)).await;
                if let Ok(Ok(found)) = asked {
                    return Some(found);
                }
            }
            None
        };
        let found = timeout(PATIENCE, search).await.ok().flatten();
        stats.edges_had.add(found.is_some().into());
        found
    }

    async fn ask(&self, peer: &Peer, by_parts: bool, count: &Count) -> Result<Coming, Failure> {
        let cache = &self.cache;
        let place = cache.gate(peer).acquire_owned().await.map_err(|_| Failure::Broken)?;
        count.add(1);
        let asked = Instant::now();
        let fetched = cache.upstream.fetch(peer, &self.key.name, by_parts).await;
        let Fetched { reply, body } = fetched.map_err(|_| Failure::Unreachable)?;
        match reply.status {
            FetchStatus::Found => Ok(Coming { made: made(asked, reply.age_ms), reply, body, place }),
            FetchStatus::NotFound => Err(Failure::NotFound),
            _ => Err(Failure::Unavailable),
        }
    }

    /// Takes the bytes, and makes sure that they are all there and no more.
    async fn receive(
        &self,
        reply: &FetchReply,
        made: Option<Instant>,
        mut body: Box<dyn Chunks>,
    ) -> Result<Vec<Bytes>, Failure> {
        let FetchReply { length, content_type, .. } = *reply;
        if length > self.cache.config.max_object_bytes {
            return Err(Failure::Broken);
        }
        self.fill.begin(Begun { length, content_type, made });
        let (mut pieces, mut received) = (Vec::new(), 0);
        while let Some(piece) = body.next().await.map_err(|_| Failure::Broken)? {
            received += piece.len() as u64;
            if received > length {
                return Err(Failure::Broken);
            }
            self.cache.stats.upstream_bytes.add(piece.len() as u64);
            pieces.push(piece.clone());
            self.fill.push(piece);
        }
        if received == length { Ok(pieces) } else { Err(Failure::Broken) }
    }

    /// Puts a segment together from its parts, bringing those that are not here.
    async fn gather(&self, reply: &FetchReply, made: Option<Instant>, plan: Plan) -> Result<Vec<Bytes>, Failure> {
        let ResourceName::Object(ObjectName { channel, epoch, track, object: Object::Segment(msn) }) = &self.key.name
        else {
            return Err(Failure::Broken);
        };
        let length = reply.parts.iter().map(|part| u64::from(*part)).sum();
        if length > self.cache.config.max_object_bytes {
            return Err(Failure::Broken);
        }
        self.fill.begin(Begun { length, content_type: reply.content_type, made });
        let mut pieces = Vec::with_capacity(reply.parts.len());
        for (part, expected) in (0..).zip(&reply.parts).filter(|(_, length)| **length > 0) {
            let object = Object::Part(*msn, part);
            let name = ObjectName { channel: channel.clone(), epoch: *epoch, track: *track, object };
            // Boxed, for a fill may wait for another, though never for one that waits in turn.
            let entry = Box::pin(self.cache.whole(&name.into(), plan.clone())).await?;
            if entry.rope.len() != u64::from(*expected) {
                return Err(Failure::Broken);
            }
            for piece in entry.rope.pieces() {
                pieces.push(piece.clone());
                self.fill.push(piece.clone());
            }
        }
        Ok(pieces)
    }

    fn entry(&self, reply: &FetchReply, made: Option<Instant>, pieces: Vec<Bytes>) -> Entry {
        match &self.key.name {
            ResourceName::Object(name) => Entry::object(name, reply.content_type, pieces, made),
            _ => Entry::passing(reply.content_type, pieces, made, reply.fresh_ms.min(86_400_000)),
        }
    }
}

impl Drop for Finisher {
    fn drop(&mut self) {
        let result = std::mem::replace(&mut self.result, Err(Failure::Broken));
        self.cache.finish(&self.key, &self.fill, result);
    }
}

/// When something was made that was `age_ms` old at half the way between `asked` and now.
fn made(asked: Instant, age_ms: u64) -> Option<Instant> {
    let arrived = Instant::now();
    arrived.checked_sub((arrived - asked) / 2)?.checked_sub(ms(age_ms))
}
