//! What outlives every hub: kept by the control nodes that keep accounts.

use freshet_chat_mesh::{
    hub::{Doing, Outcome, Standing, Store, Unavailable},
    mesh,
    moderation::{Change, LogEntry},
};
use freshet_control_plane::remote::{ChatError, ChatRemote, OpenedChat, StoredChat};
use freshet_proto::{
    chat::{Login, Role},
    id::ChannelName,
    message::Denied,
};
use tokio::time::Duration;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(3);

/// See the module.
pub(super) struct Stored(pub ChatRemote);

impl Store for Stored {
    fn open(&self, channel: ChannelName) -> Doing<Result<Option<mesh::Stored>, Unavailable>> {
        let remote = self.0.clone();
        Box::pin(async move {
            let OpenedChat { owner, durable } = match remote.open(channel.clone(), ATTEMPT).await {
                Ok(opened) => opened,
                Err(ChatError::NoSuchChannel) => return Ok(None),
                Err(ChatError::NoAccounts) => OpenedChat::unkept(&channel),
                Err(why) => return Err(Unavailable(why.to_string())),
            };
            Ok(Some(mesh::Stored { owner, durable }))
        })
    }

    fn store(
        &self,
        channel: ChannelName,
        epoch: u64,
        changes: Vec<(u64, Change)>,
        log: Vec<LogEntry>,
    ) -> Doing<Result<Outcome, Unavailable>> {
        let remote = self.0.clone();
        Box::pin(async move {
            match remote.store(channel, epoch, changes, log, ATTEMPT).await {
                Ok(StoredChat { version, unstored }) => Ok(Outcome::Stored { up_to: version, lacks: unstored }),
                Err(ChatError::Denied(Denied::Refused(why))) => Err(Unavailable(why.to_string())),
                Err(ChatError::Denied(why @ Denied::Elsewhere(_))) => Err(Unavailable(why.to_string())),
                Err(why) => Ok(Outcome::Refused(why.to_string())),
            }
        })
    }

    fn standing(&self, channel: ChannelName, login: Login) -> Doing<Result<Standing, Unavailable>> {
        let remote = self.0.clone();
        Box::pin(async move {
            let standing = remote.standing(channel, login, ATTEMPT).await;
            let standing = standing.map_err(|why| Unavailable(why.to_string()))?;
            let role = standing.role.filter(|role| matches!(role, Role::Moderator | Role::Vip));
            Ok(Standing { follows_since_ms: standing.follows_since_ms, role })
        })
    }
}
