//! Terms that a channel does not want to read, as they are kept. The home finds them in what is said.

use serde::{Deserialize, Serialize};

use super::Short;

/// How many terms a channel has at most.
pub const MAX_TERMS: usize = 500;

/// A term as it was written, in bytes.
pub type Pattern = Short<200>;

/// What becomes of a message with a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TermAction {
    /// It waits for a moderator.
    Hold,
    /// It is refused.
    Block,
}

/// A term.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// As it was written.
    pub pattern: Pattern,
    /// What it does.
    pub action: TermAction,
}
