//! The join token: what an operator hands to a machine that is to become a node.
//!
//! ```text
//! fj1.base64url(postcard(secret, SHA-256 of the authority's certificate, control nodes))
//! ```
//! It tells whom to ask and whom to believe, so that nothing else need be copied by hand. The registry keeps only a keyed
//! hash of the secret, for what role, until when and for how many nodes it is good.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use freshet_proto::random::Random;
use serde::{Deserialize, Serialize};

/// What a join token tells.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    /// Proves the right to join.
    pub secret: String,
    /// SHA-256 of the certificate of the platform's authority.
    pub authority: [u8; 32],
    /// The control nodes to ask: names and addresses.
    pub control: Vec<(String, SocketAddr)>,
}

/// The text is no join token. The remedy: copy it again, whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no join token: copy it again, whole, or make a new one with `freshet node token`")]
pub struct NoJoinToken;

/// What a token begins with; the number is its format.
const PREFIX: &str = "fj1.";

/// The longest token, in bytes.
pub const MAX_LEN: usize = 2048;

impl JoinToken {
    /// A new secret, 256 bits.
    pub fn draw(random: &Random) -> String {
        format!("{}{}", random.token(), random.token())
    }

    /// As it is handed over.
    pub fn encode(&self) -> String {
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads what was handed over.
    ///
    /// # Errors
    /// [`NoJoinToken`].
    pub fn decode(text: &str) -> Result<Self, NoJoinToken> {
        let text = text.trim();
        let text = text.strip_prefix(PREFIX).filter(|text| text.len() <= MAX_LEN).ok_or(NoJoinToken)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NoJoinToken)?;
        match postcard::take_from_bytes(&bytes) {
            Ok((token, [])) => Ok(token),
            _ => Err(NoJoinToken),
        }
    }
}

impl std::fmt::Debug for JoinToken {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "JoinToken(ask {:?})", self.control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_that_says_whom_to_ask_and_whom_to_believe() {
        let control = vec![("control-1".to_owned(), "10.0.0.1:4430".parse().unwrap())];
        let secret = JoinToken::draw(&Random::seeded(1));
        let token = JoinToken { secret: secret.clone(), authority: [7; 32], control };
        let text = token.encode();
        assert!(text.starts_with("fj1.") && !text.contains(char::is_whitespace), "{text}");
        assert_eq!(JoinToken::decode(&format!(" {text}\n")), Ok(token.clone()));
        assert!(!format!("{token:?}").contains(&secret));
        for bad in ["", "fj1.", "fj2.AAAA", &text[..text.len() - 4], &format!("{text}AA"), "fj1.%%%"] {
            assert_eq!(JoinToken::decode(bad), Err(NoJoinToken), "{bad:?}");
        }
    }
}
