//! Sends viewers from plain HTTP on to HTTPS: 308, same host, same path (RFC 9110 §15.4.9).

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};

/// Connections at once; a further one is closed.
const MAX_CONNECTIONS: usize = 4096;
/// How long a connection may last.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long accepting rests after it failed.
const REST: Duration = Duration::from_millis(100);

/// Redirects until dropped. 443 is left out of the new address.
pub async fn serve(listener: TcpListener, https_port: u16) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        tokio::spawn(async move {
            let answer = move |request: Request<Incoming>| {
                let response = answer(&request, https_port);
                async move { Ok::<_, Infallible>(response) }
            };
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
            let service = hyper::service::service_fn(answer);
            let _ = timeout(PATIENCE, http.serve_connection(TokioIo::new(socket), service)).await;
            drop(place);
        });
    }
}

fn answer<B>(request: &Request<B>, https_port: u16) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    match target(request, https_port) {
        Some(target) => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, target);
        }
        None => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
}

fn target<B>(request: &Request<B>, https_port: u16) -> Option<HeaderValue> {
    let authority: http::uri::Authority = request.headers().get(header::HOST)?.to_str().ok()?.parse().ok()?;
    let path = request.uri().path_and_query()?;
    let port = if https_port == 443 { String::new() } else { format!(":{https_port}") };
    format!("https://{}{port}{path}", authority.host()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(host: &str, path: &str, port: u16) -> Option<String> {
        let request = Request::get(path).header("host", host).body(()).unwrap();
        answer(&request, port).headers().get("location").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn host_and_path_stay() {
        assert_eq!(location("tv.example:8080", "/c/ada?x=1", 443).as_deref(), Some("https://tv.example/c/ada?x=1"));
        assert_eq!(location("[::1]:8080", "/", 8443).as_deref(), Some("https://[::1]:8443/"));
        assert_eq!(location("not a host", "/", 443), None);
    }
}
