//! What a hub does wrong on purpose, so that a check may be seen to find it.

use std::str::FromStr;

use anyhow::Context;

/// One event in so many is handled wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    every: u64,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is not sent.
    Drop,
    /// It is sent twice.
    Double,
    /// It is sent after the one that follows it.
    Swap,
}

impl Fault {
    /// What is done with event `seq`.
    pub fn with(self, seq: u64) -> Option<Kind> {
        seq.is_multiple_of(self.every).then_some(self.kind)
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (kind, every) = text.split_once(':').context("a fault is KIND:N")?;
        let kind = match kind {
            "drop" => Kind::Drop,
            "double" => Kind::Double,
            "swap" => Kind::Swap,
            _ => anyhow::bail!("a fault is drop, double or swap"),
        };
        let every = every.parse().ok().filter(|every| *every > 0).context("N counts events")?;
        Ok(Self { kind, every })
    }
}
