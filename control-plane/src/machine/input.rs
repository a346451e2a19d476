//! What happens to a registry.

use freshet_proto::{
    annex::{Mark, PathSecret, Place, Revoked},
    id::{ChannelName, Epoch, NodeId},
    level::Level,
    registry::Departure,
    view::{Bar, NodeView},
};
use serde::{Deserialize, Serialize};

use super::{Charter, Token};
use crate::{channel::Policy, key::KeyHash, keys::NewKey, secrets::Secrets};

/// What happens to a registry. Goes into the log as it is, so it names no stream key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Input {
    /// An encoder presents a key at an origin.
    Claim {
        /// The key's hash.
        key: KeyHash,
        /// Where.
        origin: NodeId,
        /// The same where one claim is made twice, because its answer was lost; 0 for a claim that is never repeated.
        nonce: u64,
    },
    /// A publish's media flows.
    Live {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
    },
    /// A publisher fell silent for 2 s, or spoke again.
    Heard {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
        /// Which of the two.
        heard: bool,
    },
    /// A publisher has gone.
    Release {
        /// The channel.
        channel: ChannelName,
        /// The publish.
        epoch: Epoch,
        /// How.
        how: Departure,
    },
    /// An origin died or started anew: its publishers are lost.
    OriginLost {
        /// Which.
        origin: NodeId,
    },
    /// A channel is made, or its key or policy changes; its session goes on.
    PutChannel {
        /// Its name.
        channel: ChannelName,
        /// Its key's hash.
        key: KeyHash,
        /// What becomes of a second encoder.
        policy: Policy,
    },
    /// A channel is removed; its session ends.
    RemoveChannel {
        /// Its name.
        channel: ChannelName,
    },
    /// A node joins or changes.
    PutNode {
        /// Its id.
        node: NodeId,
        /// What others may know of it.
        view: NodeView,
    },
    /// The platform is founded: what all control nodes share. Only the first one counts.
    Found(Secrets),
    /// A join token is made.
    PutToken(Token),
    /// A node presents a join token; the log index becomes its number.
    Join {
        /// The token's hash.
        token: KeyHash,
        /// The name it wants.
        name: String,
    },
    /// A node renews its lease, with something new to say: it was lost, it moved, or its process is another one than
    /// before, whose publishers are lost.
    Renewed {
        /// Its id.
        node: NodeId,
        /// What others may know of it.
        view: NodeView,
        /// Drawn anew by each of its processes.
        life: u64,
    },
    /// A node's lease has run out.
    NodeLost {
        /// Which.
        node: NodeId,
    },
    /// An operator drains a node, or lets it work again.
    DrainNode {
        /// Which.
        node: NodeId,
        /// Whether it is to take nothing new.
        draining: bool,
    },
    /// A node leaves.
    RemoveNode {
        /// Its id.
        node: NodeId,
    },
    /// The time of [`Registry::deadline_ms`] has come.
    Timeout,
    /// All control nodes know this version: what it brought may be written from now on.
    Rise {
        /// Which.
        level: Level,
    },
    /// A node leaves, and nobody talks to it any more. Since version 2.
    CutOff {
        /// Its id.
        node: NodeId,
        /// Which of its certificates that concerns, and until when it matters.
        bar: Bar,
    },
    /// A node says where it is. Since version 2.
    Place {
        /// Its id.
        node: NodeId,
        /// Where.
        place: Place,
    },
    /// What a channel is like changes. Since version 2.
    Mark {
        /// Its name.
        channel: ChannelName,
        /// What it is like from now on.
        mark: Mark,
    },
    /// What was minted so far is good no more. Since version 2.
    Revoke {
        /// Whose.
        what: Revoked,
        /// Since when, and until when it matters.
        bar: Bar,
    },
    /// A leader begins: the first that it proposes in its term, so that its clock ends nothing that others let wait. Since
    /// version 2.
    Leads {
        /// How far its time is ahead of the registry's as that went on before its eyes, in ms. Its clock is ahead by that,
        /// or it was not there for so long.
        unseen_ms: u64,
    },
    /// Nobody talks any more to whoever was certified under a name that no node has: a node that was removed before version
    /// 2 was agreed on. Since version 2.
    BarName {
        /// The name.
        name: String,
        /// Which certificates that concerns, and until when it matters.
        bar: Bar,
    },
    /// A signing key is made. Since version 2, as what follows.
    PutKey(NewKey),
    /// The pending signing key signs from now on; the one before retires.
    ActivateKey {
        /// Which.
        kid: String,
    },
    /// What a retiring signing key has signed has run out.
    RetireKey {
        /// Which.
        kid: String,
    },
    /// What a signing key has signed is good no more.
    RevokeKey {
        /// Which.
        kid: String,
        /// Signs in its place, where it is the one that signs and none is pending.
        successor: Option<NewKey>,
    },
    /// A secret of path tokens is made.
    PutPathSecret {
        /// It.
        secret: PathSecret,
        /// Until when what was minted with older ones is good at most, in ms.
        older_until_ms: u64,
    },
    /// What an account wants of its channel; with `None` the channel is removed, for ever. What is not newer changes nothing.
    /// Since version 2.
    Charter {
        /// The channel.
        channel: ChannelName,
        /// Rises with every change of it.
        seq: u64,
        /// What it is to be.
        charter: Option<Charter>,
    },
    /// The owner lets a session begin. Since version 2.
    Start {
        /// The channel.
        channel: ChannelName,
    },
    /// Somebody ends the session. Since version 2.
    End {
        /// The channel.
        channel: ChannelName,
    },
    /// What was published so far is refused everywhere. Since version 2.
    Purge {
        /// The channel.
        channel: ChannelName,
    },
    /// A chat hub comes in, as another process than before or for the first time, or weighs otherwise. Since version 2.
    HubIn {
        /// Whose.
        node: NodeId,
        /// How much it can carry beside others.
        weight: u32,
        /// Drawn anew by each of its processes.
        life: u64,
    },
    /// Chat hubs go: they were silent for too long, or leave. Since version 2.
    HubsOut {
        /// Whose, and since when each is a member: one that has come in again stays.
        hubs: Vec<(NodeId, u64)>,
    },
}

impl Input {
    /// Which version can read it.
    pub fn since(&self) -> Level {
        match self {
            Self::Rise { level } => *level,
            Self::Place { .. } | Self::Mark { .. } | Self::Revoke { .. } => Level::ANNEX,
            Self::CutOff { .. } | Self::BarName { .. } => Level::CUTS_OFF,
            Self::Leads { .. } => Level::KEEPS_GRACES,
            Self::PutKey(_)
            | Self::ActivateKey { .. }
            | Self::RetireKey { .. }
            | Self::RevokeKey { .. }
            | Self::PutPathSecret { .. }
            | Self::Charter { .. }
            | Self::Start { .. }
            | Self::End { .. }
            | Self::Purge { .. } => Level::ANNEX,
            Self::HubIn { .. } | Self::HubsOut { .. } => Level::CHAT,
            _ => Level::FIRST,
        }
    }

    /// Which version must have been agreed on before it is written. Only a leader that has heard of all voters that they
    /// know the next one may write that.
    pub fn needs(&self) -> Level {
        match self {
            Self::Rise { level } => Level(level.0.saturating_sub(1)),
            other => other.since(),
        }
    }
}
