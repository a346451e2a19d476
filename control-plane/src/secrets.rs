//! What all control nodes share and nobody else is told: it travels in the consensus and never in the view.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::key::Pepper;

/// The platform's secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// Keys the hashes of stream keys and join tokens.
    pub pepper: Pepper,
    /// The certificate of the nodes' authority, PEM. Not a secret.
    pub authority: String,
    /// The key of that authority, PEM.
    pub authority_key: String,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}
