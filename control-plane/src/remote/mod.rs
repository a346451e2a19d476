//! The way to the registry from another node: finds the control node that leads, and stays with it.
//!
//! ```text
//! services ──Ask──▶ carry ──▶ Remote::ask ──COMMAND──▶ a control node ──▶ "another one leads" ──▶ that one …
//! lease: RENEW every 3 s ─────▶ Remote::ask
//! api, chat: API, CHAT ──────▶ any control node that keeps accounts
//! hub: HUB every 500 ms ──────▶ Remote::ask ──▶ a place in the chat mesh
//! report: REPORT every 2 s ───▶ Remote::ask_with ──▶ how busy all nodes are
//! ```

mod anyone;
mod api;
mod carry;
mod chat;
mod hub;
mod lease;
mod report;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use freshet_proto::{
    message::{Denied, MAX_FRAME, Request},
    quic::{Pool, QuicError, within},
    random::Random,
    registry::Refused,
    view::{NodeView, View},
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep, timeout_at},
};
use tracing::debug;

pub use api::ApiRemote;
pub use carry::carry;
pub use chat::{ChatError, ChatRemote, OpenedChat, Standing, StoredChat};
pub use hub::{HubHeld, HubHold, hold_hub};
pub use lease::{Held, hold};
pub use report::report;

use crate::watch::candidates;

/// Asks the control plane. Cheap to clone; clones remember the leader together.
#[derive(Clone)]
pub struct Remote(Arc<Shared>);

struct Shared {
    pool: Pool,
    seeds: Vec<NodeView>,
    view: Option<watch::Receiver<Arc<View>>>,
    leader: Mutex<Option<NodeView>>,
    random: Random,
}

/// How long one control node may take before another is asked: a leader that died silently costs no more than this.
const ATTEMPT: Duration = Duration::from_millis(700);

/// For how long who was silent is not asked again where others can be. Followers stop believing in a dead leader sooner;
/// one that was slow, or of whom a datagram was lost, goes on to lead and must be asked again.
const SILENT: Duration = Duration::from_secs(1);

/// What may take longer than this is given all its time in one attempt.
const LONG: Duration = Duration::from_secs(15);

/// How long to wait, at least, after a round that led nowhere; at most twice this.
const PAUSE: Duration = Duration::from_millis(50);

impl Remote {
    /// Asks one of `seeds` or of the control nodes that `view` names.
    pub fn new(pool: Pool, seeds: Vec<NodeView>, view: Option<watch::Receiver<Arc<View>>>, random: Random) -> Self {
        Self(Arc::new(Shared { pool, seeds, view, leader: Mutex::default(), random }))
    }

    /// Asks the leader for what is answered by `Result<T, Denied>`, and goes on looking for it for as long as `limit`. What
    /// is asked may happen although no answer comes.
    ///
    /// # Errors
    /// What the leader answered; [`Refused::Unavailable`] where no leader was found.
    pub async fn ask<T: DeserializeOwned>(&self, request: &Request, limit: Duration) -> Result<T, Denied> {
        self.ask_with(request, Bytes::new(), limit).await
    }

    /// As [`Remote::ask`], with the body whose length the request tells.
    ///
    /// # Errors
    /// As [`Remote::ask`].
    pub async fn ask_with<T: DeserializeOwned>(
        &self,
        request: &Request,
        body: Bytes,
        limit: Duration,
    ) -> Result<T, Denied> {
        let until = Instant::now() + limit;
        // Long requests (a control node that catches up) are given all the time there is.
        let attempt = if limit > LONG { limit } else { ATTEMPT };
        let (mut turn, mut unheard) = (self.0.random.below(64) as usize, None::<(SocketAddr, Instant)>);
        loop {
            let silent = unheard.filter(|(_, since)| since.elapsed() < SILENT).map(|(addr, _)| addr);
            let Some(node) = self.next(&mut turn, silent) else { return Err(Refused::Unavailable.into()) };
            let asked = self.attempt(&node, request, body.clone(), attempt);
            match timeout_at(until, asked).await {
                Err(_) => return Err(Refused::Unavailable.into()),
                // Others may still believe in a leader that has just been silent: it is not asked again on their word.
                Ok(Ok(Err(Denied::Elsewhere(Some(leader)))))
                    if leader.quic != node.quic && Some(leader.quic) != silent =>
                {
                    self.remember(Some(leader));
                }
                Ok(Ok(Err(Denied::Elsewhere(_) | Denied::Refused(Refused::Unavailable)))) => self.rest().await,
                Ok(Ok(answer)) => {
                    self.remember(Some(node));
                    return answer;
                }
                Ok(Err(error @ QuicError::Older { .. })) => return Err(Denied::Forbidden(error.to_string())),
                Ok(Err(error)) => {
                    unheard = Some((node.quic, Instant::now()));
                    debug!(verb = request.verb(), control = %node.quic, %error, "a control node did not answer");
                    self.rest().await;
                }
            }
            if Instant::now() >= until {
                return Err(Refused::Unavailable.into());
            }
        }
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        node: &NodeView,
        request: &Request,
        body: Bytes,
        limit: Duration,
    ) -> Result<Result<T, Denied>, QuicError> {
        within(limit, async {
            let mut reader = self.0.pool.request_with(node.quic, &node.server_name, request, body).await?;
            let answer = reader.read_frame(MAX_FRAME).await?;
            reader.expect_end().await?;
            Ok(answer)
        })
        .await
    }

    /// The leader as far as is known, once; then everybody in turn, but for whoever was silent just now.
    fn next(&self, turn: &mut usize, silent: Option<SocketAddr>) -> Option<NodeView> {
        if let Some(leader) = self.0.leader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some(leader);
        }
        let nobody = View::default();
        let all = match &self.0.view {
            Some(view) => candidates(&self.0.seeds, &view.borrow()),
            None => candidates(&self.0.seeds, &nobody),
        };
        *turn = turn.wrapping_add(1);
        let others: Vec<&NodeView> = all.iter().filter(|node| Some(node.quic) != silent).collect();
        others.get(*turn % others.len().max(1)).map(|node| (*node).clone()).or_else(|| all.first().cloned())
    }

    fn remember(&self, leader: Option<NodeView>) {
        *self.0.leader.lock().unwrap_or_else(PoisonError::into_inner) = leader;
    }

    async fn rest(&self) {
        let drawn = self.0.random.below(PAUSE.as_micros() as u64);
        sleep(PAUSE + Duration::from_micros(drawn)).await;
    }
}
