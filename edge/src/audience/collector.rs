//! `POST /api/cmcd`: the collector of CTA-5004-B §3.3, at every edge, for pages of every site.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{counts::Outcome, report};
use crate::{
    config::ms,
    gateway::{Place, body},
    http::{
        Caller,
        body::Body,
        date::Dates,
        reply::{self, Answer, Reply},
    },
    stats::Kind,
};

/// Where reports are sent.
pub(crate) const CMCD: &str = "/api/cmcd";

/// The longest body, in bytes: a report has about 300.
const MAX_BODY: usize = 64 << 10;

const METHODS: &str = "POST, OPTIONS";

/// What bodies may be called: CTA-5004-B's name, an older one, and the one that a beacon can have without asking first (Fetch
/// §2.2.2, "CORS-safelisted request-header").
const TYPES: [&str; 3] = ["application/cmcd", "text/cmcd", "text/plain"];

impl Caller {
    /// Takes what a player reports.
    pub(crate) fn collect(&self, request: Parts, body: Incoming) -> Reply {
        match self.admit(&request) {
            Ok(place) => self.hear(request, body, place),
            Err(response) => self.counted(Kind::Api, *response),
        }
    }

    fn admit(&self, request: &Parts) -> Result<Place, Box<Response<Body>>> {
        let dates = &self.edge.dates;
        let refused = |response| Err(Box::new(response));
        match request.method {
            Method::POST => {}
            Method::OPTIONS => return refused(preflight(dates)),
            _ => {
                let mut response = reply::bare(StatusCode::METHOD_NOT_ALLOWED, 0, dates);
                response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
                return refused(response);
            }
        }
        if !is_cmcd(&request.headers) {
            let why = "reports are lines of CMCD, version 2, of type application/cmcd";
            return refused(reply::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, why, false, dates));
        }
        if !self.guest.may_report(Instant::now()) {
            self.edge.hearing.counts.reports(Outcome::Throttled, 1);
            return refused(reply::slow_down(dates));
        }
        body::refuse_early(request, MAX_BODY)
            .and_then(|()| self.edge.hearing.places.take(self.guest.ip()))
            .map_err(|problem| Box::new(problem.response(dates)))
    }

    fn hear(&self, request: Parts, incoming: Incoming, place: Place) -> Reply {
        let caller = self.clone();
        Reply::Later(Box::pin(async move {
            let patience = ms(caller.edge.config.api.body_timeout_ms);
            let read = body::read(incoming, MAX_BODY, patience).await;
            drop((place, request));
            let dates = &caller.edge.dates;
            let response = match read {
                Ok(body) => caller.heard(&body),
                Err(problem) => problem.response(dates),
            };
            caller.edge.stats.answered(Kind::Api, response.status(), response.body().len());
            Answer::Response(response)
        }))
    }

    /// Of channels that there are not nothing is kept, and nobody is told which there are.
    fn heard(&self, body: &Bytes) -> Response<Body> {
        let (dates, hearing) = (&self.edge.dates, &self.edge.hearing);
        let refused = |why: &str| {
            hearing.counts.reports(Outcome::Refused, 1);
            reply::problem(StatusCode::BAD_REQUEST, why, false, dates)
        };
        let Ok(text) = std::str::from_utf8(body) else { return refused("reports are ASCII text") };
        match report::reports(text) {
            Ok(reports) => {
                self.guest.reported(Instant::now(), reports.len().saturating_sub(1));
                hearing.counts.reports(Outcome::Taken, reports.len());
                let view = self.edge.live.view.borrow().clone();
                let known = reports.iter().filter(|report| view.channels.contains_key(&report.channel));
                hearing.hear(dates.now_ms(), known);
                reply::bare(StatusCode::NO_CONTENT, 0, dates)
            }
            Err(why) => refused(&why.to_string()),
        }
    }
}

fn is_cmcd(headers: &HeaderMap) -> bool {
    let told = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = told.split(';').next().unwrap_or_default().trim();
    TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// The reply to `OPTIONS`: players report to the edge that they play from, whatever site they are on; without cookies.
fn preflight(dates: &Dates) -> Response<Body> {
    let mut response = reply::begin(StatusCode::NO_CONTENT, dates);
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("content-type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}
