//! The HTTP faces of nearness. Every answer is for one client at one moment, so nobody keeps it.

use bytes::Bytes;
use freshet_proto::id::ChannelName;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use serde_json::Value;
use tokio::time::Instant;

use super::{answers::Answers, asked::Asked};
use crate::{
    http::{
        Caller,
        body::Body,
        reply::{self, Reply},
    },
    stats::Kind,
};

/// What a path asks for.
enum Face<'a> {
    Ingests,
    Watch(&'a str),
    Go(&'a str),
    Steer(&'a str),
}

impl<'a> Face<'a> {
    fn of(path: &'a str) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/live/") {
            return rest.strip_suffix("/steer.json").map(Self::Steer);
        }
        if path == "/api/ingests" {
            return Some(Self::Ingests);
        }
        let watch = path.strip_prefix("/api/watch/").map(Self::Watch);
        watch.or_else(|| path.strip_prefix("/go/").map(Self::Go))
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Ingests | Self::Watch(_) => Kind::Api,
            Self::Go(_) | Self::Steer(_) => Kind::Index,
        }
    }
}

impl Caller {
    /// Answers where the path is one of nearness.
    pub(crate) fn near(&self, request: &Parts) -> Option<Reply> {
        self.shown(&Face::of(request.uri.path())?, request)
    }

    /// Answers where `name`, what follows the token in a viewer's path, is that of a steering manifest.
    pub(crate) fn steered(&self, request: &Parts, name: &str) -> Option<Reply> {
        self.shown(&name.strip_suffix("/steer.json").map(Face::Steer)?, request)
    }

    fn shown(&self, face: &Face<'_>, request: &Parts) -> Option<Reply> {
        let dates = &self.edge.dates;
        let answer = match request.method {
            Method::GET | Method::HEAD => self.face(face, request),
            Method::OPTIONS => reply::options(dates),
            _ => reply::not_allowed(dates),
        };
        Some(self.counted(face.kind(), answer))
    }

    /// Sends a new viewer on where this edge has as many as it is meant for. Who was sent on before stays: two full edges
    /// would send it to and fro.
    pub(crate) fn elsewhere(&self, request: &Parts, channel: &ChannelName) -> Option<Reply> {
        let (clients, most) = (self.edge.clients(), self.edge.config.near.max_viewers);
        let asked = Asked::of(request.uri.query());
        if most == 0 || clients <= most || asked.moved {
            return None;
        }
        let target = self.with_answers(&asked, |answers| answers.elsewhere(channel))?;
        let query = request.uri.query().map_or_else(|| "moved".to_owned(), |query| format!("{query}&moved"));
        Some(self.counted(Kind::Index, self.redirect(&format!("{target}?{query}"))))
    }

    fn face(&self, face: &Face<'_>, request: &Parts) -> Response<Body> {
        let (asked, head) = (Asked::of(request.uri.query()), request.method == Method::HEAD);
        let name = match face {
            Face::Ingests => return self.json(self.with_answers(&asked, |answers| answers.ingests()), head),
            Face::Watch(name) | Face::Go(name) | Face::Steer(name) => name,
        };
        let Some(channel) = self.known(name) else { return self.unknown() };
        match face {
            Face::Go(_) => {
                let target = self.with_answers(&asked, |answers| answers.best(&channel));
                let query = request.uri.query().map_or_else(String::new, |query| format!("?{query}"));
                self.redirect(&format!("{target}{query}"))
            }
            Face::Steer(_) => {
                let manifest = |answers: &Answers<'_>| answers.steer(&channel, &asked, authority(request));
                self.json(self.with_answers(&asked, manifest), head)
            }
            _ => self.json(self.with_answers(&asked, |answers| answers.watch(&channel)), head),
        }
    }

    fn with_answers<T>(&self, asked: &Asked, say: impl FnOnce(&Answers<'_>) -> T) -> T {
        let nearness = self.edge.nearness();
        let view = self.edge.live.view.borrow().clone();
        let made = nearness.made(&view);
        let client = nearness.client(self.guest.address(), asked.measured.clone());
        let stopping = self.edge.draining.is_cancelled();
        say(&Answers { near: &nearness.near, made: &made, client: &client, stopping })
    }

    fn known(&self, name: &str) -> Option<ChannelName> {
        let channel = name.parse().ok()?;
        self.edge.live.known(&channel).map(|_| channel)
    }

    fn unknown(&self) -> Response<Body> {
        let dates = &self.edge.dates;
        match self.guest.may_miss(Instant::now()) {
            true => reply::bare(StatusCode::NOT_FOUND, 0, dates),
            false => reply::slow_down(dates),
        }
    }

    fn json(&self, value: Value, head: bool) -> Response<Body> {
        let mut response = reply::bare(StatusCode::OK, 0, &self.edge.dates);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply::fill(&mut response, Body::from(Bytes::from(value.to_string())), head);
        response
    }

    fn redirect(&self, target: &str) -> Response<Body> {
        let dates = &self.edge.dates;
        // The parts of it are our own or were parts of a URI that was parsed.
        let Ok(target) = HeaderValue::from_str(target) else { return reply::bare(StatusCode::BAD_REQUEST, 0, dates) };
        let mut response = reply::bare(StatusCode::TEMPORARY_REDIRECT, 0, dates);
        response.headers_mut().insert(header::LOCATION, target);
        response
    }
}

/// Host and port that the client asks at.
fn authority(request: &Parts) -> Option<&str> {
    let of_target = request.uri.authority().map(http::uri::Authority::as_str);
    of_target.or_else(|| request.headers.get(header::HOST)?.to_str().ok())
}
