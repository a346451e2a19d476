//! The stream keys of one's own channel.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Shared, auth::FIRST_KEY, caller::SignedIn, extract::Body, problem::Problem};
use crate::accounts::{KeyId, StreamKey};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(revoke))
        .routes(routes!(reset))
        .routes(routes!(reset_first))
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct Key {
    /// Stays the same when it is reset.
    id: String,
    /// What you call it.
    label: String,
    /// Its last four characters.
    last_four: String,
    /// When it was made or reset last, in ms since 1970.
    created_ms: u64,
}

impl From<StreamKey> for Key {
    fn from(key: StreamKey) -> Self {
        Self { id: key.id.to_string(), label: key.label, last_four: key.last_four, created_ms: key.created_ms }
    }
}

/// A key, with its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct NewKey {
    #[serde(flatten)]
    key: Key,
    /// What encoders are told. A secret; it is told this once.
    stream_key: String,
}

/// What a key is called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    /// 1 to 40 characters on one line; each key has another.
    #[schema(min_length = 1, max_length = 40)]
    label: String,
}

async fn told(shared: &Shared, (key, stream_key): (StreamKey, String)) -> Json<NewKey> {
    shared.carry().await;
    Json(NewKey { key: key.into(), stream_key })
}

/// Your stream keys.
#[utoipa::path(get, path = "/api/me/stream-keys", tag = "stream keys", security(("bearer" = [])),
    responses((status = 200, description = "Keys", body = Vec<Key>)))]
async fn list(State(shared): State<Arc<Shared>>, SignedIn { who, .. }: SignedIn) -> Result<Json<Vec<Key>>, Problem> {
    let keys = shared.accounts.stream_keys(&who.username).await?;
    Ok(Json(keys.into_iter().map(Key::from).collect()))
}

/// Make another stream key.
#[utoipa::path(post, path = "/api/me/stream-keys", tag = "stream keys", security(("bearer" = [])), request_body = Label,
    responses((status = 201, description = "The key", body = NewKey)))]
async fn add(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    Body(Label { label }): Body<Label>,
) -> Result<(StatusCode, Json<NewKey>), Problem> {
    let made = shared.accounts.add_stream_key(&who.username, &label).await?;
    Ok((StatusCode::CREATED, told(&shared, made).await))
}

/// Take a stream key away. Whoever publishes with it is stopped.
#[utoipa::path(delete, path = "/api/me/stream-keys/{id}", tag = "stream keys", security(("bearer" = [])),
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 204, description = "Gone")))]
async fn revoke(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    shared.accounts.revoke_stream_key(&who.username, &KeyId::from(id?.0)).await?;
    shared.carry().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a stream key another secret. Whoever publishes with the old one is stopped.
#[utoipa::path(post, path = "/api/me/stream-keys/{id}/reset", tag = "stream keys", security(("bearer" = [])),
    params(("id" = String, Path, description = "The key's id")),
    responses((status = 200, description = "The key", body = NewKey)))]
async fn reset(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<NewKey>, Problem> {
    let reset = shared.accounts.reset_stream_key(&who.username, &KeyId::from(id?.0)).await?;
    Ok(told(&shared, reset).await)
}

/// Reset the first stream key, for those who want one key and no list. Whoever publishes with it is stopped.
#[utoipa::path(post, path = "/api/me/stream-key", tag = "stream keys", security(("bearer" = [])),
    responses((status = 200, description = "The key", body = NewKey)))]
async fn reset_first(
    State(shared): State<Arc<Shared>>,
    SignedIn { who, .. }: SignedIn,
) -> Result<Json<NewKey>, Problem> {
    let reset = shared.accounts.put_stream_key(&who.username, FIRST_KEY).await?;
    Ok(told(&shared, reset).await)
}
