//! What is not `/live` or `/api`: the page, which the binary embeds.

use bytes::Bytes;
use http::{Response, request::Parts};

use crate::upstream::BoxFuture;

/// Serves every path that the edge itself does not.
pub trait Site: Send + Sync + 'static {
    /// Answers a request at once, from memory. Called on the runtime's threads: it must not block. A `HEAD` request is
    /// answered like `GET`; the edge leaves the body out.
    fn answer(&self, request: &Parts) -> Response<Bytes>;

    /// Answers a request for which something must be found out first, soon; `None` where [`Site::answer`] does at once.
    fn later(&self, request: &Parts) -> Option<BoxFuture<'static, Response<Bytes>>> {
        let _ = request;
        None
    }
}
