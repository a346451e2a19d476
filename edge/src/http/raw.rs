//! The head of an HTTP/1.1 response, written by hand for requests that are answered without their engine.

use http::{StatusCode, header, response::Parts};

/// Status line and fields of `head` for a body of `len` bytes.
pub(crate) fn head(head: &Parts, len: u64, close: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(768);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.status.canonical_reason().unwrap_or("").as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in &head.headers {
        field(&mut out, name.as_str().as_bytes(), value.as_bytes());
    }
    let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless && !head.headers.contains_key(header::CONTENT_LENGTH) {
        field(&mut out, b"content-length", len.to_string().as_bytes());
    }
    if close {
        field(&mut out, b"connection", b"close");
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn written(response: http::response::Builder, len: u64, close: bool) -> String {
        let (parts, ()) = response.body(()).expect("a response").into_parts();
        String::from_utf8(head(&parts, len, close)).expect("text")
    }

    #[test]
    fn a_head_has_a_length_and_says_when_the_connection_closes() {
        let response = Response::builder().header("age", "3");
        assert_eq!(
            written(response, 5, true),
            "HTTP/1.1 200 OK\r\nage: 3\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_304_has_no_length() {
        assert_eq!(written(Response::builder().status(304), 0, false), "HTTP/1.1 304 Not Modified\r\n\r\n");
    }
}
