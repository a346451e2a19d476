//! How a channel's stream does, for those who can mend it.
//!
//! owner, moderator, administrator ──GET──▶ any control node ──AdminCommand::Health──▶ the leader's memory

use std::sync::Arc;

use axum::{Json, extract::State};
use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    health,
    id::ChannelName,
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Shared, audience::Audience, caller::Caller, extract::Name, problem::Problem, streams};
use crate::accounts::{ChannelRole, Role};

pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(get))
}

/// How a channel does.
#[derive(Debug, Serialize, ToSchema)]
struct StreamHealth {
    /// The channel's name.
    id: String,
    /// `offline`, `starting`, `live`, `reconnecting` or `ended`.
    state: &'static str,
    /// The session that goes on, or went on last.
    session: Option<String>,
    /// What its origin told within the last 6 s; `null` where no session goes on, or nothing was heard of it lately.
    health: Option<Health>,
    /// How its viewers fare; `null` where no player has told lately.
    audience: Option<Audience>,
}

/// How a session does. Rates are means over 10 s; what is counted is counted since `since_ms`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// When the session began, or came to the origin where it is now, in ms since 1970.
    since_ms: u64,
    /// Bits a second of what the encoder makes, of all tracks.
    bitrate: u64,
    /// The video, where there is any.
    video: Option<Video>,
    /// The audio, where there is any.
    audio: Option<Audio>,
    /// What comes from the encoder.
    uplink: Uplink,
    /// How far the video is ahead of the audio, in ms; negative when behind.
    skew_ms: i64,
    /// Frames that could not be used.
    dropped_frames: u64,
    /// Frames with mended timestamps, and missing audio frames that were replaced by silence.
    repaired_frames: u64,
    /// Parts that viewers are told are missing.
    gap_parts: u64,
    /// Discontinuities, reconnects included.
    discontinuities: u64,
    /// What to mend, the gravest first.
    alerts: Vec<Alert>,
}

/// How the video does.
#[derive(Debug, Serialize, ToSchema)]
struct Video {
    /// RFC 6381, as in `avc1.64001F`.
    codec: String,
    /// As in `High`.
    profile: String,
    /// In pixels.
    width: u32,
    /// In pixels.
    height: u32,
    /// Bits a second.
    bitrate: u64,
    /// Frames a second.
    frame_rate: f64,
    /// From the last keyframe but one to the last, in ms; 0 before the second.
    keyframe_interval_ms: u64,
}

/// How the audio does.
#[derive(Debug, Serialize, ToSchema)]
struct Audio {
    /// RFC 6381, as in `mp4a.40.2`.
    codec: String,
    /// Samples a second.
    sample_rate: u32,
    /// How many.
    channels: u8,
    /// Bits a second.
    bitrate: u64,
}

/// What comes from the encoder, by the wall clock.
#[derive(Debug, Serialize, ToSchema)]
struct Uplink {
    /// Bits a second that came. Less than the session's `bitrate` where the network carries less than the encoder makes.
    bitrate: u64,
    /// How many bytes came.
    received_bytes: u64,
    /// How often nothing came for 1.5 s or longer though the encoder was connected.
    stalls: u64,
    /// How long that was in all, in ms.
    stalled_ms: u64,
    /// The longest, in ms.
    longest_stall_ms: u64,
    /// The smoothed round trip of the encoder's connection, in ms; `null` where it is not known.
    rtt_ms: Option<u64>,
    /// How much later frames come than the quickest did, by their own timestamps, in ms: what waits in the encoder and in its
    /// network.
    late_ms: u64,
}

/// Something to mend.
#[derive(Debug, Serialize, ToSchema)]
struct Alert {
    /// `no_key_frame`, `not_browser_playable`, `long_key_frame_interval`, `erratic`, `bitrate_too_high`, `track_missing`,
    /// `audio_video_skew`, `uplink_stalls` or `stalled`; others may come.
    kind: String,
    /// What is wrong and what to do about it, a sentence.
    advice: String,
}

/// How a channel's stream does, and what to do about it: for its owner, moderators and administrators.
#[utoipa::path(get, path = "/api/streams/{id}/health", tag = "streams", security(("bearer" = [])),
    params(("id" = String, Path, description = "The channel")),
    responses((status = 200, description = "How it does", body = StreamHealth)))]
async fn get(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Name(name): Name,
) -> Result<Json<StreamHealth>, Problem> {
    shared.may_attend(&caller, &name).await?;
    let view = shared.platform.view();
    let channel = view.channels.get(&name).ok_or_else(|| Problem::not_found("channel"))?;
    let health = match shared.platform.ask(AdminCommand::Health { channel: name.clone() }).await? {
        AdminReply::Health(health) => health.map(|health| Health::from(*health)),
        _ => return Err(Problem::unavailable("the control node that leads does not know that yet; try again")),
    };
    let audience = match shared.platform.ask(AdminCommand::Audience { channel: name.clone() }).await? {
        AdminReply::Audience(regions) => Audience::of(regions),
        _ => None,
    };
    Ok(Json(StreamHealth {
        id: name.to_string(),
        state: streams::state(channel.state),
        session: channel.session.map(|session| session.to_string()),
        health,
        audience,
    }))
}

impl Shared {
    /// Whether somebody looks after a channel: its owner, a moderator, an administrator.
    pub(super) async fn may_attend(&self, caller: &Caller, name: &ChannelName) -> Result<(), Problem> {
        if caller.operator {
            return Ok(());
        }
        let who = caller.identity.as_ref().ok_or_else(|| Problem::unauthorized("sign in first"))?;
        if who.username == *name || who.role == Role::Admin {
            return Ok(());
        }
        match self.accounts.channel_role(name, &who.user).await? {
            Some(ChannelRole::Moderator | ChannelRole::Owner) => Ok(()),
            _ => Err(Problem::forbidden("only the channel's owner, a moderator or an administrator may see that")),
        }
    }
}

impl From<health::Health> for Health {
    fn from(told: health::Health) -> Self {
        Self {
            since_ms: told.since_ms,
            bitrate: told.bitrate,
            video: told.video.map(Video::from),
            audio: told.audio.map(Audio::from),
            uplink: told.uplink.into(),
            skew_ms: told.skew_ms,
            dropped_frames: told.dropped_frames,
            repaired_frames: told.repaired_frames,
            gap_parts: told.gap_parts,
            discontinuities: told.discontinuities,
            alerts: told.alerts.into_iter().map(Alert::from).collect(),
        }
    }
}

impl From<health::Video> for Video {
    fn from(told: health::Video) -> Self {
        Self {
            codec: told.codec,
            profile: told.profile,
            width: told.width,
            height: told.height,
            bitrate: told.bitrate,
            frame_rate: f64::from(told.frame_rate_milli) / 1000.0,
            keyframe_interval_ms: told.keyframe_interval_ms,
        }
    }
}

impl From<health::Audio> for Audio {
    fn from(health::Audio { codec, sample_rate, channels, bitrate }: health::Audio) -> Self {
        Self { codec, sample_rate, channels, bitrate }
    }
}

impl From<health::Uplink> for Uplink {
    fn from(told: health::Uplink) -> Self {
        let health::Uplink { bitrate, received_bytes, stalls, stalled_ms, longest_stall_ms, rtt_ms, late_ms } = told;
        Self { bitrate, received_bytes, stalls, stalled_ms, longest_stall_ms, rtt_ms, late_ms }
    }
}

impl From<health::Advice> for Alert {
    fn from(health::Advice { kind, advice }: health::Advice) -> Self {
        Self { kind, advice }
    }
}
