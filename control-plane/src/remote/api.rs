//! Takes API requests to a control node that answers them, and stays with it.
//!
//! ```text
//! ApiRequest ──API──▶ the one that answered last ──▶ "not here", or no answer ──▶ the next …
//! ```
//! What can't be asked twice without harm carries an idempotency key: the control node that was asked first remembers what it
//! answered. It is asked again first.

use bytes::Bytes;
use freshet_proto::{
    api::{ApiReply, ApiRequest},
    message::{Denied, MAX_FRAME, Request},
    quic::{QuicError, frame, within},
    registry::Refused,
    view::NodeView,
};
use tokio::time::{Duration, Instant, timeout_at};
use tracing::debug;

use super::{Remote, anyone::Anyone};

/// How long one control node may take: longer than a password is hashed on a busy one.
const ATTEMPT: Duration = Duration::from_secs(6);

/// How many bytes stand before a request's frame (its length).
const LENGTH: usize = 4;

/// Asks the REST API's servers. Cheap to clone; clones remember together who answers.
#[derive(Clone)]
pub struct ApiRemote(Anyone);

impl ApiRemote {
    /// Asks the control nodes that `remote` knows.
    pub fn new(remote: Remote) -> Self {
        Self(Anyone::of(remote))
    }

    /// Asks until one answers, for as long as `limit`.
    ///
    /// # Errors
    /// What a control node refused; [`Refused::Unavailable`] where none answered.
    pub async fn ask(&self, request: &ApiRequest, limit: Duration) -> Result<(ApiReply, Bytes), Denied> {
        let body = frame(request).map_err(|error| Denied::Forbidden(error.to_string()))?.slice(LENGTH..);
        let until = Instant::now() + limit;
        let mut turn = 0;
        while Instant::now() < until {
            let Some(node) = self.0.next(turn) else { break };
            turn += 1;
            match timeout_at(until, within(ATTEMPT, self.attempt(&node, body.clone()))).await {
                Err(_) => break,
                Ok(Ok(Ok(answer))) => {
                    self.0.remember(node);
                    return Ok(answer);
                }
                Ok(Ok(Err(Denied::Elsewhere(_) | Denied::Refused(Refused::Unavailable)))) => self.0.rest(turn).await,
                Ok(Ok(Err(denied))) => return Err(denied),
                Ok(Err(error)) => {
                    debug!(control = %node.quic, %error, "a control node did not answer an API request");
                    self.0.rest(turn).await;
                }
            }
        }
        Err(Refused::Unavailable.into())
    }

    async fn attempt(&self, node: &NodeView, body: Bytes) -> Result<Result<(ApiReply, Bytes), Denied>, QuicError> {
        let request = Request::Api { length: body.len() as u32 };
        let pool = &self.0.remote.0.pool;
        let mut reader = pool.request_with(node.quic, &node.server_name, &request, body).await?;
        let head: ApiReply = match reader.read_frame::<Result<ApiReply, Denied>>(MAX_FRAME).await? {
            Ok(head) => head,
            Err(denied) => return Ok(Err(denied)),
        };
        let length = u64::from(head.length);
        if length > ApiReply::MAX as u64 {
            return Err(QuicError::TooLong { length, limit: ApiReply::MAX as u64 });
        }
        let body = if length == 0 { Bytes::new() } else { reader.read_payload(length).await? };
        reader.expect_end().await?;
        Ok(Ok((head, body)))
    }
}
