//! How a channel's sessions did and what became of their encoders, for those who can mend it: what the leader remembers.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    history::{self, Happened},
    id::NodeId,
    view::View,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Shared, caller::Caller, extract::Name, health::Health, problem::Problem};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(get))
}

/// How a channel did.
#[derive(Debug, Serialize, ToSchema)]
struct StreamHistory {
    /// The channel's name.
    id: String,
    /// Since when anything is remembered, in ms since 1970: since a control node began to lead.
    since_ms: u64,
    /// How it did within the last 30 minutes, every 4 s, the oldest first.
    points: Vec<Point>,
    /// What became of its encoders, the oldest first; at most 64.
    events: Vec<Event>,
    /// The last private test; `null` where there was none.
    test: Option<Trial>,
}

/// How a session did at one time.
#[derive(Debug, Serialize, ToSchema)]
struct Point {
    /// When, in ms since 1970.
    at_ms: u64,
    /// The session.
    session: String,
    /// Bits a second of what the encoder makes.
    bitrate: u64,
    /// Bits a second that come.
    uplink_bitrate: u64,
    /// Frames a second.
    frame_rate: f64,
    /// From keyframe to keyframe, in ms.
    keyframe_interval_ms: u64,
    /// Frames that could not be used, since the session began.
    dropped_frames: u64,
    /// How often nothing came for 1.5 s or longer, since the session began.
    stalls: u64,
    /// How long that was in all, in ms.
    stalled_ms: u64,
    /// How far the video was ahead of the audio, in ms; negative when behind.
    skew_ms: i64,
    /// The round trip of the encoder's connection, in ms; `null` where it was not known.
    rtt_ms: Option<u64>,
    /// How much later frames came than the quickest, in ms.
    late_ms: u64,
}

/// What became of an encoder.
#[derive(Debug, Serialize, ToSchema)]
struct Event {
    /// When, in ms since 1970.
    at_ms: u64,
    /// The session.
    session: String,
    /// The name of the origin; `null` where it is there no more.
    server: Option<String>,
    /// `came`, `came_back`, `moved` (back, at another origin), `took_over`, `live`, `left`, `lost`, `server_lost`, `timed_out`,
    /// `ended`, `key_changed` or `changed` (to other tracks or codecs); others may come.
    what: &'static str,
}

/// A private test: an encoder that published with `?test` behind its key. Nobody could watch it.
#[derive(Debug, Serialize, ToSchema)]
struct Trial {
    /// Whether it goes on.
    running: bool,
    /// How it does, or did last, with all alerts that there were.
    health: Health,
    /// How it did, every 2 s, the oldest first.
    points: Vec<Point>,
}

/// How a channel's stream did, for graphs, with what became of its encoders: for its owner, moderators and administrators.
#[utoipa::path(get, path = "/api/streams/{id}/health/history", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel")),
    responses((status = 200, description = "How it did", body = StreamHistory)))]
async fn get(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
) -> Result<Json<StreamHistory>, Problem> {
    shared.may_attend(&caller, &name).await?;
    let view = shared.platform.view();
    if !view.channels.contains_key(&name) {
        return Err(Problem::not_found("channel"));
    }
    let AdminReply::History(told) = shared.platform.ask(AdminCommand::History { channel: name.clone() }).await? else {
        return Err(Problem::unavailable("the control node that leads does not know that yet; try again"));
    };
    let names = names(&view);
    Ok(Json(StreamHistory {
        id: name.to_string(),
        since_ms: told.since_ms,
        points: told.points.into_iter().map(Point::from).collect(),
        events: told.events.into_iter().map(|event| Event::of(event, &names)).collect(),
        test: told.test.map(|test| Trial {
            running: test.goes_on,
            health: test.health.into(),
            points: test.points.into_iter().map(Point::from).collect(),
        }),
    }))
}

fn names(view: &View) -> BTreeMap<NodeId, String> {
    view.nodes.iter().map(|(id, node)| (*id, node.server_name.clone())).collect()
}

impl From<history::Point> for Point {
    fn from(told: history::Point) -> Self {
        Self {
            at_ms: told.at_ms,
            session: told.session.to_string(),
            bitrate: told.bitrate,
            uplink_bitrate: told.uplink_bitrate,
            frame_rate: f64::from(told.frame_rate_milli) / 1000.0,
            keyframe_interval_ms: told.keyframe_interval_ms,
            dropped_frames: told.dropped_frames,
            stalls: told.stalls,
            stalled_ms: told.stalled_ms,
            skew_ms: told.skew_ms,
            rtt_ms: told.rtt_ms,
            late_ms: told.late_ms,
        }
    }
}

impl Event {
    fn of(told: history::Event, names: &BTreeMap<NodeId, String>) -> Self {
        let server = names.get(&told.origin).cloned();
        Self { at_ms: told.at_ms, session: told.session.to_string(), server, what: word(told.what) }
    }
}

fn word(what: Happened) -> &'static str {
    match what {
        Happened::Came => "came",
        Happened::CameBack => "came_back",
        Happened::Moved => "moved",
        Happened::TookOver => "took_over",
        Happened::Live => "live",
        Happened::Left => "left",
        Happened::Lost => "lost",
        Happened::ServerLost => "server_lost",
        Happened::TimedOut => "timed_out",
        Happened::KeyChanged => "key_changed",
        Happened::Changed => "changed",
        _ => "ended",
    }
}
