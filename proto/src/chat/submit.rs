//! What somebody wants to say, as the sender's hub tells it to the home.

use serde::{Deserialize, Serialize};

use super::{DisplayName, Login, MessageId, Nonce, Text, UserId};
use crate::id::ChannelName;

/// What somebody is in a channel. In order: each may what those before may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Role {
    /// Nobody is logged in: reads.
    Guest,
    /// Somebody.
    Plain,
    /// Somebody who follows the channel.
    Follower,
    /// Somebody to be treated well: modes do not concern them.
    Vip,
    /// Somebody who keeps order.
    Moderator,
    /// Whose channel it is.
    Owner,
    /// Who runs the platform.
    Admin,
}

impl Role {
    /// All of them, in order.
    pub const ALL: [Self; 7] =
        [Self::Guest, Self::Plain, Self::Follower, Self::Vip, Self::Moderator, Self::Owner, Self::Admin];

    /// As clients read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Plain => "plain",
            Self::Follower => "follower",
            Self::Vip => "vip",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Everything that somebody is in a channel: the badges beside a name. Bits that this program does not know are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(u16);

impl Roles {
    /// These and no others.
    pub fn of(roles: &[Role]) -> Self {
        Self(roles.iter().fold(0, |bits, role| bits | role.bit()))
    }

    /// With one more.
    pub fn with(self, role: Role) -> Self {
        Self(self.0 | role.bit())
    }

    /// Whether this is one of them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Those there are, the highest first.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().rev().filter(move |role| self.has(*role))
    }

    /// The highest; [`Role::Guest`] where there is none.
    pub fn highest(self) -> Role {
        self.iter().next().unwrap_or(Role::Guest)
    }
}

/// Who somebody is, whatever the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The account's name, by which it is moderated.
    pub login: Login,
    /// What they are called.
    pub name: DisplayName,
    /// The colour of the name, 0xRRGGBB, where one was chosen.
    pub color: Option<u32>,
}

/// Who submits, as the hub knows from the token and the view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// Who.
    pub user: User,
    /// Whether they run the platform.
    pub admin: bool,
    /// Since when they follow the channel, in ms since 1970; `None` where they don't.
    pub follows_since_ms: Option<u64>,
}

/// A message or, where its text begins with `/`, a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Where.
    pub channel: ChannelName,
    /// Who.
    pub author: Author,
    /// What the sender calls it. The same from the same person within a minute is the same post.
    pub nonce: Nonce,
    /// What. Not cleaned yet.
    pub text: Text,
    /// Which message it answers.
    pub reply_to: Option<MessageId>,
    /// What the sender's player showed, `EXT-X-PROGRAM-DATE-TIME` in ms since 1970.
    pub pdt_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_a_set_whose_highest_counts() {
        let roles = Roles::of(&[Role::Follower, Role::Moderator]);
        assert_eq!(roles.iter().collect::<Vec<_>>(), [Role::Moderator, Role::Follower]);
        assert_eq!((roles.highest(), Roles::default().highest()), (Role::Moderator, Role::Guest));
        assert!(Role::ALL.is_sorted() && !roles.has(Role::Owner) && roles.with(Role::Owner).has(Role::Owner));
    }
}
