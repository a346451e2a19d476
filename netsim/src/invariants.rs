//! What must hold whatever goes wrong. A machine: what hosts saw goes in, violations come out.
//!
//! ```text
//! edges' upstreams ──▶ ledger (I2, I4) ─┐
//! viewers ──▶ ledger (I2), shown (I1, I3, I9, I10) ─┼─▶ Violation
//! registry, origins' claims, edges' views ──▶ records (I5) ─┤
//! tokens at edges' doors, registry ──▶ tokens (I6) ──┤
//! edges' counters ──▶ bounds (I8) ──────┤
//! control nodes' state ──▶ controls (I5), consensus (Raft, I8), graces (Grace) ┘
//! ```
//! What the origin made is what the first whole transfer brought, beneath any of our wrappers: QUIC lets nothing else
//! through. Every later transfer and every answer to a viewer must agree with it.

use std::fmt;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Fencing: what an edge has shown of an epoch is not followed by anything of an older one.
    I1,
    /// Every byte that an edge serves is what the origin made.
    I2,
    /// Media sequence numbers never go back, and a discontinuity stands exactly where the epoch changes.
    I3,
    /// One transfer of each object to each edge, unless the one before failed.
    I4,
    /// Nothing that the registry has acknowledged or published is lost or altered.
    I5,
    /// No edge takes a token that it knows to be revoked, or that has run out; none refuses one that is good; and every edge that
    /// can knows within a second which are.
    I6,
    /// Bounds hold.
    I8,
    /// After a single fault a viewer waits no longer than promised.
    I9,
    /// Once everything is healed, everything is well within 15 s.
    I10,
    /// Of the consensus: one leader a term; terms, commits and what is applied never go back in one life.
    Raft,
    /// A session waits for its encoder as long as it should, whatever the control nodes' clocks say.
    Grace,
    /// Nothing panics, and no node's software ends by itself.
    Alive,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When it was noticed, in ms of the simulation.
    pub at_ms: u64,
    /// Which promise.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// A violation.
    pub fn new(at_ms: u64, rule: Rule, what: impl Into<String>) -> Self {
        Self { at_ms, rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} violated at {:.3} s: {}", self.rule, self.at_ms as f64 / 1000.0, self.what)
    }
}
