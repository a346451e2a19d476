//! Who is a moderator or a VIP of a channel, and what one person is there.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use freshet_proto::id::ChannelName;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    caller::Caller,
    extract::{Body, Name, Params},
    me::avatar_url,
    page::{Page, Paging},
    problem::Problem,
};
use crate::accounts::{self, ChannelRole};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, put, remove))
}

/// What somebody may be in a channel.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Rank {
    /// Somebody to be treated well; may watch a private channel.
    Vip,
    /// Somebody who keeps order in the chat; may watch a private channel.
    Moderator,
}

/// Somebody who is something in a channel.
#[derive(Debug, Serialize, ToSchema)]
struct Member {
    username: String,
    display_name: String,
    /// `vip` or `moderator`.
    role: String,
    /// Since when, in ms since 1970.
    since_ms: u64,
}

/// Somebody as those see them who keep order in a channel.
#[derive(Debug, Serialize, ToSchema)]
struct Standing {
    username: String,
    display_name: String,
    /// Where their picture is.
    avatar_url: Option<String>,
    /// Since when their account is there, in ms since 1970.
    created_ms: u64,
    /// Since when they follow the channel, in ms since 1970; null where they don't.
    follows_since_ms: Option<u64>,
    /// `vip`, `moderator` or `owner`; null where they are neither.
    role: Option<String>,
}

/// What somebody is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Appointment {
    role: Rank,
}

/// The channel's moderators and VIPs.
#[utoipa::path(get, path = "/api/streams/{id}/members", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), Paging),
    responses((status = 200, description = "Who", body = Page<Member>)))]
async fn list(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Member>>, Problem> {
    shared.may_run(&caller, &name).await?;
    let page = shared.accounts.channel_members(&name, paging.after(), paging.limit()).await?;
    Ok(Json(Page::of(page, |member: accounts::Member| Member {
        username: member.username.to_string(),
        display_name: member.display_name,
        role: member.role.to_string(),
        since_ms: member.since_ms,
    })))
}

type Both = Result<Path<(String, String)>, PathRejection>;

/// The channel, and who.
fn names(path: Both) -> Result<(ChannelName, ChannelName), Problem> {
    let Path((channel, name)) = path?;
    let channel = channel.parse().map_err(|_| Problem::not_found("channel"))?;
    Ok((channel, name.parse().map_err(|_| Problem::not_found("user"))?))
}

async fn member(shared: &Shared, caller: &Caller, path: Both) -> Result<(ChannelName, accounts::UserId), Problem> {
    let (channel, name) = names(path)?;
    shared.may_run(caller, &channel).await?;
    let user = shared.accounts.user_by_name(&name).await?.ok_or_else(|| Problem::not_found("user"))?;
    Ok((channel, user.id))
}

/// What somebody is in a channel, and since when they follow it: for its owner, moderators and administrators, and for
/// themselves.
#[utoipa::path(get, path = "/api/streams/{id}/members/{name}", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), ("name" = String, Path, description = "Who")),
    responses((status = 200, description = "What they are", body = Standing)))]
async fn show(State(shared): State<Arc<Shared>>, caller: Caller, path: Both) -> Result<Json<Standing>, Problem> {
    let (channel, name) = names(path)?;
    if caller.identity.as_ref().is_none_or(|who| who.username != name) {
        shared.may_attend(&caller, &channel).await?;
    }
    if !shared.knows_channel(&channel).await? {
        return Err(Problem::not_found("channel"));
    }
    let user = shared.accounts.user_by_name(&name).await?.ok_or_else(|| Problem::not_found("user"))?;
    let standing = shared.accounts.standing(&channel, &name).await?;
    Ok(Json(Standing {
        avatar_url: avatar_url(name.as_str(), user.avatar.as_deref()),
        username: user.username.to_string(),
        display_name: user.display_name,
        created_ms: user.created_ms,
        follows_since_ms: standing.follows_since_ms,
        role: standing.role.map(|role| role.to_string()),
    }))
}

/// Make somebody a moderator or a VIP.
#[utoipa::path(put, path = "/api/streams/{id}/members/{name}", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), ("name" = String, Path, description = "Who")),
    request_body = Appointment, responses((status = 204, description = "They are")))]
async fn put(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    path: Both,
    Body(Appointment { role }): Body<Appointment>,
) -> Result<StatusCode, Problem> {
    let (channel, user) = member(&shared, &caller, path).await?;
    let role = match role {
        Rank::Vip => ChannelRole::Vip,
        Rank::Moderator => ChannelRole::Moderator,
    };
    shared.accounts.set_channel_role(&channel, &user, Some(role)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make somebody neither.
#[utoipa::path(delete, path = "/api/streams/{id}/members/{name}", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), ("name" = String, Path, description = "Who")),
    responses((status = 204, description = "They are neither")))]
async fn remove(State(shared): State<Arc<Shared>>, caller: Caller, path: Both) -> Result<StatusCode, Problem> {
    let (channel, user) = member(&shared, &caller, path).await?;
    shared.accounts.set_channel_role(&channel, &user, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
