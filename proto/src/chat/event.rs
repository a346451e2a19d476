//! What happens in a channel, in its one order, and what only some are told.

use serde::{Deserialize, Serialize};

use super::{DisplayName, Login, MessageId, Modes, Nonce, Position, Reason, Role, Roles, Text, User, UserId};
use crate::id::ChannelName;

/// One thing that happened. All hubs have the same events in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Where it stands.
    pub position: Position,
    /// When, by the home's clock, in ms since 1970. It is shown; nothing goes by it but expiry.
    pub at_ms: u64,
    /// Which post made it; `None` for what the home does by itself.
    pub origin: Option<Origin>,
    /// What.
    pub what: What,
}

/// Which post made an event: by this a post that comes again is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Whose.
    pub login: Login,
    /// What they call it.
    pub nonce: Nonce,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum What {
    /// Somebody said something.
    Message(Message),
    /// A message was taken back.
    Delete {
        /// Which.
        id: MessageId,
        /// Whose.
        login: Login,
        /// By whom.
        by: Actor,
    },
    /// Everything before was taken back.
    Clear {
        /// By whom.
        by: Actor,
    },
    /// Something befell somebody. A timeout and a ban take back everything that they said.
    User {
        /// Whom.
        login: Login,
        /// What.
        action: UserAction,
        /// By whom.
        by: Actor,
    },
    /// The modes are these now.
    Modes {
        /// All of them.
        modes: Modes,
        /// By whom.
        by: Actor,
    },
    /// This message is shown to everybody who comes, until it is another or none.
    Pin(Option<Pin>),
    /// Somebody said something that stands out.
    Announcement(Message),
    /// The viewers are sent on.
    Raid {
        /// Where to.
        to: ChannelName,
        /// By whom.
        by: Actor,
    },
}

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What it is called.
    pub id: MessageId,
    /// Who said it.
    pub user: User,
    /// What they were in the channel: the badges.
    pub roles: Roles,
    /// What was said; empty where `deleted`.
    pub text: Text,
    /// Whether it is in the third person (`/me`).
    pub action: bool,
    /// Which message it answers.
    pub reply: Option<Reply>,
    /// What the sender's player showed, in ms since 1970.
    pub pdt_ms: Option<u64>,
    /// Whether it was taken back.
    pub deleted: bool,
}

/// The message that another answers. Without its text, which may be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Which.
    pub id: MessageId,
    /// Whose.
    pub login: Login,
    /// What they are called.
    pub name: DisplayName,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account's id.
    pub id: UserId,
    /// The account's name.
    pub login: Login,
}

/// What can befall somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UserAction {
    /// Silent until then, in ms since 1970.
    Timeout {
        /// Until when.
        until_ms: u64,
        /// For how many seconds, as it was asked for.
        seconds: u32,
    },
    /// Silent.
    Ban,
    /// Not silent any more.
    Unban,
    /// Told what they did wrong.
    Warn,
    /// Is this in the channel now: moderator, VIP, or neither.
    Role(Option<Role>),
}

/// A pinned message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The message.
    pub message: Message,
    /// Until when it is shown, in ms since 1970; `None` until it is taken down.
    pub until_ms: Option<u64>,
    /// By whom.
    pub by: Actor,
}

/// What only some are told. Not part of the order, and not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Who.
    pub to: To,
    /// What.
    pub note: Note,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum To {
    /// One person, wherever they are connected.
    User(Login),
    /// The channel's moderators, its owner, and admins.
    Moderators,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Note {
    /// What they did wrong.
    Warned {
        /// In a moderator's words.
        reason: Reason,
    },
    /// Why they are silenced.
    Silenced {
        /// In a moderator's words; empty where none were given.
        reason: Reason,
        /// Until when, in ms since 1970; `None` for good.
        until_ms: Option<u64>,
    },
    /// A message waits for `/approve` or `/deny`.
    Held {
        /// The message; its id is that to decide about, and not the one it will have.
        message: Message,
    },
    /// It has been decided, or nobody did in time.
    Decided {
        /// The message.
        id: MessageId,
        /// Whether it was said.
        approved: bool,
    },
    /// All that wait for `/approve` or `/deny` now, the oldest first; of no others is that so. For who moderates.
    Waiting {
        /// The messages.
        messages: Vec<Message>,
    },
}

impl What {
    /// What somebody said, plain or as an announcement.
    pub fn message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) | Self::Announcement(message) => Some(message),
            _ => None,
        }
    }
}

impl Message {
    /// What is left when it is taken back.
    pub fn redacted(&self) -> Self {
        Self { text: Text::empty(), deleted: true, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::MAX_RECORD,
        quic::{decode, frame},
    };

    fn longest() -> Message {
        let login: Login = "x".repeat(32).parse().unwrap();
        let name = DisplayName::try_from("n".repeat(200)).unwrap();
        let id = UserId::try_from("0".repeat(64)).unwrap();
        Message {
            id: MessageId(u64::MAX),
            user: User { id, login: login.clone(), name: name.clone(), color: Some(u32::MAX) },
            roles: Roles::of(&Role::ALL),
            text: Text::try_from("\u{10348}".repeat(500)).unwrap(),
            action: true,
            reply: Some(Reply { id: MessageId(u64::MAX), login, name }),
            pdt_ms: Some(u64::MAX),
            deleted: false,
        }
    }

    #[test]
    fn the_longest_event_fits_in_a_record_and_is_read_as_it_was_written() {
        let message = longest();
        let by = Actor { id: message.user.id.clone(), login: message.user.login.clone() };
        let nonce = Nonce::try_from("n".repeat(64)).unwrap();
        let event = Event {
            position: Position::new(u64::MAX, u64::MAX),
            at_ms: u64::MAX,
            origin: Some(Origin { login: by.login.clone(), nonce }),
            what: What::Pin(Some(Pin { message, until_ms: Some(u64::MAX), by })),
        };
        let written = frame(&event).unwrap();
        assert!(written.len() <= MAX_RECORD / 2, "{}", written.len());
        assert_eq!(decode::<Event>(&written[4..]).unwrap(), event);
        assert!(decode::<Event>(&written[4..written.len() - 1]).is_err());
    }

    #[test]
    fn nothing_of_a_text_is_left_when_a_message_is_taken_back() {
        let redacted = longest().redacted();
        assert_eq!((redacted.text.as_str(), redacted.deleted), ("", true));
        assert_eq!(redacted.id, longest().id);
    }
}
