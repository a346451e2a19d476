//! A hub's way to what must outlive it: takes what it asks of a chat to a control node that keeps accounts.
//!
//! ```text
//! ChatRequest ──CHAT──▶ the one that answered last ──▶ "not here", or no answer ──▶ the next …
//!                                                 └──▶ "not here" from every one ──▶ ChatError::NoAccounts
//! ```
//! All of it may be asked twice.

use std::collections::BTreeSet;

use bytes::Bytes;
use freshet_proto::{
    chat::{Change, ChatReply, ChatRequest, Durable, LogEntry, Login, Role},
    id::ChannelName,
    message::{Denied, MAX_FRAME, Request},
    quic::{QuicError, frame, within},
    registry::Refused,
    view::NodeView,
};
use tokio::time::{Duration, Instant, timeout_at};
use tracing::debug;

use super::{Remote, anyone::Anyone};

/// How long one control node may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How many bytes stand before a request's frame (its length).
const LENGTH: usize = 4;

/// Asks those who keep chats. Cheap to clone; clones remember together who answers.
#[derive(Clone)]
pub struct ChatRemote(Anyone);

/// Whose a channel is, and what is stored of its chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedChat {
    /// Its owner.
    pub owner: Login,
    /// What is stored.
    pub durable: Durable,
}

/// What is stored after changes were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChat {
    /// The newest version that is stored.
    pub version: u64,
    /// Versions of changes that can't be kept: roles of somebody without an account, or where a channel has no owner.
    pub unstored: Vec<u64>,
}

/// What somebody is in a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// Since when they follow it, in ms since 1970.
    pub follows_since_ms: Option<u64>,
    /// Owner, moderator or VIP.
    pub role: Option<Role>,
    /// Whether they run the platform.
    pub admin: bool,
}

/// Why what was asked of a chat was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// The operator's: no control node keeps accounts. A hub may go on with [`OpenedChat::unkept`], and whoever moderates
    /// should know that it lasts only as long as the mesh. The remedy: configure `[accounts]` on control nodes.
    #[error(
        "no control node keeps accounts, so bans, roles, terms and modes of chats are kept nowhere and last as long as \
         the hubs do; configure [accounts] on a control node"
    )]
    NoAccounts,
    /// The asker's: there is no such channel, or no more.
    #[error("there is no such channel")]
    NoSuchChannel,
    /// The asker's: it is home no more.
    #[error("a home of mesh epoch {epoch} has stored since; this one is home no more")]
    Stale {
        /// Of which epoch.
        epoch: u64,
    },
    /// The moderator's: there are as many as there may be.
    #[error("there are as many bans, roles or terms as a channel may have; remove some first")]
    Full,
    /// A control node refused ([`Denied::Forbidden`]), or none answered in time ([`Refused::Unavailable`]): then it may have
    /// happened, and may be asked again.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl OpenedChat {
    /// What a hub goes by where nobody keeps chats: the channel has the name of its owner, and nobody is anything else.
    pub fn unkept(channel: &ChannelName) -> Self {
        Self { owner: channel.clone(), durable: Durable::default() }
    }
}

impl ChatRemote {
    /// Asks the control nodes that `remote` knows.
    pub fn new(remote: Remote) -> Self {
        Self(Anyone::of(remote))
    }

    /// Whose a channel is, and what is stored of its chat.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub async fn open(&self, channel: ChannelName, limit: Duration) -> Result<OpenedChat, ChatError> {
        match self.ask(&ChatRequest::Open { channel }, limit).await? {
            ChatReply::Opened { owner, durable } => Ok(OpenedChat { owner, durable }),
            other => Err(unexpected(&other)),
        }
    }

    /// Stores changes, each with the version that it led to, and lines of the log; at most [`ChatRequest::MAX_CHANGES`] of
    /// either, all or none. `epoch` is the mesh epoch in which the asker is home.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub async fn store(
        &self,
        channel: ChannelName,
        epoch: u64,
        changes: Vec<(u64, Change)>,
        log: Vec<LogEntry>,
        limit: Duration,
    ) -> Result<StoredChat, ChatError> {
        match self.ask(&ChatRequest::Store { channel, epoch, changes, log }, limit).await? {
            ChatReply::Stored { version, unstored } => Ok(StoredChat { version, unstored }),
            other => Err(unexpected(&other)),
        }
    }

    /// What somebody is in a channel; nothing where there is no such account.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub async fn standing(&self, channel: ChannelName, login: Login, limit: Duration) -> Result<Standing, ChatError> {
        match self.ask(&ChatRequest::Standing { channel, login }, limit).await? {
            ChatReply::Standing { follows_since_ms, role, admin } => Ok(Standing { follows_since_ms, role, admin }),
            other => Err(unexpected(&other)),
        }
    }

    async fn ask(&self, request: &ChatRequest, limit: Duration) -> Result<ChatReply, ChatError> {
        let body = frame(request).map_err(|error| Denied::Forbidden(error.to_string()))?.slice(LENGTH..);
        let until = Instant::now() + limit;
        let (mut turn, mut without) = (0, BTreeSet::new());
        while Instant::now() < until {
            let Some(node) = self.0.next(turn) else { break };
            turn += 1;
            match timeout_at(until, within(ATTEMPT, self.attempt(&node, body.clone()))).await {
                Err(_) => break,
                Ok(Ok(Ok(answer))) => {
                    self.0.remember(node);
                    return Ok(answer);
                }
                Ok(Ok(Err(Denied::Elsewhere(_)))) => {
                    without.insert(node.quic);
                    if self.0.all().iter().all(|known| without.contains(&known.quic)) {
                        return Err(ChatError::NoAccounts);
                    }
                    self.0.rest(turn).await;
                }
                Ok(Ok(Err(Denied::Refused(Refused::Unavailable)))) => self.0.rest(turn).await,
                Ok(Ok(Err(denied))) => return Err(denied.into()),
                Ok(Err(error @ QuicError::Older { .. })) => return Err(Denied::Forbidden(error.to_string()).into()),
                Ok(Err(error)) => {
                    debug!(control = %node.quic, %error, "a control node did not answer what was asked of a chat");
                    self.0.rest(turn).await;
                }
            }
        }
        Err(Denied::from(Refused::Unavailable).into())
    }

    async fn attempt(&self, node: &NodeView, body: Bytes) -> Result<Result<ChatReply, Denied>, QuicError> {
        let request = Request::Chat { length: u32::try_from(body.len()).unwrap_or(u32::MAX) };
        let mut reader = self.0.remote.0.pool.request_with(node.quic, &node.server_name, &request, body).await?;
        let answer = reader.read_frame(MAX_FRAME).await?;
        reader.expect_end().await?;
        Ok(answer)
    }
}

/// What no answer to the question is.
fn unexpected(reply: &ChatReply) -> ChatError {
    match *reply {
        ChatReply::NoSuchChannel => ChatError::NoSuchChannel,
        ChatReply::Stale { epoch } => ChatError::Stale { epoch },
        ChatReply::Full => ChatError::Full,
        _ => Denied::Forbidden("a control node answered something else".to_owned()).into(),
    }
}
