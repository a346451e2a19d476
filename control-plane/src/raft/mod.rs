//! The registry on several machines: one replicated log under [`crate::machine`], so that losing any one machine loses
//! nothing that was acknowledged.
//!
//! ```text
//! Proposal ──▶ Group ──▶ openraft ──entries──▶ store (redb, fsync) ──┐
//!                │          │  ▲                                     │ a quorum has it
//!                │          ▼  │ Carrier (QUIC, or a test's)         ▼
//!                │        other members                    machine ──▶ Registry ──Delta──▶ Feed
//!                └◀────────────── Applied (index, reply, alerts) ◀─────┘
//! ```
//! openraft decides who leads and what is committed; its types do not leave this folder. Here is what it does not know:
//! how bytes are kept ([`store`], `disk`, `codec`), how they travel ([`network`]), what they mean (`machine`). Beside it all
//! stand what begins a group anew: a backup (`snapshot`), also one made from a member that is stopped (`salvage`).
//!
//! Four rules hold it together:
//! - Nothing is acknowledged, to a peer or a caller, before it is synced; a failed sync stops the member for good.
//! - A revision is a log index, and a registry's `cluster` number is drawn once, in the log's first command.
//! - What was not acknowledged may be lost in a crash (it is cut without a word); any other damage refuses to start.
//! - A member that started anew neither votes nor stands for as long as a leader may still trust its word, so that a
//!   leader's lease is worth something.

mod codec;
mod config;
mod disk;
mod fifo;
mod frozen;
mod group;
mod machine;
mod membership;
mod network;
mod runtime;
mod salvage;
mod snapshot;
mod store;
mod types;
mod watcher;
mod writer;

#[cfg(test)]
mod formats;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use group::Group;
pub use network::{Carried, Carrier, CarrierError, MAX_BODY};
pub use salvage::{SalvageError, Salvaged, salvage};
pub use snapshot::{BackupError, MAX_SNAPSHOT, backed_up, restore};
pub use store::Store;
pub use types::{
    Applied, ChangeError, Leadership, MAX_PROPOSAL, Member, OpenError, Peer, Proposal, ProposeError, Status,
};
pub use writer::Pace;
