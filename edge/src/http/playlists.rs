//! Media playlists: answered at once, or held until the version comes that was asked for.

use std::sync::Arc;

use bytes::Bytes;
use freshet_proto::{
    id::{ChannelName, TrackName},
    view::ChannelState,
};
use http::{HeaderValue, Response, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::{
    Caller,
    asked::Asked,
    body::Body,
    raw,
    reply::{self, Answer, Reply, Timing},
};
use crate::{
    Shared,
    budget::Hold,
    config::{OnStall, ms},
    live::{
        Known, is_purged,
        playlist::{Form, Playlist, Written},
        reload::{self, Directives, Judgement},
        track::Visit,
    },
    stats::Kind,
};

/// A version on its way to a viewer.
pub(crate) struct Version {
    playlist: Arc<Playlist>,
    form: Form,
    fresh_s: u64,
    timing: Timing,
    asked: Asked,
}

/// What a request gets now.
enum Ready {
    Version(Arc<Playlist>),
    Refused(StatusCode),
    NotYet { patience_ms: Option<u64> },
}

impl Caller {
    pub(super) fn playlist(
        &self,
        channel: &ChannelName,
        track: TrackName,
        known: Known,
        query: &str,
        asked: Asked,
    ) -> Reply {
        let Ok(directives) = Directives::parse(query) else {
            return self.counted(Kind::Playlist, reply::bare(StatusCode::BAD_REQUEST, 1, &self.edge.dates));
        };
        if known.state == ChannelState::Idle {
            return self.counted(Kind::Playlist, reply::bare(StatusCode::NOT_FOUND, 1, &self.edge.dates));
        }
        let Some(visit) = self.edge.live.enter(channel, track) else {
            return self.counted(Kind::Playlist, reply::retry(&self.edge.dates));
        };
        let wait = Wait { edge: Arc::clone(&self.edge), visit, directives, asked };
        match wait.look(Some(known)) {
            Ready::Version(playlist) => {
                let version = wait.version(playlist, Timing::Hit);
                Reply::Now(version.into_response(&self.edge))
            }
            Ready::Refused(status) => self.counted(Kind::Playlist, wait.refusal(status)),
            Ready::NotYet { .. } => match self.guest.hold() {
                Some(hold) => Reply::Later(Box::pin(wait.run(hold))),
                None => self.counted(Kind::Playlist, reply::retry(&self.edge.dates)),
            },
        }
    }
}

/// A playlist request.
struct Wait {
    edge: Arc<Shared>,
    visit: Visit,
    directives: Directives,
    asked: Asked,
}

impl Wait {
    /// Judges the request by what there is.
    fn look(&self, known: Option<Known>) -> Ready {
        let live = &self.edge.live;
        let Some(known) = known else { return Ready::Refused(StatusCode::NOT_FOUND) };
        let Some(newest) = self.newest(known) else {
            return match self.visit.is_gone() || known.state == ChannelState::Idle {
                true => Ready::Refused(StatusCode::NOT_FOUND),
                false => Ready::NotYet { patience_ms: None },
            };
        };
        let config = &live.config.reload;
        match reload::judge(self.directives, &newest.header, &newest.constants, config.partless_release) {
            Judgement::Send => Ready::Version(newest),
            Judgement::TooFar => Ready::Refused(StatusCode::BAD_REQUEST),
            Judgement::Wait => {
                let patience = reload::patience(&newest.constants, config.on_stall);
                Ready::NotYet { patience_ms: Some(patience.as_millis() as u64) }
            }
        }
    }

    /// The newest version, unless another session has begun since (its viewers must not be shown the end of this one) or it
    /// is purged.
    fn newest(&self, known: Known) -> Option<Arc<Playlist>> {
        let newest = self.visit.newest.borrow().clone()?;
        let is_current = known.session.is_none_or(|now| newest.constants.session >= now);
        let epoch = newest.header.version.epoch;
        let is_purged = || is_purged(&self.edge.live.view.borrow(), &self.visit.channel, epoch);
        (is_current && !is_purged()).then_some(newest)
    }

    /// Waits for the version; gives the newest, or an error, when it does not come.
    async fn run(self, _hold: Hold) -> Answer {
        let mut newest = self.visit.newest.subscribe();
        let mut deadline: Option<(Instant, bool)> = None;
        loop {
            newest.mark_unchanged();
            let patience_ms = match self.look(self.edge.live.known(&self.visit.channel)) {
                Ready::Version(playlist) => {
                    self.edge.stats.released.add(1);
                    return Answer::Version(self.version(playlist, Timing::Held));
                }
                Ready::Refused(status) => return self.refused(self.refusal(status)),
                Ready::NotYet { patience_ms } => patience_ms,
            };
            let until = match deadline {
                Some((until, had_playlist)) if had_playlist == patience_ms.is_some() => until,
                _ => Instant::now() + ms(patience_ms.unwrap_or(self.edge.config.reload.starting_ms)),
            };
            deadline = Some((until, patience_ms.is_some()));
            if !matches!(timeout_at(until, newest.changed()).await, Ok(Ok(()))) {
                return self.stalled();
            }
        }
    }

    fn stalled(self) -> Answer {
        self.edge.stats.stalled.add(1);
        let newest = self.edge.live.known(&self.visit.channel).and_then(|known| self.newest(known));
        match newest.filter(|_| self.edge.config.reload.on_stall == OnStall::Newest) {
            Some(playlist) => {
                let version = self.version(playlist, Timing::Stalled);
                Answer::Version(Version { fresh_s: 0, ..version })
            }
            None => self.refused(reply::retry(&self.edge.dates)),
        }
    }

    fn refused(&self, response: Response<Body>) -> Answer {
        self.edge.stats.answered(Kind::Playlist, response.status(), 0);
        Answer::Response(response)
    }

    /// Freshness as the specification's Appendix B advises: 6 target durations for a blocking reload, half of one for
    /// a plain one; of a 404, 4 and 1.
    fn refusal(&self, status: StatusCode) -> Response<Body> {
        let target = self.visit.newest.borrow().as_ref().map_or(1000, |newest| newest.constants.target_duration_ms);
        let fresh_s = match (status, self.directives.is_blocking()) {
            (StatusCode::NOT_FOUND, true) => u64::from(target) * 4 / 1000,
            (StatusCode::NOT_FOUND, false) => u64::from(target) / 1000,
            _ => 1,
        };
        reply::bare(status, fresh_s, &self.edge.dates)
    }

    fn version(&self, playlist: Arc<Playlist>, timing: Timing) -> Version {
        let target_s = u64::from(playlist.constants.target_duration_ms) / 1000;
        let fresh_s = if self.directives.is_blocking() { 6 * target_s } else { (target_s / 2).max(1) };
        let form = Form { delta: self.directives.skip && playlist.has_delta(), gzip: self.asked.gzip };
        Version { playlist, form, fresh_s, timing, asked: self.asked.clone() }
    }
}

impl Version {
    pub(super) fn into_response(self, edge: &Shared) -> Response<Body> {
        let response = self.response(edge);
        if self.timing == Timing::Hit {
            edge.stats.hits.add(1);
        }
        edge.stats.answered(Kind::Playlist, response.status(), response.body().len());
        response
    }

    /// Head and body in one piece, made once for all who get the same in the same second.
    pub(super) fn whole_http1(&self, edge: &Shared) -> Option<Bytes> {
        if self.asked.head || self.asked.if_none_match.is_some() {
            return None;
        }
        let (date, age) = (edge.dates.header(), reply::age(self.playlist.made));
        let like = Written { date, age, fresh_s: self.fresh_s, timing: self.timing.header() };
        let body = self.playlist.bytes(self.form, edge.config.follow.max_playlist_bytes)?;
        let len = body.len() as u64;
        let whole = self.playlist.written(self.form, like, || {
            let (head, _) = self.response(edge).into_parts();
            let mut whole = raw::head(&head, len, false);
            whole.extend_from_slice(&body);
            Bytes::from(whole)
        });
        edge.stats.answered(Kind::Playlist, StatusCode::OK, len);
        Some(whole)
    }

    fn response(&self, edge: &Shared) -> Response<Body> {
        let etag = self.playlist.etag(self.form);
        let unchanged = self.asked.knows(etag.as_ref());
        let body = self.playlist.bytes(self.form, edge.config.follow.max_playlist_bytes);
        let status = match (unchanged, body.is_some()) {
            (_, false) => StatusCode::BAD_GATEWAY,
            (true, true) => StatusCode::NOT_MODIFIED,
            (false, true) => StatusCode::OK,
        };
        let mut response = reply::begin(status, &edge.dates);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/vnd.apple.mpegurl"));
        headers.insert(header::CACHE_CONTROL, reply::max_age(if body.is_some() { self.fresh_s } else { 0 }));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(header::AGE, HeaderValue::from(reply::age(self.playlist.made)));
        headers.insert(reply::PRIORITY, HeaderValue::from_static("u=1"));
        headers.insert(reply::SERVER_TIMING, self.timing.header());
        if let Some(arrival) = &self.playlist.arrival {
            headers.append(reply::SERVER_TIMING, arrival.clone());
        }
        if let Some(etag) = etag {
            headers.insert(header::ETAG, etag);
        }
        if self.form.gzip && status == StatusCode::OK {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if status == StatusCode::OK {
            reply::fill(&mut response, Body::from(body.unwrap_or_default()), self.asked.head);
        }
        response
    }
}
