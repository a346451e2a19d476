//! How viewers fare, over all edges: the leader merges what each of them told last, by region.

use std::collections::BTreeMap;

use freshet_proto::{
    audience::Audience,
    id::ChannelName,
    message::{Denied, Report},
    view::Role,
};
use tokio::time::Instant;

use super::Inner;

impl Inner {
    /// Whether what `peer` tells of viewers is believed.
    pub(super) fn check_audience(&self, peer: &str, told: &BTreeMap<ChannelName, Audience>) -> Result<(), Denied> {
        let refused = |why: String| Err(Denied::Forbidden(why));
        if told.len() > Report::MAX_AUDIENCES {
            return refused(format!("{peer} tells of the viewers of more than {} channels", Report::MAX_AUDIENCES));
        }
        if !told.is_empty() && self.role_of(peer) != Some(Role::Edge) {
            return refused(format!("{peer} is no edge and has no viewers"));
        }
        match told.iter().find(|(_, audience)| !audience.is_good()) {
            Some((channel, _)) => refused(format!("how the viewers of {channel} fare by {peer} can't be")),
            None => Ok(()),
        }
    }

    /// How the viewers of `channel` fare, by the region of the edges that serve them.
    pub(super) fn audience(&self, channel: &ChannelName) -> BTreeMap<String, Audience> {
        let places = self.group.read(|registry| registry.annex().places.clone());
        let region = |node| places.nodes.get(&node).map(|place| place.region.clone()).unwrap_or_default();
        let mut by_region = BTreeMap::<String, Audience>::new();
        for (node, audience) in self.loads().audiences(Instant::now(), channel) {
            by_region.entry(region(node)).or_default().merge(audience);
        }
        by_region
    }
}
