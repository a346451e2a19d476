//! The operator's listener: `/healthz`, `/readyz`, `/metrics`; on control nodes `/.well-known/jwks.json` too.
//!
//! `/healthz` says that the process answers; `/readyz` lists the checks of the roles and is 503 unless all hold, and
//! while draining; `/metrics` is Prometheus text. HTTP/1.1, one task a connection.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

/// One thing that must hold for a node to be ready.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was seen.
    pub detail: String,
}

/// Asked at each `/readyz`.
pub type Checks = Arc<dyn Fn() -> Vec<Check> + Send + Sync>;

/// Asked at each `/.well-known/jwks.json`: the public halves of the signing keys (RFC 7517 §5).
pub type Jwks = Arc<dyn Fn() -> String + Send + Sync>;

/// What the listener tells.
#[derive(Clone)]
pub struct Told {
    /// Behind `/metrics`.
    pub metrics: PrometheusHandle,
    /// Behind `/readyz`.
    pub checks: Checks,
    /// Behind `/.well-known/jwks.json`, on control nodes.
    pub jwks: Option<Jwks>,
}

/// Connections at once; a further one waits.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may last: scrapes are short.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long accepting rests after it failed, for instance for want of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// Answers until dropped.
pub async fn serve(listener: TcpListener, told: Told) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((socket, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        let told = told.clone();
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, connection(socket, told)).await;
            drop(place);
        });
    }
}

async fn connection(socket: TcpStream, told: Told) {
    let answer = move |request: Request<Incoming>| {
        let response = answer(request.uri().path(), &told);
        async move { Ok::<_, Infallible>(response) }
    };
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let _ = http.serve_connection(TokioIo::new(socket), hyper::service::service_fn(answer)).await;
}

fn answer(path: &str, told: &Told) -> Response<Full<Bytes>> {
    match (path, &told.jwks) {
        ("/.well-known/jwks.json", Some(jwks)) => keys(jwks()),
        ("/healthz", _) => json(StatusCode::OK, r#"{"status":"ok"}"#.into()),
        ("/readyz", _) => ready(&(told.checks)()),
        ("/metrics", _) => text(StatusCode::OK, "text/plain; version=0.0.4", told.metrics.render()),
        _ => text(StatusCode::NOT_FOUND, "text/plain", "/healthz, /readyz or /metrics\n".into()),
    }
}

fn ready(checks: &[Check]) -> Response<Full<Bytes>> {
    let all = checks.iter().all(|check| check.ok);
    let (status, word) = if all { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready") };
    json(status, serde_json::json!({ "status": word, "checks": checks }).to_string())
}

/// Nodes learn of keys by the watch; others may ask every five minutes, for a key is known for longer before it signs.
fn keys(jwks: String) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, "application/jwk-set+json", jwks);
    let fresh = header::HeaderValue::from_static("public, max-age=300");
    response.headers_mut().insert(header::CACHE_CONTROL, fresh);
    response
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    text(status, "application/json", body)
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(checks: &[bool]) -> StatusCode {
        let checks: Vec<_> = checks.iter().map(|&ok| Check { name: "x", ok, detail: String::new() }).collect();
        ready(&checks).status()
    }

    #[test]
    fn a_node_is_ready_when_every_check_holds() {
        assert_eq!(status(&[true, true]), StatusCode::OK);
        assert_eq!(status(&[true, false]), StatusCode::SERVICE_UNAVAILABLE);
    }
}
