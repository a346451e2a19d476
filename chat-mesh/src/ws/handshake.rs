//! The opening handshake (RFC 6455 §4.2, RFC 8441 §5).
//!
//! ```text
//! GET + Upgrade (HTTP/1.1) ──┐
//! CONNECT + :protocol (h2) ──┴▶ Asked ──accept──▶ 101 or 200, and what was agreed on
//!                               └──▶ bearer(): a token that came as a subprotocol, as pages can't set header fields
//! ```

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    request::Parts,
};

use super::extension::{self, is_token};

/// What a key is joined with before it is hashed (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The only version that was ever finished.
const VERSION: &str = "13";

/// How a subprotocol entry begins that carries an access token: `new WebSocket(url, ["freshet.chat.v1", "bearer." + jwt])`.
pub const BEARER: &str = "bearer.";

/// How many subprotocols a client may name.
pub const MAX_PROTOCOLS: usize = 16;

/// A request for a WebSocket, found to be in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The answer to the client's key; `None` over HTTP/2, which has none.
    accept: Option<String>,
    /// The subprotocols named, in the client's order.
    protocols: Vec<String>,
    /// The answer to its offers of permessage-deflate.
    deflate: Option<String>,
}

/// What both ends now hold to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The subprotocol, one of ours.
    pub protocol: Option<String>,
    /// Whether messages may be deflated, without context takeover.
    pub deflate: bool,
}

/// Why a request is no handshake. The client's doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody asked for a WebSocket. The remedy: `Upgrade: websocket`, or `:protocol = websocket` over HTTP/2.
    #[error("this is a WebSocket: GET with Upgrade: websocket and Connection: upgrade")]
    NotAsked,
    /// Another version of the protocol. The remedy: version 13.
    #[error("WebSocket version 13 is spoken here")]
    Version,
    /// A key that is not 16 bytes in Base64, or several.
    #[error("Sec-WebSocket-Key must be 16 bytes in Base64")]
    Key,
    /// Subprotocols that are not a list of different tokens, or more than [`MAX_PROTOCOLS`].
    #[error("Sec-WebSocket-Protocol must be a list of different tokens, {MAX_PROTOCOLS} at most")]
    Protocols,
    /// Extensions that do not follow the grammar.
    #[error("Sec-WebSocket-Extensions is malformed")]
    Extensions,
}

impl Refused {
    /// The answer, without a body: 426 where another version or protocol is wanted, else 400.
    pub fn response(self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        if matches!(self, Self::NotAsked | Self::Version) {
            *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
            let headers = response.headers_mut();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
        }
        response
    }
}

impl Asked {
    /// Reads a request. `connect_protocol` is an extended CONNECT's `:protocol`, as hyper has it in the request's
    /// extensions (`hyper::ext::Protocol`); it matters for HTTP/2 alone.
    ///
    /// # Errors
    /// See [`Refused`], which has a response.
    pub fn read(request: &Parts, connect_protocol: Option<&str>) -> Result<Self, Refused> {
        let headers = &request.headers;
        let connect = request.version == Version::HTTP_2;
        let asked = if connect {
            request.method == Method::CONNECT && connect_protocol == Some("websocket")
        } else {
            request.version == Version::HTTP_11
                && request.method == Method::GET
                && has_token(headers, &UPGRADE, "websocket")
                && has_token(headers, &CONNECTION, "upgrade")
        };
        if !asked {
            return Err(Refused::NotAsked);
        }
        if only(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version != VERSION) {
            return Err(Refused::Version);
        }
        let accept = if connect { None } else { Some(accept(only(headers, &SEC_WEBSOCKET_KEY)).ok_or(Refused::Key)?) };
        let protocols = protocols(headers).ok_or(Refused::Protocols)?;
        let mut offers = Vec::new();
        for field in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            offers.push(field.to_str().map_err(|_| Refused::Extensions)?);
        }
        let deflate = extension::agree(offers.into_iter()).map_err(|_| Refused::Extensions)?;
        Ok(Self { accept, protocols, deflate })
    }

    /// The token of the first entry that begins with [`BEARER`]. It is not checked.
    pub fn bearer(&self) -> Option<&str> {
        self.protocols.iter().find_map(|protocol| protocol.strip_prefix(BEARER)).filter(|token| !token.is_empty())
    }

    /// The response, and what holds from then on.
    ///
    /// Of `ours` the one is chosen that the client named first. A client that names only a bearer gets that entry
    /// back, as browsers end a connection whose server chose none of what they named. `deflate`: we are willing.
    pub fn accept(self, ours: &[&str], deflate: bool) -> (Response<()>, Agreed) {
        let protocol = self.protocols.iter().find(|named| ours.contains(&named.as_str()));
        let told = protocol.or_else(|| self.protocols.iter().find(|named| named.starts_with(BEARER)));
        let extension = self.deflate.filter(|_| deflate);
        let mut response = Response::new(());
        if self.accept.is_some() {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        let fields = [
            (SEC_WEBSOCKET_ACCEPT, self.accept.as_ref()),
            (SEC_WEBSOCKET_PROTOCOL, told),
            (SEC_WEBSOCKET_EXTENSIONS, extension.as_ref()),
        ];
        for (name, value) in fields {
            if let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        (response, Agreed { protocol: protocol.cloned(), deflate: extension.is_some() })
    }
}

/// Base64 of the SHA-1 of the key and the GUID (§4.2.2); `None` where the key is not 16 bytes.
fn accept(key: Option<&str>) -> Option<String> {
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16))?;
    let joined = [key.as_bytes(), GUID].concat();
    Some(STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &joined)))
}

/// The value of a field that must be there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?.trim();
    values.next().is_none().then_some(value)
}

/// The elements of a field that is a list, over all its lines.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("\0"));
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|element| !element.is_empty())
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    elements(headers, name).any(|element| element.eq_ignore_ascii_case(token))
}

/// "All unique strings" (§4.1), each a token.
fn protocols(headers: &HeaderMap) -> Option<Vec<String>> {
    let mut protocols: Vec<String> = Vec::new();
    for element in elements(headers, &SEC_WEBSOCKET_PROTOCOL) {
        let known = protocols.iter().any(|protocol| protocol == element);
        if known || protocols.len() == MAX_PROTOCOLS || !element.chars().all(is_token) {
            return None;
        }
        protocols.push(element.to_owned());
    }
    Some(protocols)
}

#[cfg(test)]
mod tests;
