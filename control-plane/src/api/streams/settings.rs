//! What of a channel can be changed, and by which way.

use freshet_proto::{admin::AdminCommand, id::ChannelName, registry::Policy};
use serde::Deserialize;
use utoipa::ToSchema;

use super::shown::Stream;
use crate::{
    accounts::{Actor, ChannelChange, GoLive, Visibility},
    api::{
        Shared,
        problem::Problem,
        words::{Going, Takeover, Watchers},
    },
};

/// What to change of a channel; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct Settings {
    /// What is on: at most 140 characters on one line.
    #[schema(max_length = 140)]
    title: Option<String>,
    /// What kind of thing: at most 64 characters on one line.
    #[schema(max_length = 64)]
    category: Option<String>,
    /// At most 10, all different, each 1 to 25 letters, digits, - and _; replaces all.
    #[schema(max_items = 10)]
    tags: Option<Vec<String>>,
    /// Who may watch.
    visibility: Option<Watchers>,
    /// How a session begins.
    go_live: Option<Going>,
    /// What becomes of a second encoder.
    takeover: Option<Takeover>,
}

impl Settings {
    fn change(self) -> ChannelChange {
        ChannelChange {
            title: self.title,
            category: self.category,
            tags: self.tags,
            visibility: self.visibility.map(Visibility::from),
            takeover: self.takeover.map(Policy::from),
            go_live: self.go_live.map(GoLive::from),
        }
    }
}

impl Shared {
    /// Changes a channel; what it is like then.
    pub(super) async fn change_stream(
        &self,
        actor: &Actor,
        name: &ChannelName,
        settings: Settings,
    ) -> Result<Stream, Problem> {
        let owned = self.accounts.channel(name).await?.is_some();
        let channel = match owned {
            true => Some(self.accounts.update_channel(name, settings.change()).await?),
            false => {
                self.change_ownerless(actor, name, settings).await?;
                None
            }
        };
        self.carry().await;
        let counts = self.platform.viewers().await;
        let mut shown = self.shown(&self.platform.view(), &counts, name, channel.clone());
        if let Some(channel) = channel {
            shown.visibility = channel.visibility.into();
        }
        Ok(shown)
    }

    /// A channel that an operator made has no settings but who may watch it.
    async fn change_ownerless(&self, actor: &Actor, name: &ChannelName, settings: Settings) -> Result<(), Problem> {
        let there = self.platform.view().channels.contains_key(name);
        let visibility = match settings {
            _ if !there => return Err(Problem::not_found("channel")),
            Settings {
                visibility: Some(visibility),
                title: None,
                category: None,
                tags: None,
                go_live: None,
                takeover: None,
            } => visibility,
            _ => return Err(Problem::conflict("this channel has no owner; only who may watch it can be changed")),
        };
        let channel = name.clone();
        self.platform.ask(AdminCommand::SetVisibility { channel, visibility: visibility.into() }).await?;
        let details = serde_json::json!({ "visibility": visibility });
        Ok(self.accounts.audit(actor, "stream.visibility", name.as_str(), &details).await?)
    }
}
