//! A channel as the API shows it.

use freshet_proto::{
    id::ChannelName,
    view::{ChannelState, View},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::of;
use crate::{
    accounts::ChannelSettings,
    api::{
        Shared,
        me::avatar_url,
        platform::Counts,
        words::{Going, Takeover, Watchers},
    },
    machine::Timing,
};

/// A channel as a broadcast.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct Stream {
    /// The channel's name, its owner's username.
    pub(super) id: String,
    /// What its owner is called.
    pub(super) display_name: String,
    /// Where its owner's picture is.
    avatar_url: Option<String>,
    /// What is on.
    pub(super) title: String,
    /// What kind of thing.
    pub(super) category: String,
    /// What else it is found by.
    pub(super) tags: Vec<String>,
    /// Who may watch.
    pub(super) visibility: Watchers,
    /// How a session begins.
    go_live: Going,
    /// What becomes of a second encoder.
    takeover: Takeover,
    /// `offline`, `starting`, `live`, `reconnecting` or `ended`.
    state: &'static str,
    /// The session that goes on, or went on last.
    session: Option<String>,
    /// When the session that goes on went live, in ms since 1970; null where none does.
    started_ms: Option<u64>,
    /// While `reconnecting`: until when the encoder may come back, in ms since 1970; then the session ends.
    reconnect_until_ms: Option<u64>,
    /// Whether a channel that goes live by hand was started, and no session goes on: the next publish begins one, until `end`.
    awaits_encoder: bool,
    /// How many watch.
    viewers: u64,
    /// Where it is watched.
    hls_url: String,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            id: String::new(),
            display_name: String::new(),
            avatar_url: None,
            title: String::new(),
            category: String::new(),
            tags: Vec::new(),
            visibility: Watchers::Public,
            go_live: Going::Auto,
            takeover: Takeover::Newest,
            state: "offline",
            session: None,
            started_ms: None,
            reconnect_until_ms: None,
            awaits_encoder: false,
            viewers: 0,
            hls_url: String::new(),
        }
    }
}

impl Shared {
    /// A channel, as the edges count its viewers.
    pub(in crate::api) fn shown(
        &self,
        view: &View,
        counts: &Counts,
        name: &ChannelName,
        settings: Option<ChannelSettings>,
    ) -> Stream {
        let live = view.channels.get(name);
        let mark = view.annex.marks.of(name);
        let viewers = of(counts, name);
        let (id, hls_url) = (name.to_string(), format!("/live/{name}/index.m3u8"));
        let state = state(live.map(|live| live.state).unwrap_or_default());
        let session = live.and_then(|live| live.session).map(|session| session.to_string());
        let Timing { started_ms, reconnect_until_ms, awaits_encoder } = self.platform.timing(name);
        let times = Stream { started_ms, reconnect_until_ms, awaits_encoder, ..Stream::default() };
        let told = Stream { id, state, session, viewers, hls_url, ..times };
        match settings {
            Some(of) => Stream {
                avatar_url: avatar_url(name.as_str(), of.avatar.as_deref()),
                display_name: of.display_name,
                title: of.title,
                category: of.category,
                tags: of.tags,
                visibility: of.visibility.into(),
                go_live: of.go_live.into(),
                takeover: of.takeover.into(),
                ..told
            },
            None => Stream { display_name: name.to_string(), visibility: mark.visibility.into(), ..told },
        }
    }
}

/// A state in the API's words.
pub(in crate::api) fn state(state: ChannelState) -> &'static str {
    match state {
        ChannelState::Idle => "offline",
        ChannelState::Starting => "starting",
        ChannelState::Live => "live",
        ChannelState::Grace => "reconnecting",
        ChannelState::Ended => "ended",
    }
}
