//! The nodes: where they are, how they do, draining and removing them.
//!
//! ```text
//! AdminCommand::Cluster ─▶ who there is   ┐
//! AdminCommand::Census  ─▶ leases, loads  ├─▶ Nodes
//! the view              ─▶ places, streams┘
//! ```
//! Without a leader nobody knows leases and loads, and the rest is told nevertheless.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
};
use freshet_proto::{
    admin::{AdminCommand, AdminReply, Census, Cluster, NodeStatus},
    id::NodeId,
    view::{ChannelState, View},
};
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::super::{Shared, caller::Admin, problem::Problem};
use crate::{accounts::Actor, leases};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(nodes)).routes(routes!(drain)).routes(routes!(undrain)).routes(routes!(remove))
}

/// The nodes of the platform.
#[derive(Serialize, ToSchema)]
struct Nodes {
    /// The name of the control node that leads; null where none does, as far as is known.
    leader: Option<String>,
    /// The term of the control nodes' consensus.
    term: u64,
    /// The last change of the registry that the control node that answers has applied.
    revision: u64,
    /// The last index of the leader's log; null without a leader.
    last_log: Option<u64>,
    /// How long a lease is, in ms.
    lease_ms: u64,
    /// Every node, by region and name.
    nodes: Vec<Node>,
}

/// One node.
#[derive(Serialize, ToSchema)]
struct Node {
    /// Its number.
    id: String,
    /// Its name.
    name: String,
    /// `control`, `origin` or `edge`.
    role: String,
    /// `joined`, `active`, `draining` or `lost`.
    state: String,
    /// Where its QUIC endpoint listens.
    quic: String,
    /// Where it is; null where it has not said so.
    region: Option<String>,
    /// The same on the globe.
    position: Option<Position>,
    /// Where viewers come.
    https: Option<String>,
    /// Where encoders come.
    rtmp: Option<String>,
    /// How many viewers, or publishers, it is meant for.
    capacity: Option<u32>,
    /// How long its lease lasts yet, in ms; null without a leader, and where it has none.
    lease_ms: Option<u64>,
    /// How busy it is; null where that was not heard lately, and of control nodes, which take no clients.
    load: Option<NodeLoad>,
    /// How many watch there.
    viewers: u64,
    /// How many sessions it takes.
    streams: u32,
    /// The newest version of the node protocol that it and the leader share.
    protocol: Option<u8>,
    /// Whether it votes.
    voter: bool,
    /// Up to where its log agrees with the leader's; of control nodes.
    log: Option<u64>,
}

/// In degrees.
#[derive(Serialize, ToSchema)]
struct Position {
    latitude: f64,
    longitude: f64,
}

/// How busy a node is.
#[derive(Serialize, ToSchema)]
struct NodeLoad {
    /// Clients that are connected to an edge, publishers at an origin.
    clients: u32,
    /// Of what it can do, in thousandths.
    permille: u16,
}

/// What became of a node that was removed.
#[derive(Serialize, ToSchema)]
struct Removed {
    /// The names of nodes that are too old to cut it off.
    unaware: Vec<String>,
}

/// The nodes of the platform.
#[utoipa::path(get, path = "/api/admin/nodes", tag = "admin", security(("bearer" = [])),
    responses((status = 200, description = "As the control nodes see them", body = Nodes)))]
async fn nodes(State(shared): State<Arc<Shared>>, _: Admin) -> Result<Json<Nodes>, Problem> {
    let AdminReply::Cluster(cluster) = shared.platform.ask(AdminCommand::Cluster).await? else {
        return Err(Problem::strange_answer());
    };
    let census = match shared.platform.ask(AdminCommand::Census).await {
        Ok(AdminReply::Census(census)) => Some(census),
        _ => None,
    };
    Ok(Json(told(&shared.platform.view(), cluster, census)))
}

/// Let a node take nothing new: encoders and viewers are sent elsewhere.
#[utoipa::path(post, path = "/api/admin/nodes/{name}/drain", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The node")),
    responses((status = 204, description = "It drains")))]
async fn drain(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    set_draining(&shared, &actor, name?.0, true).await
}

/// Let a node work again.
#[utoipa::path(post, path = "/api/admin/nodes/{name}/undrain", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The node")),
    responses((status = 204, description = "It works again")))]
async fn undrain(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    name: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    set_draining(&shared, &actor, name?.0, false).await
}

async fn set_draining(shared: &Shared, actor: &Actor, name: String, draining: bool) -> Result<StatusCode, Problem> {
    known(&shared.platform.view(), &name)?;
    shared.platform.ask(AdminCommand::Drain { name: name.clone(), draining }).await?;
    let action = if draining { "node.drain" } else { "node.undrain" };
    shared.accounts.audit(actor, action, &name, &json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a node and cut it off; a control node leaves the consensus. It can come back by joining anew alone.
#[utoipa::path(delete, path = "/api/admin/nodes/{name}", tag = "admin", security(("bearer" = [])),
    params(("name" = String, Path, description = "The node")),
    responses((status = 200, description = "It is removed", body = Removed)))]
async fn remove(
    State(shared): State<Arc<Shared>>,
    Admin(actor): Admin,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<Removed>, Problem> {
    let Path(name) = name?;
    known(&shared.platform.view(), &name)?;
    let unaware = match shared.platform.ask(AdminCommand::RemoveNode { name: name.clone() }).await? {
        AdminReply::CutOff { unaware } | AdminReply::Barred { unaware } => unaware,
        _ => Vec::new(),
    };
    shared.accounts.audit(&actor, "node.remove", &name, &json!({})).await?;
    Ok(Json(Removed { unaware }))
}

/// A name that no node has would be barred by removing it: that is for the command line.
fn known(view: &View, name: &str) -> Result<(), Problem> {
    let there = view.nodes.values().any(|node| node.server_name == name);
    if there { Ok(()) } else { Err(Problem::not_found("node")) }
}

fn told(view: &View, cluster: Cluster, census: Option<Census>) -> Nodes {
    let named = |id: NodeId| view.nodes.get(&id).map(|node| node.server_name.clone());
    let leader = census.as_ref().map(|census| census.leader).or(cluster.leader);
    let streams = streams(view);
    let node = |status| node(view, census.as_ref(), &streams, status);
    let mut nodes: Vec<Node> = cluster.nodes.into_iter().map(node).collect();
    nodes.sort_by(|one, other| (&one.region, &one.name).cmp(&(&other.region, &other.name)));
    Nodes {
        leader: leader.and_then(named),
        term: cluster.term,
        revision: cluster.revision,
        last_log: census.as_ref().map(|census| census.last_log),
        lease_ms: u64::try_from(leases::TTL.as_millis()).unwrap_or(u64::MAX),
        nodes,
    }
}

/// How many sessions go on at each origin.
fn streams(view: &View) -> BTreeMap<NodeId, u32> {
    let mut streams = BTreeMap::new();
    let goes_on = |state| matches!(state, ChannelState::Starting | ChannelState::Live | ChannelState::Grace);
    for channel in view.channels.values().filter(|channel| goes_on(channel.state)) {
        if let Some(current) = channel.current() {
            *streams.entry(current.origin).or_default() += 1;
        }
    }
    streams
}

fn node(view: &View, census: Option<&Census>, streams: &BTreeMap<NodeId, u32>, status: NodeStatus) -> Node {
    let NodeStatus { id, view: node, voter, .. } = status;
    let place = view.annex.places.nodes.get(&id).cloned().unwrap_or_default();
    let pulse = census.and_then(|census| census.nodes.get(&id).copied()).unwrap_or_default();
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    let degrees = |of: i32| f64::from(of) / 10_000.0;
    Node {
        id: id.to_string(),
        name: node.server_name,
        role: node.role.to_string(),
        state: node.state.to_string(),
        quic: node.quic.to_string(),
        region: told(place.region),
        position: place
            .position
            .map(|(latitude, longitude)| Position { latitude: degrees(latitude), longitude: degrees(longitude) }),
        https: told(place.https),
        rtmp: told(place.rtmp).or(told(place.rtmps)),
        capacity: Some(place.capacity).filter(|capacity| *capacity > 0),
        lease_ms: pulse.lease_ms,
        load: pulse.load.map(|load| NodeLoad { clients: load.clients, permille: load.permille }),
        viewers: pulse.viewers,
        streams: streams.get(&id).copied().unwrap_or_default(),
        protocol: pulse.level.map(|level| level.0),
        voter,
        log: pulse.log,
    }
}
