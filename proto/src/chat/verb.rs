//! What a slash command is called.

use serde::{Deserialize, Serialize};

macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $word:literal $usage:literal,)*) => {
        /// The verbs of slash commands. Each has one word; `usage` is what follows it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Verb { $($(#[$doc])* $name,)* }

        impl Verb {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The word, without the slash.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How the command is written.
            pub fn usage(self) -> &'static str {
                match self { $(Self::$name => concat!("/", $word, $usage),)* }
            }

            /// The code of a usage error, as Twitch writes it.
            pub fn usage_code(self) -> &'static str {
                match self { $(Self::$name => concat!("usage_", $word),)* }
            }
        }
    };
}

verbs! {
    /// A message in the third person.
    Me = "me" " TEXT",
    /// Silences somebody for a while.
    Timeout = "timeout" " USER [SECONDS|10m|1h|1d|1w] [REASON]",
    /// Ends a timeout.
    Untimeout = "untimeout" " USER",
    /// Silences somebody.
    Ban = "ban" " USER [REASON]",
    /// Ends a ban or a timeout.
    Unban = "unban" " USER",
    /// Tells somebody what they did wrong.
    Warn = "warn" " USER REASON",
    /// Takes a message back.
    Delete = "delete" " MESSAGE-ID",
    /// Takes every message back.
    Clear = "clear" "",
    /// Time between two messages of one person.
    Slow = "slow" " [SECONDS]",
    /// Ends it.
    SlowOff = "slowoff" "",
    /// Followers alone.
    Followers = "followers" " [MINUTES|10m|1h|1d|1w]",
    /// Ends it.
    FollowersOff = "followersoff" "",
    /// Emotes alone.
    EmoteOnly = "emoteonly" "",
    /// Ends it.
    EmoteOnlyOff = "emoteonlyoff" "",
    /// Nothing twice.
    UniqueChat = "uniquechat" "",
    /// Ends it.
    UniqueChatOff = "uniquechatoff" "",
    /// Allows links again.
    Links = "links" "",
    /// No links.
    LinksOff = "linksoff" "",
    /// The preset of restrictions.
    Shield = "shield" " [on|off]",
    /// Ends it.
    ShieldOff = "shieldoff" "",
    /// Shows a message to everybody who comes.
    Pin = "pin" " MESSAGE-ID [SECONDS]",
    /// Ends it.
    Unpin = "unpin" "",
    /// Says something that stands out.
    Announce = "announce" " TEXT",
    /// Sends the viewers to another channel.
    Raid = "raid" " CHANNEL",
    /// Makes somebody a moderator.
    Mod = "mod" " USER",
    /// Ends it.
    Unmod = "unmod" " USER",
    /// Makes somebody a VIP.
    Vip = "vip" " USER",
    /// Ends it.
    Unvip = "unvip" " USER",
    /// Terms that are refused.
    Block = "block" " TERM",
    /// Terms that are held for review.
    HoldTerm = "hold" " TERM",
    /// Ends either.
    Unblock = "unblock" " TERM",
    /// Says what was held.
    Approve = "approve" " MESSAGE-ID",
    /// Never says what was held.
    Deny = "deny" " MESSAGE-ID",
}

impl Verb {
    /// The verb with this word, in whatever case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verb| verb.word().eq_ignore_ascii_case(word))
    }
}
