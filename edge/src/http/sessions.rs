//! What there is once a session: the multivariant playlist, which is held while a session starts, and the thumbnail.

use std::sync::Arc;

use freshet_proto::{object::ResourceName, view::ChannelState};
use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use super::{
    Caller,
    asked::Asked,
    body::Body,
    objects::{came, failed, say_range},
    range::{self, Wanted},
    reply::{self, Answer, Reply, Timing},
};
use crate::{
    Shared,
    budget::Hold,
    cache::{Entry, Failure, Key, Lookup},
    config::ms,
    live::Known,
    stats::Kind,
};

/// For how many seconds players and caches may keep either.
const FRESH_S: u64 = 2;

/// How long after an origin said that it can't answer yet it is asked again.
const AGAIN: Duration = Duration::from_millis(500);

impl Caller {
    pub(super) fn session_wide(&self, name: ResourceName, kind: Kind, known: Known, asked: Asked) -> Reply {
        let key = Key { name, session: known.session };
        if known.state == ChannelState::Idle {
            return self.counted(kind, reply::bare(StatusCode::NOT_FOUND, 1, &self.edge.dates));
        }
        if let Some(entry) = self.edge.live.cache.get(&key) {
            self.edge.stats.hits.add(1);
            return self.counted(kind, respond(&self.edge, &entry, &asked, Timing::Hit));
        }
        match self.guest.hold() {
            Some(hold) => {
                let wait = Wait { edge: Arc::clone(&self.edge), name: key.name, kind, asked };
                Reply::Later(Box::pin(wait.run(hold)))
            }
            None => self.counted(kind, reply::retry(&self.edge.dates)),
        }
    }
}

struct Wait {
    edge: Arc<Shared>,
    name: ResourceName,
    kind: Kind,
    asked: Asked,
}

impl Wait {
    /// Waits until the session has begun, and for what it then has.
    async fn run(self, _hold: Hold) -> Answer {
        let until = Instant::now() + ms(self.edge.config.reload.starting_ms);
        let mut view = self.edge.live.view.clone();
        let response = loop {
            view.mark_unchanged();
            let Some(known) = self.edge.live.known(self.name.channel()) else { break self.missing() };
            match known.state {
                ChannelState::Idle => break self.missing(),
                ChannelState::Starting => {}
                _ => match self.bring(known).await {
                    Ok((entry, timing)) => break respond(&self.edge, &entry, &self.asked, timing),
                    // Live, but its first playlist is still on its way.
                    Err(Failure::Unavailable | Failure::Unreachable) if Instant::now() + AGAIN < until => {
                        sleep_until(Instant::now() + AGAIN).await;
                        continue;
                    }
                    Err(failure) => break failed(&self.edge, failure),
                },
            }
            if !matches!(timeout_at(until, view.changed()).await, Ok(Ok(()))) {
                break reply::retry(&self.edge.dates);
            }
        };
        self.edge.stats.answered(self.kind, response.status(), response.body().len());
        Answer::Response(response)
    }

    async fn bring(&self, known: Known) -> Result<(Arc<Entry>, Timing), Failure> {
        let plan = self.edge.live.plan(self.name.channel(), None).filter(|plan| plan.origin.is_some());
        let plan = plan.ok_or(Failure::Unavailable)?;
        let key = Key { name: self.name.clone(), session: known.session };
        let lookup = self.edge.live.cache.look(&key, plan);
        let timing = came(&self.edge, &lookup);
        match lookup {
            Lookup::Hit(entry) => Ok((entry, timing)),
            Lookup::Fill { fill, .. } => fill.whole().await.map(|entry| (entry, timing)),
            Lookup::Failed(failure) => Err(failure),
        }
    }

    fn missing(&self) -> Response<Body> {
        reply::bare(StatusCode::NOT_FOUND, 1, &self.edge.dates)
    }
}

fn respond(edge: &Shared, entry: &Entry, asked: &Asked, timing: Timing) -> Response<Body> {
    let Some(etag) = &entry.etag else { return playlist(edge, entry, asked, timing) };
    let len = entry.rope.len();
    let (status, from, count) = match range::wanted(asked.range(Some(etag)), len) {
        _ if asked.knows(Some(etag)) => (StatusCode::NOT_MODIFIED, 0, 0),
        Wanted::Whole => (StatusCode::OK, 0, len),
        Wanted::Range(from, count) => (StatusCode::PARTIAL_CONTENT, from, count),
        Wanted::Nothing => {
            let mut response = reply::bare(StatusCode::RANGE_NOT_SATISFIABLE, 0, &edge.dates);
            say_range(&mut response, &format!("bytes */{len}"));
            return response;
        }
    };
    let mut response = about(edge, entry, status, timing);
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag.clone());
    // Without it Safari shows no picture.
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        say_range(&mut response, &format!("bytes {from}-{}/{len}", from + count - 1));
    }
    if status != StatusCode::NOT_MODIFIED {
        reply::fill(&mut response, Body::rope(entry.rope.clone(), from, count), asked.head);
    }
    response
}

fn about(edge: &Shared, entry: &Entry, status: StatusCode, timing: Timing) -> Response<Body> {
    let mut response = reply::begin(status, &edge.dates);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, entry.content_type.clone());
    headers.insert(header::CACHE_CONTROL, reply::max_age(FRESH_S));
    // The view says at this moment that it is still of the current session: it has just been validated.
    headers.insert(header::AGE, HeaderValue::from_static("0"));
    headers.insert(reply::PRIORITY, HeaderValue::from_static("u=1"));
    headers.insert(reply::SERVER_TIMING, timing.header());
    response
}

fn playlist(edge: &Shared, entry: &Entry, asked: &Asked, timing: Timing) -> Response<Body> {
    let mut response = about(edge, entry, StatusCode::OK, timing);
    let headers = response.headers_mut();
    let body = match entry.gzip.as_ref() {
        None => Body::rope(entry.rope.clone(), 0, entry.rope.len()),
        Some(gzip) => {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
            match asked.gzip {
                true => {
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    Body::from(gzip.clone())
                }
                false => Body::rope(entry.rope.clone(), 0, entry.rope.len()),
            }
        }
    };
    reply::fill(&mut response, body, asked.head);
    response
}
