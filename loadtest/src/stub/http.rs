//! The stub over HTTP/1.1, as the upstream of other caches.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use freshet_proto::object::ResourceName;
use http_body_util::Full;
use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::content::{Content, INDEX};

type Reply = Response<Full<Bytes>>;

/// Serves connections until the listener fails.
///
/// # Errors
/// When no connection can be taken any more.
pub async fn serve(listener: TcpListener, content: Arc<Content>) -> anyhow::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let content = content.clone();
        let service = service_fn(move |request| {
            let content = content.clone();
            async move { Ok::<_, Infallible>(answer(&content, request).await) }
        });
        tokio::spawn(async move {
            // A proxy that closes early is no concern of the stub's.
            drop(http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn answer(content: &Content, request: Request<Incoming>) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/release") => {
            content.release();
            reply(StatusCode::OK, Bytes::new(), "text/plain")
        }
        (&Method::GET, "/newest") => {
            let part = content.newest().borrow().part;
            reply(StatusCode::OK, part.to_string().into(), "text/plain")
        }
        (&Method::GET, "/transfers") => {
            let (total, name, most) = content.take_transfers();
            let body = serde_json::json!({ "total": total, "most": most, "name": name }).to_string();
            reply(StatusCode::OK, body.into(), "application/json")
        }
        (_, path) => match path.strip_prefix("/live/").and_then(|name| name.parse().ok()) {
            Some(name) => resource(content, &name, request.uri().query()).await,
            None => reply(StatusCode::NOT_FOUND, Bytes::new(), "text/plain"),
        },
    }
}

async fn resource(content: &Content, name: &ResourceName, query: Option<&str>) -> Reply {
    content.count(&format!("{name}?{}", query.unwrap_or_default()));
    match name {
        ResourceName::Playlist(..) => {
            let wanted = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("_HLS_part=")));
            let wanted = wanted.and_then(|part| part.parse().ok()).unwrap_or(0);
            let mut newest = content.newest();
            let released = newest.wait_for(|newest| newest.part >= wanted).await.map(|newest| *newest);
            match released {
                Ok(newest) => reply(StatusCode::OK, content.playlist(newest).into(), "application/vnd.apple.mpegurl"),
                Err(_) => reply(StatusCode::SERVICE_UNAVAILABLE, Bytes::new(), "text/plain"),
            }
        }
        ResourceName::Object(object) => match content.object(object) {
            Some(body) => reply(StatusCode::OK, body, "video/mp4"),
            None => reply(StatusCode::NOT_FOUND, Bytes::new(), "text/plain"),
        },
        ResourceName::Index(_) => reply(StatusCode::OK, INDEX.into(), "application/vnd.apple.mpegurl"),
        ResourceName::Thumb(_) => reply(StatusCode::NOT_FOUND, Bytes::new(), "text/plain"),
    }
}

fn reply(status: StatusCode, body: Bytes, content_type: &'static str) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("public, max-age=3600"));
    reply
}
