//! Carries what a node's services ask of the registry to its leader.

use std::sync::Arc;

use freshet_proto::{
    message::{Denied, Request},
    random::Random,
    registry::{Ask, Claimed, Command, Refused, Reply},
};
use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Duration, Instant, timeout},
};
use tracing::warn;

use super::{Held, Remote};

/// How many asks may be under way; further ones wait in [`freshet_proto::registry::Commands`]'s queue.
pub const UNDER_WAY: usize = 256;

/// How long the leader is looked for on behalf of one ask. Less than an origin waits for a claim, so that an encoder is
/// told why.
const LIMIT: Duration = Duration::from_millis(3000);

/// How long a claim waits for the node's lease: long enough for a node that has just started.
const LEASE_WAIT: Duration = Duration::from_millis(1500);

/// Carries `asks` until the last asker has gone. Asks don't wait for each other: whoever cares for an order waits for the
/// answer. Each is made once however often its answer was lost. Nothing is claimed while the node's lease is not good.
pub async fn carry(remote: Remote, random: Random, held: watch::Receiver<Held>, mut asks: mpsc::Receiver<Ask>) {
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    while let Some(Ask { command, mut reply }) = asks.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let (remote, held, nonce) = (remote.clone(), held.clone(), 1 + random.below(u64::MAX));
        tokio::spawn(async move {
            let _place = place;
            let answer = tokio::select! {
                biased;
                () = reply.closed() => return,
                answer = ask(&remote, held, nonce, command) => answer,
            };
            let _ = reply.send(answer);
        });
    }
}

async fn ask(remote: &Remote, held: watch::Receiver<Held>, nonce: u64, command: Command) -> Reply {
    if matches!(command, Command::Claim { .. }) {
        may_claim(held).await?;
    }
    as_reply(remote.ask(&Request::Command { nonce, command }, LIMIT).await)
}

/// Waits a while for a lease that is not there yet or not any more.
async fn may_claim(mut held: watch::Receiver<Held>) -> Result<(), Refused> {
    let good = held.wait_for(|held| held.is_good(Instant::now()));
    match timeout(LEASE_WAIT, good).await {
        Ok(Ok(held)) if held.draining => Err(Refused::Draining),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Refused::Unavailable),
    }
}

fn as_reply(answer: Result<Option<Claimed>, Denied>) -> Reply {
    answer.map_err(|denied| match denied {
        Denied::Refused(refused) => refused,
        other => {
            warn!(why = %other, "the control plane won't do what this node asks");
            Refused::Unavailable
        }
    })
}
