//! Mints access tokens and playback tokens.

use freshet_proto::{
    id::ChannelName,
    token::{Audience, Claims},
};

use super::{Shared, problem::Problem};
use crate::accounts::{Identity, Role};

/// How long an access token is good, in seconds.
pub const ACCESS_S: u64 = 15 * 60;

/// How long a playback token may be traded for a session, in seconds; the session then lasts by itself.
pub const PLAYBACK_S: u64 = 10 * 60;

impl Shared {
    /// An access token for somebody who has signed in; good from `asked_ms`, which is before their session was looked at. So
    /// whoever ends the session later than that, and then revokes its tokens, revokes this one too.
    pub(super) async fn access_token(&self, who: &Identity, asked_ms: u64) -> Result<String, Problem> {
        let mut roles = vec![Role::User.to_string()];
        roles.extend((who.role == Role::Admin).then(|| Role::Admin.to_string()));
        let claims = Claims {
            sid: Some(who.session.to_string()),
            username: who.username.to_string(),
            roles,
            color: self.accounts.name_color(&who.user).await?,
            ..self.claims(who.user.to_string(), Audience::Api, asked_ms, ACCESS_S)
        };
        self.signed(&claims)
    }

    /// A token with which `channel` may be watched.
    pub(super) fn playback_token(&self, subject: String, channel: ChannelName) -> Result<String, Problem> {
        let now_ms = self.platform.now_ms();
        let claims = Claims { channel: Some(channel), ..self.claims(subject, Audience::Playback, now_ms, PLAYBACK_S) };
        self.signed(&claims)
    }

    /// Whether a token could be signed: asked before what can't be taken back.
    pub(super) fn can_sign(&self) -> Result<(), Problem> {
        self.signed(&self.claims("nobody".to_owned(), Audience::Api, self.platform.now_ms(), 0)).map(drop)
    }

    fn claims(&self, sub: String, aud: Audience, from_ms: u64, seconds: u64) -> Claims {
        Claims {
            sub,
            aud,
            exp_ms: from_ms + seconds * 1000,
            nbf_ms: from_ms,
            iat_ms: from_ms,
            jti: self.platform.draw(),
            sid: None,
            username: String::new(),
            roles: Vec::new(),
            color: None,
            channel: None,
        }
    }

    fn signed(&self, claims: &Claims) -> Result<String, Problem> {
        self.platform.sign(claims).map_err(|why| {
            tracing::error!(why, "no token can be signed");
            Problem::unavailable("tokens can't be signed at present; try again in a moment")
        })
    }
}
