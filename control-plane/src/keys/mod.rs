//! Signing keys and the secrets of path tokens: made, rotated, retired and revoked by the leader, agreed on in the registry.
//!
//! ```text
//! settings, ring, now ──rotation──▶ steps ──control::keys (the leader)──▶ generate ──▶ wrap ──▶ Input ──▶ Ring, in the registry
//!                                                                                           ├──▶ Keyring in the view: edges
//!                                              Safe (this node's key-encryption keys) ◀─────┘
//!                                                └──▶ Control::signer
//! ```
//! A private half is in the log and in snapshots wrapped with a key-encryption key alone, which never travels. The secrets of
//! path tokens stand there in clear, as the authority's key does ([`crate::secrets`]): edges need them as they are.

pub mod config;
pub mod generate;
pub mod ring;
pub mod rotation;
pub mod safe;
pub mod wrap;

pub use self::{
    config::{Config, InvalidConfig},
    ring::{Key, NewKey, Ring},
    rotation::Settings,
    safe::Source,
    wrap::{Kek, Keks},
};

/// What a control node needs to keep keys.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How long keys live.
    pub settings: Settings,
    /// Where its key-encryption keys are.
    pub source: Source,
}
