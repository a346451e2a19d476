//! From a request to who answers it.

use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};

use freshet_proto::object::{Object, ResourceName};
use tokio::time::Instant;

use super::{
    Caller,
    asked::Asked,
    body::Body,
    reply::{self, Reply},
};
use crate::stats::Kind;

impl Caller {
    /// Answers a request, at once where that is possible.
    pub(crate) fn answer(&self, request: &Parts) -> Reply {
        let path = request.uri.path();
        let dates = &self.edge.dates;
        if target_len(request) > self.edge.config.http.uri_bytes {
            return self.counted(Kind::Site, reply::bare(StatusCode::URI_TOO_LONG, 0, dates));
        }
        if let Some(reply) = self.near(request) {
            return reply;
        }
        if let Some(name) = path.strip_prefix("/live/") {
            return self.live(request, name);
        }
        if path == "/api/time" {
            return self.counted(Kind::Api, self.time(&request.method));
        }
        self.counted(Kind::Site, self.site(request))
    }

    fn live(&self, request: &Parts, name: &str) -> Reply {
        let dates = &self.edge.dates;
        match request.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return self.counted(Kind::Site, reply::options(dates)),
            _ => return self.counted(Kind::Site, reply::not_allowed(dates)),
        }
        // One grammar for all names; nothing of a path is ever decoded or joined to another.
        let Ok(name) = name.parse::<ResourceName>() else {
            return self.counted(Kind::Site, reply::bare(StatusCode::NOT_FOUND, 1, dates));
        };
        let kind = kind(&name);
        let Some(known) = self.edge.live.known(name.channel()) else {
            let may = self.guest.may_miss(Instant::now());
            let answer = if may { reply::bare(StatusCode::NOT_FOUND, 1, dates) } else { reply::slow_down(dates) };
            return self.counted(kind, answer);
        };
        if let ResourceName::Index(channel) = &name
            && let Some(reply) = self.elsewhere(request, channel)
        {
            return reply;
        }
        let asked = Asked::of(request);
        match name {
            ResourceName::Playlist(channel, track) => {
                let query = request.uri.query().unwrap_or("");
                self.playlist(&channel, track, known, query, asked)
            }
            ResourceName::Index(_) | ResourceName::Thumb(_) => self.session_wide(name, kind, known, asked),
            ResourceName::Object(name) => self.object(name, kind, asked),
        }
    }

    pub(crate) fn counted(&self, kind: Kind, response: Response<Body>) -> Reply {
        self.edge.stats.answered(kind, response.status(), response.body().len());
        Reply::Now(response)
    }

    /// The edge's wall clock, by which players correct theirs.
    fn time(&self, method: &Method) -> Response<Body> {
        let dates = &self.edge.dates;
        match *method {
            Method::GET | Method::HEAD => {
                let mut response = reply::bare(StatusCode::OK, 0, dates);
                let text = format!("{{\"unix_ms\":{}}}", dates.now_ms());
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *response.body_mut() = Body::from(bytes::Bytes::from(text));
                response
            }
            Method::OPTIONS => reply::options(dates),
            _ => reply::not_allowed(dates),
        }
    }

    fn site(&self, request: &Parts) -> Response<Body> {
        let dates = &self.edge.dates;
        let Some(site) = self.edge.site.get() else { return reply::bare(StatusCode::NOT_FOUND, 1, dates) };
        let mut response = site.answer(request).map(Body::from);
        response.headers_mut().insert(header::DATE, dates.header());
        response
    }
}

fn kind(name: &ResourceName) -> Kind {
    match name {
        ResourceName::Index(_) => Kind::Index,
        ResourceName::Playlist(..) => Kind::Playlist,
        ResourceName::Thumb(_) => Kind::Thumb,
        ResourceName::Object(name) => match name.object {
            Object::Init(_) => Kind::Init,
            Object::Segment(_) => Kind::Segment,
            Object::Part(..) => Kind::Part,
        },
    }
}

fn target_len(request: &Parts) -> usize {
    request.uri.path_and_query().map_or(0, |target| target.as_str().len())
}
