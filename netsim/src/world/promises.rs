//! What is asked of a world as a whole: that everything is well again in time, and that nobody waited too long.

use std::sync::Arc;

use freshet_proto::view::{ChannelState, View};
use tokio::sync::watch::Receiver;

use super::World;
use crate::{
    invariants::{Rule, Violation},
    schedule::{CONTROLS, Fault, Host, Layout, ORIGINS, Planned, VIEWERS},
};

/// How long ago a viewer's last part may have come for it to be well.
const FRESH_MS: u64 = 1_500;
/// The longest wait between two parts when nothing is wrong with what brings them.
const UNTROUBLED_MS: u64 = 2_000;
/// How long an edge, and an origin, may stay unnoticed by viewers after it is back (I9).
const EDGE_STALL_MS: u64 = 5_000;
const ORIGIN_STALL_MS: u64 = 10_000;

impl World<'_> {
    /// Why not everything is well, if so.
    pub(super) fn ill(&self) -> Option<String> {
        let now_ms = self.now_ms();
        self.cast.stage.with(|seen| {
            if self.schedule.layout == Layout::Platform
                && let Some(why) = seen.controls.ill(CONTROLS.len())
            {
                return Some(why);
            }
            let behind = |(host, (_, views)): (&Host, &(_, Receiver<Arc<View>>))| {
                seen.tokens.behind(now_ms, host, &views.borrow().annex)
            };
            if let Some(why) = seen.edges.iter().find_map(behind) {
                return Some(why);
            }
            let Some(channel) = seen.channel() else { return Some("the registry knows no channel".to_owned()) };
            let Some(current) = channel.current().filter(|_| channel.state == ChannelState::Live) else {
                return Some(format!("the channel is {:?}", channel.state));
            };
            VIEWERS.iter().find_map(|(viewer, _)| match seen.viewers.get(viewer).and_then(|shown| shown.newest()) {
                Some((epoch, last)) if epoch == current.epoch && last + FRESH_MS > now_ms => None,
                other => Some(format!("{viewer} is at {other:?}, the registry in epoch {}", current.epoch)),
            })
        })
    }

    /// Who has not seen the end.
    pub(super) fn unended(&self) -> Option<String> {
        self.cast.stage.with(|seen| {
            let unended = |viewer: &Host| seen.viewers.get(viewer).is_none_or(|shown| !shown.has_ended());
            VIEWERS.iter().find(|(viewer, _)| unended(viewer)).map(|(viewer, _)| {
                format!("{viewer} has seen no end; the channel is {:?}", seen.channel().map(|channel| channel.state))
            })
        })
    }

    /// After one node's death alone, and while nothing but control nodes fails, no viewer may have waited longer than
    /// promised (I9).
    pub(super) fn waits(&self) -> Result<(), Violation> {
        let dead = match self.schedule.only() {
            Some(Planned { for_ms, fault: Fault::Crash(host), .. }) => Some((host, for_ms)),
            _ if self.schedule.spares_all_but_control() => None,
            _ => return Ok(()),
        };
        let heal_ms = self.schedule.heal_ms;
        self.cast.stage.with(|seen| {
            for (viewer, edge) in VIEWERS {
                let most_ms = match dead {
                    Some((host, for_ms)) if host == edge => for_ms + EDGE_STALL_MS,
                    Some((host, for_ms)) if host == ORIGINS[0] => for_ms + ORIGIN_STALL_MS,
                    _ => UNTROUBLED_MS,
                };
                let (waited_ms, until_ms) =
                    seen.viewers.get(viewer).map(|shown| shown.longest_wait()).unwrap_or_default();
                let playing = seen.viewers.get(viewer).and_then(|shown| shown.newest());
                let still_ms = playing.map_or(u64::MAX, |(_, last)| heal_ms.saturating_sub(last));
                let (waited_ms, until_ms) = (waited_ms, until_ms).max((still_ms, heal_ms));
                if waited_ms > most_ms {
                    let who = dead.map_or("control nodes", |(host, _)| host);
                    let what =
                        format!("{viewer} waited {waited_ms} ms for a part when {who} died; {most_ms} are promised");
                    return Err(Violation::new(until_ms, Rule::I9, what));
                }
            }
            Ok(())
        })
    }
}
