//! What hubs ask of those control nodes that keep accounts: what must outlive every hub of a channel's chat.

use freshet_proto::{
    chat::{ChatReply, ChatRequest},
    message::Denied,
    quic::decode,
    registry::Refused,
    view::Role,
};
use tracing::warn;

use super::Inner;

impl Inner {
    /// Any node with accounts answers; another one sends the asker on, as with the REST API.
    pub(super) async fn chat(&self, peer: &str, body: &[u8]) -> Result<ChatReply, Denied> {
        match self.role_of(peer) {
            Some(Role::Edge) => {}
            // It may have joined a moment ago, and then another node may know it.
            None => return Err(Refused::Unavailable.into()),
            Some(_) => return Err(Denied::Forbidden(format!("{peer} is no edge: chat hubs are at edges"))),
        }
        let api = self.api.get().ok_or(Denied::Elsewhere(None))?;
        let request = if body.len() > ChatRequest::MAX { None } else { decode::<ChatRequest>(body).ok() };
        let request = request.ok_or_else(|| Denied::Forbidden(format!("{peer} asks of a chat what can't be read")))?;
        if let ChatRequest::Store { changes, log, .. } = &request
            && changes.len().max(log.len()) > ChatRequest::MAX_CHANGES
        {
            let why = format!("{peer} stores more than {} changes at once", ChatRequest::MAX_CHANGES);
            return Err(Denied::Forbidden(why));
        }
        api.keep_chat(request).await.map_err(|error| {
            warn!(%error, "what is kept of a chat can't be read or written");
            Refused::Unavailable.into()
        })
    }
}
