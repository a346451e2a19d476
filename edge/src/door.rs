//! Who may watch what. A machine: the view and the time are arguments.
//!
//! ```text
//! /live/{channel}/…                   public, unlisted ▶ come in              private ▶ refused
//! /live/{channel}/index.m3u8          public, unlisted ▶ come back with a path token
//!                                     private, with a playback token ▶ the same
//! /p/{path token}/live/{channel}/…    the token is this channel's, in time and not revoked ▶ come in
//! ```
//! A playback token is verified once, for a path token; that is checked for each request, whatever the channel, and nothing
//! is kept of it. A path token that was got without a playback token opens nothing that is private.
//!
//! Where the keyring has no path secret nobody is sent anywhere: who may watch public channels watches them as they are.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use freshet_proto::{
    annex::{Keyring, Visibility},
    id::ChannelName,
    object::ResourceName,
    random::Random,
    token::{PathKeys, PathPass, PathRefused, TokenRefused, Verifier, playback_session},
    view::View,
};

/// The keys of the newest keyring, prepared.
pub(crate) struct Door {
    random: Random,
    keys: RwLock<Arc<Keys>>,
}

/// One keyring, prepared.
pub(crate) struct Keys {
    of: Arc<Keyring>,
    verifier: Verifier,
    path: PathKeys,
    jwks: Bytes,
}

/// What a request shows of who makes it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// Nothing, or a playback token in its query, which counts at the multivariant playlist only.
    Query(&'a str),
    /// A path token.
    Path(&'a str),
}

/// How a request that may go on does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// It is answered, and counts for this session where it has one.
    Open(Option<u64>),
    /// It is to come again under this path token.
    Under(String),
}

/// Why a request does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Barred {
    #[error("this channel is private: get a playback token from the API and open index.m3u8?token=… with it")]
    Private,
    #[error("{0}: get another from the API")]
    Token(TokenRefused),
    #[error("{0}: open index.m3u8 again")]
    Path(PathRefused),
    /// Ours: the path secrets have not begun yet.
    #[error("no path token can be given yet: try again")]
    NotYet,
}

impl Shown<'_> {
    /// Whether a signature would be verified for it at the multivariant playlist of a private channel.
    pub(crate) fn has_playback_token(self) -> bool {
        matches!(self, Self::Query(query) if playback_token(query).is_some())
    }
}

impl Door {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, keys: RwLock::new(Arc::new(Keys::new(Arc::default()))) }
    }

    /// The keys of this keyring. They are prepared anew when it is another one than before, by whoever asks first.
    pub(crate) fn keys(&self, keyring: &Arc<Keyring>) -> Arc<Keys> {
        let known = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        if Arc::ptr_eq(&known.of, keyring) {
            return known;
        }
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&keys.of, keyring) {
            *keys = Arc::new(Keys::new(Arc::clone(keyring)));
        }
        Arc::clone(&keys)
    }

    /// Whether a request for `name` may go on, and how. Costs less than a microsecond with a path token, 0.1 ms with a
    /// playback token.
    pub(crate) fn ask(
        &self,
        view: &View,
        name: &ResourceName,
        shown: Shown<'_>,
        now_ms: u64,
    ) -> Result<Entrance, Barred> {
        let channel = name.channel();
        let annex = &view.annex;
        let is_private = is_private(view, channel);
        let query = match shown {
            Shown::Path(token) => {
                let keys = self.keys(&annex.keys);
                let pass = keys.path.check(&annex.revoked, token, channel, now_ms).map_err(Barred::Path)?;
                let may = pass.granted || !is_private;
                return if may { Ok(Entrance::Open(Some(pass.session))) } else { Err(Barred::Private) };
            }
            Shown::Query(query) => query,
        };
        match name {
            ResourceName::Index(_) => {}
            _ if is_private => return Err(Barred::Private),
            _ => return Ok(Entrance::Open(None)),
        }
        let keys = self.keys(&annex.keys);
        let pass = if is_private {
            let token = playback_token(query).ok_or(Barred::Private)?;
            let claims =
                keys.verifier.verify_playback(token, channel, now_ms, &annex.revoked).map_err(Barred::Token)?;
            PathPass { session: playback_session(&claims.jti), granted: true }
        } else {
            PathPass { session: self.draw(), granted: false }
        };
        match keys.path.mint(pass, channel, now_ms) {
            Some(token) => Ok(Entrance::Under(token)),
            None if is_private => Err(Barred::NotYet),
            None => Ok(Entrance::Open(None)),
        }
    }

    /// A session for somebody who has shown nothing.
    fn draw(&self) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

impl Keys {
    fn new(of: Arc<Keyring>) -> Self {
        let jwks = of.signing.iter().filter_map(|key| serde_json::from_str::<serde_json::Value>(&key.jwk).ok());
        let jwks = serde_json::json!({ "keys": jwks.collect::<Vec<_>>() }).to_string().into();
        Self { verifier: Verifier::new(&of), path: PathKeys::new(&of), jwks, of }
    }

    /// The public keys as a JWK set (RFC 7517 §5).
    pub(crate) fn jwks(&self) -> Bytes {
        self.jwks.clone()
    }
}

/// Splits what follows `/p/` into a path token and what follows `/live/`.
pub(crate) fn split(path: &str) -> Option<(&str, &str)> {
    let (token, rest) = path.split_once('/')?;
    Some((token, rest.strip_prefix("live/")?))
}

/// Whether only who has a playback token may watch `channel`.
pub(crate) fn is_private(view: &View, channel: &ChannelName) -> bool {
    view.annex.marks.of(channel).visibility == Visibility::Private
}

/// The value of the first `token` of a query. A JWT has nothing that would be escaped in one (RFC 7515 §3.1), so what is
/// escaped is none.
fn playback_token(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}
