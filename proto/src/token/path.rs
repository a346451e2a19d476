//! The token in the path of one viewer's requests: `/p/{token}/live/…`.
//!
//! ```text
//! 0      1      2          6          12          18         26     42 bytes, then base64url: 56 characters
//! │ 1    │ kind │ secret   │ minted   │ expires   │ session  │ MAC │
//! ```
//! Numbers are big-endian, times are ms since 1970. The MAC is HMAC-SHA256 under the secret over everything before it and
//! the channel's name, cut to 128 bits (RFC 2104 §5): a token opens one channel without naming it. Every edge can mint and
//! check, and none keeps anything of a token. The format may change with its first byte.

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;

use crate::{
    annex::{Keyring, PathSecret, Revocations, Revoked},
    id::ChannelName,
};

/// How long a path token lasts: longer than anybody watches one stream in one sitting. It is never renewed.
pub const PATH_TOKEN_MS: u64 = 12 * 3600 * 1000;

/// How long a path token is, in characters.
pub const PATH_TOKEN_LEN: usize = 56;

const VERSION: u8 = 1;
const SIGNED: usize = 26;
const MAC: usize = 16;

/// Whose requests they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathPass {
    /// The session of playback.
    pub session: u64,
    /// Whether it was given for a playback token. Without one it opens nothing that is private.
    pub granted: bool,
}

/// Why a path token was refused. The bearer's doing; the remedy is to ask for `index.m3u8` again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathRefused {
    /// No such token was ever minted for this channel: forged, cut short, or another channel's.
    #[error("the path token is not one of this channel's")]
    Forged,
    /// Its secret is not here: gone long since, or not arrived yet.
    #[error("the path token's secret is unknown")]
    UnknownSecret,
    /// It is too old.
    #[error("the path token has expired")]
    Expired,
    /// Its session or its channel was revoked after it was minted.
    #[error("the path token has been revoked")]
    Revoked,
}

/// The path secrets of one keyring, prepared.
#[derive(Default)]
pub struct PathKeys(Vec<PathKey>);

struct PathKey {
    id: u32,
    since_ms: u64,
    until_ms: u64,
    hmac: hmac::Key,
}

impl PathKeys {
    /// Prepares the secrets.
    pub fn new(keyring: &Keyring) -> Self {
        let prepare = |secret: &PathSecret| PathKey {
            id: secret.id,
            since_ms: secret.since_ms,
            until_ms: secret.until_ms,
            hmac: hmac::Key::new(hmac::HMAC_SHA256, &secret.secret),
        };
        Self(keyring.path.iter().map(prepare).collect())
    }

    /// Whether there is none, so that nothing can be minted, ever.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A token with which `pass` watches `channel` for [`PATH_TOKEN_MS`], or until its secret runs out. `None` where no
    /// secret has begun.
    pub fn mint(&self, pass: PathPass, channel: &ChannelName, now_ms: u64) -> Option<String> {
        let begun = |key: &&PathKey| key.since_ms <= now_ms && now_ms < key.until_ms;
        let key = self.0.iter().rfind(begun)?;
        let expires_ms = key.until_ms.min(now_ms.saturating_add(PATH_TOKEN_MS));
        let mut token = [0; SIGNED + MAC];
        token[0] = VERSION;
        token[1] = u8::from(pass.granted);
        token[2..6].copy_from_slice(&key.id.to_be_bytes());
        token[6..12].copy_from_slice(&now_ms.to_be_bytes()[2..]);
        token[12..18].copy_from_slice(&expires_ms.min(MAX_TIME).to_be_bytes()[2..]);
        token[18..26].copy_from_slice(&pass.session.to_be_bytes());
        let mac = key.mac(&token[..SIGNED], channel);
        token[SIGNED..].copy_from_slice(&mac.as_ref()[..MAC]);
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whose requests for `channel` carry `token`. Costs less than a microsecond and allocates nothing.
    ///
    /// # Errors
    /// [`PathRefused`].
    pub fn check(
        &self,
        revocations: &Revocations,
        token: &str,
        channel: &ChannelName,
        now_ms: u64,
    ) -> Result<PathPass, PathRefused> {
        let mut bytes = [0; SIGNED + MAC];
        // One token has one spelling: the decoder refuses padding and stray bits.
        let whole = token.len() == PATH_TOKEN_LEN
            && URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) == Ok(bytes.len())
            && bytes[0] == VERSION
            && bytes[1] <= 1;
        if !whole {
            return Err(PathRefused::Forged);
        }
        let id = number(&bytes[2..6]);
        let key = self.0.iter().find(|key| u64::from(key.id) == id).ok_or(PathRefused::UnknownSecret)?;
        let mac = key.mac(&bytes[..SIGNED], channel);
        if !bool::from(mac.as_ref()[..MAC].ct_eq(&bytes[SIGNED..])) {
            return Err(PathRefused::Forged);
        }
        let (minted_ms, expires_ms) = (number(&bytes[6..12]), number(&bytes[12..18]));
        if now_ms >= expires_ms {
            return Err(PathRefused::Expired);
        }
        let pass = PathPass { session: number(&bytes[18..26]), granted: bytes[1] == 1 };
        match is_revoked(revocations, pass.session, channel, minted_ms) {
            true => Err(PathRefused::Revoked),
            false => Ok(pass),
        }
    }
}

impl std::fmt::Debug for PathKeys {
    /// Leaves the secrets out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.iter().map(|key| key.id)).finish()
    }
}

/// The last time that six bytes hold, some ten thousand years from now.
const MAX_TIME: u64 = (1 << 48) - 1;

impl PathKey {
    fn mac(&self, signed: &[u8], channel: &ChannelName) -> hmac::Tag {
        let name = channel.as_str().as_bytes();
        let mut message = [0; SIGNED + ChannelName::MAX_LEN];
        let len = SIGNED + name.len();
        message[..SIGNED].copy_from_slice(signed);
        message[SIGNED..len].copy_from_slice(name);
        hmac::sign(&self.hmac, &message[..len])
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn is_revoked(revocations: &Revocations, session: u64, channel: &ChannelName, minted_ms: u64) -> bool {
    // Most of the time there is none, and looking one up clones a name.
    !revocations.bars.is_empty()
        && (revocations.bars(&Revoked::Playback(session), minted_ms)
            || revocations.bars(&Revoked::Channel(channel.clone()), minted_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::view::Bar;

    const NOW: u64 = 1_800_000_000_123;
    const HOUR: u64 = 3_600_000;

    fn secret(id: u32, since_ms: u64, until_ms: u64) -> PathSecret {
        PathSecret { id, secret: [id as u8; 32], since_ms, until_ms }
    }

    fn keys(path: &[PathSecret]) -> PathKeys {
        PathKeys::new(&Keyring { path: path.to_vec(), ..Keyring::default() })
    }

    fn ada() -> ChannelName {
        "ada".parse().unwrap()
    }

    const PASS: PathPass = PathPass { session: 0xfeed_beef_dead_cafe, granted: true };

    fn barred(what: Revoked, since_ms: u64) -> Revocations {
        Revocations { revision: 1, bars: [(what, Bar { since_ms, until_ms: u64::MAX })].into() }
    }

    #[test]
    fn a_token_tells_its_session_and_how_it_was_got() {
        let keys = keys(&[secret(7, 0, NOW + 24 * HOUR)]);
        for granted in [true, false] {
            let pass = PathPass { granted, ..PASS };
            let token = keys.mint(pass, &ada(), NOW).unwrap();
            assert_eq!(token.len(), PATH_TOKEN_LEN);
            assert_eq!(keys.check(&Revocations::default(), &token, &ada(), NOW), Ok(pass));
        }
    }

    #[test]
    fn a_token_of_another_channel_is_refused() {
        let keys = keys(&[secret(7, 0, u64::MAX)]);
        let token = keys.mint(PASS, &ada(), NOW).unwrap();
        let other = keys.check(&Revocations::default(), &token, &"bob".parse().unwrap(), NOW);
        assert_eq!(other, Err(PathRefused::Forged));
    }

    #[test]
    fn a_token_lasts_twelve_hours_and_no_longer_than_its_secret() {
        let none = Revocations::default();
        for (until_ms, lasts) in [(u64::MAX, PATH_TOKEN_MS), (NOW + HOUR, HOUR)] {
            let keys = keys(&[secret(7, 0, until_ms)]);
            let token = keys.mint(PASS, &ada(), NOW).unwrap();
            assert_eq!(keys.check(&none, &token, &ada(), NOW + lasts - 1), Ok(PASS));
            assert_eq!(keys.check(&none, &token, &ada(), NOW + lasts), Err(PathRefused::Expired));
        }
    }

    #[test]
    fn the_newest_secret_that_has_begun_mints_and_the_older_ones_still_open() {
        let (old, new, later) = (secret(1, 0, NOW + HOUR), secret(2, NOW, u64::MAX), secret(3, NOW + 1, u64::MAX));
        let all = keys(&[old.clone(), new.clone(), later]);
        let minted = all.mint(PASS, &ada(), NOW).unwrap();
        let none = Revocations::default();
        assert_eq!(keys(std::slice::from_ref(&new)).check(&none, &minted, &ada(), NOW), Ok(PASS));
        let before = keys(std::slice::from_ref(&old)).mint(PASS, &ada(), NOW).unwrap();
        assert_eq!(all.check(&none, &before, &ada(), NOW), Ok(PASS));
        assert_eq!(keys(&[new]).check(&none, &before, &ada(), NOW), Err(PathRefused::UnknownSecret));
        assert_eq!(keys(&[secret(1, NOW + 1, u64::MAX)]).mint(PASS, &ada(), NOW), None);
    }

    #[test]
    fn another_secret_of_the_same_number_opens_nothing() {
        let token = keys(&[secret(1, 0, u64::MAX)]).mint(PASS, &ada(), NOW).unwrap();
        let other = PathSecret { secret: [9; 32], ..secret(1, 0, u64::MAX) };
        let checked = keys(&[other]).check(&Revocations::default(), &token, &ada(), NOW);
        assert_eq!(checked, Err(PathRefused::Forged));
    }

    #[test]
    fn a_revoked_session_or_channel_opens_nothing_and_what_is_minted_later_does() {
        let keys = keys(&[secret(7, 0, u64::MAX)]);
        let token = keys.mint(PASS, &ada(), NOW).unwrap();
        for what in [Revoked::Playback(PASS.session), Revoked::Channel(ada())] {
            let check = |since_ms| keys.check(&barred(what.clone(), since_ms), &token, &ada(), NOW);
            assert_eq!(check(NOW), Err(PathRefused::Revoked), "{what:?}");
            assert_eq!(check(NOW - 1), Ok(PASS), "{what:?}");
        }
        let others = barred(Revoked::Playback(PASS.session + 1), u64::MAX);
        assert_eq!(keys.check(&others, &token, &ada(), NOW), Ok(PASS));
    }

    #[test]
    fn nothing_but_a_whole_token_is_one() {
        let keys = keys(&[secret(7, 0, u64::MAX)]);
        let token = keys.mint(PASS, &ada(), NOW).unwrap();
        let longer = format!("{token}A");
        let padded = format!("{}==", &token[..54]);
        for text in ["", "x", &token[1..], &token[..55], &longer, &padded, &"é".repeat(28)] {
            let checked = keys.check(&Revocations::default(), text, &ada(), NOW);
            assert_eq!(checked, Err(PathRefused::Forged), "{text:?}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        assert_eq!(format!("{:?}", keys(&[secret(7, 0, 1)])), "{7}");
    }

    proptest! {
        #[test]
        fn a_bit_flipped_anywhere_makes_it_no_token(session: u64, granted: bool, bit in 0..PATH_TOKEN_LEN * 8) {
            let keys = keys(&[secret(7, 0, u64::MAX)]);
            let token = keys.mint(PathPass { session, granted }, &ada(), NOW).unwrap();
            let mut bytes = token.into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = String::from_utf8_lossy(&bytes);
            prop_assert!(keys.check(&Revocations::default(), &flipped, &ada(), NOW).is_err());
        }

        #[test]
        fn a_bit_flipped_in_what_it_says_makes_it_no_token(session: u64, bit in 0..(SIGNED + MAC) * 8) {
            let keys = keys(&[secret(7, 0, u64::MAX)]);
            let token = keys.mint(PathPass { session, granted: false }, &ada(), NOW).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert!(keys.check(&Revocations::default(), &flipped, &ada(), NOW).is_err());
        }
    }
}
