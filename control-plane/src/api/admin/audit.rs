//! Who did what.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::{
    Shared,
    caller::Admin,
    extract::Params,
    page::{Page, limit},
    problem::Problem,
};
use crate::accounts::{Actor, AuditEntry, AuditFilter, PAGE};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(audit))
}

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The `next` of the piece before.
    cursor: Option<String>,
    /// How many at most, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    #[serde(deserialize_with = "limit")]
    limit: Option<u32>,
    /// Those of this one: an account by its name or id, `operator` or `system`.
    actor: Option<String>,
    /// Those of this action (`user.role`), or of all that begin with this noun (`user`).
    action: Option<String>,
    /// Those about this: an account by its name or id, a channel, a node, a key.
    target: Option<String>,
}

/// One entry of the audit log.
#[derive(Serialize, ToSchema)]
struct Entry {
    /// When, in ms since 1970.
    at_ms: u64,
    /// Who: an account's id, `operator` or `system`.
    actor: String,
    /// The account's name, as long as there is one.
    actor_name: Option<String>,
    /// What: `noun.verb`.
    action: String,
    /// To whom or what: an id or a name.
    target: String,
    /// The account's name, where the target is an account that is still there.
    target_name: Option<String>,
    /// The rest.
    #[schema(value_type = Object)]
    details: Value,
}

/// Who did what, the newest first.
#[utoipa::path(get, path = "/api/admin/audit", tag = "admin", security(("bearer" = [])), params(Wanted),
    responses((status = 200, description = "Entries", body = Page<Entry>)))]
async fn audit(
    State(shared): State<Arc<Shared>>,
    _: Admin,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Page<Entry>>, Problem> {
    let limit = wanted.limit.map_or(PAGE, |limit| limit as usize);
    let filter = AuditFilter { actor: wanted.actor, action: wanted.action, target: wanted.target };
    let page = shared.accounts.audit_log(&filter, wanted.cursor.as_deref(), limit).await?;
    Ok(Json(Page::of(page, |entry: AuditEntry| Entry {
        at_ms: entry.at_ms,
        actor: actor(entry.actor),
        actor_name: entry.actor_name,
        action: entry.action,
        target: entry.target,
        target_name: entry.target_name,
        details: entry.details,
    })))
}

/// Somebody in the API's words.
pub(super) fn actor(actor: Actor) -> String {
    match actor {
        Actor::User(id) => id.to_string(),
        Actor::Operator => "operator".to_owned(),
        Actor::System => "system".to_owned(),
    }
}
