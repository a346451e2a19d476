//! An operator who makes channels all the while, and remembers which of them were acknowledged.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{PATIENCE, run};

/// How long it rests after each.
const REST: Duration = Duration::from_millis(300);

/// Makes channels until it is told to stop.
pub struct Writer {
    acknowledged: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Vec<String>>,
}

impl Writer {
    /// Works on the hosts whose configurations these are: on the next one whenever one has no answer.
    pub fn start(hosts: Vec<String>) -> Self {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(write(hosts, Arc::clone(&acknowledged), stopped));
        Self { acknowledged, stop, task }
    }

    /// How many channels were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(SeqCst)
    }

    /// Stops; returns the names of those that were acknowledged.
    pub async fn stop(self) -> Vec<String> {
        let _ = self.stop.send(());
        timeout(PATIENCE, self.task).await.expect("it stops").expect("it makes channels")
    }
}

/// What had no answer may have happened: the next name is another.
async fn write(hosts: Vec<String>, count: Arc<AtomicU64>, mut stopped: oneshot::Receiver<()>) -> Vec<String> {
    let (mut acknowledged, mut host) = (Vec::new(), hosts.iter().cycle().peekable());
    for n in 0.. {
        if !matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
            break;
        }
        let (name, config) = (format!("made{n}"), *host.peek().expect("there are hosts"));
        let (code, _, _) = run(&["channel", "put", &name, "--config", config], &[]).await;
        if code == 0 {
            acknowledged.push(name);
            count.fetch_add(1, SeqCst);
            sleep(REST).await;
        } else {
            host.next();
        }
    }
    acknowledged
}
