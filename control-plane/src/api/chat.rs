//! What hubs ask about channels' chats, beside the REST API: over the same accounts and the same view of the registry.
//!
//! A channel that an operator made is in the registry alone. Its chat is kept as others' are, under its name, which nobody can
//! register: that is its owner, and only administrators moderate it.

use freshet_proto::{
    chat::{ChatReply, ChatRequest},
    id::ChannelName,
};

use super::{Api, Shared};
use crate::accounts::{Standing, StoreError, Stored, as_chat};

impl Api {
    /// Answers what a home or a hub asks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_chat(&self, request: ChatRequest) -> Result<ChatReply, StoreError> {
        let accounts = &self.shared.accounts;
        match request {
            ChatRequest::Open { channel } => {
                if !self.shared.knows_channel(&channel).await? {
                    return Ok(ChatReply::NoSuchChannel);
                }
                let durable = accounts.open_chat(&channel).await?;
                // A channel has the name of its owner.
                Ok(ChatReply::Opened { owner: channel, durable })
            }
            ChatRequest::Store { channel, epoch, changes, log } => {
                if !self.shared.knows_channel(&channel).await? {
                    return Ok(ChatReply::NoSuchChannel);
                }
                Ok(match accounts.store_chat(&channel, epoch, &changes, &log).await? {
                    Stored::Done { version, unstored } => ChatReply::Stored { version, unstored },
                    Stored::Stale { epoch } => ChatReply::Stale { epoch },
                    Stored::Full => ChatReply::Full,
                })
            }
            ChatRequest::Standing { channel, login } => {
                if !self.shared.knows_channel(&channel).await? {
                    return Ok(ChatReply::NoSuchChannel);
                }
                let Standing { follows_since_ms, role, admin } = accounts.standing(&channel, &login).await?;
                Ok(ChatReply::Standing { follows_since_ms, role: role.map(as_chat), admin })
            }
            // A newer version's, which this one was not asked by.
            _ => Ok(ChatReply::NoSuchChannel),
        }
    }
}

impl Shared {
    /// Whether there is such a channel: somebody's, or one that an operator made.
    pub(super) async fn knows_channel(&self, channel: &ChannelName) -> Result<bool, StoreError> {
        Ok(self.platform.view().channels.contains_key(channel) || self.accounts.channel(channel).await?.is_some())
    }
}
