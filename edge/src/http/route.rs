//! From a request to who answers it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};

use freshet_proto::{
    object::{Object, ResourceName},
    view::ChannelState,
};
use tokio::time::Instant;

use super::{
    Caller,
    asked::Asked,
    body::Body,
    date::Dates,
    reply::{self, Answer, Reply},
};
use crate::{
    chat::CHAT,
    door::{self, Barred, Entrance, Shown},
    live::Known,
    stats::Kind,
    watching::Viewer,
};

/// For how many seconds anybody may keep the public keys: what is signed with a new key is verified by those who have known
/// it for longer.
const KEYS_FRESH_S: u64 = 300;

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
            return self.live(request, name, Shown::Query(request.uri.query().unwrap_or("")));
        }
        if let Some(rest) = path.strip_prefix("/p/") {
            return match door::split(rest) {
                Some((token, name)) => match self.steered(request, name) {
                    Some(reply) => reply,
                    None => self.live(request, name, Shown::Path(token)),
                },
                None => self.counted(Kind::Site, reply::bare(StatusCode::NOT_FOUND, 1, dates)),
            };
        }
        if path.starts_with(CHAT) && self.edge.chat.get().is_some() {
            return self.counted(Kind::Api, self.upgrade_required());
        }
        if path == "/api/time" {
            return self.counted(
                Kind::Api,
                self.document(&request.method, |dates| {
                    (format!("{{\"unix_ms\":{}}}", dates.now_ms()).into(), "application/json", 0)
                }),
            );
        }
        if path == "/.well-known/jwks.json" {
            return self.counted(
                Kind::Api,
                self.document(&request.method, |_| {
                    let keyring = self.edge.live.view.borrow().annex.keys.clone();
                    (self.edge.door.keys(&keyring).jwks(), "application/jwk-set+json", KEYS_FRESH_S)
                }),
            );
        }
        self.site(request)
    }

    fn live(&self, request: &Parts, name: &str, shown: Shown<'_>) -> Reply {
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
        // Before the door, which would make it one of this edge's viewers.
        if let (ResourceName::Index(channel), Shown::Query(_)) = (&name, shown)
            && self.edge.live.known(channel).is_some()
            && let Some(reply) = self.elsewhere(request, channel)
        {
            return reply;
        }
        let known = match self.enter(request, &name, shown) {
            Ok(known) => known,
            Err(answer) => return self.counted(kind(&name), *answer),
        };
        let kind = kind(&name);
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

    /// What there is to be told of a channel, to whom it may be told. Of a private one nobody else learns whether it is live,
    /// or has ever been.
    fn enter(&self, request: &Parts, name: &ResourceName, shown: Shown<'_>) -> Result<Known, Box<Response<Body>>> {
        let dates = &self.edge.dates;
        let view = self.edge.live.view.borrow().clone();
        let known = Known::of(&view, name.channel());
        let is_private = door::is_private(&view, name.channel());
        let costs = if is_private { is_trade(name, shown) } else { known.is_none() };
        if costs && !self.guest.may_miss(Instant::now()) {
            return Err(Box::new(reply::slow_down(dates)));
        }
        let missing = || Box::new(reply::bare(StatusCode::NOT_FOUND, 1, dates));
        if known.is_none() && !is_private {
            return Err(missing());
        }
        let now_ms = dates.now_ms();
        let entrance = self.edge.door.ask(&view, name, shown, now_ms);
        let entrance = entrance.map_err(|why| Box::new(self.barred(why, request.method == Method::HEAD)))?;
        let known = known.ok_or_else(missing)?;
        match entrance {
            // Nobody is sent on to what isn't there.
            Entrance::Under(token) if known.state != ChannelState::Idle => {
                Err(Box::new(reply::redirect(&format!("/p/{token}/live/{name}"), dates)))
            }
            Entrance::Under(_) => Ok(known),
            Entrance::Open(session) => {
                self.watches(session, name, known, now_ms);
                Ok(known)
            }
        }
    }

    /// Counts a viewer of what is live by its requests for media and for playlists that list some.
    fn watches(&self, session: Option<u64>, name: &ResourceName, known: Known, now_ms: u64) {
        let is_on = matches!(known.state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace);
        if is_on && matches!(name, ResourceName::Playlist(..) | ResourceName::Object(_)) {
            let viewer = session.map_or_else(|| Viewer::Household(self.guest.household()), Viewer::Session);
            self.edge.watching.seen(viewer, name.channel(), now_ms);
        }
    }

    /// The one table of refusals at the door and statuses.
    fn barred(&self, why: Barred, head: bool) -> Response<Body> {
        match why {
            Barred::NotYet => reply::retry(&self.edge.dates),
            _ => reply::problem(StatusCode::FORBIDDEN, &why.to_string(), head, &self.edge.dates),
        }
    }

    pub(crate) fn counted(&self, kind: Kind, response: Response<Body>) -> Reply {
        self.edge.stats.answered(kind, response.status(), response.body().len());
        Reply::Now(response)
    }

    /// A small document that is read only: its text, its type and for how many seconds it is fresh.
    fn document(&self, method: &Method, make: impl FnOnce(&Dates) -> (Bytes, &'static str, u64)) -> Response<Body> {
        let dates = &self.edge.dates;
        match *method {
            Method::GET | Method::HEAD => {
                let (text, content_type, fresh_s) = make(dates);
                let mut response = reply::bare(StatusCode::OK, fresh_s, dates);
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                *response.body_mut() = Body::from(text);
                response
            }
            Method::OPTIONS => reply::options(dates),
            _ => reply::not_allowed(dates),
        }
    }

    fn site(&self, request: &Parts) -> Reply {
        let dates = &self.edge.dates;
        let Some(site) = self.edge.site.get() else {
            return self.counted(Kind::Site, reply::bare(StatusCode::NOT_FOUND, 1, dates));
        };
        let Some(later) = site.later(request) else {
            return self.counted(Kind::Site, dated(site.answer(request), dates));
        };
        let (edge, head) = (Arc::clone(&self.edge), request.method == Method::HEAD);
        Reply::Later(Box::pin(async move {
            let mut response = dated(later.await, &edge.dates);
            edge.stats.answered(Kind::Site, response.status(), response.body().len());
            let body = std::mem::replace(response.body_mut(), Body::empty());
            reply::fill(&mut response, body, head);
            Answer::Response(response)
        }))
    }
}

fn dated(response: Response<Bytes>, dates: &Dates) -> Response<Body> {
    let mut response = response.map(Body::from);
    response.headers_mut().insert(header::DATE, dates.header());
    response
}

/// Whether a signature would be verified for it, were the channel private.
fn is_trade(name: &ResourceName, shown: Shown<'_>) -> bool {
    matches!(name, ResourceName::Index(_)) && shown.has_playback_token()
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
