//! When keys are made, sign, retire and are retired: what the leader should propose, and when. A machine.
//!
//! ```text
//!           pending_for        active_for           token + pending_for
//! made ──────────────▶ active ───────────▶ retiring ──────────────────▶ retired
//!                         made: the next one, pending_for before it is needed
//! ```
//! `pending_for` is also how old a view may be: of whoever verifies, so that it knows a key before the first token that was
//! signed with it can come, and of whoever signs, so that a key outlives its last token. Hence the one rule that everything
//! here serves: **whoever sees the platform as it was at most `pending_for` ago takes, until it runs out, whatever somebody
//! else signed who sees it so.** Two exceptions, for want of time: the first key, and the one that takes the place of a key
//! that was revoked while no other was pending; whoever has not heard of those yet refuses what they sign.
//!
//! All times are the registry's, which never goes back: whoever leads next, with whatever clock, goes on from there.

use freshet_proto::{
    admin::KeyStage,
    annex::{Algorithm, Keyring, PathSecret},
};

use super::ring::Ring;

/// The longest that a token is good, in ms: 12 hours. Whoever signs keeps to it.
pub const LONGEST_TOKEN_MS: u64 = 12 * 3_600_000;

/// How long keys live, all in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// What new keys are for. A change is a reason to rotate.
    pub algorithm: Algorithm,
    /// How long a key is known before it signs, and how old anybody's view may be. An hour.
    pub pending_ms: u64,
    /// How long it signs. 30 days.
    pub active_ms: u64,
    /// How long a secret of path tokens is minted with. A day.
    pub path_ms: u64,
    /// How long a token is good at most: [`LONGEST_TOKEN_MS`].
    pub token_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            pending_ms: 3_600_000,
            active_ms: 30 * 86_400_000,
            path_ms: 86_400_000,
            token_ms: LONGEST_TOKEN_MS,
        }
    }
}

impl Settings {
    /// How long what a key has signed is good once the next one signs: 13 hours.
    pub fn retiring_ms(&self) -> u64 {
        self.token_ms + self.pending_ms
    }

    /// How long whatever is revoked must be remembered: as long as it could be good otherwise.
    pub fn revoked_ms(&self) -> u64 {
        self.retiring_ms()
    }
}

/// What the leader should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a signing key.
    Make,
    /// Let this one sign.
    Activate(String),
    /// Let this one go.
    Retire(String),
    /// Make a secret for path tokens.
    MakePath,
}

/// All that is due at `now_ms`, by the registry's time, in the order in which it is to be done.
pub fn plan(ring: &Ring, now_ms: u64, settings: &Settings) -> Vec<Step> {
    due(ring, settings).into_iter().filter(|(at, _)| *at <= now_ms).map(|(_, step)| step).collect()
}

/// When the next step is due, in ms by the registry's time.
pub fn deadline_ms(ring: &Ring, settings: &Settings) -> Option<u64> {
    due(ring, settings).into_iter().map(|(at, _)| at).min()
}

/// Every step that time will bring, and when. At most one to make a key, for only one is pending at once, and none where there
/// is no room.
fn due(ring: &Ring, settings: &Settings) -> Vec<(u64, Step)> {
    let mut due = Vec::new();
    for key in ring.keys() {
        let kid = || key.made.kid.clone();
        match key.stage {
            KeyStage::Pending => due.push((key.since_ms + settings.pending_ms, Step::Activate(kid()))),
            KeyStage::Retiring => due.push((key.since_ms + settings.retiring_ms(), Step::Retire(kid()))),
            _ => {}
        }
    }
    due.extend(next_key_ms(ring, settings).map(|at| (at, Step::Make)));
    due.extend(next_path_ms(ring, settings).map(|at| (at, Step::MakePath)));
    due
}

fn next_key_ms(ring: &Ring, settings: &Settings) -> Option<u64> {
    let room = ring.pending().is_none() && ring.good().count() < Keyring::MAX;
    let at = match ring.active() {
        Some(active) if active.made.algorithm == settings.algorithm => {
            active.since_ms + settings.active_ms.saturating_sub(settings.pending_ms)
        }
        _ => 0,
    };
    room.then_some(at)
}

fn next_path_ms(ring: &Ring, settings: &Settings) -> Option<u64> {
    let newest = ring.path().last().map(|newest| newest.since_ms);
    let at = newest.map_or(0, |since| since + settings.path_ms.saturating_sub(settings.pending_ms));
    (ring.path().len() < Keyring::MAX).then_some(at)
}

/// The next secret of path tokens, and until when the older ones' tokens are good. The first begins at once.
pub fn next_path(ring: &Ring, now_ms: u64, settings: &Settings, secret: [u8; 32]) -> (PathSecret, u64) {
    let (id, since_ms) = match ring.path().last() {
        Some(newest) => {
            (newest.id.saturating_add(1), (now_ms + settings.pending_ms).max(newest.since_ms + settings.path_ms))
        }
        None => (1, now_ms),
    };
    (PathSecret { id, secret, since_ms, until_ms: u64::MAX }, since_ms + settings.retiring_ms())
}

/// A secret in place of all there are, as of now; what was minted with those is good no more.
pub fn only_path(ring: &Ring, now_ms: u64, secret: [u8; 32]) -> (PathSecret, u64) {
    let id = ring.path().last().map_or(1, |newest| newest.id.saturating_add(1));
    (PathSecret { id, secret, since_ms: now_ms, until_ms: u64::MAX }, now_ms)
}

#[cfg(test)]
mod tests;
