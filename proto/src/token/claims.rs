//! What a JWT says (RFC 7519 §4).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest, Sha256};

use crate::{annex::Revoked, id::ChannelName};

/// Who makes tokens: the `iss` of all of them.
pub const ISSUER: &str = "freshet";

/// What a token is good for, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Audience {
    /// Calls of the API and chat.
    #[serde(rename = "freshet-api")]
    Api,
    /// Watching one channel.
    #[serde(rename = "freshet-playback")]
    Playback,
}

impl Audience {
    /// As it stands in `aud`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "freshet-api",
            Self::Playback => "freshet-playback",
        }
    }

    /// As it stands in `typ`: an access token says that it is one (RFC 9068 §2.1).
    pub(super) fn typ(self) -> &'static str {
        match self {
            Self::Api => "at+jwt",
            Self::Playback => "JWT",
        }
    }
}

/// The claims of a token. `iss` is [`ISSUER`]. Times are in ms since 1970 here and seconds with a fraction on the wire, so
/// that what is minted just after a revocation can be told from what was minted just before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whose it is: an account's id; whatever the minter likes where nobody is logged in, but not empty.
    pub sub: String,
    /// What it is for.
    pub aud: Audience,
    /// Until when it is good.
    #[serde(rename = "exp", with = "numeric_date")]
    pub exp_ms: u64,
    /// Since when it is good.
    #[serde(rename = "nbf", with = "numeric_date")]
    pub nbf_ms: u64,
    /// When it was made: revocations go by it.
    #[serde(rename = "iat", with = "numeric_date")]
    pub iat_ms: u64,
    /// Its own id. That of a playback token stands for the playback session; see [`playback_session`].
    pub jti: String,
    /// The login that it was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The account's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The account's roles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// The colour that the account has chosen for its name, 0xRRGGBB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<u32>,
    /// Which channel may be watched with it; a playback token always says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelName>,
}

impl Claims {
    /// Everything on account of which it may have been revoked.
    pub(super) fn revocable(&self) -> impl Iterator<Item = Revoked> + use<> {
        let playback = (self.aud == Audience::Playback).then(|| Revoked::Playback(playback_session(&self.jti)));
        [
            Some(Revoked::User(self.sub.clone())),
            self.sid.clone().map(Revoked::Login),
            self.channel.clone().map(Revoked::Channel),
            playback,
        ]
        .into_iter()
        .flatten()
    }
}

/// The playback session that the playback token with this `jti` is traded for, whichever edge trades it: the number by
/// which it is revoked ([`Revoked::Playback`]) and counted.
pub fn playback_session(jti: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(jti).into();
    digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

/// RFC 7519 §2: seconds since 1970, "non-integer values can be represented".
mod numeric_date {
    use super::*;

    /// The last that a double carries to the millisecond.
    const MAX_MS: f64 = (1u64 << 53) as f64;

    pub(super) fn serialize<S: Serializer>(ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        match ms % 1000 {
            0 => serializer.serialize_u64(ms / 1000),
            _ => serializer.serialize_f64(*ms as f64 / 1000.0),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let ms = (f64::deserialize(deserializer)? * 1000.0).round();
        match (0.0..=MAX_MS).contains(&ms) {
            true => Ok(ms as u64),
            false => Err(D::Error::custom("no time")),
        }
    }
}
