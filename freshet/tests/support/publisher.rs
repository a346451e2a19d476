//! A real encoder that comes back.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};

use super::Encoder;

/// How long an encoder waits before it comes back.
const COME_BACK: Duration = Duration::from_millis(500);

/// Publishes for as long as it lives: at one origin after the other, whenever its connection ends, as an encoder with
/// several servers does.
pub struct Publisher {
    turns: mpsc::Sender<oneshot::Sender<Encoder>>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Publishes to the first of these URLs until that fails, then to the next one.
    pub fn start(rtmp: Vec<String>) -> Self {
        let (turns, mut asked) = mpsc::channel::<oneshot::Sender<Encoder>>(1);
        let task = tokio::spawn(async move {
            for url in rtmp.iter().cycle() {
                let mut encoder = Encoder::publish(url);
                tokio::select! {
                    ended = encoder.0.wait() => {
                        ended.expect("it is ours");
                        sleep(COME_BACK).await;
                    }
                    Some(turn) = asked.recv() => drop(turn.send(encoder)),
                }
            }
        });
        Self { turns, task }
    }

    /// Turns to the next origin though the connection has not ended, as an encoder does that waited in vain. Returns the
    /// process that had it, which goes on trying.
    pub async fn turn(&self) -> Encoder {
        let (give, given) = oneshot::channel();
        self.turns.send(give).await.expect("it publishes");
        given.await.expect("it publishes")
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}
