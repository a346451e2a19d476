//! What an operator asks of the control plane, and what it answers: the words behind `freshet node`, `channel`, `control`
//! and `key`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    annex::{Algorithm, Load, Revoked, Visibility},
    audience::Audience,
    health::Health,
    history::History,
    id::{ChannelName, NodeId},
    level::Level,
    registry::{GoLive, Policy},
    view::{ChannelState, NodeView, Role},
};

/// What an operator asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdminCommand {
    /// Who is there and how they are. Answered by [`AdminReply::Cluster`]. Any control node answers.
    Cluster,
    /// A token with which nodes may join. Answered by [`AdminReply::Token`].
    MakeToken {
        /// What the nodes will be for.
        role: Role,
        /// For how many seconds it is good.
        seconds: u64,
        /// How many nodes may use it.
        uses: u32,
    },
    /// Let a node take nothing new, or again.
    Drain {
        /// Its name.
        name: String,
        /// Whether to drain it.
        draining: bool,
    },
    /// Forget a node; a control node leaves the consensus. Answered by [`AdminReply::CutOff`] where the control nodes and the
    /// asker know version 2, or by [`AdminReply::Barred`] where there is no such node.
    RemoveNode {
        /// Its name.
        name: String,
    },
    /// Make a channel, or give it a new key. Answered by [`AdminReply::Key`].
    PutChannel {
        /// Its name.
        channel: ChannelName,
        /// What becomes of a second encoder.
        policy: Policy,
    },
    /// Remove a channel; its session ends.
    RemoveChannel {
        /// Its name.
        channel: ChannelName,
    },
    /// Which channels there are. Answered by [`AdminReply::Channels`].
    Channels,
    /// Everything that is agreed, to be restored elsewhere. Answered by [`AdminReply::Backup`] and that many bytes.
    Backup,
    /// Since version 2. Which version who speaks. Answered by [`AdminReply::Levels`]; the leader alone knows of nodes.
    Levels,
    /// Since version 2. Which signing keys there are. Answered by [`AdminReply::Keys`]. Any control node answers, for itself.
    Keys,
    /// Since version 2. Make the next signing key now; it signs once everybody knows it. Answered by [`AdminReply::NewKey`].
    RotateKeys {
        /// The key-encryption key that the present ones are wrapped with is lost: the leader wraps the next one with its own,
        /// and it signs at once.
        anew: bool,
    },
    /// Since version 2. What was signed with that key is good no more, as of now. Where it is the one that signs, another does
    /// at once.
    RevokeKey {
        /// Which.
        kid: String,
    },
    /// Since version 2. All secrets of path tokens are dropped for a new one: no path token that was minted so far is good.
    DropPathSecrets,
    /// Since version 2. What was minted for that so far is good no more.
    Revoke(Revoked),
    /// Since version 2. What an account wants of its channel; with `None` the channel is removed, for ever.
    Charter {
        /// The channel.
        channel: ChannelName,
        /// Rises with every change of it: what is not newer than what is known changes nothing.
        seq: u64,
        /// What it is to be.
        charter: Option<Charter>,
    },
    /// Since version 2. Let the next publish begin a session, where the channel goes live by hand.
    Start {
        /// The channel.
        channel: ChannelName,
    },
    /// Since version 2. End the session; whoever publishes is told.
    End {
        /// The channel.
        channel: ChannelName,
    },
    /// Since version 2. Refuse what the channel has published so far, everywhere.
    Purge {
        /// The channel.
        channel: ChannelName,
    },
    /// Since version 2. Say who may watch a channel that belongs to no account.
    SetVisibility {
        /// The channel.
        channel: ChannelName,
        /// Who may watch.
        visibility: Visibility,
    },
    /// Since version 2. How the session of a channel does. Answered by [`AdminReply::Health`]; the leader alone knows.
    Health {
        /// The channel.
        channel: ChannelName,
    },
    /// Since version 2. How many watch what. Answered by [`AdminReply::Viewers`]; the leader alone knows.
    Viewers,
    /// Since version 2. How the sessions of a channel did. Answered by [`AdminReply::History`]; the leader alone knows.
    History {
        /// The channel.
        channel: ChannelName,
    },
    /// Since version 2. How the viewers of a channel fare. Answered by [`AdminReply::Audience`]; the leader alone knows.
    Audience {
        /// The channel.
        channel: ChannelName,
    },
    /// Since version 2. What the leader alone knows of nodes. Answered by [`AdminReply::Census`].
    Census,
}

/// What an account wants of its channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charter {
    /// The hashes of the keys with which it may be published to, under the platform's pepper.
    pub keys: Vec<[u8; 32]>,
    /// What becomes of a second encoder.
    pub policy: Policy,
    /// Who may watch.
    pub visibility: Visibility,
    /// Whether publishing begins a session by itself.
    pub go_live: GoLive,
}

/// What the control plane answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AdminReply {
    /// It is done.
    Done,
    /// The cluster as the control node that answers sees it.
    Cluster(Cluster),
    /// A join token. A secret.
    Token(String),
    /// A stream key. A secret; it is told this once.
    Key(String),
    /// The channels.
    Channels(Vec<(ChannelName, ChannelState)>),
    /// How many bytes follow.
    Backup {
        /// Their number.
        length: u32,
    },
    /// Since version 2. The node is removed, and nodes that speak version 2 talk to it no more.
    CutOff {
        /// Those that speak an older version, and still do.
        unaware: Vec<String>,
    },
    /// Since version 2.
    Levels(Levels),
    /// Since version 2. No node has the name; who was certified under it before is talked to no more, by nodes that speak
    /// version 2.
    Barred {
        /// Those that speak an older version, and still do.
        unaware: Vec<String>,
    },
    /// Since version 2.
    Keys(Keys),
    /// Since version 2. The next key's identifier.
    NewKey(String),
    /// Since version 2. How the session does; `None` where there is none, or its origin has not told it lately.
    Health(Option<Box<Health>>),
    /// Since version 2. How many watch each channel, at all edges together; channels without viewers are left out.
    Viewers(BTreeMap<ChannelName, u64>),
    /// Since version 2. How the sessions did.
    History(Box<History>),
    /// Since version 2. How viewers fare, by the region of the edge that serves them; empty where no player has told.
    Audience(BTreeMap<String, Audience>),
    /// Since version 2.
    Census(Census),
}

/// The signing keys and the secrets of path tokens as a control node has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The number of the node that answers.
    pub answered_by: NodeId,
    /// Why this node can't sign, if so.
    pub locked: Option<String>,
    /// The keys, the oldest first; those that are good for nothing any more come along for a while.
    pub signing: Vec<KeyStatus>,
    /// The secrets of path tokens, without what is secret, the oldest first.
    pub path: Vec<PathStatus>,
}

/// One signing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Its identifier.
    pub kid: String,
    /// What it is used with.
    pub algorithm: Algorithm,
    /// Where it stands in its life.
    pub stage: KeyStage,
    /// Since when, in ms since 1970.
    pub since_ms: u64,
    /// Until when, in ms since 1970, where that is known: the leader moves it on.
    pub until_ms: Option<u64>,
    /// Whether the node that answers has the key-encryption key that it is wrapped with.
    pub unwraps: bool,
}

/// One secret of path tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStatus {
    /// Its number.
    pub id: u32,
    /// Since when edges mint with it, in ms since 1970.
    pub since_ms: u64,
    /// Until when what was minted with it is good, in ms since 1970; `None` until its successor is made.
    pub until_ms: Option<u64>,
}

/// Where a signing key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyStage {
    /// Published, so that everybody knows it before it signs.
    Pending,
    /// It signs.
    Active,
    /// It signs no more; what it has signed is still good.
    Retiring,
    /// Its time is over.
    Retired,
    /// It was revoked: what it has signed is good no more.
    Revoked,
}

impl std::fmt::Display for KeyStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        })
    }
}

/// Which version of the node protocol who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// That of the registry: all control nodes knew it when it was agreed on.
    pub agreed: Level,
    /// The newest that the leader and a node share, of those that the leader has heard.
    pub nodes: Vec<(NodeId, Level)>,
}

/// The cluster as a control node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The number of the node that answers.
    pub answered_by: NodeId,
    /// Who leads the consensus, as far as it knows.
    pub leader: Option<NodeId>,
    /// The term of the consensus.
    pub term: u64,
    /// The last change that it has applied.
    pub revision: u64,
    /// Every node.
    pub nodes: Vec<NodeStatus>,
}

/// What the leader knows of nodes that is not agreed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// The number of the leader.
    pub leader: NodeId,
    /// The last index of its log.
    pub last_log: u64,
    /// Every node.
    pub nodes: BTreeMap<NodeId, Pulse>,
}

/// What the leader knows of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Milliseconds until its lease runs out; `None` where it has none.
    pub lease_ms: Option<u64>,
    /// How busy it is; `None` where it has not said so within a lease.
    pub load: Option<Load>,
    /// How many watch there, channels together; a client that watches two counts twice.
    pub viewers: u64,
    /// The newest version that it and the leader share, where the leader has heard it.
    pub level: Option<Level>,
    /// Up to where its log agrees with the leader's; of control nodes.
    pub log: Option<u64>,
}

/// One node as a control node sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its number.
    pub id: NodeId,
    /// What everybody knows of it.
    pub view: NodeView,
    /// Whether it votes.
    pub voter: bool,
    /// Milliseconds until its lease runs out; only the leader knows.
    pub lease_ms: Option<u64>,
}
