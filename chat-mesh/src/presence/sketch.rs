//! A set of users that can be counted and merged.

use std::collections::BTreeSet;

use super::{Chunk, registers::Registers};

/// See the module above. At most 4 KiB beyond [`Sketch::EXACT`] users, and some 12 KiB below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch(Held);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Hashes(BTreeSet<u64>),
    Registers(Registers),
}

impl Default for Sketch {
    fn default() -> Self {
        Self(Held::Hashes(BTreeSet::new()))
    }
}

impl Sketch {
    /// From how many users on it is an estimate.
    pub const EXACT: usize = 1_000;

    /// Puts a user in, by [`super::hash`].
    pub fn insert(&mut self, hash: u64) {
        match &mut self.0 {
            Held::Hashes(hashes) => {
                hashes.insert(hash);
                if hashes.len() >= Self::EXACT {
                    self.register(|_| {});
                }
            }
            Held::Registers(registers) => registers.insert(hash),
        }
    }

    /// Puts everybody in who is in another.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            Held::Hashes(hashes) => hashes.iter().for_each(|hash| self.insert(*hash)),
            Held::Registers(registers) => self.register(|held| held.take(0, registers.values())),
        }
    }

    /// Puts a piece of another in. What is too long or is no piece of any is left out.
    pub fn take(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Hashes(hashes) => {
                let hashes = hashes.iter().take(Chunk::HASHES);
                hashes.for_each(|hash| self.insert(u64::from_be_bytes(*hash)));
            }
            Chunk::Registers { part, values } => {
                let values = &values[..values.len().min(Chunk::REGISTERS)];
                self.register(|held| held.take(usize::from(*part) * Chunk::REGISTERS, values));
            }
        }
    }

    /// Its pieces; at least one.
    pub fn chunks(&self) -> Vec<Chunk> {
        match &self.0 {
            Held::Hashes(hashes) if hashes.is_empty() => vec![Chunk::Hashes(Vec::new())],
            Held::Hashes(hashes) => {
                let hashes: Vec<_> = hashes.iter().map(|hash| hash.to_be_bytes()).collect();
                hashes.chunks(Chunk::HASHES).map(|hashes| Chunk::Hashes(hashes.to_vec())).collect()
            }
            Held::Registers(registers) => {
                let parts = (0..).zip(registers.values().chunks(Chunk::REGISTERS));
                parts.map(|(part, values)| Chunk::Registers { part, values: values.to_vec() }).collect()
            }
        }
    }

    /// How many users are in it: exactly below [`Sketch::EXACT`].
    pub fn count(&self) -> u64 {
        match &self.0 {
            Held::Hashes(hashes) => hashes.len() as u64,
            Held::Registers(registers) => registers.estimate().round() as u64,
        }
    }

    /// Makes registers of it, and does something to them.
    fn register(&mut self, with: impl FnOnce(&mut Registers)) {
        match &mut self.0 {
            Held::Registers(registers) => with(registers),
            Held::Hashes(hashes) => {
                let mut registers = Registers::new();
                hashes.iter().for_each(|hash| registers.insert(*hash));
                with(&mut registers);
                self.0 = Held::Registers(registers);
            }
        }
    }
}

impl FromIterator<u64> for Sketch {
    fn from_iter<T: IntoIterator<Item = u64>>(hashes: T) -> Self {
        let mut sketch = Self::default();
        hashes.into_iter().for_each(|hash| sketch.insert(hash));
        sketch
    }
}
