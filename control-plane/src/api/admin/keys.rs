//! The keys that sign tokens, and their rotation.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use freshet_proto::admin::{self, AdminCommand, AdminReply};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::{Shared, caller::Admin, problem::Problem};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(keys)).routes(routes!(rotate)).routes(routes!(revoke))
}

/// The keys, without what is secret.
#[derive(Serialize, ToSchema)]
struct Keys {
    /// Why the control node that answers can't sign, if so.
    locked: Option<String>,
    /// The signing keys, the oldest first; those that are good for nothing any more come along for a while.
    signing: Vec<SigningKey>,
    /// The secrets of path tokens, the oldest first.
    path: Vec<PathSecret>,
}

/// One signing key.
#[derive(Serialize, ToSchema)]
struct SigningKey {
    /// Its identifier.
    kid: String,
    /// `EdDSA`, `ES256` or `RS256`.
    algorithm: String,
    /// `pending`, `active`, `retiring`, `retired` or `revoked`.
    stage: String,
    /// Since when it stands there, in ms since 1970.
    since_ms: u64,
    /// Until when, in ms since 1970, where that is known.
    until_ms: Option<u64>,
    /// Whether the control node that answers has the key-encryption key that it is wrapped with.
    unwraps: bool,
}

/// One secret of path tokens.
#[derive(Serialize, ToSchema)]
struct PathSecret {
    /// Its number.
    id: u32,
    /// Since when edges mint with it, in ms since 1970.
    since_ms: u64,
    /// Until when what was minted with it is good, in ms since 1970; null until its successor is made.
    until_ms: Option<u64>,
}

/// The next signing key.
#[derive(Serialize, ToSchema)]
struct NextKey {
    /// Its identifier. It signs once everybody knows it.
    kid: String,
}

impl From<admin::Keys> for Keys {
    fn from(keys: admin::Keys) -> Self {
        let signing = |key: admin::KeyStatus| SigningKey {
            kid: key.kid,
            algorithm: key.algorithm.to_string(),
            stage: key.stage.to_string(),
            since_ms: key.since_ms,
            until_ms: key.until_ms,
            unwraps: key.unwraps,
        };
        let path = |admin::PathStatus { id, since_ms, until_ms }| PathSecret { id, since_ms, until_ms };
        Self {
            locked: keys.locked,
            signing: keys.signing.into_iter().map(signing).collect(),
            path: keys.path.into_iter().map(path).collect(),
        }
    }
}

/// The signing keys, without what is secret.
#[utoipa::path(get, path = "/api/admin/keys", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "The keys", body = Keys)))]
async fn keys(State(shared): State<Arc<Shared>>, _: Admin) -> Result<Json<Keys>, Problem> {
    match shared.platform.ask(AdminCommand::Keys).await? {
        AdminReply::Keys(keys) => Ok(Json(keys.into())),
        _ => Err(Problem::strange_answer()),
    }
}

/// Make the next signing key now. It signs once everybody knows it; where one waits already, that is it.
#[utoipa::path(post, path = "/api/admin/keys/rotate", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "The next key", body = NextKey)))]
async fn rotate(State(shared): State<Arc<Shared>>, Admin(actor): Admin) -> Result<Json<NextKey>, Problem> {
    let AdminReply::NewKey(kid) = shared.platform.ask(AdminCommand::RotateKeys { anew: false }).await? else {
        return Err(Problem::strange_answer());
    };
    shared.accounts.audit(&actor, "key.rotate", &kid, &json!({})).await?;
    Ok(Json(NextKey { kid }))
}

/// What was signed with that key is good no more, as of now. Where it is the one that signs, another does at once.
#[utoipa::path(post, path = "/api/admin/keys/{kid}/revoke", tag = "admin", security(("bearer" = [])),
    params(("kid" = String, Path, description = "The key's identifier")),
    responses((status = 204, description = "Revoked")))]
async fn revoke(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    kid: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(kid) = kid?;
    shared.platform.ask(AdminCommand::RevokeKey { kid: kid.clone() }).await?;
    shared.accounts.audit(&actor, "key.revoke", &kid, &json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}
