//! A sketch on its way: pieces that fit a datagram each.

use serde::{Deserialize, Serialize};

/// A piece of a sketch. Postcard makes at most 1,030 bytes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chunk {
    /// Some of its hashes, each big-endian; at most [`Chunk::HASHES`].
    Hashes(Vec<[u8; 8]>),
    /// Some of its registers, [`Chunk::REGISTERS`] from number `part` × [`Chunk::REGISTERS`] on.
    Registers {
        /// Which quarter.
        part: u8,
        /// What they hold.
        values: Vec<u8>,
    },
}

impl Chunk {
    /// How many hashes go into one.
    pub const HASHES: usize = 128;

    /// How many registers go into one.
    pub const REGISTERS: usize = 1_024;
}
