//! The API's door: an edge takes a client's request to the REST API, says who asks, and passes it on to a control node.
//!
//! ```text
//! client ──▶ place ──▶ bearer (401) ──▶ body (413, 408) ──▶ fields ──ApiRequest──▶ ApiUpstream ──▶ ApiReply ──▶ client
//!            503, 429     keyring of the view                 x-client-*
//! ```
//! Control nodes believe what an edge says of a client, so nothing of what a client says of itself gets through: of its
//! header fields only those that [`fields`] names pass, and `x-client-*` come from here alone. A channel's chat is answered
//! by the hub beside the edge, where there is one, on the same terms.
//!
//! Limits: [`ApiConfig`] says how many requests may be under way, in all and per address, and how long each may take; a
//! body has at most [`ApiConfig::body_bytes`], or [`AVATAR_BYTES`] where a picture is uploaded. One beyond is refused
//! before it is read.

mod bearer;
pub(crate) mod body;
mod fields;
mod places;
pub(crate) mod problem;

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use freshet_proto::{
    api::{ApiReply, ApiRequest},
    ordered,
    random::Random,
    view::View,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use tokio::time::timeout;

pub(crate) use self::places::{Place, Places};
use self::{bearer::Tokens, problem::Problem};
use crate::{
    audience::CMCD,
    config::{ApiConfig, ms},
    http::{
        Caller,
        body::Body,
        date::Dates,
        reply::{self, Answer, Reply},
    },
    stats::Kind,
    upstream::BoxFuture,
};

/// The longest body where a picture is uploaded: what a control node decodes at most.
pub const AVATAR_BYTES: usize = 4 << 20;

/// Where an edge says how it is.
const HEALTH: &str = "/health";

/// Where a picture is uploaded.
const AVATAR: &str = "/api/me/avatar";

/// The methods that the API knows; everything else is refused here.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What pages of other sites may send (Fetch §3.2.2); `*` would leave `Authorization` out.
const FIELDS: &str = "authorization, content-type, idempotency-key, if-match, if-none-match";

/// Asks the REST API's servers.
pub trait ApiUpstream: Send + Sync + 'static {
    /// Asks until one answers, for at most a few seconds. A request whose method changes something carries an
    /// `idempotency-key`, so that it may be asked again when its answer was lost.
    fn ask(&self, request: ApiRequest) -> BoxFuture<'static, Result<(ApiReply, Bytes), ApiUnavailable>>;
}

/// Why nobody answered. Ours, never the client's doing; the remedy is to ask again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no control node answers for the API: {0}")]
pub struct ApiUnavailable(pub String);

/// What an edge needs to be the API's door.
pub(crate) struct Gateway {
    config: ApiConfig,
    upstream: Arc<dyn ApiUpstream>,
    view: ordered::Receiver<Arc<View>>,
    random: Random,
    tokens: Tokens,
    places: Arc<Places>,
}

impl Gateway {
    pub(crate) fn new(
        config: ApiConfig,
        upstream: Arc<dyn ApiUpstream>,
        view: ordered::Receiver<Arc<View>>,
        random: Random,
    ) -> Self {
        let places = Places::new(config.under_way, config.under_way_per_address);
        Self { config, upstream, view, random, tokens: Tokens::default(), places }
    }

    /// Whether the path is the API's and not one that the edge answers itself.
    fn takes(path: &str) -> bool {
        let own =
            matches!(path, "/api/time" | "/api/ingests" | "/api/oembed" | CMCD) || path.starts_with("/api/watch/");
        path.starts_with("/api/") && !own
    }

    fn body_limit(&self, request: &Parts) -> usize {
        if request.method == Method::PUT && request.uri.path() == AVATAR {
            AVATAR_BYTES
        } else {
            self.config.body_bytes
        }
    }
}

impl Caller {
    /// Answers a request whose body may matter.
    pub(crate) fn receive(&self, request: Parts, body: Incoming) -> Reply {
        match self.edge.gateway.get() {
            Some(gateway) if Gateway::takes(request.uri.path()) => self.pass_on(gateway, request, body),
            _ if request.uri.path() == CMCD => self.collect(request, body),
            _ if request.uri.path() == HEALTH => self.counted(Kind::Api, self.health(&request.method)),
            _ => self.answer(&request),
        }
    }

    /// Whether clients should be sent here: for whoever balances load over edges. Says nothing of the control plane, for an
    /// edge serves viewers without.
    fn health(&self, method: &Method) -> Response<Body> {
        let ready = self.edge.live.view.borrow().revision > 0 && !self.edge.draining.is_cancelled();
        let dates = &self.edge.dates;
        let (mut response, text) = match ready {
            true => (reply::bare(StatusCode::OK, 0, dates), "{\"status\":\"ok\"}"),
            false => (reply::retry(dates), "{\"status\":\"not ready\"}"),
        };
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply::fill(&mut response, Body::from(Bytes::from_static(text.as_bytes())), *method == Method::HEAD);
        response
    }

    fn pass_on(&self, gateway: &Arc<Gateway>, request: Parts, body: Incoming) -> Reply {
        let dates = &self.edge.dates;
        let uri_len = request.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if uri_len > self.edge.config.http.uri_bytes {
            return self.counted(Kind::Api, Problem::URI_TOO_LONG.response(dates));
        }
        if request.method == Method::OPTIONS {
            return self.counted(Kind::Api, preflight(dates));
        }
        if !is_known(&request.method) {
            return self.counted(Kind::Api, Problem::METHOD.response(dates));
        }
        let place = match gateway.places.take(self.guest.ip()) {
            Ok(place) => place,
            Err(full) => return self.counted(Kind::Api, full.response(dates)),
        };
        let (caller, gateway) = (self.clone(), gateway.clone());
        Reply::Later(Box::pin(async move {
            let head = request.method == Method::HEAD;
            let asked = gateway.ask(request, body, &caller).await;
            drop(place);
            let dates = &caller.edge.dates;
            let response = match asked {
                Ok((reply, body)) => translated(reply, body, head, dates),
                Err(problem) => problem.response(dates),
            };
            caller.edge.stats.answered(Kind::Api, response.status(), response.body().len());
            Answer::Response(response)
        }))
    }
}

impl Gateway {
    async fn ask(&self, request: Parts, body: Incoming, caller: &Caller) -> Result<(ApiReply, Bytes), Problem> {
        let limit = self.body_limit(&request);
        body::refuse_early(&request, limit)?;
        let now_ms = caller.edge.dates.now_ms();
        let annex = self.view.borrow().annex.clone();
        let client = self.tokens.client(&request.headers, &annex, now_ms)?;
        let passed = fields::passed(&request, &self.random)?;
        let body = body::read(body, limit, ms(self.config.body_timeout_ms)).await?;
        let ip: IpAddr = caller.guest.ip();
        let asked = ApiRequest {
            method: if request.method == Method::HEAD { "GET".to_owned() } else { request.method.to_string() },
            target: request.uri.path_and_query().map_or("/api/", |target| target.as_str()).to_owned(),
            headers: passed.into_iter().chain(fields::identity(client.as_ref(), ip)).collect(),
            body,
        };
        let answered = match caller.chat_at(request.uri.path()).cloned() {
            Some(hub) => Box::pin(async move { Ok(hub.ask(asked).await) }),
            None => self.upstream.ask(asked),
        };
        match timeout(ms(self.config.reply_timeout_ms), answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "an API request was not answered");
                Err(Problem::NOBODY)
            }
            Err(_) => Err(Problem::NOBODY),
        }
    }
}

fn is_known(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// The reply to `OPTIONS`: any page may use the API, for it goes by tokens that a page must hold, never by cookies. It has no
/// `Allow`, for an edge does not know what each resource knows.
fn preflight(dates: &Dates) -> Response<Body> {
    let mut response = reply::begin(StatusCode::NO_CONTENT, dates);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(FIELDS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// What a control node answered, as the client gets it.
fn translated(answer: ApiReply, body: Bytes, head: bool, dates: &Dates) -> Response<Body> {
    let Ok(status) = StatusCode::from_u16(answer.status) else { return Problem::NOBODY.response(dates) };
    let mut response = reply::bare(status, 0, dates);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(fields::EXPOSED));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in answer.headers.iter().filter(|(name, _)| fields::comes_back(name)) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            headers.insert(name, value);
        }
    }
    if !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        reply::fill(&mut response, Body::from(body), head);
    }
    response
}
