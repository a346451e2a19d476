//! Runs the registry alone, on this node's disk: the task behind [`Commands`].
//!
//! ask ──▶ machine ──▶ log, fsync (many asks at once) ──▶ view published ──▶ answers
//!
//! Nobody hears of a change before it is durable, so `kill -9` never sets a number back. When this node starts again,
//! whoever published at it is lost (Grace), because its memory is. When the disk fails, the task ends: claims are answered
//! "unavailable", publishers that are live go on.

use std::{io, path::Path, time::Duration};

use freshet_proto::{
    clock::WallClock,
    id::{ChannelName, NodeId},
    random::Random,
    registry::{Ask, Command, Commands, Refused, Reply},
    view::{Delta, NodeView},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::sleep,
};
use tracing::{error, info, warn};

use crate::{
    ca::{CaError, write_secret},
    channel::{Policy, Times},
    feed::{Feed, Publisher},
    key::{self, Pepper},
    log::{self, Entry, LogError, Record, Replayed},
    machine::{Input, MAX_CHANNELS, Output, Registry},
    store::{FileStore, Store},
};

/// What a lone registry is to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The channels there are; those that were there before and are not named here are removed.
    pub channels: Vec<ChannelConfig>,
    /// Which node this is.
    pub node: NodeId,
    /// What others may know of it.
    pub view: NodeView,
    /// How long things last.
    pub times: Times,
}

/// A channel and who may publish to it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// Its name.
    pub name: ChannelName,
    /// Its stream key, at most [`key::MAX_LEN`] bytes. A secret.
    pub key: String,
    /// What becomes of a second encoder: `newest` (default), `silent` or `reject`.
    #[serde(default)]
    pub policy: Policy,
}

impl std::fmt::Debug for ChannelConfig {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.name, self.policy)
    }
}

/// Why the registry can't start, or why it stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// Ours: the directory can't be used. The remedy: give it to one process alone, with a disk that has room.
    #[error("the registry's directory {dir}: {source}; give it to one process alone, on a disk that has room")]
    Dir {
        /// Which.
        dir: String,
        /// Why.
        source: io::Error,
    },
    /// Ours: the log can't be written any more. The remedy: make room or mend the disk, then start again.
    #[error("the registry's log can't be written: {0}; make room or mend the disk, then start again")]
    Write(io::Error),
    /// The log can't be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The secret beside the log can't be read or written.
    #[error(transparent)]
    Secret(#[from] CaError),
    /// The operator's: more channels are configured than a registry may have.
    #[error("{0} channels are configured, of which there may be {MAX_CHANNELS}; leave some out")]
    TooMany(usize),
    /// The operator's: a channel's key is empty, too long, or another channel's.
    #[error("the stream key of channel {0} is empty, longer than 256 bytes, or another channel's too; give it its own")]
    Key(ChannelName),
}

/// A running registry.
#[derive(Debug)]
pub struct Local {
    /// To ask it.
    pub commands: Commands,
    /// What it lets everybody know.
    pub feed: Feed,
    /// Ends when the last [`Commands`] has gone, or when the disk fails.
    pub task: JoinHandle<Result<(), LocalError>>,
}

/// How many asks share one fsync at most.
const BATCH: usize = 256;

/// After how many bytes of entries a new snapshot is written.
const COMPACT_AFTER: usize = 1 << 20;

/// The pepper's file, in the registry's directory.
const PEPPER: &str = "registry.pepper";

/// Starts the registry whose log is in `dir`.
///
/// # Errors
/// See [`LocalError`].
pub async fn spawn(dir: &Path, config: Config, clock: WallClock, random: &Random) -> Result<Local, LocalError> {
    let store = FileStore::open(dir).map_err(|source| LocalError::Dir { dir: dir.display().to_string(), source })?;
    let pepper = pepper(&dir.join(PEPPER), random)?;
    spawn_over(store, pepper, config, clock, random).await
}

/// Starts a registry whose log is in any store: the door through which a simulation comes in.
///
/// # Errors
/// See [`LocalError`].
pub async fn spawn_over<S: Store>(
    mut store: S,
    pepper: Pepper,
    config: Config,
    clock: WallClock,
    random: &Random,
) -> Result<Local, LocalError> {
    check(&config)?;
    let mut registry = restore(&mut store, config.times, random).await?;
    let ahead_ms = registry.now_ms().saturating_sub(clock.now_ms());
    prepare(&mut registry, clock.now_ms() + ahead_ms, &config, &pepper);
    let snapshot = log::snapshot(&registry)?;
    store.replace(snapshot).await.map_err(LocalError::Write)?;
    let (publisher, feed) = Feed::new(registry.view());
    let (commands, asks) = Commands::channel();
    let runner = Runner { registry, store, pepper, clock, ahead_ms, publisher, appended: 0 };
    let task =
        tokio::spawn(async move { runner.run(asks).await.inspect_err(|error| error!(%error, "registry stopped")) });
    Ok(Local { commands, feed, task })
}

fn check(config: &Config) -> Result<(), LocalError> {
    if config.channels.len() > MAX_CHANNELS {
        return Err(LocalError::TooMany(config.channels.len()));
    }
    let mut keys = std::collections::BTreeSet::new();
    for channel in &config.channels {
        let legal = !channel.key.is_empty() && channel.key.len() <= key::MAX_LEN;
        if !legal || !keys.insert(&channel.key) {
            return Err(LocalError::Key(channel.name.clone()));
        }
    }
    Ok(())
}

async fn restore<S: Store>(store: &mut S, times: Times, random: &Random) -> Result<Registry, LocalError> {
    let Some(bytes) = store.read().await.map_err(LocalError::Write)? else {
        let cluster = 1 + random.below(u64::MAX);
        info!(cluster, "a new registry");
        return Ok(Registry::new(cluster, times));
    };
    let Replayed { mut registry, torn } = log::replay(&bytes)?;
    if torn > 0 {
        warn!(torn, "the log's last record was not whole and is cut; nobody had been told of it");
    }
    info!(revision = registry.revision(), channels = registry.channels().count(), "the registry is restored");
    registry.set_times(times);
    Ok(registry)
}

/// What a start changes: our own publishers are lost, our address and the configured channels may be new.
fn prepare(registry: &mut Registry, now_ms: u64, config: &Config, pepper: &Pepper) {
    let mut inputs = vec![Input::Timeout, Input::OriginLost { origin: config.node }];
    inputs.push(Input::PutNode { node: config.node, view: config.view.clone() });
    let gone = registry.channels().filter(|name| config.channels.iter().all(|channel| channel.name != **name));
    inputs.extend(gone.cloned().map(|channel| Input::RemoveChannel { channel }));
    for channel in &config.channels {
        let key = pepper.hash(&channel.key);
        if !registry.has(&channel.name, &key, channel.policy) {
            inputs.push(Input::PutChannel { channel: channel.name.clone(), key, policy: channel.policy });
        }
    }
    let mut out = Vec::new();
    inputs.into_iter().for_each(|input| registry.handle(registry.revision() + 1, now_ms, input, &mut out));
}

fn pepper(path: &Path, random: &Random) -> Result<Pepper, LocalError> {
    let file = |source| CaError::File { path: path.to_owned(), source };
    match std::fs::read_to_string(path) {
        Ok(text) => parse_pepper(text.trim())
            .ok_or_else(|| file(io::Error::new(io::ErrorKind::InvalidData, "not 64 hexadecimal digits")).into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let pepper = Pepper::generate(random);
            let text: String = pepper.0.iter().map(|byte| format!("{byte:02x}")).collect();
            write_secret(path, &text)?;
            Ok(pepper)
        }
        Err(error) => Err(file(error).into()),
    }
}

fn parse_pepper(text: &str) -> Option<Pepper> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(Pepper(bytes))
}

struct Runner<S> {
    registry: Registry,
    store: S,
    pepper: Pepper,
    clock: WallClock,
    /// By how much the log's time was ahead of the clock at the start: ours goes on from the later one.
    ahead_ms: u64,
    publisher: Publisher,
    appended: usize,
}

/// What one turn has to write, publish and answer.
#[derive(Default)]
struct Turn {
    entries: Vec<Entry>,
    deltas: Vec<Delta>,
    answers: Vec<(oneshot::Sender<Reply>, Reply)>,
}

impl<S: Store> Runner<S> {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) -> Result<(), LocalError> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let wait = self.registry.deadline_ms().map(|at| Duration::from_millis(at.saturating_sub(self.now_ms())));
            let timeout =
                async { if let Some(wait) = wait { sleep(wait).await } else { std::future::pending().await } };
            let mut turn = Turn::default();
            tokio::select! {
                biased;
                received = asks.recv_many(&mut batch, BATCH) => if received == 0 { return Ok(()) },
                () = timeout => self.take(Input::Timeout, None, &mut turn),
            }
            for Ask { command, reply } in batch.drain(..) {
                if let Command::Test { key, .. } = &command {
                    turn.answers.push((reply, self.test(key)));
                    continue;
                }
                match self.input(command) {
                    Ok(input) => self.take(input, Some(reply), &mut turn),
                    Err(refused) => turn.answers.push((reply, Err(refused))),
                }
            }
            self.finish(turn).await?;
        }
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms() + self.ahead_ms
    }

    fn test(&self, key: &str) -> Reply {
        if key.len() > key::MAX_LEN {
            return Err(Refused::UnknownKey);
        }
        self.registry.test(&self.pepper.hash(key))
    }

    fn input(&self, command: Command) -> Result<Input, Refused> {
        Ok(match command {
            Command::Claim { key, .. } if key.len() > key::MAX_LEN => return Err(Refused::UnknownKey),
            Command::Claim { key, origin } => Input::Claim { key: self.pepper.hash(&key), origin, nonce: 0 },
            Command::Live { channel, epoch } => Input::Live { channel, epoch },
            Command::Heard { channel, epoch, heard } => Input::Heard { channel, epoch, heard },
            Command::Release { channel, epoch, how } => Input::Release { channel, epoch, how },
            _ => return Err(Refused::Unavailable),
        })
    }

    fn take(&mut self, input: Input, reply: Option<oneshot::Sender<Reply>>, turn: &mut Turn) {
        let (before, mut out) = (self.registry.revision(), Vec::new());
        self.registry.handle(before + 1, self.now_ms(), input.clone(), &mut out);
        let (revision, now_ms) = (self.registry.revision(), self.registry.now_ms());
        if revision > before {
            turn.entries.push(Entry { revision, now_ms, input });
        }
        let mut reply = reply;
        for output in out {
            match output {
                Output::Changed(delta) => turn.deltas.push(delta),
                Output::Alert(alert) => alarm(&alert.to_string()),
                Output::Reply(answer) => turn.answers.extend(reply.take().map(|reply| (reply, answer))),
            }
        }
    }

    /// First the disk, then the world.
    async fn finish(&mut self, turn: Turn) -> Result<(), LocalError> {
        if !turn.entries.is_empty() {
            let record = log::encode(&Record::Entries(turn.entries))?;
            self.appended += record.len();
            self.store.append(record).await.map_err(LocalError::Write)?;
        }
        self.publisher.publish(turn.deltas);
        for (reply, answer) in turn.answers {
            let _ = reply.send(answer);
        }
        if self.appended >= COMPACT_AFTER {
            self.appended = 0;
            self.store.replace(log::snapshot(&self.registry)?).await.map_err(LocalError::Write)?;
        }
        Ok(())
    }
}

fn alarm(alert: &str) {
    metrics::counter!("freshet_registry_alerts_total").increment(1);
    warn!(alert, "two encoders fight over a channel");
}
