//! What somebody does with their own account.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::PathRejection},
};
use freshet_proto::annex::Revoked;
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    caller::SignedIn,
    extract::{Body, Params},
    page::{Page, Paging},
    problem::Problem,
};
use crate::accounts::{self, Actor, Identity, LoginId, Password, ProfileChange, User};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(me, change, delete))
        .routes(routes!(password))
        .routes(routes!(put_avatar, delete_avatar))
        .routes(routes!(following))
        .routes(routes!(sessions))
        .routes(routes!(end_session))
}

/// An account as its owner, or an administrator, sees it.
#[derive(Serialize, ToSchema)]
pub(super) struct Account {
    /// Stays the same whatever else changes.
    id: String,
    /// Also the channel's name.
    username: String,
    /// To sign in with.
    email: Option<String>,
    /// What it is called.
    display_name: String,
    /// What it says of itself.
    bio: String,
    /// The colour of its name in chat, as in `#1e90ff`, where it has chosen one.
    color: Option<String>,
    /// Where its picture is.
    avatar_url: Option<String>,
    /// `user` or `admin`.
    role: String,
    /// When it was made, in ms since 1970.
    created_ms: u64,
    /// Since when it may not sign in, in ms since 1970.
    disabled_ms: Option<u64>,
    /// Whether it can sign in with a password.
    has_password: bool,
}

impl From<User> for Account {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            avatar_url: avatar_url(user.username.as_str(), user.avatar.as_deref()),
            username: user.username.to_string(),
            email: user.email.map(String::from),
            display_name: user.display_name,
            bio: user.bio,
            color: user.color,
            role: user.role.to_string(),
            created_ms: user.created_ms,
            disabled_ms: user.disabled_ms,
            has_password: user.has_password,
        }
    }
}

/// Where a picture is. It changes with the picture, so that it may be kept for ever.
pub(super) fn avatar_url(username: &str, hash: Option<&str>) -> Option<String> {
    let short = |hash: &str| hash.get(..16).unwrap_or(hash).to_owned();
    hash.map(|hash| format!("/api/users/{username}/avatar?v={}", short(hash)))
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// 1 to 50 characters on one line.
    #[schema(min_length = 1, max_length = 50)]
    display_name: Option<String>,
    /// At most 500 characters.
    #[schema(max_length = 500)]
    bio: Option<String>,
    /// `null` takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = Email, max_length = 254)]
    email: Option<Option<String>>,
    /// The colour of your name in chat, `#` and six hexadecimal digits; `null` leaves it to those who read.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, pattern = "^#[0-9A-Fa-f]{6}$")]
    color: Option<Option<String>>,
}

/// Tells what is null from what is left out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The present one; left out only where there is none yet.
    #[schema(format = Password)]
    current_password: Option<String>,
    /// 8 to 1,024 characters.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    new_password: String,
}

/// What shows that it is meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletion {
    /// The present password.
    #[schema(format = Password)]
    password: String,
}

/// A session on some device.
#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    id: String,
    created_ms: u64,
    seen_ms: u64,
    expires_ms: u64,
    address: String,
    agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

impl Session {
    pub(super) fn of(session: accounts::Session, current: bool) -> Self {
        let accounts::Session { id, created_ms, seen_ms, expires_ms, address, agent } = session;
        Self { id: id.to_string(), created_ms, seen_ms, expires_ms, address, agent, current }
    }
}

impl Shared {
    /// Whoever is signed in, as their account now is.
    pub(super) async fn present(&self, who: &Identity) -> Result<User, Problem> {
        let user = self.accounts.user(&who.user).await?;
        user.ok_or_else(|| Problem::unauthorized("there is no such account any more"))
    }
}

/// Your account.
#[utoipa::path(get, path = "/api/me", tag = "me", security(("bearer" = [])),
    responses((status = 200, description = "Your account", body = Account)))]
async fn me(State(shared): State<Arc<Shared>>, SignedIn { who, .. }: SignedIn) -> Result<Json<Account>, Problem> {
    Ok(Json(shared.present(&who).await?.into()))
}

/// Change your profile.
#[utoipa::path(patch, path = "/api/me", tag = "me", security(("bearer" = [])), request_body = Change,
    responses((status = 200, description = "Your account", body = Account)))]
async fn change(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Body(Change { display_name, bio, email, color }): Body<Change>,
) -> Result<Json<Account>, Problem> {
    let change = ProfileChange { display_name, bio, email, color };
    Ok(Json(shared.accounts.update_profile(&who.user, change).await?.into()))
}

/// Change your password. All your other sessions end.
#[utoipa::path(put, path = "/api/me/password", tag = "me", security(("bearer" = [])), request_body = NewPassword,
    responses((status = 204, description = "Changed")))]
async fn password(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, client }: SignedIn,
    Body(NewPassword { current_password, new_password }): Body<NewPassword>,
) -> Result<StatusCode, Problem> {
    let new = Password::new(new_password)?;
    let ended = shared.accounts.change_password(&who, client.address, current_password.as_deref(), &new).await?;
    for session in ended {
        shared.revoke(Revoked::Login(session.to_string())).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Delete your account, your channel and everything personal. The name stays taken.
#[utoipa::path(delete, path = "/api/me", tag = "me", security(("bearer" = [])), request_body = Deletion,
    responses((status = 204, description = "Deleted")))]
async fn delete(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, client }: SignedIn,
    Body(Deletion { password }): Body<Deletion>,
) -> Result<StatusCode, Problem> {
    shared.accounts.confirm_password(&who.user, client.address, &password).await?;
    shared.accounts.delete_account(&Actor::User(who.user.clone()), &who.user).await?;
    shared.revoke(Revoked::User(who.user.to_string())).await;
    shared.carry().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Set your picture: a PNG, JPEG or WebP file of at most 4 MiB.
#[utoipa::path(put, path = "/api/me/avatar", tag = "me", security(("bearer" = [])),
    request_body(content = Vec<u8>, content_type = "image/png"),
    responses((status = 200, description = "Your account", body = Account)))]
async fn put_avatar(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    picture: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<Json<Account>, Problem> {
    shared.accounts.set_avatar(&who.user, picture?).await?;
    Ok(Json(shared.present(&who).await?.into()))
}

/// Take your picture away.
#[utoipa::path(delete, path = "/api/me/avatar", tag = "me", security(("bearer" = [])),
    responses((status = 204, description = "Gone")))]
async fn delete_avatar(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
) -> Result<StatusCode, Problem> {
    shared.accounts.remove_avatar(&who.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The channels that you follow, by name.
#[utoipa::path(get, path = "/api/me/following", tag = "me", security(("bearer" = [])), params(Paging),
    responses((status = 200, description = "Channels", body = Page<String>)))]
async fn following(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<String>>, Problem> {
    let page = shared.accounts.following(&who.user, paging.after(), paging.limit()).await?;
    Ok(Json(Page::of(page, |name| name.to_string())))
}

/// Where you are signed in.
#[utoipa::path(get, path = "/api/me/sessions", tag = "me", security(("bearer" = [])),
    responses((status = 200, description = "Sessions", body = Vec<Session>)))]
async fn sessions(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
) -> Result<Json<Vec<Session>>, Problem> {
    let sessions = shared.accounts.sessions(&who.user).await?;
    let shown = |session: accounts::Session| {
        let current = session.id == who.session;
        Session::of(session, current)
    };
    Ok(Json(sessions.into_iter().map(shown).collect()))
}

/// Sign out of one session, on whatever device. Its access tokens are refused at once too.
#[utoipa::path(delete, path = "/api/me/sessions/{id}", tag = "me", security(("bearer" = [])),
    params(("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "Signed out")))]
async fn end_session(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let session = LoginId::from(id?.0);
    if !shared.accounts.logout(&who.user, &session).await? {
        return Err(Problem::not_found("session"));
    }
    shared.revoke(Revoked::Login(session.to_string())).await;
    Ok(StatusCode::NO_CONTENT)
}
