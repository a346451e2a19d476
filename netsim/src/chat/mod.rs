//! The mesh of chat hubs under faults: the machine that hubs run ([`freshet_chat_mesh::mesh`]), thousands of seeds of it.
//!
//! ```text
//! seed ──▶ Plan (faults) ──▶ World: hubs, lanes between them, control plane, people ──▶ Judge ──▶ Outcome
//! ```
//! The hubs' machine does no I/O, so the world here is a queue of events in simulated time and needs no sockets: a seed
//! takes milliseconds. What a lane promises is what QUIC does: order within it, nothing across them, and after 5 s of
//! silence an end that both sides hear of.
//!
//! # What must hold
//! - no two events have one (epoch, number), and each hub's readers see numbers that rise by one but where a gap is said;
//! - all readers see the same events in the same order: numbers never begin anew;
//! - what was acknowledged is there, once, whatever was sent again;
//! - nobody who is banned is heard after the ban;
//! - when all is well again, everybody sees the same, can speak, and is told how many there are.
//!
//! Where home and standby are lost together, what nobody else had seen is lost with them (`docs/chat-protocol.md`); plans of
//! the kind [`Kind::Wild`] do that, and are not held to what such a loss breaks.

mod control;
mod judge;
mod lanes;
mod people;
mod plan;
mod world;

pub use self::{
    judge::{Outcome, Sometimes, Violation},
    plan::{Fault, Kind, Plan, What},
};

/// A bug that the judge must find, put in by the world around the hubs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A standby's acknowledgement comes although it has nothing.
    StandbyLies,
    /// Every hub says of every mesh epoch that it knows of no later one, and the control plane gives leases to hubs that it
    /// has taken out.
    LeasesForEver,
    /// A post that is sent again is another post.
    NonceForgotten,
    /// What a lane carries comes in any order.
    LanesUnordered,
    /// A standby that is asked by a new home goes on taking what the old one says, and so does the old one.
    FenceIgnored,
    /// What homes and standbys tell a new home comes three seconds late.
    TailsLate,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::StandbyLies,
        Self::LeasesForEver,
        Self::NonceForgotten,
        Self::LanesUnordered,
        Self::FenceIgnored,
        Self::TailsLate,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::StandbyLies => "standby-lies",
            Self::LeasesForEver => "leases-for-ever",
            Self::NonceForgotten => "nonce-forgotten",
            Self::LanesUnordered => "lanes-unordered",
            Self::FenceIgnored => "fence-ignored",
            Self::TailsLate => "tails-late",
        }
    }

    /// Within how many seeds it must be found.
    pub fn within(self) -> u64 {
        match self {
            Self::LanesUnordered => 1_000,
            Self::LeasesForEver | Self::NonceForgotten => 500,
            Self::StandbyLies | Self::FenceIgnored | Self::TailsLate => 200,
        }
    }
}

/// Plays one seed.
pub fn play(plan: &Plan, bug: Option<Bug>) -> Outcome {
    world::World::new(plan, bug).play()
}
