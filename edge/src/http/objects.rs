//! Immutable objects: from the cache, from parts in the cache, from a transfer under way, or when they come.

use std::sync::Arc;

use freshet_proto::object::{Object, ObjectName};
use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::{
    Caller,
    asked::Asked,
    body::Body,
    range::{self, Wanted},
    reply::{self, Answer, Reply, Timing},
};
use crate::{
    Shared,
    budget::Hold,
    cache::{Entry, Failure, Fill, Key, Lookup, Plan},
    config::OnStall,
    live::{is_purged, reload, track::Visit},
    stats::Kind,
};

/// A year: the same name never stands for other bytes.
const IMMUTABLE_S: u64 = 31_536_000;

/// For how many seconds players and caches may believe that an object is purged. It stays so, but nobody asks twice.
const FRESH_GONE_S: u64 = 24;

/// How many parts of a segment are looked for before all of it is fetched.
const MOST_PARTS: u32 = 32;

/// What is known of an object that is not in the cache.
enum Chance {
    /// It may be at its origin.
    Fetch,
    /// It is about to come.
    Coming,
    /// All its parts are here.
    Here(Arc<Entry>),
    /// It neither exists nor is announced.
    Never,
}

impl Caller {
    pub(super) fn object(&self, name: ObjectName, kind: Kind, asked: Asked) -> Reply {
        if is_purged(&self.edge.live.view.borrow(), &name.channel, name.epoch) {
            return self.counted(kind, reply::bare(StatusCode::GONE, FRESH_GONE_S, &self.edge.dates));
        }
        let key = Key::from(name.clone());
        if let Some(entry) = self.edge.live.cache.get(&key) {
            self.edge.stats.hits.add(1);
            return self.counted(kind, whole(&self.edge, &entry, kind, &asked, Timing::Hit));
        }
        let Some(plan) = self.edge.live.plan(&name.channel, Some(name.epoch)) else {
            return self.counted(kind, reply::bare(StatusCode::NOT_FOUND, 1, &self.edge.dates));
        };
        let visit = self.edge.live.find(&name.channel, name.track);
        let request = Request { edge: Arc::clone(&self.edge), name, key, plan, kind, asked };
        match visit.as_ref().map_or(Chance::Fetch, |visit| request.chance(visit)) {
            Chance::Here(entry) => {
                self.counted(kind, whole(&self.edge, &entry, kind, &request.asked, Timing::Assembled))
            }
            Chance::Never => self.counted(kind, reply::bare(StatusCode::NOT_FOUND, 1, &self.edge.dates)),
            Chance::Fetch => request.fetch(),
            Chance::Coming => match (visit, self.guest.hold()) {
                (Some(visit), Some(hold)) => Reply::Later(Box::pin(request.wait(visit, hold))),
                _ => self.counted(kind, reply::retry(&self.edge.dates)),
            },
        }
    }
}

/// A request for an object that is not in the cache.
struct Request {
    edge: Arc<Shared>,
    name: ObjectName,
    key: Key,
    plan: Plan,
    kind: Kind,
    asked: Asked,
}

impl Request {
    /// What the followed track says of the object.
    fn chance(&self, visit: &Visit) -> Chance {
        let ObjectName { epoch, object, .. } = self.name;
        let (count, chance) = visit.read(|window| {
            let Some((at_epoch, at_msn, at_part)) = window.at else { return (None, Chance::Fetch) };
            match object {
                Object::Init(_) => (None, Chance::Fetch),
                Object::Part(msn, part) => {
                    let chance = match window.may_come_next((epoch, msn, part)) {
                        true if !window.has_ended() => Chance::Coming,
                        _ if (epoch, msn, part) > (at_epoch, at_msn, at_part) => Chance::Never,
                        // The window has gone past a part that never came: its hint is dead.
                        _ if window.parts_of(epoch, msn).is_some_and(|count| part >= count) => Chance::Never,
                        _ => Chance::Fetch,
                    };
                    (None, chance)
                }
                Object::Segment(msn) => match window.parts_of(epoch, msn) {
                    Some(count) => (Some((msn, count)), Chance::Fetch),
                    None if (epoch, msn) == (at_epoch, at_msn) && !window.has_ended() => (None, Chance::Coming),
                    None if (epoch, msn) > (at_epoch, at_msn) => (None, Chance::Never),
                    None => (None, Chance::Fetch),
                },
            }
        });
        count.and_then(|(msn, count)| self.assemble(visit, msn, count)).map_or(chance, Chance::Here)
    }

    /// Puts the segment together from its parts, if all are here.
    fn assemble(&self, visit: &Visit, msn: freshet_proto::id::Msn, count: u32) -> Option<Arc<Entry>> {
        let parts = (0..count).map(|part| self.edge.live.cache.get(&self.part(msn, part)));
        let parts = parts.collect::<Option<Vec<_>>>()?;
        let made = parts.last()?.made;
        let pieces = parts.iter().flat_map(|part| part.rope.pieces().iter().cloned()).collect();
        let entry = Arc::new(Entry::object(&self.name, visit.content_type(), pieces, made));
        self.edge.live.cache.put(self.key.clone(), Arc::clone(&entry));
        self.edge.stats.assembled.add(1);
        Some(entry)
    }

    fn part(&self, msn: freshet_proto::id::Msn, part: u32) -> Key {
        Key::from(ObjectName { object: Object::Part(msn, part), ..self.name.clone() })
    }

    /// Joins or starts a transfer.
    fn fetch(mut self) -> Reply {
        if let Object::Segment(msn) = self.name.object {
            self.plan.by_parts = (0..MOST_PARTS).any(|part| self.edge.live.cache.has(&self.part(msn, part)));
        }
        let lookup = self.edge.live.cache.look(&self.key, self.plan.clone());
        let timing = came(&self.edge, &lookup);
        match lookup {
            Lookup::Hit(entry) => Reply::Now(self.count(whole(&self.edge, &entry, self.kind, &self.asked, timing))),
            Lookup::Failed(failure) => Reply::Now(self.count(failed(&self.edge, failure))),
            Lookup::Fill { fill, .. } => {
                Reply::Later(Box::pin(async move { Answer::Response(self.filled(fill, timing).await) }))
            }
        }
    }

    /// A segment is sent as it comes; a part only when it is whole, so that players measure their link and not ours.
    async fn filled(self, fill: Arc<Fill>, timing: Timing) -> Response<Body> {
        let response = if self.kind == Kind::Segment {
            match fill.begun().await {
                Ok(begun) => {
                    let entry = Entry::object(&self.name, begun.content_type, Vec::new(), begun.made);
                    let body = |from, len| Body::coming(Arc::clone(&fill).pieces(), from, len);
                    object(&self.edge, &entry, begun.length, body, self.kind, &self.asked, timing)
                }
                Err(failure) => failed(&self.edge, failure),
            }
        } else {
            match fill.whole().await {
                Ok(entry) => whole(&self.edge, &entry, self.kind, &self.asked, timing),
                Err(failure) => failed(&self.edge, failure),
            }
        };
        self.count(response)
    }

    /// Waits for what is about to come. A hint that comes to nothing is refused as soon as that is known.
    async fn wait(self, visit: Visit, hold: Hold) -> Answer {
        let mut moved = visit.moved.subscribe();
        let constants = visit.read(|window| window.constants);
        let patience = constants.map_or(crate::config::ms(self.edge.config.reload.starting_ms), |constants| {
            reload::patience(&constants, OnStall::Newest)
        });
        let until = Instant::now() + patience;
        loop {
            moved.mark_unchanged();
            if let Some(entry) = self.edge.live.cache.get(&self.key) {
                self.edge.stats.released.add(1);
                return Answer::Response(self.count(whole(&self.edge, &entry, self.kind, &self.asked, Timing::Held)));
            }
            match self.chance(&visit) {
                Chance::Here(entry) => {
                    self.edge.stats.released.add(1);
                    let response = whole(&self.edge, &entry, self.kind, &self.asked, Timing::Held);
                    return Answer::Response(self.count(response));
                }
                Chance::Coming => {}
                Chance::Fetch if self.was_there(&visit) => {
                    drop(hold);
                    return match self.fetch() {
                        Reply::Now(response) => Answer::Response(response),
                        Reply::Later(answer) => answer.await,
                    };
                }
                Chance::Fetch | Chance::Never => break,
            }
            if !matches!(timeout_at(until, moved.changed()).await, Ok(Ok(()))) {
                self.edge.stats.stalled.add(1);
                break;
            }
        }
        Answer::Response(self.count(reply::bare(StatusCode::NOT_FOUND, 1, &self.edge.dates)))
    }

    /// Whether what was waited for came, and is not in the cache any more.
    fn was_there(&self, visit: &Visit) -> bool {
        let ObjectName { epoch, object, .. } = self.name;
        visit.read(|window| match object {
            Object::Part(msn, part) => window.had(epoch, msn, part),
            Object::Segment(msn) => window.parts_of(epoch, msn).is_some(),
            Object::Init(_) => false,
        })
    }

    fn count(&self, response: Response<Body>) -> Response<Body> {
        self.edge.stats.answered(self.kind, response.status(), response.body().len());
        response
    }
}

/// Counts how a lookup went and says so.
pub(super) fn came(edge: &Shared, lookup: &Lookup) -> Timing {
    let (count, timing) = match lookup {
        Lookup::Hit(_) => (&edge.stats.hits, Timing::Hit),
        Lookup::Fill { started: true, .. } => (&edge.stats.misses, Timing::Miss),
        Lookup::Fill { .. } => (&edge.stats.coalesced, Timing::Coalesced),
        Lookup::Failed(_) => (&edge.stats.negative, Timing::Miss),
    };
    count.add(1);
    timing
}

/// The reply to a request whose object did not come: the one table of failures and statuses.
pub(super) fn failed(edge: &Shared, failure: Failure) -> Response<Body> {
    match failure {
        Failure::NotFound => reply::bare(StatusCode::NOT_FOUND, 1, &edge.dates),
        Failure::Unavailable | Failure::Unreachable | Failure::Busy => reply::retry(&edge.dates),
        Failure::Late => reply::bare(StatusCode::GATEWAY_TIMEOUT, 0, &edge.dates),
        Failure::Broken => reply::bare(StatusCode::BAD_GATEWAY, 0, &edge.dates),
    }
}

fn whole(edge: &Shared, entry: &Entry, kind: Kind, asked: &Asked, timing: Timing) -> Response<Body> {
    let body = |from, len| Body::rope(entry.rope.clone(), from, len);
    object(edge, entry, entry.rope.len(), body, kind, asked, timing)
}

/// The reply with an object of `len` bytes, or the range of it that was asked for.
fn object(
    edge: &Shared,
    entry: &Entry,
    len: u64,
    body: impl FnOnce(u64, u64) -> Body,
    kind: Kind,
    asked: &Asked,
    timing: Timing,
) -> Response<Body> {
    if asked.knows(entry.etag.as_ref()) {
        return about(edge, entry, kind, StatusCode::NOT_MODIFIED, timing);
    }
    match range::wanted(asked.range(entry.etag.as_ref()), len) {
        Wanted::Whole => {
            let mut response = about(edge, entry, kind, StatusCode::OK, timing);
            reply::fill(&mut response, body(0, len), asked.head);
            response
        }
        Wanted::Range(from, count) => {
            let mut response = about(edge, entry, kind, StatusCode::PARTIAL_CONTENT, timing);
            say_range(&mut response, &format!("bytes {from}-{}/{len}", from + count - 1));
            reply::fill(&mut response, body(from, count), asked.head);
            response
        }
        Wanted::Nothing => {
            let mut response = reply::bare(StatusCode::RANGE_NOT_SATISFIABLE, 0, &edge.dates);
            say_range(&mut response, &format!("bytes */{len}"));
            response
        }
    }
}

pub(super) fn say_range(response: &mut Response<Body>, range: &str) {
    if let Ok(range) = HeaderValue::try_from(range) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
}

/// Everything a reply says of an object but its bytes.
fn about(edge: &Shared, entry: &Entry, kind: Kind, status: StatusCode, timing: Timing) -> Response<Body> {
    let mut response = reply::begin(status, &edge.dates);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, entry.content_type.clone());
    headers.insert(header::CACHE_CONTROL, reply::max_age(IMMUTABLE_S));
    headers.insert(header::AGE, HeaderValue::from(reply::age(entry.made)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(reply::SERVER_TIMING, timing.header());
    // Audio before video: it is small, and a picture without sound is worse than the other way round.
    let urgency = match (kind, entry.content_type.as_bytes()) {
        (Kind::Init, _) | (_, b"audio/mp4") => "u=2",
        _ => "u=3",
    };
    headers.insert(reply::PRIORITY, HeaderValue::from_static(urgency));
    if let Some(etag) = &entry.etag {
        headers.insert(header::ETAG, etag.clone());
    }
    response
}
