//! What becomes of a post.

use serde::{Deserialize, Serialize};

use super::{MessageId, Position, Reason, Verb};

/// How a post went.
pub type Answer = Result<Accepted, Refusal>;

/// A post that stands, and will: the standby has it, and what had to be stored is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Where its event stands; `None` for a command that makes none.
    pub position: Option<Position>,
    /// What the message is called, where it is one.
    pub id: Option<MessageId>,
    /// The command that was carried out.
    pub done: Option<Verb>,
}

/// A post that will not be said as it is. Nothing of it is kept but where `code` says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// After how many ms the same post may go through; `None` where time alone does not help.
    pub retry_ms: Option<u64>,
    /// More than the code says, in words.
    pub detail: Option<Reason>,
}

/// Why a post was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Code {
    /// The sender is banned.
    Banned,
    /// The sender is silenced for a while.
    TimedOut,
    /// One must follow, or have followed for longer.
    FollowersOnly,
    /// Emotes alone.
    EmoteOnly,
    /// Too soon after the last one.
    SlowMode,
    /// It has been said.
    NotUnique,
    /// Too much at once, by the sender or in the channel.
    RateLimit,
    /// No links.
    LinksOff,
    /// It waits for a moderator; it may still be said.
    Held,
    /// It has a term that is blocked, or a moderator denied it.
    Blocked,
    /// Nothing is left that could be shown.
    BadCharacters,
    /// Longer than a message may be.
    TooLong,
    /// There is no such channel, or the client has not joined it.
    NoSuchChannel,
    /// One must be logged in.
    LoginRequired,
    /// The channel has no home at present; reading goes on.
    Paused,
    /// The sender may not do that.
    NoPermission,
    /// There is no such command.
    UnknownCommand,
    /// The command is written otherwise.
    Usage(Verb),
    /// Nobody does that to an admin.
    TargetAdmin,
    /// Nobody does that to the owner.
    TargetOwner,
    /// A moderator does not do that to a moderator.
    TargetModerator,
    /// Nobody does that to themselves.
    TargetSelf,
    /// The person is neither banned nor silenced.
    NotBanned,
    /// There is no such message any more.
    NoSuchMessage,
    /// It is so already.
    NoChange,
    /// There are as many as there may be.
    Full,
    /// It is in force, but could not be stored: it may be lost.
    NotStored,
}

impl Code {
    /// As clients read it: Twitch's names where it has one, so that one table serves IRC and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Banned => "msg_banned",
            Self::TimedOut => "msg_timedout",
            Self::FollowersOnly => "msg_followersonly",
            Self::EmoteOnly => "msg_emoteonly",
            Self::SlowMode => "msg_slowmode",
            Self::NotUnique => "msg_r9k",
            Self::RateLimit => "msg_ratelimit",
            Self::LinksOff => "msg_linksoff",
            Self::Held => "msg_rejected",
            Self::Blocked => "msg_rejected_mandatory",
            Self::BadCharacters => "msg_bad_characters",
            Self::TooLong => "msg_toolong",
            Self::NoSuchChannel => "msg_room_not_found",
            Self::LoginRequired => "msg_login_required",
            Self::Paused => "msg_paused",
            Self::NoPermission => "no_permission",
            Self::UnknownCommand => "unrecognized_cmd",
            Self::Usage(verb) => verb.usage_code(),
            Self::TargetAdmin => "bad_ban_admin",
            Self::TargetOwner => "bad_ban_broadcaster",
            Self::TargetModerator => "bad_ban_mod",
            Self::TargetSelf => "bad_ban_self",
            Self::NotBanned => "bad_unban_no_ban",
            Self::NoSuchMessage => "bad_delete_message_error",
            Self::NoChange => "no_change",
            Self::Full => "list_full",
            Self::NotStored => "not_stored",
        }
    }

    /// In words, for the person who wrote.
    pub fn text(self) -> &'static str {
        match self {
            Self::Banned => "You are banned from this channel.",
            Self::TimedOut => "You are silenced for a while.",
            Self::FollowersOnly => "Only those who have followed for long enough may write.",
            Self::EmoteOnly => "Only emotes may be sent.",
            Self::SlowMode => "Slow mode: you are sending too quickly.",
            Self::NotUnique => "This has been said in the last ten minutes.",
            Self::RateLimit => "Too many messages: try again in a moment.",
            Self::LinksOff => "Links may not be sent.",
            Self::Held => "Your message waits for a moderator and has not been sent.",
            Self::Blocked => "Your message has something that this channel does not allow.",
            Self::BadCharacters => "Your message has nothing that could be shown.",
            Self::TooLong => "A message has at most 500 characters.",
            Self::NoSuchChannel => "There is no such channel here.",
            Self::LoginRequired => "Log in to write.",
            Self::Paused => "Nobody can write at present: try again in a moment.",
            Self::NoPermission => "You may not do that.",
            Self::UnknownCommand => "There is no such command.",
            Self::Usage(verb) => verb.usage(),
            Self::TargetAdmin => "That can't be done to an admin.",
            Self::TargetOwner => "That can't be done to the owner of the channel.",
            Self::TargetModerator => "That can't be done to a moderator.",
            Self::TargetSelf => "You can't do that to yourself.",
            Self::NotBanned => "They are not banned.",
            Self::NoSuchMessage => "There is no such message any more.",
            Self::NoChange => "It is so already.",
            Self::Full => "There are as many as there may be.",
            Self::NotStored => "Done, but it could not be stored and may be lost.",
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self { code, retry_ms: None, detail: None }
    }
}

impl Refusal {
    /// Refused for this long.
    pub fn for_ms(code: Code, retry_ms: u64) -> Self {
        Self { code, retry_ms: Some(retry_ms), detail: None }
    }

    /// What the person who wrote reads.
    pub fn text(&self) -> &str {
        self.detail.as_ref().map_or(self.code.text(), Reason::as_str)
    }
}
