//! The REST API: what a client asks, as its edge passes it on.
//!
//! ```text
//! edge ──API over QUIC──▶ control::answer ──▶ Api ──▶ memory (idempotency) ──▶ axum::Router ──▶ Accounts (SQL)
//!                                                                                          └──▶ Platform (the registry)
//! ```
//! There is no listener: requests come over the node protocol alone, from edges, which have verified who asks and say so in
//! `x-client-*`, and from control nodes' hosts, which are the command line. Errors are problem details (RFC 9457), all of
//! them. A change of a channel is committed in SQL first and then carried to the registry ([`carrier`]).

mod admin;
mod audience;
mod auth;
mod caller;
mod carrier;
mod chat;
mod extract;
mod health;
mod history;
mod keys;
mod me;
mod members;
mod memory;
mod moderation;
mod openapi;
mod page;
mod platform;
mod problem;
mod streams;
mod tokens;
mod users;
mod words;

use std::sync::Arc;

use axum::{Json, Router, body::Body, extract::DefaultBodyLimit, routing::get};
use bytes::Bytes;
use freshet_proto::api::{ApiReply, ApiRequest};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use self::{
    caller::Caller,
    memory::{Answer, Memory, Turn},
};
pub use self::{
    caller::OPERATOR,
    platform::{Asked, Counted, Counts, Platform},
    problem::Problem,
    tokens::{ACCESS_S, PLAYBACK_S},
};
use crate::accounts::Accounts;

/// The API of one control node. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    router: Router,
    shared: Arc<Shared>,
    memory: Arc<Memory>,
}

/// What all handlers share.
pub(crate) struct Shared {
    accounts: Accounts,
    platform: Arc<dyn Platform>,
}

impl Api {
    /// An API over these accounts and this platform.
    pub fn new(accounts: Accounts, platform: Arc<dyn Platform>) -> Self {
        let shared = Arc::new(Shared { accounts, platform });
        let (router, openapi) = openapi::router().split_for_parts();
        let document = Arc::new(openapi::complete(openapi));
        let router = router
            .route("/api/openapi.json", get(move || std::future::ready(Json(document.clone()))))
            .fallback(|| std::future::ready(Problem::not_found("resource")))
            .method_not_allowed_fallback(|| {
                std::future::ready(Problem::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "this resource does not know that method",
                ))
            })
            .layer(DefaultBodyLimit::max(ApiRequest::MAX))
            .with_state(shared.clone());
        Self { router, shared, memory: Arc::default() }
    }

    /// Carries changes of channels to the registry until `closing` is cancelled.
    pub async fn carry(&self, closing: CancellationToken) {
        self.shared.clone().carry_on(closing).await;
    }

    /// Answers one request. One that changes something is done to its end, and done once, though nobody may wait for it any
    /// more.
    pub async fn answer(&self, request: ApiRequest) -> Answer {
        let key = request.headers.iter().find(|(name, _)| name == "idempotency-key").map(|(_, key)| key.clone());
        let Some(http) = translated(&request) else { return closed(Problem::bad("the request is malformed")).await };
        if matches!(*http.method(), Method::GET | Method::HEAD) {
            return self.serve(http).await;
        }
        let key = key.unwrap_or_else(|| self.shared.platform.draw());
        let scope = Caller::of(http.headers()).scope();
        let mut waiting = match self.memory.turn(Instant::now(), scope.clone(), key.clone(), &request) {
            Turn::Another => {
                return closed(Problem::unprocessable("that idempotency key stands for another request")).await;
            }
            Turn::Wait(waiting) => waiting,
            Turn::Do(done) => {
                let (api, waiting) = (self.clone(), done.subscribe());
                tokio::spawn(async move {
                    let answer = api.serve(http).await;
                    if is_for_now(answer.0.status) {
                        api.memory.forget(scope, key);
                    }
                    done.send_replace(Some(answer));
                });
                waiting
            }
        };
        match waiting.wait_for(Option::is_some).await.map(|answer| answer.clone()) {
            Ok(Some(answer)) => answer,
            _ => closed(Problem::unavailable("the request was not done; try again")).await,
        }
    }

    async fn serve(&self, request: Request<Body>) -> Answer {
        match self.router.clone().oneshot(request).await {
            Ok(response) => whole(response).await,
            Err(never) => match never {},
        }
    }
}

/// `None` where it is no HTTP request.
fn translated(request: &ApiRequest) -> Option<Request<Body>> {
    let mut http = Request::builder().method(request.method.as_str()).uri(request.target.as_str());
    for (name, value) in &request.headers {
        http = http.header(name, value);
    }
    http.body(Body::from(request.body.clone())).ok()
}

async fn whole(response: Response<Body>) -> Answer {
    let (head, body) = response.into_parts();
    let text = |value: &http::HeaderValue| value.to_str().ok().map(str::to_owned);
    let headers = head.headers.iter().filter_map(|(name, value)| Some((name.to_string(), text(value)?))).collect();
    match Limited::new(body, ApiReply::MAX).collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            (ApiReply { status: head.status.as_u16(), headers, length: body.len() as u32 }, body)
        }
        Err(_) => (ApiReply { status: 500, headers: Vec::new(), length: 0 }, Bytes::new()),
    }
}

async fn closed(problem: Problem) -> Answer {
    whole(axum::response::IntoResponse::into_response(problem)).await
}

/// Whether a status says that it may go better another time.
fn is_for_now(status: u16) -> bool {
    status >= 500 || status == StatusCode::TOO_MANY_REQUESTS.as_u16()
}
