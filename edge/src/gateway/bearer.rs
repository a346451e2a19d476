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
    well.then_some(Client { id: claims.sub, username: claims.username, roles: claims.roles, login })
}
