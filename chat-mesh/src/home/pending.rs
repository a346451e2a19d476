//! Posts that stand here and are not acknowledged yet.

use freshet_proto::chat::{Accepted, Answer, Code, Position};

/// What a post waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wait {
    ticket: u64,
    accepted: Accepted,
    /// Until whoever stores has this version, or until then.
    stored: Option<(u64, u64)>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Pending {
    waits: Vec<Wait>,
    /// What has been stored.
    version: u64,
}

impl Pending {
    /// How many wait at most; then nothing more is accepted from those whom the channel's limit concerns. A standby that
    /// is a round trip of 200 ms away leaves 40 waiting at 200 messages a second.
    pub const MAX: usize = 4_096;

    /// How long a change may take to be stored, in ms; then whoever asked for it is told.
    pub const STORE_MS: u64 = 5_000;

    /// How many wait.
    pub fn count(&self) -> usize {
        self.waits.len()
    }

    /// One more waits, for the standby to have its event and, where it made a change, for that `version` to be stored.
    pub fn push(&mut self, ticket: u64, accepted: Accepted, version: Option<u64>, now_ms: u64) {
        self.waits.push(Wait { ticket, accepted, stored: version.map(|version| (version, now_ms + Self::STORE_MS)) });
    }

    /// Everything up to this version is stored, but for what `lacks`: whoever waits for that is told at once.
    pub fn stored(&mut self, version: u64, lacks: impl Fn(u64, &Accepted) -> bool) {
        for wait in &mut self.waits {
            if wait.stored.is_some_and(|(wanted, _)| lacks(wanted, &wait.accepted)) {
                wait.stored = Some((u64::MAX, 0));
            }
        }
        self.version = self.version.max(version);
    }

    /// Whether this version is.
    pub fn is_stored(&self, version: u64) -> bool {
        version <= self.version
    }

    /// Who waits no longer, where the standby has everything up to `standby`; `None` where there is no standby.
    pub fn ready(&mut self, standby: Option<Position>, now_ms: u64) -> Vec<(u64, Answer)> {
        let mut ready = Vec::new();
        let version = self.version;
        self.waits.retain(|wait| {
            let is_safe = standby.is_none_or(|has| wait.accepted.position.is_none_or(|position| position <= has));
            match wait.stored {
                Some((wanted, by_ms)) if wanted > version && by_ms <= now_ms => {
                    ready.push((wait.ticket, Err(Code::NotStored.into())));
                }
                Some((wanted, _)) if wanted > version => return true,
                _ if !is_safe => return true,
                _ => ready.push((wait.ticket, Ok(wait.accepted.clone()))),
            }
            false
        });
        ready
    }

    /// When somebody must be told that it was not stored.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.waits
            .iter()
            .filter_map(|wait| wait.stored)
            .filter(|(wanted, _)| *wanted > self.version)
            .map(|(_, by)| by)
            .min()
    }
}
