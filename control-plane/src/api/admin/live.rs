//! All sessions that go on, whoever may watch them.

use std::{cmp::Reverse, sync::Arc};

use axum::{Json, extract::State};
use freshet_proto::{admin::AdminCommand, id::ChannelName, view::ChannelState};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::{
    Shared,
    caller::Admin,
    extract::{Name, Params},
    page::{Page, Paging},
    problem::Problem,
    streams::{Stream, place},
};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(live)).routes(routes!(purge))
}

/// A channel whose session goes on.
#[derive(Serialize, ToSchema)]
struct LiveStream {
    #[serde(flatten)]
    stream: Stream,
    /// The name of the node that takes it, or took it last.
    origin: Option<String>,
}

/// The sessions that go on, private ones too, the most watched first.
#[utoipa::path(get, path = "/api/admin/streams", tag = "admin", security(("bearer" = [])), params(Paging),
    responses((status = 200, description = "Channels", body = Page<LiveStream>)))]
async fn live(
    State(shared): State<Arc<Shared>>,
    _: Admin,
    Params(paging): Params<Paging>,
) -> Result<Json<Page<LiveStream>>, Problem> {
    let (view, counts) = (shared.platform.view(), shared.platform.viewers().await);
    let goes_on = |state| matches!(state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace);
    let watched = |name: &ChannelName| Reverse(counts.get(name).copied().unwrap_or_default());
    let going = view.channels.iter().filter(|(_, channel)| goes_on(channel.state)).map(|(name, _)| name);
    let mut going: Vec<_> = going.map(|name| (watched(name), name)).collect();
    going.sort();
    if let Some((viewers, after)) = paging.after().and_then(place) {
        going.retain(|(count, name)| (*count, name.as_str()) > (viewers, after.as_str()));
    }
    let more = going.len() > paging.limit();
    going.truncate(paging.limit());
    let next = going.last().filter(|_| more).map(|(viewers, name)| format!("{}.{name}", viewers.0));
    let names: Vec<ChannelName> = going.iter().map(|(_, name)| (*name).clone()).collect();
    let settings = shared.accounts.channels(&names).await?;
    let shown = |name: &ChannelName| {
        let of = settings.iter().find(|settings| settings.name == *name).cloned();
        let origin = view.channels.get(name).and_then(|channel| view.nodes.get(&channel.current()?.origin));
        LiveStream {
            stream: shared.shown(&view, &counts, name, of),
            origin: origin.map(|node| node.server_name.clone()),
        }
    };
    Ok(Json(Page::new(names.iter().map(shown).collect(), next)))
}

/// Drop what a channel has published so far, at every edge, and refuse it from now on.
#[utoipa::path(post, path = "/api/admin/streams/{id}/purge", tag = "admin", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel")),
    responses((status = 204, description = "Purged")))]
async fn purge(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    Name(name): Name,
) -> Result<StatusCode, Problem> {
    shared.platform.ask(AdminCommand::Purge { channel: name.clone() }).await?;
    shared.accounts.audit(&actor, "stream.purge", name.as_str(), &serde_json::json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}
