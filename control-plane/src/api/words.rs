//! The words of channels' settings, and what they are elsewhere.

use freshet_proto::{annex, registry::Policy};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::accounts::{GoLive, Visibility};

/// Who may watch.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Watchers {
    /// Everybody; it is listed.
    Public,
    /// Whoever knows its name.
    Unlisted,
    /// Whoever has a playback token.
    Private,
}

/// How a session begins.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Going {
    /// By publishing.
    Auto,
    /// By publishing after `start`.
    Manual,
}

/// What becomes of a second encoder.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Takeover {
    /// The newest wins.
    Newest,
    /// It wins if the first is silent.
    Silent,
    /// It is refused.
    Reject,
}

impl From<Watchers> for Visibility {
    fn from(watchers: Watchers) -> Self {
        match watchers {
            Watchers::Public => Self::Public,
            Watchers::Unlisted => Self::Unlisted,
            Watchers::Private => Self::Private,
        }
    }
}

impl From<Visibility> for Watchers {
    fn from(visibility: Visibility) -> Self {
        match visibility {
            Visibility::Public => Self::Public,
            Visibility::Unlisted => Self::Unlisted,
            Visibility::Private => Self::Private,
        }
    }
}

impl From<Watchers> for annex::Visibility {
    fn from(watchers: Watchers) -> Self {
        match watchers {
            Watchers::Public => Self::Public,
            Watchers::Unlisted => Self::Unlisted,
            Watchers::Private => Self::Private,
        }
    }
}

impl From<annex::Visibility> for Watchers {
    /// What a newer version may have brought is for nobody to see.
    fn from(visibility: annex::Visibility) -> Self {
        match visibility {
            annex::Visibility::Public => Self::Public,
            annex::Visibility::Unlisted => Self::Unlisted,
            _ => Self::Private,
        }
    }
}

impl From<Going> for GoLive {
    fn from(going: Going) -> Self {
        match going {
            Going::Auto => Self::Auto,
            Going::Manual => Self::Manual,
        }
    }
}

impl From<GoLive> for Going {
    fn from(go_live: GoLive) -> Self {
        match go_live {
            GoLive::Auto => Self::Auto,
            GoLive::Manual => Self::Manual,
        }
    }
}

impl From<Takeover> for Policy {
    fn from(takeover: Takeover) -> Self {
        match takeover {
            Takeover::Newest => Self::Newest,
            Takeover::Silent => Self::Silent,
            Takeover::Reject => Self::Reject,
        }
    }
}

impl From<Policy> for Takeover {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Newest => Self::Newest,
            Policy::Silent => Self::Silent,
            Policy::Reject => Self::Reject,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn each_word_is_the_same_there_and_back() {
        for word in ["public", "unlisted", "private"] {
            let watchers: Watchers = from_value(json!(word)).expect("a word");
            let kept = Watchers::from(Visibility::from(watchers));
            let agreed = Watchers::from(annex::Visibility::from(watchers));
            assert_eq!((to_value(kept).ok(), to_value(agreed).ok()), (Some(json!(word)), Some(json!(word))));
        }
        for word in ["auto", "manual"] {
            let going: Going = from_value(json!(word)).expect("a word");
            assert_eq!(to_value(Going::from(GoLive::from(going))).ok(), Some(json!(word)));
        }
        for word in ["newest", "silent", "reject"] {
            let takeover: Takeover = from_value(json!(word)).expect("a word");
            assert_eq!(to_value(Takeover::from(Policy::from(takeover))).ok(), Some(json!(word)));
        }
        for other in ["", "Public", "nobody"] {
            assert!(from_value::<Watchers>(json!(other)).is_err(), "{other:?}");
        }
    }
}
