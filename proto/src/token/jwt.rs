//! Signs and verifies JWTs (RFC 7519, RFC 8725).
//!
//! The algorithm is the key's, never the token's word for it (RFC 8725 §3.1). jsonwebtoken would read the system's clock
//! and takes what is absent for fine, so times are checked here and every claim is mandatory.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, Header, Validation, crypto::aws_lc, errors::ErrorKind, jwk::Jwk};

use super::{
    claims::{Audience, Claims, ISSUER},
    key::{BadKey, Pair},
};
use crate::{
    annex::{Algorithm, Keyring, Revocations},
    id::ChannelName,
};

/// By how much the clocks of who mints and who verifies may differ. Nodes whose clocks differ by more than 250 ms are not
/// ready; the rest is for issuers outside.
pub const LEEWAY_MS: u64 = 5_000;

/// The longest token, in bytes. Ours have 300 to 700.
pub const MAX_TOKEN: usize = 4096;

/// Signs tokens with one key.
pub struct Signer {
    algorithm: Algorithm,
    kid: String,
    pair: Pair,
}

/// The library could not sign, or a claim is no JSON: ours. The caller may try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SignFailed;

impl Signer {
    /// A signer with the private key `pkcs8_der`, whose public half is known as `kid`.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(algorithm: Algorithm, kid: String, pkcs8_der: &[u8]) -> Result<Self, BadKey> {
        Ok(Self { algorithm, kid, pair: Pair::new(algorithm, pkcs8_der)? })
    }

    /// The key's identifier.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The compact form (RFC 7515 §7.1). Costs 20 µs with EdDSA, 2 ms with RS256.
    ///
    /// # Errors
    /// [`SignFailed`].
    pub fn sign(&self, claims: &Claims) -> Result<String, SignFailed> {
        let mut body = serde_json::to_value(claims).map_err(|_| SignFailed)?;
        body["iss"] = ISSUER.into();
        let header = serde_json::json!({
            "alg": self.algorithm.to_string(), "kid": self.kid, "typ": claims.aud.typ(),
        });
        let text = |part: serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let mut token = format!("{}.{}", text(header), text(body));
        let signature = self.pair.sign(token.as_bytes()).ok_or(SignFailed)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl fmt::Debug for Signer {
    /// Leaves the private key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} {})", self.algorithm, self.kid)
    }
}

/// Why a token was refused. The bearer's doing, except where a key that it was signed with has not arrived here yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefused {
    /// Longer than [`MAX_TOKEN`]; nobody looked at it.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of base64url, or not the JSON that ours are, or marked with what nobody here understands.
    #[error("the token is malformed")]
    Malformed,
    /// It names no key, or none that signs for this platform: foreign, or signed with a key that is retired or revoked. The
    /// remedy: get another.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// It claims another algorithm than its key is for.
    #[error("the token's algorithm is not its key's")]
    WrongAlgorithm,
    /// Somebody else's signature, or another text than was signed.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// It was made for something else.
    #[error("the token is for another purpose")]
    WrongAudience,
    /// Somebody else made it.
    #[error("the token is of another issuer")]
    WrongIssuer,
    /// It is for another channel.
    #[error("the token is for another channel")]
    WrongChannel,
    /// The remedy: get another.
    #[error("the token has expired")]
    Expired,
    /// The remedy: wait, or set the clock.
    #[error("the token is not valid yet")]
    NotYet,
    /// It, its login, its account or its channel was revoked after it was made.
    #[error("the token has been revoked")]
    Revoked,
}

/// Verifies tokens by the keys of one keyring, whatever their state: pending, active or retiring.
pub struct Verifier {
    keys: BTreeMap<String, (jsonwebtoken::Algorithm, DecodingKey)>,
}

impl Verifier {
    /// Prepares the keys. A key whose JWK is none, or none for its algorithm, verifies nothing.
    pub fn new(keyring: &Keyring) -> Self {
        // Another crate of the build may turn on jsonwebtoken's second backend, and without this its first use would then
        // panic. An error says that a provider is there already.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        let prepare = |key: &crate::annex::SigningKey| {
            let algorithm = match key.algorithm {
                Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
                Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
                Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            };
            let public = DecodingKey::from_jwk(&serde_json::from_str::<Jwk>(&key.jwk).ok()?).ok()?;
            (public.family() == algorithm.family()).then(|| (key.kid.clone(), (algorithm, public)))
        };
        Self { keys: keyring.signing.iter().filter_map(prepare).collect() }
    }

    /// What a token for `audience` says, if it is good at `now_ms`. Costs 40 to 140 µs.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn verify(
        &self,
        token: &str,
        audience: Audience,
        now_ms: u64,
        revocations: &Revocations,
    ) -> Result<Claims, TokenRefused> {
        let claims = self.signed(token, audience)?;
        if now_ms >= claims.exp_ms.saturating_add(LEEWAY_MS) {
            return Err(TokenRefused::Expired);
        }
        // One that was made in the future would outlive its revocation.
        if claims.nbf_ms.max(claims.iat_ms) > now_ms.saturating_add(LEEWAY_MS) {
            return Err(TokenRefused::NotYet);
        }
        match claims.revocable().any(|what| revocations.bars(&what, claims.iat_ms)) {
            true => Err(TokenRefused::Revoked),
            false => Ok(claims),
        }
    }

    /// The same of a playback token for `channel`.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn verify_playback(
        &self,
        token: &str,
        channel: &ChannelName,
        now_ms: u64,
        revocations: &Revocations,
    ) -> Result<Claims, TokenRefused> {
        let claims = self.verify(token, Audience::Playback, now_ms, revocations)?;
        if claims.channel.as_ref() == Some(channel) { Ok(claims) } else { Err(TokenRefused::WrongChannel) }
    }

    /// Everything but time and revocation.
    fn signed(&self, token: &str, audience: Audience) -> Result<Claims, TokenRefused> {
        if token.len() > MAX_TOKEN {
            return Err(TokenRefused::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenRefused::Malformed)?;
        if !is_plain(&header) {
            return Err(TokenRefused::Malformed);
        }
        let key = header.kid.as_ref().and_then(|kid| self.keys.get(kid));
        let (algorithm, key) = key.ok_or(TokenRefused::UnknownKey)?;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &validation(*algorithm, audience))
            .map_err(|error| why(error.kind()))?
            .claims;
        let named = !claims.sub.is_empty() && !claims.jti.is_empty();
        if header.typ.as_deref() != Some(audience.typ()) || claims.aud != audience {
            Err(TokenRefused::WrongAudience)
        } else if !named || (audience == Audience::Playback && claims.channel.is_none()) {
            Err(TokenRefused::Malformed)
        } else {
            Ok(claims)
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// Whether a header says nothing that must be understood and isn't (RFC 7515 §4.1.11), and brings no key of its own.
fn is_plain(header: &Header) -> bool {
    header.crit.is_none()
        && header.jku.is_none()
        && header.jwk.is_none()
        && header.x5u.is_none()
        && header.x5c.is_none()
        && header.zip.is_none()
        && header.enc.is_none()
        && !header.extras.inner().contains_key("b64")
}

fn validation(algorithm: jsonwebtoken::Algorithm, audience: Audience) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "sub", "iss"]);
    validation.set_audience(&[audience.as_str()]);
    validation.set_issuer(&[ISSUER]);
    validation.validate_exp = false; // by `now_ms` instead
    validation.validate_nbf = false;
    validation
}

/// The one table of the library's errors and ours.
fn why(kind: &ErrorKind) -> TokenRefused {
    match kind {
        ErrorKind::InvalidAlgorithm => TokenRefused::WrongAlgorithm,
        ErrorKind::InvalidSignature => TokenRefused::BadSignature,
        ErrorKind::InvalidAudience => TokenRefused::WrongAudience,
        ErrorKind::InvalidIssuer => TokenRefused::WrongIssuer,
        _ => TokenRefused::Malformed,
    }
}

#[cfg(test)]
mod tests;
