//! Channels as broadcasts: what is on, who is live, how a session begins and ends, who may watch.

mod settings;
mod shown;

use std::{cmp::Reverse, sync::Arc};

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use freshet_proto::{
    admin::AdminCommand,
    id::{ChannelName, TrackName},
    view::{ChannelState, View},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::settings::Settings;
pub(super) use self::shown::{Stream, state};
use super::{
    Shared,
    caller::{Caller, SignedIn},
    extract::{Body, Name, Params},
    page::{Page, limit},
    platform::Counts,
    problem::Problem,
    tokens::PLAYBACK_S,
    words::Watchers,
};
use crate::accounts::{Actor, ChannelRole, PAGE, Role};

/// How many pages of settings one request for the list of live channels reads at most; the rest comes with its cursor.
const SCANNED: usize = 20;

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(announce))
        .routes(routes!(live))
        .routes(routes!(stream, change))
        .routes(routes!(start))
        .routes(routes!(end))
        .routes(routes!(viewers))
        .routes(routes!(playback_token))
        .routes(routes!(master))
        .routes(routes!(rendition))
}

/// Which live channels.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// The `next` of the piece before.
    cursor: Option<String>,
    /// How many at most, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    #[serde(deserialize_with = "limit")]
    limit: Option<u32>,
    /// Those whose name, title or a tag has this in it.
    search: Option<String>,
    /// Those of this category.
    category: Option<String>,
    /// Those that have this tag.
    tag: Option<String>,
}

/// How many watch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Viewers {
    viewers: u64,
}

/// A playback token.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Playback {
    /// To be traded for a session: it opens `url` once or more while it is good.
    token: String,
    /// For how many seconds it opens.
    expires_in: u64,
    /// Where to watch with it.
    url: String,
}

/// Set what your channel is like, and find out where it is watched.
#[utoipa::path(post, path = "/api/streams", tag = "streams", security(("bearer" = [])), request_body = Settings,
    responses((status = 201, description = "Your channel", body = Stream)))]
async fn announce(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Body(settings): Body<Settings>,
) -> Result<Response, Problem> {
    let actor = Actor::User(who.user.clone());
    let stream = shared.change_stream(&actor, &who.username, settings).await?;
    let place = HeaderValue::try_from(format!("/api/streams/{}", stream.id)).ok();
    let mut response = (StatusCode::CREATED, Json(stream)).into_response();
    place.map(|place| response.headers_mut().insert(header::LOCATION, place));
    Ok(response)
}

/// The public channels that are live, the most watched first.
#[utoipa::path(get, path = "/api/streams/live", tag = "streams", params(Search),
    responses((status = 200, description = "Live channels", body = Page<Stream>)))]
async fn live(State(shared): State<Arc<Shared>>, Params(asked): Params<Search>) -> Result<Json<Page<Stream>>, Problem> {
    let paging = asked.limit.map_or(PAGE, |limit| limit as usize);
    let view = shared.platform.view();
    let after = asked.cursor.as_deref().and_then(place).unwrap_or((Reverse(u64::MAX), String::new()));
    let counts = shared.platform.viewers().await;
    let mut live: Vec<_> = live_channels(&view).map(|name| (Reverse(of(&counts, name)), name)).collect();
    live.sort();
    live.retain(|(viewers, name)| (*viewers, name.as_str()) > (after.0, after.1.as_str()));
    let (mut items, mut next) = (Vec::new(), None);
    'pages: for piece in live.chunks(PAGE).take(SCANNED) {
        let names: Vec<ChannelName> = piece.iter().map(|(_, name)| (*name).clone()).collect();
        let settings = shared.accounts.channels(&names).await?;
        for (viewers, name) in piece {
            if items.len() == paging {
                break 'pages;
            }
            next = Some(format!("{}.{name}", viewers.0));
            let settings = settings.iter().find(|settings| settings.name == **name).cloned();
            let stream = shared.shown(&view, &counts, name, settings);
            items.extend(asked.wants(&stream).then_some(stream));
        }
    }
    let last = live.last().map(|(viewers, name)| format!("{}.{name}", viewers.0));
    Ok(Json(Page::new(items, next.filter(|next| Some(next) != last.as_ref()))))
}

/// A channel.
#[utoipa::path(get, path = "/api/streams/{id}", tag = "streams", params(("id" = String, Path, description = "The channel")),
    responses((status = 200, description = "The channel", body = Stream)))]
async fn stream(State(shared): State<Arc<Shared>>, caller: Caller, Name(name): Name) -> Result<Json<Stream>, Problem> {
    let view = shared.platform.view();
    let settings = shared.accounts.channel(&name).await?;
    let there = settings.is_some() || view.channels.contains_key(&name);
    let stream = shared.shown(&view, &shared.platform.viewers().await, &name, settings);
    let hidden = matches!(stream.visibility, Watchers::Private) && !shared.may_watch(&caller, &name).await?;
    if there && !hidden { Ok(Json(stream)) } else { Err(Problem::not_found("channel")) }
}

/// Change what a channel is like.
#[utoipa::path(patch, path = "/api/streams/{id}", tag = "streams", security(("bearer" = [])), request_body = Settings,
    params(("id" = String, Path, description = "The channel")),
    responses((status = 200, description = "The channel", body = Stream)))]
async fn change(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
    Body(settings): Body<Settings>,
) -> Result<Json<Stream>, Problem> {
    let actor = shared.may_run(&caller, &name).await?;
    Ok(Json(shared.change_stream(&actor, &name, settings).await?))
}

/// Let the next publish begin a session, where the channel goes live by hand.
#[utoipa::path(post, path = "/api/streams/{id}/start", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel")),
    responses((status = 204, description = "Publishing begins a session")))]
async fn start(State(shared): State<Arc<Shared>>, caller: Caller, Name(name): Name) -> Result<StatusCode, Problem> {
    shared.may_run(&caller, &name).await?;
    shared.carry().await;
    shared.platform.ask(AdminCommand::Start { channel: name }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// End the session. The encoder is told why; viewers see the end.
#[utoipa::path(post, path = "/api/streams/{id}/end", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel")),
    responses((status = 204, description = "Nothing goes on any more")))]
async fn end(State(shared): State<Arc<Shared>>, caller: Caller, Name(name): Name) -> Result<StatusCode, Problem> {
    let actor = shared.may_run(&caller, &name).await?;
    shared.platform.ask(AdminCommand::End { channel: name.clone() }).await?;
    shared.accounts.audit(&actor, "stream.end", name.as_str(), &serde_json::json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Nobody watches a channel that is left out.
fn of(counts: &Counts, name: &ChannelName) -> u64 {
    counts.get(name).copied().unwrap_or(0)
}

/// How many watch a channel.
#[utoipa::path(get, path = "/api/streams/{id}/viewers", tag = "streams",
    params(("id" = String, Path, description = "The channel")),
    responses((status = 200, description = "How many", body = Viewers)))]
async fn viewers(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
) -> Result<Json<Viewers>, Problem> {
    let view = shared.platform.view();
    let private = view.annex.marks.of(&name).visibility == freshet_proto::annex::Visibility::Private;
    if !view.channels.contains_key(&name) || (private && !shared.may_watch(&caller, &name).await?) {
        return Err(Problem::not_found("channel"));
    }
    Ok(Json(Viewers { viewers: of(&shared.platform.viewers().await, &name) }))
}

/// A token with which a private channel is watched: for its owner, moderators, VIPs and administrators.
#[utoipa::path(post, path = "/api/streams/{id}/playback-token", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel")),
    responses((status = 200, description = "The token", body = Playback)))]
async fn playback_token(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
) -> Result<Json<Playback>, Problem> {
    let view = shared.platform.view();
    let signed_in = caller.identity.as_ref().ok_or_else(|| Problem::unauthorized("sign in first"))?;
    if !view.channels.contains_key(&name) {
        return Err(Problem::not_found("channel"));
    }
    let private = view.annex.marks.of(&name).visibility == freshet_proto::annex::Visibility::Private;
    if private && !shared.may_watch(&caller, &name).await? {
        return Err(Problem::forbidden("this channel is private; its owner can make you a VIP"));
    }
    let token = shared.playback_token(signed_in.user.to_string(), name.clone())?;
    let url = format!("/live/{name}/index.m3u8?token={token}");
    Ok(Json(Playback { token, expires_in: PLAYBACK_S, url }))
}

/// Where a channel's multivariant playlist is.
#[utoipa::path(get, path = "/api/streams/{id}/master.m3u8", tag = "streams",
    params(("id" = String, Path, description = "The channel")),
    responses((status = 307, description = "The playlist is there")))]
async fn master(Name(name): Name) -> Response {
    redirect(&format!("/live/{name}/index.m3u8"))
}

/// Where one track's playlist is.
#[utoipa::path(get, path = "/api/streams/{id}/{quality}/playlist.m3u8", tag = "streams",
    params(("id" = String, Path, description = "The channel"), ("quality" = String, Path, description = "The track: v0, a0, …")),
    responses((status = 307, description = "The playlist is there")))]
async fn rendition(path: Result<Path<(String, String)>, PathRejection>) -> Result<Response, Problem> {
    let Path((name, quality)) = path?;
    let name: ChannelName = name.parse().map_err(|_| Problem::not_found("channel"))?;
    let track: TrackName = quality.parse().map_err(|_| Problem::not_found("track"))?;
    Ok(redirect(&format!("/live/{name}/{track}.m3u8")))
}

fn redirect(to: &str) -> Response {
    match HeaderValue::try_from(to) {
        Ok(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Err(_) => Problem::not_found("channel").into_response(),
    }
}

impl Shared {
    /// Whether somebody may do with a channel what its owner may; as whom.
    pub(super) async fn may_run(&self, caller: &Caller, name: &ChannelName) -> Result<Actor, Problem> {
        if caller.operator {
            return Ok(Actor::Operator);
        }
        let who = caller.identity.as_ref().ok_or_else(|| Problem::unauthorized("sign in first"))?;
        if who.username == *name || who.role == Role::Admin {
            return Ok(Actor::User(who.user.clone()));
        }
        Err(Problem::forbidden("only the channel's owner or an administrator may do that"))
    }

    async fn may_watch(&self, caller: &Caller, name: &ChannelName) -> Result<bool, Problem> {
        let Some(who) = &caller.identity else { return Ok(caller.operator) };
        if who.username == *name || who.role == Role::Admin {
            return Ok(true);
        }
        let role = self.accounts.channel_role(name, &who.user).await?;
        Ok(matches!(role, Some(ChannelRole::Vip | ChannelRole::Moderator | ChannelRole::Owner)))
    }
}

impl Search {
    fn wants(&self, stream: &Stream) -> bool {
        let has = |text: &str| {
            let low = text.to_lowercase();
            self.search.as_deref().is_none_or(|search| low.contains(&search.to_lowercase()))
        };
        let found = has(&stream.id)
            || has(&stream.title)
            || has(&stream.display_name)
            || stream.tags.iter().any(|tag| has(tag));
        let is = |asked: &Option<String>, text: &str| {
            asked.as_deref().is_none_or(|asked| asked.to_lowercase() == text.to_lowercase())
        };
        let tagged = self.tag.is_none() || stream.tags.iter().any(|tag| is(&self.tag, tag));
        found && tagged && is(&self.category, &stream.category)
    }
}

/// Those that everybody may find.
fn live_channels(view: &View) -> impl Iterator<Item = &ChannelName> {
    let public = |name: &ChannelName| view.annex.marks.of(name).visibility == freshet_proto::annex::Visibility::Public;
    let live =
        view.channels.iter().filter(|(_, channel)| matches!(channel.state, ChannelState::Live | ChannelState::Grace));
    live.map(|(name, _)| name).filter(move |name| public(name))
}

/// A place in the list of live channels.
pub(super) fn place(cursor: &str) -> Option<(Reverse<u64>, String)> {
    let (viewers, name) = cursor.split_once('.')?;
    Some((Reverse(viewers.parse().ok()?), name.to_owned()))
}
