//! Keeps the registry's idea of a publish true: whether media flows, whether the encoder is heard.
//!
//! One command is under way at a time. What changes meanwhile and changes back is never told.

use std::{pin::Pin, time::Duration};

use freshet_proto::{
    id::{ChannelName, Epoch},
    random::Random,
    registry::{Command, Commands, Refused},
};
use tokio::time::Instant;

/// What is so, what the registry knows, and the command that is under way.
pub(crate) struct Told {
    channel: ChannelName,
    epoch: Epoch,
    now: Facts,
    known: Facts,
    under_way: Option<(Facts, Telling)>,
    retry_at: Option<Instant>,
}

type Telling = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send + Sync>>;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Facts {
    live: bool,
    heard: bool,
}

/// How long to wait, at least, before a registry that did not answer is asked again; at most twice this.
const RETRY: Duration = Duration::from_secs(1);

impl Told {
    /// A publish that was just claimed: heard, not yet live.
    pub(crate) fn new(channel: ChannelName, epoch: Epoch) -> Self {
        let facts = Facts { live: false, heard: true };
        Self { channel, epoch, now: facts, known: facts, under_way: None, retry_at: None }
    }

    /// Viewers can begin with this publish. It stays so.
    pub(crate) fn live(&mut self) {
        self.now.live = true;
    }

    /// Whether the encoder is heard.
    pub(crate) fn heard(&mut self, heard: bool) {
        self.now.heard = heard;
    }

    /// The registry takes the publish for gone, because this origin was not heard for a while, or because the farewell of a
    /// connection before this one came late: it is told again that media flows.
    pub(crate) fn is_forgotten(&mut self) {
        if self.under_way.is_none() {
            self.known.live = false;
        }
    }

    /// Whether the encoder was heard when last looked at.
    pub(crate) fn is_heard(&self) -> bool {
        self.now.heard
    }

    /// Begins to tell what has changed, if anything has and nothing is under way.
    pub(crate) fn begin(&mut self, commands: &Commands, now: Instant) {
        if self.now == self.known || self.under_way.is_some() || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.retry_at = None;
        let (channel, epoch) = (self.channel.clone(), self.epoch);
        let (told, command) = if self.now.live != self.known.live {
            (Facts { live: true, ..self.known }, Command::Live { channel, epoch })
        } else {
            let heard = self.now.heard;
            (Facts { heard, ..self.known }, Command::Heard { channel, epoch, heard })
        };
        let commands = commands.clone();
        self.under_way = Some((told, Box::pin(async move { commands.tell(command).await })));
    }

    /// Waits until the command that is under way is answered; for ever while there is none. Cancelling loses nothing.
    pub(crate) async fn answered(&mut self) -> Result<(), Refused> {
        let Some((_, telling)) = &mut self.under_way else { return std::future::pending().await };
        let answer = telling.as_mut().await;
        if let Some((told, _)) = self.under_way.take()
            && answer.is_ok()
        {
            self.known = told;
        }
        answer
    }

    /// Waits until nothing is under way. What is told together may arrive in any order.
    pub(crate) async fn finish(&mut self) {
        if self.under_way.is_some() {
            // Whatever the answer is, the publish is over.
            let _ = self.answered().await;
        }
    }

    /// Waits a little before the next attempt.
    pub(crate) fn back_off(&mut self, now: Instant, random: &Random) {
        self.retry_at = Some(now + RETRY + Duration::from_millis(random.below(RETRY.as_millis() as u64)));
    }

    /// When to call [`Told::begin`] again though nothing has changed.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_has_finished_once_what_is_under_way_is_answered() {
        let (commands, mut asks) = Commands::channel();
        let mut told = Told::new("ada".parse().unwrap(), Epoch(5));
        told.finish().await;
        told.live();
        told.begin(&commands, Instant::now());
        let finish = told.finish();
        tokio::pin!(finish);
        let ask = tokio::select! {
            biased;
            () = &mut finish => panic!("nobody has answered"),
            ask = asks.recv() => ask.unwrap(),
        };
        ask.reply.send(Ok(None)).unwrap();
        finish.await;
    }
}
