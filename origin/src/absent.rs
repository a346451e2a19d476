//! Notices that the registry takes somebody for publishing here although nobody is, and says farewell for them.
//!
//! ```text
//! View, House ──missing──▶ Absent ──patience──▶ Release ──▶ registry
//! ```
//! It comes of answers that are lost or late: a claim is granted after its encoder was told that nobody answers, or that
//! media flows arrives after the farewell. The registry can't know: the origin lives, and its lease is good. Without a
//! word from here the channel would start, or be live, for ever, and under some policies let nobody else in.
//!
//! A publish that comes after all says that it is live, as after every farewell that was not true.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use freshet_proto::{
    id::{ChannelName, Epoch, NodeId},
    registry::{Command, Departure},
    view::{ChannelState, View},
};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    Inner,
    broadcast::{Broadcast, Phase},
    house::House,
    takeover,
};

/// A publish of this origin that is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Missing {
    channel: ChannelName,
    epoch: Epoch,
    /// How it went, as far as is known here.
    how: Departure,
}

/// What is missing, and until when it may still come. No more entries than channels have their current publish here.
#[derive(Debug)]
pub(crate) struct Absent {
    patience: Duration,
    awaited: BTreeMap<ChannelName, (Epoch, Instant)>,
}

impl Absent {
    /// Waits for what is missing for `patience`: longer than a publish takes from its grant until it is here.
    fn new(patience: Duration) -> Self {
        Self { patience, awaited: BTreeMap::new() }
    }

    /// Of what is missing now, that which has been for too long. The registry may not hear of it at once: if it is still
    /// missing when as much time has passed again, it is told again.
    fn overdue(&mut self, now: Instant, missing: Vec<Missing>) -> Vec<Missing> {
        let mut before = std::mem::take(&mut self.awaited);
        let mut overdue = Vec::new();
        for one in missing {
            let awaited = before.remove(&one.channel).filter(|(epoch, _)| *epoch == one.epoch);
            let until = awaited.map(|(_, until)| until).filter(|until| *until > now);
            self.awaited.insert(one.channel.clone(), (one.epoch, until.unwrap_or(now + self.patience)));
            if awaited.is_some() && until.is_none() {
                overdue.push(one);
            }
        }
        overdue
    }
}

/// The publishes of `me` that are current by `view` and that nobody makes.
fn missing(house: &House, me: NodeId, view: &View) -> Vec<Missing> {
    let runs = |state| matches!(state, ChannelState::Starting | ChannelState::Live);
    let current = view.channels.iter().filter(|(_, known)| runs(known.state)).filter_map(|(channel, known)| {
        known.current().filter(|current| current.origin == me).map(|current| (channel, current.epoch))
    });
    let gone = current.filter_map(|(channel, epoch)| {
        let held = house.sessions(channel).into_iter().find(|session| session.epoch() == epoch);
        let how = match held {
            Some(held) if held.has_publisher() => return None,
            Some(held) => how_it_went(&held),
            None => Departure::Lost,
        };
        Some(Missing { channel: channel.clone(), epoch, how })
    });
    gone.collect()
}

fn how_it_went(held: &Broadcast) -> Departure {
    match held.phase() {
        Phase::Ended { .. } => Departure::EndSession,
        _ => held.departure().unwrap_or(Departure::Lost),
    }
}

impl Inner {
    /// Waits for what is missing for as long as its claim may take to be answered and its window to be taken over.
    pub(crate) fn absent(&self) -> Absent {
        Absent::new(self.config.claim_timeout() + takeover::PATIENCE)
    }

    /// Says farewell for those who have been missing for too long.
    pub(crate) fn excuse(self: &Arc<Self>, absent: &mut Absent, view: &View, now: Instant) {
        for Missing { channel, epoch, how } in absent.overdue(now, missing(&self.house, self.me, view)) {
            warn!(%channel, %epoch, ?how, "the registry takes a publish for running that is not here; it is told");
            let inner = self.clone();
            tokio::spawn(async move { inner.farewell(&Command::Release { channel, epoch, how }).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_media::pipeline::PackagingConfig;
    use freshet_proto::{
        id::{Msn, SessionId},
        registry::Claimed,
        view::{ChannelView, EpochView},
    };
    use tokio::sync::watch;

    use super::*;
    use crate::{
        broadcast::{Rules, Shared},
        meter::Meters,
    };

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);
    const PATIENCE: Duration = Duration::from_secs(6);

    fn ada() -> ChannelName {
        "ada".parse().unwrap()
    }

    fn gone(epoch: u64, how: Departure) -> Missing {
        Missing { channel: ada(), epoch: Epoch(epoch), how }
    }

    fn house_with(epoch: u64) -> (House, Shared) {
        let rules = Rules { packaging: PackagingConfig::default(), max_bytes: u64::MAX, meters: Meters::new() };
        let house = House::new(ME, rules, 4);
        let (session, epoch) = (SessionId(epoch), Epoch(epoch));
        let claimed = Claimed { channel: ada(), session, epoch, msn_base: Msn(0), prior: None };
        let (sender, _) = watch::channel(None);
        let held = house.enter(&claimed, None, sender, 0).unwrap();
        (house, held)
    }

    fn view(state: ChannelState, epoch: u64, origin: NodeId) -> View {
        let epochs = vec![EpochView { epoch: Epoch(epoch), origin }];
        let channel = ChannelView { state, session: Some(SessionId(5)), epochs };
        View { revision: epoch, channels: [(ada(), channel)].into(), ..View::default() }
    }

    #[test]
    fn only_a_current_publish_of_this_origin_that_nobody_makes_is_missing() {
        let (house, _held) = house_with(5);
        let look = |state, epoch, origin| missing(&house, ME, &view(state, epoch, origin));
        assert_eq!(look(ChannelState::Live, 5, ME), []);
        assert_eq!(look(ChannelState::Starting, 6, ME), [gone(6, Departure::Lost)]);
        assert_eq!(look(ChannelState::Live, 6, ME), [gone(6, Departure::Lost)]);
        assert_eq!(look(ChannelState::Starting, 6, OTHER), []);
        for over in [ChannelState::Idle, ChannelState::Grace, ChannelState::Ended] {
            assert_eq!(look(over, 6, ME), []);
        }
    }

    #[test]
    fn it_is_told_how_a_publisher_went_if_that_is_known() {
        let (house, held) = house_with(5);
        let live = view(ChannelState::Live, 5, ME);
        house.leave(&held, Epoch(5), Some(Departure::Unpublished), 0);
        assert_eq!(missing(&house, ME, &live), [gone(5, Departure::Unpublished)]);
        held.end(0);
        assert_eq!(missing(&house, ME, &live), [gone(5, Departure::EndSession)]);
    }

    #[test]
    fn what_is_missing_is_given_up_after_a_while_and_again_as_long_as_it_is_missing() {
        let (mut absent, began) = (Absent::new(PATIENCE), Instant::now());
        let mut look = |after_s, missing| absent.overdue(began + Duration::from_secs(after_s), missing);
        let lost = || vec![gone(6, Departure::Lost)];
        assert_eq!(look(0, lost()), []);
        assert_eq!(look(5, lost()), []);
        assert_eq!(look(6, lost()), lost());
        assert_eq!(look(7, lost()), []);
        assert_eq!(look(12, lost()), lost());
    }

    #[test]
    fn what_came_meanwhile_or_is_another_publish_is_waited_for_anew() {
        let (mut absent, began) = (Absent::new(PATIENCE), Instant::now());
        let mut look = |after_s, missing| absent.overdue(began + Duration::from_secs(after_s), missing);
        assert_eq!(look(0, vec![gone(6, Departure::Lost)]), []);
        assert_eq!(look(4, vec![gone(7, Departure::Lost)]), []);
        assert_eq!(look(6, vec![gone(7, Departure::Lost)]), []);
        assert_eq!(look(7, vec![]), []);
        assert_eq!(look(11, vec![gone(7, Departure::Lost)]), []);
        assert_eq!(look(17, vec![gone(7, Departure::Lost)]), [gone(7, Departure::Lost)]);
    }
}
