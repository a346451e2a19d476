//! Carries the consensus between control nodes as CONSENSUS requests.

use bytes::Bytes;
use freshet_proto::{
    message::Request,
    quic::{Pool, QuicError, Responder, StreamCode, within},
};
use tokio::time::Duration;

use super::Inner;
use crate::raft::{Carried, Carrier, CarrierError, MAX_BODY, Member};

/// The node protocol as a [`Carrier`].
pub(super) struct OverQuic(pub(super) Pool);

/// The longest frame that tells a length.
const LENGTH_FRAME: usize = 8;

impl Carrier for OverQuic {
    fn call(&self, to: Member, body: Bytes, limit: Duration) -> Carried {
        let pool = self.0.clone();
        Box::pin(async move {
            let called = within(limit, call(&pool, &to, body)).await;
            called.map_err(|error| match error {
                QuicError::Unreachable { .. } | QuicError::TooManyPeers(_) => {
                    CarrierError::Unreachable(error.to_string())
                }
                error => CarrierError::Failed(error.to_string()),
            })
        })
    }
}

async fn call(pool: &Pool, to: &Member, body: Bytes) -> Result<Bytes, QuicError> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let request = Request::Consensus { length };
    let mut reader = pool.request_with(to.addr, &to.server_name, &request, body).await?;
    let length: u32 = reader.read_frame(LENGTH_FRAME).await?;
    if length as usize > MAX_BODY {
        return Err(QuicError::TooLong { length: length.into(), limit: MAX_BODY as u64 });
    }
    let answer = reader.read_payload(length.into()).await?;
    reader.expect_end().await?;
    Ok(answer)
}

impl Inner {
    /// Answers another control node. Whoever can make a member answer can depose its leader, so nobody else is heard.
    pub(super) async fn consensus(&self, mut reply: Responder) -> Result<(), QuicError> {
        let body = reply.take_body();
        if !self.is_control(&reply.peer().name) {
            reply.refuse(StreamCode::BadRequest);
            return Ok(());
        }
        let Some(answer) = self.group.answer(body).await else {
            reply.refuse(StreamCode::Failed);
            return Ok(());
        };
        reply.write_frame(&u32::try_from(answer.len()).unwrap_or(u32::MAX)).await?;
        reply.write_payload(answer).await?;
        reply.finish().await
    }
}
