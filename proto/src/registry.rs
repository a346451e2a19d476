//! What services ask of the registry, and how: a channel to whoever runs the session machine.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::id::{ChannelName, Epoch, Msn, NodeId, SessionId};

/// A change that a service asks for. Commands carry their time: applying one reads no clock.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Command {
    /// An encoder presents a stream key at an origin.
    Claim {
        /// The stream key as the encoder sent it. Never logged.
        key: String,
        /// Who asks.
        origin: NodeId,
    },
    /// Media of the publish flows: its first playlist is out.
    Live {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
    },
    /// The publisher sent something within the last 2 s or it did not: told whenever this changes, so that a second
    /// encoder with the same key can be weighed against it.
    Heard {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
        /// Whether it was heard.
        heard: bool,
    },
    /// The publisher has gone.
    Release {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
        /// How.
        how: Departure,
    },
    /// Since version 2. An encoder presents a stream key at an origin for a private test: nothing begins, and nobody can watch.
    /// Answered by the key's channel, in session and epoch 0.
    Test {
        /// The stream key as the encoder sent it. Never logged.
        key: String,
        /// Who asks.
        origin: NodeId,
    },
}

/// What becomes of a second encoder that presents the key while the first is live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The newest wins, unless they fight.
    #[default]
    Newest,
    /// It wins only if the first was not heard for 2 s.
    Silent,
    /// It is refused.
    Reject,
}

/// Whether publishing begins a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GoLive {
    /// By itself.
    #[default]
    Auto,
    /// Only after the owner has started it.
    Manual,
}

/// How a publisher went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Departure {
    /// It said so (`deleteStream`, `FCUnpublish`): a short grace.
    Unpublished,
    /// Its connection was lost or silent: a long grace.
    Lost,
    /// The origin ends the session: what it sends now can't continue it (another set of tracks or codecs).
    EndSession,
}

/// A publish that may begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The key's channel.
    pub channel: ChannelName,
    /// The session it continues or begins.
    pub session: SessionId,
    /// The publish's fencing number.
    pub epoch: Epoch,
    /// No segment of the epoch has a smaller number, unless the origin itself holds the session's window and goes on
    /// from there.
    pub msn_base: Msn,
    /// The publish of the same session before this one and the origin that has its window.
    pub prior: Option<(Epoch, NodeId)>,
}

/// Why a publish was refused. Sent to the encoder as `NetStream.Publish.BadName` with this text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The publisher's doing. The remedy: copy the key again; it may have been reset.
    #[error("unknown stream key: copy it again, it may have been reset")]
    UnknownKey,
    /// Two encoders use the same key and displace each other. The remedy: stop one of them.
    #[error("{takeovers} encoders took this channel over within 30 s: stop the other encoder, or reset the stream key")]
    Fighting {
        /// How many displacements there were.
        takeovers: u32,
    },
    /// The channel lets no second encoder in while the first is live.
    #[error("the channel is live already and does not let a second encoder take over")]
    AlreadyLive,
    /// The command names a publish that is not the current one.
    #[error("this publish has been superseded by a newer one")]
    Superseded,
    /// Ours. The publisher may retry.
    #[error("the registry did not answer; retry")]
    Unavailable,
    /// The operator's doing: this origin is to take nothing new. The remedy: publish to another one.
    #[error("this server takes no new encoders at present; publish to another one")]
    Draining,
    /// The operator's: there is no such node or channel. The remedy: look with `freshet node ls` or `channel ls`.
    #[error("there is no {0} of that name")]
    NoSuch(NoSuch),
    /// The operator's: a node of that name is there. The remedy: choose another name, or remove that one first.
    #[error("a node of that name is there already; choose another name, or `freshet node remove` that one first")]
    NameTaken,
    /// The joiner's: the token is unknown, used up, or has run out. The remedy: make a new one (`freshet node token`).
    #[error("the join token is unknown, used up or has run out; make a new one with `freshet node token`")]
    BadToken,
    /// The operator's: there are as many channels, nodes or join tokens as a platform may have. The remedy: remove some;
    /// join tokens run out by themselves.
    #[error("there are too many {0}s; remove some first")]
    TooMany(NoSuch),
    /// The operator's, or that of a leader that has been succeeded: the key's life has gone on. The remedy: look with
    /// `freshet key ls`.
    #[error("the signing key is not where it would have to be for that; look with `freshet key ls`")]
    WrongStage,
    /// The publisher's doing: the channel goes live only after its owner has started it. Since version 2. The remedy: start
    /// it (`POST /api/streams/{channel}/start`), then publish again.
    #[error("this channel goes live only after its owner has started it: start it, then publish again")]
    NotStarted,
}

/// What something is that isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NoSuch {
    /// A node.
    Node,
    /// A channel.
    Channel,
    /// A join token.
    Token,
    /// A signing key. Since version 2.
    Key,
    /// A stream key. Since version 2.
    StreamKey,
    /// A chat hub. Since version 2.
    Hub,
}

impl std::fmt::Display for NoSuch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Channel => "channel",
            Self::Token => "join token",
            Self::Key => "signing key",
            Self::StreamKey => "stream key",
            Self::Hub => "chat hub",
        })
    }
}

/// What the registry answers.
pub type Reply = Result<Option<Claimed>, Refused>;

/// Sends commands to whoever runs the session machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Commands(mpsc::Sender<Ask>);

/// A command and where its answer goes.
#[derive(Debug)]
pub struct Ask {
    /// What is asked.
    pub command: Command,
    /// Where the answer goes. It is sent only once the change is durable.
    pub reply: oneshot::Sender<Reply>,
}

impl Commands {
    /// How many commands may wait; a further one waits for a place.
    pub const QUEUE: usize = 1024;

    /// A sender and the receiver that the registry's task reads.
    pub fn channel() -> (Self, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(Self::QUEUE);
        (Self(sender), receiver)
    }

    /// Claims the channel of `key` for a publish at `origin`.
    ///
    /// # Errors
    /// See [`Refused`]; [`Refused::Unavailable`] also when the registry has gone.
    pub async fn claim(&self, key: String, origin: NodeId) -> Result<Claimed, Refused> {
        self.ask(Command::Claim { key, origin }).await?.ok_or(Refused::Unavailable)
    }

    /// Which channel the key is of, for a private test at `origin`: session and epoch are 0, and nothing has changed.
    ///
    /// # Errors
    /// See [`Commands::claim`].
    pub async fn test(&self, key: String, origin: NodeId) -> Result<Claimed, Refused> {
        self.ask(Command::Test { key, origin }).await?.ok_or(Refused::Unavailable)
    }

    /// Sends any other command and waits until it is durable.
    ///
    /// # Errors
    /// [`Refused::Superseded`] when the publish is no longer the current one, [`Refused::Unavailable`] when the
    /// registry has gone.
    pub async fn tell(&self, command: Command) -> Result<(), Refused> {
        self.ask(command).await.map(drop)
    }

    async fn ask(&self, command: Command) -> Reply {
        let (reply, answer) = oneshot::channel();
        self.0.send(Ask { command, reply }).await.map_err(|_| Refused::Unavailable)?;
        answer.await.map_err(|_| Refused::Unavailable)?
    }
}

impl std::fmt::Debug for Command {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Claim { origin, .. } => write!(f, "Claim(origin {origin})"),
            Self::Test { origin, .. } => write!(f, "Test(origin {origin})"),
            Self::Live { channel, epoch } => write!(f, "Live({channel} epoch {epoch})"),
            Self::Heard { channel, epoch, heard } => write!(f, "Heard({channel} epoch {epoch}: {heard})"),
            Self::Release { channel, epoch, how } => write!(f, "Release({channel} epoch {epoch}: {how:?})"),
        }
    }
}
