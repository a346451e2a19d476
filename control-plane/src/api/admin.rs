//! What administrators and the command line do: here with people, below with the platform.

mod audit;
mod invites;
mod keys;
mod live;
mod nodes;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use freshet_proto::annex::Revoked;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    caller::Admin,
    extract::{Body, Name, Params},
    me::{Account, Session},
    page::{Page, limit},
    problem::Problem,
};
use crate::accounts::{LoginId, PAGE, Password, Role, User, UserFilter};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(users, add))
        .routes(routes!(change))
        .routes(routes!(link))
        .routes(routes!(sessions, end_sessions))
        .routes(routes!(end_session))
        .merge(invites::router())
        .merge(live::router())
        .merge(nodes::router())
        .merge(keys::router())
        .merge(audit::router())
}

/// What somebody may do to the platform.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Rank {
    /// Use it.
    User,
    /// Run it.
    Admin,
}

impl From<Rank> for Role {
    fn from(rank: Rank) -> Self {
        match rank {
            Rank::User => Self::User,
            Rank::Admin => Self::Admin,
        }
    }
}

/// Which accounts.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Which {
    /// The `next` of the piece before.
    cursor: Option<String>,
    /// How many at most, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    #[serde(deserialize_with = "limit")]
    limit: Option<u32>,
    /// Those whose name, display name or address has this in it.
    search: Option<String>,
    /// Those of this role.
    #[param(inline)]
    role: Option<Rank>,
}

/// An account to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// 1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit. Also the channel's name. Never changes.
    #[schema(pattern = r"^\s*[A-Za-z0-9][A-Za-z0-9_-]{0,31}\s*$")]
    username: String,
    /// An e-mail address, to sign in with.
    #[schema(format = Email, max_length = 254)]
    email: Option<String>,
    /// 8 to 1,024 characters. Without one, a login link is made.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    password: Option<String>,
    role: Option<Rank>,
}

/// An account that was made.
#[derive(Serialize, ToSchema)]
struct MadeUser {
    #[serde(flatten)]
    account: Account,
    /// The one-time link's secret, where there is no password. It is told this once.
    link: Option<String>,
}

/// What to change of an account; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct UserChange {
    role: Option<Rank>,
    /// Whether it is shut out.
    disabled: Option<bool>,
    /// 8 to 1,024 characters. Ends all its sessions.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    password: Option<String>,
}

/// A one-time link.
#[derive(Serialize, ToSchema)]
struct Link {
    /// Its secret, for `POST /api/auth/login`. It is told this once.
    link: String,
}

impl Shared {
    async fn named(&self, name: &freshet_proto::id::ChannelName) -> Result<User, Problem> {
        self.accounts.user_by_name(name).await?.ok_or_else(|| Problem::not_found("user"))
    }
}

/// Accounts, by name.
#[utoipa::path(get, path = "/api/admin/users", tag = "admin", security(("bearer" = [])), params(Which),
    responses((status = 200, description = "Accounts", body = Page<Account>)))]
async fn users(
    State(shared): State<Arc<Shared>>,
    _: Admin,
    Params(which): Params<Which>,
) -> Result<Json<Page<Account>>, Problem> {
    let filter = UserFilter { search: which.search, role: which.role.map(Role::from) };
    let limit = which.limit.map_or(PAGE, |limit| limit as usize);
    let page = shared.accounts.users(&filter, which.cursor.as_deref(), limit).await?;
    Ok(Json(Page::of(page, Account::from)))
}

/// Make an account, whoever may register.
#[utoipa::path(post, path = "/api/admin/users", tag = "admin", security(("bearer" = [])), request_body = NewUser,
    responses((status = 201, description = "The account", body = MadeUser)))]
async fn add(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<MadeUser>), Problem> {
    let password = new.password.map(Password::new).transpose()?;
    let role = new.role.map_or(Role::User, Role::from);
    let made = shared.accounts.add_user(&actor, &new.username, new.email.as_deref(), password.as_ref(), role).await?;
    let link = match password {
        Some(_) => None,
        None => Some(shared.accounts.login_link(&actor, &made.id).await?.into()),
    };
    shared.carry().await;
    Ok((StatusCode::CREATED, Json(MadeUser { account: made.into(), link })))
}

/// Change an account's role or password, shut it out or let it in.
#[utoipa::path(patch, path = "/api/admin/users/{name}", tag = "admin", security(("bearer" = [])), request_body = UserChange,
    params(("name" = String, Path, description = "The username")),
    responses((status = 200, description = "The account", body = Account)))]
async fn change(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    Name(name): Name,
    Body(change): Body<UserChange>,
) -> Result<Json<Account>, Problem> {
    let password = change.password.map(Password::new).transpose()?;
    let user = shared.named(&name).await?;
    if let Some(role) = change.role {
        shared.accounts.set_role(&actor, &user.id, role.into()).await?;
    }
    if let Some(disabled) = change.disabled {
        shared.accounts.set_disabled(&actor, &user.id, disabled).await?;
    }
    if let Some(password) = &password {
        shared.accounts.set_password(&actor, &user.id, password).await?;
    }
    if change.role.is_some() || change.disabled == Some(true) || password.is_some() {
        shared.revoke(Revoked::User(user.id.to_string())).await;
    }
    shared.carry().await;
    Ok(Json(shared.named(&name).await?.into()))
}

/// Make a one-time login link for an account.
#[utoipa::path(post, path = "/api/admin/users/{name}/login-link", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The username")),
    responses((status = 200, description = "The link", body = Link)))]
async fn link(State(shared): State<Arc<Shared>>, Admin(actor): Admin, Name(name): Name) -> Result<Json<Link>, Problem> {
    let user = shared.named(&name).await?;
    Ok(Json(Link { link: shared.accounts.login_link(&actor, &user.id).await?.into() }))
}

/// Where somebody is signed in.
#[utoipa::path(get, path = "/api/admin/users/{name}/sessions", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The username")),
    responses((status = 200, description = "Sessions, the one seen latest first", body = Vec<Session>)))]
async fn sessions(
    State(shared): State<Arc<Shared>>,
    _: Admin,
    Name(name): Name,
) -> Result<Json<Vec<Session>>, Problem> {
    let user = shared.named(&name).await?;
    let sessions = shared.accounts.sessions(&user.id).await?;
    Ok(Json(sessions.into_iter().map(|session| Session::of(session, false)).collect()))
}

/// Sign somebody out everywhere. Access tokens are refused at once too.
#[utoipa::path(delete, path = "/api/admin/users/{name}/sessions", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The username")),
    responses((status = 204, description = "Signed out")))]
async fn end_sessions(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    Name(name): Name,
) -> Result<StatusCode, Problem> {
    let user = shared.named(&name).await?;
    shared.accounts.end_all_sessions(&actor, &user.id).await?;
    shared.revoke(Revoked::User(user.id.to_string())).await;
    Ok(StatusCode::NO_CONTENT)
}

/// End one session of somebody. Its access tokens are refused at once too.
#[utoipa::path(delete, path = "/api/admin/users/{name}/sessions/{id}", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The username"), ("id" = String, Path, description = "The session's id")),
    responses((status = 204, description = "Signed out")))]
async fn end_session(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path((name, id)) = path?;
    let name = name.trim().to_ascii_lowercase().parse().map_err(|_| Problem::not_found("name"))?;
    let (user, session) = (shared.named(&name).await?, LoginId::from(id));
    if !shared.accounts.end_session(&actor, &user.id, &session).await? {
        return Err(Problem::not_found("session"));
    }
    shared.revoke(Revoked::Login(session.to_string())).await;
    Ok(StatusCode::NO_CONTENT)
}
