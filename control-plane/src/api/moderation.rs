//! What those who look after a channel's chat read: what was done there, who is silenced, which terms
//! are not wanted.

use std::sync::Arc;

use axum::{Json, extract::State};
use freshet_proto::id::ChannelName;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Shared,
    caller::Caller,
    extract::{Name, Params},
    page::{Page, Paging},
    problem::Problem,
};
use crate::accounts::{ChatBan, ChatLogLine, ChatTerm, action_word};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(log)).routes(routes!(bans)).routes(routes!(terms))
}

/// One thing that was done.
#[derive(Debug, Serialize, ToSchema)]
struct ModerationEntry {
    /// When, in ms since 1970.
    at_ms: u64,
    /// By whom; `null` where the account has been deleted.
    actor: Option<String>,
    /// What, as the slash command is called: `timeout`, `ban`, `delete`, `slow`, …
    action: &'static str,
    /// To whom.
    target: Option<String>,
    /// About which message: its id.
    message: Option<String>,
    /// Until when it lasts, in ms since 1970, where it ends by itself.
    until_ms: Option<u64>,
    /// Why; for terms and modes, what.
    reason: String,
}

/// Somebody who may not write.
#[derive(Debug, Serialize, ToSchema)]
struct Ban {
    /// Who.
    username: String,
    /// Until when, in ms since 1970; `null` for good.
    until_ms: Option<u64>,
    /// Since when, in ms since 1970.
    since_ms: u64,
    /// By whom; `null` where the account has been deleted.
    by: Option<String>,
    /// Why.
    reason: String,
}

/// A term that is not to be read.
#[derive(Debug, Serialize, ToSchema)]
struct Term {
    /// As it was written.
    term: String,
    /// `block`: messages with it are refused. `hold`: they wait for a moderator.
    action: &'static str,
}

/// What moderators did in the channel's chat, the latest first: for its owner, moderators and administrators. The latest
/// 10,000 entries are kept.
#[utoipa::path(get, path = "/api/streams/{id}/moderation-log", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), Paging),
    responses((status = 200, description = "What", body = Page<ModerationEntry>)))]
async fn log(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<ModerationEntry>>, Problem> {
    shared.may_moderate(&caller, &name).await?;
    let page = shared.accounts.chat_log(&name, paging.after(), paging.limit()).await?;
    Ok(Json(Page::of(page, |line: ChatLogLine| ModerationEntry {
        at_ms: line.at_ms,
        actor: line.actor,
        action: line.verb.word(),
        target: line.target,
        message: line.message.map(|id| id.to_string()),
        until_ms: line.until_ms,
        reason: line.reason,
    })))
}

/// Who may not write in the channel's chat, by name: for its owner, moderators and administrators.
#[utoipa::path(get, path = "/api/streams/{id}/bans", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), Paging),
    responses((status = 200, description = "Who", body = Page<Ban>)))]
async fn bans(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Ban>>, Problem> {
    shared.may_moderate(&caller, &name).await?;
    let page = shared.accounts.chat_bans(&name, paging.after(), paging.limit()).await?;
    Ok(Json(Page::of(page, |ban: ChatBan| Ban {
        username: ban.login,
        until_ms: ban.until_ms,
        since_ms: ban.at_ms,
        by: ban.by,
        reason: ban.reason,
    })))
}

/// The terms that the channel's chat does not want to read, the oldest first: for its owner, moderators and administrators. They
/// are changed in the chat, by `/block`, `/hold` and `/unblock`.
#[utoipa::path(get, path = "/api/streams/{id}/terms", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel"), Paging),
    responses((status = 200, description = "Which", body = Page<Term>)))]
async fn terms(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<Term>>, Problem> {
    shared.may_moderate(&caller, &name).await?;
    let page = shared.accounts.chat_terms(&name, paging.after(), paging.limit()).await?;
    Ok(Json(Page::of(page, |term: ChatTerm| Term { term: term.pattern, action: action_word(term.action) })))
}

impl Shared {
    /// Whether somebody looks after the chat of a channel that there is.
    async fn may_moderate(&self, caller: &Caller, name: &ChannelName) -> Result<(), Problem> {
        self.may_attend(caller, name).await?;
        if self.knows_channel(name).await? { Ok(()) } else { Err(Problem::not_found("channel")) }
    }
}
