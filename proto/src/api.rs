//! A request to the REST API on its way from an edge to a control node, and the answer's way back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A request to the REST API. Its headers come from the edge, which has removed what a client may not say.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, beginning with `/api/`.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl ApiRequest {
    /// The longest, in bytes: an avatar of 4 MiB and some.
    pub const MAX: usize = 5 << 20;
}

impl std::fmt::Debug for ApiRequest {
    /// Leaves out what may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "ApiRequest({} {path}, {} bytes)", self.method, self.body.len())
    }
}

/// What the REST API answers; `length` bytes follow.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiReply {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// How many bytes follow.
    pub length: u32,
}

impl ApiReply {
    /// The longest body, in bytes.
    pub const MAX: usize = 5 << 20;
}

impl std::fmt::Debug for ApiReply {
    /// Leaves out what may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiReply({}, {} bytes)", self.status, self.length)
    }
}
