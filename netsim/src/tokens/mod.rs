//! What becomes of tokens while keys are rotated and revoked and edges are cut off from the control nodes (I6). A machine.
//!
//! ```text
//! control nodes (operators) ──sign──▶ wallet ◀──path tokens── edges
//!                                       │
//! guests show them to edges' doors ─────┴──▶ judge ──▶ Broken
//! registry's views ──▶ history ─────────────────▲
//! ```
//! Keys live for seconds here, so that a run sees a few generations of them; else they are what they are in life.

mod history;
mod judge;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use freshet_control_plane::keys;
use freshet_proto::{
    annex::{Algorithm, Revoked},
    id::ChannelName,
    random::Random,
};

use self::history::History;
pub use self::judge::{Answer, Look, Shown};
use crate::{
    bugs::Bug,
    invariants::Rule,
    ledger::Broken,
    schedule::{Deed, Hampered, Host, SKEW_MS},
};

/// The channel that may be watched with a token only. Nobody publishes to it. By name it comes after the one that has viewers.
pub const PRIVATE: &str = "vip";

/// How long a key is known before it signs. More than the leeway of whoever verifies, as in life: until its bar is forgotten a
/// token must have run out for everybody.
pub const PENDING_MS: u64 = 6_000;
/// How long it signs.
const ACTIVE_MS: u64 = 8_000;
/// How long edges mint with one secret.
const PATH_MS: u64 = 7_000;
/// How long a token is good.
pub const TOKEN_MS: u64 = 4_000;

/// By how much clocks that do not differ by more than [`SKEW_MS`] can shorten what lasts by one and is measured by another:
/// once when it begins and once when it ends.
const SLACK_MS: u64 = 2 * SKEW_MS;

/// How far an edge that nothing hampers may be behind.
const FRESH_MS: u64 = 1_000;
/// When all nodes have found each other: an attempt at a connection whose first datagrams are lost takes 3 s, and of the leader's
/// to a follower and an edge's to that follower both may fail (platform seed 1845).
const SETTLED_MS: u64 = 7_000;

/// How many tokens are kept to be shown again; the oldest go first. Those of control nodes last for longer than they are good.
const WALLET: usize = 96;
/// Of how many of the newest a guest that wants a new one takes any.
const NEWEST: u64 = 8;

/// How long keys live.
pub fn settings(bug: Option<Bug>) -> keys::Settings {
    let (pending_ms, token_ms) = match bug {
        Some(Bug::KeySignsAtOnce) => (0, TOKEN_MS + PENDING_MS),
        _ => (PENDING_MS, TOKEN_MS),
    };
    keys::Settings { algorithm: Algorithm::EdDsa, pending_ms, active_ms: ACTIVE_MS, path_ms: PATH_MS, token_ms }
}

/// What tokens are made with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A signing key, by its thumbprint.
    Signing(String),
    /// A secret of path tokens, by its number.
    Path(u32),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signing(kid) => write!(f, "key {}", kid.get(..6).unwrap_or(kid)),
            Self::Path(id) => write!(f, "path secret {id}"),
        }
    }
}

/// A token and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// As it is shown.
    pub text: String,
    /// What it was made with.
    pub key: Key,
    /// Its playback session.
    pub session: u64,
    /// When it was made, as it says.
    pub minted_ms: u64,
    /// When it runs out, as it says.
    pub until_ms: u64,
    /// Who made it: a control node, or an edge.
    pub by: Host,
    /// When, in ms of the simulation.
    pub at_ms: u64,
    /// How far its maker was behind the registry's keys then, in ms.
    pub stale_ms: u64,
}

/// What an operator did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A signing key was revoked.
    Key(String),
    /// All secrets of path tokens were dropped.
    Path,
    /// What was minted for that was revoked.
    Minted(Revoked),
}

/// Everything that is known of tokens and of what they are made with. Grows with the keys of a run, which lasts a minute.
#[derive(Debug, Default)]
pub struct Tokens {
    /// What operators are to do, and how often it was tried.
    pub deeds: VecDeque<(Deed, u32)>,
    /// Which edges faults keep from hearing the registry, and when.
    pub hampered: Vec<Hampered>,
    history: History,
    signed: VecDeque<Token>,
    passes: VecDeque<Token>,
    /// When operators began to ask for what, first.
    ordered: BTreeMap<Target, u64>,
    /// By how much nodes' clocks were wrong, at least and at most, in ms.
    clocks: BTreeMap<Host, (i64, i64)>,
    /// What each edge has known: the revisions of keys and of what is revoked.
    known: BTreeMap<Host, (u64, u64)>,
}

impl Tokens {
    /// Keeps a token.
    pub fn keep(&mut self, token: Token) {
        let kept = if matches!(token.key, Key::Signing(_)) { &mut self.signed } else { &mut self.passes };
        kept.push_back(token);
        if kept.len() > WALLET {
            kept.pop_front();
        }
    }

    /// A token to show: new or old, of a control node or of an edge.
    pub fn pick(&self, random: &Random) -> Option<Token> {
        let kept = if random.below(2) == 0 { &self.signed } else { &self.passes };
        let len = kept.len() as u64;
        let back = random.below(if random.below(2) == 0 { len.min(NEWEST) } else { len });
        kept.iter().rev().nth(back as usize).cloned()
    }

    /// A session that somebody may want to revoke.
    pub fn session(&self, random: &Random) -> Option<u64> {
        self.pick(random).map(|token| token.session)
    }

    /// An operator begins to ask for this.
    pub fn order(&mut self, now_ms: u64, target: Target) {
        self.ordered.entry(target).or_insert(now_ms);
    }

    /// By how much the clock of a node is wrong that runs.
    pub fn clock(&mut self, host: Host, offset_ms: i64) {
        let (least, most) = self.clocks.entry(host).or_insert((offset_ms, offset_ms));
        (*least, *most) = ((*least).min(offset_ms), (*most).max(offset_ms));
    }

    /// Whether the clocks of all control nodes, of whoever made a token and of this edge never differed by more than nodes find
    /// nothing in.
    fn clocks_agree(&self, maker: Host, edge: Host) -> bool {
        let counts = |host: &Host| *host == maker || *host == edge || crate::schedule::CONTROLS.contains(host);
        let these = || self.clocks.iter().filter(|(host, _)| counts(host)).map(|(_, range)| *range);
        let least = these().map(|(least, _)| least).min().unwrap_or_default();
        let most = these().map(|(_, most)| most).max().unwrap_or_default();
        most.abs_diff(least) <= SKEW_MS
    }

    /// What an edge knows after a step.
    ///
    /// # Errors
    /// When it knew more before, or is far behind though nothing hampers it (I6).
    pub fn follow(&mut self, now_ms: u64, edge: Host, annex: &freshet_proto::annex::Annex) -> Result<(), Broken> {
        let now = (annex.keys.revision, annex.revoked.revision);
        let before = self.known.insert(edge, now).unwrap_or_default();
        if now.0 < before.0 || now.1 < before.1 {
            let what = format!("{edge} knew keys and revocations of revisions {before:?}, and now those of {now:?}");
            return Err((Rule::I6, what));
        }
        let hampered = self.hampered.iter().any(|hampered| hampered.hampers(edge, now_ms));
        match self.history.lag_ms(now_ms, annex) {
            behind_ms if behind_ms > FRESH_MS && now_ms > SETTLED_MS && !hampered => Err((
                Rule::I6,
                format!("{edge} is {behind_ms} ms behind the keys or revocations, and nothing hampers it"),
            )),
            _ => Ok(()),
        }
    }

    /// How far an edge is behind, for a world that should be well.
    pub fn behind(&self, now_ms: u64, edge: Host, annex: &freshet_proto::annex::Annex) -> Option<String> {
        let behind_ms = self.history.lag_ms(now_ms, annex);
        (behind_ms > FRESH_MS).then(|| format!("{edge} is {behind_ms} ms behind the keys or revocations"))
    }
}

/// The private channel.
pub fn private() -> Option<ChannelName> {
    PRIVATE.parse().ok()
}
