//! What moderators did.

use serde::{Deserialize, Serialize};

use super::{Actor, Login, MessageId, Reason, Verb};

/// One line of a channel's moderation log. Whoever owns durability keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// Who did it.
    pub actor: Actor,
    /// What.
    pub verb: Verb,
    /// To whom.
    pub target: Option<Login>,
    /// About which message.
    pub message: Option<MessageId>,
    /// Until when it lasts, in ms since 1970, where it ends by itself.
    pub until_ms: Option<u64>,
    /// Why; for terms and modes, what.
    pub reason: Reason,
}
