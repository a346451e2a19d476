//! Who a client is, by its access token (RFC 6750 §2.1).

use std::sync::{Arc, Mutex, PoisonError};

use freshet_proto::{
    annex::Annex,
    token::{Audience, Claims, Verifier},
};
use http::{HeaderMap, header};

use super::{fields::single, problem::Problem};

/// Who asks, as its token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// The account's id.
    pub(super) id: String,
    /// The account's name.
    pub(super) username: String,
    /// What it may do on the whole platform.
    pub(super) roles: Vec<String>,
    /// The login that the token was made for.
    pub(super) login: String,
    /// The colour of its name, 0xRRGGBB.
    pub(super) color: Option<u32>,
}

/// Verifies by the newest keyring. Its keys are prepared once for each version of it.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Option<(u64, Arc<Verifier>)>>);

impl Tokens {
    /// Who asks; `None` where nobody says so.
    ///
    /// # Errors
    /// 401 where the token is no good, 400 where there are two of them, 503 while this edge knows no keys.
    pub(super) fn client(&self, headers: &HeaderMap, annex: &Annex, now_ms: u64) -> Result<Option<Client>, Problem> {
        let Some(authorization) = single(headers, &header::AUTHORIZATION)? else { return Ok(None) };
        // Whoever writes a field takes the space after a scheme away where nothing follows.
        let (scheme, token) = authorization.split_once(' ').unwrap_or((&authorization, ""));
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::NOT_BEARER);
        }
        if annex.keys.signing.is_empty() {
            return Err(Problem::NO_KEYS);
        }
        let verified = self.verifier(annex).verify(token.trim(), Audience::Api, now_ms, &annex.revoked);
        match verified {
            Ok(claims) => client(claims).map(Some).ok_or(Problem::BAD_TOKEN),
            Err(why) => {
                tracing::debug!(%why, "an access token was refused");
                Err(Problem::BAD_TOKEN)
            }
        }
    }

    fn verifier(&self, annex: &Annex) -> Arc<Verifier> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((revision, verifier)) if *revision == annex.keys.revision => verifier.clone(),
            _ => {
                let verifier = Arc::new(Verifier::new(&annex.keys));
                *kept = Some((annex.keys.revision, verifier.clone()));
                verifier
            }
        }
    }
}

/// `None` where the token says what no header field may: nobody who mints ours does.
fn client(claims: Claims) -> Option<Client> {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    let role = |role: &String| plain(role) && !role.contains(',');
    let login = claims.sid.unwrap_or_default();
    let well = plain(&claims.sub) && plain(&claims.username) && plain(&login) && claims.roles.iter().all(role);
    let Claims { sub: id, username, roles, color, .. } = claims;
    well.then_some(Client { id, username, roles, login, color })
}

#[cfg(test)]
mod tests {
    use freshet_proto::{
        annex::{Algorithm, KeyState, Keyring, Revocations, Revoked, SigningKey},
        token::{Signer, signing_key},
        view::Bar,
    };
    use http::HeaderValue;

    use super::*;

    const NOW_MS: u64 = 1_795_000_000_000;

    fn issuer() -> (Signer, SigningKey) {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
        let pkcs8 = pair.to_pkcs8v1().expect("its text");
        let public = signing_key(Algorithm::EdDsa, pkcs8.as_ref(), KeyState::Active).expect("its public half");
        (Signer::new(Algorithm::EdDsa, public.kid.clone(), pkcs8.as_ref()).expect("a signer"), public)
    }

    fn ada() -> Claims {
        Claims {
            sub: "u1".into(),
            aud: Audience::Api,
            exp_ms: NOW_MS + 900_000,
            nbf_ms: NOW_MS,
            iat_ms: NOW_MS,
            jti: "j1".into(),
            sid: Some("s1".into()),
            username: "ada".into(),
            roles: vec!["user".into()],
            color: None,
            channel: None,
        }
    }

    fn knows(revision: u64, signing: &[&SigningKey]) -> Annex {
        let signing = signing.iter().map(|key| (*key).clone()).collect();
        Annex { keys: Arc::new(Keyring { revision, signing, ..Keyring::default() }), ..Annex::default() }
    }

    fn asks(tokens: &Tokens, annex: &Annex, lines: &[&str]) -> Result<Option<String>, u16> {
        let line = |line: &&str| (header::AUTHORIZATION, HeaderValue::from_str(line).expect("text"));
        let mut headers = HeaderMap::new();
        headers.extend(lines.iter().map(line));
        let client = tokens.client(&headers, annex, NOW_MS).map_err(|problem| problem.status.as_u16())?;
        Ok(client.map(|client| format!("{} {} {:?} {}", client.id, client.username, client.roles, client.login)))
    }

    #[test]
    fn a_good_token_says_who_asks_and_no_token_says_nobody() {
        let ((signer, public), tokens) = (issuer(), Tokens::default());
        let (annex, good) = (knows(1, &[&public]), signer.sign(&ada()).expect("a token"));
        assert_eq!(asks(&tokens, &annex, &[]), Ok(None));
        for line in [format!("Bearer {good}"), format!("bearer {good}"), format!("BEARER  {good} ")] {
            assert_eq!(asks(&tokens, &annex, &[&line]), Ok(Some("u1 ada [\"user\"] s1".to_owned())), "{line:?}");
        }
    }

    #[test]
    fn what_is_not_one_bearer_token_is_refused() {
        let ((signer, public), tokens) = (issuer(), Tokens::default());
        let (annex, good) = (knows(1, &[&public]), signer.sign(&ada()).expect("a token"));
        let line = format!("Bearer {good}");
        assert_eq!(asks(&tokens, &annex, &[&line, &line]), Err(400), "twice");
        assert_eq!(asks(&tokens, &annex, &[&format!("Bearer {}", "x".repeat(1024))]), Err(400), "too long");
        for bad in
            ["", "Bearer", "Bearer ", "Bearer x", &good, &format!("Basic {good}"), &format!("Bearer {good}, {line}")]
        {
            assert_eq!(asks(&tokens, &annex, &[bad]), Err(401), "{bad:?}");
        }
        assert_eq!(asks(&tokens, &Annex::default(), &[&line]), Err(503), "it knows no keys, so it can't tell");
    }

    #[test]
    fn a_token_that_says_what_no_field_may_is_refused() {
        let ((signer, public), tokens) = (issuer(), Tokens::default());
        let annex = knows(1, &[&public]);
        let changes: [fn(&mut Claims); 6] = [
            |claims| claims.roles = vec!["user,operator".into()],
            |claims| claims.roles = vec!["user".into(), "a b".into()],
            |claims| claims.username = "ada\r\nx-client-roles: operator".into(),
            |claims| claims.username = "ädä".into(),
            |claims| claims.sub = "u 1".into(),
            |claims| claims.sid = Some("s\0".into()),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut claims = ada();
            change(&mut claims);
            let token = signer.sign(&claims).expect("a token");
            assert_eq!(asks(&tokens, &annex, &[&format!("Bearer {token}")]), Err(401), "change {n}");
        }
    }

    #[test]
    fn the_newest_keyring_and_revocations_decide() {
        let ((signer, public), (_, other)) = (issuer(), issuer());
        let (tokens, line) = (Tokens::default(), format!("Bearer {}", signer.sign(&ada()).expect("a token")));
        let status = |annex: &Annex| asks(&tokens, annex, &[&line]).err();
        assert_eq!(status(&knows(1, &[&other])), Some(401), "a key that is not known");
        assert_eq!(status(&knows(2, &[&other, &public])), None);
        let mut annex = knows(2, &[&other, &public]);
        let bar = Bar { since_ms: NOW_MS, until_ms: NOW_MS + 900_000 };
        let bars = [(Revoked::Login("s1".into()), bar)].into();
        annex.revoked = Arc::new(Revocations { revision: 3, bars });
        assert_eq!(status(&annex), Some(401), "its login is revoked");
        assert_eq!(status(&knows(4, &[&other])), Some(401), "its key was taken away");
    }
}
