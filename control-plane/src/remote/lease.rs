//! A node's own side of its lease: it shows itself every [`RENEW`], and knows how long that counts.
//!
//! The node's idea of its lease is the more careful one: it begins when the node asked, and ends [`MARGIN`] early. So a node
//! that is cut off stops taking publishers before anybody counts it as lost.

use freshet_proto::{
    id::NodeId,
    message::{Lease, Request},
    view::NodeView,
};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep},
};
use tracing::{info, warn};

use super::Remote;
use crate::leases::RENEW;

/// By how much a node thinks its lease shorter than the leader does.
pub const MARGIN: Duration = Duration::from_secs(2);

/// How long one attempt may take, and how soon the next one follows a failure.
const ATTEMPT: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(500);

/// What a node knows of its own lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Until when this node may take publishers; `None` before it was heard for the first time.
    pub until: Option<Instant>,
    /// Whether an operator wants it to take nothing new.
    pub draining: bool,
}

impl Held {
    /// Whether the node counts as alive at `now`.
    pub fn is_good(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// Renews the lease of `node` until every receiver is dropped. `life` was drawn by this process.
pub fn hold(remote: Remote, node: NodeId, view: NodeView, life: u64) -> watch::Receiver<Held> {
    let (sender, receiver) = watch::channel(Held { until: None, draining: false });
    tokio::spawn(async move {
        let request = Request::Renew { node, view, life };
        let mut was_held = true;
        loop {
            let asked = Instant::now();
            let answer = tokio::select! {
                biased;
                () = sender.closed() => return,
                answer = remote.ask::<Lease>(&request, ATTEMPT) => answer,
            };
            let rest = match answer {
                Ok(lease) => {
                    let ttl = Duration::from_millis(lease.ttl_ms).saturating_sub(MARGIN);
                    sender.send_replace(Held { until: Some(asked + ttl), draining: lease.draining });
                    if !std::mem::replace(&mut was_held, true) {
                        info!(%node, "the control plane hears this node again");
                    }
                    RENEW
                }
                Err(why) => {
                    if std::mem::replace(&mut was_held, false) {
                        warn!(%node, %why, "the control plane does not hear this node; going on with what there is");
                    }
                    RETRY
                }
            };
            tokio::select! {
                biased;
                () = sender.closed() => return,
                () = sleep(rest) => {}
            }
        }
    });
    receiver
}
