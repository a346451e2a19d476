//! What everybody may know of people, and whom somebody follows.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    caller::{Caller, SignedIn},
    extract::Name,
    me::avatar_url,
    problem::Problem,
};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(user)).routes(routes!(avatar)).routes(routes!(follow, unfollow))
}

/// Somebody, as everybody may know them.
#[derive(Serialize, ToSchema)]
pub(super) struct Profile {
    /// Also the channel's name.
    username: String,
    /// What they are called.
    display_name: String,
    /// What they say of themselves.
    bio: String,
    /// Where their picture is.
    avatar_url: Option<String>,
    /// Since when they are here, in ms since 1970.
    created_ms: u64,
    /// How many follow their channel.
    followers: u64,
    /// Whether you do; null where you are not signed in.
    following: Option<bool>,
}

/// Somebody's profile.
#[utoipa::path(get, path = "/api/users/{name}", tag = "users", params(("name" = String, Path, description = "The username")),
    responses((status = 200, description = "The profile", body = Profile)))]
async fn user(State(shared): State<Arc<Shared>>, caller: Caller, Name(name): Name) -> Result<Json<Profile>, Problem> {
    let user = shared.accounts.user_by_name(&name).await?.ok_or_else(|| Problem::not_found("user"))?;
    let following = match &caller.identity {
        Some(who) => Some(shared.accounts.is_following(&who.user, &name).await?),
        None => None,
    };
    Ok(Json(Profile {
        avatar_url: avatar_url(name.as_str(), user.avatar.as_deref()),
        username: user.username.to_string(),
        display_name: user.display_name,
        bio: user.bio,
        created_ms: user.created_ms,
        followers: shared.accounts.follower_count(&name).await?,
        following,
    }))
}

/// Somebody's picture.
#[utoipa::path(get, path = "/api/users/{name}/avatar", tag = "users",
    params(("name" = String, Path, description = "The username")),
    responses((status = 200, description = "The picture", body = Vec<u8>, content_type = "image/png"),
              (status = 304, description = "You have it")))]
async fn avatar(State(shared): State<Arc<Shared>>, headers: HeaderMap, Name(name): Name) -> Result<Response, Problem> {
    let none = || Problem::not_found("picture");
    let user = shared.accounts.user_by_name(&name).await?.ok_or_else(none)?;
    let hash = user.avatar.ok_or_else(none)?;
    let etag = HeaderValue::try_from(format!("\"{hash}\"")).map_err(|_| none())?;
    let fields =
        [(header::ETAG, etag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))];
    if headers.get(header::IF_NONE_MATCH) == Some(&etag) {
        return Ok((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    let picture = shared.accounts.avatar(&hash).await?.ok_or_else(none)?;
    Ok((fields, [(header::CONTENT_TYPE, "image/png")], picture).into_response())
}

/// Follow a channel.
#[utoipa::path(put, path = "/api/users/{name}/follow", tag = "users", security(("bearer" = [])),
    params(("name" = String, Path, description = "The channel")),
    responses((status = 204, description = "You follow it")))]
async fn follow(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Name(name): Name,
) -> Result<StatusCode, Problem> {
    shared.accounts.follow(&who.user, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Follow a channel no more.
#[utoipa::path(delete, path = "/api/users/{name}/follow", tag = "users", security(("bearer" = [])),
    params(("name" = String, Path, description = "The channel")),
    responses((status = 204, description = "You don't follow it")))]
async fn unfollow(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Name(name): Name,
) -> Result<StatusCode, Problem> {
    shared.accounts.unfollow(&who.user, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
