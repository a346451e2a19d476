//! Answers in HTTP/1.1, before a connection becomes a WebSocket.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

/// A response as it stands on the wire, with `problem` as its body (RFC 9457) where it refuses something.
pub(super) fn written(response: &Response<()>, problem: Option<&str>) -> Vec<u8> {
    let status = response.status();
    let mut out = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or("")).into_bytes();
    for (name, value) in response.headers() {
        if status != StatusCode::SWITCHING_PROTOCOLS && name == header::CONNECTION {
            continue;
        }
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        out.extend_from_slice(b"\r\n");
        return out;
    }
    let body = body_of(status, problem);
    let fields = format!(
        "content-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    out.extend_from_slice(fields.as_bytes());
    out
}

/// The same over HTTP/2.
pub(super) fn problem(response: Response<()>, problem: &str) -> Response<Bytes> {
    let body = body_of(response.status(), Some(problem)).into();
    let mut response = response.map(|()| body);
    for name in [header::CONNECTION, header::UPGRADE] {
        response.headers_mut().remove(name);
    }
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

fn body_of(status: StatusCode, problem: Option<&str>) -> String {
    let title = status.canonical_reason().unwrap_or("");
    let detail = problem.unwrap_or(title);
    let body =
        serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    body.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_has_no_body_and_a_refusal_says_why_and_closes() {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
        assert_eq!(written(&response, None), b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\r\n");
        *response.status_mut() = StatusCode::NOT_FOUND;
        let text = String::from_utf8(written(&response, Some("no such channel"))).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n") && head.ends_with("connection: close"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())) && !head.contains("upgrade"), "{head}");
        assert!(body.contains("no such channel"));
    }
}
