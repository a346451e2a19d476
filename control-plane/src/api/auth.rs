//! Registering, signing in, staying signed in, signing out.

use std::sync::Arc;

use axum::{Json, extract::State};
use freshet_proto::{admin::AdminCommand, annex::Revoked};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    caller::{Caller, SignedIn},
    extract::Body,
    problem::Problem,
    tokens::ACCESS_S,
};
use crate::accounts::{self, NewAccount, RefreshError};

/// What the first stream key of a channel is called.
pub(super) const FIRST_KEY: &str = "default";

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
}

/// What makes an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    /// 1 to 32 of a-z, 0-9, _ and -, starting with a letter or digit. Also the channel's name. Never changes.
    #[schema(pattern = r"^\s*[A-Za-z0-9][A-Za-z0-9_-]{0,31}\s*$")]
    username: String,
    /// An e-mail address, to sign in with.
    #[schema(format = Email, max_length = 254)]
    email: Option<String>,
    /// 8 to 1,024 characters.
    #[schema(format = Password, min_length = 8, max_length = 1024)]
    password: String,
    /// An invitation, where the platform asks for one.
    invite: Option<String>,
}

/// A name and a password, or a link that an administrator gave.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    /// The username or the e-mail address.
    username: Option<String>,
    /// The same.
    email: Option<String>,
    /// The password.
    #[schema(format = Password)]
    password: Option<String>,
    /// What a one-time login link holds, instead of both.
    link: Option<String>,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    /// As it was given last. It works once.
    refresh_token: String,
}

/// What to sign out of.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Logout {
    /// Of everything, on every device; else of this session.
    everywhere: bool,
}

/// Tokens (RFC 6749 §5.1).
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    /// To be sent as `Authorization: Bearer`.
    access_token: String,
    /// For the next pair. It works once; presented twice, the session ends.
    refresh_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// For how many seconds the access token is good.
    expires_in: u64,
    /// Whose they are.
    username: String,
}

/// A new account.
#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    /// How to use it.
    #[serde(flatten)]
    tokens: Tokens,
    /// The channel's first stream key. A secret; it is told this once.
    stream_key: String,
}

impl Shared {
    /// Tokens for somebody who asked for them at `asked_ms`.
    async fn tokens(&self, signed_in: accounts::SignedIn, asked_ms: u64) -> Result<Tokens, Problem> {
        Ok(Tokens {
            access_token: self.access_token(&signed_in.identity, asked_ms).await?,
            username: signed_in.identity.username.to_string(),
            refresh_token: signed_in.refresh.into(),
            token_type: "Bearer",
            expires_in: ACCESS_S,
        })
    }

    /// Access tokens that were minted so far for that are refused, at every edge.
    pub(super) async fn revoke(&self, what: Revoked) {
        if let Err(why) = self.platform.ask(AdminCommand::Revoke(what)).await {
            tracing::warn!(%why, "access tokens of an ended session live on until they expire");
        }
    }
}

/// Make an account, its channel and its first stream key, and sign in.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = Registration,
    responses((status = 201, description = "Signed in", body = Registered)))]
async fn register(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Body(new): Body<Registration>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    shared.can_sign()?;
    // A channel that an operator made is nobody's to take.
    if let Ok(name) = accounts::username(&new.username)
        && shared.platform.view().channels.contains_key(&name)
        && shared.accounts.channel(&name).await?.is_none()
    {
        return Err(Problem::conflict("that username or e-mail address is taken; choose another one"));
    }
    let Registration { username, email, password, invite } = new;
    let account = NewAccount { username, email, password: password.clone(), invite };
    let user = shared.accounts.register(caller.client.address, account).await?;
    let (_, stream_key) = shared.accounts.put_stream_key(&user.username, FIRST_KEY).await?;
    shared.carry().await;
    let asked_ms = shared.platform.now_ms();
    let signed_in = shared.accounts.login(&caller.client, user.username.as_str(), &password).await?;
    Ok((StatusCode::CREATED, Json(Registered { tokens: shared.tokens(signed_in, asked_ms).await?, stream_key })))
}

/// Sign in.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = Login,
    responses((status = 200, description = "Signed in", body = Tokens)))]
async fn login(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Body(login): Body<Login>,
) -> Result<Json<Tokens>, Problem> {
    shared.can_sign()?;
    let asked_ms = shared.platform.now_ms();
    let signed_in = match (login.username, login.email, login.password, login.link) {
        (Some(name), None, Some(password), None) | (None, Some(name), Some(password), None) => {
            shared.accounts.login(&caller.client, &name, &password).await?
        }
        (None, None, None, Some(link)) => shared.accounts.login_by_link(&caller.client, &link).await?,
        _ => return Err(Problem::unprocessable("say either username (or email) and password, or link")),
    };
    Ok(Json(shared.tokens(signed_in, asked_ms).await?))
}

/// Trade a refresh token for the next pair.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", request_body = Refresh,
    responses((status = 200, description = "Still signed in", body = Tokens)))]
async fn refresh(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Body(refresh): Body<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    shared.can_sign()?;
    let asked_ms = shared.platform.now_ms();
    let refreshed = shared.accounts.refresh(&caller.client, &refresh.refresh_token).await;
    if let Err(RefreshError::Reused(session)) = &refreshed {
        // One of the two who had the token is a thief, and may have traded it for an access token.
        shared.revoke(Revoked::Login(session.to_string())).await;
    }
    Ok(Json(shared.tokens(refreshed?, asked_ms).await?))
}

/// Sign out, here or everywhere. Access tokens are refused at once too.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", request_body = Logout, security(("bearer" = [])),
    responses((status = 204, description = "Signed out")))]
async fn logout(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Body(logout): Body<Logout>,
) -> Result<StatusCode, Problem> {
    if logout.everywhere {
        shared.accounts.logout_everywhere(&who.user, None).await?;
        shared.revoke(Revoked::User(who.user.to_string())).await;
    } else {
        shared.accounts.logout(&who.user, &who.session).await?;
        shared.revoke(Revoked::Login(who.session.to_string())).await;
    }
    Ok(StatusCode::NO_CONTENT)
}
