//! Which chat hubs belong to the mesh, and how a hub holds its place. Since version 2 ([`crate::level::Level::CHAT`]).
//!
//! ```text
//! hub ──HubAsk every 500 ms──▶ the leader ──first, another process, gone──▶ Hubs (the registry's annex) ──▶ every node's view
//!     ◀──HubLease 2 s, epoch──
//! ```
//! The members decide which hub is a channel's home; [`Hubs::revision`] is the *mesh epoch* that fences it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::NodeId;

/// The hubs among which channels are placed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hubs {
    /// The log index of the last change, 0 where there was none: the mesh epoch.
    pub revision: u64,
    /// At most [`Hubs::MAX`].
    pub members: BTreeMap<NodeId, HubMember>,
    /// The members before the last changes, the newest last; at most [`Hubs::BEFORE`]. A new home opens once no home of
    /// theirs can decide any more.
    pub before: Vec<EarlierHubs>,
}

/// The members at an earlier mesh epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierHubs {
    /// The mesh epoch.
    pub revision: u64,
    /// The members.
    pub members: BTreeMap<NodeId, HubMember>,
}

impl Hubs {
    /// How many earlier sets of members are told.
    pub const BEFORE: usize = 8;

    /// Changes the members at log index `revision`.
    pub fn change(&mut self, revision: u64, change: impl FnOnce(&mut BTreeMap<NodeId, HubMember>)) {
        if self.revision > 0 {
            self.before.push(EarlierHubs { revision: self.revision, members: self.members.clone() });
        }
        let too_many = self.before.len().saturating_sub(Self::BEFORE);
        self.before.drain(..too_many);
        change(&mut self.members);
        self.revision = revision;
    }

    /// How many there may be at once: a message's id has ten bits for its hub's number.
    pub const MAX: usize = 1024;
}

/// A hub's place in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubMember {
    /// Less than [`Hubs::MAX`], no other member's, and after a restart another than before: it goes into the ids of messages.
    pub number: u16,
    /// How much it is to carry beside others; at least 1.
    pub weight: u32,
    /// The mesh epoch in which this process of it came in: one that started anew remembers nothing of before.
    pub since: u64,
}

/// A hub shows that it is alive, comes in, or leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubAsk {
    /// Whose. It must be the asker's own.
    pub node: NodeId,
    /// How much it can carry beside others; from 1 to [`HubAsk::MAX_WEIGHT`].
    pub weight: u32,
    /// Drawn anew by each process.
    pub life: u64,
    /// Whether it goes, as planned. The answer then grants nothing.
    pub leaves: bool,
}

impl HubAsk {
    /// The largest weight: sums of a mesh's weights fit into an `f64` and a `u64` with ease.
    pub const MAX_WEIGHT: u32 = 1_000_000;
}

/// For how long a hub holds its place, and in which mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubLease {
    /// Milliseconds from now; 0 for one that left.
    pub ttl_ms: u64,
    /// The mesh epoch that the leader knows. The hub's view may be behind it.
    pub epoch: u64,
}
