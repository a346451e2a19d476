//! Carries what accounts have changed of their channels to the registry.
//!
//! ```text
//! Accounts::outbox_pending ──▶ AdminCommand::Charter(seq, keys, …) ──▶ the leader ──▶ Accounts::outbox_done
//! ```
//! Any number of carriers may be at work: the registry ignores what is not newer than what it knows.

use std::sync::Arc;

use freshet_proto::{
    admin::{AdminCommand, Charter},
    registry::GoLive,
};
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Shared, words::Watchers};
use crate::accounts::{
    self, StoreError,
    outbox::{ChannelSpec, Desired, OutboxEntry},
};

/// How many channels are carried at once.
const BATCH: usize = 64;

/// How often is looked for what a request did not carry itself.
const EVERY: Duration = Duration::from_secs(2);

/// How long a request waits for its change to reach the registry. It gets there all the same.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often what has run out is swept away.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

impl Shared {
    /// Carries what is pending, before a request is answered, so that what it made works at once.
    pub(super) async fn carry(&self) {
        match timeout(PATIENCE, self.carry_batch()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the outbox can't be read"),
            Err(_) => tracing::warn!("the registry does not answer; it hears of changed channels later"),
        }
    }

    /// Tells how many of the channels that were pending the registry has taken.
    async fn carry_batch(&self) -> Result<usize, StoreError> {
        let mut carried = 0;
        for OutboxEntry { id, channel, .. } in self.accounts.outbox_pending(BATCH).await? {
            let command = AdminCommand::Charter { channel: id.channel.clone(), seq: id.seq, charter: charter(channel) };
            match self.platform.ask(command).await {
                Ok(_) => {
                    self.accounts.outbox_done(&id).await?;
                    carried += 1;
                }
                Err(why) => tracing::warn!(channel = %id.channel, %why, "the registry has not taken a changed channel"),
            }
        }
        Ok(carried)
    }

    /// Carries for as long as the node lives.
    pub(super) async fn carry_on(self: Arc<Self>, closing: CancellationToken) {
        self.refill().await;
        let mut since_sweep = SWEEP_EVERY;
        while !closing.is_cancelled() {
            let carried = self.carry_batch().await;
            if let Err(error) = &carried {
                tracing::error!(%error, "the outbox can't be read");
            }
            if since_sweep >= SWEEP_EVERY {
                since_sweep = Duration::ZERO;
                if let Err(error) = self.accounts.sweep().await {
                    tracing::warn!(%error, "what has run out was not swept away");
                }
            }
            if carried.is_ok_and(|carried| carried == BATCH) {
                continue;
            }
            since_sweep += EVERY;
            tokio::select! {
                biased;
                () = closing.cancelled() => {}
                () = sleep(EVERY) => {}
            }
        }
    }

    /// A registry that knows of no channels of accounts has begun anew.
    async fn refill(&self) {
        if self.platform.chartered() > 0 {
            return;
        }
        match self.accounts.outbox_refill().await {
            Ok(0) => {}
            Ok(queued) => tracing::info!(queued, "the registry is told of all channels again"),
            Err(error) => tracing::error!(%error, "the registry is not told of all channels again"),
        }
    }
}

fn charter(desired: Desired) -> Option<Charter> {
    let Desired::Present(ChannelSpec { visibility, takeover, go_live, keys }) = desired else { return None };
    Some(Charter {
        keys: keys.into_iter().map(|(_, key)| key.to_bytes()).collect(),
        policy: takeover,
        visibility: Watchers::from(visibility).into(),
        go_live: match go_live {
            accounts::GoLive::Auto => GoLive::Auto,
            accounts::GoLive::Manual => GoLive::Manual,
        },
    })
}
