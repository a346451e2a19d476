//! Who may register, and invitations.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    super::{
        Shared,
        caller::Admin,
        extract::{Body, Params},
        page::{Page, Paging},
        problem::Problem,
    },
    audit::actor,
};
use crate::accounts::{self, InviteTerms};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(site))
        .routes(routes!(set_registration))
        .routes(routes!(invites, invite))
        .routes(routes!(revoke))
}

/// Who may register.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Registering {
    /// Everybody.
    Open,
    /// Whoever has an invitation.
    Invite,
    /// Nobody; an administrator makes accounts.
    Closed,
}

/// What anybody may know of the platform.
#[derive(Serialize, ToSchema)]
struct Site {
    /// Who may register.
    registration: Registering,
}

/// Who may register from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRegistration {
    registration: Registering,
}

/// What an invitation is good for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewInvite {
    /// How many may use it.
    #[schema(minimum = 1, maximum = 1000)]
    uses: u32,
    /// For how many seconds.
    #[schema(minimum = 60, maximum = 31536000)]
    seconds: u64,
}

/// An invitation, as it is handed over.
#[derive(Serialize, ToSchema)]
struct MadeInvite {
    /// To be told to whom it is for. It is told this once.
    invite: String,
}

/// An invitation that is still good.
#[derive(Serialize, ToSchema)]
struct Invite {
    /// By which it is taken back. No secret.
    id: String,
    /// When it was made, in ms since 1970; 0 where that was not written down.
    created_ms: u64,
    /// Who made it: a username, the id of an account that is gone, `operator` or `system`.
    created_by: Option<String>,
    /// Until when it is good, in ms since 1970.
    expires_ms: u64,
    /// How many it was for.
    uses: u64,
    /// How many more may use it.
    uses_left: u64,
}

impl From<accounts::Registration> for Registering {
    fn from(registration: accounts::Registration) -> Self {
        match registration {
            accounts::Registration::Open => Self::Open,
            accounts::Registration::Invite => Self::Invite,
            accounts::Registration::Closed => Self::Closed,
        }
    }
}

impl From<Registering> for accounts::Registration {
    fn from(registering: Registering) -> Self {
        match registering {
            Registering::Open => Self::Open,
            Registering::Invite => Self::Invite,
            Registering::Closed => Self::Closed,
        }
    }
}

/// What anybody may know of the platform: which form to show to who comes.
#[utoipa::path(get, path = "/api/site", tag = "auth",
    responses((status = 200, description = "The platform", body = Site)))]
async fn site(State(shared): State<Arc<Shared>>) -> Result<Json<Site>, Problem> {
    Ok(Json(Site { registration: shared.accounts.registration().await?.into() }))
}

/// Say who may register, from now on.
#[utoipa::path(put, path = "/api/admin/registration", tag = "admin", security(("bearer" = [])),
    request_body = NewRegistration, responses((status = 200, description = "As it is now", body = Site)))]
async fn set_registration(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    Body(new): Body<NewRegistration>,
) -> Result<Json<Site>, Problem> {
    shared.accounts.set_registration(&actor, new.registration.into()).await?;
    Ok(Json(Site { registration: new.registration }))
}

/// The invitations that are still good, the newest first.
#[utoipa::path(get, path = "/api/admin/invites", tag = "admin", security(("bearer" = [])), params(Paging),
    responses((status = 200, description = "Invitations", body = Page<Invite>)))]
async fn invites(
    State(shared): State<Arc<Shared>>,
    _: Admin,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Invite>>, Problem> {
    let page = shared.accounts.invites(paging.after(), paging.limit()).await?;
    Ok(Json(Page::of(page, |invite| Invite {
        id: invite.id,
        created_ms: invite.created_ms,
        created_by: invite.by.map(|by| invite.by_name.unwrap_or_else(|| actor(by))),
        expires_ms: invite.expires_ms,
        uses: invite.uses,
        uses_left: invite.uses_left,
    })))
}

/// Make an invitation.
#[utoipa::path(post, path = "/api/admin/invites", tag = "admin", security(("bearer" = [])), request_body = NewInvite,
    responses((status = 201, description = "The invitation", body = MadeInvite)))]
async fn invite(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    Body(NewInvite { uses, seconds }): Body<NewInvite>,
) -> Result<(StatusCode, Json<MadeInvite>), Problem> {
    if !(1..=1000).contains(&uses) || !(60..=31_536_000).contains(&seconds) {
        return Err(Problem::unprocessable("an invitation is for 1 to 1,000 people and good for a minute to a year"));
    }
    let invite = shared.accounts.invite(&actor, InviteTerms { uses, seconds }).await?;
    Ok((StatusCode::CREATED, Json(MadeInvite { invite: invite.into() })))
}

/// Take an invitation back.
#[utoipa::path(delete, path = "/api/admin/invites/{id}", tag = "admin", security(("bearer" = [])),
    params(("id" = String, Path, description = "The invitation's id")),
    responses((status = 204, description = "Gone")))]
async fn revoke(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    match shared.accounts.revoke_invite(&actor, &id?.0).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("invitation")),
    }
}
