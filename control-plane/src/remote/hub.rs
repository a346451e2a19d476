//! A chat hub's own side of its place in the mesh: it shows itself every [`RENEW`], and knows how long that counts.
//!
//! ```text
//! hold_hub ──HUB every 500 ms──▶ the leader ──▶ HubHeld: until when, in which mesh epoch
//! HubHold: leave (planned)
//! ```
//! The hub's idea of its lease is the more careful one: it begins when the hub asked, and ends [`MARGIN`] early. So a hub that
//! is cut off stops deciding before anybody decides in its place.

use std::sync::Arc;

use freshet_proto::{
    hub::{HubAsk, HubLease},
    id::NodeId,
    message::{Denied, Request},
    registry::Refused,
};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep_until, timeout_at},
};
use tracing::{info, warn};

use super::Remote;
use crate::hubs::RENEW;

/// By how much a hub thinks its lease shorter than the leader does: clocks that run differently, a task that runs late.
pub const MARGIN: Duration = Duration::from_millis(300);

/// How long one attempt may take, and how soon the next one follows a failure.
const ATTEMPT: Duration = Duration::from_millis(700);
const RETRY: Duration = Duration::from_millis(50);

/// What a hub knows of its own place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubHeld {
    /// Until when it holds its place; `None` before it was heard for the first time, and once it has left.
    pub until: Option<Instant>,
    /// The mesh epoch that the leader told with it; 0 before. The hub's view may be behind it, or ahead.
    pub epoch: u64,
}

impl HubHeld {
    /// Whether the hub holds its place at `now`.
    pub fn is_good(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// What a hub does about its place beside holding it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HubHold(Arc<watch::Sender<Wish>>);

/// What the hub wants of the task that renews.
#[derive(Debug, Clone, Copy, Default)]
struct Wish {
    /// It leaves, and looks for the leader until then.
    leaves: Option<Instant>,
    /// Set by the task: it has left, or ended without.
    over: Option<Result<(), ()>>,
}

impl HubHold {
    /// Renews no more and leaves the mesh, as planned; for a hub that has handed over what it had. Comes back
    /// once the leader has agreed, and looks for it for at most `limit`; where that fails the hub is out after its silence.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] where the leader has not said so in time.
    pub async fn leave(&self, limit: Duration) -> Result<(), Denied> {
        let (end, mut wish) = (Instant::now() + limit, self.0.subscribe());
        self.0.send_modify(|wish| wish.leaves = Some(end));
        let over = timeout_at(end, wish.wait_for(|wish| wish.over.is_some())).await;
        match over {
            Ok(Ok(wish)) if wish.over == Some(Ok(())) => Ok(()),
            _ => Err(Refused::Unavailable.into()),
        }
    }
}

/// Holds the place of the hub of `node`, which can carry `weight` beside others (from 1 to [`HubAsk::MAX_WEIGHT`]), until every
/// receiver is dropped or the hub leaves. `life` was drawn for this call alone: whoever held the place before is another.
///
/// `remote` should be the hub's own: it remembers where the leader is, and takes turns with nobody.
pub fn hold_hub(remote: Remote, node: NodeId, weight: u32, life: u64) -> (watch::Receiver<HubHeld>, HubHold) {
    let (sender, receiver) = watch::channel(HubHeld::default());
    let hold = HubHold(Arc::new(watch::Sender::new(Wish::default())));
    let ask = HubAsk { node, weight, life, leaves: false };
    let keeper = Keeper { remote, ask, held: sender, wishes: hold.0.subscribe(), was_held: true };
    let wishes = hold.0.clone();
    tokio::spawn(async move {
        let left = keeper.run().await;
        wishes.send_modify(|wish| wish.over = Some(left));
    });
    (receiver, hold)
}

struct Keeper {
    remote: Remote,
    ask: HubAsk,
    held: watch::Sender<HubHeld>,
    wishes: watch::Receiver<Wish>,
    was_held: bool,
}

impl Keeper {
    /// Until nobody wants to know any more, or the hub has left; tells whether it has.
    async fn run(mut self) -> Result<(), ()> {
        let mut next = Instant::now();
        loop {
            let wish = *self.wishes.borrow_and_update();
            if let Some(end) = wish.leaves {
                return self.leave(end).await;
            }
            let asked = tokio::select! {
                biased;
                () = self.held.closed() => return Err(()),
                changed = self.wishes.changed() => match changed { Ok(()) => continue, Err(_) => return Err(()) },
                () = sleep_until(next) => Instant::now(),
            };
            let request = Request::Hub(self.ask);
            let answer = tokio::select! {
                biased;
                () = self.held.closed() => return Err(()),
                changed = self.wishes.changed() => match changed { Ok(()) => continue, Err(_) => return Err(()) },
                answer = self.remote.ask::<HubLease>(&request, ATTEMPT) => answer,
            };
            next = self.heard(asked, answer);
        }
    }

    /// Takes an answer; tells when to ask again.
    fn heard(&mut self, asked: Instant, answer: Result<HubLease, Denied>) -> Instant {
        let node = self.ask.node;
        match answer {
            Ok(lease) => {
                let ttl = Duration::from_millis(lease.ttl_ms).saturating_sub(MARGIN);
                self.held.send_replace(HubHeld { until: Some(asked + ttl), epoch: lease.epoch });
                if !std::mem::replace(&mut self.was_held, true) {
                    info!(%node, "the control plane hears this chat hub again");
                }
                asked + RENEW
            }
            Err(why) => {
                if std::mem::replace(&mut self.was_held, false) {
                    warn!(%node, %why, "the control plane does not hear this chat hub; going on with what there is");
                }
                // What was refused at once is not asked at once again.
                (asked + RENEW).max(Instant::now() + RETRY)
            }
        }
    }

    async fn leave(self, end: Instant) -> Result<(), ()> {
        self.held.send_modify(|held| held.until = None);
        let request = Request::Hub(HubAsk { leaves: true, ..self.ask });
        self.remote
            .ask::<HubLease>(&request, end.saturating_duration_since(Instant::now()))
            .await
            .map(drop)
            .map_err(drop)
    }
}
