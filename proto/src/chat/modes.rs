//! How a channel's chat is restricted.

use serde::{Deserialize, Serialize};

/// What is asked of those who write. Moderators, VIPs and above are asked none of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    /// How many seconds lie between two messages of one person; 0 is off.
    pub slow_s: u32,
    /// For how many minutes one must have followed; 0 for any follower, `None` for everybody.
    pub followers_min: Option<u32>,
    /// Emotes alone.
    pub emote_only: bool,
    /// Nothing that was said in the last ten minutes.
    pub unique: bool,
    /// No links.
    pub links_off: bool,
    /// These are the shield's: lifting it brings back what was before.
    pub shield: bool,
}

impl Modes {
    /// The longest time between two messages, in seconds.
    pub const MAX_SLOW_S: u32 = 3600;

    /// The longest time for which one may have to have followed, in minutes: three months, as at Twitch.
    pub const MAX_FOLLOWERS_MIN: u32 = 90 * 24 * 60;
}

/// What becomes of the modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModeChange {
    /// Seconds; 0 is off.
    Slow(u32),
    /// Minutes; `None` is off.
    Followers(Option<u32>),
    /// On or off.
    EmoteOnly(bool),
    /// On or off.
    Unique(bool),
    /// Whether links are off.
    LinksOff(bool),
    /// On or off.
    Shield(bool),
}
