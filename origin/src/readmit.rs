//! Lets an encoder come back while the control plane can't be asked, and says farewell once it can.
//!
//! ```text
//! claim ──▶ registry: granted ──▶ remembered for as long as the session is open here
//!      └──▶ nobody answers ─────▶ the same key, the same session, nobody publishes: on it goes, in the same epoch
//! ```
//! Nobody else can have claimed the channel meanwhile as far as this origin can know. If somebody has, the view says so
//! when it comes again, and this publish is displaced as any other (fencing: the greater epoch wins).

use std::sync::{Arc, Mutex, PoisonError, Weak};

use freshet_proto::{
    id::{ChannelName, Epoch},
    registry::{Claimed, Command, Refused},
    view::ChannelState,
};
use subtle::ConstantTimeEq;
use tokio::time::{Duration, sleep, timeout};
use tracing::{info, warn};

use crate::{
    Inner,
    broadcast::{Phase, Shared},
};

/// What the registry granted to which key. One entry a channel; those whose session is not open here go when another is
/// added, so there are no more than publishers and open sessions.
#[derive(Default)]
pub(crate) struct Granted(Mutex<Vec<(String, Claimed)>>);

impl Granted {
    fn note(&self, key: &str, claimed: &Claimed, is_open: impl Fn(&Claimed) -> bool) {
        let mut granted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        granted.retain(|(_, other)| other.channel != claimed.channel && is_open(other));
        granted.push((key.to_owned(), claimed.clone()));
    }

    /// In a time that does not tell how much of a key was right.
    fn of(&self, key: &str) -> Option<Claimed> {
        let granted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &str| bool::from(known.as_bytes().ct_eq(key.as_bytes()));
        granted.iter().filter(|(known, _)| same(known)).map(|(_, claimed)| claimed.clone()).next_back()
    }

    fn forget(&self, key: &str) {
        let mut granted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        granted.retain(|(known, _)| !bool::from(known.as_bytes().ct_eq(key.as_bytes())));
    }
}

/// How long to wait, at least, before the registry is told again that a publisher has gone; at most twice this.
const AGAIN: Duration = Duration::from_secs(1);

impl Inner {
    /// Claims the channel of `key`; where nobody can be asked, goes on with what was granted before.
    pub(crate) async fn claim(&self, key: &str) -> Result<Claimed, Refused> {
        let claim = self.commands.claim(key.to_owned(), self.me);
        match timeout(self.config.claim_timeout(), claim).await.unwrap_or(Err(Refused::Unavailable)) {
            Ok(claimed) => {
                self.granted.note(key, &claimed, |other| self.is_open(other));
                Ok(claimed)
            }
            Err(Refused::Unavailable) => self.readmit(key).ok_or(Refused::Unavailable),
            Err(refused) => {
                if refused == Refused::UnknownKey {
                    self.granted.forget(key);
                }
                Err(refused)
            }
        }
    }

    /// Whose key it is, for a private test.
    pub(crate) async fn claim_test(&self, key: &str) -> Result<Claimed, Refused> {
        let test = self.commands.test(key.to_owned(), self.me);
        timeout(self.config.claim_timeout(), test).await.unwrap_or(Err(Refused::Unavailable))
    }

    fn readmit(&self, key: &str) -> Option<Claimed> {
        let claimed = self.granted.of(key).filter(|claimed| self.is_open(claimed))?;
        let free = self.house.newest(&claimed.channel).is_some_and(|session| !session.has_publisher());
        let current = self.view.borrow().channels.get(&claimed.channel).is_none_or(|known| {
            let over = matches!(known.state, ChannelState::Ended | ChannelState::Idle);
            !over && known.current().is_some_and(|current| current.epoch <= claimed.epoch)
        });
        if !free || !current {
            return None;
        }
        let Claimed { channel, session, epoch, .. } = &claimed;
        info!(%channel, %session, %epoch, "the control plane can't be asked: an encoder goes on that it knew");
        Some(Claimed { prior: None, ..claimed })
    }

    /// Whether the session of `claimed` is open here, and no newer publish than that has come.
    fn is_open(&self, claimed: &Claimed) -> bool {
        self.house.newest(&claimed.channel).is_some_and(|newest| {
            newest.session == claimed.session && newest.epoch() == claimed.epoch && newest.phase() == Phase::Open
        })
    }

    /// Whether everybody believes that this publish has ended although it goes on.
    pub(crate) fn is_taken_for_gone(&self, channel: &ChannelName, epoch: Epoch) -> bool {
        self.view.borrow().channels.get(channel).is_some_and(|known| {
            known.state == ChannelState::Grace && known.current().is_some_and(|current| current.epoch == epoch)
        })
    }
}

/// Tells the registry that a publisher has gone until it knows, or until that is not true any more.
pub(crate) async fn insist(inner: Weak<Inner>, broadcast: Shared, epoch: Epoch, farewell: Command) {
    loop {
        let rest = match inner.upgrade() {
            Some(inner) => AGAIN + Duration::from_millis(inner.random.below(AGAIN.as_millis() as u64)),
            None => return,
        };
        sleep(rest).await;
        let Some(inner) = inner.upgrade() else { return };
        if broadcast.epoch() != epoch || broadcast.has_publisher() {
            return;
        }
        if inner.farewell(&farewell).await {
            return;
        }
    }
}

impl Inner {
    /// Tells the registry that a publisher has gone; whether it knows now.
    pub(crate) async fn farewell(self: &Arc<Self>, farewell: &Command) -> bool {
        match timeout(self.config.claim_timeout(), self.commands.tell(farewell.clone())).await {
            Ok(Ok(()) | Err(Refused::Superseded)) => true,
            Ok(Err(why)) => {
                warn!(?farewell, %why, "the registry was not told that a publish ended");
                false
            }
            Err(_) => {
                warn!(?farewell, "the registry did not answer that a publish ended");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::id::{Msn, SessionId};

    use super::*;

    fn claimed(channel: &str, epoch: u64) -> Claimed {
        let channel = channel.parse().unwrap();
        Claimed { channel, session: SessionId(1), epoch: Epoch(epoch), msn_base: Msn(0), prior: None }
    }

    #[test]
    fn the_latest_grant_of_a_channel_is_remembered_and_those_of_closed_sessions_are_not() {
        let granted = Granted::default();
        granted.note("sk_a", &claimed("ada", 2), |_| true);
        granted.note("sk_b", &claimed("bob", 3), |_| true);
        granted.note("sk_a", &claimed("ada", 4), |_| true);
        assert_eq!(granted.of("sk_a"), Some(claimed("ada", 4)));
        assert_eq!(granted.of("sk_b"), Some(claimed("bob", 3)));
        assert_eq!(granted.of("sk_"), None);
        granted.note("sk_c", &claimed("cy", 5), |other| other.epoch != Epoch(3));
        assert_eq!((granted.of("sk_b"), granted.of("sk_a").is_some()), (None, true));
        granted.forget("sk_a");
        assert_eq!(granted.of("sk_a"), None);
    }
}
